//! What slots of the state hold, as far as ops before have said.

use super::{Op, Val, Width};
use crate::state::Slot;

/// A state slot whose value is at hand.
#[derive(Clone, Copy)]
struct Known {
    slot: Slot,
    bytes: u16,
    value: Val,
}

/// Values of state slots.
#[derive(Default)]
pub struct KnownSlots(Vec<Known>);

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
        self.0.iter().rev().find(|k| k.slot == slot && k.bytes == bytes).map(|k| k.value)
    }

    pub fn clear(&mut self) {
        self.0.clear();
    }

    fn learn(&mut self, slot: Slot, bytes: u16, value: Val) {
        self.0.push(Known { slot, bytes, value });
    }

    fn forget(&mut self, slot: Slot, bytes: u16) {
        self.0.retain(|k| k.slot.0 + k.bytes <= slot.0 || slot.0 + bytes <= k.slot.0);
    }
}
