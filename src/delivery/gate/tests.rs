//! The gate, under virtual time.

use futures_util::future::join_all;

use super::super::shares::NOTES_STARVE_AFTER;
use super::*;

fn gate(calls_a_minute: u32) -> Arc<Gate> {
    Arc::new(Gate::new(calls_a_minute, Arc::default()))
}

/// One without a call to spare.
fn empty(calls_a_minute: u32) -> Arc<Gate> {
    let gate = gate(calls_a_minute);
    gate.pass_at_once(60).unwrap().calls = 0;
    gate
}

/// Passes with one call for something that was begun, and makes it.
async fn pass(gate: &Arc<Gate>, class: Class) -> Result<(), Paused> {
    gate.pass(class, 1, Duration::ZERO).await.map(|mut passage| passage.spend_one())
}

fn waits(classes: &[Class]) -> Waits {
    let mut waits = Waits::default();
    for class in classes {
        waits[*class as usize] = Some(Duration::ZERO);
    }
    waits
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_at_once_and_then_the_rate_holds() {
    let gate = gate(600);
    let start = Instant::now();
    for _ in 0..60 {
        pass(&gate, Class::Note).await.unwrap();
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    for _ in 0..20 {
        pass(&gate, Class::Note).await.unwrap();
    }
    let elapsed = start.elapsed();
    assert!((1_900..2_200).contains(&elapsed.as_millis()), "{elapsed:?}");
}

#[tokio::test(start_paused = true)]
async fn a_hold_stops_everybody_until_it_is_over() {
    let gate = gate(600);
    gate.hold(Duration::from_secs(30));
    gate.hold(Duration::from_secs(5));
    let start = Instant::now();
    assert!(gate.pass_at_once(1).is_none());
    pass(&gate, Class::Create).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(30));
}

#[tokio::test(start_paused = true)]
async fn a_hold_also_stops_those_who_wait() {
    let gate = empty(60);
    let start = Instant::now();
    let hold = async {
        tokio::time::sleep(Duration::from_millis(500)).await;
        gate.hold(Duration::from_secs(9));
    };
    let (passed, ()) = tokio::join!(pass(&gate, Class::Create), hold);
    passed.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(9_500));
}

#[tokio::test(start_paused = true)]
async fn a_pause_turns_everybody_back_until_it_is_lifted() {
    let gate = empty(1);
    let pause = async {
        assert!(gate.pause("key refused"));
        assert!(!gate.pause("key refused"));
    };
    let (passed, ()) = tokio::join!(pass(&gate, Class::Create), pause);
    assert_eq!(passed, Err(Paused));
    assert_eq!(pass(&gate, Class::Create).await, Err(Paused));
    assert!(gate.pass_at_once(1).is_none());
    gate.resume();
    assert_eq!(pass(&gate, Class::Create).await, Ok(()));
}

/// In which order those get through who come in that order and find no call to spare.
async fn order(classes: &[Class]) -> Vec<Class> {
    let gate = empty(60);
    let order = Mutex::new(Vec::new());
    let all = classes.iter().map(async |class| {
        pass(&gate, *class).await.unwrap();
        order.lock().unwrap().push(*class);
    });
    join_all(all).await;
    order.into_inner().unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_most_urgent_passes_first() {
    use Class::{Create, Note, Reconcile, State};
    let came = [Reconcile, Note, State, Create, Note, Create, Reconcile, State];
    assert_eq!(order(&came).await, [Create, Create, State, State, Note, Note, Reconcile, Reconcile]);
}

#[tokio::test(start_paused = true)]
async fn the_reconciler_passes_once_in_twenty_however_many_go_before_it() {
    let mut came = vec![Class::Reconcile; 3];
    came.extend([Class::Create; 60]);
    let places: Vec<usize> = order(&came)
        .await
        .iter()
        .enumerate()
        .filter(|(_, class)| **class == Class::Reconcile)
        .map(|(place, _)| place)
        .collect();
    assert_eq!(places, [20, 40, 60]);
}

#[tokio::test(start_paused = true)]
async fn a_note_that_waits_for_long_passes_though_others_are_more_urgent() {
    let gate = empty(60);
    let waited = NOTES_STARVE_AFTER.checked_sub(Duration::from_secs(20)).unwrap();
    let start = Instant::now();
    let creates = async {
        while start.elapsed() < Duration::from_secs(60) {
            pass(&gate, Class::Create).await.unwrap();
        }
    };
    let note = async {
        gate.pass(Class::Note, 1, waited).await.unwrap().spend_one();
        start.elapsed()
    };
    let (note, ()) = tokio::join!(note, creates);
    // Twenty seconds until calls are kept for it, and then one in ten.
    assert!((29..=32).contains(&note.as_secs()), "{note:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_begun_goes_before_what_is_to_begin() {
    let gate = empty(60);
    gate.to_begin(&waits(&[Class::State, Class::Note]));
    let order = Mutex::new(Vec::new());
    let begin = async {
        let mut passage = gate.pass_to_begin().await.unwrap();
        passage.spend_one();
        order.lock().unwrap().push(("begin", passage.class.unwrap()));
        gate.to_begin(&waits(&[]));
    };
    let begun = async |class| {
        pass(&gate, class).await.unwrap();
        order.lock().unwrap().push(("begun", class));
    };
    tokio::join!(begin, begun(Class::Note), begun(Class::State));
    let expected = [("begun", Class::State), ("begin", Class::State), ("begun", Class::Note)];
    assert_eq!(*order.lock().unwrap(), expected);
}

#[tokio::test(start_paused = true)]
async fn nobody_slips_through_while_what_is_more_urgent_is_being_begun_with() {
    let gate = gate(60);
    gate.to_begin(&waits(&[Class::Create]));
    let begun = gate.pass_to_begin().await.unwrap();
    let behind = async {
        gate.pass_behind().await.unwrap();
        Instant::now()
    };
    let next = async {
        // One create after the other, each of which takes a while to begin with.
        for _ in 0..8 {
            tokio::time::sleep(Duration::from_secs(1)).await;
            assert_eq!(gate.pass_to_begin().await.unwrap().class, Some(Class::Create));
        }
        gate.to_begin(&waits(&[]));
        Instant::now()
    };
    let (passed, ended) = tokio::join!(behind, next);
    assert_eq!(passed, ended);
    drop(begun);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_used_can_be_used_by_others_at_once() {
    let gate = gate(60);
    let mut paid = gate.pass_at_once(60).unwrap();
    paid.spend_one();
    let start = Instant::now();
    let give_back = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        drop(paid.split_one());
    };
    let (passed, ()) = tokio::join!(pass(&gate, Class::Note), give_back);
    passed.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn whoever_gives_up_waiting_takes_nothing() {
    let gate = empty(60);
    let start = Instant::now();
    let impatient = tokio::time::timeout(Duration::from_millis(500), gate.pass(Class::Create, 30, Duration::ZERO));
    let (given_up, passed) = tokio::join!(impatient, pass(&gate, Class::Note));
    assert!(given_up.is_err());
    passed.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn requests_that_nobody_paid_for_are_paid_for_afterwards() {
    let made: Arc<AtomicU64> = Arc::default();
    let gate = Arc::new(Gate::new(60, Arc::clone(&made)));
    let start = Instant::now();
    // One call that takes three requests.
    pass(&gate, Class::Create).await.unwrap();
    made.fetch_add(3, Ordering::Relaxed);
    for _ in 0..57 {
        pass(&gate, Class::Create).await.unwrap();
        made.fetch_add(1, Ordering::Relaxed);
    }
    assert_eq!(start.elapsed(), Duration::ZERO);
    pass(&gate, Class::Create).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_gate_tells_how_it_stands() {
    let gate = gate(60);
    assert_eq!(gate.standing(), Standing { calls_left: 60.0, held_for: None, paused: None });
    pass(&gate, Class::Note).await.unwrap();
    gate.hold(Duration::from_secs(30));
    assert!(gate.pause("401 no"));
    tokio::time::advance(Duration::from_millis(500)).await;
    let held_for = Some(Duration::from_millis(29_500));
    assert_eq!(gate.standing(), Standing { calls_left: 59.5, held_for, paused: Some("401 no".to_owned()) });
    tokio::time::advance(Duration::from_secs(30)).await;
    gate.resume();
    assert_eq!(gate.standing(), Standing { calls_left: 60.0, held_for: None, paused: None });
}
