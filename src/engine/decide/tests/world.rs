//! A small world: an alert, an incident, people at both, and our commands between them, in an order drawn from a seed.
//! Webhooks come in order, but any amount of time after commands are sent and answered.

use std::collections::VecDeque;

use super::super::super::outbox::steps::{self, Next};
use super::*;

/// Draws numbers from a seed; the same seed draws the same ones.
struct Draw(u64);

impl Draw {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ (mixed >> 31)) % most
    }
}

/// One of the two vendors: where its side stands, what it has yet to tell us, and our commands to it.
struct Vendor {
    status: Status,
    changed_at: i64,
    webhooks: VecDeque<Event>,
    lane: VecDeque<Command>,
    /// Whether the state was read for the first command of the lane, so that the write follows, whatever happens meanwhile.
    looked: bool,
    /// How the first command of the lane ended, once it was sent, and when that was.
    answer: Option<(Outcome, Timestamp)>,
}

struct World {
    pair: Pair,
    draw: Draw,
    now: i64,
    vendors: [Vendor; 2],
    /// Whether the last that jane did to the incident's state was to resolve it.
    resolved_by_jane: bool,
    notes: u32,
    log: Vec<String>,
}

/// How patient people are.
#[derive(Clone, Copy, PartialEq)]
enum People {
    /// They do whatever, whenever.
    Hasty,
    /// They let what somebody else did come through before they do something else; echoes and answers may still come.
    Patient,
    /// They act only when nothing at all is under way.
    Calm,
}

const SYSTEMS: [System; 2] = [System::Opsgenie, System::PagerDuty];

impl World {
    fn new(seed: u64, change: impl FnOnce(&mut Policy)) -> Self {
        let vendor = || Vendor {
            status: Status::Open,
            changed_at: 0,
            webhooks: VecDeque::new(),
            lane: VecDeque::new(),
            looked: false,
            answer: None,
        };
        let pair = Pair::open().with_policy(change);
        let vendors = [vendor(), vendor()];
        Self { pair, draw: Draw(seed), now: 10_000, vendors, resolved_by_jane: false, notes: 0, log: Vec::new() }
    }

    /// Whether somebody resolves the incident between our reading of it and our write.
    fn interrupts(&mut self) -> bool {
        let between = self.vendors[1].looked && self.vendors[1].status != Status::Resolved;
        between && self.draw.below(3) == 0
    }

    fn our_clock(&self) -> Timestamp {
        Timestamp::from_millis(second(0).as_millis() + self.now)
    }

    /// A person changes a state.
    fn person_sets(&mut self, system: System, to: Status) {
        let from = self.at(system).status;
        self.log.push(format!("{} jane {system} {from} -> {to}", self.now));
        if system == System::PagerDuty {
            self.resolved_by_jane = to == Status::Resolved;
        }
        self.changed(system, from, to, "jane");
    }

    fn at(&mut self, system: System) -> &mut Vendor {
        &mut self.vendors[usize::from(system == System::PagerDuty)]
    }

    /// The webhook of a changed state.
    fn changed(&mut self, system: System, from: Status, to: Status, who: &str) {
        let event = match (system, to) {
            (System::Opsgenie, Status::Open) => unack(),
            (System::Opsgenie, Status::Acknowledged) => ack(),
            (System::Opsgenie, Status::Resolved) => close(),
            (System::PagerDuty, Status::Open) if from == Status::Resolved => incident_event(IncidentChange::Reopened),
            (System::PagerDuty, Status::Open) => incident_event(IncidentChange::Unacknowledged),
            (System::PagerDuty, Status::Acknowledged) => incident_event(IncidentChange::Acknowledged),
            (System::PagerDuty, Status::Resolved) => incident_event(IncidentChange::Resolved),
        };
        let (event, now) = (event.by(who).at_ms(self.now), self.now);
        let vendor = self.at(system);
        (vendor.status, vendor.changed_at) = (to, now);
        vendor.webhooks.push_back(event);
    }

    fn noted(&mut self, system: System, text: &str, who: &str) -> Option<String> {
        self.notes += 1;
        let id = format!("N{}", self.notes);
        let event = match system {
            System::Opsgenie => add_note(text),
            System::PagerDuty => annotated(&id, text),
        };
        let event = event.by(who).at_ms(self.now);
        self.at(system).webhooks.push_back(event);
        (system == System::PagerDuty).then_some(id)
    }

    /// A person does something that can be done; says whether they did.
    fn person_acts(&mut self) -> bool {
        let system = SYSTEMS[usize::from(self.draw.below(2) == 1)];
        let status = self.at(system).status;
        let to = match (self.draw.below(8), status) {
            (0, _) => {
                let text = format!("words {}", self.draw.below(3));
                self.noted(system, &text, "jane");
                self.log.push(format!("{} jane notes in {system}", self.now));
                return true;
            }
            (1, Status::Open | Status::Acknowledged) => Status::Resolved,
            (2, Status::Resolved) if system == System::PagerDuty => Status::Open,
            (_, Status::Open) => Status::Acknowledged,
            (_, Status::Acknowledged) => Status::Open,
            (_, Status::Resolved) => return false,
        };
        self.person_sets(system, to);
        true
    }

    /// One of our commands reaches its vendor, which tells of it by a webhook now and by its answer later.
    fn send(&mut self, system: System) {
        let vendor = self.at(system);
        let (None, Some(command)) = (&vendor.answer, vendor.lane.front().cloned()) else { return };
        let status = vendor.status;
        let entry = Entry::new(1, self.pair.link().alert.clone(), command.clone(), Timestamp::from_millis(0));
        if let Next::Done(outcome) = steps::next(&entry, self.pair.link(), Timestamp::from_millis(0)) {
            self.at(system).answer = Some((outcome, Timestamp::from_millis(i64::MAX)));
            return;
        }
        if let Action::SetStatus { status: wanted, .. } = command.action
            && system == System::PagerDuty
            && ![wanted, Status::Resolved].contains(&status)
            && !std::mem::replace(&mut self.at(system).looked, true)
        {
            return;
        }
        let looked = std::mem::take(&mut self.at(system).looked);
        self.log.push(format!("{} sent {}", self.now, line(&command)));
        let answer = match command.action.clone() {
            Action::SetStatus { status: wanted, .. } if status == Status::Resolved && wanted != Status::Resolved => {
                match system {
                    // Taken, and without effect.
                    System::Opsgenie => self.in_state(system, wanted),
                    // It was resolved after it was read: PagerDuty reopens it. Nobody could verify which events tell of it.
                    System::PagerDuty if looked && self.draw.below(3) > 0 => {
                        if self.draw.below(2) == 0 {
                            self.changed(system, status, Status::Open, "us");
                        }
                        if wanted == Status::Acknowledged || self.at(system).status == Status::Resolved {
                            self.changed(system, Status::Acknowledged, wanted, "us");
                        }
                        self.in_state(system, wanted)
                    }
                    System::PagerDuty => Outcome::Superseded { at: None },
                }
            }
            Action::SetStatus { status: wanted, .. } => {
                if status != wanted {
                    self.changed(system, status, wanted, "us");
                }
                self.in_state(system, wanted)
            }
            Action::Note { text, .. } => {
                let id = self.noted(system, &text, "us");
                Outcome::Noted { id, author: None }
            }
            Action::FetchIncident => {
                let at = Timestamp::from_millis(second(0).as_millis() + self.vendors[1].changed_at / 1000 * 1000);
                let id = incident_id("Q1");
                Outcome::FetchedIncident(Some(IncidentState {
                    id,
                    status,
                    at: Some(at),
                    by: Actor::nobody(),
                    merged_into: None,
                }))
            }
            Action::Create(_)
            | Action::UpdatePriority { .. }
            | Action::FetchAlert
            | Action::FetchNote { .. }
            | Action::EndMerged { .. } => {
                panic!("{}", line(&command))
            }
        };
        let sent_at = self.our_clock();
        self.at(system).answer = Some((answer, sent_at));
    }

    /// Opsgenie tells the time of processing, and PagerDuty the second of the last change.
    fn in_state(&self, system: System, status: Status) -> Outcome {
        let at = match system {
            System::Opsgenie => self.now,
            System::PagerDuty => self.now / 1000 * 1000,
        };
        Outcome::InState { status, at: Some(Timestamp::from_millis(second(0).as_millis() + at)) }
    }

    fn answer(&mut self, system: System) {
        let Some((outcome, sent_at)) = self.at(system).answer.take() else { return };
        let command = self.at(system).lane.pop_front().unwrap();
        let seen = self.pair.end_at(command, Step::Sending { sent_at }, outcome, self.our_clock());
        self.decided("answer", system, seen);
    }

    fn deliver(&mut self, system: System) {
        let Some(mut event) = self.at(system).webhooks.pop_front() else { return };
        event.received_at = self.our_clock();
        let seen = self.pair.hear(event);
        self.decided("webhook", system, seen);
    }

    fn decided(&mut self, what: &str, system: System, seen: (Reason, Vec<String>)) {
        self.log.push(format!("{} {what} of {system}: {seen:?}", self.now));
        for command in std::mem::take(&mut self.pair.outstanding) {
            self.at(command.to).lane.push_back(command);
        }
    }

    fn quiet(&self) -> bool {
        self.vendors.iter().all(|v| v.webhooks.is_empty() && v.lane.is_empty())
    }

    /// Whether what people did to a state has reached the other side.
    fn through(&self) -> bool {
        let ours = |event: &Event| event.actor.name.as_deref().is_none_or(|name| name != "jane");
        let sent = |vendor: &Vendor| {
            let unsent = vendor.lane.iter().skip(usize::from(vendor.answer.is_some()));
            unsent.into_iter().all(|command| !matches!(command.action, Action::SetStatus { .. }))
        };
        self.vendors.iter().all(|v| v.webhooks.iter().all(ours) && sent(v))
    }

    /// Lets people do `actions` things; says how many commands came of them, once all is quiet.
    fn run(&mut self, people: People, actions: u32) -> usize {
        let (mut done, mut steps) = (0, 0);
        while done < actions || !self.quiet() {
            steps += 1;
            assert!(steps < 20_000, "it never ends:\n{}", self.log[self.log.len() - 60..].join("\n"));
            self.now += i64::try_from(self.draw.below(700)).unwrap();
            let system = SYSTEMS[usize::from(self.draw.below(2) == 1)];
            let may_act = match people {
                People::Hasty => true,
                People::Patient => self.through(),
                People::Calm => self.quiet(),
            };
            // Now and then somebody resolves it between our reading and our write.
            if people == People::Hasty && self.interrupts() {
                self.person_sets(System::PagerDuty, Status::Resolved);
            }
            // Events about something else mention the state as well.
            if people == People::Hasty && done < actions && self.draw.below(4) == 0 {
                let status = self.vendors[1].status;
                let mention = incident_event(IncidentChange::Other("incident.priority_updated".into()));
                self.vendors[1].webhooks.push_back(mention.standing(status).by("jane").at_ms(self.now));
            }
            match self.draw.below(4) {
                0 if may_act && done < actions => done += u32::from(self.person_acts()),
                0 | 1 => self.deliver(system),
                2 => self.send(system),
                _ => self.answer(system),
            }
            // With both over, nothing can be done but to write notes.
            if people == People::Calm && self.quiet() {
                self.expect_in_step();
            }
        }
        let lines = |what: &str| self.log.iter().filter(|line| line.contains(what)).count();
        let passed_on = |line: &&String| line.contains(" sent ") && line.contains(" jane: words");
        let passed_on = self.log.iter().filter(passed_on).count();
        assert_eq!(lines("jane notes in"), passed_on, "{}", self.log.join("\n"));
        lines(" sent ")
    }

    fn expect_in_step(&self) {
        let [opsgenie, pagerduty] = [self.vendors[0].status, self.vendors[1].status];
        let log = || format!("{opsgenie} and {pagerduty}, after\n{}", self.log.join("\n"));
        assert_eq!(self.pair.known(), (Some(opsgenie), Some(pagerduty)), "{}", log());
        // A resolved incident leaves its alert open, and nothing reopens a closed alert.
        let apart = opsgenie == Status::Resolved || pagerduty == Status::Resolved;
        assert!(apart || opsgenie == pagerduty, "{}", log());
        let closes = self.pair.policy.on_pagerduty_resolved == OnResolved::Close;
        assert!(!closes || pagerduty != Status::Resolved || opsgenie == Status::Resolved, "{}", log());
        assert!(!self.resolved_by_jane || pagerduty == Status::Resolved, "{}", log());
        let link = self.pair.link();
        assert_eq!((link.opsgenie.commanded, link.pagerduty.commanded), (None, None), "{}", log());
        assert!(link.written.iter().all(|note| note.done && note.echoed), "{}", log());
    }
}

const SEEDS: u64 = 1_000;
const ACTIONS: u32 = 12;

#[test]
fn whatever_people_do_it_ends_and_each_thing_costs_three_commands_at_most() {
    for seed in 0..SEEDS {
        for on_resolved in [OnResolved::Note, OnResolved::Close] {
            let mut world = World::new(seed, |policy| policy.on_pagerduty_resolved = on_resolved);
            let sent = world.run(People::Hasty, ACTIONS);
            assert!(sent <= 3 * ACTIONS as usize, "seed {seed}: {sent} commands\n{}", world.log.join("\n"));
            world.expect_in_step();
        }
    }
}

#[test]
fn patient_people_find_both_sides_in_step() {
    for seed in 0..SEEDS {
        for on_resolved in [OnResolved::Note, OnResolved::Close] {
            let mut world = World::new(seed, |policy| policy.on_pagerduty_resolved = on_resolved);
            world.run(People::Patient, ACTIONS);
            world.expect_in_step();
        }
    }
}

fn misname_in_pagerduty(policy: &mut Policy) {
    policy.identity.pagerduty_ids.clear();
    policy.identity.pagerduty_name = "Somebody Else".into();
}

fn misname_in_opsgenie(policy: &mut Policy) {
    policy.identity.opsgenie_user = "somebody-else".into();
}

#[test]
fn misnamed_in_one_system_it_still_ends() {
    for seed in 0..SEEDS {
        for misname in [misname_in_pagerduty, misname_in_opsgenie] {
            let mut world = World::new(seed, misname);
            let sent = world.run(People::Hasty, ACTIONS);
            assert!(sent <= 6 * ACTIONS as usize, "seed {seed}: {sent} commands\n{}", world.log.join("\n"));
        }
    }
}

#[test]
fn misnamed_in_both_systems_calm_people_see_no_difference() {
    for seed in 0..SEEDS {
        let mut world = World::new(seed, |policy| {
            misname_in_pagerduty(policy);
            misname_in_opsgenie(policy);
        });
        let sent = world.run(People::Calm, ACTIONS);
        assert!(sent <= 3 * ACTIONS as usize, "seed {seed}: {sent} commands\n{}", world.log.join("\n"));
    }
}
