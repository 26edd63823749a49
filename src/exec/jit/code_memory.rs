//! Where compiled code lives.
//!
//! One private mapping, reserved on first use and filled front to back: instructions in its first part,
//! the slots that regions leave through in its second, so that patching a slot never touches a cache line
//! that is being executed. It is private, so that a forked child goes on with a copy. Nothing is ever
//! freed: a thread may still be in a region that has been cut off, and finding out when none is costs more
//! than the memory. When the mapping is full nothing more is compiled.
//!
//! All writes to instructions go through [`CodeMemory::install`], which completes a region before its
//! address is given to anybody: a host that insists on W^X needs another mapping there and nowhere else.
#![allow(unsafe_code)] // maps executable memory and writes instructions to it

use crate::host::layout;
use std::sync::atomic::{AtomicU64, Ordering};

/// Room for instructions.
const CODE_SIZE: usize = 256 << 20;
/// Room for slots.
const SLOTS_SIZE: usize = 96 << 20;
/// A slot: where to go on, then the guest address it stands for.
pub const SLOT_BYTES: usize = 16;
const CODE_ALIGN: usize = 32;

/// The mapping's address; 0 until there is one. The fault handler reads it.
static START: AtomicU64 = AtomicU64::new(0);

/// Whether a host address lies in compiled code. Async-signal-safe.
pub fn contains(pc: usize) -> bool {
    let start = START.load(Ordering::Relaxed) as usize;
    start != 0 && pc.wrapping_sub(start) < CODE_SIZE
}

/// A place in the instructions that refers to slot number `slot`, relative to its own address.
#[derive(Clone, Copy, Debug)]
pub struct SlotReference {
    pub offset: usize,
    pub slot_offset: i64,
}

/// The guest address that a slot stands for; it never changes, so no lock is needed.
pub fn slot_target(slot: SlotAddr) -> u64 {
    slot_word(slot, 1).load(Ordering::Relaxed)
}

/// What is left of a block's counter, which is a slot's first word.
pub fn counter(slot: SlotAddr) -> i32 {
    slot_word(slot, 0).load(Ordering::Relaxed) as i32
}

/// Sets a counter. Code that counts meanwhile may lose its step.
pub fn set_counter(slot: SlotAddr, value: u32) {
    slot_word(slot, 0).store(u64::from(value), Ordering::Relaxed);
}

fn slot_word(slot: SlotAddr, index: usize) -> &'static AtomicU64 {
    let first = START.load(Ordering::Relaxed) + CODE_SIZE as u64;
    let inside = slot.0.wrapping_sub(first);
    assert!(inside < SLOTS_SIZE as u64 && inside.is_multiple_of(SLOT_BYTES as u64), "not a slot");
    // SAFETY: inside the mapping, which lives as long as the process, and aligned; checked above.
    unsafe { AtomicU64::from_ptr((slot.0 as *mut u64).add(index & 1)) }
}

/// The memory and how much of it is taken.
#[derive(Debug)]
pub struct CodeMemory {
    start: usize,
    code_used: usize,
    slots_used: usize,
}

/// The address of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct SlotAddr(pub u64);

/// Finished code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Installed {
    pub entry: u64,
    pub slots: u64,
}

impl CodeMemory {
    /// Maps the memory; `None` where the kernel refuses.
    pub fn map() -> Option<Self> {
        let wanted = layout::CODE_START as *mut libc::c_void;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        let prot = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        let size = CODE_SIZE + SLOTS_SIZE;
        // SAFETY: a new mapping that replaces none (MAP_FIXED_NOREPLACE).
        let mut at = unsafe { libc::mmap(wanted, size, prot, flags | libc::MAP_FIXED_NOREPLACE, -1, 0) };
        if at == libc::MAP_FAILED {
            // SAFETY: a new mapping wherever the kernel likes.
            at = unsafe { libc::mmap(std::ptr::null_mut(), size, prot, flags, -1, 0) };
        }
        if at == libc::MAP_FAILED {
            return None;
        }
        START.store(at as u64, Ordering::Relaxed);
        Some(Self { start: at as usize, code_used: 0, slots_used: 0 })
    }

    /// Copies code in and resolves its references to its slots, which start out as `targets` (host
    /// address, guest address). `None` when the memory is full.
    pub fn install(
        &mut self,
        code: &[u8],
        references: &[SlotReference],
        targets: impl ExactSizeIterator<Item = (u64, u64)>,
    ) -> Option<Installed> {
        let at = self.code_used.next_multiple_of(CODE_ALIGN);
        if at + code.len() > CODE_SIZE || self.slots_used + targets.len() * SLOT_BYTES > SLOTS_SIZE {
            return None;
        }
        let entry = self.start + at;
        let slots = self.start + CODE_SIZE + self.slots_used;
        self.code_used = at + code.len();
        self.slots_used += targets.len() * SLOT_BYTES;
        // SAFETY: the range was just taken from the free part of the mapping; nobody executes it yet.
        unsafe { std::ptr::copy_nonoverlapping(code.as_ptr(), entry as *mut u8, code.len()) };
        for reference in references {
            let place = entry + reference.offset;
            let relative = (slots as i64 + reference.slot_offset) - place as i64;
            assert!(reference.offset + 4 <= code.len(), "a relocation lies inside its code");
            // SAFETY: inside the code just copied. The distance fits: the mapping is smaller than 2 GiB.
            unsafe { (place as *mut i32).write_unaligned(relative as i32) };
        }
        for (index, (host, guest)) in targets.enumerate() {
            let slot = (slots + index * SLOT_BYTES) as *mut u64;
            // SAFETY: inside the slots just taken, which no code refers to yet.
            unsafe { slot.write(host) };
            // SAFETY: as above; a slot has two words.
            unsafe { slot.add(1).write(guest) };
        }
        Some(Installed { entry: entry as u64, slots: slots as u64 })
    }

    /// Makes a slot lead to `host`.
    pub fn patch(&self, slot: SlotAddr, host: u64) {
        let first = self.start + CODE_SIZE;
        let inside = (slot.0 as usize).wrapping_sub(first);
        assert!(inside < self.slots_used && inside.is_multiple_of(SLOT_BYTES), "not a slot");
        // SAFETY: a slot in use, checked above; slots live as long as the process and are aligned.
        let word = unsafe { AtomicU64::from_ptr(slot.0 as *mut u64) };
        word.store(host, Ordering::Release);
    }

    /// Bytes of instructions so far.
    pub fn used(&self) -> usize {
        self.code_used
    }
}
