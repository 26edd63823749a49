//! Saved code: taken over from a file, set going block by block, and handed out to be saved.

use super::code_memory::{CodeMemory, slot_at, slot_target};
use super::pieces::Piece;
use super::{BUDGET, Engine, lock};
use crate::exec::saved::{self, BlockNumber, BlockRecord, Found};
use crate::exec::translation::{Template, Translation};
use guest::GuestAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Runs of a saved block until it asks for a region, at the least: where there is none still, it may be that none can be.
const LEAST: u32 = BUDGET / 16;

/// Makes saved code the first of the code memory; its bytes. `None` where that cannot be.
pub fn adopt(fd: i32, from: usize, len: usize, slots: usize) -> Option<&'static [u8]> {
    let mut guard = lock();
    if guard.is_some() {
        return None;
    }
    let mut memory = CodeMemory::map()?;
    let code = memory.adopt(fd, from, len, slots);
    *guard = Some(Engine::with(memory)?);
    code
}

/// Sets saved blocks going: they have been put into the cache, which is locked. `at` finds those that are there.
pub fn revive<'a>(blocks: &[Found], at: impl Fn(BlockNumber) -> Option<&'a Arc<Translation>>) {
    let mut guard = lock();
    let Some(engine) = guard.as_mut() else { return };
    for Found { record, translation } in blocks {
        engine.revive_block(record, translation);
    }
    // Nobody has been told of them yet, so slots may be set last.
    for Found { record, .. } in blocks {
        engine.lead_on(record.piece.slots_at as usize + 1, &record.piece, &at);
    }
    for Found { record, .. } in blocks {
        engine.revive_region(record, &at);
    }
}

impl Engine {
    fn revive_block(&mut self, record: &BlockRecord, translation: &Translation) {
        let piece = &record.piece;
        if piece.code_len == 0 {
            return;
        }
        let counter = piece.slots_at as usize;
        // What has run often in earlier processes is hot sooner in this one.
        let left = BUDGET.saturating_sub(saved::runs(translation)).max(LEAST);
        self.memory.set_slot(counter, left.into(), record.pc);
        let entry = self.saved_entry(piece);
        self.trace_saved("template", piece, translation.pc);
        translation.set_template(Template { entry, counter: slot_at(counter) });
        translation.entry.store(entry, Ordering::Release);
    }

    fn saved_entry(&self, piece: &saved::Piece) -> u64 {
        self.memory.bytes().as_ptr() as u64 + u64::from(piece.code_at + piece.entry)
    }

    fn trace_saved(&self, kind: &str, piece: &saved::Piece, pc: GuestAddr) {
        let start = self.memory.bytes().as_ptr() as u64 + u64::from(piece.code_at);
        self.trace(kind, start, piece.code_len as usize, pc);
    }

    /// Sets the slots of a piece, to lead on where there is code already.
    fn lead_on<'a>(
        &mut self,
        first: usize,
        piece: &saved::Piece,
        at: &impl Fn(BlockNumber) -> Option<&'a Arc<Translation>>,
    ) {
        for (slot, way) in (first..).zip(saved::ways(piece).into_iter().flatten()) {
            let entry = way.block.and_then(at).map_or(0, |target| target.entry.load(Ordering::Acquire));
            let host = if entry == 0 { self.unlinked } else { entry };
            self.memory.set_slot(slot, host, way.pc);
            if entry != 0 {
                self.incoming.entry(entry).or_default().push(slot as u32);
            }
        }
    }

    fn revive_region<'a>(
        &mut self,
        record: &BlockRecord,
        at: &impl Fn(BlockNumber) -> Option<&'a Arc<Translation>>,
    ) {
        let Some((piece, members)) = saved::region_of(record) else { return };
        let found = members.iter().map(|&number| at(number).cloned());
        let Some(blocks) = found.collect::<Option<Vec<_>>>() else { return };
        if blocks.first().is_none_or(|head| head.pc.raw() != record.pc || head.has_region()) {
            return;
        }
        self.lead_on(piece.slots_at as usize, &piece, at);
        self.trace_saved("region", &piece, blocks[0].pc);
        self.enter_region(&blocks, self.saved_entry(&piece));
    }
}

/// All code of this process, and how many slots it has taken.
pub struct Made {
    pub code: &'static [u8],
    pub slots: usize,
}

/// Finds a piece that this process has made, by its entry; and where that is, from the start of code memory.
pub type PieceAt<'a> = &'a dyn Fn(u64) -> Option<(u32, &'a Piece)>;

/// Hands out what was made. `None` where others could not use it.
pub fn made<T>(f: impl for<'a> FnOnce(&Made, PieceAt<'a>) -> T) -> Option<T> {
    let guard = lock();
    let engine = guard.as_ref().filter(|engine| engine.memory.is_at_home())?;
    let made = Made { code: engine.memory.bytes(), slots: engine.memory.slots() };
    let start = made.code.as_ptr() as u64;
    Some(f(&made, &|entry| {
        let (&at, piece) = engine.pieces.range(..=entry as usize).next_back()?;
        (at as u64 + u64::from(piece.entry) == entry).then_some(((at as u64 - start) as u32, piece))
    }))
}

/// How many blocks this process has made code of, and how many regions.
pub fn count() -> (usize, usize) {
    lock().as_ref().map_or((0, 0), |engine| (engine.pieces.len() - engine.regions, engine.regions))
}

/// The guest address that each slot of a piece stands for.
pub fn slot_targets(piece: &Piece, skipped: u32) -> impl ExactSizeIterator<Item = u64> {
    let first = piece.first_slot;
    (skipped..piece.slots).map(move |slot| slot_target(slot_at((first + slot) as usize)))
}
