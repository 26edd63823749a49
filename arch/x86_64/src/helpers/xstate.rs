//! The XSAVE area: by instruction and in signal frames (SDM vol. 1, chapter 13).
//!
//! There are three components: x87, the XMM registers, the upper halves of the YMM registers. Only the third
//! lies behind the FXSAVE image, so its place is the same in the compacted form.

use super::fxstate::{
    DEFINED, SSE_PART, X87_PARTS, load_sse, load_x87, mxcsr_of, save_mxcsr, save_sse, save_x87,
};
use crate::cpu::feature;
use crate::state::{
    MXCSR, MXCSR_DEFAULT, MXCSR_MASK, RAX, RCX, RDX, X87_CONTROL_DEFAULT, XCR0, component, st,
};
use guest::helper::{HelperContext, HelperExit};
use guest::state::{GuestState, vector_slot};
use guest::{GuestAddr, Trap};
use std::sync::OnceLock;

type Outcome = Result<u64, HelperExit>;

/// Image, header, YMM halves.
pub(crate) const AREA_SIZE: usize = YMM_AT + 256;
pub(crate) type Area = [u8; AREA_SIZE];

pub(crate) const HEADER_AT: usize = 512;
const YMM_AT: usize = 576;
/// The header's second word: set in compacted areas.
const COMPACTED: u64 = 1 << 63;

/// Which instruction saves, as the lifter passes it.
pub(crate) mod how {
    /// Pointers are 64 bits wide.
    pub const WIDE: u64 = 1;
    /// Components in their initial state are not written.
    pub const OPTIMISED: u64 = 2;
    pub const COMPACT: u64 = 4;
}

/// Size of the area that a processor with these components needs.
pub(crate) fn area_size(components: u64) -> usize {
    if components & component::AVX != 0 { AREA_SIZE } else { YMM_AT }
}

/// The components that are not in their initial state.
pub(crate) fn in_use(state: &GuestState) -> u64 {
    static INITIAL: OnceLock<[u8; DEFINED]> = OnceLock::new();
    let image = |state: &GuestState| {
        let mut image = [0; DEFINED];
        save_x87(state, true, &mut image);
        image
    };
    let initial = INITIAL.get_or_init(|| {
        let mut initial = GuestState::default();
        initialize(&mut initial, component::X87);
        image(&initial)
    });
    let x87 = if image(state) == *initial { 0 } else { component::X87 };
    let any = |offset: u16| (0..16).any(|n| state.u128(vector_slot(n).plus(offset)) != 0);
    let sse = if any(0) { component::SSE } else { 0 };
    x87 | sse | if any(16) { component::AVX } else { 0 }
}

/// Puts components into their initial state.
pub(crate) fn initialize(state: &mut GuestState, components: u64) {
    if components & component::X87 != 0 {
        let mut image = [0; DEFINED];
        image[..2].copy_from_slice(&X87_CONTROL_DEFAULT.to_le_bytes());
        load_x87(state, true, &image);
        for n in 0..8 {
            state.bytes_at_mut(st(n), 10).fill(0);
        }
    }
    for n in 0..16 {
        if components & component::SSE != 0 {
            state.set_u128(vector_slot(n), 0);
        }
        if components & component::AVX != 0 {
            state.set_u128(vector_slot(n).plus(16), 0);
        }
    }
}

/// Puts everything into `area`, as the kernel does for a signal frame.
pub(crate) fn save_area(state: &GuestState, area: &mut Area) {
    save_x87(state, true, area);
    save_sse(state, area);
    save_mxcsr(state.u32(MXCSR), area);
    save_ymm(state, area);
    let header = in_use(state) & state.u64(XCR0) | component::X87 | component::SSE;
    area[HEADER_AT..HEADER_AT + 8].copy_from_slice(&header.to_le_bytes());
}

/// Takes `components` from `area`; the others get their initial state.
pub(crate) fn load_area(state: &mut GuestState, area: &Area, components: u64) {
    initialize(state, component::ALL & !components);
    if components & component::X87 != 0 {
        load_x87(state, true, area);
    }
    if components & component::SSE != 0 {
        load_sse(state, area);
    }
    if components & component::AVX != 0 {
        load_ymm(state, area);
    }
    state.set_u32(MXCSR, mxcsr_of(area) & MXCSR_MASK);
}

fn save_ymm(state: &GuestState, area: &mut Area) {
    for n in 0..16 {
        let at = YMM_AT + 16 * n;
        area[at..at + 16].copy_from_slice(state.bytes_at(vector_slot(n as u16).plus(16), 16));
    }
}

fn load_ymm(state: &mut GuestState, area: &Area) {
    for n in 0..16 {
        let slot = vector_slot(n as u16).plus(16);
        state.bytes_at_mut(slot, 16).copy_from_slice(&area[YMM_AT + 16 * n..][..16]);
    }
}

/// The components that edx:eax asks for.
fn requested(state: &GuestState) -> u64 {
    let mask = state.u64(RAX) & 0xffff_ffff | state.u64(RDX) << 32;
    mask & state.u64(XCR0)
}

fn word(area: &Area, at: usize) -> u64 {
    u64::from_le_bytes(std::array::from_fn(|i| area[at + i]))
}

/// `XGETBV`: XCR0, or which of its components are in use.
pub(super) fn xgetbv(cx: &mut dyn HelperContext, _a: u64, _b: u64, _c: u64) -> Outcome {
    let has_xgetbv1 = cx.features() & feature::XGETBV1 != 0;
    let state = cx.state();
    let enabled = state.u64(XCR0);
    match state.u64(RCX) as u32 {
        0 => Ok(enabled),
        1 if has_xgetbv1 => Ok(in_use(state) & enabled),
        _ => Err(Trap::GeneralProtection.into()),
    }
}

/// `XSAVE`, `XSAVEOPT`, `XSAVEC`
pub(super) fn xsave(cx: &mut dyn HelperContext, addr: u64, mxcsr: u64, how: u64) -> Outcome {
    let wanted = requested(cx.state());
    // An MXCSR of its own makes the SSE component one that is in use.
    let own_mxcsr = if mxcsr as u32 == MXCSR_DEFAULT { 0 } else { component::SSE };
    let used = in_use(cx.state()) | own_mxcsr;
    let mut area: Area = [0; AREA_SIZE];
    // AMD's processors look at the area's start, whatever they store.
    cx.memory().read(GuestAddr(addr), &mut area[..1])?;
    cx.memory().read(GuestAddr(addr).offset(HEADER_AT as i64), &mut area[HEADER_AT..HEADER_AT + 16])?;
    let (old, compact) = (word(&area, HEADER_AT), how & how::COMPACT != 0);
    save_x87(cx.state(), how & how::WIDE != 0, &mut area);
    save_sse(cx.state(), &mut area);
    save_mxcsr(mxcsr as u32, &mut area);
    save_ymm(cx.state(), &mut area);
    let written = if how & (how::OPTIMISED | how::COMPACT) != 0 { wanted & used } else { wanted };
    // MXCSR goes with the SSE component, and in the standard form with AVX's, too (SDM vol. 1, 13.7 and 13.10).
    let with_mxcsr = if compact { component::SSE & written } else { component::SSE | component::AVX };
    write_components(cx, addr, &area, written, wanted & with_mxcsr != 0)?;
    let kept = if compact { 0 } else { old & !wanted };
    let mut header = [kept | wanted & used, wanted | COMPACTED].map(u64::to_le_bytes).concat();
    header.truncate(if compact { 16 } else { 8 });
    cx.memory().write(GuestAddr(addr).offset(HEADER_AT as i64), &header)?;
    Ok(0)
}

fn write_components(
    cx: &mut dyn HelperContext,
    addr: u64,
    area: &Area,
    components: u64,
    mxcsr: bool,
) -> Result<(), HelperExit> {
    let mut parts = Vec::new();
    if components & component::AVX != 0 {
        parts.push(YMM_AT..AREA_SIZE);
    }
    if components & component::X87 != 0 {
        parts.extend(X87_PARTS);
    }
    if components & component::SSE != 0 {
        parts.push(SSE_PART);
    }
    if mxcsr {
        parts.push(super::fxstate::MXCSR_AT..super::fxstate::MXCSR_AT + 8);
    }
    for part in parts {
        cx.memory().write(GuestAddr(addr).offset(part.start as i64), &area[part])?;
    }
    Ok(())
}

/// Whether the header is one of a standard area, with no other components than these.
pub(crate) fn header_is_plain(area: &Area, enabled: u64) -> bool {
    word(area, HEADER_AT) & !enabled == 0 && area[HEADER_AT + 8..HEADER_AT + 24].iter().all(|&byte| byte == 0)
}

/// The same for a compacted area.
fn compacted_header_fits(area: &Area, enabled: u64) -> bool {
    let (present, form) = (word(area, HEADER_AT), word(area, HEADER_AT + 8));
    let reserved = &area[HEADER_AT + 16..YMM_AT];
    form & !COMPACTED & !enabled == 0
        && present & !(enabled & form) == 0
        && reserved.iter().all(|&byte| byte == 0)
}

/// `XRSTOR`: gives the MXCSR to set.
pub(super) fn xrstor(cx: &mut dyn HelperContext, addr: u64, mxcsr: u64, how: u64) -> Outcome {
    let wanted = requested(cx.state());
    let mut area: Area = [0; AREA_SIZE];
    let size = if wanted & component::AVX != 0 { AREA_SIZE } else { YMM_AT };
    cx.memory().read(GuestAddr(addr), &mut area[..size])?;
    let (present, form) = (word(&area, HEADER_AT), word(&area, HEADER_AT + 8));
    let (compact, enabled) = (form & COMPACTED != 0, cx.state().u64(XCR0));
    let fits = if compact { compacted_header_fits(&area, enabled) } else { header_is_plain(&area, enabled) };
    if !fits {
        return Err(Trap::GeneralProtection.into());
    }
    let new_mxcsr = match compact {
        true if wanted & component::SSE == 0 => mxcsr as u32,
        true if present & component::SSE == 0 => MXCSR_DEFAULT,
        false if wanted & (component::SSE | component::AVX) == 0 => mxcsr as u32,
        _ => mxcsr_of(&area),
    };
    if new_mxcsr & !MXCSR_MASK != 0 {
        return Err(Trap::GeneralProtection.into());
    }
    let (state, wide) = (cx.state(), how & how::WIDE != 0);
    initialize(state, wanted & !present);
    if wanted & present & component::X87 != 0 {
        load_x87(state, wide, &area);
    }
    if wanted & present & component::SSE != 0 {
        load_sse(state, &area);
    }
    if wanted & present & component::AVX != 0 {
        load_ymm(state, &area);
    }
    Ok(u64::from(new_mxcsr))
}
