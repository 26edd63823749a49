//! The contract's implementation: mostly a table of contents.

use crate::state::{FEATURES, FPCR, FPSR, KEY_COUNT, KEYS, SP};
use crate::{decode, disasm, features, fpenv, guarded, helpers, lift, linux, regs};
use guest::GuestAddr;
use guest::arch::{Absence, CodeReader, CpuModel, Disassembly, GuestArch, LiftConfig, LiftLimits};
use guest::helper::HelperDef;
use guest::ir::Block;
use guest::ir::flags::FlagRecord;
use guest::linux::GuestLinux;
use guest::regs::RegisterTable;
use guest::state::{GuestState, Slot};

/// The AArch64 architecture.
pub struct AArch64;

pub static AARCH64: AArch64 = AArch64;

const EM_AARCH64: u16 = 183;

impl GuestArch for AArch64 {
    fn name(&self) -> &'static str {
        "aarch64"
    }

    fn elf_machine(&self) -> u16 {
        EM_AARCH64
    }

    fn registers(&self) -> RegisterTable {
        regs::registers()
    }

    fn cpu_models(&self) -> &'static [CpuModel] {
        features::MODELS
    }

    fn cpu_features(&self) -> &'static [(&'static str, u64)] {
        features::FEATURES
    }

    fn lift(
        &self,
        config: &LiftConfig,
        limits: LiftLimits,
        code: &mut dyn CodeReader,
        pc: GuestAddr,
    ) -> Block {
        lift::lift_block(config, limits, code, pc)
    }

    fn control_key(&self, state: &GuestState) -> u64 {
        state.u64(FPCR) | guarded::control()
    }

    fn helpers(&self) -> &'static [HelperDef] {
        helpers::TABLE
    }

    fn disassemble(&self, _pc: GuestAddr, bytes: &[u8]) -> Disassembly {
        disasm::disassemble(bytes)
    }

    fn absence(&self, features: u64, bytes: &[u8]) -> Absence {
        let word = bytes.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
        word.map_or(Absence::NoInstruction, |word| decode::absence(word, features))
    }

    fn initial_state(&self, features: u64) -> GuestState {
        let mut state = GuestState::default();
        state.set_u64(FEATURES, features);
        FlagRecord::packed(0).store(&mut state);
        state
    }

    fn new_keys(&self, state: &mut GuestState, which: u64, random: &mut dyn FnMut() -> u64) -> bool {
        for key in (0..KEY_COUNT).filter(|key| which >> key & 1 != 0) {
            let slot = KEYS.plus(16 * key);
            state.set_u64(slot, random());
            state.set_u64(slot.plus(8), random());
        }
        state.u64(FEATURES) & features::PAUTH != 0
    }

    fn single_steps(&self, _state: &GuestState) -> bool {
        false
    }

    fn note_threads(&self) {
        guarded::note_threads();
    }

    fn take_tags_off(&self) -> bool {
        guarded::take_tags_off()
    }

    fn stack_slot(&self) -> Slot {
        SP
    }

    fn fp_environment(&self, state: &GuestState) -> u32 {
        fpenv::environment(state.u64(FPCR), state.u64(FPSR))
    }

    fn save_fp_environment(&self, state: &mut GuestState, mxcsr: u32) {
        state.set_u64(FPSR, fpenv::sticky(mxcsr));
    }

    fn linux(&self) -> &'static dyn GuestLinux {
        &linux::LINUX
    }
}
