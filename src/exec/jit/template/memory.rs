//! State slots and guest memory.
//!
//! A guest access is one host instruction, noted as one that may fault. At a fault the state in memory is
//! that of the instruction's start, because the IR writes state only after the instruction's last access.

use super::asm::{RAX, RCX, Reg, Rm, op, op0f};
use super::regs::{Loc, X0, state};
use super::{Emitter, Flags};
use guest::Access;
use guest::ir::{Order, RmwOp, Val, VecLen, Width};
use guest::state::{ARCH_BASE, Slot};

impl Emitter {
    pub(super) fn read_slot(&mut self, dst: Val, w: Width, slot: Slot) {
        let reg = self.define_int(dst);
        self.asm.load(w, reg, state(slot.0));
    }

    pub(super) fn write_slot(&mut self, w: Width, slot: Slot, a: Val) {
        self.store_int(w, a, state(slot.0));
        if slot < ARCH_BASE {
            self.flags = Flags::Unknown;
        }
    }

    pub(super) fn read_vector_slot(&mut self, dst: Val, slot: Slot) {
        let reg = self.define_xmm(dst);
        self.load_xmm(reg, state(slot.0));
    }

    pub(super) fn write_vector_slot(&mut self, slot: Slot, a: Val) {
        let reg = self.xmm(a);
        self.store_xmm(reg, state(slot.0));
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
        if n != VecLen::X1 {
            return self.slow();
        }
        let from = self.address(addr, off);
        let reg = self.define_xmm(dst);
        self.may_fault(Access::Read);
        self.load_xmm(reg, from);
    }

    pub(super) fn guest_vstore(&mut self, n: VecLen, addr: Val, off: i32, a: Val) {
        if n != VecLen::X1 {
            return self.slow();
        }
        let to = self.address(addr, off);
        self.unit_into(X0, a, 0);
        self.may_fault(Access::Write);
        self.store_xmm(X0, to);
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
