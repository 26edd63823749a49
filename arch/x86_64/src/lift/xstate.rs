//! XSAVE and its kin, random numbers, the processor's number, cache control.

use super::{Handler, Lifter};
use crate::helpers::how;
use crate::helpers::id;
use crate::state::{RAX, RDX};
use guest::ir::{HelperId, Val, Width, flag};
use iced_x86::{Instruction, Mnemonic as M};

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Xsave => |l| l.xsave(0),
        M::Xsave64 => |l| l.xsave(how::WIDE),
        M::Xsaveopt => |l| l.xsave(how::OPTIMISED),
        M::Xsaveopt64 => |l| l.xsave(how::OPTIMISED | how::WIDE),
        M::Xsavec => |l| l.xsave(how::COMPACT),
        M::Xsavec64 => |l| l.xsave(how::COMPACT | how::WIDE),
        M::Xrstor => |l| l.xrstor(0),
        M::Xrstor64 => |l| l.xrstor(how::WIDE),
        M::Xgetbv => Lifter::xgetbv,
        M::Xsetbv | M::Xsaves | M::Xsaves64 | M::Xrstors | M::Xrstors64 => Lifter::general_protection,
        M::Rdrand | M::Rdseed => Lifter::random,
        M::Rdpid => Lifter::rdpid,
        M::Clflushopt | M::Clwb => |l| {
            l.load_operand(Width::W8);
        },
        _ => return None,
    })
}

impl Lifter {
    /// The area's address, which must be aligned to 64, and MXCSR, handed to a helper.
    fn with_area(&mut self, helper: HelperId, how: u64) -> Val {
        let mem = self.address();
        self.demand_alignment(mem, 64);
        let (addr, mxcsr) = (self.flat(mem), self.ir.fpenv_get());
        let how = self.ir.imm(how);
        self.call_state(helper, addr, mxcsr, how)
    }

    /// `XSAVE`, `XSAVEOPT`, `XSAVEC`
    fn xsave(&mut self, how: u64) {
        self.with_area(id::XSAVE, how);
    }

    /// `XRSTOR`
    fn xrstor(&mut self, how: u64) {
        let mxcsr = self.with_area(id::XRSTOR, how);
        self.set_mxcsr(mxcsr);
    }

    /// `XGETBV`
    fn xgetbv(&mut self) {
        let zero = self.ir.imm(0);
        let value = self.call_state(id::XGETBV, zero, zero, zero);
        let (lo, hi) = (self.ir.zext(Width::W32, value), self.ir.extract(32, 32, value));
        self.ir.write_slot(RAX, lo);
        self.ir.write_slot(RDX, hi);
    }

    /// `RDRAND`, `RDSEED`: always succeed.
    fn random(&mut self) {
        let (w, zero) = (self.width(0), self.ir.imm(0));
        let value = self.call_state(id::RANDOM, zero, zero, zero);
        let clean = self.ir.zext(w, value);
        self.write(0, clean);
        let carry = self.ir.imm(flag::C);
        self.put_flags(carry);
    }

    /// `RDPID`
    fn rdpid(&mut self) {
        let zero = self.ir.imm(0);
        let cpu = self.call_state(id::CPU_NUMBER, zero, zero, zero);
        self.ir.write_slot(super::operand::gpr_slot(self.reg(0)), cpu);
    }
}
