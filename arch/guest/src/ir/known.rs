//! What slots of the state hold, as far as ops before have said.

use super::{Op, Val, Width};
use crate::state::{STATE_SIZE, Slot};

/// A state slot of another size whose value is at hand.
#[derive(Clone, Copy)]
struct Known {
    slot: Slot,
    bytes: u16,
    value: Val,
}

/// A word of the state whose value is at hand, or was before a change.
#[derive(Clone, Copy)]
struct Word {
    value: Val,
    /// When that was: [`KnownSlots::era`], so that none need be cleared.
    era: u32,
}

/// Values of state slots. Most are words, and each is found at its place.
pub struct KnownSlots {
    words: Box<[Word; STATE_SIZE / 8]>,
    era: u32,
    /// Of other sizes.
    others: Vec<Known>,
}

impl Default for KnownSlots {
    fn default() -> Self {
        Self {
            words: Box::new([Word { value: Val::NONE, era: 0 }; STATE_SIZE / 8]),
            era: 1,
            others: Vec::new(),
        }
    }
}

impl KnownSlots {
    /// Stays true across `op`.
    #[inline(always)]
    pub fn note(&mut self, op: Op) {
        match op {
            Op::Get { dst, w, slot } => self.learn(slot, w.bytes() as u16, dst),
            Op::Vget { dst, n, slot } => self.learn(slot, 16 * n.units() as u16, dst),
            Op::Put { w, slot, a } => {
                self.forget(slot, w.bytes() as u16);
                if w == Width::W64 {
                    self.learn(slot, 8, a);
                }
            }
            Op::Vput { n, slot, a } => {
                let bytes = 16 * n.units() as u16;
                self.forget(slot, bytes);
                self.learn(slot, bytes, a);
            }
            Op::CallState { .. } => self.clear(),
            _ => {}
        }
    }

    /// The value of these bytes.
    #[must_use]
    pub fn find(&self, slot: Slot, bytes: u16) -> Option<Val> {
        if let Some(place) = word(slot, bytes) {
            let Word { value, era } = self.words[place];
            return (era == self.era).then_some(value);
        }
        self.others.iter().rev().find(|k| k.slot == slot && k.bytes == bytes).map(|k| k.value)
    }

    pub fn clear(&mut self) {
        self.others.clear();
        self.era = self.era.wrapping_add(1);
        if self.era == 0 {
            *self = Self::default();
        }
    }

    fn learn(&mut self, slot: Slot, bytes: u16, value: Val) {
        match word(slot, bytes) {
            Some(place) => self.words[place] = Word { value, era: self.era },
            None => self.others.push(Known { slot, bytes, value }),
        }
    }

    fn forget(&mut self, slot: Slot, bytes: u16) {
        for place in slot.0 / 8..=(slot.0 + bytes - 1) / 8 {
            self.words[usize::from(place)].era = 0;
        }
        if !self.others.is_empty() {
            self.others.retain(|k| k.slot.0 + k.bytes <= slot.0 || slot.0 + bytes <= k.slot.0);
        }
    }
}

/// The place of a slot that is a word.
const fn word(slot: Slot, bytes: u16) -> Option<usize> {
    if bytes == 8 && slot.0.is_multiple_of(8) { Some(slot.0 as usize / 8) } else { None }
}
