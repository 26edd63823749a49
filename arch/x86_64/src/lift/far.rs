//! Far transfers and segment registers.
//!
//! A program may name the code segment that it runs in, and the selectors that Linux gives it or none for the
//! others. Everything else (32-bit code above all) is refused as a selector that does not exist is: with #GP.

use super::{Handler, Lifter};
use crate::state::{FS_BASE, GS_BASE, RSP};
use guest::Trap;
use guest::ir::{Hint, IntCc, Order, Terminator, Val, Width};
use iced_x86::{Instruction, Mnemonic as M, OpKind, Register};

/// The 64-bit code segment and the data segment of user programs.
const USER_CS: u64 = 0x33;
const USER_DS: u64 = 0x2b;

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    let segment = insn.op_count() > 0
        && insn.op0_kind() == OpKind::Register
        && insn.op0_register().is_segment_register();
    Some(match insn.mnemonic() {
        M::Retf => Lifter::return_far,
        M::Jmp if insn.op0_kind() == OpKind::Memory => Lifter::jump_far,
        M::Call if insn.op0_kind() == OpKind::Memory => Lifter::call_far,
        M::Iretq => Lifter::iretq,
        M::Mov if segment => Lifter::mov_to_segment,
        M::Pop if segment => Lifter::pop_segment,
        _ => return None,
    })
}

impl Lifter {
    /// Raises #GP unless the selector is that of 64-bit user code, as far as the bits in `mask` go.
    fn demand_code_segment(&mut self, selector: Val, mask: u64) {
        let (ours, mask) = (self.ir.imm(USER_CS & mask), self.ir.imm(mask));
        let low = self.ir.and(Width::W64, selector, mask);
        let other = self.ir.icmp(IntCc::Ne, Width::W64, low, ours);
        self.ir.trap_when(Trap::GeneralProtection, other);
    }

    /// The width of what a far transfer takes from the stack or from memory.
    fn far_width(&self) -> Width {
        use iced_x86::Code as C;
        match self.insn.code() {
            C::Retfw | C::Retfw_imm16 | C::Jmp_m1616 | C::Call_m1616 => Width::W16,
            C::Retfd | C::Retfd_imm16 | C::Jmp_m1632 | C::Call_m1632 => Width::W32,
            _ => Width::W64,
        }
    }

    /// `RETF`, `RETF imm16`
    fn return_far(&mut self) {
        let w = self.far_width();
        let (rsp, size) = (self.rsp(), w.bytes() as i32);
        let target = self.ir.load(w, Order::Tso, rsp, 0);
        let selector = self.ir.load(w, Order::Tso, rsp, size);
        self.demand_code_segment(selector, 0xffff);
        let extra = if self.insn.op_count() == 1 { self.insn.immediate(0) & 0xffff } else { 0 };
        let rsp = self.ir.add_imm(rsp, i64::from(2 * size) + extra as i64);
        self.ir.write_slot(RSP, rsp);
        self.end = Some(Terminator::Indirect { target, hint: Hint::None });
    }

    /// Offset and selector from memory.
    fn far_pointer(&mut self) -> Val {
        let (w, mem) = (self.far_width(), self.address());
        let target = self.load(w, mem);
        let selector = self.ir.load(Width::W16, Order::Tso, mem.addr, mem.off.wrapping_add(w.bytes() as i32));
        // The requested privilege level may be a higher one than the program's.
        self.demand_code_segment(selector, 0xfffc);
        target
    }

    /// `JMP m16:64`
    fn jump_far(&mut self) {
        let target = self.far_pointer();
        self.end = Some(Terminator::Indirect { target, hint: Hint::None });
    }

    /// `CALL m16:64`: pushes the code segment, then the return address.
    fn call_far(&mut self) {
        let target = self.far_pointer();
        let (w, rsp) = (self.far_width(), self.rsp());
        let size = w.bytes() as i32;
        let (selector, back) = (self.ir.imm(USER_CS), self.ir.imm(self.next().0));
        self.ir.probe_write(2 * size as u8, rsp, -2 * size);
        self.ir.store(w, Order::Tso, rsp, -size, selector);
        self.ir.store(w, Order::Tso, rsp, -2 * size, back);
        let rsp = self.ir.add_imm(rsp, i64::from(-2 * size));
        self.ir.write_slot(RSP, rsp);
        self.end = Some(Terminator::Indirect { target, hint: Hint::None });
    }

    /// `IRETQ`: rip, cs, flags, rsp, ss. May set the trap flag, so the run loop looks.
    fn iretq(&mut self) {
        let rsp = self.rsp();
        let [target, cs, flags, stack, ss] =
            [0, 8, 16, 24, 32].map(|at| self.ir.load(Width::W64, Order::Tso, rsp, at));
        self.demand_code_segment(cs, 0xffff);
        self.demand_data_segment(ss);
        self.ir.write_slot(RSP, stack);
        self.write_eflags(flags, Width::W64);
        self.end = Some(Terminator::Indirect { target, hint: Hint::Resync });
    }

    /// Raises #GP unless the selector is that of user data.
    fn demand_data_segment(&mut self, selector: Val) {
        let (ours, mask) = (self.ir.imm(USER_DS), self.ir.imm(0xffff));
        let low = self.ir.and(Width::W64, selector, mask);
        let other = self.ir.icmp(IntCc::Ne, Width::W64, low, ours);
        self.ir.trap_when(Trap::GeneralProtection, other);
    }

    /// Loads a selector: none, or (as the stack's must be) that of user data.
    fn load_segment(&mut self, reg: Register, selector: Val) {
        if reg == Register::SS {
            return self.demand_data_segment(selector);
        }
        let (mask, none, data) = (self.ir.imm(0xfffc), self.ir.imm(0), self.ir.imm(USER_DS & !3));
        let index = self.ir.and(Width::W64, selector, mask);
        let some = self.ir.icmp(IntCc::Ne, Width::W64, index, none);
        let other = self.ir.icmp(IntCc::Ne, Width::W64, index, data);
        let bad = self.ir.and(Width::W64, some, other);
        self.ir.trap_when(Trap::GeneralProtection, bad);
    }

    /// A segment register's base is 0 once its selector has been loaded.
    fn clear_base(&mut self, reg: Register) {
        let zero = self.ir.imm(0);
        match reg {
            Register::FS => self.ir.write_slot(FS_BASE, zero),
            Register::GS => self.ir.write_slot(GS_BASE, zero),
            _ => {}
        }
    }

    /// `MOV Sreg, r/m16`
    fn mov_to_segment(&mut self) {
        if self.reg(0) == Register::CS {
            return self.raise(Trap::Illegal, self.here());
        }
        let selector =
            if self.is_mem(1) { self.load_operand(Width::W16) } else { self.read_reg(self.reg(1)) };
        self.load_segment(self.reg(0), selector);
        self.clear_base(self.reg(0));
        self.shadows = self.reg(0) == Register::SS;
    }

    /// `POP FS`, `POP GS`
    fn pop_segment(&mut self) {
        let w = self.stack_width();
        let rsp = self.rsp();
        let selector = self.ir.load(w, Order::Tso, rsp, 0);
        self.load_segment(self.reg(0), selector);
        let moved = self.ir.add_imm(rsp, i64::from(w.bytes()));
        self.ir.write_slot(RSP, moved);
        self.clear_base(self.reg(0));
    }
}
