//! A translation: a block of guest code, its IR, and the code that was made of it.

use super::jit::code_memory::{self, SlotAddr};
use super::saved::{self, BlockNumber, BlockRecord};
use super::window::{Origin, Recorded, notes_target};
use super::{Env, cache, cache::Cache, jit};
use guest::GuestAddr;
use guest::arch::{LiftConfig, LiftLimits};
use guest::ir::{Block, passes};
use once_cell::race::OnceBox;
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A translation. Where it is, [its IR](Lifted) knows too.
pub struct Translation {
    /// Bytes of guest code from its first instruction to the end of its last one.
    pub code_len: u32,
    pub block: Lifted,
    /// How often it has run in the interpreter.
    pub runs: AtomicU32,
    /// Its code from templates. Alone, and with the blocks behind it.
    template: Words,
    trace: Words,
    /// Whether it was to become the head of a trace.
    pub lengthened: AtomicBool,
    /// Who forked this process knows that it runs here.
    pub reported: AtomicBool,
    /// Host address of its compiled code; 0 while there is none.
    pub entry: AtomicU64,
    /// Whether a region was asked for already.
    pub asked: AtomicBool,
    /// Whether it is in the cache: not any more once its code has changed, and then it must not be entered. Changed with the
    /// cache locked.
    pub kept: AtomicBool,
    /// The compiled regions that it is part of: most blocks are in none.
    regions: OnceBox<Mutex<Vec<Arc<jit::Compiled>>>>,
}

/// A block's IR, which is lifted when somebody asks for it: most of the blocks that run once do not run again, and
/// with code at hand only the compiler of regions asks.
pub struct Lifted {
    /// Set without waiting: a thread that forks while another one lifts leaves its child nobody who would end that.
    block: OnceBox<Block>,
    at: Place,
    origin: Origin,
}

/// What a translation is of.
#[derive(Clone, Copy)]
pub struct Place {
    pub pc: GuestAddr,
    /// The control state it was lifted for.
    pub control: u64,
}

impl Deref for Translation {
    type Target = Place;
    fn deref(&self) -> &Place {
        &self.block.at
    }
}

impl fmt::Display for Lifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Deref for Lifted {
    type Target = Block;
    fn deref(&self) -> &Block {
        self.block.get_or_init(|| self.lift().kept())
    }
}

impl Lifted {
    /// Hands the IR to `f`, and does not keep it for that.
    pub fn with<T>(&self, f: impl FnOnce(&Block) -> T) -> T {
        self.with_made(|| self.lift(), f)
    }

    /// The same for templates, which leave out themselves what the passes would drop.
    pub fn with_lifted<T>(&self, f: impl FnOnce(&Block) -> T) -> T {
        self.with_made(|| self.lift_anew(), f)
    }

    fn with_made<T>(&self, make: impl FnOnce() -> Block, f: impl FnOnce(&Block) -> T) -> T {
        if let Some(block) = self.block.get() {
            return f(block);
        }
        let block = make();
        let result = f(&block);
        block.recycle();
        result
    }

    fn lift(&self) -> Block {
        finished(self.lift_anew())
    }

    fn lift_anew(&self) -> Block {
        let lifted = Cache::made_for().and_then(|env| match &self.origin {
            Origin::Unknown => None,
            Origin::Saved(number) => saved::lift(env, *number),
            Origin::Memory(code) => {
                let Place { pc, control } = self.at;
                let start = pc.raw().wrapping_sub(code.before.into());
                let recorded = Recorded { start, bytes: &code.bytes, guarded: code.guarded };
                Some(lift_recorded(env, recorded, pc, control))
            }
        });
        let block = lifted.expect("a block is there, or what it was lifted from");
        verify(&block);
        block
    }
}

/// Lifts recorded code.
pub fn lift_recorded(env: &Env, mut code: Recorded<'_>, pc: GuestAddr, control: u64) -> Block {
    let config = LiftConfig { features: env.features, control };
    let limits = LiftLimits { max_insns: cache::max_block_insns() };
    env.arch.lift(&config, limits, &mut code, pc)
}

/// The block after the passes.
pub fn finished(mut block: Block) -> Block {
    verify(&block);
    passes::optimize(&mut block);
    verify(&block);
    block
}

/// Checked builds verify every block: a violation is a lifter's or a pass's bug.
pub fn verify(block: &Block) {
    if cfg!(debug_assertions)
        && let Err(error) = guest::ir::verify(block)
    {
        panic!("invalid IR: {error}\n{block}");
    }
}

impl Translation {
    /// A block whose IR is this.
    pub fn of_block(block: Block, control: u64) -> Self {
        let (pc, code_len) = (block.pc, block.code_len() as u32);
        let kept = OnceBox::with_value(block.kept());
        Self::with(code_len, Lifted { block: kept, at: Place { pc, control }, origin: Origin::Unknown })
    }

    /// The same, to be lifted again from `origin` if need be.
    pub fn of_origin(block: &Block, control: u64, origin: Origin) -> Self {
        let lifted = Lifted { block: OnceBox::new(), at: Place { pc: block.pc, control }, origin };
        Self::with(block.code_len() as u32, lifted)
    }

    /// A block whose code was saved.
    pub fn saved(record: &BlockRecord, number: BlockNumber) -> Self {
        let end = record.start.wrapping_add(record.guest_len.into());
        let (at, origin) =
            (Place { pc: GuestAddr(record.pc), control: record.control }, Origin::Saved(number));
        let new =
            Self::with(end.wrapping_sub(record.pc) as u32, Lifted { block: OnceBox::new(), at, origin });
        new.asked.store(jit::has_asked(saved::runs(number)), Ordering::Relaxed);
        new
    }

    fn with(code_len: u32, block: Lifted) -> Self {
        Self {
            code_len,
            block,
            runs: AtomicU32::new(0),
            template: Words::default(),
            trace: Words::default(),
            lengthened: AtomicBool::new(false),
            reported: AtomicBool::new(false),
            entry: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            kept: AtomicBool::new(false),
            regions: OnceBox::new(),
        }
    }

    /// What it was lifted from.
    pub fn origin(&self) -> &Origin {
        &self.block.origin
    }

    /// Whether there is no instruction in it.
    pub fn is_empty(&self) -> bool {
        self.code_len == 0
    }

    /// Its code from templates.
    pub fn template(&self) -> Option<Template> {
        Template::read(&self.template)
    }

    pub fn set_template(&self, template: Template) {
        template.write(&self.template);
    }

    /// The trace that it is the head of.
    pub fn trace(&self) -> Option<Template> {
        Template::read(&self.trace)
    }

    pub fn set_trace(&self, trace: Template) {
        self.lengthened.store(true, Ordering::Relaxed);
        trace.write(&self.trace);
    }

    pub fn take_trace(&self) {
        self.trace[0].store(0, Ordering::Release);
    }

    /// The code that counts its runs, while it has no region.
    pub fn counting(&self) -> Option<Template> {
        self.trace().or_else(|| self.template())
    }

    /// Counts its runs from the start, to become the head of a trace or region again.
    pub fn start_again(&self) {
        let Some(code) = self.counting() else { return };
        let is_trace = self.trace().is_some();
        self.lengthened.store(is_trace, Ordering::Relaxed);
        code_memory::set_counter(code.counter, if is_trace { jit::BUDGET } else { jit::LENGTHENED });
    }

    /// Whether it is entered through a region.
    pub fn has_region(&self) -> bool {
        let entry = self.entry.load(Ordering::Acquire);
        entry != 0 && [self.template(), self.trace()].into_iter().flatten().all(|code| code.entry != entry)
    }

    /// How often it has run, as far as that was counted.
    pub fn runs(&self) -> u32 {
        let whole = if self.lengthened.load(Ordering::Relaxed) { jit::BUDGET } else { jit::LENGTHENED };
        let counted = self
            .counting()
            .map_or(0, |code| whole.saturating_sub(code_memory::counter(code.counter).max(0) as u32));
        // Its counter started anew when it ran out.
        let before = if self.asked.load(Ordering::Relaxed) { jit::BUDGET } else { 0 };
        let here = self.runs.load(Ordering::Relaxed).saturating_add(counted).saturating_add(before);
        here.max(jit::runs_before(self))
    }

    /// The same for the next process, in which it is to ask for a region soon if it has done so here and got none.
    pub fn lasting_runs(&self) -> u32 {
        let runs = self.runs();
        let is_waiting = jit::has_asked(runs) && !self.has_region() && !jit::is_in_region(self);
        if is_waiting { jit::BUDGET - 1 } else { runs }
    }

    /// How often it has run at most: with the runs of the traces that it is part of.
    pub fn runs_in_traces(&self) -> u32 {
        let traces = self
            .regions()
            .iter()
            .filter(|r| r.is_trace())
            .map(|r| r.head().runs())
            .fold(0, u32::saturating_add);
        self.runs().saturating_add(traces).saturating_add(jit::runs_in_saved_traces(self))
    }

    /// Whether the first slot of its code from templates, behind the counter, is no way out but says where the
    /// computed jump led last.
    pub fn notes_target(&self) -> bool {
        match self.origin() {
            Origin::Memory(code) => code.notes_target,
            _ => notes_target(&self.block.terminator),
        }
    }

    /// Where its computed jump led last, as far as its code from templates has seen.
    pub fn last_target(&self) -> Option<GuestAddr> {
        let template = self.template().filter(|_| self.notes_target())?;
        let slot = SlotAddr(template.counter.0 + code_memory::SLOT_BYTES as u64);
        let seen = code_memory::slot_target(slot);
        (seen != 0).then_some(GuestAddr(seen))
    }

    /// Its code from templates, which it has no more.
    pub fn take_template(&self) -> Option<Template> {
        let template = self.template();
        self.template[0].store(0, Ordering::Release);
        template
    }

    /// Leads to `to` from now on if it led to `from`. Whether it did.
    pub fn leave(&self, from: u64, to: u64) -> bool {
        self.entry.compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// The compiled regions that it is part of.
    pub fn regions(&self) -> Vec<Arc<jit::Compiled>> {
        self.regions.get().map_or_else(Vec::new, |regions| lock(regions).clone())
    }

    pub fn add_region(&self, region: Arc<jit::Compiled>) {
        lock(self.regions.get_or_init(Box::default)).push(region);
    }

    /// The same, and it is part of none from now on.
    pub fn take_regions(&self) -> Vec<Arc<jit::Compiled>> {
        self.regions.get().map_or_else(Vec::new, |regions| std::mem::take(&mut *lock(regions)))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A block's code from templates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Template {
    pub entry: u64,
    pub counter: SlotAddr,
}

/// The same as translations have it: where it is entered, from the start of code memory, or 0; and the counter's number.
type Words = [AtomicU32; 2];

impl Template {
    fn read(words: &Words) -> Option<Self> {
        let [entry, counter] = [0, 1].map(|word: usize| words[word].load(Ordering::Acquire));
        (entry != 0).then(|| Self {
            entry: code_memory::code_at(entry),
            counter: code_memory::slot_at(counter as usize),
        })
    }

    fn write(self, words: &Words) {
        words[1].store(code_memory::number_of(self.counter), Ordering::Release);
        words[0].store(code_memory::offset_of(self.entry), Ordering::Release);
    }
}
