//! Alignment checks, which a program asks for by EFLAGS.AC (SDM vol. 3A, 6.15, "Interrupt 17").
//!
//! The flag is a part of the control key, so code that is lifted while it is clear has none of this. Every access
//! of an instruction is checked before the instruction does anything: a processor sees the address before it
//! looks for the page. An address that it cannot form at all is left to the access.

use super::operand::gpr_slot;
use super::{Lifter, mmx};
use crate::state::{FS_BASE, GS_BASE, X87_STATUS};
use guest::Trap;
use guest::ir::{IntCc, Val, Width};
use iced_x86::{
    CodeSize, CpuidFeature, EncodingKind, Instruction, InstructionInfoFactory, MemorySize, Mnemonic as M,
    Register, UsedMemory,
};

/// Bits of an address that exist.
const ADDRESS_BITS: u8 = 48;
/// In the x87's status word: an exception is pending.
const PENDING_BIT: u8 = 7;

impl Lifter {
    /// Raises #AC where an access of the instruction is not aligned.
    pub(super) fn check_alignment(&mut self) {
        if has_own_rule(&self.insn) {
            return;
        }
        let mut factory = InstructionInfoFactory::new();
        let used = factory.info(&self.insn).used_memory().to_vec();
        let accesses = self.accesses(&used);
        for memory in &used {
            let bytes = alignment(&self.insn, memory);
            if bytes > 1 {
                self.check_access(memory, bytes, accesses);
            }
        }
    }

    fn check_access(&mut self, memory: &UsedMemory, bytes: u64, accesses: Option<Val>) {
        let mut addr = self.address_of(memory);
        if self.insn.mnemonic() == M::Enter {
            // What lies there is not written, but could be: the new top of the stack.
            let size = self.ir.imm(self.insn.immediate(0));
            addr = self.ir.or(Width::W64, addr, size);
        }
        let (low, zero) = (self.ir.imm(bytes - 1), self.ir.imm(0));
        let rest = self.ir.and(Width::W64, addr, low);
        let extended = self.ir.sextract(0, ADDRESS_BITS, addr);
        let exists = self.ir.icmp(IntCc::Eq, Width::W64, extended, addr);
        let mut bad = self.ir.select(exists, rest, zero);
        if let Some(accesses) = accesses {
            bad = self.ir.select(accesses, bad, zero);
        }
        self.ir.trap_when(Trap::Alignment, bad);
    }

    /// Whether the instruction comes to its accesses at all, where that depends on the state: a string instruction may
    /// be repeated 0 times, and a pending x87 exception is raised first.
    fn accesses(&mut self, used: &[UsedMemory]) -> Option<Val> {
        if waits(&self.insn) {
            let status = self.ir.read_slot_w(Width::W16, X87_STATUS);
            let pending = self.ir.extract(PENDING_BIT, 1, status);
            let one = self.ir.imm(1);
            return Some(self.ir.xor(Width::W64, pending, one));
        }
        let repeated = self.insn.has_rep_prefix() || self.insn.has_repne_prefix();
        if !repeated || !self.insn.is_string_instruction() {
            return None;
        }
        let narrow = used.iter().any(|memory| memory.address_size() == CodeSize::Code32);
        Some(self.read_reg_clean(if narrow { Register::ECX } else { Register::RCX }))
    }

    fn address_of(&mut self, memory: &UsedMemory) -> Val {
        let mut offset = self.ir.imm(memory.displacement());
        for (reg, scale) in [(memory.base(), 1), (memory.index(), memory.scale())] {
            if reg != Register::None {
                let scale = self.ir.imm(scale as u64);
                let value = self.ir.read_slot(gpr_slot(reg));
                let scaled = self.ir.mul(Width::W64, value, scale);
                offset = self.ir.add(Width::W64, offset, scaled);
            }
        }
        if memory.address_size() == CodeSize::Code32 {
            offset = self.ir.zext(Width::W32, offset);
        }
        let base = match memory.segment() {
            Register::FS => Some(self.ir.read_slot(FS_BASE)),
            Register::GS => Some(self.ir.read_slot(GS_BASE)),
            _ => None,
        };
        self.plus_segment(offset, base)
    }
}

/// What an access must be aligned to.
fn alignment(insn: &Instruction, memory: &UsedMemory) -> u64 {
    // Of a repeated instruction, iced gives no size for the whole.
    let size = if insn.is_string_instruction() { insn.memory_size() } else { memory.memory_size() };
    match (insn.mnemonic(), size.size()) {
        (M::Maskmovq | M::Maskmovdqu | M::Vmaskmovdqu, _) => 8,
        // The x87's environment and state, by operand size.
        (M::Fnstenv | M::Fldenv, 14) | (M::Fnsave | M::Frstor, 94) => 2,
        (M::Fnstenv | M::Fldenv | M::Fnsave | M::Frstor, _) => 4,
        // Where it is not aligned to 16 either, #GP follows.
        (M::Fxsave | M::Fxsave64 | M::Fxrstor | M::Fxrstor64, _) => 4,
        // Of a far pointer, its offset.
        _ if size == MemorySize::SegPtr16 => 2,
        (_, 6) => 4,
        (_, size @ (2 | 4 | 8)) => size as u64,
        (_, 10) => 8,
        (_, 16 | 32) => 16,
        _ => 1,
    }
}

/// Whether it raises a pending x87 exception.
fn waits(insn: &Instruction) -> bool {
    use CpuidFeature as F;
    let x87 = |feature| matches!(feature, &F::FPU | &F::FPU287 | &F::FPU387);
    match insn.mnemonic() {
        M::Fnstenv | M::Fnsave | M::Fnstcw | M::Fnstsw => false,
        _ => mmx::touches_mmx(insn) || insn.cpuid_features().iter().any(x87),
    }
}

/// Instructions that are never checked (masked moves and gathers; what the kernel does for the program, or refuses),
/// and those that check alignment without being asked to, and raise #GP.
fn has_own_rule(insn: &Instruction) -> bool {
    let vex = insn.encoding() == EncodingKind::VEX;
    match insn.mnemonic() {
        M::Vmaskmovps | M::Vmaskmovpd | M::Vpmaskmovd | M::Vpmaskmovq => true,
        M::Sgdt | M::Sidt | M::Sldt | M::Str | M::Smsw => true,
        M::Insb | M::Insw | M::Insd | M::Outsb | M::Outsw | M::Outsd => true,
        M::Vmovaps | M::Vmovapd | M::Vmovdqa | M::Vmovntdqa => true,
        M::Vmovntps | M::Vmovntpd | M::Vmovntdq => true,
        M::Movups | M::Movupd | M::Movdqu | M::Lddqu | M::Maskmovdqu => false,
        M::Pcmpestri | M::Pcmpestrm | M::Pcmpistri | M::Pcmpistrm => false,
        M::Pcmpestri64 | M::Pcmpestrm64 => false,
        _ => insn.is_privileged() || insn.is_vsib() || !vex && insn.memory_size().size() == 16,
    }
}
