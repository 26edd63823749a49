//! Load-exclusive, store-exclusive, load-acquire and store-release.

use super::{Lifter, X1};
use crate::decode::Insn;
use crate::features;
use guest::Trap;
use guest::ir::{IntCc, Lane, Order, Val, Width};

impl Lifter {
    /// The base register as the address of an access that must be aligned to `bytes`.
    pub fn aligned_base(&mut self, insn: Insn, bytes: u32) -> Val {
        let addr = self.x_or_sp(insn.rn());
        self.check_alignment(addr, bytes);
        addr
    }

    /// Exclusive, atomic and ordered accesses must be aligned; with FEAT_LSE2 it is enough that they stay
    /// within 16 aligned bytes (`AArch64.UnalignedAccessFaults`).
    pub fn check_alignment(&mut self, addr: Val, bytes: u32) {
        if bytes == 1 {
            return;
        }
        let misaligned = if self.features & features::LSE2 != 0 && bytes < 16 {
            let (inside, last) = (self.ir.extract(0, 4, addr), self.imm(u64::from(16 - bytes)));
            self.ir.icmp(IntCc::Ugt, Width::W64, inside, last)
        } else {
            let low = self.imm(u64::from(bytes) - 1);
            self.ir.and(Width::W64, addr, low)
        };
        self.ir.trap_when(Trap::Alignment, misaligned);
    }

    pub fn ldar(&mut self, insn: Insn) {
        let w = insn.access();
        let addr = self.aligned_base(insn, w.bytes());
        let value = self.ir.load(w, Order::Acquire, addr, 0);
        self.set_x(insn.rd(), value);
    }

    pub fn stlr(&mut self, insn: Insn) {
        let w = insn.access();
        let addr = self.aligned_base(insn, w.bytes());
        let value = self.x(insn.rd());
        self.ir.store(w, Order::Release, addr, 0, value);
    }

    pub fn ldxr(&mut self, insn: Insn) {
        let w = insn.access();
        let addr = self.aligned_base(insn, w.bytes());
        let order = if insn.bit(15) { Order::Acquire } else { Order::Relaxed };
        let value = self.ir.load_ex(w, order, addr);
        self.set_x(insn.rd(), value);
    }

    const fn store_order(insn: Insn) -> Order {
        if insn.bit(15) { Order::Release } else { Order::Relaxed }
    }

    pub fn stxr(&mut self, insn: Insn) {
        let w = insn.access();
        let addr = self.aligned_base(insn, w.bytes());
        let value = self.x(insn.rd());
        let status = self.ir.store_ex(w, Self::store_order(insn), addr, value);
        self.set_x(insn.rm(), status);
    }

    pub fn ldxp(&mut self, insn: Insn) {
        let order = if insn.bit(15) { Order::Acquire } else { Order::Relaxed };
        let (low, high) = if insn.bit(30) {
            let addr = self.aligned_base(insn, 16);
            let both = self.ir.load_ex128(X1, order, addr);
            (self.ir.vextract(X1, Lane::D, 0, both), self.ir.vextract(X1, Lane::D, 1, both))
        } else {
            let addr = self.aligned_base(insn, 8);
            let both = self.ir.load_ex(Width::W64, order, addr);
            (self.ir.extract(0, 32, both), self.ir.extract(32, 32, both))
        };
        self.set_x(insn.rd(), low);
        self.set_x(insn.ra(), high);
    }

    pub fn stxp(&mut self, insn: Insn) {
        let (low, high) = (self.x(insn.rd()), self.x(insn.ra()));
        let order = Self::store_order(insn);
        let status = if insn.bit(30) {
            let addr = self.aligned_base(insn, 16);
            let both = self.ir.vpair(X1, low, high);
            self.ir.store_ex128(order, addr, both)
        } else {
            let addr = self.aligned_base(insn, 8);
            let both = self.ir.deposit(32, 32, low, high);
            self.ir.store_ex(Width::W64, order, addr, both)
        };
        self.set_x(insn.rm(), status);
    }
}
