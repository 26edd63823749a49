//! Random states: values that favour the edges, and addresses that mostly hit the data pages.

use crate::case::{AC, Case, DATA, FLAGS, Registers, Rng};
use crate::generate::target;
use iced_x86::{CpuidFeature, Instruction, Mnemonic as M, OpKind, Register};

fn integer(rng: &mut Rng) -> u64 {
    const EDGES: [u64; 12] =
        [0, 1, 2, 0x7f, 0x80, 0x7fff, 0x8000, 0x7fff_ffff, 0x8000_0000, i64::MAX as u64, 1 << 63, u64::MAX];
    match rng.below(6) {
        0 | 1 => rng.next(),
        2 => EDGES[rng.below(12) as usize],
        3 => EDGES[rng.below(12) as usize] ^ rng.next() & 0xff,
        4 => rng.below(256),
        _ => u64::from(rng.next() as u32),
    }
}

fn single(rng: &mut Rng) -> u32 {
    const EDGES: [u32; 16] = [
        0,
        0x8000_0000,
        0x3f80_0000,
        0xbf80_0000,
        0x7f80_0000,
        0xff80_0000,
        0x7fc0_0001,
        0x7f80_0001,
        0x0000_0001,
        0x807f_ffff,
        0x7f7f_ffff,
        0x4f00_0000,
        0xcf00_0000,
        0x3f00_0000,
        0xffc1_2345,
        0x0080_0000,
    ];
    match rng.below(4) {
        0 => EDGES[rng.below(16) as usize],
        1 => (rng.next() as i8 as f32 * 0.5).to_bits(),
        2 => rng.next() as u32,
        _ => 0x3000_0000 + (rng.next() as u32 & 0x9fff_ffff),
    }
}

fn double(rng: &mut Rng) -> u64 {
    const EDGES: [u64; 16] = [
        0,
        1 << 63,
        0x3ff0_0000_0000_0000,
        0xbff0_0000_0000_0000,
        0x7ff0_0000_0000_0000,
        0xfff0_0000_0000_0000,
        0x7ff8_0000_0000_0001,
        0x7ff0_0000_0000_0001,
        1,
        0x800f_ffff_ffff_ffff,
        0x7fef_ffff_ffff_ffff,
        0x43e0_0000_0000_0000,
        0xc1e0_0000_0000_0000,
        0x3fe0_0000_0000_0000,
        0xfff9_2345_6789_abcd,
        0x0010_0000_0000_0000,
    ];
    match rng.below(4) {
        0 => EDGES[rng.below(16) as usize],
        1 => (rng.next() as i8 as f64 * 0.5).to_bits(),
        2 => rng.next(),
        _ => 0x3c00_0000_0000_0000 + (rng.next() & 0x87ff_ffff_ffff_ffff),
    }
}

/// A lane near where it wraps or saturates.
fn small(rng: &mut Rng, bits: u32) -> u64 {
    let edges = [0, u64::MAX, 1 << (bits - 1), (1 << (bits - 1)) - 1];
    edges[rng.below(4) as usize].wrapping_add(rng.below(3)).wrapping_sub(1)
}

fn small_lanes(rng: &mut Rng, bits: u32) -> u128 {
    let mask = (1u128 << bits) - 1;
    (0..128 / bits).fold(0, |v, _| v << bits | u128::from(small(rng, bits)) & mask)
}

pub fn vector(rng: &mut Rng) -> u128 {
    let two = |a: u64, b: u64| u128::from(a) | u128::from(b) << 64;
    match rng.below(6) {
        4 => small_lanes(rng, 8),
        5 => small_lanes(rng, 16),
        0 => two(rng.next(), rng.next()),
        1 => two(double(rng), double(rng)),
        2 => (0..4).fold(0, |v, _| v << 32 | u128::from(single(rng))),
        _ => two(integer(rng), integer(rng)),
    }
}

fn extended(rng: &mut Rng) -> u128 {
    let parts = |sign: u64, exponent: u64, significand: u64| {
        u128::from(significand) | u128::from((sign & 1) << 15 | exponent) << 64
    };
    let sign = rng.next();
    match rng.below(8) {
        0 => parts(sign, 0, 0),
        1 => parts(sign, 0x7fff, 1 << 63),
        2 => parts(sign, 0x7fff, rng.next() | 1 << 63),
        3 => parts(sign, 0, rng.next() >> 1),
        4 => parts(sign, 0x3fff + rng.below(70), (rng.next() & 0xff) << 56 | 1 << 63),
        _ => parts(sign, 0x3ff0 + rng.below(80), rng.next() | 1 << 63),
    }
}

/// Fills in the registers.
pub fn prepare(rng: &mut Rng, case: &mut Case, insn: &Instruction) {
    let before = &mut case.before;
    for value in &mut before.gpr {
        *value = if rng.one_in(3) { target(rng) } else { integer(rng) };
    }
    before.gpr[4] = DATA + 2048 + 8 * rng.below(256);
    let index_of = |reg: Register| reg.full_register().number();
    let base = insn.memory_base();
    if insn.memory_index().is_gpr() && insn.memory_index() != base {
        before.gpr[index_of(insn.memory_index())] = rng.below(64).wrapping_sub(32);
    }
    if base.is_gpr() && index_of(base) != 4 {
        before.gpr[index_of(base)] = target(rng);
    }
    if insn.mnemonic() == M::Xlatb {
        before.gpr[3] = target(rng);
    }
    if insn.is_string_instruction() {
        before.gpr[1] = rng.below(70);
        before.gpr[6] = target(rng);
        before.gpr[7] = if rng.one_in(4) {
            before.gpr[6].wrapping_add(rng.below(9)).wrapping_sub(4)
        } else {
            target(rng)
        };
    }
    if matches!(insn.mnemonic(), M::Bt | M::Bts | M::Btr | M::Btc)
        && insn.op1_kind() == OpKind::Register
        && !rng.one_in(8)
    {
        let at = index_of(insn.op1_register());
        if !base.is_gpr() || at != index_of(base) {
            before.gpr[at] = rng.below(2048).wrapping_sub(1024);
        }
    }
    before.eflags = 0x202 | rng.next() & (FLAGS & !0x400) | if rng.one_in(4) { 0x400 } else { 0 };
    if rng.one_in(16) {
        before.eflags |= AC;
    }
    for value in before.xmm.iter_mut().chain(&mut before.ymm_high) {
        *value = vector(rng);
    }
    if uses_area(insn) {
        // What the model has of the host's components; and room for them.
        (before.gpr[0], before.gpr[2]) = (rng.below(8), 0);
        if base.is_gpr() {
            before.gpr[index_of(base)] = area(rng);
        }
    }
    if insn.is_vsib() {
        small_indices(rng, before, insn);
    }
    before.mxcsr = 0x1f80 | if rng.one_in(2) { 0 } else { rng.next() as u32 & 0xe07f };
    if rng.one_in(12) {
        // Some exceptions unmasked, of those that have not come yet.
        before.mxcsr &= !(rng.next() as u32 & 0x1f80 & !((before.mxcsr & 0x3f) << 7));
    }
    before.fcw = 0x37f & !0xf00 | [0x300, 0x200, 0][rng.below(3) as usize] | (rng.below(4) as u16) << 10;
    let top = rng.below(8) as u16;
    before.fsw = top << 11 | rng.next() as u16 & 0x4700;
    if rng.one_in(8) {
        before.fcw &= !(rng.next() as u16 & 0x3f);
        before.fsw |= if rng.one_in(2) { rng.next() as u16 & 0x7f } else { 0 };
    }
    before.ftw = rng.next() as u8 | if rng.one_in(8) { 0 } else { 3u8.rotate_left(top.into()) };
    for value in &mut before.st {
        *value = extended(rng);
    }
}

/// Whether its operand is an XSAVE area.
pub fn uses_area(insn: &Instruction) -> bool {
    let xsave = [CpuidFeature::XSAVE, CpuidFeature::XSAVEOPT, CpuidFeature::XSAVEC];
    insn.op_kinds().any(|kind| kind == OpKind::Memory)
        && insn.cpuid_features().iter().any(|f| xsave.contains(f))
}

/// Where an XSAVE area may be, mostly aligned.
fn area(rng: &mut Rng) -> u64 {
    let at = DATA + 64 * rng.below(100);
    if rng.one_in(16) { at + 16 } else { at }
}

/// Indices of a gather that stay near its base.
fn small_indices(rng: &mut Rng, before: &mut Registers, insn: &Instruction) {
    let (n, wide) = (insn.memory_index().number(), insn.is_vsib64());
    let mut unit = || {
        let mut lane = || rng.below(512).wrapping_sub(256);
        if wide {
            u128::from(lane()) | u128::from(lane()) << 64
        } else {
            (0..4).fold(0, |v, _| v << 32 | u128::from(lane() as u32))
        }
    };
    (before.xmm[n], before.ymm_high[n]) = (unit(), unit());
}
