//! Memory copy and set (FEAT_MOPS): prologue, main part and epilogue. One call of a helper does the work of all three where
//! they stand together.

use super::Lifter;
use crate::decode::Insn;
use crate::helpers;
use guest::GuestAddr;
use guest::ir::{HelperId, Terminator, Val};

/// Registers 31 and twice the same are not allocated; the value that is set may be zero.
pub fn copy_is_allocated(insn: Insn) -> bool {
    let (d, n, s) = (insn.rd(), insn.rn(), insn.rm());
    ![d, n, s].contains(&31) && d != n && n != s && d != s
}

pub fn set_is_allocated(insn: Insn) -> bool {
    let (d, n, s) = (insn.rd(), insn.rn(), insn.rm());
    ![d, n].contains(&31) && d != n && n != s && d != s
}

fn packed_registers(insn: Insn) -> u64 {
    u64::from(insn.rd() | insn.rn() << 5 | insn.rm() << 10)
}

/// A copy or fill whose prologue stands in this block.
#[derive(Clone, Copy)]
pub struct Moving {
    /// The registers, packed.
    registers: u64,
    /// How much the prologue has left.
    left: Val,
    /// Where the next of its instructions is.
    next: u64,
}

impl Lifter {
    fn prologue(&mut self, insn: Insn, helper: HelperId, value: Val) {
        let registers = packed_registers(insn);
        let (packed, zero) = (self.imm(registers), self.imm(0));
        let left = self.ir.call_state(helper, packed, value, zero);
        self.moving = Some(Moving { registers, left, next: self.next_pc().raw() });
    }

    /// A main instruction behind its prologue leaves everything to the epilogue, which does so if nothing is left. (What is
    /// done by which of them is not laid down.) Others do a piece, and come back to themselves while something is left.
    fn main_or_epilogue(&mut self, insn: Insn, helper: HelperId, value: Val, is_epilogue: bool) {
        let registers = packed_registers(insn);
        let moving = self.moving.take().filter(|m| (m.registers, m.next) == (registers, self.pc));
        let (here, next) = (GuestAddr(self.pc), self.next_pc());
        let left = match moving {
            Some(moving) if !is_epilogue => {
                self.moving = Some(Moving { next: next.raw(), ..moving });
                return;
            }
            Some(moving) => moving.left,
            None => {
                let (packed, zero) = (self.imm(registers), self.imm(0));
                self.ir.call_state(helper, packed, value, zero)
            }
        };
        self.end = Some(Terminator::Branch { cond: left, taken: here, other: next });
    }

    pub fn set_prologue(&mut self, insn: Insn) {
        let value = self.x(insn.rm());
        self.prologue(insn, helpers::SET_PROLOGUE, value);
    }

    /// `SETM`, `SETE`.
    pub fn set_main(&mut self, insn: Insn) {
        let value = self.x(insn.rm());
        self.main_or_epilogue(insn, helpers::SET_MAIN, value, insn.bit(15));
    }

    /// `CPYP`, and with bit 26 clear `CPYFP`.
    pub fn copy_prologue(&mut self, insn: Insn) {
        let forward_only = self.imm(u64::from(!insn.bit(26)));
        self.prologue(insn, helpers::COPY_PROLOGUE, forward_only);
    }

    /// `CPYM`, `CPYE` and their forward forms.
    pub fn copy_main(&mut self, insn: Insn) {
        let zero = self.imm(0);
        self.main_or_epilogue(insn, helpers::COPY_MAIN, zero, insn.bit(23));
    }
}
