//! Instructions that work on the condition flags themselves (FEAT_FlagM, FEAT_FlagM2).

use super::Lifter;
use crate::decode::Insn;
use crate::lift::int::packed_nzcv;
use guest::ir::{Val, Width, flag};

/// One flag's place in the packed flags.
const N: u8 = flag::S.trailing_zeros() as u8;
const Z: u8 = flag::Z.trailing_zeros() as u8;
const C: u8 = flag::C.trailing_zeros() as u8;
const V: u8 = flag::V.trailing_zeros() as u8;

impl Lifter {
    fn flag_bits(&mut self) -> [Val; 4] {
        let flags = self.ir.get_flags();
        [N, Z, C, V].map(|place| self.ir.extract(place, 1, flags))
    }

    fn put_flag_bits(&mut self, [n, z, c, v]: [Val; 4]) {
        let zero = self.imm(0);
        let flags = [(N, n), (Z, z), (C, c), (V, v)]
            .into_iter()
            .fold(zero, |flags, (place, bit)| self.ir.deposit(place, 1, flags, bit));
        self.ir.put_flags(flags);
    }

    pub fn cfinv(&mut self, _: Insn) {
        let flags = self.ir.get_flags();
        let carry = self.imm(flag::C);
        let flags = self.ir.xor(Width::W64, flags, carry);
        self.ir.put_flags(flags);
    }

    /// Flags from the register's low bits, rotated; those outside the mask stay.
    pub fn rmif(&mut self, insn: Insn) {
        let (value, count) = (self.x(insn.rn()), self.imm(u64::from(insn.bits(15, 6))));
        let rotated = self.ir.rotr(Width::W64, value, count);
        let zero = self.imm(0);
        let new = [(3, N), (2, Z), (1, C), (0, V)].into_iter().fold(zero, |flags, (from, to)| {
            let bit = self.ir.extract(from, 1, rotated);
            self.ir.deposit(to, 1, flags, bit)
        });
        let (old, chosen) = (self.ir.get_flags(), self.imm(packed_nzcv(insn.bits(0, 4))));
        let kept = self.ir.andnot(Width::W64, old, chosen);
        let new = self.ir.and(Width::W64, new, chosen);
        let flags = self.ir.or(Width::W64, kept, new);
        self.ir.put_flags(flags);
    }

    /// `SETF8`, and with bit 14 `SETF16`: N, Z and V of a small value; C stays.
    pub fn setf(&mut self, insn: Insn) {
        let (w, value) = (if insn.bit(14) { Width::W16 } else { Width::W8 }, self.x(insn.rn()));
        let [_, _, c, _] = self.flag_bits();
        let bits = w.bits() as u8;
        let n = self.ir.extract(bits - 1, 1, value);
        let above = self.ir.extract(bits, 1, value);
        let v = self.ir.xor(Width::W64, n, above);
        let z = self.is_zero(w, value, false);
        self.put_flag_bits([n, z, c, v]);
    }

    /// Arm's floating-point comparison flags to the other convention.
    pub fn axflag(&mut self, _: Insn) {
        let [_, z, c, v] = self.flag_bits();
        let zero = self.imm(0);
        let z = self.ir.or(Width::W64, z, v);
        let c = self.ir.andnot(Width::W64, c, v);
        self.put_flag_bits([zero, z, c, zero]);
    }

    /// The way back.
    pub fn xaflag(&mut self, _: Insn) {
        let [_, z, c, _] = self.flag_bits();
        let one = self.imm(1);
        let no_c = self.ir.xor(Width::W64, c, one);
        let n = self.ir.andnot(Width::W64, no_c, z);
        let v = self.ir.and(Width::W64, no_c, z);
        let both = self.ir.and(Width::W64, z, c);
        let either = self.ir.or(Width::W64, c, z);
        self.put_flag_bits([n, both, either, v]);
    }
}
