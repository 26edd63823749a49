//! Random numbers, from the one place that `-seed` makes deterministic.

use crate::host::sys;
use std::sync::Mutex;
use std::sync::PoisonError;

static SEEDED: Mutex<Option<u64>> = Mutex::new(None);

/// Makes all random numbers a function of `seed`.
pub fn seed(seed: u64) {
    *SEEDED.lock().unwrap_or_else(PoisonError::into_inner) = Some(seed);
}

/// Keeps the lock while `f` runs: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _seeded = SEEDED.lock().unwrap_or_else(PoisonError::into_inner);
    f()
}

/// A random word: from the seed, or from the kernel.
pub fn word() -> u64 {
    let mut seeded = SEEDED.lock().unwrap_or_else(PoisonError::into_inner);
    match seeded.as_mut() {
        Some(state) => split_mix(state),
        None => from_kernel(),
    }
}

/// SplitMix64 (Steele, Lea, Flood 2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut z = *state;
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

fn from_kernel() -> u64 {
    let mut word = 0u64;
    sys::syscall(libc::SYS_getrandom, [&raw mut word as u64, 8, 0, 0, 0, 0]);
    word
}

/// Whether random numbers follow from a seed.
#[must_use]
pub fn is_seeded() -> bool {
    SEEDED.lock().unwrap_or_else(PoisonError::into_inner).is_some()
}
