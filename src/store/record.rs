//! How a value lies in the database: one byte of format, one of kind, a checksum over key and content, the content.
//! A long value is cut into chunks that lie under keys of their own, with a head that says how many there are.

use super::StoreError;
use super::keys;

const FORMAT: u8 = 1;
const WHOLE: u8 = 0;
const HEAD: u8 = 1;
const CHUNK: u8 = 2;
const OVERHEAD: usize = 6;

/// The longest value that is given to the backend, in bytes.
pub(super) const LONGEST: usize = 60 * 1024;

/// What lies at a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Stored<'a> {
    /// The content.
    Whole(&'a [u8]),
    /// The content lies in that many chunks, and has that checksum.
    Chunked { chunks: u32, checksum: u32 },
    /// A piece of another value's content.
    Chunk(&'a [u8]),
}

/// The rows to be written for `content` at `key`: first the one at `key` itself, then the chunks, if it is long.
pub(super) fn seal(key: &[u8], content: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    if content.len() + OVERHEAD <= LONGEST {
        return vec![(key.to_vec(), row(key, WHOLE, content))];
    }
    let chunks = content.chunks(LONGEST - OVERHEAD).zip(0..).map(|(piece, number)| {
        let key = keys::chunk(key, number);
        let value = row(&key, CHUNK, piece);
        (key, value)
    });
    let chunks: Vec<_> = chunks.collect();
    let count = u32::try_from(chunks.len()).unwrap_or(u32::MAX);
    let head = [count.to_be_bytes(), crc32fast::hash(content).to_be_bytes()].concat();
    std::iter::once((key.to_vec(), row(key, HEAD, &head))).chain(chunks).collect()
}

/// Reads the row at `key`, and checks it.
pub(super) fn open<'a>(key: &[u8], row: &'a [u8]) -> Result<Stored<'a>, StoreError> {
    let Some((&format, rest)) = row.split_first() else { return Err(damaged(key, "it is empty")) };
    if format != FORMAT {
        return Err(StoreError::UnknownVersion { key: keys::readable(key), found: u32::from(format) });
    }
    let Some((&kind, rest)) = rest.split_first() else { return Err(damaged(key, "it is cut short")) };
    let Some((sum, content)) = rest.split_first_chunk::<4>() else { return Err(damaged(key, "it is cut short")) };
    if u32::from_be_bytes(*sum) != checksum(key, kind, content) {
        return Err(damaged(key, "its checksum is wrong"));
    }
    match kind {
        WHOLE => Ok(Stored::Whole(content)),
        CHUNK => Ok(Stored::Chunk(content)),
        HEAD => match (content.first_chunk::<4>(), content.last_chunk::<4>()) {
            (Some(chunks), Some(sum)) if content.len() == 8 => {
                Ok(Stored::Chunked { chunks: u32::from_be_bytes(*chunks), checksum: u32::from_be_bytes(*sum) })
            }
            _ => Err(damaged(key, "its list of chunks is unreadable")),
        },
        _ => Err(damaged(key, "its kind is unknown")),
    }
}

/// The error for a value at `key` that is not what it should be.
pub(super) fn damaged(key: &[u8], what: impl Into<String>) -> StoreError {
    StoreError::Damaged { key: keys::readable(key), what: what.into() }
}

fn row(key: &[u8], kind: u8, content: &[u8]) -> Vec<u8> {
    let mut row = Vec::with_capacity(content.len() + OVERHEAD);
    row.extend([FORMAT, kind]);
    row.extend(checksum(key, kind, content).to_be_bytes());
    row.extend(content);
    row
}

/// The key counts, so that a value found in a wrong place is noticed too.
fn checksum(key: &[u8], kind: u8, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(key);
    hasher.update(&[kind]);
    hasher.update(content);
    hasher.finalize()
}
