//! Writes of state that are made late: not at all, unless an access in between faults.
//!
//! Much of what instructions write is written again soon, by the same block: flags most of all. The passes drop such writes only
//! where nothing in between may leave the block. Where what may leave it is an access, the write is left out here, and the
//! access notes where the value is ([`Owed`]). So it is at the side exits of a trace, which make the write on their way out.

use super::Emitter;
use super::asm::Reg;
use super::regs::{Loc, state};
use crate::exec::jit::owed::{Noted, OWED_SIZE, Owed, Source};
use guest::ir::{Op, Val, Width};
use guest::state::{ARCH_BASE, FLAG_KIND, STATE_SIZE, Slot};

/// A write that has not been made.
#[derive(Clone, Copy, Debug)]
struct Write {
    slot: Slot,
    what: What,
    /// The last access that needs it, if it faults.
    until: u32,
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum What {
    Value(Val),
    Constant(i32),
}

/// What is written again further on; found backwards.
#[derive(Clone, Copy, Default, Debug)]
struct Again {
    /// Which of the looks it is of, so that none need be cleared.
    look: u32,
    /// How many accesses there are behind that write.
    accesses: u32,
}

#[derive(Debug)]
pub struct Late {
    /// By op: the last access before what it writes is written again; 0 where it is not, or where no access is between.
    until: Vec<u32>,
    pending: Vec<Write>,
    /// The least that one of these says, or more than any.
    soonest: u32,
    /// By word of the state; the flag record is its first word.
    again: Box<[Again; STATE_SIZE / 8]>,
    look: u32,
    /// All accesses, found backwards.
    accesses: Vec<u32>,
    /// Packed, for all accesses so far.
    pub owed: Vec<u8>,
}

impl Default for Late {
    fn default() -> Self {
        Self {
            until: Vec::new(),
            pending: Vec::new(),
            soonest: u32::MAX,
            again: Box::new([Again::default(); STATE_SIZE / 8]),
            look: 0,
            accesses: Vec::new(),
            owed: Vec::new(),
        }
    }
}

/// The most writes that may be pending at an access, and the most that a block's accesses may note.
const MOST_PENDING: usize = 40;
const MOST_OWED: usize = 60_000;

impl Late {
    /// Before a block of so many ops is looked through, from its end.
    pub fn begin(&mut self, ops: usize) {
        self.pending.clear();
        self.soonest = u32::MAX;
        self.accesses.clear();
        self.owed.clear();
        self.until.clear();
        self.until.resize(ops, 0);
        self.forget_all();
    }

    /// Looks at an op that is more than a value: the access that it writes for if that is all, or 0.
    pub fn look_at(&mut self, at: u32, op: Op) -> u32 {
        match op {
            Op::Put { w: Width::W64, slot, .. } if slot >= ARCH_BASE => return self.writes(at, slot),
            Op::SetFlags { .. } => return self.writes(at, FLAG_KIND),
            Op::Load { .. }
            | Op::Store { .. }
            | Op::Vload { .. }
            | Op::Vstore { .. }
            | Op::SideExit { .. } => self.accesses.push(at),
            Op::Get { slot, w, .. } | Op::Put { slot, w, .. } => self.touch(slot, w.bytes() as u16),
            Op::Vget { slot, n, .. } | Op::Vput { slot, n, .. } => self.touch(slot, 16 * n.units() as u16),
            Op::SetFlagsIf { .. } | Op::CondOp { .. } | Op::GetFlags { .. } => self.touch(FLAG_KIND, 8),
            other if other.effect().may_exit() => self.forget_all(),
            _ => {}
        }
        0
    }

    /// Nothing is known to be written again.
    fn forget_all(&mut self) {
        self.look = self.look.wrapping_add(1);
        if self.look == 0 {
            self.again.fill(Again::default());
            self.look = 1;
        }
    }

    /// All of the slot is written by the op at `at`: the access that this is for.
    fn writes(&mut self, at: u32, slot: Slot) -> u32 {
        if !slot.0.is_multiple_of(8) {
            self.touch(slot, 8);
            return 0;
        }
        let now = Again { look: self.look, accesses: self.accesses.len() as u32 };
        let before = std::mem::replace(&mut self.again[usize::from(slot.0 / 8)], now);
        let last = self.accesses.get(before.accesses as usize).filter(|_| before.look == now.look);
        let until = last.copied().unwrap_or(0);
        self.until[at as usize] = until;
        until
    }

    /// These bytes of the state are read, or written in part; the flag record goes by the name of its first word.
    fn touch(&mut self, slot: Slot, bytes: u16) {
        let slot = if slot < ARCH_BASE { FLAG_KIND } else { slot };
        for word in slot.0 / 8..=(slot.0 + bytes - 1) / 8 {
            self.again[usize::from(word)].look = 0;
        }
    }

    fn add(&mut self, slot: Slot, what: What, until: u32) {
        self.pending.push(Write { slot, what, until });
        self.soonest = self.soonest.min(until);
    }

    /// The last access that the op at `at` writes for, if that is all.
    pub fn until(&self, at: u32) -> Option<u32> {
        Some(self.until[at as usize]).filter(|&until| until != 0)
    }
}

impl Emitter {
    /// Leaves the write of a word to the accesses up to the one that needs it last. Whether it does.
    pub(super) fn put_late(&mut self, slot: Slot, a: Val) -> bool {
        let Some(until) = self.late.until(self.at).filter(|_| self.has_room(1)) else { return false };
        let Some(what) = self.known(a) else { return false };
        self.late.add(slot, what, until);
        true
    }

    /// The same for a flag record.
    pub(super) fn record_late(&mut self, kind: u64, operands: impl Iterator<Item = (Slot, Val)>) -> bool {
        let Some(until) = self.late.until(self.at).filter(|_| self.has_room(4)) else { return false };
        let Ok(kind) = i32::try_from(kind) else { return false };
        let before = self.late.pending.len();
        self.late.add(FLAG_KIND, What::Constant(kind), until);
        for (slot, v) in operands {
            let Some(what) = self.known(v) else {
                self.late.pending.truncate(before);
                return false;
            };
            self.late.add(slot, what, until);
        }
        true
    }

    fn has_room(&self, more: usize) -> bool {
        self.late.pending.len() + more <= MOST_PENDING && self.late.owed.len() / OWED_SIZE <= MOST_OWED
    }

    /// A value as accesses can note it.
    fn known(&self, v: Val) -> Option<What> {
        match self.regs.loc(v) {
            Loc::Konst(value) => {
                let value = i32::try_from(value as i64).ok()?;
                let fits = Owed { slot: Slot(0), from: Source::Constant(value) }.pack().is_some();
                fits.then_some(What::Constant(value))
            }
            Loc::Int(_) | Loc::Cell => Some(What::Value(v)),
            _ => None,
        }
    }

    /// What the next access notes.
    pub(super) fn owed_here(&mut self) -> Noted {
        let start = self.late.owed.len();
        for write in &self.late.pending {
            let from = match write.what {
                What::Constant(value) => Source::Constant(value),
                What::Value(v) => match self.regs.loc(v) {
                    Loc::Int(Reg(number)) => Source::Register(number),
                    _ => Source::Cell(v),
                },
            };
            let packed = Owed { slot: write.slot, from }.pack();
            debug_assert!(packed.is_some(), "{write:?} can be noted");
            self.complete &= packed.is_some();
            self.late.owed.extend_from_slice(&packed.unwrap_or_default());
        }
        // Often it is what the access before has noted.
        let size = self.late.owed.len() - start;
        let before = start.saturating_sub(size);
        let same = size <= start && self.late.owed[before..start] == self.late.owed[start..];
        if same {
            self.late.owed.truncate(start);
        }
        let first = if same { before } else { start };
        Noted { first: (first / OWED_SIZE) as u16, count: (size / OWED_SIZE) as u8 }
    }

    /// Makes all writes that are pending: what follows leaves the block in other ways.
    pub(super) fn write_pending(&mut self) {
        let mut pending = std::mem::take(&mut self.late.pending);
        for &Write { slot, what, .. } in &pending {
            match what {
                What::Constant(value) => self.store_word(value as i64 as u64, state(slot.0)),
                What::Value(v) => self.store_int(Width::W64, v, state(slot.0)),
            }
        }
        pending.clear();
        (self.late.pending, self.late.soonest) = (pending, u32::MAX);
    }

    /// Forgets the writes that no access after the op at hand needs.
    pub(super) fn end_of_late(&mut self) {
        let at = self.at;
        if self.late.soonest > at {
            return;
        }
        let mut index = 0;
        while let Some(&Write { until, .. }) = self.late.pending.get(index) {
            if until > at {
                index += 1;
            } else {
                self.late.pending.swap_remove(index);
            }
        }
        self.late.soonest = self.late.pending.iter().map(|write| write.until).min().unwrap_or(u32::MAX);
    }
}
