//! CPUID, the time stamp counter, random numbers.

use crate::cpu;
use crate::state::{RAX, RBX, RCX, RDX};
use guest::helper::{HelperContext, HelperExit};

/// `CPUID`: the leaf in eax, the subleaf in ecx.
pub(super) fn cpuid(cx: &mut dyn HelperContext, _a: u64, _b: u64, _c: u64) -> Result<u64, HelperExit> {
    let (features, cpu) = (cx.features(), cx.cpu_number());
    let state = cx.state();
    let (leaf, subleaf) = (state.u64(RAX) as u32, state.u64(RCX) as u32);
    let [eax, ebx, ecx, edx] = cpu::cpuid(features, cpu, leaf, subleaf);
    for (slot, value) in [(RAX, eax), (RBX, ebx), (RCX, ecx), (RDX, edx)] {
        state.set_u64(slot, u64::from(value));
    }
    Ok(0)
}

pub(super) fn timestamp(cx: &mut dyn HelperContext, _a: u64, _b: u64, _c: u64) -> Result<u64, HelperExit> {
    Ok(cx.timestamp())
}

pub(super) fn cpu_number(cx: &mut dyn HelperContext, _a: u64, _b: u64, _c: u64) -> Result<u64, HelperExit> {
    Ok(u64::from(cx.cpu_number()))
}

/// `RDRAND`, `RDSEED`: 64 random bits.
pub(super) fn random(cx: &mut dyn HelperContext, _a: u64, _b: u64, _c: u64) -> Result<u64, HelperExit> {
    Ok(cx.random())
}

/// `LAR` (0) or `LSL` (1) of the selector: access rights or limit, and above that whether there is such a segment. It is
/// the descriptor table that Linux gives a 64-bit program.
pub(super) fn describe_segment(
    cx: &mut dyn HelperContext,
    selector: u64,
    what: u64,
    _c: u64,
) -> Result<u64, HelperExit> {
    const FOUND: u64 = 1 << 32;
    const ALL: u64 = 0xffff_ffff;
    let (rights, limit) = match selector >> 2 & 0x3fff {
        // 32-bit code, data, 64-bit code.
        8 => (0x00cf_fb00, ALL),
        10 => (0x00cf_f300, ALL),
        12 => (0x00af_fb00, ALL),
        // Its limit is the processor's number.
        30 => (0x0040_f500, u64::from(cx.cpu_number())),
        _ => return Ok(0),
    };
    Ok(FOUND | if what == 0 { rights } else { limit })
}
