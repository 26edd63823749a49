//! A translation: a block of guest code, its IR, and the code that was made of it.

use super::jit::code_memory::{self, SlotAddr};
use super::saved::{self, BlockNumber, BlockRecord};
use super::window::Origin;
use super::{cache::Cache, jit};
use guest::GuestAddr;
use guest::ir::{Block, Hint, Terminator, passes};
use std::fmt;
use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// A translation.
pub struct Translation {
    pub pc: GuestAddr,
    /// The control state it was lifted for.
    pub control: u64,
    /// Bytes of guest code from its first instruction to the end of its last one.
    pub code_len: u64,
    pub origin: Origin,
    pub block: Lifted,
    /// How often it has run in the interpreter.
    pub runs: AtomicU32,
    /// Its code from templates: entry and counter, or 0. Alone, and with the blocks behind it.
    template: [AtomicU64; 2],
    trace: [AtomicU64; 2],
    /// Whether it was to become the head of a trace.
    pub lengthened: AtomicBool,
    /// Host address of its compiled code; 0 while there is none.
    pub entry: AtomicU64,
    /// Whether a region was asked for already.
    pub asked: AtomicBool,
    /// Cleared when its code has changed: it must not be entered any more.
    pub valid: AtomicBool,
    /// The compiled regions that it is part of.
    regions: Mutex<Vec<Arc<jit::Compiled>>>,
}

/// A block's IR. That of a block whose code was saved is lifted when somebody asks for it.
pub struct Lifted {
    block: OnceLock<Box<Block>>,
    saved: Option<BlockNumber>,
}

impl fmt::Display for Lifted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl Deref for Lifted {
    type Target = Block;
    fn deref(&self) -> &Block {
        self.block.get_or_init(|| {
            let lifted = self.saved.and_then(|number| saved::lift(Cache::made_for()?, number));
            Box::new(finished(lifted.expect("a block is there, or its record, which was read before")))
        })
    }
}

/// The block after the passes.
pub fn finished(mut block: Block) -> Block {
    verify(&block);
    passes::optimize(&mut block);
    verify(&block);
    block
}

/// Checked builds verify every block: a violation is a lifter's or a pass's bug.
fn verify(block: &Block) {
    if cfg!(debug_assertions)
        && let Err(error) = guest::ir::verify(block)
    {
        panic!("invalid IR: {error}\n{block}");
    }
}

impl Translation {
    /// A block that has just been lifted.
    pub fn new(block: Block, control: u64, origin: Origin) -> Self {
        let (pc, code_len) = (block.pc, block.code_len());
        let block = Lifted { block: OnceLock::from(Box::new(block)), saved: None };
        Self::with(pc, control, code_len, origin, block)
    }

    /// A block whose code was saved.
    pub fn saved(record: &BlockRecord, number: BlockNumber) -> Self {
        let end = record.start.wrapping_add(record.guest_len.into());
        let block = Lifted { block: OnceLock::new(), saved: Some(number) };
        let (pc, origin) = (GuestAddr(record.pc), Origin::Saved(number));
        Self::with(pc, record.control, end.wrapping_sub(record.pc), origin, block)
    }

    fn with(pc: GuestAddr, control: u64, code_len: u64, origin: Origin, block: Lifted) -> Self {
        Self {
            pc,
            control,
            code_len,
            origin,
            block,
            runs: AtomicU32::new(0),
            template: [AtomicU64::new(0), AtomicU64::new(0)],
            trace: [AtomicU64::new(0), AtomicU64::new(0)],
            lengthened: AtomicBool::new(false),
            entry: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            valid: AtomicBool::new(true),
            regions: Mutex::default(),
        }
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
        self.runs.load(Ordering::Relaxed).saturating_add(counted).saturating_add(before)
    }

    /// How often it has run at most: with the runs of the traces that it is part of.
    pub fn runs_in_traces(&self) -> u32 {
        let traces = self
            .regions()
            .iter()
            .filter(|r| r.is_trace())
            .map(|r| r.head().runs())
            .fold(0, u32::saturating_add);
        self.runs().saturating_add(traces)
    }

    /// Whether the first slot of its code from templates, behind the counter, is no way out but says where the
    /// computed jump led last.
    pub fn notes_target(&self) -> bool {
        matches!(self.block.terminator, Terminator::Indirect { hint: Hint::None | Hint::Call(_), .. })
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
    pub fn regions(&self) -> MutexGuard<'_, Vec<Arc<jit::Compiled>>> {
        self.regions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A block's code from templates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Template {
    pub entry: u64,
    pub counter: SlotAddr,
}

impl Template {
    fn read(words: &[AtomicU64; 2]) -> Option<Self> {
        let [entry, counter] = [0, 1].map(|word: usize| words[word].load(Ordering::Acquire));
        (entry != 0).then_some(Self { entry, counter: SlotAddr(counter) })
    }

    fn write(self, words: &[AtomicU64; 2]) {
        words[1].store(self.counter.0, Ordering::Release);
        words[0].store(self.entry, Ordering::Release);
    }
}
