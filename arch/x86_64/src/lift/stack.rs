//! The stack: push, pop, enter, leave, flags.

use super::operand::{Place, gpr_slot};
use super::{Handler, Lifter};
use crate::state::{DF, EFLAGS_REST, RBP, RSP, eflags};
use guest::ir::{Order, Val, Width, flag};
use iced_x86::{Instruction, Mnemonic as M, OpKind, Register};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Push => Lifter::push,
        M::Pop if insn.op_kind(0) == OpKind::Register && insn.op0_register().is_segment_register() => {
            return None;
        }
        M::Pop => Lifter::pop,
        M::Pushfq => |l| l.pushf(Width::W64),
        M::Pushf => |l| l.pushf(Width::W16),
        M::Popfq => |l| l.popf(Width::W64),
        M::Popf => |l| l.popf(Width::W16),
        M::Leave => Lifter::leave,
        M::Enter => Lifter::enter,
        _ => return None,
    })
}

impl Lifter {
    /// The operand size of a push or pop.
    pub(super) fn stack_width(&self) -> Width {
        if self.insn.stack_pointer_increment().unsigned_abs() == 2 { Width::W16 } else { Width::W64 }
    }

    /// `PUSH`
    fn push(&mut self) {
        let w = self.stack_width();
        let value = match self.insn.op_kind(0) {
            OpKind::Register if self.reg(0).is_segment_register() => self.read_selector(self.reg(0)),
            OpKind::Register | OpKind::Memory => self.read(0),
            _ => {
                let value = self.insn.immediate(0) & w.mask();
                self.ir.imm(value)
            }
        };
        self.push_value(w, value);
    }

    /// `POP`: a memory operand's address is computed after rsp has moved, and `pop rsp` keeps what was
    /// read.
    fn pop(&mut self) {
        let w = self.stack_width();
        let rsp = self.rsp();
        let value = self.ir.load(w, Order::Tso, rsp, 0);
        let moved = self.ir.add_imm(rsp, i64::from(w.bytes()));
        if self.is_mem(0) {
            let mem = self.address_plus(i64::from(w.bytes()));
            self.put_place(Place::Mem(mem), w, value);
            self.ir.write_slot(RSP, moved);
            return;
        }
        if gpr_slot(self.reg(0)) != RSP || w != Width::W64 {
            self.ir.write_slot(RSP, moved);
        }
        self.write_reg(self.reg(0), value);
    }

    /// EFLAGS as a value.
    pub(super) fn read_eflags(&mut self) -> Val {
        let (flags, df) = (self.ir.get_flags(), self.ir.read_slot(DF));
        let rest = self.ir.read_slot(EFLAGS_REST);
        let flags = self.ir.or(Width::W64, flags, rest);
        let flags = self.ir.deposit(10, 1, flags, df);
        let fixed = self.ir.imm(eflags::FIXED | eflags::IF);
        self.ir.or(Width::W64, flags, fixed)
    }

    /// `PUSHF`, `PUSHFQ`
    fn pushf(&mut self, w: Width) {
        let flags = self.read_eflags();
        self.push_value(w, flags);
    }

    /// `POPF`, `POPFQ`: may set the trap flag, so the block ends.
    fn popf(&mut self, w: Width) {
        let rsp = self.rsp();
        let value = self.ir.load(w, Order::Tso, rsp, 0);
        let moved = self.ir.add_imm(rsp, i64::from(w.bytes()));
        self.ir.write_slot(RSP, moved);
        self.write_eflags(value, w);
        self.resync();
    }

    /// Sets the flags that user code may set; without the upper half, not those that stand there.
    pub(super) fn write_eflags(&mut self, value: Val, w: Width) {
        let df = self.ir.extract(10, 1, value);
        let settable = if w == Width::W16 { eflags::TF } else { eflags::REST };
        let settable = self.ir.imm(settable);
        let new = self.ir.and(Width::W64, value, settable);
        let old = self.ir.read_slot(EFLAGS_REST);
        let kept = self.ir.andnot(Width::W64, old, settable);
        let rest = self.ir.or(Width::W64, new, kept);
        let all = self.ir.imm(flag::ALL);
        let arithmetic = self.ir.and(Width::W64, value, all);
        self.ir.write_slot(DF, df);
        self.ir.write_slot(EFLAGS_REST, rest);
        self.put_flags(arithmetic);
    }

    /// `LEAVE`
    fn leave(&mut self) {
        let w = self.leave_width();
        let rbp = self.ir.read_slot(RBP);
        let value = self.ir.load(w, Order::Tso, rbp, 0);
        let rsp = self.ir.add_imm(rbp, i64::from(w.bytes()));
        self.ir.write_slot(RSP, rsp);
        self.write_reg(if w == Width::W16 { Register::BP } else { Register::RBP }, value);
    }

    fn leave_width(&self) -> Width {
        if self.insn.code() == iced_x86::Code::Leavew { Width::W16 } else { Width::W64 }
    }

    /// `ENTER size, level`: faults where the new top of the stack could not be written.
    fn enter(&mut self) {
        let w = if self.insn.code() == iced_x86::Code::Enterw_imm16_imm8 { Width::W16 } else { Width::W64 };
        let step = w.bytes() as i32;
        let (size, level) = (self.insn.immediate(0) as i64, (self.insn.immediate(1) & 31) as i32);
        let (rsp, rbp) = (self.rsp(), self.ir.read_slot(RBP));
        let frame = self.ir.add_imm(rsp, i64::from(-step));
        let top = self.ir.add_imm(frame, -size - i64::from(level * step));
        self.ir.probe_write(step as u8, frame, 0);
        for depth in 1..level {
            self.ir.load(w, Order::Tso, rbp, -depth * step);
        }
        self.ir.probe_write(step as u8, frame, -level * step);
        self.ir.probe_write(step as u8, top, 0);
        self.ir.store(w, Order::Tso, frame, 0, rbp);
        // What is read may be what has just been written.
        for depth in 1..level {
            let outer = self.ir.load(w, Order::Tso, rbp, -depth * step);
            self.ir.store(w, Order::Tso, frame, -depth * step, outer);
        }
        if level > 0 {
            self.ir.store(w, Order::Tso, frame, -level * step, frame);
        }
        self.ir.write_slot(RSP, top);
        self.write_reg(if w == Width::W16 { Register::BP } else { Register::RBP }, frame);
    }
}
