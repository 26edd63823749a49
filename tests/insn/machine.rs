//! The engine's two tiers, run on one instruction or a sequence.

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
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};

/// A case's code: a single instruction has more behind it, a sequence nothing.
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
    /// The blocks of the case that was loaded last, by pc, and their compiled form.
    blocks: HashMap<u64, (Block, Option<Arc<Translation>>)>,
    compilable: bool,
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
            blocks: HashMap::new(),
            compilable: false,
        }
    }

    /// Takes the case's code; false where it is not implemented.
    pub fn load(&mut self, case: &Case) -> bool {
        self.blocks.clear();
        Cache::get(self.env).clear();
        let Some(block) = self.lift(case, CODE) else { return false };
        // Compiled, what leads to itself is not left until it is done: never, unless it does something.
        let repeats = block.ops.iter().any(|op| op.effect() == Effect::Commits);
        let again = match block.terminator {
            Terminator::Jump { target, .. } => target == block.pc,
            Terminator::Branch { taken, other, .. } => taken == block.pc || other == block.pc,
            _ => false,
        };
        self.compilable = !again || repeats;
        self.blocks.insert(CODE, (block, None));
        true
    }

    /// Whether the case's first instruction is implemented.
    pub fn implements(&self, case: &Case) -> bool {
        self.lift(&Case { insns: 1, ..*case }, CODE).is_some()
    }

    pub fn can_run(&self, tier: Tier) -> bool {
        tier == Tier::Interpreter || self.compilable
    }

    /// The code at `pc` as IR; none where it is not implemented.
    fn lift(&self, case: &Case, pc: u64) -> Option<Block> {
        let single = case.insns == 1;
        let code = &case.code[..if single { case.len + 64 } else { case.len }];
        let config = LiftConfig { features: self.env.features, control: 0 };
        let limits = LiftLimits { max_insns: if single { 1 } else { 64 } };
        let mut block = X86_64.lift(&config, limits, &mut Code(code), GuestAddr(pc));
        if matches!(block.terminator, Terminator::Trap { trap: Trap::Illegal, .. }) {
            return None;
        }
        passes::optimize(&mut block);
        verify(&block).unwrap();
        Some(block)
    }

    /// Runs the case that was loaded from its state; a repeated instruction until it is done.
    pub fn run(&mut self, case: &Case, tier: Tier, outcome: &mut Outcome) {
        let mut data = [0; DATA_LEN];
        fill(case.seed, &mut data);
        self.run_with(case, &data, tier, outcome);
    }

    /// The same with the data pages given.
    pub fn run_with(&mut self, case: &Case, data: &[u8; DATA_LEN], tier: Tier, outcome: &mut Outcome) {
        oracle::put_data(data);
        oracle::put_code(case);
        let mut state = load(&case.before);
        let mut end = self.once(case, CODE, tier, &mut state);
        for _ in 0..100_000 {
            let (BlockEnd::Next(next) | BlockEnd::Resync(next)) = end else { break };
            let inside = (CODE..CODE + case.len as u64).contains(&next.0);
            let goes_on = if case.insns > 1 { inside } else { case.repeated && next.0 == CODE };
            if !goes_on {
                break;
            }
            end = self.once(case, next.0, tier, &mut state);
        }
        outcome.signal = settle(end, &mut state);
        outcome.after = store(&state);
        oracle::get_data(&mut outcome.data);
    }

    /// Runs the block at `pc` once, under the state's floating-point environment.
    fn once(&mut self, case: &Case, pc: u64, tier: Tier, state: &mut GuestState) -> BlockEnd {
        if !self.blocks.contains_key(&pc) {
            let block = self.lift(case, pc).unwrap_or_else(|| panic!("a sequence of what is implemented"));
            self.blocks.insert(pc, (block, None));
        }
        let Some((block, made)) = self.blocks.get_mut(&pc) else { unreachable!("just put there") };
        fp::set_mxcsr(X86_64.fp_environment(state));
        let end = match tier {
            Tier::Interpreter => run_block(block, state, self.env, &mut self.cells),
            Tier::Compiled => {
                let cache = Cache::get(self.env);
                let made = made.get_or_insert_with(|| {
                    let made = cache.insert(block.clone());
                    assert!(self.compiler.compile(cache, &made, LIMITS), "does not compile: {block}");
                    made
                });
                let entry = made.entry.load(Ordering::Acquire);
                self.compiled.interpreted();
                self.compiled.run(entry, made, state, self.env, &self.port)
            }
        };
        let mxcsr = fp::mxcsr();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        X86_64.save_fp_environment(state, mxcsr);
        end
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
