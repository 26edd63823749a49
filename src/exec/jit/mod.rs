//! Compiled code: single blocks and traces from templates (tier 1), regions of hot blocks from Cranelift (tier 2).
//!
//! Everything that stays after a compilation is here: the code, which regions there are, and how they lead
//! to each other. A block from templates is a region of one block as far as all this goes, a trace one of several. Regions are left
//! through slots (see [`code_memory`]) that start out leading back to the run loop; when the target is compiled
//! the run loop makes the slot lead there.
//!
//! # Why no thread runs a region after its guest code has changed
//! `Cache::invalidate` holds the cache's lock while it drops translations, and for each of them cuts off the
//! regions made from it, under this module's lock: the head's entry becomes 0, and every slot that leads
//! to the region leads to the run loop again. [`link`] takes the same lock and checks the entry, so no
//! slot leads to the region afterwards. What is left are threads that hold its address: in a register, in
//! their jump cache, or as their pc. Before `invalidate` returns, every thread's poll flag is set; a region
//! looks at the flag before anything else, and on each back-edge (where a loop only reads, on one in 32). So a thread
//! that enters later leaves at once, and one that is inside leaves soon, as on a real processor. On its way
//! through the run loop it clears the flag, and only then forgets its jump cache: an address that it
//! learns after that comes from a translation that was valid after the flag was cleared, or the flag is
//! set again.

mod alignment;
mod cells;
pub mod code_memory;
mod commit;
pub mod compile_thread;
mod compiler;
mod constants;
pub mod entry;
mod grow;
mod helper_call;
mod host;
mod jumps;
mod links;
mod loops;
mod lower;
mod marks;
mod owed;
mod phases;
mod pieces;
mod pushes;
mod region;
mod reuse;
mod slow;
mod steps;
pub mod template;
#[cfg(test)]
mod tests;
mod trace;

use crate::debug;
use crate::exec::cache::Cache;
use crate::exec::translation::{Template, Translation};
use crate::exec::{recycle, saved};
use code_memory::{BLOCK_ALIGN, CodeMemory, Installed, SlotAddr};
pub use compiler::Compiler;
use guest::ir::Block;
use guest::state::GuestState;
use guest::{Access, GuestAddr};
pub use host::host_key;
use jumps::Stack;
pub use links::{cut_off, left_region, link, link_number, slots};
use lower::{Back, Counting, Site};
pub use owed::{OWED_SIZE, Owed, Source};
pub use phases::{HOT_LIMITS, Moment};
pub use pieces::{FAULT_SIZE, Piece};
use pieces::{FaultPoint, Pieces};
pub use region::{Follow, Limits};
pub use reuse::{
    Made, adopt, count, counted, enter, heads_of_regions, is_in_region, is_traced, made, note_regions,
    revive, runs_before, runs_in_saved_traces, slot_targets, start_all, start_region,
};
pub use slow::{count as count_ops, reserve as reserve_ops, text as op_text};
use smallvec::SmallVec;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
pub use template::Forward;
use template::{Emitted, Emitter};
pub use trace::{LENGTHENED, compile_trace, has_asked, left_of};

/// An installed region.
pub struct Compiled {
    head: Arc<Translation>,
    entry: u64,
    /// How many blocks it was made from.
    blocks: usize,
}

impl Compiled {
    /// The region's entry, if its head is entered there.
    pub fn current(&self) -> Option<u64> {
        (self.head.entry.load(Ordering::Acquire) == self.entry).then_some(self.entry)
    }

    pub fn blocks(&self) -> usize {
        self.blocks
    }

    /// Tells blocks of the region that they are in; the first one is its head.
    fn note(blocks: &[Arc<Translation>], entry: u64) {
        let compiled = Arc::new(Self { head: Arc::clone(&blocks[0]), entry, blocks: blocks.len() });
        for block in blocks {
            block.add_region(Arc::clone(&compiled));
        }
    }

    pub fn head(&self) -> &Translation {
        &self.head
    }

    /// Whether it is a trace, and its head's still.
    pub fn is_trace(&self) -> bool {
        self.head.trace().is_some_and(|trace| trace.entry == self.entry)
    }
}

/// What a fault in compiled code leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum AfterFault {
    /// The state is that before the instruction at `pc`, which accessed memory so, once `owed` is written.
    Raise { pc: GuestAddr, access: Access, owed: SmallVec<[Owed; 4]> },
    /// The state is that before the instruction at `from`; the interpreter goes on there. The access was of the
    /// instruction at `at`.
    Replay { from: GuestAddr, at: GuestAddr },
}

/// Everything that stays.
struct Engine {
    memory: CodeMemory,
    /// Where a slot leads that leads nowhere yet.
    unlinked: u64,
    /// The slot for guest address 0.
    nowhere: SlotAddr,
    /// The slots that lead to each entry, by number, but those of saved code that lead to saved code.
    incoming: links::Incoming,
    /// Whether the slots of saved code have their pages.
    populated: bool,
    /// All code but what was saved.
    pieces: Pieces,
    /// How many of them are regions, and traces.
    regions: usize,
    traces: usize,
    full: bool,
    /// Nothing is put there meanwhile.
    held: bool,
    /// Bytes of code that nothing leads to any more.
    dead: usize,
}

static ENGINE: Mutex<Option<Engine>> = Mutex::new(None);

fn lock() -> MutexGuard<'static, Option<Engine>> {
    ENGINE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Keeps the locks while `f` runs: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _engine = lock();
    slow::with_locked(|| debug::perf::with_notes_locked(f))
}

/// Nothing is compiled until [`go_on`].
pub fn hold() {
    if let Some(engine) = lock().as_mut() {
        engine.held = true;
    }
}

/// Compiling goes on; in the memory of all code but what was saved, if nobody uses that any more: all translations are dropped.
pub fn go_on(is_unused: bool) {
    let mut guard = lock();
    let Some(engine) = guard.as_mut() else { return };
    engine.held = false;
    if is_unused {
        engine.memory.give_up();
        (engine.incoming, engine.pieces) = (links::Incoming::default(), Pieces::default());
        (engine.regions, engine.traces, engine.dead, engine.full) = (0, 0, 0, false);
    } else if engine.full {
        crate::log::once("code memory", || {
            "code memory is full: nothing more is compiled for now".to_owned()
        });
    }
}

/// Makes code of one block from templates and installs it, to become the head of a trace after [`LENGTHENED`] runs, and of
/// a region after [`BUDGET`].
/// `state` is as before the block. Whether it did.
pub fn compile_block(
    emitter: &mut Emitter,
    cache: &Cache,
    block: &Arc<Translation>,
    state: &GuestState,
) -> bool {
    block.block.with_lifted(|ir| compile_lifted(emitter, cache, block, ir, state))
}

/// The same of a block's IR.
pub fn compile_lifted(
    emitter: &mut Emitter,
    cache: &Cache,
    block: &Arc<Translation>,
    ir: &Block,
    state: &GuestState,
) -> bool {
    let stack = Stack::of(cache.env().arch);
    let Some(emitted) = emitter.emit(ir, state, stack, counting()) else { return false };
    let install = || install_block(&emitted, block);
    let installed = cache.if_current(std::slice::from_ref(block), install).unwrap_or(false);
    debug::perf::write();
    installed
}

/// Whether instructions are counted.
fn counting() -> Counting {
    if debug::enabled(debug::item::STATS) { Counting::On } else { Counting::Off }
}

/// Puts a block's code in place. The cache is locked and the block is current.
fn install_block(emitted: &Emitted<'_>, block: &Translation) -> bool {
    let mut guard = lock();
    let Some(engine) = engine(&mut guard) else { return false };
    let Some(made) = engine.put("template", emitted, block.pc, LENGTHENED) else { return false };
    block.set_template(made);
    block.entry.store(made.entry, Ordering::Release);
    true
}

/// The engine, made on first use.
fn engine<'a>(guard: &'a mut MutexGuard<'static, Option<Engine>>) -> Option<&'a mut Engine> {
    if guard.is_none() {
        **guard = Engine::new();
    }
    guard.as_mut().filter(|engine| !engine.full && !engine.held)
}

/// A slot for guest address 0; `None` where nothing is compiled.
fn nowhere() -> Option<SlotAddr> {
    lock().as_ref().map(|engine| engine.nowhere)
}

impl Engine {
    fn new() -> Option<Self> {
        Self::with(CodeMemory::map()?)
    }

    fn with(mut memory: CodeMemory) -> Option<Self> {
        let Installed { entry: unlinked, slots } = memory.install(&UNLINKED, &[], std::iter::once((0, 0)))?;
        let nowhere = SlotAddr(slots);
        memory.patch(nowhere, unlinked);
        memory.keep_all();
        let (incoming, pieces) = (links::Incoming::default(), Pieces::default());
        Some(Self {
            memory,
            unlinked,
            nowhere,
            incoming,
            populated: false,
            pieces,
            regions: 0,
            traces: 0,
            full: false,
            held: false,
            dead: 0,
        })
    }

    /// Puts code from templates in place, with a counter of `left` runs.
    fn put(&mut self, kind: &str, emitted: &Emitted<'_>, pc: GuestAddr, left: u32) -> Option<Template> {
        let points = emitted.faults.iter().map(|point| FaultPoint {
            at: point.offset,
            site: Site { pc: point.pc, access: point.access, back: Back::Exact },
            noted: point.noted,
        });
        self.pieces.pack(points).then_some(())?;
        let count = emitted.slots.len() + 1;
        let unlinked = self.unlinked;
        let targets = (0..count).map(|index| match index.checked_sub(1) {
            None => (u64::from(left), pc.raw()),
            Some(slot) => (unlinked, emitted.slots[slot].raw()),
        });
        let (code, references) = (emitted.code, emitted.references);
        let Some(installed) = self.memory.install_aligned(BLOCK_ALIGN, code, references, targets) else {
            self.report_full();
            return None;
        };
        let entry_at = template::ENTRY as u64;
        self.note_piece(
            installed,
            emitted.code.len(),
            (entry_at, count),
            emitted.forward,
            (emitted.owed, &[]),
        );
        self.trace(kind, installed.entry, emitted.code.len(), pc);
        let entry = installed.entry + entry_at;
        Some(Template { entry, counter: SlotAddr(installed.slots) })
    }

    /// Notes a piece whose faults are packed, with what these owe and its commit points: where it is entered, from its start,
    /// how many slots it has, and which of them lead forward.
    fn note_piece(
        &mut self,
        installed: Installed,
        code_len: usize,
        (entry, slots): (u64, usize),
        forward: Forward,
        (owed, points): (&[u8], &[u8]),
    ) {
        self.pieces.add(&Piece {
            code_at: code_memory::offset_of(installed.entry),
            code_len: code_len as u32,
            entry: entry as u32,
            first_slot: code_memory::number_of(SlotAddr(installed.slots)),
            slots: slots as u32,
            forward,
            faults: &[],
            owed,
            points,
            starts: [0; 3],
        });
    }

    /// The first of these blocks is entered through a region of all of them from now on.
    fn enter_region(&mut self, blocks: &[Arc<Translation>], entry: u64) {
        let head = &blocks[0];
        let before = head.has_region().then(|| head.entry.load(Ordering::Acquire));
        Compiled::note(blocks, entry);
        self.replace_template(head, entry);
        if let Some(before) = before {
            self.replace_region(head, before, entry);
        }
        head.entry.store(entry, Ordering::Release);
    }

    /// Says what code there is now, if somebody wants to know.
    fn trace(&self, kind: &str, start: u64, len: usize, pc: GuestAddr) {
        if debug::enabled(debug::item::CODE | debug::item::PERF_MAP | debug::item::JIT_DUMP) {
            let all = self.memory.bytes();
            let at = start as usize - all.as_ptr() as usize;
            debug::trace_code(kind, start, &all[at..at + len], pc);
        }
    }

    fn report_full(&mut self) {
        self.full = true;
        recycle::want();
    }
}

/// Code that returns the slot it was entered through (rdi): what stands before a region, then `mov rax, rdi; ret`.
const UNLINKED: [u8; 8] = {
    let [a, b, c, d] = entry::PREFIX;
    [a, b, c, d, 0x48, 0x89, 0xf8, 0xc3]
};

/// Runs of a block from templates until it asks for a region, and until it asks again.
pub const BUDGET: u32 = 200_000;

/// What a fault of host code at `pc` leads to, given the commit point that the state says.
pub fn after_fault(pc: usize, stored: u32) -> Option<AfterFault> {
    at_piece(pc, |_, offset, piece| piece.after_fault(offset, stored))
}

/// Where the host code's access at `pc` has its own way out, if it has one.
fn way_out(pc: usize) -> Option<usize> {
    at_piece(pc, |start, offset, piece| Some(start + piece.way_out(offset)?))
}

/// What `f` finds in the piece of code that is at `pc`, given where code memory starts and how far behind that `pc` is.
fn at_piece<T>(pc: usize, f: impl FnOnce(usize, usize, &Piece<'_>) -> Option<T>) -> Option<T> {
    let guard = lock();
    let engine = guard.as_ref()?;
    let start = engine.memory.bytes().as_ptr() as usize;
    let offset = pc.checked_sub(start)?;
    match engine.pieces.at(offset) {
        Some(piece) => f(start, offset, &piece),
        None => f(start, offset, &saved::piece_at(offset)?),
    }
}

/// Whether the host instruction at `pc` is an access to guest memory.
pub fn is_access(pc: usize) -> bool {
    after_fault(pc, commit::ENTRY.into()).is_some()
}

/// Bytes of code so far.
pub fn code_size() -> usize {
    lock().as_ref().map_or(0, |engine| engine.memory.used())
}
