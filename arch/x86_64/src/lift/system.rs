//! System instructions that user code meets: system calls, traps, identification, fences, control
//! registers of the floating-point units, thread pointers, and the many that do nothing.

use super::operand::Mem;
use super::{Handler, Lifter};
use crate::helpers::id;
use crate::state::{EXCEPTION, FS_BASE, GS_BASE, MXCSR, MXCSR_MASK, RAX, RCX, RDX, selector};
use guest::ir::{HelperId, Locality, Order, Terminator, Val, Width};
use guest::state::Slot;
use guest::{GuestAddr, Trap};
use iced_x86::{Instruction, Mnemonic as M, Register};

pub(super) fn lookup(insn: &Instruction, mnemonic: M) -> Option<Handler> {
    Some(match mnemonic {
        M::Nop | M::Reservednop | M::Endbr64 | M::Endbr32 | M::Pause => |_| {},
        M::Prefetcht0 | M::Prefetch => |l| l.prefetch(Locality::L1),
        M::Prefetcht1 => |l| l.prefetch(Locality::L2),
        M::Prefetcht2 => |l| l.prefetch(Locality::L3),
        M::Prefetchnta => |l| l.prefetch(Locality::Once),
        M::Prefetchw | M::Prefetchwt1 => |l| l.prefetch(Locality::Write),
        // Flushing a cache line changes nothing, but its address must be readable.
        M::Clflush => |l| {
            l.load_operand(Width::W8);
        },
        M::Cldemote | M::Prefetchit0 | M::Prefetchit1 => |_| {},
        M::Lfence | M::Sfence | M::Rdsspq | M::Rdsspd => |_| {},
        M::Mfence => |l| l.ir.fence(Order::SeqCst),
        M::Syscall => |l| l.end = Some(Terminator::Syscall { next: l.next() }),
        M::Int3 => |l| l.raise(Trap::Breakpoint, l.next()),
        M::Int if insn.immediate(0) == 0x80 => |l| l.raise(Trap::BadGate, l.here()),
        M::Int => Lifter::software_interrupt,
        M::Int1 => |l| l.interrupt(1, 0, l.next()),
        M::Hlt | M::In | M::Out | M::Cli | M::Sti => Lifter::general_protection,
        M::Insb | M::Insw | M::Insd | M::Outsb | M::Outsw | M::Outsd => Lifter::general_protection,
        M::Rdmsr | M::Wrmsr | M::Rdpmc | M::Invd | M::Wbinvd | M::Clts | M::Lmsw => {
            Lifter::general_protection
        }
        M::Lgdt | M::Lidt | M::Lldt | M::Ltr | M::Invlpg | M::Swapgs | M::Sysretq => {
            Lifter::general_protection
        }
        M::Sysret => Lifter::general_protection,
        M::Mov => return segment_or_control(insn),
        M::Cpuid => |l| l.call_plain(id::CPUID),
        M::Rdtsc => Lifter::rdtsc,
        M::Rdtscp => Lifter::rdtscp,
        M::Ldmxcsr => Lifter::ldmxcsr,
        M::Stmxcsr => Lifter::stmxcsr,
        M::Fxsave | M::Fxsave64 => Lifter::fxsave,
        M::Fxrstor | M::Fxrstor64 => Lifter::fxrstor,
        M::Rdfsbase => |l| l.read_base(FS_BASE),
        M::Rdgsbase => |l| l.read_base(GS_BASE),
        M::Wrfsbase => |l| l.write_base(FS_BASE),
        M::Wrgsbase => |l| l.write_base(GS_BASE),
        M::Xlatb => Lifter::xlatb,
        _ => return None,
    })
}

/// `MOV` of a segment register reads its selector; everything else there is privileged.
fn segment_or_control(insn: &Instruction) -> Option<Handler> {
    if insn.op_count() == 2 && insn.op_register(1).is_segment_register() {
        return Some(Lifter::mov_from_segment);
    }
    Some(Lifter::general_protection)
}

impl Lifter {
    fn prefetch(&mut self, how: Locality) {
        let Mem { addr, off } = self.address();
        self.ir.prefetch(how, addr, off);
    }

    /// The selector in a segment register: Linux gives a 64-bit program these for code and stack.
    pub(super) fn read_selector(&mut self, reg: Register) -> Val {
        match reg {
            Register::CS => self.ir.imm(0x33),
            Register::SS => self.ir.imm(0x2b),
            _ => self.ir.read_slot(selector(reg.number() as u16)),
        }
    }

    /// `MOV r/m, Sreg`: 16 bits into memory, zero-extended into registers.
    fn mov_from_segment(&mut self) {
        let value = self.read_selector(self.reg(1));
        if self.is_mem(0) {
            let mem = self.address();
            self.store(Width::W16, mem, value);
        } else {
            self.write_reg(self.reg(0), value);
        }
    }

    /// `INT n`: two gates are open to programs, the breakpoint's and the overflow's; the others are refused (SDM vol. 3A,
    /// 6.13: the error code names the gate).
    fn software_interrupt(&mut self) {
        match self.insn.immediate(0) & 0xff {
            vector @ (3 | 4) => self.interrupt(vector, 0, self.next()),
            gate => self.interrupt(13, gate << 3 | 2, self.here()),
        }
    }

    fn interrupt(&mut self, vector: u64, error: u64, pc: GuestAddr) {
        let exception = self.ir.imm(vector | error << 8);
        self.ir.write_slot(EXCEPTION, exception);
        self.raise(Trap::Interrupt, pc);
    }

    /// A helper that takes nothing.
    fn call_plain(&mut self, helper: HelperId) {
        let zero = self.ir.imm(0);
        self.call_state(helper, zero, zero, zero);
    }

    /// `RDTSC`
    fn rdtsc(&mut self) {
        let zero = self.ir.imm(0);
        let ticks = self.call_state(id::TIMESTAMP, zero, zero, zero);
        self.put_ticks(ticks);
    }

    /// `RDTSCP`: rcx is the processor number.
    fn rdtscp(&mut self) {
        let zero = self.ir.imm(0);
        let cpu = self.call_state(id::CPU_NUMBER, zero, zero, zero);
        let ticks = self.call_state(id::TIMESTAMP, zero, zero, zero);
        self.put_ticks(ticks);
        self.ir.write_slot(RCX, cpu);
    }

    fn put_ticks(&mut self, ticks: Val) {
        let (lo, hi) = (self.ir.zext(Width::W32, ticks), self.ir.extract(32, 32, ticks));
        self.ir.write_slot(RAX, lo);
        self.ir.write_slot(RDX, hi);
    }

    /// `LDMXCSR m32`: #GP on reserved bits; rounding is part of what a translation depends on.
    fn ldmxcsr(&mut self) {
        let value = self.load_operand(Width::W32);
        let mask = self.ir.imm(u64::from(MXCSR_MASK));
        let reserved = self.ir.andnot(Width::W64, value, mask);
        self.ir.trap_when(Trap::GeneralProtection, reserved);
        self.set_mxcsr(value);
    }

    pub(super) fn set_mxcsr(&mut self, value: Val) {
        self.ir.fpenv_set(value);
        self.ir.put(Width::W32, MXCSR, value);
        self.resync();
    }

    /// `STMXCSR m32`
    fn stmxcsr(&mut self) {
        let (mem, value) = (self.address(), self.ir.fpenv_get());
        self.store(Width::W32, mem, value);
    }

    /// Whether instruction and operand pointers are saved as 64 bits.
    fn is_wide_save(&self) -> bool {
        matches!(self.insn.mnemonic(), M::Fxsave64 | M::Fxrstor64)
    }

    /// `FXSAVE m512`
    fn fxsave(&mut self) {
        let mem = self.address();
        self.demand_alignment(mem, 16);
        let (addr, mxcsr) = (self.flat(mem), self.ir.fpenv_get());
        let wide = self.ir.imm(u64::from(self.is_wide_save()));
        self.call_state(id::FXSAVE, addr, mxcsr, wide);
    }

    /// `FXRSTOR m512`
    fn fxrstor(&mut self) {
        let mem = self.address();
        self.demand_alignment(mem, 16);
        let (addr, zero) = (self.flat(mem), self.ir.imm(0));
        let wide = self.ir.imm(u64::from(self.is_wide_save()));
        let mxcsr = self.call_state(id::FXRSTOR, addr, zero, wide);
        self.set_mxcsr(mxcsr);
    }

    /// `RDFSBASE`, `RDGSBASE`
    fn read_base(&mut self, slot: Slot) {
        let base = self.ir.read_slot(slot);
        let w = self.width(0);
        let clean = if w == Width::W32 { self.ir.zext(w, base) } else { base };
        self.write(0, clean);
    }

    /// `WRFSBASE`, `WRGSBASE`: #GP where it is no address.
    fn write_base(&mut self, slot: Slot) {
        let value = self.read_clean(0);
        if self.width(0) == Width::W64 {
            let extended = self.ir.sextract(0, 48, value);
            let different = self.ir.xor(Width::W64, value, extended);
            self.ir.trap_when(Trap::GeneralProtection, different);
        }
        self.ir.write_slot(slot, value);
    }

    /// `XLAT`: al = [rbx + al]
    fn xlatb(&mut self) {
        let w = if self.insn.memory_base() == Register::EBX { Width::W32 } else { Width::W64 };
        let (al, rbx) = (self.read_reg_clean(Register::AL), self.read_reg(Register::RBX));
        let mut addr = self.ir.add(w, rbx, al);
        if let Some(base) = self.segment_base() {
            addr = self.ir.add(Width::W64, base, addr);
        }
        let value = self.ir.load(Width::W8, Order::Tso, addr, 0);
        self.write_reg(Register::AL, value);
    }
}
