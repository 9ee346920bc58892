//! The words that are written into the other system, cut to what it takes.

use super::super::event::{
    Actor, AlertAction, AlertEvent, AlertFacts, AlertId, Event, EventBody, IncidentChange, IncidentEvent, System,
};
use super::super::outbox::{NewIncident, Urgency};
use super::super::policy::Policy;

/// PagerDuty's notes hold 65,535 single-byte characters, by its page on editing incidents: bytes are counted.
const PAGERDUTY_NOTE_BYTES: usize = 65_535;
/// Opsgenie's notes hold 25,000 characters.
const OPSGENIE_NOTE_CHARS: usize = 25_000;
/// Nobody could verify a limit for titles; the Events API has a hard one of 1,024.
const TITLE_CHARS: usize = 1_024;
/// Nobody could verify a limit for details.
const DETAILS_BYTES: usize = 65_000;
const CUT_MARK: &str = " […]";

/// What a note begins with that tells of something in `system`.
pub(super) fn prefix(system: System) -> String {
    format!("[{system}] ")
}

/// A note about what somebody did in `system`.
pub(super) fn about(system: System, sentence: &str) -> String {
    format!("{}{sentence}", prefix(system))
}

/// A note that passes on what somebody wrote in `system`.
pub(super) fn said(system: System, actor: &Actor, text: &str) -> String {
    format!("{}{}: {text}", prefix(system), who(actor))
}

/// The actor's name for people to read.
pub(super) fn who(actor: &Actor) -> &str {
    [&actor.name, &actor.source, &actor.id].into_iter().find_map(|n| n.as_deref()).unwrap_or("somebody")
}

/// The side on which the event tells of a note with words that we write on the other side only: somebody copies them.
pub(super) fn copied_to(event: &Event) -> Option<System> {
    let (system, text) = match &event.body {
        EventBody::Alert(AlertEvent { action: AlertAction::AddNote { text }, .. }) => (System::Opsgenie, text),
        EventBody::Incident(IncidentEvent { change: IncidentChange::Annotated(note), .. }) => {
            (System::PagerDuty, &note.text)
        }
        EventBody::Alert(_)
        | EventBody::Incident(_)
        | EventBody::Settled(_)
        | EventBody::Polled(_)
        | EventBody::Ordered(_) => return None,
    };
    text.contains(&prefix(system)).then_some(system)
}

/// Adds what was said along with an action.
pub(super) fn with_words(sentence: String, words: Option<&str>) -> String {
    match words {
        Some(words) => format!("{sentence}: {words}"),
        None => sentence,
    }
}

/// Cuts a note to what `system` takes.
pub(super) fn cut_note(system: System, text: &str) -> String {
    match system {
        System::Opsgenie => cut_chars(text, OPSGENIE_NOTE_CHARS),
        System::PagerDuty => cut_bytes(text, PAGERDUTY_NOTE_BYTES),
    }
}

/// A text that had been cut by the vendor, marked as such.
pub(super) fn marked_as_cut(text: &str) -> String {
    format!("{text}{CUT_MARK}")
}

/// The incident for an alert.
pub(super) fn new_incident(alert: &AlertId, facts: &AlertFacts, policy: &Policy) -> NewIncident {
    let message = facts.message.as_deref().map(str::trim).filter(|m| !m.is_empty());
    let title = message.map_or_else(|| format!("Opsgenie alert {}", number(alert, facts)), str::to_owned);
    NewIncident {
        title: cut_chars(&title, TITLE_CHARS),
        details: cut_bytes(&details(alert, facts, policy), DETAILS_BYTES),
        urgency: facts.priority.map(Urgency::from),
        priority: facts.priority,
        bare: false,
    }
}

fn number(alert: &AlertId, facts: &AlertFacts) -> String {
    facts.tiny_id.as_ref().map_or_else(|| alert.to_string(), |tiny| format!("#{tiny}"))
}

fn details(alert: &AlertId, facts: &AlertFacts, policy: &Policy) -> String {
    let mut lines = Vec::new();
    if let Some(entity) = facts.entity.as_deref().filter(|e| !e.is_empty()) {
        lines.push(format!("Entity: {entity}"));
    }
    if !facts.tags.is_empty() {
        lines.push(format!("Tags: {}", facts.tags.join(", ")));
    }
    if let Some(priority) = facts.priority {
        lines.push(format!("Priority: {}", priority.name()));
    }
    let page = policy.alert_page.as_ref().map(|page| format!(" {page}{alert}")).unwrap_or_default();
    lines.push(format!("Opsgenie alert: {}{page}", number(alert, facts)));
    let facts_text = lines.join("\n");
    match facts.description.as_deref().map(str::trim).filter(|d| !d.is_empty()) {
        // A long description must not push the facts out.
        Some(description) => {
            let room = DETAILS_BYTES.saturating_sub(facts_text.len() + 2);
            format!("{}\n\n{facts_text}", cut_bytes(description, room))
        }
        None => facts_text,
    }
}

fn cut_chars(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    match most.checked_sub(CUT_MARK.chars().count()) {
        Some(room) => text.chars().take(room).collect::<String>() + CUT_MARK,
        None => text.chars().take(most).collect(),
    }
}

fn cut_bytes(text: &str, most: usize) -> String {
    if text.len() <= most {
        return text.to_owned();
    }
    match most.checked_sub(CUT_MARK.len()) {
        Some(room) => format!("{}{CUT_MARK}", &text[..text.floor_char_boundary(room)]),
        None => text[..text.floor_char_boundary(most)].to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_text_is_cut_at_a_character_boundary_with_a_visible_mark() {
        let cut = cut_bytes(&"ä".repeat(40_000), PAGERDUTY_NOTE_BYTES);
        assert!(cut.len() <= PAGERDUTY_NOTE_BYTES && cut.len() > PAGERDUTY_NOTE_BYTES - 4);
        assert!(cut.ends_with("ä […]"));
        let cut = cut_chars(&"ä".repeat(25_001), OPSGENIE_NOTE_CHARS);
        assert_eq!(cut.chars().count(), OPSGENIE_NOTE_CHARS);
        assert!(cut.ends_with("ä […]"));
    }

    #[test]
    fn what_fits_is_left_alone() {
        assert_eq!(cut_note(System::Opsgenie, &"ä".repeat(25_000)), "ä".repeat(25_000));
        assert_eq!(cut_note(System::PagerDuty, &"a".repeat(65_535)), "a".repeat(65_535));
    }

    #[test]
    fn details_keep_the_facts_below_a_long_description() {
        let facts = AlertFacts {
            description: Some("x".repeat(70_000)),
            tags: vec!["prod".into(), "db".into()],
            ..AlertFacts::default()
        };
        let policy = super::super::tests::policy();
        let details = details(&AlertId::try_from("a-1").unwrap(), &facts, &policy);
        assert!(details.len() <= DETAILS_BYTES);
        assert!(details.contains("[…]") && details.contains("Tags: prod, db"), "{}", &details[details.len() - 200..]);
    }

    fn few() -> ProptestConfig {
        ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() }
    }

    proptest! {
        #![proptest_config(few())]

        #[test]
        fn a_cut_text_keeps_to_its_limit_and_begins_as_the_whole_does(text in "\\PC{0,60}", most in 0_usize..70) {
            for (cut, length) in [
                (cut_chars(&text, most), (|text| text.chars().count()) as fn(&str) -> usize),
                (cut_bytes(&text, most), str::len),
            ] {
                prop_assert!(length(&cut) <= most, "{cut:?}");
                prop_assert_eq!(cut == text, length(&text) <= most || text.is_empty());
                let kept = cut.strip_suffix(CUT_MARK).unwrap_or(&cut);
                prop_assert!(text.starts_with(kept), "{cut:?}");
            }
        }

        #[test]
        fn an_incident_keeps_to_its_limits_whatever_the_alert_says(
            message in "\\PC{0,3000}", tag in "\\PC{0,20}", tags in 0_usize..4_000, description in 0_usize..70_000,
        ) {
            let facts = AlertFacts {
                message: Some(message),
                description: Some("ä".repeat(description)),
                tags: vec![tag; tags],
                ..AlertFacts::default()
            };
            let policy = super::super::tests::policy();
            let new = new_incident(&AlertId::try_from("a-1").unwrap(), &facts, &policy);
            prop_assert!(!new.title.trim().is_empty());
            prop_assert!(new.title.chars().count() <= TITLE_CHARS);
            prop_assert!(new.details.len() <= DETAILS_BYTES);
        }
    }
}
