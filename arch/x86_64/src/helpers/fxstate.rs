//! The FXSAVE image: by instruction and in signal frames (SDM vol. 1, section 10.5).

use crate::state::{MXCSR_MASK, X87_CONTROL, X87_FDP, X87_FIP, X87_FOP, X87_STATUS, X87_TAGS, st};
use guest::helper::{HelperContext, HelperExit};
use guest::state::{GuestState, Slot, vector_slot};
use guest::{GuestAddr, Trap};

/// The 512 bytes.
pub(crate) type FxImage = [u8; 512];

const MXCSR_AT: usize = 24;
const ST_AT: usize = 32;
const XMM_AT: usize = 160;
/// Bytes that FXSAVE writes and FXRSTOR reads; the rest belongs to software.
const DEFINED: usize = 416;

/// Puts the x87 and SSE state into `image`; what lies behind stays.
pub(crate) fn save_image(state: &GuestState, mxcsr: u32, wide: bool, image: &mut FxImage) {
    image[..2].copy_from_slice(&state.u16(X87_CONTROL).to_le_bytes());
    image[2..4].copy_from_slice(&state.u16(X87_STATUS).to_le_bytes());
    image[4] = state.u8(X87_TAGS);
    image[5] = 0;
    image[6..8].copy_from_slice(&state.u16(X87_FOP).to_le_bytes());
    let pointer_mask = if wide { u64::MAX } else { u32::MAX.into() };
    image[8..16].copy_from_slice(&(state.u64(X87_FIP) & pointer_mask).to_le_bytes());
    image[16..24].copy_from_slice(&(state.u64(X87_FDP) & pointer_mask).to_le_bytes());
    image[MXCSR_AT..][..4].copy_from_slice(&mxcsr.to_le_bytes());
    image[MXCSR_AT + 4..][..4].copy_from_slice(&MXCSR_MASK.to_le_bytes());
    for n in 0..8 {
        let at = ST_AT + 16 * n;
        image[at..at + 10].copy_from_slice(state.bytes_at(st(n as u16), 10));
        image[at + 10..at + 16].fill(0);
    }
    for n in 0..16 {
        let at = XMM_AT + 16 * n;
        image[at..at + 16].copy_from_slice(state.bytes_at(vector_slot(n as u16), 16));
    }
}

/// Takes the state back from `image`; gives its MXCSR.
pub(crate) fn load_image(state: &mut GuestState, image: &FxImage, wide: bool) -> u32 {
    let u16_at = |at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
    let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| image[at + i]));
    let pointer_mask = if wide { u64::MAX } else { u32::MAX.into() };
    state.set_u16(X87_CONTROL, u16_at(0));
    state.set_u16(X87_STATUS, u16_at(2));
    state.set_u8(X87_TAGS, image[4]);
    state.set_u16(X87_FOP, u16_at(6) & 0x7ff);
    state.set_u64(X87_FIP, u64_at(8) & pointer_mask);
    state.set_u64(X87_FDP, u64_at(16) & pointer_mask);
    for n in 0..8 {
        let slot = st(n as u16);
        state.bytes_at_mut(slot, 10).copy_from_slice(&image[ST_AT + 16 * n..][..10]);
    }
    for n in 0..16 {
        let slot = vector_slot(n as u16);
        state.bytes_at_mut(slot, 16).copy_from_slice(&image[XMM_AT + 16 * n..][..16]);
    }
    u64_at(MXCSR_AT) as u32
}

/// The full tag word: valid (0), zero (1), special (2) or empty (3), by physical register.
pub(crate) fn full_tags(state: &GuestState) -> u16 {
    let top = state.u16(X87_STATUS) >> 11 & 7;
    (0..8).fold(0, |tags, physical: u16| {
        let tag = if state.u8(X87_TAGS) >> physical & 1 == 0 {
            3
        } else {
            value_tag(state, st(physical.wrapping_sub(top) & 7))
        };
        tags | tag << (2 * physical)
    })
}

fn value_tag(state: &GuestState, slot: Slot) -> u16 {
    let (significand, exponent) = (state.u64(slot), state.u16(slot.plus(8)) & 0x7fff);
    match (exponent, significand) {
        (0, 0) => 1,
        (0 | 0x7fff, _) => 2,
        (_, significand) if significand >> 63 == 0 => 2,
        _ => 0,
    }
}

/// `FXSAVE`, `FXSAVE64`
pub(super) fn fxsave(
    cx: &mut dyn HelperContext,
    addr: u64,
    mxcsr: u64,
    wide: u64,
) -> Result<u64, HelperExit> {
    let mut image = [0; 512];
    save_image(cx.state(), mxcsr as u32, wide != 0, &mut image);
    cx.memory().write(GuestAddr(addr), &image[..DEFINED])?;
    Ok(0)
}

/// `FXRSTOR`, `FXRSTOR64`: gives the MXCSR to set.
pub(super) fn fxrstor(cx: &mut dyn HelperContext, addr: u64, _b: u64, wide: u64) -> Result<u64, HelperExit> {
    let mut image = [0; 512];
    cx.memory().read(GuestAddr(addr), &mut image[..DEFINED])?;
    let mxcsr = u32::from_le_bytes(std::array::from_fn(|i| image[MXCSR_AT + i]));
    if mxcsr & !MXCSR_MASK != 0 {
        return Err(Trap::GeneralProtection.into());
    }
    Ok(u64::from(load_image(cx.state(), &image, wide != 0)))
}
