//! Where compiled code lives.
//!
//! One private mapping, reserved on first use and filled front to back: instructions in its first part,
//! the slots that regions leave through in its second, so that patching a slot never touches a cache line
//! that is being executed. It is private, so that a forked child goes on with a copy. Nothing is
//! freed by itself: a thread may still be in a region that has been cut off, and finding out when none is costs more
//! than the memory. Everything is, but what was saved, when too much is unused, or the mapping is full ([`crate::exec::recycle`]).
//!
//! All writes to instructions go through [`CodeMemory::install`], which completes a region before its
//! address is given to anybody: a host that insists on W^X needs another mapping there and nowhere else.
#![allow(unsafe_code)] // maps executable memory and writes instructions to it

use crate::host::{heap, layout, sys};
use std::sync::atomic::{AtomicU64, Ordering};

/// Room for instructions.
const CODE_SIZE: usize = 256 << 20;
/// Room for slots.
const SLOTS_SIZE: usize = 96 << 20;
/// A slot: where to go on, then the guest address it stands for.
pub const SLOT_BYTES: usize = 16;
/// What regions and other code are aligned to.
const CODE_ALIGN: usize = 32;
/// What blocks and traces are aligned to, which there are many of: their constants need no more.
pub const BLOCK_ALIGN: usize = 16;
const PAGE: usize = 4096;
/// How much memory comes at once when it is needed, and a huge page, which comes where there is more.
const BATCH: usize = 64 << 10;
const HUGE: usize = 2 << 20;

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

/// The address of slot `number`.
pub fn slot_at(number: usize) -> SlotAddr {
    SlotAddr(START.load(Ordering::Relaxed) + (CODE_SIZE + number * SLOT_BYTES) as u64)
}

/// The number of a slot.
pub fn number_of(slot: SlotAddr) -> u32 {
    ((slot.0 - START.load(Ordering::Relaxed) - CODE_SIZE as u64) / SLOT_BYTES as u64) as u32
}

/// The host address of code, by where it is from the start of the memory.
pub fn code_at(offset: u32) -> u64 {
    START.load(Ordering::Relaxed) + u64::from(offset)
}

/// Where code is, from the start of the memory.
pub fn offset_of(code: u64) -> u32 {
    (code - START.load(Ordering::Relaxed)) as u32
}

/// The guest address that a slot stands for; it never changes, so no lock is needed.
pub fn slot_target(slot: SlotAddr) -> u64 {
    slot_word(slot, 1).load(Ordering::Relaxed)
}

/// Where a slot leads, in host code.
pub fn slot_lead(slot: SlotAddr) -> u64 {
    slot_word(slot, 0).load(Ordering::Relaxed)
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
    /// How much of both is taken for good.
    base: (usize, usize),
    code_pages: Pages,
    slots_pages: Pages,
}

/// How far the pages of one part of the memory have come.
#[derive(Debug)]
struct Pages {
    start: usize,
    len: usize,
    there: usize,
}

impl Pages {
    /// Has more come if what is to be written ends behind those that have: some together cost a fifth of what a fault for each does.
    /// Where there are many, all further ones are huge: one fault, and one entry of the host's buffers, for what would be 512.
    fn reach(&mut self, end: usize) {
        if end <= self.there {
            return;
        }
        let to = (end + BATCH).min(HUGE.max(end)).next_multiple_of(PAGE);
        heap::populated((self.start + self.there) as u64, (to - self.there) as u64);
        self.there = to;
        if to >= HUGE {
            let rest =
                [(self.start + to) as u64, (self.len - to) as u64, libc::MADV_HUGEPAGE as u64, 0, 0, 0];
            sys::syscall(libc::SYS_madvise, rest);
            self.there = self.len;
        }
    }
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
        let start = at as usize;
        let code_pages = Pages { start, len: CODE_SIZE, there: 0 };
        let slots_pages = Pages { start: start + CODE_SIZE, len: SLOTS_SIZE, there: 0 };
        Some(Self { start, code_used: 0, slots_used: 0, base: (0, 0), code_pages, slots_pages })
    }

    /// Copies code in and resolves its references to its slots, which start out as `targets` (host
    /// address, guest address). `None` when the memory is full.
    pub fn install(
        &mut self,
        code: &[u8],
        references: &[SlotReference],
        targets: impl ExactSizeIterator<Item = (u64, u64)>,
    ) -> Option<Installed> {
        self.install_aligned(CODE_ALIGN, code, references, targets)
    }

    /// The same, with the code aligned to so many bytes.
    pub fn install_aligned(
        &mut self,
        align: usize,
        code: &[u8],
        references: &[SlotReference],
        targets: impl ExactSizeIterator<Item = (u64, u64)>,
    ) -> Option<Installed> {
        let at = self.code_used.next_multiple_of(align);
        if at + code.len() > CODE_SIZE || self.slots_used + targets.len() * SLOT_BYTES > SLOTS_SIZE {
            return None;
        }
        let entry = self.start + at;
        let slots = self.start + CODE_SIZE + self.slots_used;
        self.code_used = at + code.len();
        self.slots_used += targets.len() * SLOT_BYTES;
        self.code_pages.reach(self.code_used);
        self.slots_pages.reach(self.slots_used);
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

    /// Puts saved code, which is in a file from `from` on, at the start of the memory, where it was made; the slots that
    /// it uses count as taken. `None` where it does not fit.
    pub fn adopt(&mut self, fd: i32, from: usize, len: usize, slots: usize) -> Option<&'static [u8]> {
        let size = len.next_multiple_of(PAGE);
        let fits = size <= CODE_SIZE / 2 && slots <= SLOTS_SIZE / SLOT_BYTES / 2;
        if self.code_used != 0 || self.slots_used != 0 || !fits || size == 0 || !self.is_at_home() {
            return None;
        }
        let prot = (libc::PROT_READ | libc::PROT_EXEC) as u64;
        let flags = (libc::MAP_PRIVATE | libc::MAP_FIXED) as u64;
        let args = [self.start as u64, size as u64, prot, flags, fd as u64, from as u64];
        // Not from a file system mounted noexec: then the code is copied. So it is for perf, which would look for names in
        // the file.
        if crate::debug::perf::wanted() || sys::check(sys::syscall(libc::SYS_mmap, args)).is_err() {
            let args = [fd as u64, self.start as u64, size as u64, from as u64, 0, 0];
            if sys::syscall(libc::SYS_pread64, args) != size as i64 {
                return None;
            }
        }
        self.code_used = size;
        self.slots_used = slots * SLOT_BYTES;
        // Little comes to it.
        (self.code_pages.there, self.slots_pages.there) = (CODE_SIZE, SLOTS_SIZE);
        Some(self.bytes())
    }

    /// Has the pages of the first slots come at once rather than by a fault each. An old kernel refuses.
    pub fn populate_slots(&self, slots: usize) {
        let len = (slots * SLOT_BYTES).min(self.slots_used).next_multiple_of(PAGE);
        heap::populated(slot_at(0).0, len as u64);
    }

    /// Whether the memory is where it is in every process that has a choice.
    pub fn is_at_home(&self) -> bool {
        self.start as u64 == layout::CODE_START
    }

    /// All code so far.
    pub fn bytes(&self) -> &'static [u8] {
        // SAFETY: inside the mapping, which lives as long as the process; what was installed does not change any more.
        unsafe { std::slice::from_raw_parts(self.start as *const u8, self.code_used) }
    }

    /// How many slots were given out.
    pub fn slots(&self) -> usize {
        self.slots_used / SLOT_BYTES
    }

    /// The slot at an address, if there is one.
    pub fn slot(&self, address: u64) -> Option<SlotAddr> {
        let inside = (address as usize).checked_sub(self.start + CODE_SIZE)?;
        (inside < self.slots_used && inside.is_multiple_of(SLOT_BYTES)).then_some(SlotAddr(address))
    }

    /// Sets a slot of adopted code.
    pub fn set_slot(&self, number: usize, host: u64, guest: u64) {
        let slot = slot_at(number);
        slot_word(slot, 1).store(guest, Ordering::Relaxed);
        self.patch(slot, host);
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

    /// Nothing of what there is now is ever given up.
    pub fn keep_all(&mut self) {
        self.base = (self.code_used, self.slots_used);
    }

    /// Gives up what has come since: no thread runs it, has an address of it, or may get one.
    pub fn give_up(&mut self) {
        (self.code_used, self.slots_used) = self.base;
    }

    /// Bytes of instructions that may be given up.
    pub fn passing(&self) -> usize {
        self.code_used - self.base.0
    }

    /// Bytes of instructions so far.
    pub fn used(&self) -> usize {
        self.code_used
    }
}
