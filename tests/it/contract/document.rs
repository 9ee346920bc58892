//! One vendor's published description of its API: which operation a call is, and what its parts must look like.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jsonschema::{Draft, Validator};
use serde_json::{Map, Value, json};

use super::amendments::AMENDMENTS;

/// A Swagger 2.0 or OpenAPI 3.0 document.
pub(crate) struct Document {
    pub(crate) vendor: &'static str,
    /// What the paths of calls have before those of the document.
    base: &'static str,
    /// The first word of `Authorization`, if calls need a key.
    pub(crate) scheme: Option<&'static str>,
    root: Value,
    validators: Mutex<HashMap<String, Arc<Validator>>>,
}

/// An operation of a document.
pub(crate) struct Operation<'a> {
    pub(crate) template: &'a str,
    pub(crate) value: &'a Value,
    parameters: Vec<&'a Value>,
}

/// Whether a schema is for what is sent or for what is answered: some fields belong to one of them only.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    Request,
    Answer,
}

impl Document {
    pub(crate) fn read(
        folder: &Path,
        file: &str,
        vendor: &'static str,
        base: &'static str,
        scheme: Option<&'static str>,
    ) -> Self {
        let path = folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let mut root = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        AMENDMENTS.iter().filter(|one| one.vendor == vendor).for_each(|one| one.apply(&mut root));
        Self { vendor, base, scheme, root, validators: Mutex::default() }
    }

    /// The operation that a call is; of two paths that fit, the one with fewer variables.
    pub(crate) fn operation(&self, method: &str, path: &str) -> Option<Operation<'_>> {
        let path = path.strip_prefix(self.base)?;
        let parts: Vec<&str> = path.split('/').collect();
        let fits = |template: &str| {
            let wanted: Vec<&str> = template.split('/').collect();
            let fits = |(wanted, part): (&&str, &&str)| wanted == part || (wanted.starts_with('{') && !part.is_empty());
            wanted.len() == parts.len() && wanted.iter().zip(&parts).all(fits)
        };
        let method = method.to_ascii_lowercase();
        let paths = self.root["paths"].as_object()?.iter();
        let found = paths.filter(|(template, item)| fits(template) && item.get(&method).is_some());
        let (template, item) = found.min_by_key(|(template, _)| template.matches('{').count())?;
        let value = &item[&method];
        let listed = [&item["parameters"], &value["parameters"]].into_iter().filter_map(Value::as_array).flatten();
        Some(Operation { template, value, parameters: listed.map(|one| self.resolved(one)).collect() })
    }

    /// What stands where a reference points.
    pub(crate) fn resolved<'a>(&'a self, mut value: &'a Value) -> &'a Value {
        while let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            value = self.at(reference);
        }
        value
    }

    fn at(&self, reference: &str) -> &Value {
        let found = reference.strip_prefix('#').and_then(|pointer| self.root.pointer(pointer));
        found.unwrap_or_else(|| panic!("{}: {reference} points nowhere", self.vendor))
    }

    /// How `instance` deviates from a schema of this document, a line each.
    pub(crate) fn deviations(&self, schema: &Value, way: Way, instance: &Value) -> Vec<String> {
        let key = format!("{}{schema}", way == Way::Request);
        let mut validators = self.validators.lock().unwrap_or_else(PoisonError::into_inner);
        let validator = validators.entry(key).or_insert_with(|| Arc::new(Translation::of(self, schema, way))).clone();
        drop(validators);
        validator.iter_errors(instance).map(|error| format!("{} {error}", error.instance_path())).collect()
    }
}

impl<'a> Operation<'a> {
    pub(crate) fn parameters(&self, place: &str) -> impl Iterator<Item = &'a Value> {
        self.parameters.iter().copied().filter(move |one| one["in"] == place)
    }

    /// The schema of the request's body, and whether there must be one.
    pub(crate) fn body(&self, document: &'a Document) -> Option<(&'a Value, bool)> {
        if let Some(body) = self.parameters("body").next() {
            return Some((&body["schema"], body["required"] == true));
        }
        let body = document.resolved(self.value.get("requestBody")?);
        Some((json_schema(body)?, true))
    }

    /// What the document says of an answer with that status.
    pub(crate) fn answer(&self, document: &'a Document, status: u16) -> Option<&'a Value> {
        let answers = &self.value["responses"];
        let range = format!("{}XX", status / 100);
        let found = [status.to_string().as_str(), &range, "default"].into_iter().find_map(|key| answers.get(key));
        found.map(|answer| document.resolved(answer))
    }
}

/// The schema of a body or an answer, if it has one.
pub(crate) fn json_schema(part: &Value) -> Option<&Value> {
    part.get("schema").or_else(|| part.pointer("/content/application~1json/schema"))
}

/// Turns a schema of a document, with all that it refers to, into one of plain JSON Schema.
struct Translation<'a> {
    document: &'a Document,
    way: Way,
    definitions: Map<String, Value>,
    waiting: Vec<String>,
}

impl<'a> Translation<'a> {
    fn of(document: &'a Document, schema: &Value, way: Way) -> Validator {
        let mut translation = Self { document, way, definitions: Map::new(), waiting: Vec::new() };
        let mut root = translation.whole(schema);
        while let Some(reference) = translation.waiting.pop() {
            let definition = translation.part(document.at(&reference));
            translation.definitions.insert(name_of(&reference), definition);
        }
        root["$defs"] = Value::Object(translation.definitions);
        let options = jsonschema::options().with_draft(Draft::Draft202012).should_validate_formats(true);
        options.build(&root).unwrap_or_else(|error| panic!("{}: {error} in {root}", document.vendor))
    }

    /// The schema of a value as a whole. Fields that it does not name are errors, or else a misspelt name would pass.
    fn whole(&mut self, schema: &Value) -> Value {
        let mut translated = self.part(schema);
        if self.names_fields(schema) {
            translated["unevaluatedProperties"] = json!(false);
        }
        translated
    }

    /// A schema that may be only a part of what is said of a value.
    fn part(&mut self, schema: &Value) -> Value {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = name_of(reference);
            if !self.definitions.contains_key(&name) {
                self.definitions.insert(name.clone(), Value::Null);
                self.waiting.push(reference.to_owned());
            }
            let reference = json!({"$ref": format!("#/$defs/{name}")});
            let nullable = schema["nullable"] == true;
            return if nullable { json!({"anyOf": [reference, {"type": "null"}]}) } else { reference };
        }
        let mut out = Map::new();
        let nullable = schema["nullable"] == true;
        for (keyword, value) in schema.as_object().into_iter().flatten() {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(fields)) => {
                    let fields = fields.iter().map(|(name, field)| (name.clone(), self.whole(field)));
                    out.insert("properties".to_owned(), fields.collect());
                }
                ("items", items) => _ = out.insert("items".to_owned(), self.whole(items)),
                ("additionalProperties", Value::Object(_)) => _ = out.insert(keyword.clone(), self.whole(value)),
                ("allOf", Value::Array(parts)) => {
                    out.insert("allOf".to_owned(), parts.iter().map(|part| self.part(part)).collect());
                }
                // The documents say "one of" of alternatives that are no opposites.
                ("oneOf" | "anyOf", Value::Array(parts)) => {
                    out.insert("anyOf".to_owned(), parts.iter().map(|part| self.part(part)).collect());
                }
                ("required", Value::Array(names)) => {
                    let belongs =
                        |name: &&Value| self.belongs(&schema["properties"][name.as_str().unwrap_or_default()]);
                    out.insert("required".to_owned(), names.iter().filter(belongs).cloned().collect());
                }
                ("type", kind) if nullable => _ = out.insert("type".to_owned(), json!([kind, "null"])),
                ("enum", Value::Array(words)) => {
                    let null = nullable.then_some(&Value::Null);
                    out.insert("enum".to_owned(), words.iter().chain(null).cloned().collect());
                }
                (
                    "type"
                    | "format"
                    | "pattern"
                    | "minLength"
                    | "maxLength"
                    | "minimum"
                    | "maximum"
                    | "minItems"
                    | "maxItems"
                    | "uniqueItems"
                    | "additionalProperties",
                    value,
                ) => _ = out.insert(keyword.clone(), value.clone()),
                _ => {}
            }
        }
        // A field that is required is named by that alone.
        if let Some(names) = schema["required"].as_array() {
            let fields = out.entry("properties").or_insert_with(|| json!({}));
            for name in names.iter().filter_map(Value::as_str) {
                if fields.get(name).is_none() {
                    fields[name] = json!({});
                }
            }
        }
        Value::Object(out)
    }

    fn belongs(&self, field: &Value) -> bool {
        let other = match self.way {
            Way::Request => "readOnly",
            Way::Answer => "writeOnly",
        };
        self.document.resolved(field)[other] != true
    }

    fn names_fields(&self, schema: &Value) -> bool {
        let schema = self.document.resolved(schema);
        let parts = ["allOf", "oneOf", "anyOf"].into_iter().filter_map(|keyword| schema[keyword].as_array()).flatten();
        let named = schema["properties"].as_object().is_some_and(|fields| !fields.is_empty());
        schema.get("additionalProperties").is_none() && (named || parts.into_iter().any(|part| self.names_fields(part)))
    }
}

/// A reference as a name that needs no escaping.
fn name_of(reference: &str) -> String {
    reference.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '.' }).collect()
}
