//! Common short sequences (FEAT_CSSC): what used to take two or three instructions.

use super::Lifter;
use crate::decode::Insn;
use guest::ir::{IntCc, Val, Width};

impl Lifter {
    pub fn abs(&mut self, insn: Insn) {
        let (w, a) = (insn.sf(), self.x(insn.rn()));
        let (negated, zero) = (self.ir.neg(w, a), self.imm(0));
        let negative = self.ir.icmp(IntCc::Slt, w, a, zero);
        self.choose(insn, negative, negated, a);
    }

    pub fn cnt(&mut self, insn: Insn) {
        let (w, a) = (insn.sf(), self.x(insn.rn()));
        let r = self.ir.popcnt(w, a);
        self.set_x(insn.rd(), r);
    }

    pub fn ctz(&mut self, insn: Insn) {
        let (w, a) = (insn.sf(), self.x(insn.rn()));
        let r = self.ir.ctz(w, a);
        self.set_x(insn.rd(), r);
    }

    /// `SMAX`, `UMAX`, `SMIN`, `UMIN` of registers.
    pub fn minmax_register(&mut self, insn: Insn) {
        let b = self.x(insn.rm());
        self.minmax(insn, insn.bits(10, 2), b);
    }

    /// The same with a constant.
    pub fn minmax_immediate(&mut self, insn: Insn) {
        let signed = insn.signed(10, 8) as u64 & insn.sf().mask();
        let b = self.imm(if insn.bit(18) { u64::from(insn.bits(10, 8)) } else { signed });
        self.minmax(insn, insn.bits(18, 2), b);
    }

    fn minmax(&mut self, insn: Insn, which: u32, b: Val) {
        let a = self.x(insn.rn());
        let cc = match which {
            0 => IntCc::Sgt,
            1 => IntCc::Ugt,
            2 => IntCc::Slt,
            _ => IntCc::Ult,
        };
        let first = self.ir.icmp(cc, insn.sf(), a, b);
        self.choose(insn, first, a, b);
    }

    fn choose(&mut self, insn: Insn, c: Val, a: Val, b: Val) {
        let r = self.ir.select(c, a, b);
        let r = if insn.sf() == Width::W64 { r } else { self.ir.zext(Width::W32, r) };
        self.set_x(insn.rd(), r);
    }
}
