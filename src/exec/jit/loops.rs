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
