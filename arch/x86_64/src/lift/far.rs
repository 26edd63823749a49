//! Far transfers and segment registers.
//!
//! A program may name the code segment that it runs in, and the selectors that Linux gives it or none for the
//! others. Everything else (32-bit code above all) is refused as a selector that does not exist is: with #GP.

use super::operand::gpr_slot;
use super::{Handler, Lifter};
use crate::helpers::id;
use crate::state::{FS_BASE, GS_BASE, RSP, selector};
use guest::Trap;
use guest::ir::{Hint, IntCc, Order, Terminator, Val, Width, flag};
use iced_x86::{Instruction, Mnemonic as M, OpKind, Register};

/// The 64-bit code segment and the data segment of user programs.
const USER_CS: u64 = 0x33;
const USER_DS: u64 = 0x2b;
/// The selectors, without their two bits of privilege, of segments that can be read: none, 32-bit code, data, 64-bit
/// code, and the one that tells the processor's number.
const READABLE: u64 = 1 | 1 << 8 | 1 << 10 | 1 << 12 | 1 << 30;
/// What Linux says of the descriptor tables, the task and CR0 where UMIP keeps programs from asking the processor
/// (`arch/x86/kernel/umip.c`).
const GDT_BASE: u64 = 0xffff_ffff_fffe_0000;
const IDT_BASE: u64 = 0xffff_ffff_ffff_0000;
const TASK: u64 = 0x40;
const CR0: u64 = 0x8005_0033;

pub(super) fn lookup(insn: &Instruction) -> Option<Handler> {
    let segment = insn.op_count() > 0
        && insn.op0_kind() == OpKind::Register
        && insn.op0_register().is_segment_register();
    Some(match insn.mnemonic() {
        M::Retf => Lifter::return_far,
        M::Jmp if insn.op0_kind() == OpKind::Memory => Lifter::jump_far,
        M::Call if insn.op0_kind() == OpKind::Memory => Lifter::call_far,
        M::Iret => |l| l.interrupt_return(Width::W16),
        M::Iretd => |l| l.interrupt_return(Width::W32),
        M::Iretq => |l| l.interrupt_return(Width::W64),
        M::Lss => |l| l.load_far_pointer(Register::SS),
        M::Lfs => |l| l.load_far_pointer(Register::FS),
        M::Lgs => |l| l.load_far_pointer(Register::GS),
        M::Lar | M::Lsl => Lifter::describe_segment,
        M::Verr | M::Verw => Lifter::verify_segment,
        M::Sgdt => |l| l.store_table(GDT_BASE),
        M::Sidt => |l| l.store_table(IDT_BASE),
        M::Sldt => |l| l.store_system_word(0),
        M::Str => |l| l.store_system_word(TASK),
        M::Smsw => |l| l.store_system_word(CR0),
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

    /// `IRET`, `IRETD`, `IRETQ`: rip, cs, flags, rsp, ss. May set the trap flag, so the run loop looks.
    fn interrupt_return(&mut self, w: Width) {
        let rsp = self.rsp();
        let size = w.bytes() as i32;
        let [target, cs, flags, stack, ss] =
            [0, 1, 2, 3, 4].map(|i| self.ir.load(w, Order::Tso, rsp, i * size));
        self.demand_code_segment(cs, 0xffff);
        self.demand_data_segment(ss);
        self.ir.write_slot(RSP, stack);
        self.write_eflags(flags, w);
        self.end = Some(Terminator::Indirect { target, hint: Hint::Resync });
    }

    /// Raises #GP unless the selector is that of user data.
    fn demand_data_segment(&mut self, selector: Val) {
        let (ours, mask) = (self.ir.imm(USER_DS), self.ir.imm(0xffff));
        let low = self.ir.and(Width::W64, selector, mask);
        let other = self.ir.icmp(IntCc::Ne, Width::W64, low, ours);
        self.ir.trap_when(Trap::GeneralProtection, other);
    }

    /// Loads a selector: none, or that of a segment that can be read; the stack's is that of user data.
    fn load_segment(&mut self, reg: Register, value: Val) {
        if reg == Register::SS {
            return self.demand_data_segment(value);
        }
        let (number, far) = (self.ir.extract(2, 6, value), self.ir.extract(8, 8, value));
        let missing = self.ir.imm(!READABLE);
        let missing = self.ir.shr(Width::W64, missing, number);
        let missing = self.ir.extract(0, 1, missing);
        let bad = self.ir.or(Width::W64, missing, far);
        self.ir.trap_when(Trap::GeneralProtection, bad);
        let kept = self.ir.zext(Width::W16, value);
        self.ir.write_slot(selector(reg.number() as u16), kept);
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

    /// `LSS`, `LFS`, `LGS`
    fn load_far_pointer(&mut self, segment: Register) {
        let (w, mem) = (self.width(0), self.address());
        let offset = self.load(w, mem);
        let selector = self.ir.load(Width::W16, Order::Tso, mem.addr, mem.off.wrapping_add(w.bytes() as i32));
        self.load_segment(segment, selector);
        self.write(0, offset);
        self.clear_base(segment);
        self.shadows = segment == Register::SS;
    }

    /// `LAR`, `LSL`: ZF says whether there is such a segment; if not, the destination stays.
    fn describe_segment(&mut self) {
        let selector =
            if self.is_mem(1) { self.load_operand(Width::W16) } else { self.read_reg(self.reg(1)) };
        let (what, zero) = (self.ir.imm(u64::from(self.insn.mnemonic() == M::Lsl)), self.ir.imm(0));
        let described = self.call_state(id::DESCRIBE_SEGMENT, selector, what, zero);
        let found = self.ir.extract(32, 1, described);
        let (w, slot) = (self.width(0), gpr_slot(self.reg(0)));
        let old = self.ir.read_slot(slot);
        let value = self.ir.zext(Width::W32, described);
        let new = if w == Width::W16 { self.ir.deposit(0, 16, old, value) } else { value };
        let chosen = self.ir.select(found, new, old);
        self.ir.write_slot(slot, chosen);
        self.set_zero_flag(found);
    }

    /// `VERR`, `VERW`
    fn verify_segment(&mut self) {
        let selector =
            if self.is_mem(0) { self.load_operand(Width::W16) } else { self.read_reg(self.reg(0)) };
        let (what, zero) = (self.ir.imm(0), self.ir.imm(0));
        let described = self.call_state(id::DESCRIBE_SEGMENT, selector, what, zero);
        // Code that is there can be read, too; data can be written (bits 11 and 9 of its rights).
        let (exists, writable) = (self.ir.extract(32, 1, described), self.ir.extract(9, 1, described));
        let code = self.ir.extract(11, 1, described);
        let data = self.ir.andnot(Width::W64, exists, code);
        let may_write = self.ir.and(Width::W64, data, writable);
        self.set_zero_flag(if self.insn.mnemonic() == M::Verr { exists } else { may_write });
    }

    fn set_zero_flag(&mut self, zero: Val) {
        let old = self.ir.get_flags();
        let flags = self.ir.deposit(flag::Z.trailing_zeros() as u8, 1, old, zero);
        self.put_flags(flags);
    }

    /// `SGDT`, `SIDT`: with UMIP the kernel answers, and says that the table is empty.
    fn store_table(&mut self, base: u64) {
        let mem = self.address();
        let (limit, base) = (self.ir.imm(0), self.ir.imm(base));
        self.ir.probe_write(10, mem.addr, mem.off);
        self.ir.store(Width::W16, Order::Tso, mem.addr, mem.off, limit);
        self.ir.store(Width::W64, Order::Tso, mem.addr, mem.off.wrapping_add(2), base);
    }

    /// `SLDT`, `STR`, `SMSW`: the kernel answers, too.
    fn store_system_word(&mut self, value: u64) {
        let value = self.ir.imm(value);
        if self.is_mem(0) {
            let mem = self.address();
            return self.store(Width::W16, mem, value);
        }
        self.write(0, value);
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
