//! Memory copy and set (FEAT_MOPS): the work of the main instructions, in pieces.
//!
//! Of the two conventions that the manual leaves to the implementation this is option B, which PSTATE.C
//! shows: the address registers move with the work and the size register counts what is left. Whatever
//! stops a piece, a fault or a signal, the registers say how to go on.
//!
//! How much is done by which of the three instructions is the implementation's choice as well. Here the prologue does
//! all, unless something stops it: most copies are of a few bytes, and one call for three instructions is what they cost.

use crate::state::x;
use guest::GuestAddr;
use guest::helper::{HelperContext, HelperExit};
use guest::ir::flag;
use guest::ir::flags::FlagRecord;

/// Bytes moved at once.
const PIECE: u64 = 4096;
/// Pieces before signals are looked at again.
const PIECES: u64 = 256;
/// Most copies and fills fit in so many bytes, and most of the others in so many: less is cleared for them.
const SMALL: usize = 64;
const MEDIUM: usize = 512;

/// Sizes that are larger count as this (`MaxBlockSizeCopiedBytes` in the manual's prologues).
const MAX_COPY: u64 = 0x007f_ffff_ffff_ffff;
const MAX_FORWARD: u64 = 0x7fff_ffff_ffff_ffff;

/// The register numbers in bits 4:0 (Xd), 9:5 (Xn), 14:10 (Xs) of the helpers' first argument.
#[derive(Clone, Copy)]
struct Registers {
    d: u16,
    n: u16,
    s: u16,
}

impl Registers {
    fn of(packed: u64) -> Self {
        let number = |at: u32| (packed >> at & 31) as u16;
        Self { d: number(0), n: number(5), s: number(10) }
    }
}

/// An address without its ignored top byte.
const fn untagged(address: u64) -> GuestAddr {
    GuestAddr(((address << 8) as i64 >> 8) as u64)
}

/// `SETP`: says the option, bounds the size, and sets what can be set; gives how much is left.
pub fn set_prologue(cx: &mut dyn HelperContext, packed: u64, value: u64, _: u64) -> Result<u64, HelperExit> {
    let (regs, state) = (Registers::of(packed), cx.state());
    let size = state.u64(x(regs.n)).min(MAX_FORWARD);
    state.set_u64(x(regs.n), size);
    FlagRecord::packed(flag::C).store(state);
    // A fault is the main instruction's to report.
    Ok(set_main(cx, packed, value, 0).unwrap_or_else(|_| cx.state().u64(x(regs.n))))
}

/// `SETM`, `SETE`: what is left.
pub fn set_main(cx: &mut dyn HelperContext, packed: u64, value: u64, _: u64) -> Result<u64, HelperExit> {
    let regs = Registers::of(packed);
    match cx.state().u64(x(regs.n)) {
        0 => Ok(0),
        left if left <= SMALL as u64 => set_with::<SMALL>(cx, regs, value as u8),
        left if left <= MEDIUM as u64 => set_with::<MEDIUM>(cx, regs, value as u8),
        _ => set_with::<{ PIECE as usize }>(cx, regs, value as u8),
    }
}

/// Sets through so many bytes at a time.
fn set_with<const N: usize>(
    cx: &mut dyn HelperContext,
    regs: Registers,
    value: u8,
) -> Result<u64, HelperExit> {
    let bytes = [value; N];
    for _ in 0..PIECES {
        let (at, left) = (cx.state().u64(x(regs.d)), cx.state().u64(x(regs.n)));
        let len = piece(at, left, Direction::Up);
        if len == 0 {
            return Ok(0);
        }
        cx.memory().write(untagged(at), &bytes[..len as usize])?;
        let state = cx.state();
        state.set_u64(x(regs.d), at.wrapping_add(len));
        state.set_u64(x(regs.n), left - len);
        if left == len {
            return Ok(0);
        }
    }
    Ok(cx.state().u64(x(regs.n)))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Up,
    Down,
}

/// As much of `left` as ends at the next page's border.
const fn piece(at: u64, left: u64, direction: Direction) -> u64 {
    let room = match direction {
        Direction::Up => PIECE - at % PIECE,
        Direction::Down if at.is_multiple_of(PIECE) => PIECE,
        Direction::Down => at % PIECE,
    };
    if left < room { left } else { room }
}

/// `CPYP`, and with the second argument 1 `CPYFP`: says the direction by N, and copies what can be copied; gives how
/// much is left.
pub fn copy_prologue(
    cx: &mut dyn HelperContext,
    packed: u64,
    forward_only: u64,
    _: u64,
) -> Result<u64, HelperExit> {
    let (regs, state) = (Registers::of(packed), cx.state());
    let limit = if forward_only != 0 { MAX_FORWARD } else { MAX_COPY };
    let size = state.u64(x(regs.n)).min(limit);
    let (to, from) = (state.u64(x(regs.d)), state.u64(x(regs.s)));
    // Addresses are compared without the tag.
    let [low_to, low_from] = [to, from].map(|address| address << 8 >> 8);
    let down = forward_only == 0 && low_from < low_to && low_to < low_from.saturating_add(size);
    state.set_u64(x(regs.n), size);
    if down {
        state.set_u64(x(regs.d), to.wrapping_add(size));
        state.set_u64(x(regs.s), from.wrapping_add(size));
    }
    FlagRecord::packed(if down { flag::C | flag::S } else { flag::C }).store(state);
    // A fault is the main instruction's to report.
    let direction = if down { Direction::Down } else { Direction::Up };
    Ok(copy(cx, regs, direction).unwrap_or_else(|_| cx.state().u64(x(regs.n))))
}

/// `CPYM`, `CPYE` and their forward forms: what is left.
pub fn copy_main(cx: &mut dyn HelperContext, packed: u64, _: u64, _: u64) -> Result<u64, HelperExit> {
    let down = FlagRecord::load(cx.state()).pack() & flag::S != 0;
    copy(cx, Registers::of(packed), if down { Direction::Down } else { Direction::Up })
}

fn copy(cx: &mut dyn HelperContext, regs: Registers, direction: Direction) -> Result<u64, HelperExit> {
    match cx.state().u64(x(regs.n)) {
        0 => Ok(0),
        left if left <= SMALL as u64 => copy_with::<SMALL>(cx, regs, direction),
        left if left <= MEDIUM as u64 => copy_with::<MEDIUM>(cx, regs, direction),
        _ => copy_with::<{ PIECE as usize }>(cx, regs, direction),
    }
}

/// Copies through so many bytes at a time.
fn copy_with<const N: usize>(
    cx: &mut dyn HelperContext,
    regs: Registers,
    direction: Direction,
) -> Result<u64, HelperExit> {
    let down = direction == Direction::Down;
    let mut buffer = [0; N];
    for _ in 0..PIECES {
        let state = cx.state();
        let (to, from, left) = (state.u64(x(regs.d)), state.u64(x(regs.s)), state.u64(x(regs.n)));
        let len = piece(from, left, direction).min(piece(to, left, direction));
        if len == 0 {
            return Ok(0);
        }
        let back = if down { len } else { 0 };
        let buffer = &mut buffer[..len as usize];
        cx.memory().read(untagged(from.wrapping_sub(back)), buffer)?;
        cx.memory().write(untagged(to.wrapping_sub(back)), buffer)?;
        let moved = |address: u64| if down { address.wrapping_sub(len) } else { address.wrapping_add(len) };
        let state = cx.state();
        state.set_u64(x(regs.d), moved(to));
        state.set_u64(x(regs.s), moved(from));
        state.set_u64(x(regs.n), left - len);
        if left == len {
            return Ok(0);
        }
    }
    Ok(cx.state().u64(x(regs.n)))
}
