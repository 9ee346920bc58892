//! What tests do to the bodies of vendors: any JSON at all, and real bodies with something wrong.

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;
use serde_json::Value;

/// So many cases of each property: enough to find what is easily found, in a second or so.
pub(crate) fn few() -> ProptestConfig {
    ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() }
}

/// Something that is no container.
fn leaf() -> impl Strategy<Value = Value> {
    prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
        id().prop_map(Value::from),
    ]
}

/// Any JSON, with field names of which some mean something.
pub(crate) fn any_json(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let name = prop_oneof![4 => proptest::sample::select(names).prop_map(str::to_owned), 1 => any::<String>()];
    leaf().prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            btree_map(name.clone(), inner, 0..6).prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// What may stand where an id should: mostly something that would break out of a path.
pub(crate) fn id() -> impl Strategy<Value = String> {
    prop_oneof![
        2 => "[A-Za-z0-9_-]{0,20}",
        // One odd character among fitting ones: each of them must be refused by itself.
        2 => "[A-Za-z0-9_-]{1,8}[^A-Za-z0-9_-][A-Za-z0-9_-]{0,8}",
        2 => "[A-Za-z0-9_-]{1,8}[/.%][A-Za-z0-9_-]{0,8}",
        3 => "[A-Za-z0-9_-]{1,8}[./%?#: \\\\@;&=+]{1,2}[A-Za-z0-9_-]{0,8}",
        1 => Just("../../users".to_owned()),
        1 => Just("a".repeat(201)),
        1 => any::<String>(),
    ]
}

/// One thing that is wrong with a body, somewhere in it.
#[derive(Clone, Debug)]
pub(crate) enum Wrong {
    Gone(usize),
    Instead(usize, Value),
    Reversed(usize),
}

/// Several things that are wrong.
pub(crate) fn wrongs(most: usize) -> impl Strategy<Value = Vec<Wrong>> {
    let wrong = prop_oneof![
        any::<usize>().prop_map(Wrong::Gone),
        (any::<usize>(), leaf()).prop_map(|(at, value)| Wrong::Instead(at, value)),
        any::<usize>().prop_map(Wrong::Reversed),
    ];
    vec(wrong, 1..=most)
}

/// Does something wrong to a body.
pub(crate) fn mangle(body: &mut Value, wrong: &Wrong) {
    let places = places(body);
    let at = |number: &usize| &places[number % places.len()];
    match wrong {
        Wrong::Gone(number) => remove(body, at(number)),
        Wrong::Instead(number, value) => {
            if let Some(place) = body.pointer_mut(at(number)) {
                *place = value.clone();
            }
        }
        Wrong::Reversed(number) => {
            if let Some(Value::Array(items)) = body.pointer_mut(at(number)) {
                items.reverse();
            }
        }
    }
}

/// JSON pointers to everything in a body, the body itself included.
pub(crate) fn places(body: &Value) -> Vec<String> {
    let mut places = vec![String::new()];
    let mut next = 0;
    while let Some(place) = places.get(next).cloned() {
        match body.pointer(&place) {
            Some(Value::Object(fields)) => {
                let escaped = fields.keys().map(|name| name.replace('~', "~0").replace('/', "~1"));
                places.extend(escaped.map(|name| format!("{place}/{name}")));
            }
            Some(Value::Array(items)) => places.extend((0..items.len()).map(|number| format!("{place}/{number}"))),
            _ => {}
        }
        next += 1;
    }
    places
}

/// Takes a field out of a body.
pub(crate) fn remove(body: &mut Value, place: &str) {
    let Some((parent, name)) = place.rsplit_once('/') else { return };
    if let Some(Value::Object(fields)) = body.pointer_mut(parent) {
        fields.remove(&name.replace("~1", "/").replace("~0", "~"));
    }
}

/// The body as text, with the fields of every object in another order.
pub(crate) fn shuffled(body: &Value, seed: u64) -> String {
    match body {
        Value::Object(fields) => {
            let mut fields: Vec<_> = fields.iter().collect();
            fields.sort_by_key(|(name, _)| crc32fast::hash(format!("{seed}{name}").as_bytes()));
            let fields =
                fields.iter().map(|(name, value)| format!("{}:{}", Value::from(name.as_str()), shuffled(value, seed)));
            format!("{{{}}}", fields.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(|item| shuffled(item, seed)).collect::<Vec<_>>().join(","))
        }
        other => other.to_string(),
    }
}

/// The bodies in a folder of fixtures, by their names.
pub(crate) fn bodies(folder: &str) -> Vec<(String, Value)> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut bodies: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|file| file.unwrap().path())
        .map(|path| {
            let name = path.file_stem().unwrap().to_string_lossy().into_owned();
            (name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap())
        })
        .collect();
    bodies.sort_by(|one, other| one.0.cmp(&other.0));
    bodies
}
