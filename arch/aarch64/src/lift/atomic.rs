//! The atomic instructions of Armv8.1 (FEAT_LSE).

use super::{Lifter, X1};
use crate::decode::Insn;
use guest::ir::{Lane, Order, RmwOp, Width};

const fn order(acquire: bool, release: bool) -> Order {
    match (acquire, release) {
        (false, false) => Order::Relaxed,
        (true, false) => Order::Acquire,
        (false, true) => Order::Release,
        (true, true) => Order::AcqRel,
    }
}

impl Lifter {
    /// `LDADD`, `LDCLR`, `LDEOR`, `LDSET`, `LDSMAX`, `LDSMIN`, `LDUMAX`, `LDUMIN`, `SWP`.
    pub fn rmw(&mut self, insn: Insn) {
        let w = insn.access();
        let op = match insn.bits(12, 4) {
            0 => RmwOp::Add,
            1 => RmwOp::AndNot,
            2 => RmwOp::Xor,
            3 => RmwOp::Or,
            4 => RmwOp::Smax,
            5 => RmwOp::Smin,
            6 => RmwOp::Umax,
            7 => RmwOp::Umin,
            _ => RmwOp::Xchg,
        };
        let addr = self.aligned_base(insn, w.bytes());
        let operand = self.x(insn.rm());
        let old = self.ir.rmw(op, w, order(insn.bit(23), insn.bit(22)), addr, operand);
        self.set_x(insn.rd(), old);
    }

    pub fn cas(&mut self, insn: Insn) {
        let w = insn.access();
        let addr = self.aligned_base(insn, w.bytes());
        let (expected, new) = (self.x(insn.rm()), self.x(insn.rd()));
        let old = self.ir.cas(w, order(insn.bit(22), insn.bit(15)), addr, expected, new);
        self.set_x(insn.rm(), old);
    }

    pub fn casp(&mut self, insn: Insn) {
        let (s, t) = (insn.rm(), insn.rd());
        let order = order(insn.bit(22), insn.bit(15));
        let (s0, s1) = (self.x(s), self.x(s + 1));
        let (t0, t1) = (self.x(t), self.x(t + 1));
        let (low, high) = if insn.bit(30) {
            let addr = self.aligned_base(insn, 16);
            let (expected, new) = (self.ir.vpair(X1, s0, s1), self.ir.vpair(X1, t0, t1));
            let old = self.ir.cas128(X1, order, addr, expected, new);
            (self.ir.vextract(X1, Lane::D, 0, old), self.ir.vextract(X1, Lane::D, 1, old))
        } else {
            let addr = self.aligned_base(insn, 8);
            let (expected, new) = (self.ir.deposit(32, 32, s0, s1), self.ir.deposit(32, 32, t0, t1));
            let old = self.ir.cas(Width::W64, order, addr, expected, new);
            (self.ir.extract(0, 32, old), self.ir.extract(32, 32, old))
        };
        self.set_x(s, low);
        self.set_x(s + 1, high);
    }
}
