//! Code that outlives the process: what was made in one run of a program is mapped in the next.
//!
//! A file holds the code memory of a process as it was, and tables that say which guest bytes each piece of it is of.
//! The code is mapped at the address where it was made (code memory is at the same place in every process), so nothing
//! in it is relocated: that is why code must not hold an address of the host's, and finds everything through the state.
//! Slots are not saved; they are set anew for each block that comes into use.
//!
//! Why a wrong file cannot hurt:
//! - What the code depends on besides the guest's bytes (our build, the host's features, the CPU model, options) is a
//!   key that must be the same ([`Use::key`]); the program only says which of many files is looked at.
//! - A block is used when its guest bytes are in memory at this moment, byte by byte, and those of all blocks that it
//!   leads to ([`units`]); from then on it is like any other translation, dropped when they change. Which file they are
//!   from, and where that is, does not matter.
//! - Damage is found by sums, before anything of the chunk is used ([`image`]); only the user can have made the file
//!   ([`directory`]).
//!
//! A process that was executed writes once, at its end (or when it executes something else), if what it has made takes
//! longer to make than to write; a forked child does not. It writes all that was in the file, and the new: also code of
//! blocks that have run once only, because they will run once in the next process too.

mod arrange;
mod crossing;
mod directory;
mod format;
pub mod hash;
mod image;
mod output;
mod save;
mod units;

use super::Env;
use super::jit::{self, Piece as LivePiece};
use super::translation::{Translation, lift_recorded};
use super::window::{Guarded, Origin, Recorded};
use crate::host::files::{OwnedFile, Status};
use crate::host::sys;
use crate::mem::space;
pub use directory::{Directory, Refused};
pub use format::{BlockRecord, Piece, RegionRecord};
use format::{KEY_WORDS, Key};
use guest::GuestAddr;
use guest::ir::Block;
use image::Image;
pub use image::{BlockNumber, Leads, Way};
pub use save::save;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use units::{Stage, Units};
pub use units::{apart, find_started, heads, incoming, start, take_apart, touched, usable};

/// The ending of files' names.
const SUFFIX: &str = ".code";
/// A file that was last marked as used so long ago, in seconds, is marked again.
const MARKED_EVERY: u64 = 24 * 3600;

/// What code of this process is for.
#[derive(Clone, Copy, Debug)]
pub struct Use {
    /// The ELF machine, and the features of the CPU model.
    pub machine: u16,
    pub features: u64,
    /// Whether code counts what it runs.
    pub counts: bool,
    /// The program's file.
    pub program: Status,
}

impl Use {
    fn key(&self) -> Key {
        let build = u128::from_str_radix(env!("QEMU_LUA_BUILD"), 16).unwrap_or_default();
        let options = u64::from(self.counts) | u64::from(cfg!(debug_assertions)) << 1;
        let [seconds, nanoseconds] = <[u64; 2]>::from(self.program.changed);
        let key: [u64; KEY_WORDS] = [
            build as u64,
            (build >> 64) as u64,
            jit::host_key(),
            options,
            self.machine.into(),
            self.features,
            self.program.device,
            self.program.inode,
            self.program.size,
            seconds,
            nanoseconds,
            super::cache::max_block_insns() as u64,
        ];
        key
    }
}

/// The saved code of this process.
struct Saved {
    directory: Directory,
    name: String,
    key: Key,
    /// Who may write: the process that was executed, and its user.
    writer: (u64, u64),
    image: Option<Image>,
    /// Which blocks of the image are translations, a bit for each.
    in_use: Box<[AtomicU64]>,
    units: Units,
    /// Where the image's code starts, piece by piece, for faults.
    pieces: OnceLock<Vec<(u32, Whose)>>,
}

#[derive(Clone, Copy)]
enum Whose {
    Block(BlockNumber),
    Region(u32),
}

static SAVED: OnceLock<Saved> = OnceLock::new();

fn saved() -> Option<(&'static Saved, &'static Image)> {
    let saved = SAVED.get()?;
    Some((saved, saved.image.as_ref()?))
}

fn identity() -> (u64, u64) {
    [libc::SYS_getpid, libc::SYS_geteuid].map(|call| sys::syscall(call, [0; 6]) as u64).into()
}

/// Looks for saved code. To be called before any code is made.
pub fn open(directory: Directory, what: &Use) {
    let key = what.key();
    let name = format!("{:016x}{:016x}{SUFFIX}", hash::of_words(&key), hash::of_words(&key[4..]));
    let image = directory.read(&name).and_then(|(file, len)| {
        mark_used(&file);
        Image::map(&file, len, &key).filter(Image::has_ops)
    });
    let blocks = image.as_ref().map_or(0, |image| image.counts.blocks);
    jit::reserve_ops(image.as_ref().map_or(0, |image| image.counts.ops));
    let in_use = (0..blocks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect();
    if image.is_none() {
        EARLY.store(MOST_COLD, Ordering::Relaxed);
    }
    let units = Units::new(image.as_ref().map_or(0, |image| image.counts.units));
    let (writer, pieces) = (identity(), OnceLock::new());
    let _ = SAVED.set(Saved { directory, name, key, writer, image, in_use, units, pieces });
}

/// Whether this process has saved what it will.
static ENDED: AtomicBool = AtomicBool::new(false);

/// Nothing is saved any more: code memory is not what it was when files were adopted.
pub fn end_of_saving() {
    ENDED.store(true, Ordering::Relaxed);
}

/// Blocks that have run only once of which code is saved.
const MOST_COLD: usize = 3072;
/// How many blocks may get code before they run once. A process that starts a file makes code of most that is in it in the
/// end, so at first it does not wait for the second run, before which it would lift it again.
static EARLY: AtomicUsize = AtomicUsize::new(0);

/// Whether a new block is to get code at once. Counts it.
pub fn is_early() -> bool {
    let left = EARLY.load(Ordering::Relaxed);
    left != 0 && EARLY.compare_exchange(left, left - 1, Ordering::Relaxed, Ordering::Relaxed).is_ok()
}

/// How many blocks that have run only once are to get code now, at the end of the process.
fn cold_left() -> usize {
    match saved() {
        None => EARLY.load(Ordering::Relaxed),
        Some(_) => MOST_COLD,
    }
}

/// Nothing is to get code early any more: this process does not save.
pub fn end_of_early() {
    EARLY.store(0, Ordering::Relaxed);
}

fn mark_used(file: &OwnedFile) {
    let old = |status: Status| status.changed.0.saturating_add(MARKED_EVERY) < crate::host::files::now();
    if file.status().is_some_and(old) {
        Directory::touch(file);
    }
}

/// A block whose guest bytes are in memory.
pub struct Found {
    pub record: BlockRecord,
    pub translation: Arc<Translation>,
    pub together: Together,
}

/// Whether a block comes into use with its unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Together {
    No,
    Yes,
}

/// How many blocks are looked for ahead: each that is found then is one time less that compiled code is left.
const AHEAD: usize = 64;

/// The saved block at `pc`; where its unit is not in memory, also blocks that are likely to run soon: those of its region,
/// and where it leads. They count as in use.
pub fn find(pc: u64, control: u64) -> Option<Vec<Found>> {
    let (saved, image) = saved()?;
    if let Some(found) = units::find(saved, image, pc, control) {
        return Some(vec![found]);
    }
    let mut search = Search { saved, image, found: Vec::new() };
    search.add_target(pc, control);
    let mut at = 0;
    while at < search.found.len() {
        let record = search.found[at].record;
        search.add_region(&record);
        if search.found.len() < AHEAD {
            for way in image.ways(&record.piece).into_iter().flatten() {
                search.add_linked(way.block);
            }
        }
        at += 1;
    }
    (!search.found.is_empty()).then_some(search.found)
}

/// What was found so far.
struct Search {
    saved: &'static Saved,
    image: &'static Image,
    found: Vec<Found>,
}

impl Search {
    /// The blocks of the region that a block is the head of: without one of them there is no region.
    fn add_region(&mut self, head: &BlockRecord) {
        let region = head.region.checked_sub(1).and_then(|region| self.image.region(region));
        for number in region.and_then(|region| self.image.members(&region)).unwrap_or_default() {
            if let Some(record) = self.image.block(number) {
                self.add(number, record);
            }
        }
    }

    /// The block that a way leads to, or another one at its address.
    fn add_linked(&mut self, link: Option<BlockNumber>) {
        let Some(number) = link.filter(|&number| !self.saved.is_in_use(number)) else { return };
        let Some(record) = self.image.block(number) else { return };
        self.add(number, record);
        if !self.saved.is_in_use(number) {
            self.add_target(record.pc, record.control);
        }
    }

    fn add_target(&mut self, pc: u64, control: u64) {
        for (number, record) in self.image.find(pc, control) {
            self.add(number, record);
        }
    }

    fn add(&mut self, number: BlockNumber, record: BlockRecord) {
        let apart = self.saved.units.stage(record.unit) == Stage::Apart || jit::is_traced();
        if apart && self.saved.take(number) {
            match self.saved.check(self.image, number, record) {
                Some(found) => self.found.push(found),
                None => self.saved.give_back(number),
            }
        }
    }
}

impl Saved {
    /// Takes a block into use; whether it was not.
    fn take(&self, number: BlockNumber) -> bool {
        let bit = 1 << (number.0 % 64);
        let word = self.in_use.get(number.0 as usize / 64);
        word.is_some_and(|word| word.fetch_or(bit, Ordering::Relaxed) & bit == 0)
    }

    fn is_in_use(&self, number: BlockNumber) -> bool {
        let word = self.in_use.get(number.0 as usize / 64);
        word.is_some_and(|word| word.load(Ordering::Relaxed) >> (number.0 % 64) & 1 != 0)
    }

    fn give_back(&self, number: BlockNumber) {
        if let Some(word) = self.in_use.get(number.0 as usize / 64) {
            word.fetch_and(!(1 << (number.0 % 64)), Ordering::Relaxed);
        }
    }

    /// The block, if its guest bytes are in memory, and all its code in the file.
    fn check(&self, image: &Image, number: BlockNumber, record: BlockRecord) -> Option<Found> {
        let recorded = recorded(image, &record)?;
        if !image.has(&record.piece, 1) || !is_in_memory(&recorded) {
            return None;
        }
        let translation = Arc::new(Translation::saved(&record, number));
        Some(Found { record, translation, together: Together::No })
    }
}

fn recorded(image: &Image, record: &BlockRecord) -> Option<Recorded<'static>> {
    let (bytes, guarded) = (image.guest_bytes(record)?, Guarded::of_number(record.guarded)?);
    Some(Recorded { start: record.start, bytes, guarded })
}

/// The IR of a saved block that is in use.
pub fn lift(env: &Env, number: BlockNumber) -> Option<Block> {
    let (_, image) = saved()?;
    let record = image.block(number)?;
    Some(lift_recorded(env, recorded(image, &record)?, GuestAddr(record.pc), record.control))
}

/// Whether these bytes may be executed here and now. Changes of them are noticed from now on.
fn is_in_memory(recorded: &Recorded<'_>) -> bool {
    let same = space().holds_code(GuestAddr(recorded.start), recorded.bytes);
    let guarded = |at: u64| space().protection(GuestAddr(at)).is_some_and(|prot| prot.guarded());
    same && match recorded.guarded {
        Guarded::NotAsked => true,
        asked => [recorded.start, recorded.end() - 1].map(guarded) == [asked == Guarded::Yes; 2],
    }
}

/// A translation was dropped: its block may be found again.
pub fn dropped(gone: &Translation) {
    if let (Origin::Saved(number), Some(saved)) = (gone.origin(), SAVED.get()) {
        saved.give_back(*number);
    }
}

/// How often a block has run in earlier processes.
pub fn runs(number: BlockNumber) -> u32 {
    saved().map_or(0, |(_, image)| image.runs(number))
}

/// How many translations are saved blocks.
pub fn in_use() -> u32 {
    let words = SAVED.get().map_or(&[][..], |saved| &saved.in_use);
    words.iter().map(|word| word.load(Ordering::Relaxed).count_ones()).sum()
}

/// How many blocks are saved.
pub fn count() -> usize {
    saved().map_or(0, |(_, image)| image.counts.blocks)
}

/// Where a piece's slots lead.
pub fn ways(piece: &Piece) -> Option<impl Iterator<Item = Way> + use<>> {
    saved()?.1.ways(piece)
}

/// The region or trace that a block is the head of, and the blocks in it.
pub fn region_of(record: &BlockRecord) -> Option<(RegionRecord, Vec<BlockNumber>)> {
    let (_, image) = saved()?;
    let region = image.region(record.region.checked_sub(1)?)?;
    if !image.has(&region.piece, region.counters as usize) || !image.has_points(&region) {
        return None;
    }
    Some((region, image.members(&region)?))
}

/// The region or trace that a block is the head of, if it comes into use with the block's unit.
pub fn region_together(record: &BlockRecord) -> Option<RegionRecord> {
    let number = record.region.checked_sub(1)?;
    let (saved, image) = saved()?;
    let region = image.region(number)?;
    let is_going = region.of_one_unit != 0 || saved.units.crossing.is_going(number);
    (is_going && image.fits(&region.piece, region.counters as usize)).then_some(region)
}

/// The piece of saved code that is at an offset into code memory.
pub fn piece_at(offset: usize) -> Option<LivePiece<'static>> {
    let (saved, image) = saved()?;
    let pieces = saved.pieces.get_or_init(|| pieces_of(image));
    let after = pieces.partition_point(|&(start, _)| start as usize <= offset);
    let &(_, whose) = pieces[..after].last()?;
    match whose {
        Whose::Block(number) => live(image, &image.block(number)?.piece, &[], 1),
        Whose::Region(number) => {
            let region = image.region(number)?;
            live(image, &region.piece, image.points(&region)?, region.counters)
        }
    }
}

/// The head of the saved region that a slot is of.
pub fn head_of_slot(slot: u32) -> Option<GuestAddr> {
    let (_, image) = saved()?;
    let has_slot = |region: &RegionRecord| {
        let first = region.piece.slots_at;
        region.counters == 0 && (first..first.saturating_add(region.piece.targets)).contains(&slot)
    };
    let regions = (0..image.counts.regions as u32).filter_map(|number| image.region(number));
    let region = regions.into_iter().find(has_slot)?;
    live(image, &region.piece, image.points(&region)?, 0)?.head()
}

fn live(image: &Image, piece: &Piece, points: &'static [u8], counters: u32) -> Option<LivePiece<'static>> {
    Some(LivePiece {
        code_at: piece.code_at,
        code_len: piece.code_len,
        entry: piece.entry,
        first_slot: piece.slots_at,
        slots: piece.targets + counters,
        forward: piece.forward,
        faults: image.faults(piece)?,
        owed: image.owed(piece)?,
        points,
        starts: [0; 3],
    })
}

fn pieces_of(image: &Image) -> Vec<(u32, Whose)> {
    let blocks = (0..image.counts.blocks as u32).filter_map(|number| {
        let record = image.block(BlockNumber(number)).filter(|record| record.piece.code_len != 0)?;
        Some((record.piece.code_at, Whose::Block(BlockNumber(number))))
    });
    let regions = (0..image.counts.regions as u32)
        .filter_map(|number| Some((image.region(number)?.piece.code_at, Whose::Region(number))));
    let mut all: Vec<_> = blocks.chain(regions).collect();
    all.sort_by_key(|&(start, _)| start);
    all
}

/// The text of an op that saved code leaves to the interpreter.
pub fn op(number: usize) -> Option<&'static str> {
    saved()?.1.op(number)
}
