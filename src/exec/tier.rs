//! Which tier runs a translation, and how a thread gets into compiled code and back.

use super::Env;
use super::cache::Cache;
use super::interp::{BlockEnd, Stop};
use super::jit::code_memory::{self, SlotAddr, slot_target};
use super::jit::compile_thread::{self, Insist, Job};
use super::jit::entry::{self, Context, Missed, OwnContext, exit};
use super::jit::template::{self, Emitter};
use super::jit::{self, AfterFault, BUDGET, Compiler, Follow, LENGTHENED, Limits, Moment};
use super::saved;
use super::translation::Translation;
use crate::host::fault_table::classify;
use crate::host::fp;
use crate::host::signals::Port;
use guest::ir::Block;
use guest::state::GuestState;
use guest::{GuestAddr, Trap};
use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// Runs in the interpreter before a block is worth making code of.
const WARM: u32 = 2;
/// Regions made on first sight: most of that code will not run often.
const FIRST_SIGHT_LIMITS: Limits = Limits { blocks: 3, insns: 64, least: 0, follow: Follow::Any };

/// MXCSR's exception masks.
const MASKS: u32 = 0x1f80;

/// What `--tier` asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TierMode {
    /// The interpreter first, then templates, then traces and regions for what is hot.
    #[default]
    Auto,
    /// The interpreter only.
    Interp,
    /// Templates only: single blocks on first sight, then traces.
    Template,
    /// Regions only, made on first sight.
    Jit,
}

/// A thread's choice of tiers.
#[derive(Clone, Debug)]
pub struct TierPolicy {
    mode: TierMode,
}

/// The choice for one run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Tier {
    Interpreter,
    /// Compiled code at this host address.
    Compiled(u64),
}

impl TierPolicy {
    #[must_use]
    pub const fn new(mode: TierMode) -> Self {
        Self { mode }
    }

    /// Chooses, counting the run. `state` is as before it; `hot` says what compiled code has told of. `lifted` is the IR of a
    /// new one.
    #[inline]
    pub fn choose(
        &self,
        cache: &'static Cache,
        translation: &Arc<Translation>,
        lifted: Option<&Block>,
        state: &GuestState,
        hot: Hot,
    ) -> Tier {
        let entry = translation.entry.load(Ordering::Acquire);
        if entry != 0 && self.mode != TierMode::Interp {
            return match hot {
                Hot::No => Tier::Compiled(entry),
                Hot::Block { arrived } => self.go_further(cache, translation, state, arrived),
                Hot::Missed(missed) => self.tell_of(cache, translation, missed),
            };
        }
        let runs = translation.runs.load(Ordering::Relaxed).wrapping_add(1);
        translation.runs.store(runs, Ordering::Relaxed);
        if self.mode == TierMode::Interp || (self.mode == TierMode::Auto && runs != WARM) {
            return match lifted {
                Some(ir) if self.mode == TierMode::Auto && saved::is_early() => {
                    make_early(cache, translation, ir, state)
                }
                _ => Tier::Interpreter,
            };
        }
        self.promote(cache, translation, state, runs)
    }

    /// Has code made of a block that others have run already.
    pub fn prepare(&self, cache: &Cache, translation: &Arc<Translation>, state: &GuestState) {
        let has_code = translation.entry.load(Ordering::Acquire) != 0;
        if self.mode == TierMode::Auto && !has_code && !translation.is_empty() {
            make_block(cache, translation, state);
        }
    }

    /// Has code made of a block.
    #[cold]
    fn promote(
        &self,
        cache: &'static Cache,
        translation: &Arc<Translation>,
        state: &GuestState,
        runs: u32,
    ) -> Tier {
        let once = runs == 1 || self.mode == TierMode::Auto;
        if translation.is_empty() || !once {
            return Tier::Interpreter;
        }
        if self.mode == TierMode::Jit {
            return compile_now(cache, translation);
        }
        make_block(cache, translation, state)
    }

    /// A block's counter has run out: a trace is made of it, or a region is asked for.
    #[cold]
    fn go_further(
        &self,
        cache: &'static Cache,
        translation: &Arc<Translation>,
        state: &GuestState,
        arrived: u64,
    ) -> Tier {
        let before = jit::runs_before(translation);
        let shorter = !translation.lengthened.load(Ordering::Relaxed);
        if shorter && (1..LENGTHENED).contains(&before) && may_wait(cache) {
            if let Some(template) = translation.template() {
                code_memory::set_counter(template.counter, LENGTHENED);
            }
        } else if !translation.lengthened.swap(true, Ordering::Relaxed) {
            if let Some(template) = translation.template() {
                code_memory::set_counter(template.counter, jit::left_of(before.max(LENGTHENED)));
            }
            // An earlier process has tried, and saved the trace if there was one.
            if before < LENGTHENED {
                with_emitter(|emitter| jit::compile_trace(emitter, cache, translation, state));
            }
        } else {
            self.ask_for_region(cache, translation, arrived);
        }
        compiled_or_not(translation)
    }

    /// A region's computed jump often leads elsewhere than expected; to `target`, this time.
    #[cold]
    fn tell_of(&self, cache: &'static Cache, target: &Translation, missed: Missed) -> Tier {
        if self.mode == TierMode::Auto {
            let (to, then) = ((target.pc, target.control), Moment::now());
            compile_thread::request(cache, Job::Missed { missed, to, then });
        }
        compiled_or_not(target)
    }

    /// Has the background compile a region from a hot block.
    fn ask_for_region(&self, cache: &'static Cache, translation: &Arc<Translation>, arrived: u64) {
        let Some(code) = translation.counting().filter(|_| !translation.has_region()) else { return };
        if code_memory::counter(code.counter) >= 0 {
            // It was entered through code that has been replaced.
            return;
        }
        code_memory::set_counter(code.counter, if self.mode == TierMode::Auto { BUDGET } else { NEVER });
        if self.mode == TierMode::Auto {
            let again = translation.asked.swap(true, Ordering::Relaxed);
            let insist = if again { Insist::Yes } else { Insist::No };
            compile_thread::request(cache, Job::Hot { head: Arc::clone(translation), arrived, insist });
        }
    }
}

/// Whether a trace may wait until its block has run as often in this process alone. In one that has lifted nothing yet, and
/// may end soon, the first lifting costs more (the decoder's tables) than the trace gains.
fn may_wait(cache: &Cache) -> bool {
    /// So many have to, so that what is really hot is not kept waiting for long.
    const MOST: u32 = 8;
    static WAITING: AtomicU32 = AtomicU32::new(0);
    cache.count() <= saved::in_use() as usize && WAITING.fetch_add(1, Ordering::Relaxed) < MOST
}

/// A counter that asks for nothing for long.
const NEVER: u32 = i32::MAX as u32;

/// What compiled code has just told of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hot {
    No,
    /// A block's counter has run out. What had led there is the slot `arrived`, or anything.
    Block {
        arrived: u64,
    },
    /// A region's computed jump often leads elsewhere than expected.
    Missed(Missed),
}

fn with_emitter<T>(f: impl FnOnce(&mut Emitter) -> T) -> T {
    thread_local! {
        static EMITTER: RefCell<Option<Emitter>> = const { RefCell::new(None) };
    }
    EMITTER.with_borrow_mut(|slot| f(slot.get_or_insert_with(Emitter::default)))
}

fn make_block(cache: &Cache, translation: &Arc<Translation>, state: &GuestState) -> Tier {
    if !template::supported() {
        return Tier::Interpreter;
    }
    with_emitter(|emitter| jit::compile_block(emitter, cache, translation, state));
    compiled_or_not(translation)
}

/// Makes code of a block that has not run yet, which is to be saved anyway.
fn make_early(cache: &Cache, translation: &Arc<Translation>, ir: &Block, state: &GuestState) -> Tier {
    if template::supported() {
        with_emitter(|emitter| jit::compile_lifted(emitter, cache, translation, ir, state));
    }
    compiled_or_not(translation)
}

fn compiled_or_not(translation: &Translation) -> Tier {
    match translation.entry.load(Ordering::Acquire) {
        0 => Tier::Interpreter,
        entry => Tier::Compiled(entry),
    }
}

fn compile_now(cache: &Cache, translation: &Arc<Translation>) -> Tier {
    thread_local! {
        static COMPILER: RefCell<Option<Compiler>> = const { RefCell::new(None) };
    }
    COMPILER.with_borrow_mut(|slot| {
        if slot.is_none() {
            *slot = Compiler::new();
        }
        if let Some(compiler) = slot {
            compiler.compile(cache, translation, FIRST_SIGHT_LIMITS);
        }
    });
    compiled_or_not(translation)
}

/// Ends the background compiler; it starts again when something gets hot.
pub fn stop_background() {
    compile_thread::stop();
}

/// Runs `f` while there is no background compiler: for fork.
pub fn without_background<T>(f: impl FnOnce() -> T) -> T {
    compile_thread::with_stopped(f)
}

/// One thread's way into compiled code.
pub struct Compiled {
    context: Option<OwnContext>,
    /// The slot that the last run left through.
    left_through: Option<u64>,
    hot: Hot,
}

/// Whether a translation may run compiled now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Allowed {
    Yes,
    /// An exception is unmasked: only the interpreter raises it where it belongs.
    No,
}

impl Compiled {
    #[must_use]
    pub const fn new() -> Self {
        Self { context: None, left_through: None, hot: Hot::No }
    }

    /// Whether the floating-point environment permits compiled code.
    #[must_use]
    pub fn allowed() -> Allowed {
        if fp::mxcsr() & MASKS == MASKS { Allowed::Yes } else { Allowed::No }
    }

    /// Forgets where indirect jumps lead (after an invalidation or a change of control state).
    pub fn forget(&mut self) {
        self.left_through = None;
        if let Some(context) = &mut self.context {
            context.forget_jumps();
        }
    }

    /// Guest instructions counted so far in blocks from templates and in regions.
    #[must_use]
    pub fn counted(&self) -> (u64, u64) {
        self.context.as_ref().map_or((0, 0), |context| (context.in_templates, context.in_regions))
    }

    /// Runs compiled code of `translation`; what it returned (see [`exit`]).
    #[inline]
    pub fn enter(
        &mut self,
        code: u64,
        translation: &Translation,
        state: &mut GuestState,
        env: &'static Env,
        port: &Port,
    ) -> u64 {
        let context = self.context.get_or_insert_with(|| OwnContext::new(env));
        match self.left_through.take() {
            Some(slot) => jit::link(slot, translation),
            None => context.learn_jump(translation.pc.raw(), code),
        }
        entry::run(code, state, port, context)
    }

    /// Computed jumps to a translation find its code, if there is some.
    pub fn expect(&mut self, translation: &Translation) {
        let entry = translation.entry.load(Ordering::Acquire);
        if let (Some(context), true) = (&mut self.context, entry != 0) {
            context.learn_jump(translation.pc.raw(), entry);
        }
    }

    /// What it means that compiled code has `returned` this.
    pub fn end(&mut self, returned: u64, state: &mut GuestState) -> BlockEnd {
        let Some(context) = &mut self.context else { unreachable!("compiled code has run in it") };
        match returned {
            exit::NEXT => BlockEnd::Next(GuestAddr(state.pc())),
            exit::RESYNC => BlockEnd::Resync(GuestAddr(state.pc())),
            exit::SYSCALL => BlockEnd::Syscall { next: GuestAddr(state.pc()) },
            exit::STOP => stopped(context, GuestAddr(state.pc())),
            exit::FAULT => faulted(context, state),
            exit::MISSED => {
                self.hot = Hot::Missed(context.take_missed());
                BlockEnd::Next(GuestAddr(state.pc()))
            }
            own if own >= exit::SLOT && own & exit::OWN_SLOT as u64 != 0 => {
                let slot = SlotAddr(own - exit::OWN_SLOT as u64);
                if code_memory::counter(slot) < 0 {
                    self.hot = Hot::Block { arrived: context.arrived };
                }
                BlockEnd::Next(GuestAddr(slot_target(slot)))
            }
            slot if slot >= exit::SLOT => {
                self.left_through = Some(slot);
                BlockEnd::Next(GuestAddr(slot_target(SlotAddr(slot))))
            }
            trap => {
                let trap = Trap::from_number((trap & 0xff) as u8).unwrap_or(Trap::Illegal);
                BlockEnd::Trap { trap, pc: GuestAddr(state.pc()) }
            }
        }
    }

    /// Runs compiled code of `translation`, and says how that ended.
    pub fn run(
        &mut self,
        code: u64,
        translation: &Translation,
        state: &mut GuestState,
        env: &'static Env,
        port: &Port,
    ) -> BlockEnd {
        let returned = self.enter(code, translation, state, env, port);
        self.end(returned, state)
    }

    /// What was told of in the last run.
    #[inline]
    pub fn take_hot(&mut self) -> Hot {
        std::mem::replace(&mut self.hot, Hot::No)
    }

    /// The last run's exit was not followed by compiled code.
    pub fn interpreted(&mut self) {
        self.left_through = None;
    }
}

impl Default for Compiled {
    fn default() -> Self {
        Self::new()
    }
}

fn stopped(context: &mut Context, pc: GuestAddr) -> BlockEnd {
    match context.stop.take() {
        Some(Stop::Fault(fault)) => BlockEnd::Fault { fault, pc },
        Some(Stop::Trap(trap)) => BlockEnd::Trap { trap, pc },
        Some(Stop::Leave { .. }) => unreachable!("side exits have code of their own"),
        None => unreachable!("a call-out that fails says why"),
    }
}

/// A fault of compiled code.
fn faulted(context: &Context, state: &mut GuestState) -> BlockEnd {
    match jit::after_fault(context.fault_pc, state.u32(entry::POINT_SLOT)) {
        Some(AfterFault::Raise { pc, access, owed }) => {
            context.write_owed(&owed, state);
            BlockEnd::Fault { fault: classify(context.fault, access), pc }
        }
        Some(AfterFault::Replay { from, at }) if context.fault.is_interruption() => {
            BlockEnd::Interrupted { from, at }
        }
        Some(AfterFault::Replay { from, .. }) => BlockEnd::Replay { pc: from },
        None => panic!("compiled code faulted outside of any guest access: {:?}", context.fault),
    }
}
