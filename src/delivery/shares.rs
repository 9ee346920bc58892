//! Who goes first when calls are scarce. Pure: how long anybody has waited comes in as an argument.
//!
//! The most urgent class goes first, whoever else waits. So that nothing starves, a share of all calls is kept for each of
//! the others: it earns credit while it waits, and a call is due to it once the credit makes a whole one.

use std::time::Duration;

use crate::engine::Class;

/// How long the longest waiting call of each class has waited, if there is one; in the order of [`Class::ALL`].
pub(super) type Waits = [Option<Duration>; Class::ALL.len()];

/// What a call costs in credit: shares are counted in twentieths.
const CALL: i32 = 20;

/// How long a note waits before calls are kept for it. A storm of 2,000 alerts takes less than three minutes to page at 900
/// calls a minute, so in the storms that are to be expected every page goes before any note.
pub(super) const NOTES_STARVE_AFTER: Duration = Duration::from_secs(300);

/// Calls that are kept for a class.
struct Kept {
    class: Class,
    /// How many of twenty.
    twentieths: i32,
    /// How long it must have waited.
    after: Duration,
}

const KEPT: [Kept; 3] = [
    Kept { class: Class::State, twentieths: 2, after: Duration::ZERO },
    Kept { class: Class::Note, twentieths: 2, after: NOTES_STARVE_AFTER },
    Kept { class: Class::Reconcile, twentieths: 1, after: Duration::ZERO },
];

/// What each class has earned by waiting.
#[derive(Debug, Default)]
pub(super) struct Shares {
    credit: [i32; Class::ALL.len()],
}

impl Shares {
    /// Whose turn it is.
    pub(super) fn next(&self, waits: &Waits) -> Option<Class> {
        let earned = |kept: &&Kept| kept.counts(waits) && self.credit[kept.class as usize] >= CALL;
        KEPT.iter().find(earned).map(|kept| kept.class).or_else(|| most_urgent(waits))
    }

    /// Calls of `class` are made while those others wait, itself included.
    pub(super) fn spend(&mut self, class: Class, calls: u32, waits: &Waits) {
        let calls = i32::try_from(calls).unwrap_or(i32::MAX / CALL);
        for kept in KEPT.iter().filter(|kept| kept.counts(waits)) {
            let credit = &mut self.credit[kept.class as usize];
            // Whoever has waited for long is owed one call at a time, not all at once.
            *credit = credit.saturating_add(kept.twentieths * calls).min(2 * CALL);
        }
        let credit = &mut self.credit[class as usize];
        *credit = if most_urgent(waits) == Some(class) { 0 } else { credit.saturating_sub(CALL * calls) };
    }
}

impl Kept {
    fn counts(&self, waits: &Waits) -> bool {
        waits[self.class as usize].is_some_and(|waited| waited >= self.after)
    }
}

fn most_urgent(waits: &Waits) -> Option<Class> {
    Class::ALL.into_iter().find(|class| waits[*class as usize].is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Option<Duration> = Some(NOTES_STARVE_AFTER);
    const SHORT: Option<Duration> = Some(Duration::from_secs(299));

    /// How many of so many calls each class gets while those wait all the time, and the order of the first twenty.
    fn share(waits: Waits, calls: u32) -> ([u32; 4], String) {
        let mut shares = Shares::default();
        let (mut got, mut order) = ([0; 4], String::new());
        for _ in 0..calls {
            let class = shares.next(&waits).unwrap();
            shares.spend(class, 1, &waits);
            got[class as usize] += 1;
            order.push(['C', 'S', 'N', 'R'][class as usize]);
        }
        order.truncate(20);
        (got, order)
    }

    #[test]
    fn the_most_urgent_goes_first_and_nothing_starves() {
        let rows: [(Waits, [u32; 4], &str); 9] = [
            ([SHORT, None, None, None], [2000, 0, 0, 0], "CCCCCCCCCCCCCCCCCCCC"),
            ([SHORT, None, SHORT, None], [2000, 0, 0, 0], "CCCCCCCCCCCCCCCCCCCC"),
            ([SHORT, None, LONG, None], [1800, 0, 200, 0], "CCCCCCCCCCNCCCCCCCCC"),
            ([SHORT, SHORT, SHORT, SHORT], [1700, 200, 0, 100], "CCCCCCCCCCSCCCCCCCCC"),
            ([SHORT, SHORT, LONG, SHORT], [1500, 200, 200, 100], "CCCCCCCCCCSNCCCCCCCC"),
            ([None, SHORT, LONG, SHORT], [0, 1700, 200, 100], "SSSSSSSSSSNSSSSSSSSS"),
            ([None, None, SHORT, SHORT], [0, 0, 1900, 100], "NNNNNNNNNNNNNNNNNNNN"),
            ([None, None, None, SHORT], [0, 0, 0, 2000], "RRRRRRRRRRRRRRRRRRRR"),
            ([SHORT, None, None, SHORT], [1900, 0, 0, 100], "CCCCCCCCCCCCCCCCCCCC"),
        ];
        for (waits, shares, first) in rows {
            let (got, order) = share(waits, 2000);
            let near = got.iter().zip(shares).all(|(got, share)| got.abs_diff(share) <= 3);
            assert!(near && order == first, "{waits:?}: {got:?} {order}, not {shares:?} {first}");
        }
    }

    #[test]
    fn a_call_that_costs_two_waits_for_twice_as_long() {
        let waits = [SHORT, SHORT, None, None];
        let mut shares = Shares::default();
        let mut spent = [0; 4];
        while spent.iter().sum::<u32>() < 2000 {
            let class = shares.next(&waits).unwrap();
            let calls = if class == Class::State { 2 } else { 1 };
            shares.spend(class, calls, &waits);
            spent[class as usize] += calls;
        }
        assert!(spent[Class::State as usize].abs_diff(200) <= 4, "{spent:?}");
    }

    #[test]
    fn nobody_saves_up_for_more_than_two_calls() {
        let mut shares = Shares::default();
        let waits = [SHORT, SHORT, None, None];
        shares.spend(Class::Create, 1000, &waits);
        let order: Vec<_> = (0..4)
            .map(|_| {
                let class = shares.next(&waits).unwrap();
                shares.spend(class, 1, &waits);
                class
            })
            .collect();
        assert_eq!(order, [Class::State, Class::State, Class::Create, Class::Create]);
    }

    #[test]
    fn whoever_is_served_in_turn_has_earned_nothing() {
        let mut shares = Shares::default();
        shares.spend(Class::Create, 15, &[SHORT, SHORT, None, None]);
        shares.spend(Class::State, 1, &[None, SHORT, None, None]);
        assert_eq!(shares.next(&[SHORT, SHORT, None, None]), Some(Class::Create));
    }

    #[test]
    fn nobody_waits_and_nobody_goes() {
        assert_eq!(Shares::default().next(&[None; 4]), None);
    }
}
