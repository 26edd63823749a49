//! State slots and guest memory.
//!
//! A guest access is one host instruction, noted as one that may fault. At a fault the state in memory, with the writes
//! that are noted there ([`super::late`]), is that of the instruction's start, because the IR writes state only after the
//! instruction's last access.

use super::asm::{RAX, RCX, Reg, Rm, op, op0f};
use super::regs::{Loc, X0, cell, cell_unit, state};
use super::{Emitter, Flags};
use crate::exec::jit::steps::Prefetch;
use guest::Access;
use guest::ir::{Locality, Order, RmwOp, Val, VecLen, Width};
use guest::state::{ARCH_BASE, Slot};

impl Emitter {
    pub(super) fn read_slot(&mut self, dst: Val, w: Width, slot: Slot) {
        let reg = self.define_int(dst);
        self.asm.load(w, reg, state(slot.0));
    }

    pub(super) fn write_slot(&mut self, w: Width, slot: Slot, a: Val) {
        if self.put_late(slot, a) {
            return;
        }
        self.store_int(w, a, state(slot.0));
        if slot < ARCH_BASE {
            self.flags = Flags::Unknown;
        }
    }

    pub(super) fn read_vector_slot(&mut self, dst: Val, n: VecLen, slot: Slot) {
        if n == VecLen::X1 {
            let reg = self.define_xmm(dst);
            return self.load_xmm(reg, state(slot.0));
        }
        self.need_context();
        for unit in 0..n.units() {
            self.load_xmm(X0, state(slot.0 + 16 * unit as u16));
            self.store_xmm(X0, cell_unit(dst, unit));
        }
        self.defined_in_cell(dst);
    }

    pub(super) fn write_vector_slot(&mut self, n: VecLen, slot: Slot, a: Val) {
        for unit in 0..n.units() {
            let from = self.unit(a, unit);
            self.store_xmm(from, state(slot.0 + 16 * unit as u16));
        }
        if slot < ARCH_BASE {
            self.flags = Flags::Unknown;
        }
    }

    /// A guest address as an operand.
    fn address(&mut self, addr: Val, off: i32) -> Rm {
        if let Loc::Konst(value) = self.regs.loc(addr) {
            self.asm.mov_ri(RAX, value.wrapping_add_signed(i64::from(off)));
            return Rm::Mem(RAX, 0);
        }
        Rm::Mem(self.int(addr), off)
    }

    pub(super) fn guest_prefetch(&mut self, how: Locality, addr: Val, off: i32) {
        let place = self.address(addr, off);
        let Prefetch { opcode, extension } = Prefetch::of(how);
        self.asm.ins(op0f(opcode), Width::W32, Reg(extension), place);
    }

    pub(super) fn guest_load(&mut self, dst: Val, w: Width, addr: Val, off: i32) {
        let from = self.address(addr, off);
        let reg = self.define_int(dst);
        self.may_fault(Access::Read);
        self.asm.load(w, reg, from);
    }

    pub(super) fn guest_store(&mut self, w: Width, ord: Order, addr: Val, off: i32, a: Val) {
        let to = self.address(addr, off);
        match self.regs.loc(a) {
            Loc::Konst(value) if super::asm::fits(w, value) => {
                self.may_fault(Access::Write);
                self.asm.store_imm(w, value, to);
            }
            Loc::Konst(value) => {
                self.asm.mov_ri(RCX, value);
                self.may_fault(Access::Write);
                self.asm.store(w, RCX, to);
            }
            _ => {
                let reg = self.int(a);
                self.may_fault(Access::Write);
                self.asm.store(w, reg, to);
            }
        }
        if ord == Order::SeqCst {
            self.full_fence();
        }
    }

    /// `mfence`
    pub(super) fn full_fence(&mut self) {
        self.asm.code.extend_from_slice(&[0x0f, 0xae, 0xf0]);
    }

    pub(super) fn guest_vload(&mut self, dst: Val, n: VecLen, addr: Val, off: i32) {
        let last = off.checked_add(16 * (n.units() as i32 - 1));
        let (Some(_), Rm::Mem(base, off)) = (last, self.address(addr, off)) else { return self.slow() };
        if n == VecLen::X1 {
            let reg = self.define_xmm(dst);
            self.may_fault(Access::Read);
            return self.load_xmm(reg, Rm::Mem(base, off));
        }
        self.need_context();
        for unit in 0..n.units() {
            self.may_fault(Access::Read);
            self.load_xmm(X0, Rm::Mem(base, off + 16 * unit as i32));
            self.store_xmm(X0, cell_unit(dst, unit));
        }
        self.defined_in_cell(dst);
    }

    /// Two units are stored by one instruction, where the host has it: none of it may be done at a fault.
    pub(super) fn guest_vstore(&mut self, n: VecLen, addr: Val, off: i32, a: Val) {
        match n {
            VecLen::X1 => {
                let to = self.address(addr, off);
                let from = self.unit(a, 0);
                self.may_fault(Access::Write);
                self.store_xmm(from, to);
            }
            VecLen::X2 if self.has_avx => {
                let to = self.address(addr, off);
                self.need_context();
                self.asm.load_ymm(X0, cell(a));
                self.may_fault(Access::Write);
                self.asm.store_ymm(X0, to);
                self.asm.zero_upper();
            }
            _ => self.slow(),
        }
    }

    /// Exchange and addition have instructions of their own; the rest is left to the interpreter.
    pub(super) fn guest_rmw(&mut self, dst: Val, what: RmwOp, w: Width, addr: Val, a: Val) {
        if !matches!(what, RmwOp::Xchg | RmwOp::Add | RmwOp::Sub) {
            return self.slow();
        }
        self.int_into(RCX, a);
        if what == RmwOp::Sub {
            self.asm.ins(op(0xf7), Width::W64, Reg(3), Rm::Reg(RCX));
        }
        let at = self.address(addr, 0);
        let reg = self.define_int(dst);
        self.may_fault(Access::Write);
        if what == RmwOp::Xchg {
            self.exchange(w, RCX, at);
        } else {
            self.asm.code.push(0xf0);
            let code = if w == Width::W8 { op0f(0xc0) } else { op0f(0xc1) };
            self.asm.ins(code, w, RCX, at);
        }
        self.asm.zero_extend(w, reg, RCX);
    }

    pub(super) fn guest_cas(&mut self, dst: Val, w: Width, addr: Val, expected: Val, new: Val) {
        self.int_into(RCX, new);
        // The address goes into a register first: a constant one would come through rax.
        let base = self.int(addr);
        self.int_into(RAX, expected);
        let reg = self.define_int(dst);
        self.may_fault(Access::Write);
        self.asm.code.push(0xf0);
        let code = if w == Width::W8 { op0f(0xb0) } else { op0f(0xb1) };
        self.asm.ins(code, w, RCX, Rm::Mem(base, 0));
        self.asm.zero_extend(w, reg, RAX);
    }

    /// Traps where a value is not 0.
    pub(super) fn trap_when(&mut self, number: u8, c: Val) {
        match self.regs.loc(c) {
            Loc::Konst(0) => {}
            _ => {
                let cc = self.condition(c);
                self.trap_where(cc, number);
            }
        }
    }
}
