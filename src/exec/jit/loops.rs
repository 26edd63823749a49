//! The loops of a region.

use super::cells::{CellSet, Cells};
use super::region::{Edge, RegionBlock};

/// A natural loop.
pub struct Loop {
    pub head: usize,
    /// The blocks in it.
    pub body: Vec<bool>,
    /// Whether it ends where code goes on forwards: the guest's loop begins somewhere else in it.
    pub is_rotated: bool,
}

/// The loops of a region.
pub struct Loops {
    /// The natural ones, by head, those within others first.
    pub natural: Vec<Loop>,
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
        let mut closed = Vec::new();
        for (from, head) in closing {
            let mut body = reached(blocks.len(), from, |at| {
                let stop = at == head;
                before[at].iter().copied().filter(move |_| !stop)
            });
            (body[from], body[head]) = (true, true);
            let is_rotated = blocks[head].translation.block.pc > blocks[from].translation.block.last_pc();
            closed.push(Loop { head, body, is_rotated });
        }
        let natural = separate(closed);
        let written = blocks.iter().map(|block| cells.written(&block.translation.block)).collect();
        Self { natural, written }
    }

    /// Whether a loop begins at that block.
    pub fn has_head(&self, block: usize) -> bool {
        self.natural.iter().any(|natural| natural.head == block)
    }

    /// Whether there is no other loop in it.
    pub fn is_innermost(&self, natural: &Loop) -> bool {
        let is_inside = |other: &Loop| {
            let elsewhere = other.head != natural.head;
            if elsewhere { natural.body[other.head] } else { other.is_within(natural) }
        };
        !self.natural.iter().any(is_inside)
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
        for natural in self.natural.iter().filter(|natural| natural.body[block]) {
            all.insert_all(&self.written_in(&natural.body));
        }
        all
    }
}

/// Of loops that end at one edge each: those with the same head are one, unless one has all of the other and more, and
/// the other is not rotated. Then they are nested. (The second round of a loop around one that it begins with starts at the
/// head of that one.)
fn separate(mut closed: Vec<Loop>) -> Vec<Loop> {
    closed.sort_by_key(|one| (one.head, one.len()));
    let mut loops: Vec<Loop> = Vec::new();
    for outer in closed {
        match loops.last_mut() {
            Some(inner) if inner.head == outer.head && (inner.is_rotated || !inner.is_within(&outer)) => {
                inner.body.iter_mut().zip(&outer.body).for_each(|(to, from)| *to |= from);
                inner.is_rotated &= outer.is_rotated;
            }
            _ => loops.push(outer),
        }
    }
    loops
}

impl Loop {
    /// How many blocks are in it.
    pub fn len(&self) -> usize {
        self.body.iter().filter(|inside| **inside).count()
    }

    /// Whether the other has all of its blocks, and more.
    pub fn is_within(&self, outer: &Self) -> bool {
        let inside = self.body.iter().zip(&outer.body).all(|(inner, outer)| !inner || *outer);
        inside && self.len() < outer.len()
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

#[cfg(test)]
mod tests {
    use super::*;

    fn closed(head: usize, body: &str, is_rotated: bool) -> Loop {
        Loop { head, body: body.chars().map(|c| c == '1').collect(), is_rotated }
    }

    fn separated(closed: Vec<Loop>) -> Vec<(usize, String)> {
        let text = |body: Vec<bool>| body.into_iter().map(|inside| if inside { '1' } else { '0' }).collect();
        separate(closed).into_iter().map(|natural| (natural.head, text(natural.body))).collect()
    }

    #[test]
    fn loops_with_one_head_are_nested_where_one_has_all_of_the_other() {
        let nested = separated(vec![closed(1, "0111", true), closed(1, "0100", false)]);
        assert_eq!(nested, [(1, "0100".to_owned()), (1, "0111".to_owned())]);
        // The smaller one is a part of the guest's loop, of which the region begins in the middle.
        let rotated = separated(vec![closed(1, "0111", true), closed(1, "0110", true)]);
        assert_eq!(rotated, [(1, "0111".to_owned())]);
        // Neither is in the other.
        let both =
            separated(vec![closed(1, "0110", false), closed(1, "0101", false), closed(0, "1100", false)]);
        assert_eq!(both, [(0, "1100".to_owned()), (1, "0111".to_owned())]);
    }
}
