//! Memory copy and set (FEAT_MOPS): prologue, main part and epilogue, each a helper's call.

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

impl Lifter {
    fn mops_registers(&mut self, insn: Insn) -> Val {
        self.imm(u64::from(insn.rd() | insn.rn() << 5 | insn.rm() << 10))
    }

    /// Calls the helper that does a piece of the work, and comes back to this instruction while something is
    /// left.
    fn mops_piece(&mut self, insn: Insn, helper: HelperId, value: Val) {
        let (registers, zero) = (self.mops_registers(insn), self.imm(0));
        let left = self.ir.call_state(helper, registers, value, zero);
        let (taken, other) = (GuestAddr(self.pc), self.next_pc());
        self.end = Some(Terminator::Branch { cond: left, taken, other });
    }

    pub fn set_prologue(&mut self, insn: Insn) {
        let (registers, zero) = (self.mops_registers(insn), self.imm(0));
        self.ir.call_state(helpers::SET_PROLOGUE, registers, zero, zero);
    }

    pub fn set_main(&mut self, insn: Insn) {
        let value = self.x(insn.rm());
        self.mops_piece(insn, helpers::SET_MAIN, value);
    }

    /// `CPYP`, and with bit 26 clear `CPYFP`.
    pub fn copy_prologue(&mut self, insn: Insn) {
        let (registers, zero) = (self.mops_registers(insn), self.imm(0));
        let forward_only = self.imm(u64::from(!insn.bit(26)));
        self.ir.call_state(helpers::COPY_PROLOGUE, registers, forward_only, zero);
    }

    pub fn copy_main(&mut self, insn: Insn) {
        let zero = self.imm(0);
        self.mops_piece(insn, helpers::COPY_MAIN, zero);
    }
}
