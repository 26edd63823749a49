//! The translation cache: lifted blocks by guest pc and control state, for all threads.
//!
//! A block stays until a byte it was lifted from changes. Threads keep small caches of their own in front
//! of this one; when blocks are dropped every thread is told through its poll flag to forget its own.

use super::jit::code_memory::{self, SlotAddr};
use super::{Env, jit};
use crate::host::signals::{Port, poll};
use crate::mem::{Changes, CodeInvalidation, Invalidated, space};
use guest::GuestAddr;
use guest::arch::{CodeReader, LiftConfig, LiftLimits, MAX_INSN_LEN};
use guest::ir::{Block, Hint, Terminator, passes};
use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// Longest block, in guest instructions.
static MAX_BLOCK_INSNS: AtomicUsize = AtomicUsize::new(64);

/// Bounds the length of blocks (`-one-insn-per-tb`).
pub fn set_max_block_insns(max: usize) {
    MAX_BLOCK_INSNS.store(max, Ordering::Relaxed);
}

/// How much code is fetched at once.
const FETCH_WINDOW: usize = 256;

/// A translation.
pub struct Translation {
    pub block: Block,
    /// The control state it was lifted for.
    pub control: u64,
    /// How often it has run in the interpreter.
    pub runs: AtomicU32,
    /// Its code from templates: entry and counter, or 0.
    template: [AtomicU64; 2],
    /// Host address of its compiled code; 0 while there is none.
    pub entry: AtomicU64,
    /// Whether a region was asked for already.
    pub asked: AtomicBool,
    /// Cleared when its code has changed: it must not be entered any more.
    pub valid: AtomicBool,
    /// The compiled regions that it is part of.
    regions: Mutex<Vec<Arc<jit::Compiled>>>,
}

impl Translation {
    fn new(block: Block, control: u64) -> Self {
        Self {
            block,
            control,
            runs: AtomicU32::new(0),
            template: [AtomicU64::new(0), AtomicU64::new(0)],
            entry: AtomicU64::new(0),
            asked: AtomicBool::new(false),
            valid: AtomicBool::new(true),
            regions: Mutex::default(),
        }
    }

    /// Its code from templates.
    pub fn template(&self) -> Option<Template> {
        let [entry, counter] = [0, 1].map(|word: usize| self.template[word].load(Ordering::Acquire));
        (entry != 0).then_some(Template { entry, counter: SlotAddr(counter) })
    }

    pub fn set_template(&self, template: Template) {
        self.template[1].store(template.counter.0, Ordering::Release);
        self.template[0].store(template.entry, Ordering::Release);
    }

    /// Whether it is entered through a region.
    pub fn has_region(&self) -> bool {
        let entry = self.entry.load(Ordering::Acquire);
        entry != 0 && self.template().is_none_or(|template| template.entry != entry)
    }

    /// How often it has run, as far as that was counted.
    pub fn runs(&self) -> u32 {
        let counted = self.template().map_or(0, |template| {
            jit::BUDGET.saturating_sub(code_memory::counter(template.counter).max(0) as u32)
        });
        self.runs.load(Ordering::Relaxed).saturating_add(counted)
    }

    /// Where its computed jump led last, as far as its code from templates has seen.
    pub fn last_target(&self) -> Option<GuestAddr> {
        let Terminator::Indirect { hint, .. } = self.block.terminator else { return None };
        let slot = SlotAddr(self.template()?.counter.0 + code_memory::SLOT_BYTES as u64);
        let seen = code_memory::slot_target(slot);
        (seen != 0 && hint != Hint::Resync).then_some(GuestAddr(seen))
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
        lock(&self.regions)
    }
}

/// A block's code from templates.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Template {
    pub entry: u64,
    pub counter: SlotAddr,
}

/// A map by addresses: nobody chooses them to collide, so the hash is a multiplication.
pub type WordMap<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

#[derive(Default)]
pub struct WordHasher(u64);

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|&byte| self.write_u64(u64::from(byte)));
    }
    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ mixed >> 32;
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
struct Key {
    pc: u64,
    control: u64,
}

#[derive(Default)]
struct Inner {
    blocks: WordMap<Key, Arc<Translation>>,
    /// Translations by each page they read.
    by_page: BTreeMap<u64, Vec<Key>>,
}

/// All translations of the process.
pub struct Cache {
    env: &'static Env,
    inner: Mutex<Inner>,
    ports: Mutex<Vec<Arc<Port>>>,
    /// Counts invalidations: a translation made across one is not kept.
    generation: AtomicU64,
}

static CACHE: OnceLock<Cache> = OnceLock::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Guest code in a window that is fetched ahead.
struct Window {
    start: u64,
    bytes: [u8; FETCH_WINDOW],
    len: usize,
    changes: Changes,
}

impl Window {
    fn at(start: u64, changes: Changes) -> Self {
        let mut bytes = [0; FETCH_WINDOW];
        let len = space().fetch(GuestAddr(start), &mut bytes, changes);
        Self { start, bytes, len, changes }
    }
}

impl CodeReader for Window {
    fn is_guarded(&mut self, pc: GuestAddr) -> bool {
        space().protection(pc).is_some_and(|prot| prot.guarded())
    }

    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        let inside = pc.raw().wrapping_sub(self.start);
        let ends_early = self.len < FETCH_WINDOW;
        if inside > self.len as u64 || (!ends_early && inside as usize + MAX_INSN_LEN > self.len) {
            self.start = pc.raw();
            self.len = space().fetch(pc, &mut self.bytes, self.changes);
            return &self.bytes[..self.len];
        }
        &self.bytes[inside as usize..self.len]
    }
}

impl Cache {
    /// What translated code needs besides the state.
    pub fn env(&self) -> &'static Env {
        self.env
    }

    /// The process's cache, made on first use for `env`.
    pub fn get(env: &'static Env) -> &'static Self {
        let cache = CACHE.get_or_init(|| Self {
            env,
            inner: Mutex::default(),
            ports: Mutex::default(),
            generation: AtomicU64::new(0),
        });
        space().set_invalidation(cache);
        cache
    }

    /// Registers a thread, to be told of invalidations.
    pub fn register(&self, port: Arc<Port>) {
        lock(&self.ports).push(port);
    }

    /// How many threads run guest code.
    #[must_use]
    pub fn running_threads() -> usize {
        CACHE.get().map_or(0, |cache| lock(&cache.ports).len())
    }

    pub fn unregister(&self, port: &Arc<Port>) {
        lock(&self.ports).retain(|p| !Arc::ptr_eq(p, port));
    }

    /// Keeps the locks while `f` runs: for fork.
    pub fn with_locked<T>(&self, f: impl FnOnce() -> T) -> T {
        let _inner = lock(&self.inner);
        let _ports = lock(&self.ports);
        jit::with_locked(f)
    }

    /// In a forked child: only this thread is left.
    pub fn forget_other_threads(&self, mine: &Arc<Port>) {
        lock(&self.ports).retain(|p| Arc::ptr_eq(p, mine));
    }

    /// The translation at `pc`, made if need be.
    pub fn translation(&self, pc: u64, control: u64) -> Arc<Translation> {
        let key = Key { pc, control };
        if let Some(found) = lock(&self.inner).blocks.get(&key) {
            return Arc::clone(found);
        }
        let before = self.generation.load(Ordering::Acquire);
        let made = Arc::new(self.translate(
            pc,
            control,
            MAX_BLOCK_INSNS.load(Ordering::Relaxed),
            Changes::AreNoticed,
        ));
        let mut inner = lock(&self.inner);
        if self.generation.load(Ordering::Acquire) == before {
            self.keep(&mut inner, key, &made);
        }
        made
    }

    /// The translation at `pc`, if there is one.
    pub fn peek(&self, pc: u64, control: u64) -> Option<Arc<Translation>> {
        lock(&self.inner).blocks.get(&Key { pc, control }).cloned()
    }

    /// Runs `f`, with nothing invalidated meanwhile, if all these translations are in use still.
    pub fn if_current<T>(&self, translations: &[Arc<Translation>], f: impl FnOnce() -> T) -> Option<T> {
        let inner = lock(&self.inner);
        let current = |t: &Arc<Translation>| {
            let key = Key { pc: t.block.pc.raw(), control: t.control };
            inner.blocks.get(&key).is_some_and(|kept| Arc::ptr_eq(kept, t))
        };
        translations.iter().all(current).then(f)
    }

    /// Puts a block that was not lifted from guest memory into the cache: for those who compile single
    /// instructions to compare tiers.
    pub fn insert(&self, block: Block) -> Arc<Translation> {
        self.insert_for(block, 0)
    }

    /// The same for a control state.
    pub fn insert_for(&self, block: Block, control: u64) -> Arc<Translation> {
        let made = Arc::new(Translation::new(block, control));
        self.keep(&mut lock(&self.inner), Key { pc: made.block.pc.raw(), control }, &made);
        made
    }

    fn keep(&self, inner: &mut Inner, key: Key, made: &Arc<Translation>) {
        let last = key.pc.saturating_add(made.block.code_len().max(1) - 1);
        let mut page = key.pc & !0xfff;
        while page <= last {
            inner.by_page.entry(page).or_default().push(key);
            let Some(next) = page.checked_add(0x1000) else { break };
            page = next;
        }
        inner.blocks.insert(key, Arc::clone(made));
    }

    /// Lifts one instruction at `pc`, to be run once.
    pub fn translate_one(&self, pc: u64, control: u64) -> Translation {
        self.translate(pc, control, 1, Changes::AreNot)
    }

    fn translate(&self, pc: u64, control: u64, max_insns: usize, changes: Changes) -> Translation {
        let config = LiftConfig { features: self.env.features, control };
        let mut window = Window::at(pc, changes);
        let mut block = self.env.arch.lift(&config, LiftLimits { max_insns }, &mut window, GuestAddr(pc));
        verify(&block);
        passes::optimize(&mut block);
        verify(&block);
        crate::debug::trace_translation(self.env, &block);
        Translation::new(block, control)
    }

    /// Drops everything (another program was loaded).
    pub fn clear(&self) {
        let mut inner = lock(&self.inner);
        for translation in inner.blocks.values() {
            drop_translation(translation);
        }
        *inner = Inner::default();
        drop(inner);
        self.tell_threads();
    }

    fn tell_threads(&self) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        for port in lock(&self.ports).iter() {
            port.request(poll::INVALIDATED);
        }
    }
}

impl CodeInvalidation for Cache {
    fn invalidate(&self, pages: &Invalidated) {
        let mut inner = lock(&self.inner);
        for page in &pages.pages {
            for key in inner.by_page.remove(page).unwrap_or_default() {
                if let Some(gone) = inner.blocks.remove(&key) {
                    drop_translation(&gone);
                }
            }
        }
        drop(inner);
        self.tell_threads();
    }
}

/// Makes a translation that has left the cache unreachable.
fn drop_translation(gone: &Translation) {
    gone.valid.store(false, Ordering::Release);
    jit::cut_off(gone);
}

/// Checked builds verify every block: a violation is a lifter's or a pass's bug.
fn verify(block: &Block) {
    if cfg!(debug_assertions)
        && let Err(error) = guest::ir::verify(block)
    {
        panic!("invalid IR: {error}\n{block}");
    }
}
