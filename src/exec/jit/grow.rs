//! Which blocks make a region: the head and what is reached from it within the limits.
//!
//! Calls are followed. The blocks of a called function are there once for each call that leads to them, so that its
//! return has one place to go on at: behind that call. Where the function is computed, the last one called is expected, or the last two
//! where it has turned out to change ([`super::phases`]).
//! (The guest may go elsewhere; then it leaves the region.)
//! What is nearer comes first: all of a function before the functions that it calls.

use super::cells::CellSet;
use super::constants::Constants;
use super::is_in_region;
use super::phases::Expected;
use super::region::{Edge, Flags, Follow, Limits, RegionBlock, targets};
use crate::exec::cache::Cache;
use crate::exec::translation::Translation;
use crate::host::signals;
use guest::GuestAddr;
use guest::ir::{Block, Hint, Op, Terminator, Val};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::sync::Arc;

/// Calls within calls that are followed. Deeper ones lead to the head at most.
const DEEPEST: usize = 4;

/// Guest instructions of a called function, without those that it calls: a longer one has regions of its own, and
/// copies of it for all its callers would only displace each other in the host's caches.
const LONGEST: usize = 48;

/// A call that was followed.
struct Frame {
    returns_to: GuestAddr,
    /// The call around it, if that is known.
    outer: Option<usize>,
    insns: usize,
}

/// A block, and the call that it belongs to.
type Place = (GuestAddr, Option<usize>);

struct Found {
    place: Place,
    translation: Arc<Translation>,
    ways: [Option<Place>; 2],
}

struct Growth<'a> {
    cache: &'a Cache,
    expected: &'a Expected,
    control: u64,
    limits: Limits,
    frames: Vec<Frame>,
    found: Vec<Found>,
    index: HashMap<Place, usize>,
    /// By depth, then in order.
    waiting: BinaryHeap<Reverse<(usize, usize, Place)>>,
    asked: usize,
    insns: usize,
}

/// The blocks of a region from `head`, which is the first.
pub fn grow(cache: &Cache, head: &Arc<Translation>, limits: Limits, expected: &Expected) -> Vec<RegionBlock> {
    let mut growth = Growth {
        cache,
        expected,
        control: head.control,
        limits,
        frames: Vec::new(),
        found: Vec::new(),
        index: HashMap::new(),
        waiting: BinaryHeap::new(),
        asked: 0,
        insns: 0,
    };
    growth.add((head.block.pc, None), Arc::clone(head));
    while let Some(Reverse((_, _, place))) = growth.waiting.pop() {
        if growth.index.contains_key(&place) || growth.found.len() >= limits.blocks {
            continue;
        }
        let Some(next) = growth.candidate(place.0) else { continue };
        if growth.has_room(&next.block, place.1) {
            growth.add(place, next);
        }
    }
    growth.finish()
}

impl Growth<'_> {
    fn has_room(&self, block: &Block, frame: Option<usize>) -> bool {
        let more = block.insns.len();
        let fits = frame.is_none_or(|at| self.frames[at].insns + more <= LONGEST);
        fits && more > 0 && self.insns + more <= self.limits.insns
    }

    fn add(&mut self, place: Place, translation: Arc<Translation>) {
        self.insns += translation.block.insns.len();
        if let Some(frame) = place.1 {
            self.frames[frame].insns += translation.block.insns.len();
        }
        let ways = self.ways(&translation, place.1);
        self.index.insert(place, self.found.len());
        self.found.push(Found { place, translation, ways });
    }

    /// Where control goes, or is expected to go, at the end of a block that belongs to the call `frame`; asks for
    /// what is there.
    fn ways(&mut self, translation: &Translation, frame: Option<usize>) -> [Option<Place>; 2] {
        match translation.block.terminator {
            Terminator::Jump { target, hint: Hint::Call(back) } => [self.call(target, back, frame), None],
            Terminator::Indirect { hint: Hint::Call(back), .. } => {
                let expected = self.expected.of(translation);
                expected.map(|target| target.and_then(|target| self.call(target, back, frame)))
            }
            Terminator::Indirect { hint: Hint::Return, .. } => {
                [frame.map(|at| (self.frames[at].returns_to, self.frames[at].outer)), None]
            }
            Terminator::Indirect { target, hint: Hint::None } => {
                let fixed = is_fixed(&translation.block, target);
                let expected = if fixed { self.expected.of(translation) } else { [None, None] };
                let ways = expected.map(|way| way.map(|pc| (pc, frame)));
                ways.into_iter().flatten().for_each(|way| self.ask(way));
                ways
            }
            ref other => {
                let ways = targets(other).map(|way| way.map(|pc| (pc, frame)));
                ways.into_iter().flatten().for_each(|way| self.ask(way));
                ways
            }
        }
    }

    /// A call of `target`, and what is behind it.
    fn call(&mut self, target: GuestAddr, back: GuestAddr, frame: Option<usize>) -> Option<Place> {
        if self.depth(frame) == DEEPEST {
            return Some((target, None));
        }
        self.frames.push(Frame { returns_to: back, outer: frame, insns: 0 });
        let inner = (target, Some(self.frames.len() - 1));
        self.ask((back, frame));
        self.ask(inner);
        Some(inner)
    }

    fn ask(&mut self, place: Place) {
        self.asked += 1;
        self.waiting.push(Reverse((self.depth(place.1), self.asked, place)));
    }

    fn depth(&self, frame: Option<usize>) -> usize {
        std::iter::successors(frame, |&at| self.frames[at].outer).count()
    }

    fn candidate(&self, pc: GuestAddr) -> Option<Arc<Translation>> {
        match self.limits.follow {
            Follow::Any if signals::pages_are_waited_for() => self.cache.peek(pc.raw(), self.control),
            Follow::Any => Some(self.cache.translation(pc.raw(), self.control)),
            Follow::Ran(least) => {
                let known = self.cache.known(pc.raw(), self.control)?;
                // What has been in a region ever since an earlier process made it was not counted there.
                (known.runs_in_traces() >= least || is_in_region(&known)).then_some(known)
            }
        }
    }

    /// Those that the head leads to: what is behind a call may have been found without the call's way there. A call
    /// that does not return within the region was followed for nothing, and leaves it.
    fn finish(self) -> Vec<RegionBlock> {
        let mut dropped = vec![false; self.frames.len()];
        loop {
            let order = self.reached(&dropped);
            let mut returns = vec![false; self.frames.len()];
            let mut entered = returns.clone();
            for &at in &order {
                let Some(frame) = self.found[at].place.1 else { continue };
                entered[frame] = true;
                returns[frame] |=
                    self.found[at].returns() && self.inside(self.found[at].ways[0], &dropped).is_some();
            }
            let lost = |&frame: &usize| entered[frame] && !returns[frame];
            let lost: Vec<usize> = (0..self.frames.len()).filter(lost).collect();
            if lost.is_empty() {
                return self.planned(&order, &dropped);
            }
            lost.into_iter().for_each(|frame| dropped[frame] = true);
        }
    }

    /// The block found at a place, unless that belongs to a call that is not followed.
    fn inside(&self, way: Option<Place>, dropped: &[bool]) -> Option<usize> {
        let place = way.filter(|place| place.1.is_none_or(|frame| !dropped[frame]))?;
        self.index.get(&place).copied()
    }

    /// What the head leads to, in order.
    fn reached(&self, dropped: &[bool]) -> Vec<usize> {
        let mut seen = vec![false; self.found.len()];
        let mut order = vec![0];
        seen[0] = true;
        let mut at = 0;
        while at < order.len() {
            for way in self.found[order[at]].ways {
                let Some(next) = self.inside(way, dropped) else { continue };
                if !std::mem::replace(&mut seen[next], true) {
                    order.push(next);
                }
            }
            at += 1;
        }
        order
    }

    fn planned(&self, order: &[usize], dropped: &[bool]) -> Vec<RegionBlock> {
        let mut number = vec![None; self.found.len()];
        order.iter().enumerate().for_each(|(block, &found)| number[found] = Some(block));
        let edge = |way| match self.inside(way, dropped).and_then(|found| number[found]) {
            Some(block) => Edge::Inside { block, back: false },
            None => Edge::Outside,
        };
        let planned = |&at: &usize| {
            let Found { translation, ways, .. } = &self.found[at];
            let [taken, other] = ways.map(edge);
            RegionBlock {
                translation: Arc::clone(translation),
                taken,
                other,
                targets: ways.map(|way| way.map(|place| place.0)),
                dirty: CellSet::default(),
                flags: Flags::Unreached,
                invariant: CellSet::default(),
                loops: 0,
                constants: Constants::default(),
            }
        };
        order.iter().map(planned).collect()
    }
}

impl Found {
    fn returns(&self) -> bool {
        matches!(self.translation.block.terminator, Terminator::Indirect { hint: Hint::Return, .. })
    }
}

/// Whether a computed jump most likely leads to one place always, as those do that link a program to its libraries:
/// its target comes from a fixed place in memory.
fn is_fixed(block: &Block, target: Val) -> bool {
    let made = |v: Val| block.ops.iter().find(|op| op.result().is_some_and(|(dst, _)| dst == v));
    match made(target) {
        Some(&Op::Load { addr, .. }) => matches!(made(addr), Some(Op::Konst { .. })),
        _ => false,
    }
}
