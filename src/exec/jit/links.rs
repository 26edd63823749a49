//! How pieces of code lead to each other, and how they are cut off.

use super::code_memory::{self, SlotAddr, slot_at};
use super::{Engine, lock, template};
use crate::exec::cache::WordMap;
use crate::exec::offspring::{self, Report};
use crate::exec::translation::Translation;
use crate::exec::window::Origin;
use crate::exec::{recycle, saved};
use guest::GuestAddr;
use std::num::NonZeroU32;
use std::sync::atomic::Ordering;

/// Which slots lead to each entry: lists, whose nodes are used over and over.
#[derive(Default)]
pub struct Incoming {
    /// The first node of each entry's list.
    first: WordMap<u64, Place>,
    nodes: Vec<Node>,
    free: Option<Place>,
}

/// A node's place, plus 1.
type Place = NonZeroU32;

/// A slot by its number, and the next one of the same entry.
#[derive(Clone, Copy)]
struct Node {
    slot: u32,
    next: Option<Place>,
}

impl Incoming {
    fn add(&mut self, entry: u64, slot: u32) {
        let place = self.node();
        let next = self.first.insert(entry, place);
        self.nodes[place.get() as usize - 1] = Node { slot, next };
    }

    /// A node that is in no list.
    fn node(&mut self) -> Place {
        if let Some(place) = self.free {
            self.free = self.nodes[place.get() as usize - 1].next;
            return place;
        }
        self.nodes.push(Node { slot: 0, next: None });
        Place::MIN.saturating_add(self.nodes.len() as u32 - 1)
    }

    /// Hands each slot that leads to `entry` to `f`. They lead to `to` from now on, if that is an entry.
    fn redirect(&mut self, entry: u64, to: Option<u64>, mut f: impl FnMut(u32)) {
        let Some(first) = self.first.remove(&entry) else { return };
        let mut last = first;
        loop {
            let node = self.nodes[last.get() as usize - 1];
            f(node.slot);
            let Some(next) = node.next else { break };
            last = next;
        }
        let next = match to {
            Some(to) => self.first.insert(to, first),
            None => self.free.replace(first),
        };
        self.nodes[last.get() as usize - 1].next = next;
    }
}

impl Engine {
    /// What leads to a block's code from templates, or to its trace, leads to its region from now on; who enters that code
    /// all the same is sent to the run loop at its counter.
    pub(super) fn replace_template(&mut self, head: &Translation, region: u64) {
        for old in [head.template(), head.trace()].into_iter().flatten().filter(|old| old.entry != region) {
            self.redirect(head, old.entry, Some(region));
            code_memory::set_counter(old.counter, 0);
        }
    }

    /// What leads to a region of a block leads to its new one from now on.
    pub(super) fn replace_region(&mut self, head: &Translation, before: u64, region: u64) {
        self.redirect(head, before, Some(region));
        self.note_dead(before);
    }

    /// Makes every slot that leads to `entry`, which is of code of `head`, lead to the run loop.
    fn unlink(&mut self, head: &Translation, entry: u64) {
        self.redirect(head, entry, None);
    }

    /// Makes every slot that leads to `entry`, which is of code of `head`, lead to `to`, or to the run loop.
    fn redirect(&mut self, head: &Translation, entry: u64, to: Option<u64>) {
        let (memory, host) = (&self.memory, to.unwrap_or(self.unlinked));
        let saved = match *head.origin() {
            Origin::Saved(number) => saved::incoming(number),
            _ => &[],
        };
        let leads_there = |slot: &&u32| {
            let lead = code_memory::slot_lead(slot_at(**slot as usize));
            lead == entry || lead == entry + template::BEHIND_ENTRY
        };
        for &slot in saved.iter().filter(leads_there) {
            memory.patch(slot_at(slot as usize), host);
        }
        self.incoming.redirect(entry, to, |slot| memory.patch(slot_at(slot as usize), host));
    }
}

/// Makes a slot lead to `target`, which stands for the slot's guest address.
pub fn link(slot: u64, target: &Translation) {
    let mut guard = lock();
    let Some(engine) = guard.as_mut() else { return };
    let slot = SlotAddr(slot);
    let number = code_memory::number_of(slot);
    let linked = engine.link(slot, number, target);
    if linked && offspring::is_reporting() && offspring::is_common(number) {
        offspring::report(Report::Link { slot: number, pc: target.pc.raw(), control: target.control });
    }
}

/// The head of the region that was left through `slot` for a block at `target`. It may be any number.
pub fn left_region(slot: u64, target: GuestAddr) -> Option<GuestAddr> {
    let guard = lock();
    let engine = guard.as_ref()?;
    let slot = engine.memory.slot(slot).filter(|&slot| code_memory::slot_target(slot) == target.raw())?;
    let number = code_memory::number_of(slot);
    match engine.pieces.with_slot(number) {
        Some(piece) => piece.head(),
        None => saved::head_of_slot(number),
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
    /// Counts the code that was entered there as given up.
    fn note_dead(&mut self, entry: u64) {
        let piece = self.pieces.at(code_memory::offset_of(entry) as usize);
        self.dead += piece.map_or(0, |piece| piece.code_len as usize);
    }

    /// Whether there is code to lead to.
    fn link(&mut self, slot: SlotAddr, number: u32, target: &Translation) -> bool {
        let entry = target.entry.load(Ordering::Acquire);
        // While it is held, what leads where is about to be forgotten.
        if self.held || entry == 0 || code_memory::slot_target(slot) != target.pc.raw() {
            return false;
        }
        self.memory.patch(slot, entry);
        self.incoming.add(entry, number);
        true
    }
}

/// Cuts off every region and trace made from `gone`. The cache is locked.
pub fn cut_off(gone: &Translation) {
    let regions = gone.take_regions();
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
        engine.note_dead(template.entry);
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
            engine.note_dead(region.entry);
        }
        engine.unlink(&region.head, region.entry);
    }
    recycle::want_where(engine.memory.passing().saturating_sub(engine.dead), engine.dead);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(incoming: &mut Incoming, entry: u64, to: Option<u64>) -> Vec<u32> {
        let mut slots = Vec::new();
        incoming.redirect(entry, to, |slot| slots.push(slot));
        slots.sort_unstable();
        slots
    }

    #[test]
    fn slots_go_where_those_before_them_have_gone() {
        let mut incoming = Incoming::default();
        for slot in 0..6 {
            incoming.add(1 + u64::from(slot % 2), slot);
        }
        assert_eq!(taken(&mut incoming, 1, Some(3)), [0, 2, 4]);
        assert!(taken(&mut incoming, 1, None).is_empty());
        assert_eq!(taken(&mut incoming, 2, Some(3)), [1, 3, 5]);
        assert_eq!(taken(&mut incoming, 3, None), [0, 1, 2, 3, 4, 5]);
        for slot in 6..12 {
            incoming.add(4, slot);
        }
        assert_eq!(taken(&mut incoming, 4, None), [6, 7, 8, 9, 10, 11]);
        assert_eq!(incoming.nodes.len(), 6);
    }
}
