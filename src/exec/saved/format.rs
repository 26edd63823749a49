//! How a file of saved code is laid out.
//!
//! ```text
//! header   one page: what the file is for, how long each part is, checks
//! code     code memory from its start, whole pages: it is mapped where it was made
//! sums     of each chunk of the code and of the tables
//! tables   see [`Tables`]
//! runs     how often each block has run, over all processes: what gets hot in ten runs of a program is hot
//! ```
//!
//! All numbers are little-endian. Whatever is read is found through [`super::image::Image`], which compares a chunk
//! with its sum before the first use of anything in it.

use super::hash;
use crate::exec::jit::{FAULT_SIZE, Forward, OWED_SIZE};

pub const PAGE: usize = 4096;
/// What one sum is of.
pub const CHUNK: usize = 32 << 10;
const MAGIC: u64 = u64::from_le_bytes(*b"QLSAVED\x03");

/// What code depends on besides the guest's bytes: a file is used where all of this is the same.
pub const KEY_WORDS: usize = 12;
pub type Key = [u64; KEY_WORDS];

/// What there is how much of.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Bytes of code.
    pub code: usize,
    /// Slots that code memory has given out.
    pub slots: usize,
    pub index: usize,
    pub blocks: usize,
    pub regions: usize,
    pub targets: usize,
    pub faults: usize,
    pub owed: usize,
    pub points: usize,
    pub members: usize,
    pub ops: usize,
    /// Bytes of the ops' text.
    pub text: usize,
    /// Bytes of guest code.
    pub guest: usize,
    pub units: usize,
    pub stretches: usize,
}

const COUNTS: usize = 15;

impl Counts {
    fn words(&self) -> [u64; COUNTS] {
        [
            self.code,
            self.slots,
            self.index,
            self.blocks,
            self.regions,
            self.targets,
            self.faults,
            self.owed,
            self.points,
            self.members,
            self.ops,
            self.text,
            self.guest,
            self.units,
            self.stretches,
        ]
        .map(|count| count as u64)
    }

    fn of_words(words: &[u64]) -> Option<Self> {
        const MOST: u64 = 1 << 30;
        if words.iter().any(|&word| word > MOST) {
            return None;
        }
        let mut counts = words.iter().map(|&word| word as usize);
        let mut next = || counts.next();
        Some(Self {
            code: next()?,
            slots: next()?,
            index: next()?,
            blocks: next()?,
            regions: next()?,
            targets: next()?,
            faults: next()?,
            owed: next()?,
            points: next()?,
            members: next()?,
            ops: next()?,
            text: next()?,
            guest: next()?,
            units: next()?,
            stretches: next()?,
        })
    }

    /// Where the tables are, from their start.
    pub fn tables(&self) -> Tables {
        let mut end = 0;
        let mut next = |count: usize, size: usize| {
            let part = Part { at: end, size };
            end = (end + count * size).next_multiple_of(8);
            part
        };
        Tables {
            index: next(self.index, 4),
            blocks: next(self.blocks, BLOCK_SIZE),
            regions: next(self.regions, REGION_SIZE),
            targets: next(self.targets, 8),
            links: next(self.targets, 4),
            leads: next(self.targets, 4),
            faults: next(self.faults, FAULT_SIZE),
            owed: next(self.owed, OWED_SIZE),
            points: next(self.points, 8),
            members: next(self.members, 4),
            ops: next(self.ops, 4),
            text: next(self.text, 1),
            guest: next(self.guest, 1),
            units: next(self.units, UNIT_SIZE),
            by_unit: next(self.blocks, 4),
            stretches: next(self.stretches, STRETCH_SIZE),
            len: end,
        }
    }

    /// The code, as far as it takes pages of the file.
    pub fn code_pages(&self) -> usize {
        self.code.next_multiple_of(PAGE)
    }

    /// How many chunks have sums.
    pub fn sums(&self) -> usize {
        self.code_pages().div_ceil(CHUNK) + self.tables().len.div_ceil(CHUNK)
    }

    /// Where the sums start.
    pub fn sums_at(&self) -> usize {
        PAGE + self.code_pages()
    }

    /// Where the tables start.
    pub fn tables_at(&self) -> usize {
        self.sums_at() + 8 * self.sums()
    }

    /// Where it says how often each block has run. That changes in place, and has no sum: it is no more than a hint.
    pub fn runs_at(&self) -> usize {
        self.tables_at() + self.tables().len
    }

    /// Where it says what processes have spent on what is not in it, in microseconds; that changes too.
    pub fn spent_at(&self) -> usize {
        self.runs_at() + 4 * self.blocks
    }

    pub fn file_len(&self) -> usize {
        self.spent_at() + 4
    }
}

/// A table: where it starts, and the size of an entry.
#[derive(Clone, Copy, Debug)]
pub struct Part {
    pub at: usize,
    pub size: usize,
}

/// The tables of a file.
#[derive(Clone, Copy, Debug)]
pub struct Tables {
    /// A hash table of block numbers plus 1, by [`bucket`].
    pub index: Part,
    pub blocks: Part,
    pub regions: Part,
    /// Guest addresses that slots stand for.
    pub targets: Part,
    /// The saved block of the same unit at each of them: its number plus 1.
    pub links: Part,
    /// Where that is entered by the jump there, from the start of code memory; 0 where there is none.
    pub leads: Part,
    pub faults: Part,
    pub owed: Part,
    /// Guest addresses of commit points.
    pub points: Part,
    /// Numbers of the blocks that regions are made of.
    pub members: Part,
    /// Where the text of each op that is left to the interpreter ends.
    pub ops: Part,
    pub text: Part,
    pub guest: Part,
    pub units: Part,
    /// The numbers of all blocks, unit by unit.
    pub by_unit: Part,
    /// Where units have their guest code.
    pub stretches: Part,
    pub len: usize,
}

/// The first place of a block in the index, which has a power of two of places.
pub fn bucket(pc: u64, control: u64, places: usize) -> usize {
    hash::of_words(&[pc, control]) as usize & (places - 1)
}

/// Reads numbers one after the other.
pub struct Reader<'a>(pub &'a [u8]);

impl Reader<'_> {
    #[inline]
    pub fn u64(&mut self) -> Option<u64> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u64::from_le_bytes(*first))
    }
    #[inline]
    pub fn u32(&mut self) -> Option<u32> {
        let (first, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(u32::from_le_bytes(*first))
    }
}

/// Adds numbers to a table.
pub fn put32(out: &mut Vec<u8>, numbers: &[u32]) {
    numbers.iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

pub fn put64(out: &mut Vec<u8>, numbers: impl IntoIterator<Item = u64>) {
    numbers.into_iter().for_each(|number| out.extend_from_slice(&number.to_le_bytes()));
}

/// The header's bytes.
pub fn header(key: &Key, counts: &Counts, sums: u64) -> Vec<u8> {
    let mut words = vec![MAGIC];
    words.extend(key);
    words.extend(counts.words());
    words.push(sums);
    words.push(hash::of_words(&words));
    let mut out = Vec::with_capacity(PAGE);
    put64(&mut out, words);
    out
}

pub const HEADER: usize = 8 * (1 + KEY_WORDS + COUNTS + 2);

/// What a header of this key says: the counts and the hash of the sums.
pub fn parse_header(bytes: &[u8], key: &Key) -> Option<(Counts, u64)> {
    let mut reader = Reader(bytes);
    let words: Vec<u64> = (0..HEADER / 8).map_while(|_| reader.u64()).collect();
    let (check, told) = words.split_last()?;
    if words.len() != HEADER / 8 || hash::of_words(told) != *check || told[0] != MAGIC {
        return None;
    }
    let (of_key, rest) = told[1..].split_at(KEY_WORDS);
    let counts = Counts::of_words(&rest[..COUNTS])?;
    (of_key == key).then_some((counts, rest[COUNTS]))
}

/// Code of a block or region.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Piece {
    /// Where it starts, from the start of code memory, and its length in bytes. No code is no bytes.
    pub code_at: u32,
    pub code_len: u32,
    /// Where it is entered, from its start.
    pub entry: u32,
    /// The number of its first slot. A block's first is its counter and has no target.
    pub slots_at: u32,
    pub targets_at: u32,
    pub targets: u32,
    pub faults_at: u32,
    pub faults: u32,
    pub owed_at: u32,
    pub owed: u32,
    /// Which of the targets are forward ([`Forward`]).
    pub forward: Forward,
}

const PIECE_WORDS: usize = 11;

impl Piece {
    fn write(&self, out: &mut Vec<u8>) {
        put32(
            out,
            &[
                self.code_at,
                self.code_len,
                self.entry,
                self.slots_at,
                self.targets_at,
                self.targets,
                self.faults_at,
                self.faults,
                self.owed_at,
                self.owed,
                self.forward.0,
            ],
        );
    }

    #[inline]
    fn read(reader: &mut Reader<'_>) -> Option<Self> {
        Some(Self {
            code_at: reader.u32()?,
            code_len: reader.u32()?,
            entry: reader.u32()?,
            slots_at: reader.u32()?,
            targets_at: reader.u32()?,
            targets: reader.u32()?,
            faults_at: reader.u32()?,
            faults: reader.u32()?,
            owed_at: reader.u32()?,
            owed: reader.u32()?,
            forward: Forward(reader.u32()?),
        })
    }
}

/// A block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BlockRecord {
    pub pc: u64,
    pub control: u64,
    /// Where its first instruction is.
    pub start: u64,
    /// The unit that it is of.
    pub unit: u32,
    /// Its bytes: where in the table, and how many.
    pub guest_at: u32,
    pub guest_len: u16,
    /// [`super::super::window::Guarded`] as a number.
    pub guarded: u16,
    /// Its code from templates.
    pub piece: Piece,
    /// The region or trace that it is the head of, plus 1.
    pub region: u32,
}

pub const BLOCK_SIZE: usize = 24 + 12 + 4 * PIECE_WORDS + 4;

impl BlockRecord {
    pub fn write(&self, out: &mut Vec<u8>) {
        put64(out, [self.pc, self.control, self.start]);
        put32(out, &[self.unit, self.guest_at, u32::from(self.guest_len) | u32::from(self.guarded) << 16]);
        self.piece.write(out);
        put32(out, &[self.region]);
    }

    #[inline]
    pub fn read(bytes: &[u8; BLOCK_SIZE]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [pc, control, start] = [reader.u64()?, reader.u64()?, reader.u64()?];
        let [unit, guest_at, both] = [reader.u32()?, reader.u32()?, reader.u32()?];
        let piece = Piece::read(&mut reader)?;
        let (guest_len, guarded) = (both as u16, (both >> 16) as u16);
        Some(Self { pc, control, start, unit, guest_at, guest_len, guarded, piece, region: reader.u32()? })
    }
}

/// A region, or a trace.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegionRecord {
    pub piece: Piece,
    /// How many of its slots are counters: a trace has one.
    pub counters: u32,
    pub points_at: u32,
    pub points: u32,
    /// The blocks that it was made from; the first one is its head.
    pub members_at: u32,
    pub members: u32,
    /// Whether they are all of one unit: 1, or 0.
    pub of_one_unit: u32,
}

pub const REGION_SIZE: usize = 4 * (PIECE_WORDS + 6);

impl RegionRecord {
    pub fn write(&self, out: &mut Vec<u8>) {
        self.piece.write(out);
        put32(out, &[self.counters, self.points_at, self.points]);
        put32(out, &[self.members_at, self.members, self.of_one_unit]);
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let piece = Piece::read(&mut reader)?;
        let [counters, points_at, points] = [reader.u32()?, reader.u32()?, reader.u32()?];
        let [members_at, members, of_one_unit] = [reader.u32()?, reader.u32()?, reader.u32()?];
        Some(Self { piece, counters, points_at, points, members_at, members, of_one_unit })
    }
}

/// Blocks that come into use together: those of one mapping of a file, as far as they were there together once.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct UnitRecord {
    /// Where its guest code is: from the first byte to behind the last one.
    pub start: u64,
    pub end: u64,
    pub stretches_at: u32,
    pub stretches: u32,
    /// Whether its pages are guarded against jumps: 1, or 0.
    pub guarded: u32,
    /// Its blocks, in the table of all by unit.
    pub blocks_at: u32,
    pub blocks: u32,
}

pub const UNIT_SIZE: usize = 16 + 5 * 4;

impl UnitRecord {
    pub fn write(&self, out: &mut Vec<u8>) {
        put64(out, [self.start, self.end]);
        put32(out, &[self.stretches_at, self.stretches, self.guarded, self.blocks_at, self.blocks]);
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let [start, end] = [reader.u64()?, reader.u64()?];
        let [stretches_at, stretches, guarded] = [reader.u32()?, reader.u32()?, reader.u32()?];
        let [blocks_at, blocks] = [reader.u32()?, reader.u32()?];
        Some(Self { start, end, stretches_at, stretches, guarded, blocks_at, blocks })
    }
}

/// Guest code without a gap.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    pub start: u64,
    /// Its bytes: where in the table, and how many.
    pub guest_at: u32,
    pub guest_len: u32,
}

pub const STRETCH_SIZE: usize = 16;

impl Stretch {
    pub fn write(&self, out: &mut Vec<u8>) {
        put64(out, [self.start]);
        put32(out, &[self.guest_at, self.guest_len]);
    }

    pub fn read(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        Some(Self { start: reader.u64()?, guest_at: reader.u32()?, guest_len: reader.u32()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let piece = Piece {
            code_at: 1,
            code_len: 2,
            entry: 8,
            slots_at: 3,
            targets_at: 4,
            targets: 5,
            faults_at: 6,
            faults: 7,
            owed_at: 15,
            owed: 16,
            forward: Forward(5),
        };
        let block = BlockRecord {
            pc: u64::MAX - 1,
            control: 0x1f80,
            start: 8,
            unit: 17,
            guest_at: 9,
            guest_len: 960,
            guarded: 2,
            piece,
            region: 10,
        };
        let region = RegionRecord {
            piece,
            counters: 1,
            points_at: 11,
            points: 12,
            members_at: 13,
            members: 14,
            of_one_unit: 1,
        };
        let unit = UnitRecord {
            start: 18,
            end: 19,
            stretches_at: 20,
            stretches: 21,
            guarded: 1,
            blocks_at: 26,
            blocks: 22,
        };
        let stretch = Stretch { start: 23, guest_at: 24, guest_len: 25 };
        let (mut units, mut stretches) = (Vec::new(), Vec::new());
        unit.write(&mut units);
        stretch.write(&mut stretches);
        assert_eq!((units.len(), stretches.len()), (UNIT_SIZE, STRETCH_SIZE));
        assert_eq!((UnitRecord::read(&units), Stretch::read(&stretches)), (Some(unit), Some(stretch)));
        let (mut blocks, mut regions) = (Vec::new(), Vec::new());
        block.write(&mut blocks);
        region.write(&mut regions);
        assert_eq!((blocks.len(), regions.len()), (BLOCK_SIZE, REGION_SIZE));
        assert_eq!(
            (BlockRecord::read(blocks.first_chunk().unwrap()), RegionRecord::read(&regions)),
            (Some(block), Some(region))
        );
    }

    #[test]
    fn a_header_is_for_one_key() {
        let (key, counts) = ([7; KEY_WORDS], Counts { code: 5000, blocks: 3, index: 8, ..Counts::default() });
        let header = header(&key, &counts, 99);
        assert_eq!(header.len(), HEADER);
        assert_eq!(parse_header(&header, &key), Some((counts, 99)));
        assert_eq!(parse_header(&header, &[8; KEY_WORDS]), None);
        for at in 0..header.len() {
            let mut damaged = header.clone();
            damaged[at] ^= 0x10;
            assert_eq!(parse_header(&damaged, &key), None, "byte {at}");
        }
        assert_eq!(counts.sums_at(), PAGE + 8192);
        assert_eq!(counts.file_len(), counts.runs_at() + 16);
    }
}
