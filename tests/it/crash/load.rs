//! What people do meanwhile: drawn from a seed, and put down so that it can be looked for afterwards.

use simulators::opsgenie::{self, AlertStatus, NewAlert};
use simulators::pagerduty;

use crate::harness::{ADA, JANE};

/// How many alerts people work on at once.
const ALERTS: usize = 12;

/// How many commands to Opsgenie may come of what is done to one incident. People at this pace would soon look like a loop: with
/// less than that in one direction, no fuse blows.
const MOST_TO_ALERT: usize = 10;

/// Notes longer than this come trimmed.
pub(super) const TRIMMED_AT: usize = 60;

impl Story {
    /// Whether so much was done to it that people turn to something else.
    fn is_told(&self) -> bool {
        // A change of state also makes a note.
        self.to_alert.len() + 2 * self.incident_states.len() >= MOST_TO_ALERT
    }
}

/// Numbers that one seed always gives in the same order.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        // A state of zero would stay zero.
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `sides`.
    pub(super) fn below(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.below(sides) == 0
    }
}

/// On which side people change the state of an alert and its incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Drives {
    Alert,
    Incident,
    Both,
}

/// What people did to one alert and its incident.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) alert: String,
    pub(super) drives: Drives,
    /// What was written in Opsgenie, in order.
    pub(super) to_incident: Vec<String>,
    /// What was written in PagerDuty, in order.
    pub(super) to_alert: Vec<String>,
    /// What was done to the alert's state, in order, in words.
    pub(super) alert_states: Vec<&'static str>,
    /// What was done to the incident's state, in order, in words.
    pub(super) incident_states: Vec<&'static str>,
}

/// The people.
pub(super) struct Load {
    dice: Dice,
    pub(super) stories: Vec<Story>,
    notes: u64,
}

impl Load {
    pub(super) fn new(seed: u64) -> Self {
        Self { dice: Dice::new(seed), stories: Vec::new(), notes: 0 }
    }

    /// How much was done in all.
    pub(super) fn actions(&self) -> usize {
        let of = |story: &Story| {
            1 + story.to_incident.len() + story.to_alert.len() + story.alert_states.len() + story.incident_states.len()
        };
        self.stories.iter().map(of).sum()
    }

    /// Somebody does something.
    pub(super) fn act(&mut self, opsgenie: &opsgenie::Server, pagerduty: &pagerduty::Server) {
        let open: Vec<usize> = (0..self.stories.len()).filter(|at| !self.stories[*at].is_told()).collect();
        if open.is_empty() || (open.len() < ALERTS && self.dice.one_in(8)) {
            return self.create(opsgenie);
        }
        let at = open[usize::try_from(self.dice.below(open.len() as u64)).unwrap()];
        let incident = incident_of(pagerduty, &self.stories[at].alert);
        match (self.dice.below(10), incident) {
            (0..3, _) => {
                let text = self.text(at, |story| &story.to_incident);
                let story = &mut self.stories[at];
                assert!(opsgenie.model().human_adds_note(&story.alert, JANE, &text));
                story.to_incident.push(text);
            }
            (3..6, Some(incident)) => {
                let text = self.text(at, |story| &story.to_alert);
                pagerduty.model().human_adds_note(&incident, ADA, &text);
                self.stories[at].to_alert.push(text);
            }
            (_, incident) => self.change_state(at, incident.as_deref(), opsgenie, pagerduty),
        }
    }

    fn create(&mut self, opsgenie: &opsgenie::Server) {
        let number = self.stories.len();
        let alert = NewAlert { user: JANE.to_owned(), ..NewAlert::titled(&format!("Alert {number}")) };
        let drives = [Drives::Alert, Drives::Incident, Drives::Both][number % 3];
        let alert = opsgenie.model().human_creates(alert);
        self.stories.push(Story {
            alert,
            drives,
            to_incident: Vec::new(),
            to_alert: Vec::new(),
            alert_states: Vec::new(),
            incident_states: Vec::new(),
        });
    }

    /// A new text; now and then the one before once more, or one that is too long for a webhook.
    fn text(&mut self, at: usize, written: impl Fn(&Story) -> &Vec<String>) -> String {
        if let Some(last) = written(&self.stories[at]).last().cloned()
            && self.dice.one_in(5)
        {
            return last;
        }
        self.notes += 1;
        let more = if self.dice.one_in(6) { " and more".repeat(10) } else { String::new() };
        format!("note {}{more}", self.notes)
    }

    fn change_state(
        &mut self,
        at: usize,
        incident: Option<&str>,
        opsgenie: &opsgenie::Server,
        pagerduty: &pagerduty::Server,
    ) {
        let ends = self.dice.one_in(12);
        let in_alert = match self.stories[at].drives {
            Drives::Alert => true,
            Drives::Incident => false,
            Drives::Both => self.dice.one_in(2),
        };
        let story = &mut self.stories[at];
        let alert = story.alert.as_str();
        if in_alert {
            let mut model = opsgenie.model();
            let now = model.alert(alert).expect("the alert exists");
            if now.status == AlertStatus::Closed {
                return;
            }
            let done = match (ends, now.acknowledged) {
                (true, _) => model.human_closes(alert, JANE, None).then_some("closed the alert"),
                (_, true) => model
                    .human_unacknowledges(alert, JANE)
                    .then_some("let go of the alert: it is not acknowledged any more"),
                (_, false) => model.human_acknowledges(alert, JANE).then_some("acknowledged the alert"),
            };
            story.alert_states.extend(done);
        } else if let Some(incident) = incident {
            let mut model = pagerduty.model();
            let done = if ends {
                model.human_resolves(incident, ADA, None).then_some("resolved the incident")
            } else if model.human_unacknowledges(incident, ADA) {
                Some("let go of the incident: it is not acknowledged any more")
            } else {
                model.human_acknowledges(incident, ADA).then_some("acknowledged the incident")
            };
            story.incident_states.extend(done);
        }
    }
}

/// The first incident that was made for the alert.
pub(super) fn incident_of(pagerduty: &pagerduty::Server, alert: &str) -> Option<String> {
    let model = pagerduty.model();
    model.incident_by_key(&format!("opsgenie:{alert}")).first().map(|incident| incident.id.clone())
}
