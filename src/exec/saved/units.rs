//! Blocks that come into use together.
//!
//! A program starts by running thousands of blocks once. Each of them for itself to be found, compared with memory, noted
//! and led on to others takes as long as to run them. So what is of one mapping of a file, and was in memory together
//! when it was saved, is a unit: its guest code is compared as a whole, and from then on its code leads from block to
//! block by itself, as the file says. A block of it is a translation only once the run loop comes by.
//!
//! When a byte of a unit's pages changes it is taken apart first: all of its blocks become translations, so that those
//! that are not what is in memory any more are dropped as any other. A unit that is not in memory as it was saved is apart
//! from the beginning, and its blocks are looked at one by one.

use super::crossing::Crossing;
use super::format::UnitRecord;
use super::image::Image;
use super::{BlockNumber, BlockRecord, Found, Saved, Together, saved};
use crate::exec::jit;
use crate::exec::translation::Translation;
use crate::mem::space;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};

/// What was found out about a unit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Stage {
    Untried,
    Together,
    Apart,
}

/// How far each unit is, and what leads to each block.
pub struct Units {
    stages: Box<[AtomicU8]>,
    incoming: OnceLock<Incoming>,
    members: OnceLock<Members>,
    pub crossing: Crossing,
}

impl Units {
    pub fn new(count: usize) -> Self {
        let stages = (0..count).map(|_| AtomicU8::new(Stage::Untried as u8)).collect();
        Self { stages, incoming: OnceLock::new(), members: OnceLock::new(), crossing: Crossing::default() }
    }

    pub fn stage(&self, unit: u32) -> Stage {
        match self.stages.get(unit as usize).map(|stage| stage.load(Ordering::Acquire)) {
            Some(stage) if stage == Stage::Untried as u8 => Stage::Untried,
            Some(stage) if stage == Stage::Together as u8 => Stage::Together,
            _ => Stage::Apart,
        }
    }

    fn set(&self, unit: u32, stage: Stage) {
        if let Some(now) = self.stages.get(unit as usize) {
            now.store(stage as u8, Ordering::Release);
        }
    }

    /// Those whose blocks are in use together.
    pub fn together(&self) -> impl Iterator<Item = u32> {
        (0..self.stages.len() as u32).filter(|&unit| self.stage(unit) == Stage::Together)
    }
}

/// The block at `pc`, if its unit is in use. The cache is locked.
pub fn find_started(pc: u64, control: u64) -> Option<Found> {
    let (saved, image) = saved()?;
    image.find(pc, control).find_map(|(number, record)| {
        let started = saved.units.stage(record.unit) == Stage::Together;
        (started && image.fits(&record.piece, 1) && saved.take(number)).then(|| found(number, record))
    })
}

/// The block at `pc`, if its unit is in memory.
pub fn find(saved: &Saved, image: &Image, pc: u64, control: u64) -> Option<Found> {
    if jit::is_traced() {
        return None;
    }
    image.find(pc, control).find_map(|(number, record)| {
        if saved.units.stage(record.unit) == Stage::Untried && !is_in_memory(image, record.unit) {
            saved.units.set(record.unit, Stage::Apart);
        }
        let together = saved.units.stage(record.unit) != Stage::Apart;
        (together && image.fits(&record.piece, 1) && saved.take(number)).then(|| found(number, record))
    })
}

fn found(number: BlockNumber, record: BlockRecord) -> Found {
    Found { record, translation: Arc::new(Translation::saved(&record, number)), together: Together::Yes }
}

/// Whether all guest code of a unit is in memory, and nothing in the file is damaged. Changes are noticed from now on.
fn is_in_memory(image: &Image, number: u32) -> bool {
    let Some(unit) = image.unit(number).filter(|_| image.is_whole()) else { return false };
    let Some(stretches) = image.stretches(&unit) else { return false };
    space().holds_file_code(unit.start..unit.end, unit.guarded != 0, stretches)
}

/// Sets a unit going that was found in memory, unless it is; whether it is then. The cache is locked, and nothing was
/// invalidated since. `at` finds the blocks that are translations.
pub fn start<'a>(record: &BlockRecord, at: impl Fn(BlockNumber) -> Option<&'a Arc<Translation>>) -> bool {
    let Some((saved, image)) = saved() else { return false };
    if saved.units.stage(record.unit) == Stage::Untried
        && let (Some(unit), Some(leads)) = (image.unit(record.unit), image.leads())
    {
        let blocks = image.blocks_of(&unit).filter(|(_, block)| image.fits(&block.piece, 1));
        jit::start_all(image.counts.slots, leads, blocks);
        saved.units.set(record.unit, Stage::Together);
        for complete in saved.units.crossing.complete(image, &saved.units, record.unit) {
            let (number, head) = complete.head;
            if jit::start_region(&head, &complete.record, leads, at(number)) {
                complete.set_going();
            }
        }
    }
    saved.units.stage(record.unit) == Stage::Together
}

/// The units in use that have code on one of these pages, and those that go with them; all without pages.
pub fn touched(pages: Option<&[u64]>) -> Vec<u32> {
    let Some((saved, image)) = saved() else { return Vec::new() };
    let has_one = |unit: &UnitRecord| {
        let on = |page: u64| page < unit.end && page.saturating_add(super::format::PAGE as u64) > unit.start;
        pages.is_none_or(|pages| pages.iter().any(|&page| on(page)))
    };
    let mut touched: Vec<u32> =
        saved.units.together().filter(|&unit| image.unit(unit).is_some_and(|unit| has_one(&unit))).collect();
    saved.units.crossing.add_linked(&mut touched);
    touched
}

/// The blocks of a unit that is to be taken apart. The cache is locked.
pub fn take_apart(unit: u32) -> Vec<(BlockNumber, BlockRecord)> {
    let Some((saved, image)) = saved() else { return Vec::new() };
    saved.units.set(unit, Stage::Apart);
    image.unit(unit).map(|unit| image.blocks_of(&unit).collect()).unwrap_or_default()
}

/// The translation of a block of such a unit, if it is none yet.
pub fn apart(number: BlockNumber, record: BlockRecord) -> Found {
    if let Some((saved, _)) = saved() {
        saved.take(number);
    }
    found(number, record)
}

/// How many blocks may run: those of units that are in use together, and of others those that are translations.
pub fn usable() -> usize {
    let Some((saved, image)) = saved() else { return 0 };
    let together = |block: BlockRecord| saved.units.stage(block.unit) == Stage::Together;
    let usable = |&number: &BlockNumber| saved.is_in_use(number) || image.block(number).is_some_and(together);
    (0..image.counts.blocks as u32).map(BlockNumber).filter(usable).count()
}

/// How often each block has run, in earlier processes and in this one.
pub fn runs(saved: &Saved, image: &Image) -> Vec<u32> {
    let mut runs: Vec<u32> =
        (0..image.counts.blocks as u32).map(|number| image.runs(BlockNumber(number))).collect();
    for unit in saved.units.together().filter_map(|unit| image.unit(unit)) {
        for (BlockNumber(number), record) in image.blocks_of(&unit) {
            let known = &mut runs[number as usize];
            *known = jit::counted(BlockNumber(number), &record).max(*known);
        }
    }
    runs
}

/// Which slots of saved code lead to each block, as far as the file says.
struct Incoming {
    /// Where those of each block start.
    at: Vec<u32>,
    slots: Vec<u32>,
}

impl Incoming {
    fn of(image: &Image) -> Self {
        let mut at = vec![0; image.counts.blocks + 2];
        each_link(image, |BlockNumber(block), _| at[block as usize + 2] += 1);
        for block in 2..at.len() {
            at[block] += at[block - 1];
        }
        let mut slots = vec![0; at[at.len() - 1] as usize];
        each_link(image, |BlockNumber(block), slot| {
            let next = &mut at[block as usize + 1];
            slots[*next as usize] = slot;
            *next += 1;
        });
        Self { at, slots }
    }
}

/// Calls `f` with each block that a slot leads to, and the slot.
fn each_link(image: &Image, mut f: impl FnMut(BlockNumber, u32)) {
    let blocks = (0..image.counts.blocks as u32).filter_map(|number| image.block(BlockNumber(number)));
    let blocks = blocks.map(|block| (block.piece.slots_at + 1, block.piece));
    let regions = (0..image.counts.regions as u32).filter_map(|number| image.region(number));
    let regions = regions.map(|region| (region.piece.slots_at + region.counters, region.piece));
    for (first, piece) in blocks.chain(regions) {
        for (slot, way) in (first..).zip(image.ways(&piece).into_iter().flatten()) {
            let is_one = |block: &BlockNumber| (block.0 as usize) < image.counts.blocks;
            if let Some(block) = way.block.filter(is_one).filter(|_| (slot as usize) < image.counts.slots) {
                f(block, slot);
            }
        }
    }
}

/// The slots of saved code that may lead to a block.
pub fn incoming(number: BlockNumber) -> &'static [u32] {
    let Some((saved, image)) = saved() else { return &[] };
    let all = saved.units.incoming.get_or_init(|| Incoming::of(image));
    let [start, end] = [0, 1].map(|next| all.at[number.0 as usize + next] as usize);
    &all.slots[start..end]
}

/// Which regions and traces each block is in.
struct Members {
    /// Blocks, and the heads of what they are in; by block.
    heads: Vec<(u32, BlockNumber)>,
}

impl Members {
    fn of(image: &Image) -> Self {
        let mut heads = Vec::new();
        for number in 0..image.counts.regions as u32 {
            let members = image.region(number).and_then(|region| image.members(&region)).unwrap_or_default();
            let Some(&head) = members.first() else { continue };
            if image.block(head).is_some_and(|head| head.region == number + 1) {
                heads.extend(members.iter().map(|&BlockNumber(member)| (member, head)));
            }
        }
        heads.sort_unstable_by_key(|&(member, _)| member);
        Self { heads }
    }
}

/// The heads, in units that are in use, of the saved regions and traces that a block is in.
pub fn heads(BlockNumber(number): BlockNumber) -> impl Iterator<Item = (BlockNumber, BlockRecord)> {
    let all =
        saved().map(|(saved, image)| (saved, image, saved.units.members.get_or_init(|| Members::of(image))));
    all.into_iter().flat_map(move |(saved, image, Members { heads })| {
        let first = heads.partition_point(|&(member, _)| member < number);
        let own = heads[first..].iter().take_while(move |&&(member, _)| member == number);
        own.filter_map(move |&(_, head)| {
            let record = image.block(head)?;
            (saved.units.stage(record.unit) == Stage::Together).then_some((head, record))
        })
    })
}
