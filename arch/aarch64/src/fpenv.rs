//! FPCR and FPSR in terms of the floating-point environment, which has MXCSR's layout.
//!
//! While guest code runs, the environment holds the sticky exception bits; FPSR in the state has those
//! of the last stop. QC is ours alone. Denormal inputs differ: Arm reports those it has flushed (IDC),
//! x86 those it has not, so DE is an IDC only while inputs are flushed.

use crate::state::{FPCR, FPSR, QC};
use guest::state::GuestState;

/// FPCR: default NaN.
pub const DN: u64 = 1 << 25;
/// FPCR: flush to zero.
pub const FZ: u64 = 1 << 24;
/// FPCR: flush to zero in half precision.
pub const FZ16: u64 = 1 << 19;
/// FPCR bits that can be written: AHP, DN, FZ, RMode, FZ16.
pub const FPCR_MASK: u64 = 0x07c8_0000;
/// FPSR.IDC.
const IDC: u64 = 1 << 7;
/// FPSR.QC.
const QC_BIT: u64 = 1 << 27;

/// All exceptions masked.
const MASKS: u32 = 0x1f80;
const DE: u32 = 1 << 1;
const DAZ: u32 = 1 << 6;
const FTZ: u32 = 1 << 15;

/// (MXCSR bit, FPSR bit) of the exceptions that both have.
const STICKY: [(u32, u64); 5] =
    [(1 << 0, 1 << 0), (1 << 2, 1 << 1), (1 << 3, 1 << 2), (1 << 4, 1 << 3), (1 << 5, 1 << 4)];

fn control(fpcr: u64) -> u32 {
    // FPCR counts nearest, up, down, zero; MXCSR nearest, down, up, zero.
    let rounding = match fpcr >> 22 & 3 {
        0 => 0,
        1 => 2,
        2 => 1,
        _ => 3,
    };
    let flush = if fpcr & FZ != 0 { FTZ | DAZ } else { 0 };
    MASKS | rounding << 13 | flush
}

fn sticky_to_fpsr(mxcsr: u32) -> u64 {
    let denormal = if mxcsr & (DE | DAZ) == DE | DAZ { IDC } else { 0 };
    STICKY.iter().filter(|(x, _)| mxcsr & x != 0).fold(denormal, |bits, (_, a)| bits | a)
}

fn sticky_from_fpsr(fpsr: u64, control: u32) -> u32 {
    let denormal = if fpsr & IDC != 0 && control & DAZ != 0 { DE } else { 0 };
    STICKY.iter().filter(|(_, a)| fpsr & a != 0).fold(denormal, |bits, (x, _)| bits | x)
}

/// The environment for these registers.
pub fn environment(fpcr: u64, fpsr: u64) -> u32 {
    let control = control(fpcr);
    control | sticky_from_fpsr(fpsr, control)
}

/// FPSR's exception bits: IDC as kept, the others from the environment.
pub fn merge_fpsr(kept: u64, mxcsr: u32) -> u64 {
    let kept = if mxcsr & DAZ != 0 { 0 } else { kept & IDC };
    kept | sticky_to_fpsr(mxcsr)
}

/// The environment after a write of FPCR.
pub fn with_fpcr(mxcsr: u32, fpcr: u64, kept_fpsr: u64) -> u32 {
    environment(fpcr, merge_fpsr(kept_fpsr, mxcsr))
}

/// FPSR as the guest sees it while no guest code runs.
pub fn fpsr(state: &GuestState) -> u64 {
    let qc = if state.u128(QC) != 0 { QC_BIT } else { 0 };
    state.u64(FPSR) | qc
}

/// Sets FPSR while no guest code runs.
pub fn set_fpsr(state: &mut GuestState, value: u64) {
    state.set_u64(FPSR, value & 0x9f);
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
        assert_eq!(environment(FZ | 3 << 22, 0x1f), 0x7f80 | FTZ | DAZ | 0x3d);
        assert_eq!(merge_fpsr(0, 0x1f80 | 0x3f), 0x1f);
        assert_eq!(merge_fpsr(IDC, 0x1f80), IDC);
    }
}
