//! The FXSAVE image, which is also the start of an XSAVE area (SDM vol. 1, section 10.5).

use super::write_whole;
use super::x87_unit::{control_word, status_word};
use crate::state::{MXCSR_MASK, X87_CONTROL, X87_FDP, X87_FIP, X87_FOP, X87_STATUS, X87_TAGS, st};
use guest::helper::{HelperContext, HelperExit};
use guest::state::{GuestState, Slot, vector_slot};
use guest::{GuestAddr, Trap};

/// The 512 bytes.
pub(crate) type FxImage = [u8; 512];

pub(super) const MXCSR_AT: usize = 24;
const ST_AT: usize = 32;
const XMM_AT: usize = 160;
/// Bytes that FXSAVE writes and FXRSTOR takes; the rest of the area's 512 belongs to software.
pub(super) const DEFINED: usize = 416;
/// Offset of the area's end.
const LAST_BYTE: u64 = 511;
/// The parts of the image that hold x87 state.
pub(super) const X87_PARTS: [std::ops::Range<usize>; 2] = [0..MXCSR_AT, ST_AT..XMM_AT];
/// The part that holds the XMM registers.
pub(super) const SSE_PART: std::ops::Range<usize> = XMM_AT..DEFINED;

/// Puts the x87 state into `image`.
pub(super) fn save_x87(state: &GuestState, wide: bool, image: &mut [u8]) {
    image[..2].copy_from_slice(&state.u16(X87_CONTROL).to_le_bytes());
    image[2..4].copy_from_slice(&state.u16(X87_STATUS).to_le_bytes());
    image[4] = state.u8(X87_TAGS);
    image[5] = 0;
    image[6..8].copy_from_slice(&state.u16(X87_FOP).to_le_bytes());
    let pointer_mask = if wide { u64::MAX } else { u32::MAX.into() };
    image[8..16].copy_from_slice(&(state.u64(X87_FIP) & pointer_mask).to_le_bytes());
    image[16..24].copy_from_slice(&(state.u64(X87_FDP) & pointer_mask).to_le_bytes());
    for n in 0..8 {
        let at = ST_AT + 16 * n;
        image[at..at + 10].copy_from_slice(state.bytes_at(st(n as u16), 10));
        image[at + 10..at + 16].fill(0);
    }
}

/// Puts the XMM registers into `image`.
pub(super) fn save_sse(state: &GuestState, image: &mut [u8]) {
    for n in 0..16 {
        let at = XMM_AT + 16 * n;
        image[at..at + 16].copy_from_slice(state.bytes_at(vector_slot(n as u16), 16));
    }
}

/// Puts MXCSR and the bits that it has into `image`.
pub(super) fn save_mxcsr(mxcsr: u32, image: &mut [u8]) {
    image[MXCSR_AT..][..4].copy_from_slice(&mxcsr.to_le_bytes());
    image[MXCSR_AT + 4..][..4].copy_from_slice(&MXCSR_MASK.to_le_bytes());
}

/// Takes the x87 state from `image`.
pub(super) fn load_x87(state: &mut GuestState, wide: bool, image: &[u8]) {
    let u16_at = |at: usize| u16::from_le_bytes([image[at], image[at + 1]]);
    let u64_at = |at: usize| u64::from_le_bytes(std::array::from_fn(|i| image[at + i]));
    let pointer_mask = if wide { u64::MAX } else { u32::MAX.into() };
    let control = control_word(u16_at(0));
    state.set_u16(X87_CONTROL, control);
    state.set_u16(X87_STATUS, status_word(u16_at(2), control));
    state.set_u8(X87_TAGS, image[4]);
    state.set_u16(X87_FOP, u16_at(6) & 0x7ff);
    state.set_u64(X87_FIP, u64_at(8) & pointer_mask);
    state.set_u64(X87_FDP, u64_at(16) & pointer_mask);
    for n in 0..8 {
        let slot = st(n as u16);
        state.bytes_at_mut(slot, 10).copy_from_slice(&image[ST_AT + 16 * n..][..10]);
    }
}

/// Takes the XMM registers from `image`.
pub(super) fn load_sse(state: &mut GuestState, image: &[u8]) {
    for n in 0..16 {
        let slot = vector_slot(n as u16);
        state.bytes_at_mut(slot, 16).copy_from_slice(&image[XMM_AT + 16 * n..][..16]);
    }
}

/// The image's MXCSR.
pub(crate) fn mxcsr_of(image: &[u8]) -> u32 {
    u32::from_le_bytes(std::array::from_fn(|i| image[MXCSR_AT + i]))
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
    let mut image: FxImage = [0; 512];
    save_x87(cx.state(), wide != 0, &mut image);
    save_sse(cx.state(), &mut image);
    save_mxcsr(mxcsr as u32, &mut image);
    // The area is accessed whole, its end first, although nothing is written there.
    cx.probe_write(GuestAddr(addr.wrapping_add(LAST_BYTE)), 1)?;
    write_whole(cx, addr, &image[..DEFINED])?;
    Ok(0)
}

/// `FXRSTOR`, `FXRSTOR64`: gives the MXCSR to set.
pub(super) fn fxrstor(cx: &mut dyn HelperContext, addr: u64, _b: u64, wide: u64) -> Result<u64, HelperExit> {
    let mut image: FxImage = [0; 512];
    cx.memory().read(GuestAddr(addr.wrapping_add(LAST_BYTE)), &mut [0])?;
    cx.memory().read(GuestAddr(addr), &mut image[..DEFINED])?;
    let mxcsr = mxcsr_of(&image);
    if mxcsr & !MXCSR_MASK != 0 {
        return Err(Trap::GeneralProtection.into());
    }
    load_x87(cx.state(), wide != 0, &image);
    load_sse(cx.state(), &image);
    Ok(u64::from(mxcsr))
}
