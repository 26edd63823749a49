//! How blocks that are saved are arranged: in units, whose guest code stands in one piece, and which lead on among
//! themselves.

use super::format::{BlockRecord, RegionRecord, Stretch, UnitRecord};
use crate::mem::space;
use std::cmp::Reverse;
use std::ops::Range;

/// A mapping of a file whose code the guest cannot change.
pub struct FileCode {
    pub range: Range<u64>,
    guarded: bool,
}

/// Where files are mapped so, in order.
pub fn file_code() -> Vec<FileCode> {
    let mappings = space().mappings().into_iter().filter(|(_, m)| m.is_file_code());
    mappings.map(|(start, m)| FileCode { range: start..m.end, guarded: m.prot.guarded() }).collect()
}

/// The mapping that holds an address.
pub fn mapping_of(files: &[FileCode], pc: u64) -> Option<&FileCode> {
    let after = files.partition_point(|file| file.range.start <= pc);
    files[..after].last().filter(|file| pc < file.range.end)
}

/// The units of the file to be.
#[derive(Default)]
pub struct UnitDraft {
    pub units: Vec<UnitRecord>,
    /// Those that blocks may be added to: what they have is in memory as it is.
    open: Vec<u32>,
}

impl UnitDraft {
    /// What the image has; those that are together may grow.
    pub fn new(units: Vec<UnitRecord>, together: impl Iterator<Item = u32>) -> Self {
        Self { units, open: together.collect() }
    }

    /// The unit for blocks in a mapping.
    pub fn of(&mut self, file: &FileCode) -> u32 {
        let is_in = |unit: &UnitRecord| {
            file.range.start <= unit.start
                && unit.end <= file.range.end
                && (unit.guarded != 0) == file.guarded
        };
        let known = self.open.iter().rev().find(|&&unit| is_in(&self.units[unit as usize]));
        known.copied().unwrap_or_else(|| {
            let number = self.units.len() as u32;
            self.units.push(UnitRecord {
                start: file.range.start,
                end: file.range.end,
                guarded: file.guarded.into(),
                ..UnitRecord::default()
            });
            self.open.push(number);
            number
        })
    }
}

/// The guest code of all blocks, and which are of which unit.
#[derive(Default)]
pub struct Arranged {
    pub guest: Vec<u8>,
    pub stretches: Vec<u8>,
    pub count: usize,
    pub by_unit: Vec<u32>,
}

/// Arranges blocks, each with its guest code; says in blocks and units where that is.
pub fn arrange(blocks: &mut [BlockRecord], code: &[&[u8]], units: &mut [UnitRecord]) -> Arranged {
    let keys = blocks.iter().zip(0..);
    let mut order: Vec<_> = keys.map(|(b, number)| (b.unit, b.start, Reverse(b.guest_len), number)).collect();
    order.sort_unstable();
    let mut by_unit: Vec<u32> = order.into_iter().map(|(.., number)| number).collect();
    let guest = Vec::with_capacity(code.iter().map(|bytes| bytes.len()).sum());
    let mut all = Arranged { guest, ..Arranged::default() };
    let mut at = 0;
    for (number, unit) in units.iter_mut().enumerate() {
        let len = by_unit[at..].partition_point(|&one| blocks[one as usize].unit == number as u32);
        (unit.blocks_at, unit.blocks, unit.stretches_at) = (at as u32, len as u32, all.count as u32);
        all.add_unit(unit, &by_unit[at..at + len], blocks, code);
        at += len;
    }
    // From now on in the order of the table that they are in.
    let mut next: Vec<u32> = units.iter().map(|unit| unit.blocks_at).collect();
    for (block, number) in blocks.iter().zip(0..) {
        let place = &mut next[block.unit as usize];
        by_unit[*place as usize] = number;
        *place += 1;
    }
    Arranged { by_unit, ..all }
}

impl Arranged {
    /// Adds the guest code of a unit, whose blocks are in order.
    fn add_unit(
        &mut self,
        unit: &mut UnitRecord,
        numbers: &[u32],
        blocks: &mut [BlockRecord],
        code: &[&[u8]],
    ) {
        let mut open: Option<Stretch> = None;
        unit.start = numbers.first().map_or(unit.start, |&first| blocks[first as usize].start);
        for &number in numbers {
            let (block, bytes) = (&mut blocks[number as usize], &code[number as usize]);
            let end = |stretch: &Stretch| stretch.start + u64::from(stretch.guest_len);
            let mut stretch = match open.take() {
                Some(stretch) if block.start <= end(&stretch) => stretch,
                before => {
                    self.close(before);
                    Stretch { start: block.start, guest_at: self.guest.len() as u32, guest_len: 0 }
                }
            };
            let inside = (block.start - stretch.start) as u32;
            block.guest_at = stretch.guest_at + inside;
            let known = (stretch.guest_len - inside) as usize;
            if let Some(new) = bytes.get(known..) {
                self.guest.extend_from_slice(new);
                stretch.guest_len += new.len() as u32;
            }
            unit.end = end(&stretch);
            open = Some(stretch);
        }
        self.close(open);
        unit.stretches = self.count as u32 - unit.stretches_at;
    }

    fn close(&mut self, stretch: Option<Stretch>) {
        if let Some(stretch) = stretch {
            stretch.write(&mut self.stretches);
            self.count += 1;
        }
    }
}

/// Where a block is entered with its unit, from the start of code memory; 0 where it is not, or where that is yet to be seen.
pub fn lead(block: &BlockRecord, region: Option<RegionRecord>) -> u32 {
    match region {
        Some(region) if region.of_one_unit == 0 => 0,
        Some(region) => region.piece.code_at + region.piece.entry,
        None if block.piece.code_len == 0 => 0,
        None => block.piece.code_at + block.piece.entry,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::saved::format::{Piece, STRETCH_SIZE};

    fn block(unit: u32, start: u64, len: u16) -> BlockRecord {
        let (pc, control, guest_at, guarded) = (start, 0, 0, 0);
        BlockRecord {
            pc,
            control,
            start,
            unit,
            guest_at,
            guest_len: len,
            guarded,
            piece: Piece::default(),
            region: 0,
        }
    }

    #[test]
    fn blocks_that_overlap_or_touch_share_a_stretch() {
        let memory: Vec<u8> = (0..=255).collect();
        let mut blocks =
            [block(1, 40, 4), block(0, 24, 8), block(1, 10, 6), block(1, 16, 4), block(1, 12, 6)];
        let code: Vec<_> =
            blocks.iter().map(|b| &memory[b.start as usize..][..usize::from(b.guest_len)]).collect();
        let mut units = [UnitRecord::default(); 2];
        let all = arrange(&mut blocks, &code, &mut units);
        assert_eq!(all.by_unit, [1, 0, 2, 3, 4]);
        let stretches: Vec<_> =
            all.stretches.chunks(STRETCH_SIZE).map(|bytes| Stretch::read(bytes).unwrap()).collect();
        assert_eq!(
            stretches.iter().map(|s| (s.start, s.guest_len)).collect::<Vec<_>>(),
            [(24, 8), (10, 10), (40, 4)]
        );
        for (block, bytes) in blocks.iter().zip(&code) {
            assert_eq!(&all.guest[block.guest_at as usize..][..bytes.len()], *bytes);
        }
        let [first, second] = units;
        assert_eq!((first.start, first.end, first.blocks_at, first.blocks), (24, 32, 0, 1));
        assert_eq!((second.start, second.end, second.blocks_at, second.blocks), (10, 44, 1, 4));
        assert_eq!((second.stretches_at, second.stretches, all.count), (1, 2, 3));
    }

    #[test]
    fn a_mapping_has_one_unit_that_grows() {
        let file = |start: u64, guarded| FileCode { range: start..start + 0x1000, guarded };
        let old = UnitRecord { start: 0x1100, end: 0x1200, ..UnitRecord::default() };
        let mut draft = UnitDraft::new(vec![old, old], std::iter::once(1));
        assert_eq!(draft.of(&file(0x1000, false)), 1);
        assert_eq!(draft.of(&file(0x1000, true)), 2);
        assert_eq!(draft.of(&file(0x3000, false)), 3);
        assert_eq!([draft.of(&file(0x3000, false)), draft.of(&file(0x1000, true))], [3, 2]);
    }
}
