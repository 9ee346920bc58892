//! Where the vendors' documents are known to be wrong, or silent: what each of them should say, and why.

use serde_json::Value;

/// Fields that are put into an object of a document.
pub(crate) struct Amendment {
    /// Whose document.
    pub(crate) vendor: &'static str,
    /// Where the object is, as a JSON pointer; it must be there.
    pub(crate) at: &'static str,
    /// The fields, as JSON.
    pub(crate) fields: &'static str,
    /// Why.
    pub(crate) reason: &'static str,
}

const NULLABLE: &str = r#"{"nullable": true}"#;
const ALMOST_ANY: &str = "by the page on types, null is legal for almost any field of an answer";

pub(crate) const AMENDMENTS: &[Amendment] = &[
    Amendment {
        vendor: "Opsgenie",
        at: "/definitions/AlertRequestStatus/properties",
        fields: r#"{"success": {"type": "boolean"}}"#,
        reason: "the page on alerts shows it beside isSuccess",
    },
    Amendment {
        vendor: "Opsgenie",
        at: "/definitions/BaseAlert/properties",
        fields: r#"{"seen": {"type": "boolean"}, "ownerTeamId": {"type": "string"}}"#,
        reason: "answers have them, and nobody has written them down",
    },
    Amendment {
        vendor: "Opsgenie",
        at: "/definitions/ErrorResponse/allOf/1/properties",
        fields: r#"{"errors": {"type": "object", "additionalProperties": {"type": "string"}}}"#,
        reason: "a refusal of single fields names them, as the vendor's own client tests show",
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/schemas/IncidentBody/properties",
        fields: r#"{"details": {"type": "string"}}"#,
        reason: "the document calls it an object, but its own example, and the page on creating incidents, say a string",
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/schemas/Incident/allOf/1/properties/resolved_at",
        fields: NULLABLE,
        reason: ALMOST_ANY,
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/schemas/Incident/allOf/1/properties/priority",
        fields: NULLABLE,
        reason: ALMOST_ANY,
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/schemas/Incident/allOf/1/properties/incident_key",
        fields: NULLABLE,
        reason: "incidents that were made by events have none",
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/schemas/AcknowledgeLogEntry/allOf/1/properties/type",
        fields: r#"{"enum": ["acknowledge_log_entry"]}"#,
        reason: "a slip: what every log entry is made of has the type so, and its own example too",
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/schemas/Service/allOf/1/properties/auto_resolve_timeout",
        fields: NULLABLE,
        reason: "the page on a service's settings: it may be off",
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/schemas/Service/allOf/1/properties/acknowledgement_timeout",
        fields: NULLABLE,
        reason: "the page on a service's settings: it may be off",
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/schemas/Service/allOf/1/properties/escalation_policy",
        fields: NULLABLE,
        reason: ALMOST_ANY,
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/components/parameters/include_incident/schema",
        fields: r#"{"enum": ["body", "users"]}"#,
        reason: "the page on creating incidents: this is how to get the body back",
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/paths/~1incidents~1{id}/put/responses",
        fields: r##"{"400": {"$ref": "#/components/responses/ArgumentError"}}"##,
        reason: "the page on errors has several that only a change of an incident can meet",
    },
    Amendment {
        vendor: "PagerDuty",
        at: "/paths/~1incidents~1{id}~1notes/post/responses",
        fields: r##"{"201": {"$ref": "#/paths/~1incidents~1{id}~1notes/post/responses/200"}}"##,
        reason: "the document says 200 and the page on the REST API 201 for whatever is created",
    },
];

impl Amendment {
    pub(crate) fn apply(&self, document: &mut Value) {
        let Ok(Value::Object(fields)) = serde_json::from_str(self.fields) else {
            panic!("the amendment at {} is no JSON object ({})", self.at, self.reason);
        };
        let place = document.pointer_mut(self.at).and_then(Value::as_object_mut);
        let place = place.unwrap_or_else(|| panic!("nothing to amend at {} ({})", self.at, self.reason));
        for (name, field) in fields {
            let before = place.insert(name, field.clone());
            assert_ne!(before, Some(field), "the document says so by itself now: {} ({})", self.at, self.reason);
        }
    }
}
