//! The engine's interpreter, run on one instruction.

use crate::case::{CODE, Case, DATA, DATA_LEN, FLAGS, Outcome, Registers, fill};
use crate::oracle;
use arch_x86_64::{X86_64, state as x86};
use guest::arch::{CodeReader, GuestArch, LiftConfig, LiftLimits};
use guest::ir::{Block, Terminator, passes, verify};
use guest::state::{GuestState, vector_slot};
use guest::{FaultKind, GuestAddr, Trap};
use qemu_lua::exec::Env;
use qemu_lua::exec::interp::{BlockEnd, Cells, run_block};
use qemu_lua::host::{fp, signals};

struct Code<'a>(&'a [u8]);

impl CodeReader for Code<'_> {
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        self.0.get((pc.0 - CODE) as usize..).unwrap_or(&[])
    }
}

/// The interpreter with its environment.
pub struct Machine {
    env: Env,
    cells: Cells,
}

impl Machine {
    pub fn new() -> Self {
        signals::install_fault_handlers();
        Self { env: Env::new(&X86_64, X86_64.cpu_models()[0].features), cells: Cells::default() }
    }

    /// The case's instruction as IR; none where it is not implemented.
    pub fn lift(&self, case: &Case) -> Option<Block> {
        let mut code = [0x90; 64];
        code[..case.len].copy_from_slice(&case.code[..case.len]);
        let config = LiftConfig { features: self.env.features, control: 0 };
        let mut block = X86_64.lift(&config, LiftLimits { max_insns: 1 }, &mut Code(&code), GuestAddr(CODE));
        if matches!(block.terminator, Terminator::Trap { trap: Trap::Illegal, .. }) {
            return None;
        }
        passes::optimize(&mut block);
        verify(&block).unwrap();
        Some(block)
    }

    /// Runs `block` from the case's state; a repeated instruction until it is done.
    pub fn run(&mut self, case: &Case, block: &Block, outcome: &mut Outcome) {
        let mut data = [0; DATA_LEN];
        fill(case.seed, &mut data);
        self.run_with(case, block, &data, outcome);
    }

    /// The same with the data pages given.
    pub fn run_with(&mut self, case: &Case, block: &Block, data: &[u8; DATA_LEN], outcome: &mut Outcome) {
        oracle::put_data(data);
        oracle::put_code(&case.code);
        let mut state = load(&case.before);
        fp::set_mxcsr(case.before.mxcsr);
        let mut end = run_block(block, &mut state, &self.env, &mut self.cells);
        for _ in 0..100_000 {
            if !case.repeated || end != BlockEnd::Next(GuestAddr(CODE)) {
                break;
            }
            end = run_block(block, &mut state, &self.env, &mut self.cells);
        }
        let mxcsr = fp::mxcsr();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        X86_64.save_fp_environment(&mut state, mxcsr);
        outcome.signal = settle(end, &mut state);
        outcome.after = store(&state);
        oracle::get_data(&mut outcome.data);
    }
}

/// Puts the pc where the end says; the signal it means.
fn settle(end: BlockEnd, state: &mut GuestState) -> i32 {
    let (pc, signal) = match end {
        BlockEnd::Next(pc) | BlockEnd::Resync(pc) | BlockEnd::Syscall { next: pc } => (pc, 0),
        BlockEnd::Fault { fault, pc } if fault.kind == FaultKind::BeyondEnd => (pc, libc::SIGBUS),
        BlockEnd::Fault { pc, .. } => (pc, libc::SIGSEGV),
        BlockEnd::Trap { trap, pc } => {
            state.set_pc(pc.0);
            (pc, X86_64.linux().trap_signal(trap, state).signal as i32)
        }
    };
    state.set_pc(pc.0);
    // The oracle takes the breakpoint's signal for the single step's.
    if signal == libc::SIGTRAP { 0 } else { signal }
}

fn load(from: &Registers) -> GuestState {
    let mut state = X86_64.initial_state(0);
    for (n, &value) in from.gpr.iter().enumerate() {
        state.set_u64(x86::gpr(n as u16), value);
    }
    for (n, &value) in from.xmm.iter().enumerate() {
        state.set_u128(vector_slot(n as u16), value);
    }
    for (n, value) in from.st.iter().enumerate() {
        state.bytes_at_mut(x86::st(n as u16), 10).copy_from_slice(&value.to_le_bytes()[..10]);
    }
    state.set_pc(CODE);
    state.set_u64(x86::GS_BASE, DATA);
    x86::write_eflags(&mut state, from.eflags);
    state.set_u32(x86::MXCSR, from.mxcsr);
    state.set_u16(x86::X87_CONTROL, from.fcw);
    state.set_u16(x86::X87_STATUS, from.fsw);
    state.set_u8(x86::X87_TAGS, from.ftw);
    state
}

fn store(state: &GuestState) -> Registers {
    let mut to = Registers::new();
    for (n, value) in to.gpr.iter_mut().enumerate() {
        *value = state.u64(x86::gpr(n as u16));
    }
    for (n, value) in to.xmm.iter_mut().enumerate() {
        *value = state.u128(vector_slot(n as u16));
    }
    for (n, value) in to.st.iter_mut().enumerate() {
        *value = state.u128(x86::st(n as u16)) & ((1 << 80) - 1);
    }
    to.rip = state.pc();
    to.eflags = x86::read_eflags(state) & FLAGS;
    to.mxcsr = state.u32(x86::MXCSR);
    to.fcw = state.u16(x86::X87_CONTROL);
    to.fsw = state.u16(x86::X87_STATUS);
    to.ftw = state.u8(x86::X87_TAGS);
    to
}
