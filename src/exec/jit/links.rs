//! How pieces of code lead to each other, and how they are cut off.

use super::code_memory::{self, SlotAddr, slot_at};
use super::{Engine, lock, template};
use crate::exec::offspring::{self, Report};
use crate::exec::saved;
use crate::exec::translation::Translation;
use crate::exec::window::Origin;
use smallvec::SmallVec;
use std::sync::atomic::Ordering;

impl Engine {
    /// What leads to a block's code from templates, or to its trace, leads to its region from now on; who enters that code
    /// all the same is sent to the run loop at its counter.
    pub(super) fn replace_template(&mut self, head: &Translation, region: u64) {
        for old in [head.template(), head.trace()].into_iter().flatten().filter(|old| old.entry != region) {
            let slots = self.redirect(head, old.entry, region);
            self.incoming.entry(region).or_default().extend(slots);
            code_memory::set_counter(old.counter, 0);
        }
    }

    /// Makes every slot that leads to `entry`, which is of code of `head`, lead to the run loop.
    fn unlink(&mut self, head: &Translation, entry: u64) {
        self.redirect(head, entry, self.unlinked);
    }

    /// Makes every slot that leads to `entry`, which is of code of `head`, lead to `to`; which of them were noted.
    fn redirect(&mut self, head: &Translation, entry: u64, to: u64) -> SmallVec<[u32; 4]> {
        let noted = self.incoming.remove(&entry).unwrap_or_default();
        let saved = match *head.origin() {
            Origin::Saved(number) => saved::incoming(number),
            _ => &[],
        };
        let leads_there = |slot: &&u32| {
            let lead = code_memory::slot_lead(slot_at(**slot as usize));
            lead == entry || lead == entry + template::BEHIND_ENTRY
        };
        for &slot in noted.iter().chain(saved.iter().filter(leads_there)) {
            self.memory.patch(slot_at(slot as usize), to);
        }
        noted
    }
}

/// Makes a slot lead to `target`, which stands for the slot's guest address.
pub fn link(slot: u64, target: &Translation) {
    let mut guard = lock();
    let Some(engine) = guard.as_mut() else { return };
    let slot = SlotAddr(slot);
    let number = engine.memory.slot_number(slot) as u32;
    let linked = engine.link(slot, number, target);
    if linked && offspring::is_reporting() && offspring::is_common(number) {
        offspring::report(Report::Link { slot: number, pc: target.pc.raw(), control: target.control });
    }
}

/// The same for a slot by its number, as a forked child has linked it.
pub fn link_number(number: u32, target: &Translation) {
    let mut guard = lock();
    let Some(engine) = guard.as_mut().filter(|engine| (number as usize) < engine.memory.slots()) else {
        return;
    };
    let slot = slot_at(number as usize);
    if code_memory::slot_lead(slot) == engine.unlinked {
        engine.link(slot, number, target);
    }
}

/// How many slots have been given out.
pub fn slots() -> usize {
    lock().as_ref().map_or(0, |engine| engine.memory.slots())
}

impl Engine {
    /// Whether there is code to lead to.
    fn link(&mut self, slot: SlotAddr, number: u32, target: &Translation) -> bool {
        let entry = target.entry.load(Ordering::Acquire);
        if entry == 0 || code_memory::slot_target(slot) != target.pc.raw() {
            return false;
        }
        self.memory.patch(slot, entry);
        self.incoming.entry(entry).or_default().push(number);
        true
    }
}

/// Cuts off every region and trace made from `gone`. The cache is locked.
pub fn cut_off(gone: &Translation) {
    let regions = std::mem::take(&mut *gone.regions());
    let template = gone.take_template();
    gone.take_trace();
    if regions.is_empty() && template.is_none() {
        return;
    }
    let mut guard = lock();
    let Some(engine) = guard.as_mut() else { return };
    if let Some(template) = template {
        gone.leave(template.entry, 0);
        engine.unlink(gone, template.entry);
    }
    for region in regions {
        let head = &region.head;
        if region.is_trace() {
            head.take_trace();
        }
        // It may get hot again with its other blocks as they are now.
        let fallback = head.counting();
        if head.leave(region.entry, fallback.map_or(0, |code| code.entry)) {
            head.runs.store(0, Ordering::Relaxed);
            head.start_again();
        }
        engine.unlink(&region.head, region.entry);
    }
}
