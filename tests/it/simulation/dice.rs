//! Numbers that look random and come of a seed.

/// Dice that fall the same way for the same seed.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed ^ 0x5DEE_CE66_D1CE_5EED)
    }

    pub(super) fn number(&mut self) -> u64 {
        mix(&mut self.0)
    }

    /// From 0 up to `most`, not included.
    pub(super) fn below(&mut self, most: u64) -> u64 {
        self.number() % most.max(1)
    }

    /// From `least` up to `most`, not included.
    pub(super) fn between(&mut self, least: i64, most: i64) -> i64 {
        least + i64::try_from(self.below(u64::try_from(most - least).unwrap_or(1))).unwrap_or(0)
    }

    pub(super) fn one_in(&mut self, many: u64) -> bool {
        self.below(many) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        let at = usize::try_from(self.below(from.len() as u64)).unwrap_or(0);
        from[at].clone()
    }
}

/// One number of a sequence (splitmix64).
fn mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    mixed ^ (mixed >> 31)
}

/// The same number for the same `key`, below `most`.
pub(super) fn hashed(key: u64, most: u64) -> u64 {
    mix(&mut key.wrapping_mul(0xA24B_AED4_963E_E407)) % most.max(1)
}
