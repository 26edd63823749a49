//! Regions that are made anew, because the program goes other ways now than when they were made.
//!
//! Two things tell of it. A block gets hot that a region is left for: the region is made anew, so that it holds the block, unless the
//! block has a loop of its own. And a computed jump in a region leads elsewhere than expected so often that it is told of: made
//! anew, the region expects the last two targets.

use super::compile_thread::Insist;
use super::entry::Missed;
use super::region::{self, Edge, Follow, Limits, RegionBlock};
use super::{BUDGET, Compiler, heads_of_regions, is_in_region, left_region};
use crate::exec::cache::Cache;
use crate::exec::translation::Translation;
use guest::GuestAddr;
use smallvec::SmallVec;
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// A block that has run this often belongs to a region around a hot one.
const FOLLOWED: u32 = BUDGET / 16;

/// Regions of hot code.
pub const HOT_LIMITS: Limits = Limits { blocks: 60, insns: 400, least: 16, follow: Follow::Ran(FOLLOWED) };

/// So often is the region of a head made anew.
const MOST_RENEWALS: u32 = 8;

/// How many regions were made anew.
static RENEWED: AtomicU32 = AtomicU32::new(0);

/// A point in time, as far as regions are made anew.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Moment(u32);

impl Moment {
    pub fn now() -> Self {
        Self(RENEWED.load(Ordering::Relaxed))
    }
}

/// A region that was made anew.
struct Renewed {
    times: u32,
    last: Moment,
}

/// So many blocks are remembered. A guest that writes code all the time has ever new ones.
const MOST_BLOCKS: usize = 4096;

/// A block's guest address, and the control state.
type Place = (GuestAddr, u64);

/// Where computed jumps lead, that regions have not expected.
#[derive(Default)]
pub struct Expected(HashMap<Place, Targets>);

/// Of one of them.
struct Targets {
    expected: [Option<GuestAddr>; 2],
    /// What was expected before.
    given_up: SmallVec<[GuestAddr; 2]>,
}

impl Expected {
    /// Where the computed jump of a block is expected to lead.
    pub fn of(&self, block: &Translation) -> [Option<GuestAddr>; 2] {
        let known = self.0.get(&(block.pc, block.control));
        known.map_or_else(|| [block.last_target(), None], |targets| targets.expected)
    }

    /// It has led to `target`. Whether that is expected from now on: not where it was once, and was given up for others. Then the
    /// jump leads to ever changing places.
    fn note(&mut self, block: &Translation, target: GuestAddr) -> bool {
        make_room(&mut self.0);
        let new = || Targets { expected: [block.last_target(), None], given_up: SmallVec::new() };
        let targets = self.0.entry((block.pc, block.control)).or_insert_with(new);
        if targets.given_up.contains(&target) || targets.given_up.len() >= MOST_RENEWALS as usize {
            return false;
        }
        if !targets.expected.contains(&Some(target)) {
            let [last, before] = targets.expected;
            targets.given_up.extend(before);
            targets.expected = [Some(target), last];
        }
        true
    }
}

/// Forgets everything where there is too much.
fn make_room<T>(map: &mut HashMap<Place, T>) {
    if map.len() >= MOST_BLOCKS {
        map.clear();
    }
}

/// What makes regions in the background.
pub struct Background {
    compiler: Compiler,
    /// By head.
    renewed: HashMap<Place, Renewed>,
}

impl Background {
    /// `None` where this host cannot be compiled for.
    pub fn new() -> Option<Self> {
        Some(Self { compiler: Compiler::new()?, renewed: HashMap::new() })
    }

    /// Makes a region for a block that has got hot: its own, or anew the one that it was reached from, through the slot `arrived`
    /// (which may be anything).
    pub fn heat(&mut self, cache: &Cache, block: &Arc<Translation>, arrived: u64, insist: Insist) {
        let served = insist == Insist::No && is_in_region(block);
        if !block.has_region() && !self.include(cache, block, arrived) && !served {
            self.compiler.compile(cache, block, HOT_LIMITS);
        }
    }

    /// Makes the region anew that was left for a block, so that it holds it. Whether it did.
    fn include(&mut self, cache: &Cache, block: &Arc<Translation>, arrived: u64) -> bool {
        let Some(head) = left_region(arrived, block.pc) else { return false };
        let is_inside = heads_of_regions(block).any(|other| other == head);
        if is_inside || region::has_loop(&self.grown(cache, block)) {
            return false;
        }
        self.renew(cache, (head, block.control), |blocks| blocks.iter().any(|b| b.translation.pc == block.pc))
    }

    /// A region's computed jump has led to `target`, which it had not expected `then`.
    pub fn miss(&mut self, cache: &Cache, missed: Missed, (target, control): Place, then: Moment) {
        let place = (missed.head, control);
        if self.renewed.get(&place).is_some_and(|renewed| then < renewed.last) {
            return;
        }
        let Some(block) = cache.known(missed.block.raw(), control) else { return };
        if !self.compiler.expected.note(&block, target) {
            return;
        }
        let leads_there = |b: &RegionBlock| {
            let ways = b.targets.into_iter().zip([b.taken, b.other]);
            let mut inside = ways.filter(|(_, edge)| *edge != Edge::Outside);
            b.translation.pc == block.pc && inside.any(|(pc, _)| pc == Some(target))
        };
        self.renew(cache, place, |blocks| blocks.iter().any(leads_there));
    }

    /// Makes the region of a head anew if it is better then. Whether it did.
    fn renew(&mut self, cache: &Cache, place: Place, is_better: impl FnOnce(&[RegionBlock]) -> bool) -> bool {
        let known = cache.known(place.0.raw(), place.1);
        let Some(head) = known.filter(|head| head.has_region()) else { return false };
        let times = self.renewed.get(&place).map_or(0, |renewed| renewed.times);
        if times >= MOST_RENEWALS || !is_better(&self.grown(cache, &head)) {
            return false;
        }
        let done = self.compiler.compile(cache, &head, HOT_LIMITS);
        if done {
            cache.forget_jumps();
        }
        let last = Moment(RENEWED.fetch_add(1, Ordering::Relaxed) + 1);
        make_room(&mut self.renewed);
        self.renewed.insert(place, Renewed { times: times + 1, last });
        done
    }

    fn grown(&self, cache: &Cache, head: &Arc<Translation>) -> Vec<RegionBlock> {
        region::planned(cache, head, HOT_LIMITS, &self.compiler.expected)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use guest::ir::{Builder, Hint, NanRule, Terminator};

    /// A block that ends with a computed call, made by hand: it has no code, so nothing was seen of it.
    fn computed_call(pc: u64) -> Translation {
        let mut builder = Builder::new(GuestAddr(pc), NanRule::X86);
        builder.begin_insn(GuestAddr(pc), 4);
        let target = builder.imm(0x9000);
        let hint = Hint::Call(GuestAddr(pc + 4));
        Translation::of_block(builder.finish(Terminator::Indirect { target, hint }), 0)
    }

    #[test]
    fn the_last_two_targets_are_expected() {
        let mut expected = Expected::default();
        let (block, other) = (computed_call(0x1000), computed_call(0x2000));
        assert_eq!(expected.of(&block), [None; 2]);
        let seen = [1, 2, 2, 1, 3, 1, 2, 4].map(|target| {
            let is_expected = expected.note(&block, GuestAddr(target));
            (is_expected, expected.of(&block).map(|pc| pc.map_or(0, GuestAddr::raw)))
        });
        let steady = (true, [2, 1]);
        assert_eq!(seen[..4], [(true, [1, 0]), steady, steady, steady]);
        // What was given up is not expected again.
        assert_eq!(seen[4..], [(true, [3, 2]), (false, [3, 2]), (true, [3, 2]), (true, [4, 3])]);
        assert_eq!(expected.of(&other), [None; 2]);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut map = HashMap::new();
        for pc in 0..3 * MOST_BLOCKS as u64 {
            make_room(&mut map);
            map.insert((GuestAddr(pc), 0), ());
            assert!(map.len() <= MOST_BLOCKS);
        }
    }
}
