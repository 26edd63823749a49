//! Jumps, calls, returns, conditional moves and sets.

use super::operand::Place;
use super::{Handler, Lifter};
use crate::state::{RCX, RSP};
use guest::GuestAddr;
use guest::ir::{Cond, Hint, IntCc, Order, Terminator, Val, Width};
use iced_x86::{ConditionCode, FlowControl, Instruction, Mnemonic as M, OpKind};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Jmp if insn.flow_control() == FlowControl::UnconditionalBranch => Lifter::jmp,
        M::Jmp if is_near(insn) => Lifter::jmp_indirect,
        M::Call if insn.flow_control() == FlowControl::Call => Lifter::call,
        M::Call if is_near(insn) => Lifter::call_indirect,
        M::Ret => Lifter::ret,
        M::Jrcxz => |l| l.jump_if_count_zero(Width::W64),
        M::Jecxz => |l| l.jump_if_count_zero(Width::W32),
        M::Loop => |l| l.loop_while(None),
        M::Loope => |l| l.loop_while(Some(Cond::Eq)),
        M::Loopne => |l| l.loop_while(Some(Cond::Ne)),
        _ => return conditional(insn),
    })
}

/// Far transfers change the code segment; there is no other one to go to.
fn is_near(insn: &Instruction) -> bool {
    match insn.op_kind(0) {
        OpKind::Memory => insn.memory_size().size() == 8,
        OpKind::Register => insn.op_register(0).size() == 8,
        _ => false,
    }
}

fn conditional(insn: &Instruction) -> Option<Handler> {
    if insn.condition_code() == ConditionCode::None {
        return None;
    }
    if insn.is_jcc_short_or_near() {
        return Some(Lifter::jcc);
    }
    Some(match insn.mnemonic() {
        M::Seta | M::Setae | M::Setb | M::Setbe | M::Sete | M::Setg | M::Setge | M::Setl | M::Setle => {
            Lifter::setcc
        }
        M::Setne | M::Setno | M::Setnp | M::Setns | M::Seto | M::Setp | M::Sets => Lifter::setcc,
        M::Cmova | M::Cmovae | M::Cmovb | M::Cmovbe | M::Cmove | M::Cmovg | M::Cmovge | M::Cmovl => {
            Lifter::cmov
        }
        M::Cmovle | M::Cmovne | M::Cmovno | M::Cmovnp | M::Cmovns | M::Cmovo | M::Cmovp | M::Cmovs => {
            Lifter::cmov
        }
        _ => return None,
    })
}

/// The IR's condition for an instruction's.
fn cond(code: ConditionCode) -> Cond {
    match code {
        ConditionCode::None | ConditionCode::o => Cond::Vs,
        ConditionCode::no => Cond::Vc,
        ConditionCode::b => Cond::Cs,
        ConditionCode::ae => Cond::Cc,
        ConditionCode::e => Cond::Eq,
        ConditionCode::ne => Cond::Ne,
        ConditionCode::be => Cond::Be,
        ConditionCode::a => Cond::Nbe,
        ConditionCode::s => Cond::Mi,
        ConditionCode::ns => Cond::Pl,
        ConditionCode::p => Cond::Pe,
        ConditionCode::np => Cond::Po,
        ConditionCode::l => Cond::Lt,
        ConditionCode::ge => Cond::Ge,
        ConditionCode::le => Cond::Le,
        ConditionCode::g => Cond::Gt,
    }
}

impl Lifter {
    fn target(&self) -> GuestAddr {
        GuestAddr(self.insn.near_branch_target())
    }

    /// `JMP rel`
    fn jmp(&mut self) {
        self.end = Some(Terminator::Jump { target: self.target(), hint: Hint::None });
    }

    /// `JMP r/m64`
    fn jmp_indirect(&mut self) {
        let target = self.read(0);
        self.end = Some(Terminator::Indirect { target, hint: Hint::None });
    }

    /// `Jcc rel`
    fn jcc(&mut self) {
        let taken = self.target();
        let cond = self.condition(cond(self.insn.condition_code()));
        self.end = Some(Terminator::Branch { cond, taken, other: self.next() });
    }

    /// `CALL rel`
    fn call(&mut self) {
        let back = self.push_return_address();
        self.end = Some(Terminator::Jump { target: self.target(), hint: Hint::Call(back) });
    }

    /// `CALL r/m64`: the target is read before rsp moves.
    fn call_indirect(&mut self) {
        let target = self.read(0);
        let back = self.push_return_address();
        self.end = Some(Terminator::Indirect { target, hint: Hint::Call(back) });
    }

    fn push_return_address(&mut self) -> GuestAddr {
        let back = self.next();
        let value = self.ir.imm(back.0);
        self.push_value(Width::W64, value);
        back
    }

    /// `RET`, `RET imm16`
    fn ret(&mut self) {
        let rsp = self.rsp();
        let target = self.ir.load(Width::W64, Order::Tso, rsp, 0);
        let extra = if self.insn.op_count() == 1 { self.insn.immediate(0) & 0xffff } else { 0 };
        let rsp = self.ir.add_imm(rsp, 8 + extra as i64);
        self.ir.write_slot(RSP, rsp);
        self.end = Some(Terminator::Indirect { target, hint: Hint::Return });
    }

    /// `JRCXZ`, `JECXZ`
    fn jump_if_count_zero(&mut self, w: Width) {
        let count = self.ir.read_slot(RCX);
        let cond = self.is_zero(w, count);
        self.end = Some(Terminator::Branch { cond, taken: self.target(), other: self.next() });
    }

    /// `LOOP`, `LOOPE`, `LOOPNE`: rcx counts down; no flag changes.
    fn loop_while(&mut self, cc: Option<Cond>) {
        let w = if self.counts_in_ecx() { Width::W32 } else { Width::W64 };
        let also = cc.map(|cc| self.condition(cc));
        let (count, one) = (self.ir.read_slot(RCX), self.ir.imm(1));
        let left = self.ir.sub(w, count, one);
        self.ir.write_slot(RCX, left);
        let zero = self.ir.imm(0);
        let more = self.ir.icmp(IntCc::Ne, w, left, zero);
        let cond = also.map_or(more, |also| self.ir.and(Width::W64, more, also));
        self.end = Some(Terminator::Branch { cond, taken: self.target(), other: self.next() });
    }

    fn counts_in_ecx(&self) -> bool {
        use iced_x86::Code as C;
        matches!(self.insn.code(), C::Loop_rel8_64_ECX | C::Loope_rel8_64_ECX | C::Loopne_rel8_64_ECX)
    }

    /// `SETcc r/m8`
    fn setcc(&mut self) {
        let value = self.condition(cond(self.insn.condition_code()));
        self.write(0, value);
    }

    /// `CMOVcc r, r/m`: memory is read, and a 32-bit register's upper half cleared, in any case.
    fn cmov(&mut self) {
        let w = self.width(0);
        let place = Place::Reg(self.reg(0));
        let new = self.read(1);
        let old = self.get_place(place, w);
        let cond = self.condition(cond(self.insn.condition_code()));
        let chosen = self.ir.select(cond, new, old);
        let clean = if w == Width::W32 { self.ir.zext(w, chosen) } else { chosen };
        self.put_place(place, w, clean);
    }

    /// Stores `value` below rsp and moves it.
    pub(super) fn push_value(&mut self, w: Width, value: Val) {
        let size = w.bytes() as i32;
        let rsp = self.rsp();
        self.ir.store(w, Order::Tso, rsp, -size, value);
        let rsp = self.ir.add_imm(rsp, i64::from(-size));
        self.ir.write_slot(RSP, rsp);
    }
}
