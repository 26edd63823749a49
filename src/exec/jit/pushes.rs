//! Which stores are pushes: below the stack pointer, where nobody else looks.
//!
//! A push may be done again, unlike other stores: no other thread has anything there, and the second time it stores
//! the same. So commit points may lie behind several of them (see [`super::commit`]).

use guest::ir::{Block, Op, Order, Val, Width};
use guest::state::Slot;
use std::ops::Range;

/// What a block does with the stack pointer. Distances in bytes are from its value at the block's start.
pub struct Pushes {
    /// What each op stores, by index; `None` also where that is not known.
    stored: Vec<Option<Range<i64>>>,
    /// Where the stack pointer is before each instruction.
    pointer: Vec<Option<i64>>,
    /// Where it is behind the last.
    end: Option<i64>,
}

/// What is known of a block's values.
struct Known {
    constants: Vec<Option<u64>>,
    distances: Vec<Option<i64>>,
}

impl Pushes {
    /// Looks at a block; the stack pointer is in `slot`.
    pub fn of(block: &Block, slot: Slot) -> Self {
        let cells = usize::from(block.cells);
        let mut known = Known { constants: vec![None; cells], distances: vec![None; cells] };
        let mut made = Self { stored: Vec::with_capacity(block.ops.len()), pointer: Vec::new(), end: None };
        let mut pointer = Some(0);
        let mut marks = block.insns.iter().peekable();
        for (index, &op) in block.ops.iter().enumerate() {
            while marks.next_if(|mark| mark.first_op as usize <= index).is_some() {
                made.pointer.push(pointer);
            }
            made.stored.push(known.stored(op));
            match op {
                Op::Put { w, slot: to, a } if to == slot => {
                    pointer = known.distances[usize::from(a.0)].filter(|_| w == Width::W64);
                }
                Op::Put { slot: to, .. } if (slot.0..slot.0 + 8).contains(&to.0) => pointer = None,
                Op::CallState { .. } => pointer = None,
                _ => known.note(op, slot, pointer),
            }
        }
        made.pointer.extend(marks.map(|_| pointer));
        made.end = pointer;
        made
    }

    /// Where the stack pointer is before an instruction.
    pub fn pointer(&self, insn: usize) -> Option<i64> {
        self.pointer[insn]
    }

    /// Where the stack pointer is at the block's end.
    pub fn end(&self) -> Option<i64> {
        self.end
    }

    /// Whether an op stores, and only below `limit`.
    pub fn is_below(&self, op: usize, limit: i64) -> bool {
        self.stored[op].as_ref().is_some_and(|stored| stored.end <= limit)
    }
}

impl Known {
    fn note(&mut self, op: Op, slot: Slot, pointer: Option<i64>) {
        match op {
            Op::Konst { dst, imm } => self.constants[usize::from(dst.0)] = Some(imm),
            Op::Get { dst, w: Width::W64, slot: from } if from == slot => {
                self.distances[usize::from(dst.0)] = pointer;
            }
            Op::Add { dst, w: Width::W64, a, b } => {
                let moved =
                    self.moved(a, b, i64::wrapping_add).or_else(|| self.moved(b, a, i64::wrapping_add));
                self.distances[usize::from(dst.0)] = moved;
            }
            Op::Sub { dst, w: Width::W64, a, b } => {
                self.distances[usize::from(dst.0)] = self.moved(a, b, i64::wrapping_sub);
            }
            _ => {}
        }
    }

    fn moved(&self, v: Val, by: Val, how: impl Fn(i64, i64) -> i64) -> Option<i64> {
        let (distance, by) = (self.distances[usize::from(v.0)]?, self.constants[usize::from(by.0)]?);
        Some(how(distance, by as i64))
    }

    fn stored(&self, op: Op) -> Option<Range<i64>> {
        let (addr, off, bytes) = match op {
            Op::Store { w, ord, addr, off, .. } if ord != Order::SeqCst => (addr, off, w.bytes() as i64),
            Op::Vstore { n, addr, off, .. } => (addr, off, 16 * n.units() as i64),
            _ => return None,
        };
        let start = self.distances[usize::from(addr.0)]?.checked_add(i64::from(off))?;
        Some(start..start.checked_add(bytes)?)
    }
}
