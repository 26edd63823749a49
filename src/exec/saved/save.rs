//! Writing a file of saved code: what was in it before stays where it was, and the new is added behind.

use super::arrange::{self, Arranged, FileCode, UnitDraft, file_code, mapping_of};
use super::format::{self, BlockRecord, Counts, Piece, Reader, RegionRecord};
use super::image::Image;
use super::output::Output;
use super::{BlockNumber, Saved, identity, units};
use crate::exec::cache::{Cache, WordMap};
use crate::exec::jit::template::{BEHIND_ENTRY, Emitter, Forward};
use crate::exec::jit::{self, Compiled, FAULT_SIZE, Made, OWED_SIZE};
use crate::exec::translation::Translation;
use crate::exec::window::Origin;
use crate::host::sys;
use guest::GuestAddr;
use guest::state::GuestState;
use smallvec::SmallVec;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// What making code takes, in microseconds: of a block (with lifting it), a trace and a region; what lifting a block takes that
/// runs once; and what the decoder takes that makes its tables when it is used first.
const BLOCK: usize = 4;
const COLD: usize = 1;
const TRACE: usize = 20;
const REGION: usize = 700;
const DECODER: usize = 300;
/// What writing takes: a file, and so many bytes of it in a microsecond. The kernel's copying is a third of that.
const FILE: usize = 100;
const BYTES: usize = 250;
/// Code beyond this is not saved: the file is removed, and the next run starts another one.
const MOST_CODE: usize = 64 << 20;
const MOST_SLOTS: usize = 1 << 21;
/// After so many runs it is known which way a branch goes mostly: jumps forward to a block need not count any more.
const KNOWN: u32 = 64;
/// So many runs of blocks from templates are worth being counted.
const COUNTED: u64 = 1 << 20;

/// At the end of the process: saves its code, if that is worth it. `state` is any.
pub fn save(cache: &Cache, state: &GuestState) {
    let Some(saved) = super::SAVED.get() else { return };
    if identity() != saved.writer || super::ENDED.load(Ordering::Relaxed) {
        return;
    }
    if saved.image.as_ref().is_some_and(Image::is_damaged) {
        return saved.directory.remove(&saved.name);
    }
    let [_, traces, regions] = jit::count();
    if cache.count() <= super::in_use() as usize && traces + regions == 0 && !has_run_long() {
        return;
    }
    let translations = cache.all();
    let files = file_code();
    let new = translations.iter().filter(|t| is_lasting(t, &files));
    let (new, mut cold): (Vec<_>, Vec<_>) = new.partition(|t| t.template().is_some());
    cold.truncate(super::cold_left());
    let making = new.len() * BLOCK + cold.len() * COLD + traces * TRACE + regions * REGION;
    if let Worth::NotYet { spent } = worth(saved, making, new.len() + cold.len()) {
        return save_hints(saved, &translations, spent);
    }
    drop(new);
    let mut emitter = Emitter::default();
    for block in cold {
        jit::compile_block(&mut emitter, cache, block, state);
    }
    drop(emitter);
    jit::made(|made| {
        if made.code.len() > MOST_CODE || made.slots > MOST_SLOTS {
            saved.directory.remove(&saved.name);
        } else if let Some(draft) = Draft::of(saved, &translations, &files, made)
            && draft.write(saved, made)
        {
            saved.directory.prune();
        }
    });
}

/// Whether the process has taken so much time that its runs may be worth being counted.
fn has_run_long() -> bool {
    const LONG: i64 = 10_000_000;
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    let clock = libc::CLOCK_PROCESS_CPUTIME_ID as u64;
    sys::syscall(libc::SYS_clock_gettime, [clock, &raw mut time as u64, 0, 0, 0, 0]);
    time.tv_sec > 0 || time.tv_nsec > LONG
}

/// Whether a file is worth being written.
enum Worth {
    /// It saves more than it costs.
    It,
    /// Not yet: what processes have spent on what is not in the file, in microseconds.
    NotYet { spent: u32 },
}

/// Whether this process, which has spent so many microseconds `making` code, and those before it have spent more on what is not
/// in the file than it takes to write it.
fn worth(saved: &Saved, making: usize, blocks: usize) -> Worth {
    const BLOCK_BYTES: usize = 400;
    let (size, before) =
        saved.image.as_ref().map_or((0, 0), |image| (image.counts.file_len(), image.spent as usize));
    let writing = FILE + (size + blocks * BLOCK_BYTES) / BYTES;
    let decoder = if blocks > 0 { DECODER } else { 0 };
    let spent = before + making + decoder;
    if spent > 2 * writing { Worth::It } else { Worth::NotYet { spent: spent as u32 } }
}

/// Notes in the file as it is how often saved blocks have run, and what was spent.
fn save_hints(saved: &Saved, translations: &[Arc<Translation>], spent: u32) {
    let Some(image) = &saved.image else { return };
    let mut runs = units::runs(saved, image);
    for t in translations {
        if let Origin::Saved(number) = t.origin() {
            let known = &mut runs[number.0 as usize];
            *known = runs_to_note(image, *number, t).max(*known);
        }
    }
    let before = (0..).map(|number| image.runs(BlockNumber(number)));
    let new: u64 = runs.iter().zip(before).map(|(now, before)| u64::from(now - before)).sum();
    let counted = new >= COUNTED;
    if !counted && spent == image.spent {
        return;
    }
    let Some(file) = saved.directory.write(&saved.name).filter(|file| image.is_file(file)) else { return };
    if counted {
        file.write_at(image.counts.runs_at() as u64, &bytes32(&runs));
    }
    file.write_at(image.counts.spent_at() as u64, &spent.to_le_bytes());
}

/// How often a block has run; too seldom for a trace, if it has got one that is not saved: the next process shall make it too.
fn runs_to_note(image: &Image, number: BlockNumber, translation: &Translation) -> u32 {
    let saved = image.block(number).is_some_and(|record| record.region != 0);
    let most = if translation.trace().is_some() && !saved { jit::LENGTHENED - 1 } else { u32::MAX };
    translation.lasting_runs().min(most)
}

/// A table: what was in the file before, and what comes to it.
#[derive(Default)]
struct Table<'a> {
    old: &'static [u8],
    new: Cow<'a, [u8]>,
}

impl Table<'_> {
    fn len(&self) -> usize {
        self.old.len() + self.new.len()
    }

    /// The entry of a number, of `size` bytes.
    fn entry(&self, number: u32, size: usize) -> &[u8] {
        let at = number as usize * size;
        match at.checked_sub(self.old.len()) {
            None => &self.old[at..at + size],
            Some(at) => &self.new[at..at + size],
        }
    }

    fn write(&self, out: &mut Output<'_>) {
        out.bytes(self.old);
        out.bytes(&self.new);
        out.end_table();
    }
}

/// The tables of the file to be. What `made` has of them is not copied.
#[derive(Default)]
struct Draft<'a> {
    units: UnitDraft,
    blocks: Vec<BlockRecord>,
    /// The guest code of each block.
    code: Vec<&'a [u8]>,
    runs: Vec<u32>,
    regions: Table<'a>,
    targets: Table<'a>,
    faults: Table<'a>,
    owed: Table<'a>,
    points: Table<'a>,
    members: Table<'a>,
    ops: Table<'a>,
    text: Table<'a>,
}

impl<'a> Draft<'a> {
    fn of(
        saved: &Saved,
        translations: &'a [Arc<Translation>],
        files: &[FileCode],
        made: &Made<'a>,
    ) -> Option<Self> {
        let mut draft = match &saved.image {
            Some(image) => Self::of_image(saved, image)?,
            None => Self::default(),
        };
        let [faults, owed, points] = made.packed;
        draft.faults.new = Cow::Borrowed(faults);
        draft.owed.new = Cow::Borrowed(owed);
        draft.points.new = Cow::Borrowed(points);
        let has_code = |t: &&Arc<Translation>| {
            matches!(t.origin(), Origin::Memory(_)) && t.entry.load(Ordering::Acquire) != 0
        };
        let new = translations.iter().filter(has_code).count();
        draft.blocks.reserve_exact(new);
        draft.code.reserve_exact(new);
        let mut numbers = WordMap::default();
        for translation in translations {
            if let Some(number) = draft.add_block(translation, files, made)
                && !translation.regions().is_empty()
            {
                numbers.insert((translation.pc.raw(), translation.control), number);
            }
        }
        draft.add_regions(translations, &numbers, made);
        draft.add_ops();
        Some(draft)
    }

    /// All that the image has.
    fn of_image(saved: &Saved, image: &Image) -> Option<Self> {
        let tables = image.tables();
        let table = |part: format::Part, count: usize| {
            Some(Table { old: image.whole(part, count)?, new: Cow::default() })
        };
        let counts = &image.counts;
        let blocks = (0..counts.blocks as u32).map(|number| image.block(BlockNumber(number)));
        let blocks = blocks.collect::<Option<Vec<_>>>()?;
        let code = blocks.iter().map(|block| image.guest_bytes(block));
        let units = (0..counts.units as u32).map(|number| image.unit(number)).collect::<Option<_>>()?;
        Some(Self {
            units: UnitDraft::new(units, saved.units.together()),
            code: code.collect::<Option<_>>()?,
            blocks,
            runs: units::runs(saved, image),
            regions: table(tables.regions, counts.regions)?,
            targets: table(tables.targets, counts.targets)?,
            faults: table(tables.faults, counts.faults)?,
            owed: table(tables.owed, counts.owed)?,
            points: table(tables.points, counts.points)?,
            members: table(tables.members, counts.members)?,
            ops: table(tables.ops, counts.ops)?,
            text: table(tables.text, counts.text)?,
        })
    }

    /// The block's number, if it can be saved. Its code is added where it has some that is new.
    fn add_block(&mut self, t: &'a Translation, files: &[FileCode], made: &Made<'a>) -> Option<u32> {
        let code = t.template().and_then(|template| made.piece(template.entry));
        let number = match t.origin() {
            Origin::Unknown => return None,
            Origin::Saved(number) => number.0,
            Origin::Memory(from) => {
                let has_code = code.is_some() || !t.regions().is_empty();
                let start = t.pc.raw().wrapping_sub(from.before.into());
                let file = mapping_of(files, start).filter(|_| has_code && is_lasting(t, files))?;
                if !is_still_there(start, &from.bytes) {
                    return None;
                }
                self.runs.push(0);
                self.blocks.push(BlockRecord {
                    pc: t.pc.raw(),
                    control: t.control,
                    start,
                    unit: self.units.of(file),
                    guest_at: 0,
                    guest_len: from.bytes.len() as u16,
                    guarded: from.guarded.number(),
                    piece: Piece::default(),
                    region: 0,
                });
                self.code.push(&from.bytes);
                self.blocks.len() as u32 - 1
            }
        };
        let runs = &mut self.runs[number as usize];
        *runs = t.lasting_runs().max(*runs);
        if let Some(piece) = code {
            self.blocks[number as usize].piece = self.piece(&piece, 1);
        }
        Some(number)
    }

    /// The piece, with where it leads added to the tables; so many of its slots are counters.
    fn piece(&mut self, piece: &jit::Piece<'_>, counters: u32) -> Piece {
        let targets_at = self.targets.len() / 8;
        let targets = jit::slot_targets(piece, counters);
        let count = targets.len();
        format::put64(self.targets.new.to_mut(), targets);
        let [faults, owed, _] = piece.starts;
        Piece {
            code_at: piece.code_at,
            code_len: piece.code_len,
            entry: piece.entry,
            slots_at: piece.first_slot,
            targets_at: targets_at as u32,
            targets: count as u32,
            faults_at: (self.faults.old.len() / FAULT_SIZE) as u32 + faults / FAULT_SIZE as u32,
            faults: (piece.faults.len() / FAULT_SIZE) as u32,
            owed_at: (self.owed.old.len() / OWED_SIZE) as u32 + owed / OWED_SIZE as u32,
            owed: (piece.owed.len() / OWED_SIZE) as u32,
            forward: piece.forward,
        }
    }

    /// Adds the regions that this process has made, where all their blocks are saved.
    fn add_regions(
        &mut self,
        translations: &[Arc<Translation>],
        numbers: &WordMap<(u64, u64), u32>,
        made: &Made<'_>,
    ) {
        let mut members: BTreeMap<u64, (Arc<Compiled>, Vec<u32>)> = BTreeMap::new();
        for translation in translations {
            for region in translation.regions().iter() {
                let key = (translation.pc.raw(), translation.control);
                let (Some(entry), Some(&number)) = (region.current(), numbers.get(&key)) else {
                    continue;
                };
                let (_, found) = members.entry(entry).or_insert((Arc::clone(region), Vec::new()));
                let is_head = translation.entry.load(Ordering::Acquire) == entry;
                found.insert(if is_head { 0 } else { found.len() }, number);
                debug_assert!(found.len() <= region.blocks());
            }
        }
        for (entry, (region, found)) in members {
            if region.blocks() == found.len()
                && let Some(piece) = made.piece(entry)
            {
                self.add_region(&piece, region.is_trace().into(), &found);
            }
        }
    }

    fn add_region(&mut self, live: &jit::Piece<'_>, counters: u32, members: &[u32]) {
        let head = members[0] as usize;
        let unit = self.blocks[head].unit;
        let piece = self.piece(live, counters);
        let record = RegionRecord {
            piece,
            counters,
            points_at: (self.points.old.len() as u32 + live.starts[2]) / 8,
            points: live.points.len() as u32 / 8,
            members_at: (self.members.len() / 4) as u32,
            members: members.len() as u32,
            of_one_unit: members.iter().all(|&one| self.blocks[one as usize].unit == unit).into(),
        };
        format::put32(self.members.new.to_mut(), members);
        record.write(self.regions.new.to_mut());
        self.blocks[head].region = (self.regions.len() / format::REGION_SIZE) as u32;
    }

    fn add_ops(&mut self) {
        for number in self.ops.len() / 4..jit::count_ops() {
            self.text.new.to_mut().extend_from_slice(jit::op_text(number).as_bytes());
            format::put32(self.ops.new.to_mut(), &[self.text.len() as u32]);
        }
    }

    /// Writes the file; whether that worked.
    fn write(mut self, saved: &Saved, made: &Made<'_>) -> bool {
        let arranged = arrange::arrange(&mut self.blocks, &self.code, &mut self.units.units);
        let index = self.index();
        let counts = self.counts(made, &arranged, index.len());
        saved.directory.replace(&saved.name, counts.file_len(), |file| {
            let image = saved.image.as_ref();
            let Some(mut out) = Output::with_code(file, &counts, image, made.code) else { return false };
            self.write_tables(&arranged, &index, &mut out);
            const NOTHING_SPENT: u32 = 0;
            let mut hints = bytes32(&self.runs);
            format::put32(&mut hints, &[NOTHING_SPENT]);
            out.finish(&saved.key, &counts, &hints)
        })
    }

    fn counts(&self, made: &Made<'_>, arranged: &Arranged, index: usize) -> Counts {
        Counts {
            code: made.code.len(),
            slots: made.slots,
            index,
            blocks: self.blocks.len(),
            regions: self.regions.len() / format::REGION_SIZE,
            targets: self.targets.len() / 8,
            faults: self.faults.len() / FAULT_SIZE,
            owed: self.owed.len() / OWED_SIZE,
            points: self.points.len() / 8,
            members: self.members.len() / 4,
            ops: self.ops.len() / 4,
            text: self.text.len(),
            guest: arranged.guest.len(),
            units: self.units.units.len(),
            stretches: arranged.count,
        }
    }

    /// In the order of [`Counts::tables`].
    fn write_tables(&self, arranged: &Arranged, index: &[u32], out: &mut Output<'_>) {
        out.numbers(index);
        out.end_table();
        self.blocks.iter().for_each(|block| out.put(|out| block.write(out)));
        out.end_table();
        self.regions.write(out);
        self.targets.write(out);
        let (links, leads) = self.ways(index);
        for numbers in [links, leads] {
            out.numbers(&numbers);
            out.end_table();
        }
        for table in [&self.faults, &self.owed, &self.points, &self.members, &self.ops, &self.text] {
            table.write(out);
        }
        out.bytes(&arranged.guest);
        out.end_table();
        self.units.units.iter().for_each(|unit| out.put(|out| unit.write(out)));
        out.end_table();
        out.numbers(&arranged.by_unit);
        out.end_table();
        out.bytes(&arranged.stretches);
        out.end_table();
    }

    /// The block of the same unit at each target, its number plus 1; and where that is entered.
    fn ways(&self, places: &[u32]) -> (Vec<u32>, Vec<u32>) {
        let count = self.targets.len() / 8;
        let (mut links, mut leads) = (vec![0; count], vec![0; count]);
        for block in &self.blocks {
            let region = self.region(block).map(|region| region.piece);
            // How often traces and regions lead on is counted, because what they lead to may be as hot.
            let both =
                [Some((block.piece, block.piece.forward)), region.map(|piece| (piece, Forward::default()))];
            for (piece, forward) in both.into_iter().flatten() {
                for (index, at) in (0..piece.targets).zip(piece.targets_at..) {
                    let target = Reader(self.targets.entry(at, 8)).u64().unwrap_or(0);
                    if let Some(to) = self.newest(places, block, target) {
                        links[at as usize] = to + 1;
                        leads[at as usize] = self.lead(to, forward.has(index));
                    }
                }
            }
        }
        (links, leads)
    }

    /// Where a jump enters a block of its unit; behind the counter, where it leads forward and it is known by now how often
    /// the block runs. 0 where it does not enter it.
    fn lead(&self, to: u32, is_forward: bool) -> u32 {
        let block = &self.blocks[to as usize];
        let lead = arrange::lead(block, self.region(block));
        let is_known = self.runs[to as usize] >= KNOWN;
        let skips = is_forward && is_known && lead != 0 && block.region == 0;
        if skips { lead + BEHIND_ENTRY as u32 } else { lead }
    }

    /// The newest block at `pc` in the unit of `from`, for the same control state.
    fn newest(&self, index: &[u32], from: &BlockRecord, pc: u64) -> Option<u32> {
        let places = index.len();
        let mut place = format::bucket(pc, from.control, places);
        let mut newest = None;
        while let Some(number) = index[place].checked_sub(1) {
            let to = &self.blocks[number as usize];
            if (to.pc, to.control, to.unit) == (pc, from.control, from.unit) {
                newest = newest.max(Some(number));
            }
            place = (place + 1) & (places - 1);
        }
        newest
    }

    /// The region that a block is the head of.
    fn region(&self, head: &BlockRecord) -> Option<RegionRecord> {
        RegionRecord::read(self.regions.entry(head.region.checked_sub(1)?, format::REGION_SIZE))
    }

    /// The hash table that [`Image::find`] looks into.
    fn index(&self) -> Vec<u32> {
        let places = (2 * self.blocks.len() + 1).next_power_of_two();
        let mut index = vec![0; places];
        for (number, block) in self.blocks.iter().enumerate() {
            let mut place = format::bucket(block.pc, block.control, places);
            while index[place] != 0 {
                place = (place + 1) & (places - 1);
            }
            index[place] = number as u32 + 1;
        }
        index
    }
}

fn bytes32(numbers: &[u32]) -> Vec<u8> {
    let mut out = Vec::with_capacity(4 * numbers.len());
    format::put32(&mut out, numbers);
    out
}

/// Whether a translation is of a file's code.
fn is_lasting(t: &Translation, files: &[FileCode]) -> bool {
    let start = t.pc.raw();
    let file = mapping_of(files, start).filter(|_| matches!(t.origin(), Origin::Memory(_)));
    file.is_some_and(|file| start.wrapping_add(t.code_len.into()) <= file.range.end)
}

/// Whether this is in memory.
fn is_still_there(start: u64, bytes: &[u8]) -> bool {
    let mut now: SmallVec<[u8; 64]> = SmallVec::from_elem(0, bytes.len());
    crate::mem::Memory.read_prefix(GuestAddr(start), &mut now) == bytes.len() && now[..] == *bytes
}
