//! Instructions on the flags themselves.

use super::{Handler, Lifter};
use crate::state::DF;
use guest::ir::{Cond, Width, flag};
use iced_x86::{Instruction, Mnemonic as M, Register};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Clc => |l| l.set_carry(0),
        M::Stc => |l| l.set_carry(1),
        M::Cmc => Lifter::cmc,
        M::Cld => |l| l.set_direction(0),
        M::Std => |l| l.set_direction(1),
        M::Lahf => Lifter::lahf,
        M::Sahf => Lifter::sahf,
        _ => return None,
    })
}

impl Lifter {
    fn set_carry(&mut self, value: u64) {
        let carry = self.ir.imm(value);
        self.replace_carry(carry);
    }

    /// `CMC`
    fn cmc(&mut self) {
        let carry = self.condition(Cond::Cc);
        self.replace_carry(carry);
    }

    fn set_direction(&mut self, value: u64) {
        let df = self.ir.imm(value);
        self.ir.write_slot(DF, df);
    }

    /// `LAHF`: AH is the low byte of EFLAGS.
    fn lahf(&mut self) {
        let (flags, fixed) = (self.ir.get_flags(), self.ir.imm(2));
        let low = self.ir.or(Width::W64, flags, fixed);
        self.write_reg(Register::AH, low);
    }

    /// `SAHF`: overflow stays.
    fn sahf(&mut self) {
        let (old, ah) = (self.ir.get_flags(), self.read_reg(Register::AH));
        let low = self.ir.imm(flag::ALL & 0xff);
        let overflow = self.ir.imm(flag::V);
        let new = self.ir.and(Width::W64, ah, low);
        let kept = self.ir.and(Width::W64, old, overflow);
        let flags = self.ir.or(Width::W64, new, kept);
        self.put_flags(flags);
    }
}
