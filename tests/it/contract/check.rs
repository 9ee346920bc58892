//! Whether a recorded call is one that the vendor's document describes, and so is its answer.

use serde_json::{Value, json};
use simulators::{CallRecord, GARBAGE};

use super::document::{Document, Operation, Way, json_schema};

/// How a call deviates, a line each: the vendor, the operation, the part, the place, the problem.
pub(crate) fn deviations(documents: &[Document], call: &CallRecord) -> Vec<String> {
    let found = documents.iter().find_map(|one| Some((one, one.operation(&call.method, &call.path)?)));
    let Some((document, operation)) = found else {
        let vendor = documents[0].vendor;
        return vec![format!("{vendor} {} {} request: there is no such operation", call.method, call.path)];
    };
    let check = Check { document, operation, call };
    let head = format!("{} {} {}", document.vendor, call.method, check.operation.template);
    let mut lines = Vec::new();
    // A call that is made to be refused need not be right; the product's own must.
    if is_ours(call) || (200..300).contains(&call.status) {
        lines.extend(check.request().into_iter().map(|line| format!("{head} request: {line}")));
    }
    if call.status != 0 {
        lines.extend(check.answer().into_iter().map(|line| format!("{head} {}: {line}", call.status)));
    }
    lines
}

/// Whether the product made the call.
pub(crate) fn is_ours(call: &CallRecord) -> bool {
    call.header("user-agent").is_some_and(|agent| agent.starts_with("crosspage/"))
}

struct Check<'a> {
    document: &'a Document,
    operation: Operation<'a>,
    call: &'a CallRecord,
}

impl Check<'_> {
    fn request(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.call.header("authorization") != self.document.scheme {
            lines.push("the key is missing, or given in another way".to_owned());
        }
        self.headers(&mut lines);
        self.query(&mut lines);
        self.body(&mut lines);
        lines
    }

    fn headers(&self, lines: &mut Vec<String>) {
        for header in self.operation.parameters("header") {
            let name = header["name"].as_str().unwrap_or_default();
            // What has no body has no type either.
            let needed = header["required"] == true && (name != "Content-Type" || !self.call.body.is_empty());
            match self.call.header(name) {
                Some(value) => self.parameter(header, &[value], lines),
                None if needed => lines.push(format!("header {name} is missing")),
                None => {}
            }
        }
    }

    fn query(&self, lines: &mut Vec<String>) {
        let sent = self.call.query_pairs();
        for (name, _) in &sent {
            if !self.operation.parameters("query").any(|one| one["name"] == **name) {
                lines.push(format!("query parameter {name} is unknown"));
            }
        }
        for parameter in self.operation.parameters("query") {
            let values: Vec<&str> =
                sent.iter().filter(|(name, _)| parameter["name"] == **name).map(|(_, value)| value.as_str()).collect();
            if !values.is_empty() {
                self.parameter(parameter, &values, lines);
            } else if parameter["required"] == true {
                lines.push(format!("query parameter {} is missing", parameter["name"]));
            }
        }
    }

    /// Parameters travel as text, and a list as a repeated one.
    fn parameter(&self, parameter: &Value, values: &[&str], lines: &mut Vec<String>) {
        let schema = parameter.get("schema").unwrap_or(parameter);
        let typed = |schema: &Value, text: &str| match schema["type"].as_str() {
            Some("integer" | "number" | "boolean") => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
            _ => json!(text),
        };
        let values: Vec<Value> = match schema["type"].as_str() {
            Some("array") => vec![values.iter().map(|value| typed(&schema["items"], value)).collect()],
            _ => values.iter().map(|value| typed(schema, value)).collect(),
        };
        // A parameter of Swagger is its own schema, and says `required` of itself.
        let mut schema = schema.clone();
        schema.as_object_mut().map(|schema| schema.remove("required"));
        for value in values {
            let found = self.document.deviations(&schema, Way::Request, &value);
            lines.extend(found.into_iter().map(|line| format!("parameter {}{line}", parameter["name"])));
        }
    }

    fn body(&self, lines: &mut Vec<String>) {
        let Some((schema, required)) = self.operation.body(self.document) else {
            if !self.call.body.is_empty() {
                lines.push("there is a body, and none is described".to_owned());
            }
            return;
        };
        if self.call.body.is_empty() {
            if required {
                lines.push("the body is missing".to_owned());
            }
            return;
        }
        if self.call.header("content-type") != Some("application/json") {
            lines.push("the body is not called application/json".to_owned());
        }
        match serde_json::from_str(&self.call.body) {
            Ok(body) => lines.extend(self.document.deviations(schema, Way::Request, &body)),
            Err(error) => lines.push(format!("the body is no JSON: {error}")),
        }
    }

    fn answer(&self) -> Vec<String> {
        let (status, answer) = (self.call.status, self.call.answer.as_str());
        let Some(described) = self.operation.answer(self.document, status) else {
            // Anything may break or take too long, which is said on the pages about errors once for all.
            let general = matches!(status, 408 | 500..);
            return if general { Vec::new() } else { vec!["the status is not described".to_owned()] };
        };
        // By the page on rate limits a 429 may come without a body; garbage is a fault that was asked for.
        if answer == GARBAGE || (status == 429 && answer.is_empty()) {
            return Vec::new();
        }
        let Some(schema) = json_schema(described) else { return Vec::new() };
        match serde_json::from_str(answer) {
            Ok(answer) => self.document.deviations(schema, Way::Answer, &answer),
            Err(_) => vec!["the answer is no JSON".to_owned()],
        }
    }
}
