//! The engine's two tiers, run on one instruction.

use crate::case::{CODE, Case, DATA, DATA_LEN, FLAGS, Outcome, Registers, fill};
use crate::oracle;
use arch_x86_64::{X86_64, state as x86};
use guest::arch::{CodeReader, GuestArch, LiftConfig, LiftLimits};
use guest::ir::{Block, Effect, Terminator, passes, verify};
use guest::state::{GuestState, vector_slot};
use guest::{FaultKind, GuestAddr, Trap};
use qemu_lua::exec::Env;
use qemu_lua::exec::cache::{Cache, Translation};
use qemu_lua::exec::interp::{BlockEnd, Cells, run_block};
use qemu_lua::exec::jit::{Compiler, Follow, Limits};
use qemu_lua::exec::tier::Compiled;
use qemu_lua::host::signals::Port;
use qemu_lua::host::{fp, signals};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

struct Code<'a>(&'a [u8]);

impl CodeReader for Code<'_> {
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        self.0.get((pc.0 - CODE) as usize..).unwrap_or(&[])
    }
}

/// What runs the instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    Interpreter,
    Compiled,
}

/// A region is the instruction alone, or the sequence up to its end.
const LIMITS: Limits = Limits { blocks: 1, insns: 400, follow: Follow::Ran(0) };

/// Both tiers with their environment.
pub struct Machine {
    env: &'static Env,
    cells: Cells,
    compiler: Compiler,
    compiled: Compiled,
    port: Port,
    /// What was compiled last.
    translation: Option<Arc<Translation>>,
}

fn env() -> &'static Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| Env::new(&X86_64, X86_64.cpu_models()[0].features))
}

impl Machine {
    pub fn new() -> Self {
        signals::install_fault_handlers();
        Self {
            env: env(),
            cells: Cells::default(),
            compiler: Compiler::new().unwrap(),
            compiled: Compiled::new(),
            port: Port::default(),
            translation: None,
        }
    }

    /// Compiles the block, for runs on that tier; not if it would never end.
    pub fn compile(&mut self, block: &Block) -> bool {
        self.translation = None;
        let repeats = block.ops.iter().any(|op| op.effect() == Effect::Commits);
        let again = match block.terminator {
            Terminator::Jump { target, .. } => target == block.pc,
            Terminator::Branch { taken, other, .. } => taken == block.pc || other == block.pc,
            _ => false,
        };
        if again && !repeats {
            return false;
        }
        let cache = Cache::get(self.env);
        cache.clear();
        let made = cache.insert(block.clone());
        assert!(self.compiler.compile(cache, &made, LIMITS), "does not compile: {block}");
        self.translation = Some(made);
        true
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
    pub fn run(&mut self, case: &Case, block: &Block, tier: Tier, outcome: &mut Outcome) {
        let mut data = [0; DATA_LEN];
        fill(case.seed, &mut data);
        self.run_with(case, block, &data, tier, outcome);
    }

    /// The same with the data pages given.
    pub fn run_with(
        &mut self,
        case: &Case,
        block: &Block,
        data: &[u8; DATA_LEN],
        tier: Tier,
        outcome: &mut Outcome,
    ) {
        oracle::put_data(data);
        oracle::put_code(&case.code);
        let mut state = load(&case.before);
        fp::set_mxcsr(case.before.mxcsr);
        let mut end = self.once(block, tier, &mut state);
        for _ in 0..100_000 {
            if !case.repeated || end != BlockEnd::Next(GuestAddr(CODE)) {
                break;
            }
            end = self.once(block, tier, &mut state);
        }
        let mxcsr = fp::mxcsr();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        X86_64.save_fp_environment(&mut state, mxcsr);
        outcome.signal = settle(end, &mut state);
        outcome.after = store(&state);
        oracle::get_data(&mut outcome.data);
    }

    fn once(&mut self, block: &Block, tier: Tier, state: &mut GuestState) -> BlockEnd {
        match (tier, &self.translation) {
            (Tier::Compiled, Some(made)) => {
                let entry = made.entry.load(Ordering::Acquire);
                self.compiled.interpreted();
                self.compiled.run(entry, made, state, self.env, &self.port)
            }
            _ => run_block(block, state, self.env, &mut self.cells),
        }
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
        state.set_u128(vector_slot(n as u16).plus(16), from.ymm_high[n]);
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
        to.ymm_high[n] = state.u128(vector_slot(n as u16).plus(16));
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
