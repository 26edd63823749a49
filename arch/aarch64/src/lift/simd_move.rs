//! Advanced SIMD moves: permutations, table look-ups, element moves, immediates.

use super::simd::each;
use super::{Lifter, X1};
use crate::decode::{Insn, lane};
use guest::ir::{IntCc, Lane, Val, Width};

/// Lane size and index from `imm5`.
const fn imm5(insn: Insn) -> (Lane, u32) {
    let imm = insn.bits(16, 5);
    let log2 = (imm | 0x10).trailing_zeros();
    let log2 = if log2 > 3 { 3 } else { log2 };
    (lane(log2), imm >> (log2 + 1))
}

/// `AdvSIMDExpandImm`, one 64-bit half.
pub fn expand_immediate(op: bool, cmode: u32, imm8: u64) -> u64 {
    match (cmode >> 1, cmode & 1, op) {
        (shift @ 0..=3, _, _) => (imm8 << (8 * shift)).wrapping_mul(0x1_0000_0001),
        (shift @ 4..=5, _, _) => (imm8 << (8 * (shift - 4))).wrapping_mul(0x0001_0001_0001_0001),
        (6, 0, _) => (imm8 << 8 | 0xff).wrapping_mul(0x1_0000_0001),
        (6, _, _) => (imm8 << 16 | 0xffff).wrapping_mul(0x1_0000_0001),
        (_, 0, false) => imm8.wrapping_mul(0x0101_0101_0101_0101),
        (_, 0, true) => (0..8).filter(|i| imm8 >> i & 1 != 0).fold(0, |bits, i| bits | 0xff << (8 * i)),
        (_, _, false) => expand_f32(imm8).wrapping_mul(0x1_0000_0001),
        (_, _, true) => expand_f64(imm8),
    }
}

/// `VFPExpandImm` to half precision.
pub const fn expand_f16(imm8: u64) -> u64 {
    let exponent = if imm8 & 0x40 != 0 { 0x3000 } else { 0x4000 };
    (imm8 >> 7) << 15 | exponent | (imm8 & 0x3f) << 6
}

/// `VFPExpandImm` to single precision.
pub const fn expand_f32(imm8: u64) -> u64 {
    let exponent = if imm8 & 0x40 != 0 { 0x3e00_0000 } else { 0x4000_0000 };
    (imm8 >> 7) << 31 | exponent | (imm8 & 0x3f) << 19
}

/// `VFPExpandImm` to double precision.
pub const fn expand_f64(imm8: u64) -> u64 {
    let exponent = if imm8 & 0x40 != 0 { 0x3fc0_0000_0000_0000 } else { 0x4000_0000_0000_0000 };
    (imm8 >> 7) << 63 | exponent | (imm8 & 0x3f) << 48
}

/// Byte indices for `vshuffle` from an element function: element `e` of the result is element
/// `from(e)` of a:b, where b's elements count from `elements` on. Bytes past the elements become zero.
pub fn element_indices(lane: Lane, elements: usize, from: impl Fn(usize) -> usize) -> u128 {
    let mut index = [0xffu8; 16];
    for (at, slot) in index.iter_mut().enumerate().take(elements * lane.bytes()) {
        let source = from(at / lane.bytes());
        let base = if source < elements { 0 } else { 16 };
        *slot = (base + source % elements * lane.bytes() + at % lane.bytes()) as u8;
    }
    u128::from_le_bytes(index)
}

const fn elements(insn: Insn, lane: Lane) -> usize {
    (if insn.q() { 16 } else { 8 }) / lane.bytes()
}

impl Lifter {
    pub fn shuffle(&mut self, a: Val, b: Val, index: u128) -> Val {
        let index = self.vector_constant(index);
        self.ir.vshuffle(X1, a, b, index)
    }

    /// The even and the odd elements of a:b.
    pub fn unzip(&mut self, insn: Insn, lane: Lane, a: Val, b: Val) -> (Val, Val) {
        let count = elements(insn, lane);
        let even = self.shuffle(a, b, element_indices(lane, count, |e| 2 * e));
        let odd = self.shuffle(a, b, element_indices(lane, count, |e| 2 * e + 1));
        (even, odd)
    }

    /// `UZP`, `TRN`, `ZIP`.
    pub fn permute(&mut self, insn: Insn) {
        let (lane, part) = (insn.lane(), insn.bits(14, 1) as usize);
        let count = elements(insn, lane);
        let index = match insn.bits(12, 2) {
            1 => element_indices(lane, count, |e| 2 * e + part),
            2 => element_indices(lane, count, |e| e % 2 * count + e / 2 * 2 + part),
            _ => element_indices(lane, count, |e| e % 2 * count + part * count / 2 + e / 2),
        };
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let r = self.shuffle(a, b, index);
        self.set_v(insn.rd(), r);
    }

    pub fn ext(&mut self, insn: Insn) {
        let first = insn.bits(11, 4) as usize;
        let index = element_indices(Lane::B, elements(insn, Lane::B), |e| first + e);
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let r = self.shuffle(a, b, index);
        self.set_v(insn.rd(), r);
    }

    /// `REV16`, `REV32`, `REV64`: elements in reverse order within containers.
    pub fn vector_rev(&mut self, insn: Insn) {
        let lane = insn.lane();
        let container = match (insn.bit(12), insn.u()) {
            (true, _) => 2,
            (false, true) => 4,
            (false, false) => 8,
        };
        let last = container / lane.bytes() - 1;
        let index = element_indices(lane, elements(insn, lane), |e| e ^ last);
        let a = self.v(insn.rn());
        let r = self.shuffle(a, a, index);
        self.set_v(insn.rd(), r);
    }

    /// `TBL`, `TBX`: one to four registers of bytes.
    pub fn table_lookup(&mut self, insn: Insn) {
        let count = insn.bits(13, 2) as u16 + 1;
        let index = self.v(insn.rm());
        let (mut r, mut base) = (None, 0);
        for first in (0..count).step_by(2) {
            let a = self.v((insn.rn() + first) % 32);
            let b = if first + 1 < count { self.v((insn.rn() + first + 1) % 32) } else { self.zeros() };
            let shifted = match base {
                0 => index,
                _ => {
                    let offset = self.vector_constant(each(Lane::B, base));
                    self.ir.vsub(X1, Lane::B, index, offset)
                }
            };
            let picked = self.ir.vshuffle(X1, a, b, shifted);
            r = Some(match r {
                None => picked,
                Some(others) => self.ir.vor(X1, others, picked),
            });
            base += 32;
        }
        let r = r.unwrap_or(index);
        let r = if insn.bit(12) { self.keep_out_of_range(insn, count, index, r) } else { r };
        self.set_v_q(insn, r);
    }

    /// `TBX`: where the index is past the table, Vd stays.
    fn keep_out_of_range(&mut self, insn: Insn, count: u16, index: Val, found: Val) -> Val {
        let (limit, old) = (self.vector_constant(each(Lane::B, 16 * u64::from(count))), self.v(insn.rd()));
        let inside = self.ir.vicmp(X1, Lane::B, IntCc::Ult, index, limit);
        self.ir.vbitsel(X1, inside, found, old)
    }

    /// Lane `index` in every lane of the low `bytes` bytes, zeros above.
    pub fn splat_lane(&mut self, value: Val, lane: Lane, index: usize, bytes: usize) -> Val {
        let mut indices = [0xffu8; 16];
        for (at, slot) in indices.iter_mut().enumerate().take(bytes) {
            *slot = (index * lane.bytes() + at % lane.bytes()) as u8;
        }
        self.shuffle(value, value, u128::from_le_bytes(indices))
    }

    pub fn dup_element(&mut self, insn: Insn) {
        let (lane, index) = imm5(insn);
        let a = self.v(insn.rn());
        let r = self.splat_lane(a, lane, index as usize, if insn.q() { 16 } else { 8 });
        self.set_v(insn.rd(), r);
    }

    pub fn dup_general(&mut self, insn: Insn) {
        let (lane, _) = imm5(insn);
        let a = self.x(insn.rn());
        let r = self.ir.vsplat(X1, lane, a);
        self.set_v_q(insn, r);
    }

    pub fn dup_scalar(&mut self, insn: Insn) {
        let (lane, index) = imm5(insn);
        let a = self.v(insn.rn());
        let r = self.ir.vextract(X1, lane, index as u8, a);
        self.set_v_scalar(insn.rd(), Width::W64, r);
    }

    pub fn umov(&mut self, insn: Insn) {
        let (lane, index) = imm5(insn);
        let a = self.v(insn.rn());
        let r = self.ir.vextract(X1, lane, index as u8, a);
        self.set_x(insn.rd(), r);
    }

    pub fn smov(&mut self, insn: Insn) {
        let (lane, index) = imm5(insn);
        let a = self.v(insn.rn());
        let r = self.ir.vextract(X1, lane, index as u8, a);
        let r = self.ir.sext(lane.width(), r);
        let r = if insn.q() { r } else { self.ir.zext(Width::W32, r) };
        self.set_x(insn.rd(), r);
    }

    pub fn ins_general(&mut self, insn: Insn) {
        let (lane, index) = imm5(insn);
        let (old, value) = (self.v(insn.rd()), self.x(insn.rn()));
        let r = self.ir.vinsert(X1, lane, index as u8, old, value);
        self.set_v(insn.rd(), r);
    }

    pub fn ins_element(&mut self, insn: Insn) {
        let (lane, index) = imm5(insn);
        let from = insn.bits(11, 4) as usize / lane.bytes();
        let (old, source) = (self.v(insn.rd()), self.v(insn.rn()));
        let value = self.ir.vextract(X1, lane, from as u8, source);
        let r = self.ir.vinsert(X1, lane, index as u8, old, value);
        self.set_v(insn.rd(), r);
    }

    /// `MOVI`, `MVNI`, `ORR`, `BIC`, `FMOV`.
    /// `FMOV` of a half-precision constant to all lanes.
    pub fn fmov_vector_half(&mut self, insn: Insn) {
        let imm = u64::from(insn.bits(16, 3) << 5 | insn.bits(5, 5));
        let unit = each(Lane::H, expand_f16(imm));
        let r = self.vector_constant(if insn.q() { unit } else { unit & u128::from(u64::MAX) });
        self.set_v(insn.rd(), r);
    }

    pub fn modified_immediate(&mut self, insn: Insn) {
        let (op, cmode) = (insn.u(), insn.bits(12, 4));
        let value = expand_immediate(op, cmode, u64::from(insn.bits(16, 3) << 5 | insn.bits(5, 5)));
        let high = if insn.q() { u128::from(value) << 64 } else { 0 };
        let visible = if insn.q() { u128::MAX } else { u128::from(u64::MAX) };
        let unit = high | u128::from(value);
        let combines = cmode & 1 != 0 && cmode < 12;
        if !combines {
            let unit = if op && cmode < 14 { !unit & visible } else { unit };
            let r = self.vector_constant(unit);
            return self.set_v(insn.rd(), r);
        }
        let (old, imm) = (self.v(insn.rd()), self.vector_constant(unit));
        let r = if op { self.ir.vandnot(X1, old, imm) } else { self.ir.vor(X1, old, imm) };
        self.set_v_q(insn, r);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn immediates_expand_as_in_the_manual() {
        assert_eq!(expand_immediate(false, 0b0010, 0x12), 0x0000_1200_0000_1200);
        assert_eq!(expand_immediate(false, 0b1010, 0x12), 0x1200_1200_1200_1200);
        assert_eq!(expand_immediate(false, 0b1100, 0x12), 0x0000_12ff_0000_12ff);
        assert_eq!(expand_immediate(true, 0b1110, 0x81), 0xff00_0000_0000_00ff);
        assert_eq!(expand_f32(0x70), u64::from(1.0f32.to_bits()));
        assert_eq!(expand_f64(0x80), (-2.0f64).to_bits());
    }
}
