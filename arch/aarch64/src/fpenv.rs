//! FPCR and FPSR in terms of the floating-point environment, which has MXCSR's layout.
//!
//! While guest code runs, the environment holds the sticky exception bits; FPSR in the state has those
//! of the last stop. QC is ours alone. The environment's flush bits are x86's and stay clear: what FZ, FZ16 and AHP
//! ask for is computed by [`guest::arm_float`], which raises IDC in a bit that MXCSR does not have.

use crate::state::{FPCR, FPSR, QC};
use guest::state::GuestState;

/// FPCR: default NaN.
pub const DN: u64 = 1 << 25;
/// FPCR: flush to zero.
pub const FZ: u64 = 1 << 24;
/// FPCR: flush to zero in half precision.
pub const FZ16: u64 = 1 << 19;
/// FPCR: the alternative half-precision format.
pub const AHP: u64 = 1 << 26;
/// FPCR bits that can be written: AHP, DN, FZ, RMode, FZ16.
pub const FPCR_MASK: u64 = 0x07c8_0000;
/// FPSR.QC.
const QC_BIT: u64 = 1 << 27;

/// All exceptions masked.
const MASKS: u32 = 0x1f80;

/// (environment bit, FPSR bit) of each exception.
const STICKY: [(u32, u64); 6] = [
    (1 << 0, 1 << 0),
    (1 << 2, 1 << 1),
    (1 << 3, 1 << 2),
    (1 << 4, 1 << 3),
    (1 << 5, 1 << 4),
    (1 << 16, 1 << 7),
];
/// All FPSR bits of exceptions.
pub const FPSR_STICKY: u64 = 0x9f;

fn control(fpcr: u64) -> u32 {
    // FPCR counts nearest, up, down, zero; MXCSR nearest, down, up, zero.
    let rounding = match fpcr >> 22 & 3 {
        0 => 0,
        1 => 2,
        2 => 1,
        _ => 3,
    };
    MASKS | rounding << 13
}

/// The bits of [`guest::arm_float::control`] that FPCR has.
pub const fn arithmetic(fpcr: u64) -> u8 {
    use guest::arm_float::control as bit;
    (if fpcr & DN != 0 { bit::DEFAULT_NAN } else { 0 })
        | (if fpcr & FZ != 0 { bit::FLUSH } else { 0 })
        | (if fpcr & FZ16 != 0 { bit::FLUSH_HALF } else { 0 })
        | (if fpcr & AHP != 0 { bit::ALTERNATIVE_HALF } else { 0 })
}

/// FPSR's exception bits in the environment.
pub fn sticky(environment: u32) -> u64 {
    STICKY.iter().filter(|(x, _)| environment & x != 0).fold(0, |bits, (_, a)| bits | a)
}

/// The environment for these registers.
pub fn environment(fpcr: u64, fpsr: u64) -> u32 {
    STICKY.iter().filter(|(_, a)| fpsr & a != 0).fold(control(fpcr), |bits, (x, _)| bits | x)
}

/// The environment after a write of FPCR.
pub fn with_fpcr(old: u32, fpcr: u64) -> u32 {
    environment(fpcr, sticky(old))
}

/// FPSR as the guest sees it while no guest code runs.
pub fn fpsr(state: &GuestState) -> u64 {
    let qc = if state.u128(QC) != 0 { QC_BIT } else { 0 };
    state.u64(FPSR) | qc
}

/// Sets FPSR while no guest code runs.
pub fn set_fpsr(state: &mut GuestState, value: u64) {
    state.set_u64(FPSR, value & FPSR_STICKY);
    state.set_u128(QC, u128::from(value & QC_BIT));
}

/// Sets FPCR while no guest code runs.
pub fn set_fpcr(state: &mut GuestState, value: u64) {
    state.set_u64(FPCR, value & FPCR_MASK);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rounding_modes_and_flags_map_both_ways() {
        assert_eq!(environment(0, 0), 0x1f80);
        assert_eq!(environment(1 << 22, 0), 0x5f80);
        assert_eq!(environment(FZ | 3 << 22, 0x9f), 0x7f80 | 0x1_003d);
        assert_eq!(sticky(0x1f80 | 0x3f), 0x1f);
        assert_eq!(with_fpcr(0x1_1f81, 1 << 22), 0x1_5f81);
    }
}
