//! The engine's tiers, run on one instruction or a sequence.

use crate::case::{AC, CODE, Case, DATA, DATA_LEN, FLAGS, Filled, Outcome, Registers};
use crate::oracle;
use crate::tiers::{Tier, Tiers, is_endless};
use arch_x86_64::{X86_64, state as x86};
use guest::arch::{CodeReader, GuestArch, LiftConfig, LiftLimits};
use guest::ir::{Block, Terminator, passes, verify};
use guest::state::{GuestState, vector_slot};
use guest::{GuestAddr, Trap};
use qemu_lua::exec::Env;
use qemu_lua::exec::interp::BlockEnd;
use qemu_lua::exec::translation::Translation;
use qemu_lua::host::{fp, signals};
use qemu_lua::mem::Memory;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::OnceLock;

/// A case's code: a single instruction has more behind it, a sequence nothing.
struct Code<'a>(&'a [u8]);

impl CodeReader for Code<'_> {
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        self.0.get((pc.0 - CODE) as usize..).unwrap_or(&[])
    }
}

/// What each tier has made of a block.
type Made = [Option<Arc<Translation>>; 3];

/// A mistake in lifted code.
pub type Bug = fn(&mut Block);

/// The tiers with their environment.
pub struct Machine {
    tiers: Tiers,
    bug: Option<Bug>,
    /// The blocks of the case that was loaded last, by pc and by what of the control state they were lifted for, and
    /// what each tier has made of them.
    blocks: HashMap<(u64, u64), (Block, Made)>,
    compilable: bool,
    filled: Option<Filled>,
}

fn env() -> &'static Env {
    static ENV: OnceLock<Env> = OnceLock::new();
    ENV.get_or_init(|| Env::new(&X86_64, X86_64.cpu_models()[0].features))
}

impl Machine {
    pub fn new() -> Self {
        signals::install_fault_handlers();
        Self { tiers: Tiers::new(env()), bug: None, blocks: HashMap::new(), compilable: false, filled: None }
    }

    /// Makes the mistake in everything that is lifted from now on.
    pub fn plant(&mut self, bug: Bug) {
        self.bug = Some(bug);
    }

    /// Takes the case's code; false where it is not implemented.
    pub fn load(&mut self, case: &Case) -> bool {
        self.blocks.clear();
        self.tiers.forget();
        let Some(block) = self.lift(case, CODE) else { return false };
        self.compilable = !is_endless(&block);
        self.blocks.insert((CODE, lifted_for(case)), (block, [const { None }; 3]));
        true
    }

    /// Whether the case's first instruction is implemented.
    pub fn implements(&self, case: &Case) -> bool {
        self.lift(&Case { insns: 1, ..*case }, CODE).is_some()
    }

    /// While SSE exceptions are unmasked, the engine interprets.
    pub fn can_run(&self, tier: Tier, case: &Case) -> bool {
        tier == Tier::Interpreter || self.compilable && !has_unmasked(case)
    }

    /// The code at `pc` as IR; none where it is not implemented.
    fn lift(&self, case: &Case, pc: u64) -> Option<Block> {
        let single = case.insns == 1;
        let code = &case.code[..if single { case.len + 64 } else { case.len }];
        let config = LiftConfig {
            features: self.tiers.env.features,
            control: X86_64.control_key(&load(&case.before)),
        };
        let limits = LiftLimits { max_insns: if single { 1 } else { 64 } };
        let mut block = X86_64.lift(&config, limits, &mut Code(code), GuestAddr(pc));
        if matches!(block.terminator, Terminator::Trap { trap: Trap::Illegal, .. }) {
            return None;
        }
        if let Some(bug) = self.bug {
            bug(&mut block);
        }
        passes::optimize(&mut block);
        verify(&block).unwrap();
        Some(block)
    }

    /// Runs the case that was loaded from its state; a repeated instruction until it is done.
    pub fn run(&mut self, case: &Case, tier: Tier, outcome: &mut Outcome) {
        let mut filled = self.filled.take().unwrap_or_default();
        self.run_with(case, filled.get(case.seed), tier, outcome);
        self.filled = Some(filled);
    }

    /// The same with the data pages given.
    pub fn run_with(&mut self, case: &Case, data: &[u8; DATA_LEN], tier: Tier, outcome: &mut Outcome) {
        oracle::put_data(data);
        oracle::put_code(case);
        let mut state = load(&case.before);
        let (mut tier, mut end) = (tier, self.once(case, CODE, tier, &mut state));
        for _ in 0..100_000 {
            if let BlockEnd::Replay { pc } = end {
                tier = Tier::Interpreter;
                end = self.once(case, pc.0, tier, &mut state);
            }
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
        let key = (pc, lifted_for(case));
        if !self.blocks.contains_key(&key) {
            let block = self.lift(case, pc).unwrap_or_else(|| panic!("a sequence of what is implemented"));
            self.blocks.insert(key, (block, [const { None }; 3]));
        }
        let Some((block, made)) = self.blocks.get_mut(&key) else { unreachable!("just put there") };
        fp::set_mxcsr(X86_64.fp_environment(state));
        let made = made[tier as usize].get_or_insert_with(|| {
            // A region takes in only what was lifted for the same control state.
            let made = self.tiers.insert(block, lifted_for(case));
            self.tiers.compile(&made, tier, state);
            made
        });
        let end = self.tiers.run(made, tier, state);
        let mxcsr = fp::mxcsr();
        fp::set_mxcsr(fp::DEFAULT_MXCSR);
        X86_64.save_fp_environment(state, mxcsr);
        end
    }
}

/// Whether an SSE exception is unmasked: then instructions that may raise one start blocks.
fn has_unmasked(case: &Case) -> bool {
    case.before.mxcsr & 0x1f80 != 0x1f80
}

/// What of the case's control state code is lifted for: whether an SSE exception is unmasked, and whether accesses
/// are checked for alignment.
fn lifted_for(case: &Case) -> u64 {
    u64::from(has_unmasked(case)) | case.before.eflags & AC
}

/// Puts the pc where the end says; the signal it means.
fn settle(end: BlockEnd, state: &mut GuestState) -> i32 {
    let (pc, signal) = match end {
        BlockEnd::Next(pc) | BlockEnd::Resync(pc) | BlockEnd::Syscall { next: pc } => (pc, 0),
        BlockEnd::Fault { fault, pc } => {
            state.set_pc(pc.0);
            (pc, X86_64.linux().fault_signal(fault, state, &Memory).signal as i32)
        }
        BlockEnd::Trap { trap, pc } => {
            state.set_pc(pc.0);
            (pc, X86_64.linux().trap_signal(trap, state).signal as i32)
        }
        BlockEnd::Replay { .. } => unreachable!("the interpreter went on there"),
        BlockEnd::Interrupted { .. } => unreachable!("no page is waited for"),
    };
    state.set_pc(pc.0);
    // The oracle takes the breakpoint's signal for the single step's.
    if signal == libc::SIGTRAP { 0 } else { signal }
}

fn load(from: &Registers) -> GuestState {
    let mut state = X86_64.initial_state(env().features);
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
    state.set_u16(x86::X87_STATUS, from.settled_fsw());
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
