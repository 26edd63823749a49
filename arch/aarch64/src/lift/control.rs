//! Branches and system calls.

use super::{Lifter, condition};
use crate::decode::Insn;
use crate::guarded;
use guest::GuestAddr;
use guest::ir::{Hint, Terminator, Val, Width};

impl Lifter {
    fn target(&self, words: i64) -> GuestAddr {
        GuestAddr(self.pc.wrapping_add_signed(words << 2))
    }

    pub fn b(&mut self, insn: Insn) {
        self.end = Some(Terminator::Jump { target: self.target(insn.signed(0, 26)), hint: Hint::None });
    }

    pub fn bl(&mut self, insn: Insn) {
        self.link();
        let hint = Hint::Call(self.next_pc());
        self.end = Some(Terminator::Jump { target: self.target(insn.signed(0, 26)), hint });
    }

    pub fn link(&mut self) {
        let back = self.imm(self.next_pc().raw());
        self.set_x(30, back);
    }

    fn branch_if(&mut self, cond: Val, words: i64) {
        self.end = Some(Terminator::Branch { cond, taken: self.target(words), other: self.next_pc() });
    }

    pub fn b_cond(&mut self, insn: Insn) {
        let words = insn.signed(5, 19);
        match condition(insn.bits(0, 4)) {
            Some(cc) => {
                let holds = self.ir.condition(cc);
                self.branch_if(holds, words);
            }
            None => self.end = Some(Terminator::Jump { target: self.target(words), hint: Hint::None }),
        }
    }

    /// `CBZ`, `CBNZ`.
    pub fn cbz(&mut self, insn: Insn) {
        let value = self.x(insn.rd());
        let cond = self.is_zero(insn.sf(), value, insn.bit(24));
        self.branch_if(cond, insn.signed(5, 19));
    }

    /// `TBZ`, `TBNZ`.
    pub fn tbz(&mut self, insn: Insn) {
        let bit = insn.bits(31, 1) << 5 | insn.bits(19, 5);
        let value = self.x(insn.rd());
        let tested = self.ir.extract(bit as u8, 1, value);
        let cond = if insn.bit(24) { tested } else { self.is_zero(Width::W64, tested, false) };
        self.branch_if(cond, insn.signed(5, 14));
    }

    /// A branch target from a register: the tag in the top byte is replaced by copies of bit 55
    /// (`AArch64.BranchAddr`).
    fn register_target(&mut self, insn: Insn) -> Val {
        let target = self.x(insn.rn());
        self.ir.sextract(0, 56, target)
    }

    pub fn br(&mut self, insn: Insn) {
        let target = self.register_target(insn);
        let target = self.landing(target, self.jump_btype(insn.rn()));
        self.end = Some(Terminator::Indirect { target, hint: Hint::None });
    }

    pub fn blr(&mut self, insn: Insn) {
        let target = self.register_target(insn);
        let target = self.landing(target, guarded::CALL);
        self.link();
        self.end = Some(Terminator::Indirect { target, hint: Hint::Call(self.next_pc()) });
    }

    pub fn ret(&mut self, insn: Insn) {
        let target = self.register_target(insn);
        self.end = Some(Terminator::Indirect { target, hint: Hint::Return });
    }

    pub fn svc(&mut self, _: Insn) {
        self.end = Some(Terminator::Syscall { next: self.next_pc() });
    }
}
