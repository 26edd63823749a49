//! What an architecture crate provides to the engine.

use crate::helper::HelperDef;
use crate::ir::Block;
use crate::linux::GuestLinux;
use crate::regs::RegisterTable;
use crate::state::{GuestState, Slot};
use crate::{GuestAddr, GuestMemory, Trap};

/// Guest code, as the lifter reads it.
pub trait CodeReader {
    /// Executable bytes from `pc` on: at least [`MAX_INSN_LEN`] of them, or fewer where memory that may
    /// be executed ends there.
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8];
    /// Whether the page is one that the guest had guarded against jumps (AArch64's PROT_BTI).
    fn is_guarded(&mut self, _pc: GuestAddr) -> bool {
        false
    }
}

/// The longest instruction of any architecture, in bytes.
pub const MAX_INSN_LEN: usize = 16;

/// What a translation depends on besides the code bytes: part of its key in the code cache.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct LiftConfig {
    /// The CPU model's features, as the architecture numbers them.
    pub features: u64,
    /// Control state that changes what code means ([`GuestArch::control_key`]).
    pub control: u64,
}

/// How far one block may go.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LiftLimits {
    pub max_insns: usize,
}

/// A CPU model that `-cpu` accepts.
#[derive(Clone, Copy, Debug)]
pub struct CpuModel {
    pub name: &'static str,
    pub description: &'static str,
    /// The architecture's feature bits.
    pub features: u64,
}

/// Why an instruction is not there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Absence {
    /// It is none, or one that is there to be illegal (`UD2`, `UDF`).
    NoInstruction,
    /// It belongs to an extension, named here, that the processor does not claim to have.
    NotAdvertised(String),
    /// The processor claims to have it (the extension is named): it is not implemented.
    Missing(String),
}

/// One disassembled instruction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Disassembly {
    pub text: String,
    /// Length in bytes; at least 1.
    pub len: usize,
}

/// A guest architecture.
pub trait GuestArch: Sync {
    /// The name used everywhere: `x86_64`, `aarch64`.
    fn name(&self) -> &'static str;
    /// `e_machine` of its ELF files.
    fn elf_machine(&self) -> u16;
    fn registers(&self) -> RegisterTable;
    /// Models that `-cpu` accepts; the first is the default.
    fn cpu_models(&self) -> &'static [CpuModel];
    /// Names of single features for `-cpu model,+feature`, with their bits.
    fn cpu_features(&self) -> &'static [(&'static str, u64)];
    /// The features that one rests on, without which it would not be there.
    fn cpu_feature_needs(&self, _feature: u64) -> u64 {
        0
    }
    /// Lifts a block at `pc`. Never fails: code that is no instruction becomes a trap, code that cannot
    /// be fetched a fetch fault, each only where no instruction stands before it in the block.
    fn lift(
        &self,
        config: &LiftConfig,
        limits: LiftLimits,
        code: &mut dyn CodeReader,
        pc: GuestAddr,
    ) -> Block;
    /// The control state that translations depend on.
    fn control_key(&self, state: &GuestState) -> u64;
    /// Functions that `call`, `call_vec` and `call_state` ops name by index.
    fn helpers(&self) -> &'static [HelperDef];
    /// One instruction as text, from at most [`MAX_INSN_LEN`] bytes. Bytes that are no instruction read
    /// as data.
    fn disassemble(&self, pc: GuestAddr, bytes: &[u8]) -> Disassembly;
    /// Why the instruction at the start of `bytes`, which lifts to an illegal one, is not there on a processor
    /// with these features.
    fn absence(&self, features: u64, bytes: &[u8]) -> Absence;
    /// The state of a thread before its first instruction, apart from pc and sp.
    fn initial_state(&self, features: u64) -> GuestState;
    /// Gives a process new secret keys (AArch64 pointer authentication): those whose bits are set in `which`.
    /// False where there are none.
    fn new_keys(&self, _state: &mut GuestState, _which: u64, _random: &mut dyn FnMut() -> u64) -> bool {
        false
    }
    /// Whether the state asks for a trap after each instruction (x86 EFLAGS.TF).
    fn single_steps(&self, state: &GuestState) -> bool;
    /// There is no code at the state's pc: where the architecture has it that the jump faults rather than what it led to
    /// ([`crate::state::JUMPED_FROM`]), takes the jump back and gives the trap.
    fn take_back_jump(&self, _state: &mut GuestState, _memory: &dyn GuestMemory) -> Option<Trap> {
        None
    }
    /// The process has a second thread, or had one. Control keys may have changed then.
    fn note_threads(&self) {}
    /// Many accesses have had tags (AArch64's top-byte-ignore): from now on code takes them off by itself. Whether that
    /// is news; control keys have changed then.
    fn take_tags_off(&self) -> bool {
        false
    }
    /// Where the stack pointer is, 64 bits.
    fn stack_slot(&self) -> Slot;
    /// How far a return moves the stack pointer, in bytes: what its call has put there.
    fn return_pops(&self) -> u8 {
        0
    }
    fn stack_pointer(&self, state: &GuestState) -> GuestAddr {
        GuestAddr(state.u64(self.stack_slot()))
    }
    fn set_stack_pointer(&self, state: &mut GuestState, sp: GuestAddr) {
        state.set_u64(self.stack_slot(), sp.raw());
    }
    /// The floating-point environment (MXCSR layout) that the state asks for: control and sticky bits.
    fn fp_environment(&self, state: &GuestState) -> u32;
    /// Takes the environment back after guest code has run.
    fn save_fp_environment(&self, state: &mut GuestState, mxcsr: u32);
    fn linux(&self) -> &'static dyn GuestLinux;
    /// A word about a trap for `-d unimp`: the mnemonic is disassembled by the caller.
    fn describe_trap(&self, trap: Trap) -> &'static str {
        match trap {
            Trap::Illegal => "illegal or unimplemented instruction",
            Trap::BadGate => "32-bit system call gate",
            _ => "trap",
        }
    }
}
