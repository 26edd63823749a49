//! The loops of a region.

use super::cells::{CellSet, Cells};
use super::region::{Edge, RegionBlock};

/// The loops of a region.
pub struct Loops {
    /// By head: the blocks of each natural loop.
    pub natural: Vec<(usize, Vec<bool>)>,
    /// The cells that each block writes.
    written: Vec<CellSet>,
}

impl Loops {
    pub fn of(blocks: &[RegionBlock], cells: &Cells) -> Self {
        let mut before = vec![Vec::new(); blocks.len()];
        let mut closing = Vec::new();
        for (from, block) in blocks.iter().enumerate() {
            for edge in [block.taken, block.other] {
                let Edge::Inside { block: to, back } = edge else { continue };
                before[to].push(from);
                if back {
                    closing.push((from, to));
                }
            }
        }
        let mut natural: Vec<(usize, Vec<bool>)> = Vec::new();
        for (from, head) in closing {
            let mut body = reached(blocks.len(), from, |at| {
                let stop = at == head;
                before[at].iter().copied().filter(move |_| !stop)
            });
            (body[from], body[head]) = (true, true);
            match natural.iter_mut().find(|(other, _)| *other == head) {
                Some((_, known)) => known.iter_mut().zip(body).for_each(|(to, from)| *to |= from),
                None => natural.push((head, body)),
            }
        }
        let written = blocks.iter().map(|block| cells.written(&block.translation.block)).collect();
        Self { natural, written }
    }

    /// Whether a loop begins at that block.
    pub fn has_head(&self, block: usize) -> bool {
        self.natural.iter().any(|(head, _)| *head == block)
    }

    /// The cells that these blocks write.
    pub fn written_in(&self, body: &[bool]) -> CellSet {
        let mut all = CellSet::default();
        body.iter()
            .zip(&self.written)
            .filter(|(inside, _)| **inside)
            .for_each(|(_, set)| all.insert_all(set));
        all
    }

    /// The cells that the loops around a block write.
    pub fn written_around(&self, block: usize) -> CellSet {
        let mut all = CellSet::default();
        for (_, body) in self.natural.iter().filter(|(_, body)| body[block]) {
            all.insert_all(&self.written_in(body));
        }
        all
    }
}

/// The blocks that a nonempty path from `from` leads to.
pub fn reached<I: Iterator<Item = usize>>(count: usize, from: usize, next: impl Fn(usize) -> I) -> Vec<bool> {
    let mut seen = vec![false; count];
    let mut work: Vec<usize> = next(from).collect();
    while let Some(block) = work.pop() {
        if !std::mem::replace(&mut seen[block], true) {
            work.extend(next(block));
        }
    }
    seen
}

/// The blocks, each behind all that lead to it without closing a loop.
pub fn in_order(blocks: &[RegionBlock]) -> Vec<usize> {
    let mut before = vec![0; blocks.len()];
    blocks.iter().flat_map(RegionBlock::leads_on_to).for_each(|to| before[to] += 1);
    let mut ready: Vec<usize> = (0..blocks.len()).filter(|&block| before[block] == 0).collect();
    let mut order = Vec::with_capacity(blocks.len());
    while let Some(block) = ready.pop() {
        order.push(block);
        for to in blocks[block].leads_on_to() {
            before[to] -= 1;
            if before[to] == 0 {
                ready.push(to);
            }
        }
    }
    debug_assert_eq!(order.len(), blocks.len(), "every loop is closed by an edge that says so");
    order
}
