//! A file of saved code, mapped: nothing in it is believed before its chunk was compared with its sum.

use super::format::{
    self, BlockRecord, CHUNK, Counts, HEADER, Key, PAGE, Part, Piece, Reader, RegionRecord, Stretch, Tables,
    UnitRecord,
};
use super::hash;
use crate::exec::jit;
use crate::host::files::OwnedFile;
use crate::host::mapped_file;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Whether chunks were found good, a bit for each.
struct Checked(Box<[AtomicU64]>);

impl Checked {
    fn new(chunks: usize) -> Self {
        Self((0..chunks.div_ceil(64)).map(|_| AtomicU64::new(0)).collect())
    }
    fn has(&self, chunk: usize) -> bool {
        self.0.get(chunk / 64).is_some_and(|word| word.load(Ordering::Acquire) >> (chunk % 64) & 1 != 0)
    }
    fn add(&self, chunk: usize) {
        if let Some(word) = self.0.get(chunk / 64) {
            word.fetch_or(1 << (chunk % 64), Ordering::Release);
        }
    }
}

/// The file.
pub struct Image {
    pub counts: Counts,
    header: [u8; HEADER],
    /// How often each block had run when the file was opened.
    runs: Box<[u32]>,
    /// What processes had spent on what is not in it, in microseconds.
    pub spent: u32,
    tables: Tables,
    /// Code memory, as far as it is the file's.
    code: &'static [u8],
    sums: &'static [u8],
    data: &'static [u8],
    checked: Checked,
    /// Something in it did not have its sum.
    damaged: AtomicBool,
}

/// Where a block was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockNumber(pub u32);

/// A way out of a piece of code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    /// The guest address; where it is computed, where that led last, or 0.
    pub pc: u64,
    /// A saved block of the same unit there.
    pub block: Option<BlockNumber>,
}

/// Where slots lead when they are all in use.
#[derive(Clone, Copy)]
pub struct Leads {
    targets: &'static [[u8; 8]],
    leads: &'static [[u8; 4]],
}

impl Leads {
    /// Of each slot of a piece: the guest address, and where that is entered, from the start of code memory; 0 where that is
    /// not to be had.
    #[inline]
    pub fn of(&self, piece: &Piece) -> impl Iterator<Item = (u64, u32)> + use<> {
        let range = piece.targets_at as usize..piece.targets_at as usize + piece.targets as usize;
        let targets = self.targets.get(range.clone()).unwrap_or_default();
        let leads = self.leads.get(range).unwrap_or_default();
        targets
            .iter()
            .map(|pc| u64::from_le_bytes(*pc))
            .zip(leads.iter().map(|lead| u32::from_le_bytes(*lead)))
    }
}

impl Image {
    /// Maps a file of this key, its code into code memory; `None` where it is none, or not all there.
    pub fn map(file: &OwnedFile, len: usize, key: &Key) -> Option<Self> {
        let mut header = [0; HEADER];
        if file.read_at(0, &mut header) != HEADER {
            return None;
        }
        let (counts, sums_hash) = format::parse_header(&header, key)?;
        if counts.file_len() != len || counts.code == 0 || !counts.index.is_power_of_two() {
            return None;
        }
        let from = counts.sums_at() & !(PAGE - 1);
        let rest = mapped_file::map(file.raw(), from, counts.runs_at() - from)?;
        let (sums, data) = rest[counts.sums_at() - from..].split_at_checked(8 * counts.sums())?;
        if hash::of(sums) != sums_hash {
            return None;
        }
        let code = jit::adopt(file.raw(), PAGE, counts.code, counts.slots)?;
        let checked = Checked::new(counts.sums());
        let damaged = AtomicBool::new(false);
        let mut hints = vec![0; counts.file_len() - counts.runs_at()];
        if file.read_at(counts.runs_at() as u64, &mut hints) != hints.len() {
            return None;
        }
        let mut reader = Reader(&hints);
        let runs = (0..counts.blocks).map_while(|_| reader.u32()).collect();
        let spent = reader.u32()?;
        let tables = counts.tables();
        Some(Self { counts, header, tables, code, sums, data, runs, spent, checked, damaged })
    }

    /// Whether a file is this one still.
    pub fn is_file(&self, file: &OwnedFile) -> bool {
        let mut header = [0; HEADER];
        file.read_at(0, &mut header) == HEADER && header == self.header
    }

    /// How often a block has run in earlier processes.
    pub fn runs(&self, number: BlockNumber) -> u32 {
        self.runs.get(number.0 as usize).copied().unwrap_or(0)
    }

    pub fn tables(&self) -> Tables {
        self.tables
    }

    /// All of a table.
    pub fn whole(&self, part: Part, count: usize) -> Option<&'static [u8]> {
        self.entries(part, 0, count as u32)
    }

    /// The sum of a chunk, as the file has it.
    pub fn sum(&self, chunk: usize) -> Option<u64> {
        Reader(self.sums.get(8 * chunk..)?).u64()
    }

    fn set_damaged(&self) {
        self.damaged.store(true, Ordering::Relaxed);
        crate::log::once("saved code", || "the file of saved code is damaged and not used".to_owned());
    }

    pub fn is_damaged(&self) -> bool {
        self.damaged.load(Ordering::Relaxed)
    }

    fn is_good(&self, chunk: usize, bytes: impl FnOnce() -> &'static [u8]) -> bool {
        if self.checked.has(chunk) {
            return true;
        }
        let good = self.sum(chunk) == Some(hash::of(bytes()));
        match good {
            true => self.checked.add(chunk),
            false => self.set_damaged(),
        }
        good
    }

    /// Part of one of the two areas, which each is in whole chunks.
    fn checked(&self, all: &'static [u8], first: usize, at: usize, len: usize) -> Option<&'static [u8]> {
        let part = all.get(at..at.checked_add(len)?)?;
        let chunks = at / CHUNK..(at + len).div_ceil(CHUNK);
        let whole = |chunk: usize| &all[chunk * CHUNK..all.len().min((chunk + 1) * CHUNK)];
        chunks.into_iter().all(|chunk| self.is_good(first + chunk, || whole(chunk))).then_some(part)
    }

    /// Code, from the start of code memory.
    pub fn code(&self, at: usize, len: usize) -> Option<&'static [u8]> {
        self.checked(self.code, 0, at, len)
    }

    fn table(&self, at: usize, len: usize) -> Option<&'static [u8]> {
        let first = self.counts.code_pages().div_ceil(CHUNK);
        self.checked(self.data, first, at, len)
    }

    fn entries(&self, part: Part, first: u32, count: u32) -> Option<&'static [u8]> {
        self.table(part.at + first as usize * part.size, count as usize * part.size)
    }

    pub fn block(&self, number: BlockNumber) -> Option<BlockRecord> {
        if number.0 as usize >= self.counts.blocks {
            return None;
        }
        BlockRecord::read(self.entries(self.tables.blocks, number.0, 1)?.first_chunk()?)
    }

    pub fn region(&self, number: u32) -> Option<RegionRecord> {
        if number as usize >= self.counts.regions {
            return None;
        }
        RegionRecord::read(self.entries(self.tables.regions, number, 1)?)
    }

    /// The blocks at `pc`: they may be of different code.
    pub fn find(&self, pc: u64, control: u64) -> impl Iterator<Item = (BlockNumber, BlockRecord)> {
        let places = self.counts.index;
        let mut place = format::bucket(pc, control, places);
        std::iter::from_fn(move || {
            while !self.is_damaged() {
                let entry = Reader(self.entries(self.tables.index, place as u32, 1)?).u32()?;
                place = (place + 1) & (places - 1);
                let number = BlockNumber(entry.checked_sub(1)?);
                let record = self.block(number)?;
                if (record.pc, record.control) == (pc, control) {
                    return Some((number, record));
                }
            }
            None
        })
        .take(places)
    }

    pub fn guest_bytes(&self, record: &BlockRecord) -> Option<&'static [u8]> {
        self.entries(self.tables.guest, record.guest_at, record.guest_len.into())
    }

    /// Where a piece's slots lead: to which guest addresses, and saved blocks there.
    pub fn ways(&self, piece: &Piece) -> Option<impl Iterator<Item = Way> + use<>> {
        let mut targets = Reader(self.entries(self.tables.targets, piece.targets_at, piece.targets)?);
        let mut links = Reader(self.entries(self.tables.links, piece.targets_at, piece.targets)?);
        Some(std::iter::from_fn(move || {
            let (pc, link) = (targets.u64()?, links.u32()?);
            Some(Way { pc, block: link.checked_sub(1).map(BlockNumber) })
        }))
    }

    pub fn unit(&self, number: u32) -> Option<UnitRecord> {
        if number as usize >= self.counts.units {
            return None;
        }
        UnitRecord::read(self.entries(self.tables.units, number, 1)?)
    }

    /// The guest code of a unit: where it is, and its bytes.
    pub fn stretches(&self, unit: &UnitRecord) -> Option<impl Iterator<Item = Option<(u64, &'static [u8])>>> {
        let all = self.entries(self.tables.stretches, unit.stretches_at, unit.stretches)?;
        Some(all.chunks_exact(format::STRETCH_SIZE).map(|bytes| {
            let stretch = Stretch::read(bytes)?;
            Some((stretch.start, self.entries(self.tables.guest, stretch.guest_at, stretch.guest_len)?))
        }))
    }

    /// The blocks of a unit.
    pub fn blocks_of(&self, unit: &UnitRecord) -> impl Iterator<Item = (BlockNumber, BlockRecord)> {
        let numbers = self.entries(self.tables.by_unit, unit.blocks_at, unit.blocks).unwrap_or_default();
        let blocks = self.whole(self.tables.blocks, self.counts.blocks).unwrap_or_default();
        let (numbers, blocks) = (numbers.as_chunks().0.iter(), blocks.as_chunks().0);
        numbers.filter_map(|&number| {
            let number = u32::from_le_bytes(number);
            Some((BlockNumber(number), BlockRecord::read(blocks.get(number as usize)?)?))
        })
    }

    /// Where all slots lead with their units.
    pub fn leads(&self) -> Option<Leads> {
        let targets = self.whole(self.tables.targets, self.counts.targets)?.as_chunks().0;
        Some(Leads { targets, leads: self.whole(self.tables.leads, self.counts.targets)?.as_chunks().0 })
    }

    /// Whether nothing in it is damaged.
    pub fn is_whole(&self) -> bool {
        self.code(0, self.code.len()).is_some() && self.table(0, self.data.len()).is_some()
    }

    /// Whether the guest addresses of a region's commit points are there.
    pub fn has_points(&self, region: &RegionRecord) -> bool {
        self.entries(self.tables.points, region.points_at, region.points).is_some()
    }

    /// The guest addresses of a region's commit points.
    pub fn points(&self, region: &RegionRecord) -> Option<&'static [u8]> {
        self.entries(self.tables.points, region.points_at, region.points)
    }

    pub fn members(&self, region: &RegionRecord) -> Option<Vec<BlockNumber>> {
        let mut reader = Reader(self.entries(self.tables.members, region.members_at, region.members)?);
        (0..region.members).map(|_| reader.u32().map(BlockNumber)).collect()
    }

    /// Where a piece's code may fault, packed.
    pub fn faults(&self, piece: &Piece) -> Option<&'static [u8]> {
        self.entries(self.tables.faults, piece.faults_at, piece.faults)
    }

    /// What its accesses owe, packed.
    pub fn owed(&self, piece: &Piece) -> Option<&'static [u8]> {
        self.entries(self.tables.owed, piece.owed_at, piece.owed)
    }

    /// Whether its slots are of the file; so many of them are counters.
    pub fn fits(&self, piece: &Piece, counters: usize) -> bool {
        piece.code_len == 0
            || piece.slots_at as usize + piece.targets as usize + counters <= self.counts.slots
    }

    /// Whether all that running the piece needs is there; so many of its slots are counters.
    pub fn has(&self, piece: &Piece, counters: usize) -> bool {
        piece.code_len == 0
            || self.fits(piece, counters)
                && self.ways(piece).is_some()
                && self.code(piece.code_at as usize, piece.code_len as usize).is_some()
                && self.faults(piece).is_some()
                && self.owed(piece).is_some()
    }

    /// The text of an op that code leaves to the interpreter.
    pub fn op(&self, number: usize) -> Option<&'static str> {
        let end_of = |number: usize| Reader(self.entries(self.tables.ops, number as u32, 1)?).u32();
        let start = if number == 0 { 0 } else { end_of(number - 1)? };
        let bytes = self.entries(self.tables.text, start, end_of(number)?.checked_sub(start)?)?;
        std::str::from_utf8(bytes).ok()
    }

    /// Whether the ops are all there: code that is running cannot do without.
    pub fn has_ops(&self) -> bool {
        self.entries(self.tables.ops, 0, self.counts.ops as u32).is_some()
            && self.entries(self.tables.text, 0, self.counts.text as u32).is_some()
    }
}
