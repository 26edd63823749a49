//! Where computed jumps lead: what a thread knows of it, and compiled code looks up.
//!
//! A return of a block from templates looks where the call that belongs to it has noted a slot of its own: in the entry for the stack pointer, which is
//! then what it was at the call. So a return finds its way whatever else is called from how many places, and what does
//! not come back in order (coroutines, exceptions) finds another address there and goes on as other computed jumps do.
//! These look into a table by the target's address, and when it is not there into a second one, of what was
//! pushed out of the first.

use super::code_memory::SlotAddr;
use guest::arch::GuestArch;
use guest::state::Slot;

/// Entries of the jump cache: a power of two.
pub const JUMP_ENTRIES: usize = 4096;
/// Entries for returns: a power of two, one for each 16 bytes of stack.
const RETURN_ENTRIES: usize = 256;
/// The stack pointer's bits that say where an entry for returns is.
pub const RETURN_MASK: u64 = (RETURN_ENTRIES as u64 - 1) << 4;

/// Where a computed jump to a guest address goes on. All of it is in one line of the cache.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(16))]
pub struct JumpEntry {
    pub pc: u64,
    pub host: u64,
}

/// The jump cache's entry for `pc`; compiled code computes the same.
fn jump_index(pc: u64) -> usize {
    (pc ^ pc >> 12) as usize % JUMP_ENTRIES
}

/// So many entries that were learned are noted, to be forgotten one by one.
const NOTED: usize = 64;

/// Jumps by their targets' addresses. All zeros, it has memory only where it is used; [`Jumps::forget`] makes it usable.
#[derive(Debug)]
#[repr(C)]
pub struct Jumps {
    entries: [JumpEntry; JUMP_ENTRIES],
    /// Which were learned first, and how many were.
    noted: [u16; NOTED],
    learned: usize,
}

impl Jumps {
    /// Knows of none.
    pub fn forget(&mut self) {
        const NONE: JumpEntry = JumpEntry { pc: 0, host: 0 };
        match self.noted.get(..self.learned) {
            Some(noted) => noted.iter().for_each(|&index| self.entries[usize::from(index)] = NONE),
            None => self.entries.fill(NONE),
        }
        self.learned = 0;
        // No other entry could be that of address 0.
        self.entries[0].pc = 1;
    }

    /// Makes jumps to `pc` go to `host`. What this pushes out.
    pub fn learn(&mut self, pc: u64, host: u64) -> Option<JumpEntry> {
        let index = jump_index(pc);
        let before = self.entries[index];
        // A forked child copies a page that is written to.
        if (before.pc, before.host) != (pc, host) {
            self.entries[index] = JumpEntry { pc, host };
            if let Some(place) = self.noted.get_mut(self.learned) {
                *place = index as u16;
            }
            self.learned += 1;
        }
        (before.host != 0 && before.pc != pc).then_some(before)
    }
}

/// What calls and returns do to the stack pointer.
#[derive(Clone, Copy, Debug)]
pub struct Stack {
    pub pointer: Slot,
    /// How far a return moves it, in bytes.
    pub popped: u8,
}

impl Stack {
    pub fn of(arch: &dyn GuestArch) -> Self {
        Self { pointer: arch.stack_slot(), popped: arch.return_pops() }
    }
}

/// Calls, by the stack pointer: where they return to, and the slot that leads there.
#[derive(Debug)]
#[repr(C)]
pub struct Returns([JumpEntry; RETURN_ENTRIES]);

impl Returns {
    /// Knows of no call. `nowhere` is a slot for guest address 0, because a return may well lead there.
    pub fn forget(&mut self, nowhere: Option<SlotAddr>) {
        self.0.fill(JumpEntry { pc: 0, host: nowhere.map_or(0, |slot| slot.0) });
    }
}

/// Spreads guest addresses over the second table, in other ways than over the first.
pub const FAR_FACTOR: u32 = 0x9e37_79b1;
/// How far a product with it is shifted, so that the mask's bits are of its upper half.
pub const FAR_SHIFT: u32 = 12;
const FIRST_FAR: usize = 1 << 10;
const MOST_FAR: usize = 1 << 16;
const FAR_GROWTH: usize = 4;

/// What was pushed out of the first table. It grows when it pushes things out itself.
#[derive(Default, Debug)]
pub struct Far {
    /// Guest and host address of each.
    entries: Box<[[u64; 2]]>,
    lost: usize,
}

impl Far {
    /// Where it is, and the mask of the distance of an entry from there, in bytes.
    pub fn place(&self) -> (u64, u64) {
        match self.entries.len() {
            0 => (0, 0),
            count => (self.entries.as_ptr() as u64, mask(count)),
        }
    }

    pub fn add(&mut self, JumpEntry { pc, host }: JumpEntry) {
        if self.entries.is_empty() {
            self.entries = Self::with(FIRST_FAR);
        }
        if self.lost >= self.entries.len() && self.entries.len() < MOST_FAR {
            let more = Self::with(self.entries.len() * FAR_GROWTH);
            let before = std::mem::replace(&mut self.entries, more);
            before.iter().filter(|[_, host]| *host != 0).for_each(|&entry| self.put(entry));
            self.lost = 0;
        }
        self.put([pc, host]);
    }

    fn with(count: usize) -> Box<[[u64; 2]]> {
        let mut entries = vec![[0; 2]; count].into_boxed_slice();
        // Otherwise it would know where address 0 is.
        entries[0][0] = 1;
        entries
    }

    fn put(&mut self, entry: [u64; 2]) {
        let place = &mut self.entries[far_offset(entry[0], mask(self.entries.len())) / FAR_BYTES];
        self.lost += usize::from(place[1] != 0 && place[0] != entry[0]);
        *place = entry;
    }
}

const FAR_BYTES: usize = size_of::<[u64; 2]>();

const fn mask(count: usize) -> u64 {
    ((count - 1) * FAR_BYTES) as u64
}

/// The distance of the entry for `pc`; [`super::entry`]'s code computes the same.
fn far_offset(pc: u64, mask: u64) -> usize {
    ((u64::from(pc as u32) * u64::from(FAR_FACTOR)) >> FAR_SHIFT & mask) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zeroed() -> Box<Jumps> {
        let none = JumpEntry { pc: 0, host: 0 };
        Box::new(Jumps { entries: [none; JUMP_ENTRIES], noted: [0; NOTED], learned: 0 })
    }

    /// Where a jump goes on, as compiled code looks.
    fn found(jumps: &Jumps, pc: u64) -> Option<u64> {
        let entry = &jumps.entries[jump_index(pc)];
        (entry.pc == pc).then_some(entry.host)
    }

    #[test]
    fn what_knows_of_none_knows_not_even_address_0() {
        let mut jumps = zeroed();
        jumps.forget();
        assert!((0..3 * JUMP_ENTRIES as u64).all(|pc| found(&jumps, pc).is_none()));
    }

    #[test]
    fn few_and_many_are_forgotten() {
        let mut jumps = zeroed();
        jumps.forget();
        for count in [1, NOTED as u64, NOTED as u64 + 1, 2 * JUMP_ENTRIES as u64] {
            for pc in 0..count {
                jumps.learn(pc, pc + 0x1000);
            }
            assert_eq!(found(&jumps, count - 1), Some(count - 1 + 0x1000));
            jumps.forget();
            assert!((0..count).all(|pc| found(&jumps, pc).is_none()), "{count}");
        }
    }

    #[test]
    fn what_is_pushed_out_is_given_back() {
        let mut jumps = zeroed();
        jumps.forget();
        let other = JUMP_ENTRIES as u64 | 1;
        assert_eq!(jump_index(other), jump_index(0));
        assert!(jumps.learn(0, 5).is_none());
        assert!(jumps.learn(0, 5).is_none());
        let pushed = jumps.learn(other, 6).map(|entry| (entry.pc, entry.host));
        assert_eq!(pushed, Some((0, 5)));
    }
}
