//! One guest thread's processor: its state and the loop that runs translations until something needs the
//! world outside.

use super::Env;
use super::cache::{Cache, behind_page};
use super::interp::{BlockEnd, Cells, run_block};
use super::jit::{self, HOT_LIMITS, entry::exit};
use super::offspring::{self, Report};
use super::recycle;
use super::tier::{Allowed, Compiled, Tier, TierPolicy};
use super::translation::Translation;
use crate::debug;
use crate::host::signals::{self, Port};
use crate::mem::{self, space};
use guest::ir::{Block, Width};
use guest::state::{GuestState, JUMPED_FROM};
use guest::{Access, Fault, FaultKind, GuestAddr, Trap};
use std::cell::OnceCell;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Entries of a thread's own cache: so few at first, because many threads end soon, and so many where they are missed.
const FIRST_ENTRIES: usize = 256;
const MOST_ENTRIES: usize = 16384;
const GROWTH: usize = 8;

/// Why [`Vcpu::run`] came back. The state is exact.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Exit {
    /// The poll flag is set.
    Poll,
    /// A system call instruction has run; pc is behind it.
    Syscall,
    /// pc is where the trap wants it.
    Trap(Trap),
    /// pc is at the instruction that faulted.
    Fault(Fault),
}

/// An entry of the thread's own cache.
struct Local {
    pc: u64,
    translation: Arc<Translation>,
}

fn no_entries(count: usize) -> Box<[Option<Local>]> {
    (0..count).map(|_| None).collect()
}

/// Makes the system call that the state is behind, if that may be done at once. Whether it was: the thread goes on at the
/// state's pc.
pub type Direct = fn(&Env, &mut GuestState, &Port) -> bool;

pub struct Vcpu {
    pub state: Box<GuestState>,
    pub port: Arc<Port>,
    pub env: &'static Env,
    /// Where nobody wants to hear of calls that are the host's alone.
    pub direct: Option<Direct>,
    interpreted: u64,
    cache: &'static Cache,
    cells: Cells,
    local: Box<[Option<Local>]>,
    /// How often a translation was not in `local` since that has had its size.
    missed: usize,
    control: u64,
    /// Whether code takes tags off addresses, as far as this thread knows.
    untags: bool,
    policy: TierPolicy,
    compiled: Compiled,
    /// Blocks that the interpreter runs next, whatever code there is of them.
    replay: u32,
}

/// Blocks that are interpreted after a fault of compiled code, unless they meet the fault: what lies between two
/// commit points passes each block of a region once at most, or some tens of times where it only reads.
const REPLAYED: u32 = 128;

/// Guest instructions run, by tier.
#[derive(Clone, Copy, Default, Debug)]
pub struct Stats {
    pub interpreted: u64,
    pub templates: u64,
    pub regions: u64,
}

impl Vcpu {
    pub fn new(env: &'static Env, state: Box<GuestState>, policy: TierPolicy) -> Self {
        let port = Arc::new(Port::default());
        let cache = Cache::get(env);
        cache.register(Arc::clone(&port));
        if Cache::running_threads() > 1 {
            env.arch.note_threads();
        }
        let mut vcpu = Self {
            state,
            port,
            env,
            direct: None,
            interpreted: 0,
            cache,
            cells: Cells::default(),
            local: no_entries(FIRST_ENTRIES),
            missed: 0,
            control: 0,
            untags: false,
            policy,
            compiled: Compiled::new(),
            replay: 0,
        };
        vcpu.control_changed();
        vcpu
    }

    /// To be called when the state was changed from outside: control bits may differ now.
    pub fn control_changed(&mut self) {
        let control = self.env.arch.control_key(&self.state);
        if control != self.control {
            self.compiled.forget();
        }
        self.control = control;
    }

    /// Forgets this thread's own cache (after an invalidation).
    pub fn forget_translations(&mut self) {
        self.local.fill_with(|| None);
        self.compiled.forget();
    }

    /// Where the guest instructions ran; compiled code counts only under `-d stats`.
    pub fn stats(&self) -> Stats {
        let (templates, regions) = self.compiled.counted();
        Stats { interpreted: self.interpreted, templates, regions }
    }

    /// Before a fork: has what forked children have run ready for the next one, where it is code of a file. Calls that they
    /// made are given to `prepare_call`.
    pub fn prepare_for_children(&mut self, prepare_call: impl Fn(u64)) {
        offspring::each_new(|report| match report {
            Report::Block { pc, control } => self.prepare_block(pc, control),
            Report::Call { number } => prepare_call(number),
            Report::Link { slot, pc, control } => {
                if let Some(target) = self.cache.peek(pc, control) {
                    jit::link_number(slot, &target);
                }
            }
        });
    }

    fn prepare_block(&mut self, pc: u64, control: u64) {
        if space().mapping(GuestAddr(pc)).is_some_and(|(_, mapping)| mapping.is_file_code()) {
            let translation = self.cache.translation(pc, control);
            translation.reported.store(true, Ordering::Relaxed);
            self.policy.prepare(self.cache, &translation, &self.state);
            let index = self.local_index(pc);
            if control == self.control && self.local[index].is_none() {
                self.compiled.expect(&translation);
                self.local[index] = Some(Local { pc, translation });
            }
        }
    }

    pub fn cache(&self) -> &'static Cache {
        self.cache
    }

    /// The same policy for another thread.
    #[must_use]
    pub fn policy(&self) -> TierPolicy {
        self.policy.clone()
    }

    /// Runs guest code until something happens.
    pub fn run(&mut self) -> Exit {
        self.control_changed();
        if self.env.arch.single_steps(&self.state) {
            return self.step();
        }
        loop {
            if recycle::is_wanted() {
                recycle::recycle(self.cache, &self.state);
            }
            if self.port.poll.load(Ordering::Acquire) != 0 {
                return Exit::Poll;
            }
            let end = self.run_noted();
            match self.settle(end) {
                Some(exit) => return exit,
                None => {
                    if self.env.arch.single_steps(&self.state) {
                        return self.step();
                    }
                }
            }
        }
    }

    /// The same as [`Self::run_translation`], which is noted while it lasts.
    fn run_noted(&mut self) -> BlockEnd {
        self.port.enter_code(recycle::epoch());
        let end = match self.port.poll.load(Ordering::Acquire) {
            0 => self.run_translation(),
            _ => BlockEnd::Next(GuestAddr(self.state.pc())),
        };
        self.port.leave_code();
        end
    }

    /// Runs translations from the current pc as long as they just go on.
    fn run_translation(&mut self) -> BlockEnd {
        let mut pc = self.state.pc();
        let allowed = Compiled::allowed();
        self.compiled.interpreted();
        loop {
            let index = self.local_index(pc);
            let (new, mut lifted) = (OnceCell::new(), None);
            let translation = match &self.local[index] {
                Some(local) if local.pc == pc && local.translation.control == self.control => {
                    &local.translation
                }
                _ => match self.look_up(pc, &mut lifted) {
                    None => return interrupted_before(GuestAddr(pc)),
                    // Most of what is new does not run again.
                    Some(translation) if lifted.is_some() => new.get_or_init(|| translation),
                    Some(translation) => {
                        let index = self.place_for(pc);
                        &self.local[index].insert(Local { pc, translation }).translation
                    }
                },
            };
            if debug::enabled(debug::item::EXEC) {
                debug::trace_execution(pc);
            }
            let tier = match allowed {
                Allowed::Yes if self.replay > 0 => {
                    self.replay -= 1;
                    Tier::Interpreter
                }
                Allowed::Yes => {
                    let hot = self.compiled.take_hot();
                    self.policy.choose(self.cache, translation, lifted.as_ref(), &self.state, hot)
                }
                Allowed::No => Tier::Interpreter,
            };
            let end = match tier {
                Tier::Interpreter => self.port.execute(|| {
                    self.compiled.interpreted();
                    let block = lifted.as_ref().unwrap_or_else(|| &translation.block);
                    self.interpreted += block.insns.len() as u64;
                    run_block(block, &mut self.state, self.env, &mut self.cells)
                }),
                Tier::Compiled(code) => {
                    let (state, port) = (&mut self.state, &self.port);
                    match port.execute(|| self.compiled.enter(code, translation, state, self.env, port)) {
                        Some(exit::SYSCALL) if self.call_directly() => {
                            Some(BlockEnd::Next(GuestAddr(self.state.pc())))
                        }
                        returned => returned.map(|value| self.compiled.end(value, &mut self.state)),
                    }
                }
            };
            if let Some(block) = lifted {
                block.recycle();
            }
            let Some(end) = end else { return interrupted_before(GuestAddr(pc)) };
            pc = match end {
                BlockEnd::Next(next) => next.raw(),
                BlockEnd::Replay { pc } => {
                    self.replay = REPLAYED;
                    if self.mind_tags() {
                        return BlockEnd::Resync(pc);
                    }
                    pc.raw()
                }
                _ => {
                    self.replay = 0;
                    return end;
                }
            };
            if self.port.poll.load(Ordering::Relaxed) != 0 || recycle::is_wanted() {
                return BlockEnd::Next(GuestAddr(pc));
            }
        }
    }

    /// Whether the system call that compiled code has come to was made at once.
    #[inline]
    fn call_directly(&mut self) -> bool {
        let Some(call) = self.direct else { return false };
        // It may wait for long.
        self.port.leave_code();
        let done = call(self.env, &mut self.state, &self.port);
        self.port.enter_code(recycle::epoch());
        done
    }

    /// The translation at `pc`, whose IR goes to `lifted` if it is new; nothing where a signal has come first.
    fn look_up(&self, pc: u64, lifted: &mut Option<Block>) -> Option<Arc<Translation>> {
        if !self.wait_for_code(pc) {
            return None;
        }
        let found = self.cache.look_up(pc, self.control, lifted);
        if offspring::is_reporting() && !found.reported.load(Ordering::Relaxed) {
            found.reported.store(true, Ordering::Relaxed);
            offspring::report(Report::Block { pc, control: self.control });
        }
        Some(found)
    }

    /// Where pages may be waited for, those of the instruction at `pc` are waited for here: no lock is held, and a signal ends
    /// it. Whether none has.
    fn wait_for_code(&self, pc: u64) -> bool {
        let interrupted = |fault: Fault| fault.kind == FaultKind::Interrupted;
        let is_there = |at: u64| {
            let load = || mem::access::load(Width::W8, GuestAddr(at));
            self.port.execute(load).is_some_and(|got| !got.is_err_and(interrupted))
        };
        !signals::pages_are_waited_for()
            || is_there(pc)
                && (!self.cache.goes_on_behind_page(pc, self.control) || is_there(behind_page(pc)))
    }

    fn local_index(&self, pc: u64) -> usize {
        (pc >> 1 ^ pc >> 13) as usize & (self.local.len() - 1)
    }

    /// Where a translation goes that was missed.
    fn place_for(&mut self, pc: u64) -> usize {
        self.missed += 1;
        if self.missed > self.local.len() && self.local.len() < MOST_ENTRIES {
            self.local = no_entries(self.local.len() * GROWTH);
            self.missed = 0;
        }
        self.local_index(pc)
    }

    /// Puts the pc where the block's end says; an exit, or `None` to go on.
    fn settle(&mut self, end: BlockEnd) -> Option<Exit> {
        match end {
            BlockEnd::Next(pc) => {
                self.state.set_pc(pc.raw());
                None
            }
            BlockEnd::Resync(pc) => {
                self.state.set_pc(pc.raw());
                self.control_changed();
                None
            }
            BlockEnd::Syscall { next } => {
                self.state.set_pc(next.raw());
                Some(Exit::Syscall)
            }
            BlockEnd::Trap { trap, pc } => {
                self.state.set_pc(pc.raw());
                Some(Exit::Trap(trap))
            }
            BlockEnd::Fault { fault, pc } => self.faulted(fault, pc),
            BlockEnd::Interrupted { from, at } => Some(self.interrupted(from, at)),
            BlockEnd::Replay { .. } => unreachable!("only the loop over translations sees it"),
        }
    }

    /// A fault that is ours (a write into a page with translations) is answered by running the one
    /// instruction again with the page released.
    fn faulted(&mut self, fault: Fault, pc: GuestAddr) -> Option<Exit> {
        self.state.set_pc(pc.raw());
        if fault.kind == FaultKind::Interrupted {
            return Some(Exit::Poll);
        }
        if fault.access == Access::Fetch
            && let Some(trap) = self.env.arch.take_back_jump(&mut self.state, &mem::Memory)
        {
            return Some(Exit::Trap(trap));
        }
        // The address may be one with a tag that only the interpreter takes off.
        let tagged = fault.kind == FaultKind::NonCanonical && mem::ignores_top_byte();
        let released = !tagged && mem::release_code(&fault);
        // Where code takes tags off, the single instruction tells of the fault with the tag.
        let told_again = !tagged && !released && mem::access::tags_are_frequent();
        if !tagged && !released && !told_again {
            return Some(Exit::Fault(fault));
        }
        if tagged {
            self.mind_tags();
        }
        match self.run_single() {
            BlockEnd::Fault { fault, pc }
                if fault.kind == FaultKind::NonCanonical
                    || (told_again && fault.kind != FaultKind::Interrupted) =>
            {
                self.state.set_pc(pc.raw());
                Some(Exit::Fault(fault))
            }
            end => self.settle(end),
        }
    }

    /// A signal has come at an access in a region: the interpreter goes from the last commit point to the instruction,
    /// where the state is exact.
    fn interrupted(&mut self, from: GuestAddr, at: GuestAddr) -> Exit {
        self.state.set_pc(from.raw());
        // Memory may have changed so that it is not reached; then any other will do as well.
        for _ in 0..HOT_LIMITS.insns {
            if self.state.pc() == at.raw() {
                break;
            }
            let end = run_block(&self.single(), &mut self.state, self.env, &mut self.cells);
            if let Some(exit) = self.settle(end) {
                return exit;
            }
        }
        Exit::Poll
    }

    /// Where tagged accesses have become frequent, every thread's code is to be lifted anew. Whether they just have.
    fn mind_tags(&mut self) -> bool {
        let frequent = !self.untags && mem::access::tags_are_frequent();
        if frequent {
            self.untags = true;
            if self.env.arch.take_tags_off() {
                self.cache.clear();
            }
        }
        frequent
    }

    /// Lifts exactly one instruction, bypassing the cache.
    fn single(&mut self) -> Block {
        self.interpreted += 1;
        self.cache.lift_one(self.state.pc(), self.control)
    }

    /// Lifts and interprets it.
    fn run_single(&mut self) -> BlockEnd {
        let block = self.single();
        let run = || run_block(&block, &mut self.state, self.env, &mut self.cells);
        let end = self.port.execute(run).unwrap_or_else(|| interrupted_before(block.pc));
        block.recycle();
        end
    }

    /// Runs one instruction, then raises [`Trap::SingleStep`].
    pub fn step(&mut self) -> Exit {
        if self.port.poll.load(Ordering::Acquire) != 0 {
            return Exit::Poll;
        }
        let pc = self.state.pc();
        self.state.set_u64(JUMPED_FROM, pc);
        let end = self.run_single();
        if let Some(exit) = self.settle(end) {
            return exit;
        }
        let taken_back = self.env.arch.take_back_jump(&mut self.state, &mem::Memory);
        Exit::Trap(taken_back.unwrap_or(Trap::SingleStep))
    }
}

/// A signal has come before the instruction at `pc` is executed.
fn interrupted_before(pc: GuestAddr) -> BlockEnd {
    let fault = Fault { addr: pc, access: Access::Fetch, kind: FaultKind::Interrupted };
    BlockEnd::Fault { fault, pc }
}

impl Drop for Vcpu {
    fn drop(&mut self) {
        self.cache.unregister(&self.port);
    }
}
