//! Who has the database: an id of each opening lies beside it, for whoever finds it locked. Two installations may share a host, and
//! who answers at some address need not be the one that has the folder.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};

const FILE: &str = "owner";
/// What the file is called until it is whole.
const UNFINISHED: &str = "owner.new";

/// Leaves the id of an opening in the folder, and tells it. A disk that is full must keep nobody from opening the database: then
/// there is none, and nothing is left of the last one's.
pub(super) fn leave(folder: &Path) -> Option<String> {
    let (file, unfinished) = (folder.join(FILE), folder.join(UNFINISHED));
    let left = new_id().filter(|id| fs::write(&unfinished, id).and_then(|()| fs::rename(&unfinished, &file)).is_ok());
    if left.is_none() {
        // What cannot be removed is not there, or the database cannot be opened either.
        let _ = fs::remove_file(&file);
    }
    left
}

/// The id of the last opening, if one was left.
pub(super) fn of(folder: &Path) -> Option<String> {
    let id = fs::read_to_string(folder.join(FILE)).ok()?;
    (!id.is_empty() && id.bytes().all(|byte| byte.is_ascii_hexdigit())).then_some(id)
}

fn new_id() -> Option<String> {
    let mut bytes = [0; 16];
    let drawn = getrandom(&mut bytes, GetRandomFlags::empty()).ok()?;
    (drawn == bytes.len()).then(|| {
        bytes.iter().fold(String::new(), |mut id, byte| {
            let _ = write!(id, "{byte:02x}");
            id
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_opening_leaves_an_id_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(of(folder.path()), None);
        let first = leave(folder.path()).unwrap();
        assert_eq!((first.len(), of(folder.path()).as_ref()), (32, Some(&first)));
        let second = leave(folder.path()).unwrap();
        assert!(second != first && of(folder.path()).as_ref() == Some(&second));
        assert!(!folder.path().join(UNFINISHED).exists());
    }

    #[test]
    fn where_none_can_be_left_the_last_one_goes() {
        let folder = tempfile::tempdir().unwrap();
        leave(folder.path()).unwrap();
        fs::create_dir(folder.path().join(UNFINISHED)).unwrap();
        assert_eq!((leave(folder.path()), of(folder.path())), (None, None));
    }

    #[test]
    fn what_is_no_id_is_none() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "a line\r\nof a header"] {
            fs::write(folder.path().join(FILE), text).unwrap();
            assert_eq!(of(folder.path()), None, "{text}");
        }
    }
}
