//! Saved code: taken over from a file, set going unit by unit or block by block, and handed out to be saved.

use super::code_memory::{CodeMemory, counter, slot_at, slot_target};
use super::pieces::Piece;
use super::{BUDGET, Compiled, Engine, LENGTHENED, has_asked, left_of, lock};
use crate::debug;
use crate::exec::saved::{self, BlockNumber, BlockRecord, Found, Leads, RegionRecord, Together};
use crate::exec::translation::{Template, Translation};
use crate::exec::window::Origin;
use guest::GuestAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

/// Runs of a saved block until it becomes the head of a trace, at the least.
const LEAST: u32 = 16;

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

/// Whether somebody wants to know of each piece of code that comes into use.
pub fn is_traced() -> bool {
    debug::enabled(debug::item::CODE | debug::item::PERF_MAP | debug::item::JIT_DUMP)
}

/// Sets the code of a whole unit going, whose file has so many slots, to lead on as the file says.
pub fn start_all(slots: usize, leads: Leads, blocks: impl Iterator<Item = (BlockNumber, BlockRecord)>) {
    let mut guard = lock();
    let Some(engine) = guard.as_mut() else { return };
    if !std::mem::replace(&mut engine.populated, true) {
        engine.memory.populate_slots(slots);
    }
    for (number, record) in blocks {
        engine.start_block(number, &record, leads);
    }
}

/// Sets a region going whose blocks are of several units, which all are in use. Whether its head is entered there then.
pub fn start_region(
    head: &BlockRecord,
    region: &RegionRecord,
    leads: Leads,
    translation: Option<&Arc<Translation>>,
) -> bool {
    let mut guard = lock();
    let Some(engine) = guard.as_mut().filter(|_| translation.is_none_or(|head| !head.has_region())) else {
        return false;
    };
    engine.set_ways(region.piece.slots_at as usize, &region.piece, leads);
    if head.piece.code_len != 0 {
        engine.memory.set_slot(head.piece.slots_at as usize, 0, head.pc);
    }
    if let Some(head) = translation {
        let entry = engine.saved_entry(&region.piece);
        engine.replace_template(head, entry);
        head.lengthened.store(true, Ordering::Relaxed);
        head.entry.store(entry, Ordering::Release);
    }
    true
}

/// Makes translations of blocks whose unit is going what the code says.
pub fn enter(blocks: &[Found]) {
    let guard = lock();
    let Some(engine) = guard.as_ref() else { return };
    for Found { record, translation, .. } in blocks {
        engine.enter_block(record, translation);
    }
}

/// A unit was taken apart: tells its blocks of the regions that they are in.
pub fn note_regions<'a>(
    blocks: &[(BlockNumber, BlockRecord)],
    at: impl Fn(BlockNumber) -> Option<&'a Arc<Translation>>,
) {
    let guard = lock();
    let Some(engine) = guard.as_ref() else { return };
    for (_, record) in blocks.iter().filter(|(_, record)| saved::region_together(record).is_some()) {
        let Some((region, members)) = saved::region_of(record) else { continue };
        let members: Vec<_> = members.iter().filter_map(|&number| at(number).cloned()).collect();
        let entry = engine.saved_entry(&region.piece);
        if members.first().is_some_and(|head| head.entry.load(Ordering::Acquire) == entry) {
            Compiled::note(&members, entry);
        }
    }
}

/// How often a saved block that is in use has run.
pub fn counted(number: BlockNumber, record: &BlockRecord) -> u32 {
    let counted = |whole: u32, slot: u32| whole.saturating_sub(counter(slot_at(slot as usize)).max(0) as u32);
    match saved::region_together(record) {
        Some(region) if region.counters == 0 => BUDGET,
        // Its counter started anew when it asked for a region.
        Some(trace) if has_asked(saved::runs(number)) => counted(2 * BUDGET, trace.piece.slots_at),
        Some(trace) => counted(BUDGET, trace.piece.slots_at),
        None if record.piece.code_len == 0 => 0,
        None => counted(LENGTHENED, record.piece.slots_at),
    }
}

/// Sets saved blocks going one by one: they have been put into the cache, which is locked. `at` finds those that are there.
pub fn revive<'a>(blocks: &[Found], at: impl Fn(BlockNumber) -> Option<&'a Arc<Translation>>) {
    let mut guard = lock();
    let Some(engine) = guard.as_mut() else { return };
    for Found { record, translation, together } in blocks {
        match (together, translation.origin()) {
            (Together::No, Origin::Saved(number)) => engine.revive_block(*number, record, translation),
            _ => engine.enter_block(record, translation),
        }
    }
    let apart = || blocks.iter().filter(|found| found.together == Together::No);
    // Nobody has been told of them yet, so slots may be set last.
    for Found { record, .. } in apart() {
        engine.lead_on(record.piece.slots_at as usize + 1, &record.piece, &at);
    }
    for Found { record, .. } in apart() {
        engine.revive_region(record, &at);
    }
}

impl Engine {
    /// Sets all slots of a block whose unit is set going, and of the region that it is the head of.
    fn start_block(&mut self, number: BlockNumber, record: &BlockRecord, leads: Leads) {
        let region = saved::region_together(record);
        if record.piece.code_len != 0 {
            // Nobody enters it there who does not run it for the last time: its region is entered.
            let left = if region.is_some() { 0 } else { runs_left(number) };
            self.memory.set_slot(record.piece.slots_at as usize, left.into(), record.pc);
            self.set_ways(record.piece.slots_at as usize + 1, &record.piece, leads);
        }
        if let Some(RegionRecord { piece, counters, .. }) = region {
            let first = piece.slots_at as usize;
            if counters != 0 {
                self.memory.set_slot(first, left_of(saved::runs(number)).into(), record.pc);
            }
            self.set_ways(first + counters as usize, &piece, leads);
        }
    }

    /// Sets the slots of a piece, to lead on as the file says.
    fn set_ways(&mut self, first: usize, piece: &saved::Piece, leads: Leads) {
        let start = self.memory.bytes().as_ptr() as u64;
        for (slot, (pc, lead)) in (first..).zip(leads.of(piece)) {
            let host = if lead == 0 { self.unlinked } else { start + u64::from(lead) };
            self.memory.set_slot(slot, host, pc);
        }
    }

    /// Where a block is entered whose slots are set.
    fn enter_block(&self, record: &BlockRecord, translation: &Translation) {
        let entry = self.enter_template(record, translation);
        let region = saved::region_together(record);
        let further = region.map(|region| (region, self.saved_entry(&region.piece)));
        if let Some((region, entry)) = further
            && region.counters != 0
        {
            translation.set_trace(Template { entry, counter: slot_at(region.piece.slots_at as usize) });
        }
        if let Some(entry) = further.map(|(_, entry)| entry).or(entry) {
            translation.lengthened.store(region.is_some(), Ordering::Relaxed);
            translation.entry.store(entry, Ordering::Release);
        }
    }

    fn enter_template(&self, record: &BlockRecord, translation: &Translation) -> Option<u64> {
        let piece = &record.piece;
        let entry = (piece.code_len != 0).then(|| self.saved_entry(piece))?;
        translation.set_template(Template { entry, counter: slot_at(piece.slots_at as usize) });
        Some(entry)
    }

    fn revive_block(&mut self, number: BlockNumber, record: &BlockRecord, translation: &Translation) {
        if let Some(entry) = self.enter_template(record, translation) {
            self.memory.set_slot(record.piece.slots_at as usize, runs_left(number).into(), record.pc);
            self.trace_saved("template", &record.piece, translation.pc);
            translation.entry.store(entry, Ordering::Release);
        }
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
        }
    }

    fn revive_region<'a>(
        &mut self,
        record: &BlockRecord,
        at: &impl Fn(BlockNumber) -> Option<&'a Arc<Translation>>,
    ) {
        let Some((region, members)) = saved::region_of(record) else { return };
        let (piece, counters) = (region.piece, region.counters as usize);
        let found = members.iter().map(|&number| at(number).cloned());
        let Some(blocks) = found.collect::<Option<Vec<_>>>() else { return };
        if blocks.first().is_none_or(|head| head.pc.raw() != record.pc || head.has_region()) {
            return;
        }
        let (head, counter) = (&blocks[0], piece.slots_at as usize);
        self.lead_on(counter + counters, &piece, at);
        let entry = self.saved_entry(&piece);
        if counters == 0 {
            self.trace_saved("region", &piece, head.pc);
            return self.enter_region(&blocks, entry);
        }
        self.trace_saved("trace", &piece, head.pc);
        self.memory.set_slot(counter, left_of(runs_before(head)).into(), record.pc);
        self.enter_trace(&blocks, Template { entry, counter: slot_at(counter) });
    }
}

/// Runs until a saved block becomes the head of a trace: what has run often in earlier processes is hot sooner in this one.
fn runs_left(number: BlockNumber) -> u32 {
    LENGTHENED.saturating_sub(saved::runs(number)).max(LEAST)
}

/// How often a block has run in earlier processes.
pub fn runs_before(translation: &Translation) -> u32 {
    match *translation.origin() {
        Origin::Saved(number) => saved::runs(number),
        _ => 0,
    }
}

/// How often it has run in saved traces that it is no translation of.
pub fn runs_in_saved_traces(translation: &Translation) -> u32 {
    let Origin::Saved(number) = *translation.origin() else { return 0 };
    let others = saved::heads(number).filter(|(head, _)| *head != number);
    let traces = others.filter(|(_, head)| saved::region_together(head).is_some_and(|one| one.counters != 0));
    traces.map(|(number, head)| counted(number, &head)).fold(0, u32::saturating_add)
}

/// Whether a block is part of a region, of its own or of another block's.
pub fn is_in_region(translation: &Translation) -> bool {
    heads_of_regions(translation).next().is_some()
}

/// The heads of the regions in use that a block is part of.
pub fn heads_of_regions(translation: &Translation) -> impl Iterator<Item = GuestAddr> {
    let is_region = |head: &BlockRecord| saved::region_together(head).is_some_and(|one| one.counters == 0);
    let number = match *translation.origin() {
        Origin::Saved(number) => Some(number),
        _ => None,
    };
    let saved = number.into_iter().flat_map(saved::heads).filter(move |(_, head)| is_region(head));
    let in_use = |region: &Arc<Compiled>| !region.is_trace() && region.current().is_some();
    let own = translation.regions().into_iter().filter(in_use);
    saved.map(|(_, head)| GuestAddr(head.pc)).chain(own.map(|region| region.head().pc))
}

/// All code of this process, how many slots it has taken, and what there is to know of the pieces that this process has made.
pub struct Made<'a> {
    pub code: &'static [u8],
    pub slots: usize,
    /// Faults, what they owe, and commit points.
    pub packed: [&'a [u8]; 3],
    engine: &'a Engine,
}

impl<'a> Made<'a> {
    /// The piece that is entered at a host address, if this process has made it.
    pub fn piece(&self, entry: u64) -> Option<Piece<'a>> {
        let offset = (entry as usize).checked_sub(self.code.as_ptr() as usize)?;
        let piece = self.engine.pieces.at(offset)?;
        ((piece.code_at + piece.entry) as usize == offset).then_some(piece)
    }
}

/// Hands out what was made. `None` where others could not use it.
pub fn made<T>(f: impl FnOnce(&Made<'_>) -> T) -> Option<T> {
    let guard = lock();
    let engine = guard.as_ref().filter(|engine| engine.memory.is_at_home())?;
    let (code, slots) = (engine.memory.bytes(), engine.memory.slots());
    Some(f(&Made { code, slots, packed: engine.pieces.packed(), engine }))
}

/// How many blocks this process has made code of, how many traces, and how many regions.
pub fn count() -> [usize; 3] {
    let guard = lock();
    guard.as_ref().map_or([0; 3], |engine| {
        let (traces, regions) = (engine.traces, engine.regions);
        [engine.pieces.len() - traces - regions, traces, regions]
    })
}

/// The guest address that each slot of a piece stands for.
pub fn slot_targets(piece: &Piece<'_>, skipped: u32) -> impl ExactSizeIterator<Item = u64> {
    let first = piece.first_slot;
    (skipped..piece.slots).map(move |slot| slot_target(slot_at((first + slot) as usize)))
}
