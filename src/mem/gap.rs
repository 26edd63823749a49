//! Finding room: where a mapping without an address goes.
//!
//! The kernel's own choice is randomised and knows nothing of the range that is ours, so places are
//! chosen here: top-down from below the stack, as an unrandomised kernel does, and the same in every run.

use super::mapping::Table;

/// The highest gap of `len` bytes below `top` and not below `bottom`.
#[must_use]
pub fn highest(table: &Table, len: u64, bottom: u64, top: u64, reserved: &[(u64, u64)]) -> Option<u64> {
    let mut ceiling = top;
    let mut taken: Vec<(u64, u64)> = table.iter().map(|(start, m)| (start, m.end)).collect();
    taken.extend_from_slice(reserved);
    taken.sort_unstable();
    for &(start, end) in taken.iter().rev() {
        if end <= ceiling && ceiling - end >= len && ceiling - len >= bottom {
            return Some(ceiling - len);
        }
        ceiling = ceiling.min(start);
        if ceiling < bottom.saturating_add(len) {
            return None;
        }
    }
    (ceiling >= bottom.saturating_add(len)).then(|| ceiling - len)
}

/// The lowest gap of `len` bytes at or above `bottom` (for `MAP_32BIT`).
#[must_use]
pub fn lowest(table: &Table, len: u64, bottom: u64, top: u64) -> Option<u64> {
    let mut floor = bottom;
    for (start, mapping) in table.iter() {
        if mapping.end <= floor {
            continue;
        }
        if start >= floor && start - floor >= len {
            break;
        }
        floor = floor.max(mapping.end);
    }
    (floor.saturating_add(len) <= top).then_some(floor)
}
