//! The translation cache: lifted blocks by guest pc and control state, for all threads.
//!
//! A block stays until a byte it was lifted from changes. Threads keep small caches of their own in front
//! of this one; when blocks are dropped every thread is told through its poll flag to forget its own.

use super::saved::{self, BlockNumber, Found, Together};
use super::translation::{self, Translation};
use super::window::{Origin, Window};
use super::{Env, jit, recycle};
use crate::host::signals::{self, Port, poll};
use crate::mem::{Changes, CodeInvalidation, Invalidated, space};
use guest::GuestAddr;
use guest::arch::{LiftConfig, LiftLimits, MAX_INSN_LEN};
use guest::ir::{Block, Terminator};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hash, Hasher};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

const PAGE: u64 = 4096;

/// Longest block, in guest instructions.
static MAX_BLOCK_INSNS: AtomicUsize = AtomicUsize::new(64);

/// Longest block, in guest instructions.
pub fn max_block_insns() -> usize {
    MAX_BLOCK_INSNS.load(Ordering::Relaxed)
}

/// Bounds the length of blocks (`-one-insn-per-tb`).
pub fn set_max_block_insns(max: usize) {
    MAX_BLOCK_INSNS.store(max, Ordering::Relaxed);
}

/// A map by addresses or names that nobody chooses to collide, so that the hash is a multiplication.
pub type WordMap<K, V> = HashMap<K, V, BuildHasherDefault<WordHasher>>;

#[derive(Default)]
pub struct WordHasher(u64);

const MIX: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for WordHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, word: u64) {
        let mixed = (self.0 ^ word).wrapping_mul(MIX);
        self.0 = mixed ^ mixed >> 32;
    }
    /// A number below 256, which decides on one of sixteen places that are next to each other: a map looks for places by
    /// the low bits, and tells by the high ones what it finds there.
    fn write_u16(&mut self, near: u16) {
        let near = u64::from(near);
        self.0 = ((self.0 & !15) | near >> 4) ^ (near.wrapping_mul(MIX) & !0 << 48);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Key {
    pc: u64,
    control: u64,
}

impl Hash for Key {
    /// Blocks near each other have places near each other, which new code comes by one after the other.
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        const NEAR: u64 = 256;
        hasher.write_u64((self.pc / NEAR) ^ self.control.rotate_left(32));
        hasher.write_u16((self.pc % NEAR) as u16);
    }
}

impl Translation {
    fn key(&self) -> Key {
        Key { pc: self.pc.raw(), control: self.control }
    }
}

#[derive(Default)]
struct Inner {
    blocks: WordMap<Key, Arc<Translation>>,
    /// Translations by each page they read.
    by_page: WordMap<u64, Vec<Key>>,
    saved: ByNumber,
}

/// The translations of saved blocks that are in use, by the blocks' numbers.
#[derive(Default)]
struct ByNumber {
    /// Where each block's translation is, plus 1; 0 where it has never been in use.
    places: Vec<u32>,
    translations: Vec<Option<Arc<Translation>>>,
}

impl ByNumber {
    fn get(&self, number: BlockNumber) -> Option<&Arc<Translation>> {
        let place = self.places.get(number.0 as usize)?.checked_sub(1)?;
        self.translations[place as usize].as_ref()
    }

    /// Notes a translation, if it is of a saved block.
    fn note(&mut self, translation: &Arc<Translation>) {
        let Origin::Saved(number) = *translation.origin() else { return };
        if self.places.is_empty() {
            self.places = vec![0; saved::count()];
        }
        let place = &mut self.places[number.0 as usize];
        if *place == 0 {
            self.translations.push(None);
            *place = self.translations.len() as u32;
        }
        self.translations[*place as usize - 1] = Some(Arc::clone(translation));
    }

    fn forget(&mut self, translation: &Translation) {
        let Origin::Saved(number) = *translation.origin() else { return };
        if let Some(place) = self.places.get(number.0 as usize).and_then(|place| place.checked_sub(1)) {
            self.translations[place as usize] = None;
        }
    }
}

/// All translations of the process.
pub struct Cache {
    env: &'static Env,
    inner: Mutex<Inner>,
    ports: Mutex<Vec<Arc<Port>>>,
    /// Counts invalidations: a translation made across one is not kept.
    generation: AtomicU64,
}

/// A map with fewer blocks grows by larger steps: what is in it moves each time.
const OFTEN_MOVED: usize = 4096;

static CACHE: OnceLock<Cache> = OnceLock::new();

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
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

    /// What the cache is for, once it is there.
    pub fn made_for() -> Option<&'static Env> {
        CACHE.get().map(|cache| cache.env)
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

    /// Waits until no thread runs code of before this epoch, but no longer than that. Whether none does.
    pub fn wait_until_left(&self, epoch: u64, patience: Duration) -> bool {
        const MOMENT: Duration = Duration::from_micros(50);
        let start = Instant::now();
        let have_left = || lock(&self.ports).iter().all(|port| port.has_left_code(epoch));
        while !have_left() {
            if start.elapsed() > patience {
                return false;
            }
            std::thread::sleep(MOMENT);
        }
        true
    }

    /// Keeps the locks while `f` runs: for fork.
    pub fn with_locked<T>(&self, f: impl FnOnce() -> T) -> T {
        recycle::without(|| self.with_own_locked(f))
    }

    fn with_own_locked<T>(&self, f: impl FnOnce() -> T) -> T {
        let _inner = lock(&self.inner);
        let _ports = lock(&self.ports);
        jit::with_locked(f)
    }

    /// In a forked child: only this thread is left.
    pub fn forget_other_threads(&self, mine: &Arc<Port>) {
        saved::end_of_early();
        lock(&self.ports).retain(|p| Arc::ptr_eq(p, mine));
    }

    /// The translation at `pc`, made if need be.
    pub fn translation(&self, pc: u64, control: u64) -> Arc<Translation> {
        let mut lifted = None;
        let translation = self.look_up(pc, control, &mut lifted);
        if let Some(block) = lifted {
            block.recycle();
        }
        translation
    }

    /// The same. If it was made now, its IR as it was lifted goes to `lifted`: to be run at once, for most code runs once.
    pub fn look_up(&self, pc: u64, control: u64, lifted: &mut Option<Block>) -> Arc<Translation> {
        let key = Key { pc, control };
        if let Some(found) = lock(&self.inner).blocks.get(&key) {
            return Arc::clone(found);
        }
        let before = self.generation.load(Ordering::Acquire);
        // Looking for saved blocks reads pages that nobody may ever need, with a lock held.
        let found = if signals::pages_are_waited_for() { None } else { saved::find(pc, control) };
        if let Some(found) = found {
            let mut inner = lock(&self.inner);
            if self.generation.load(Ordering::Acquire) == before {
                self.keep_saved(&mut inner, found);
                crate::debug::perf::write();
                if let Some(kept) = inner.blocks.get(&key) {
                    return Arc::clone(kept);
                }
            } else {
                found.iter().for_each(|found| saved::dropped(&found.translation));
            }
        }
        let made = self.translate(pc, control, lifted);
        let mut inner = lock(&self.inner);
        if self.generation.load(Ordering::Acquire) == before {
            if let Some(kept) = inner.blocks.get(&key) {
                if let Some(block) = lifted.take() {
                    block.recycle();
                }
                return Arc::clone(kept);
            }
            self.keep(&mut inner, key, &made);
        }
        made
    }

    /// Keeps blocks whose code was saved.
    fn keep_saved(&self, inner: &mut Inner, found: Vec<Found>) {
        let mut new = Vec::with_capacity(found.len());
        for found in found {
            let key = found.translation.key();
            let at = |number| inner.saved.get(number);
            let started = found.together == Together::No || saved::start(&found.record, at);
            match !started || inner.blocks.contains_key(&key) {
                true => saved::dropped(&found.translation),
                false => {
                    self.keep(inner, key, &found.translation);
                    new.push(found);
                }
            }
        }
        jit::revive(&new, |number| inner.saved.get(number));
    }

    /// Takes units of saved code apart that have code on one of these pages, or all of them: each of their blocks is a
    /// translation then.
    fn take_apart(&self, inner: &mut Inner, pages: Option<&[u64]>) {
        let units = saved::touched(pages);
        if units.is_empty() {
            return;
        }
        let blocks: Vec<_> = units.into_iter().flat_map(saved::take_apart).collect();
        let unknown = blocks.iter().filter(|(number, _)| inner.saved.get(*number).is_none());
        let new: Vec<_> = unknown.map(|&(number, record)| saved::apart(number, record)).collect();
        jit::enter(&new);
        let mut twice = Vec::new();
        for Found { translation, .. } in &new {
            match inner.blocks.contains_key(&translation.key()) {
                false => self.keep(inner, translation.key(), translation),
                // Another translation of the same code has its place.
                true => {
                    inner.saved.note(translation);
                    twice.push(translation);
                }
            }
        }
        jit::note_regions(&blocks, |number| inner.saved.get(number));
        for translation in twice {
            inner.saved.forget(translation);
            drop_translation(translation);
        }
    }

    /// How many translations there are.
    pub fn count(&self) -> usize {
        lock(&self.inner).blocks.len()
    }

    /// All translations, by where they are in memory: that is about the order in which they and their code were made.
    pub fn all(&self) -> Vec<Arc<Translation>> {
        let inner = lock(&self.inner);
        let mut all: Vec<_> = inner.blocks.values().collect();
        all.sort_unstable_by_key(|translation| Arc::as_ptr(translation));
        all.into_iter().cloned().collect()
    }

    /// Whether there is a translation at `pc`.
    pub fn has(&self, pc: u64, control: u64) -> bool {
        lock(&self.inner).blocks.contains_key(&Key { pc, control })
    }

    /// The translation at `pc`, if there is one.
    pub fn peek(&self, pc: u64, control: u64) -> Option<Arc<Translation>> {
        lock(&self.inner).blocks.get(&Key { pc, control }).cloned()
    }

    /// The same, or that of a saved block whose unit is in use: such a block may run without being a translation.
    pub fn known(&self, pc: u64, control: u64) -> Option<Arc<Translation>> {
        let key = Key { pc, control };
        let mut inner = lock(&self.inner);
        if !inner.blocks.contains_key(&key) {
            let found = saved::find_started(pc, control)?;
            self.keep_saved(&mut inner, vec![found]);
        }
        inner.blocks.get(&key).cloned()
    }

    /// Runs `f`, with nothing invalidated meanwhile, if all these translations are in use still.
    pub fn if_current<T>(&self, translations: &[Arc<Translation>], f: impl FnOnce() -> T) -> Option<T> {
        let _inner = lock(&self.inner);
        translations.iter().all(|t| t.kept.load(Ordering::Acquire)).then(f)
    }

    /// Puts a block that was not lifted from guest memory into the cache: for those who compile single
    /// instructions to compare tiers.
    pub fn insert(&self, block: Block) -> Arc<Translation> {
        self.insert_for(block, 0)
    }

    /// The same for a control state.
    pub fn insert_for(&self, block: Block, control: u64) -> Arc<Translation> {
        let made = Arc::new(Translation::of_block(block, control));
        self.keep(&mut lock(&self.inner), made.key(), &made);
        made
    }

    fn keep(&self, inner: &mut Inner, key: Key, made: &Arc<Translation>) {
        let last = key.pc.saturating_add(u64::from(made.code_len.max(1) - 1));
        let mut page = key.pc & !0xfff;
        while page <= last {
            inner.by_page.entry(page).or_default().push(key);
            let Some(next) = page.checked_add(0x1000) else { break };
            page = next;
        }
        inner.saved.note(made);
        let count = inner.blocks.len();
        if count == inner.blocks.capacity() && count < OFTEN_MOVED {
            inner.blocks.reserve(3 * count);
        }
        made.kept.store(true, Ordering::Release);
        if let Some(before) = inner.blocks.insert(key, Arc::clone(made)) {
            before.kept.store(false, Ordering::Release);
        }
    }

    /// Lifts one instruction at `pc`, to be run once.
    pub fn lift_one(&self, pc: u64, control: u64) -> Block {
        let mut window = Window::within(pc, self.limit(pc, control), Changes::AreNot);
        let block = translation::finished(self.lift(pc, control, 1, &mut window));
        crate::debug::trace_translation(self.env, &block);
        block
    }

    /// How far code may be read for a block at `pc`. Where pages are waited for, no further than its first instruction: pages
    /// that nobody may ever need are not to be asked for, and none with a lock held.
    fn limit(&self, pc: u64, control: u64) -> u64 {
        match signals::pages_are_waited_for() {
            false => u64::MAX,
            true if self.goes_on_behind_page(pc, control) => behind_page(pc).saturating_add(PAGE),
            true => behind_page(pc),
        }
    }

    /// Whether the instruction at `pc` ends on the next page.
    pub fn goes_on_behind_page(&self, pc: u64, control: u64) -> bool {
        let end = behind_page(pc);
        if end - pc >= MAX_INSN_LEN as u64 {
            return false;
        }
        let mut window = Window::within(pc, end, Changes::AreNot);
        let terminator = self.lift(pc, control, 1, &mut window).terminator;
        matches!(terminator, Terminator::FetchFault { fault, .. } if fault.raw() == end)
    }

    fn lift(&self, pc: u64, control: u64, max_insns: usize, window: &mut Window) -> Block {
        let config = LiftConfig { features: self.env.features, control };
        self.env.arch.lift(&config, LiftLimits { max_insns }, window, GuestAddr(pc))
    }

    /// The translation at `pc`. Its IR goes to `lifted` where it does not keep that.
    fn translate(&self, pc: u64, control: u64, lifted: &mut Option<Block>) -> Arc<Translation> {
        let mut window = Window::within(pc, self.limit(pc, control), Changes::AreNoticed);
        let block = self.lift(pc, control, max_block_insns(), &mut window);
        let origin = window.origin(&block);
        window.recycle();
        if origin == Origin::Unknown {
            let block = translation::finished(block);
            crate::debug::trace_translation(self.env, &block);
            return Arc::new(Translation::of_block(block, control));
        }
        translation::verify(&block);
        crate::debug::trace_translation(self.env, &block);
        let block = lifted.insert(block);
        Arc::new(Translation::of_origin(block, control, origin))
    }

    /// Drops everything (another program was loaded).
    pub fn clear(&self) {
        let mut inner = lock(&self.inner);
        self.take_apart(&mut inner, None);
        for translation in inner.blocks.values() {
            drop_translation(translation);
        }
        *inner = Inner::default();
        self.tell_threads(inner);
    }

    /// Has threads forget where jumps lead: they lead to code that is better now.
    pub fn forget_jumps(&self) {
        for port in lock(&self.ports).iter() {
            port.request(poll::INVALIDATED);
        }
    }

    /// Nothing that was made of what was there before is kept from now on, and threads forget what they have.
    fn tell_threads(&self, inner: MutexGuard<'_, Inner>) {
        self.generation.fetch_add(1, Ordering::AcqRel);
        drop(inner);
        self.forget_jumps();
    }
}

impl CodeInvalidation for Cache {
    fn invalidate(&self, pages: &Invalidated) {
        let mut inner = lock(&self.inner);
        self.take_apart(&mut inner, Some(&pages.pages));
        for page in &pages.pages {
            for key in inner.by_page.remove(page).unwrap_or_default() {
                if let Some(gone) = inner.blocks.remove(&key) {
                    inner.saved.forget(&gone);
                    drop_translation(&gone);
                }
            }
        }
        self.tell_threads(inner);
    }
}

/// The address behind the page of `pc`.
pub const fn behind_page(pc: u64) -> u64 {
    (pc | (PAGE - 1)).saturating_add(1)
}

/// Makes a translation that has left the cache unreachable.
fn drop_translation(gone: &Translation) {
    gone.kept.store(false, Ordering::Release);
    saved::dropped(gone);
    jit::cut_off(gone);
}
