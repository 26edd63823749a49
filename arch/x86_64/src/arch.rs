//! The architecture as the engine sees it.

use crate::state::{
    EFLAGS_REST, MXCSR, MXCSR_DEFAULT, ORIG_RAX, RSP, X87_CONTROL, X87_CONTROL_DEFAULT, XCR0, eflags,
};
use crate::{cpu, helpers, jump, lift, linux, regs};
use guest::arch::{Absence, CodeReader, CpuModel, Disassembly, GuestArch, LiftConfig, LiftLimits};
use guest::helper::HelperDef;
use guest::ir::Block;
use guest::ir::flags::FlagRecord;
use guest::linux::GuestLinux;
use guest::regs::RegisterTable;
use guest::state::{GuestState, Slot};
use guest::{GuestAddr, GuestMemory, Trap};
use iced_x86::{Decoder, DecoderOptions, Formatter, GasFormatter, Mnemonic};

/// `EM_X86_64`
const ELF_MACHINE: u16 = 62;
/// Rounding control, flush-to-zero and denormals-are-zero: what compiled float code depends on.
const MXCSR_CONTROL: u64 = 0xffc0;

/// The x86-64 guest.
#[derive(Debug)]
pub struct Arch;

/// The x86-64 guest.
pub static X86_64: Arch = Arch;

impl GuestArch for Arch {
    fn name(&self) -> &'static str {
        "x86_64"
    }

    fn elf_machine(&self) -> u16 {
        ELF_MACHINE
    }

    fn registers(&self) -> RegisterTable {
        regs::table()
    }

    fn cpu_models(&self) -> &'static [CpuModel] {
        cpu::MODELS
    }

    fn cpu_features(&self) -> &'static [(&'static str, u64)] {
        cpu::FEATURE_NAMES
    }

    fn cpu_feature_needs(&self, feature: u64) -> u64 {
        cpu::needs(feature)
    }

    fn lift(
        &self,
        config: &LiftConfig,
        limits: LiftLimits,
        code: &mut dyn CodeReader,
        pc: GuestAddr,
    ) -> Block {
        lift::lift(config, limits, code, pc)
    }

    fn control_key(&self, state: &GuestState) -> u64 {
        u64::from(state.u32(MXCSR)) & MXCSR_CONTROL | state.u64(EFLAGS_REST) & eflags::AC
    }

    fn helpers(&self) -> &'static [HelperDef] {
        helpers::HELPERS
    }

    fn disassemble(&self, pc: GuestAddr, bytes: &[u8]) -> Disassembly {
        let insn = Decoder::with_ip(64, bytes, pc.0, DecoderOptions::NONE).decode();
        if insn.is_invalid() {
            let byte = bytes.first().copied().unwrap_or(0);
            return Disassembly { text: format!(".byte {byte:#04x}"), len: 1 };
        }
        let mut text = String::new();
        GasFormatter::new().format(&insn, &mut text);
        Disassembly { text, len: insn.len() }
    }

    fn absence(&self, features: u64, bytes: &[u8]) -> Absence {
        let insn = Decoder::new(64, bytes, DecoderOptions::NONE).decode();
        if insn.is_invalid() || matches!(insn.mnemonic(), Mnemonic::Ud0 | Mnemonic::Ud1 | Mnemonic::Ud2) {
            return Absence::NoInstruction;
        }
        let names: Vec<_> = insn.cpuid_features().iter().map(|feature| format!("{feature:?}")).collect();
        let names = names.join(" ");
        if cpu::advertises(features, &insn) { Absence::Missing(names) } else { Absence::NotAdvertised(names) }
    }

    fn initial_state(&self, features: u64) -> GuestState {
        let mut state = GuestState::default();
        FlagRecord::packed(0).store(&mut state);
        state.set_u32(MXCSR, MXCSR_DEFAULT);
        state.set_u16(X87_CONTROL, X87_CONTROL_DEFAULT);
        state.set_u64(ORIG_RAX, u64::MAX);
        state.set_u64(XCR0, cpu::components(features));
        state
    }

    fn single_steps(&self, state: &GuestState) -> bool {
        state.u64(EFLAGS_REST) & eflags::TF != 0
    }

    fn take_back_jump(&self, state: &mut GuestState, memory: &dyn GuestMemory) -> Option<Trap> {
        jump::take_back(state, memory)
    }

    fn stack_slot(&self) -> Slot {
        RSP
    }

    fn return_pops(&self) -> u8 {
        8
    }

    fn fp_environment(&self, state: &GuestState) -> u32 {
        state.u32(MXCSR)
    }

    fn save_fp_environment(&self, state: &mut GuestState, mxcsr: u32) {
        state.set_u32(MXCSR, mxcsr);
    }

    fn linux(&self) -> &'static dyn GuestLinux {
        &linux::LINUX
    }

    fn describe_trap(&self, trap: Trap) -> &'static str {
        match trap {
            Trap::Illegal => "illegal or unimplemented instruction",
            Trap::BadGate => "int 0x80: there are no 32-bit system calls here",
            Trap::GeneralProtection => "general protection fault",
            _ => "trap",
        }
    }
}
