//! Branch target identification (FEAT_BTI).
//!
//! An indirect branch leaves its kind in PSTATE.BTYPE, and in a guarded page the next instruction must be one that
//! such a branch may reach. No code looks at BTYPE while it runs: once the process has a guarded page, an indirect
//! branch leads to its target's address with BTYPE in the two low bits, which are free, and what is lifted for such an
//! address starts with the check's outcome. The program counter in the state may so have those bits; registers and
//! signal frames show them as what they are. A misaligned target raises its fault at the branch.

use guest::GuestAddr;
use guest::state::GuestState;
use std::sync::atomic::{AtomicBool, Ordering};

/// PROT_BTI
pub const PROT_BTI: i32 = 0x10;
/// The bit of the control state that says so.
pub const GUARDED: u64 = 1;
/// The bit that says that code takes tags off addresses.
pub const UNTAGGED: u64 = 2;
/// The bit that says that there are threads.
pub const THREADS: u64 = 4;
/// PSTATE.BTYPE's place.
const BTYPE_SHIFT: u32 = 10;

/// BTYPE after a call.
pub const CALL: u64 = 2;

/// Whether the process has, or has had, a guarded page.
static ANY: AtomicBool = AtomicBool::new(false);

/// Whether code takes tags off the addresses of its accesses. At first it does not: such an access faults on the host,
/// and the interpreter does it, which is slow where there are many.
static UNTAGS: AtomicBool = AtomicBool::new(false);

/// Whether the process has, or has had, a second thread: only then is a pair's access one of 16 bytes.
static THREADED: AtomicBool = AtomicBool::new(false);

pub fn note_threads() {
    THREADED.store(true, Ordering::Relaxed);
}

/// Code takes tags off from now on; whether it did not before.
pub fn take_tags_off() -> bool {
    !UNTAGS.swap(true, Ordering::Relaxed)
}

/// What the process is like, as far as code depends on it.
pub fn control() -> u64 {
    let untags = if UNTAGS.load(Ordering::Relaxed) { UNTAGGED } else { 0 };
    let threads = if THREADED.load(Ordering::Relaxed) { THREADS } else { 0 };
    untags | threads | if any() { GUARDED } else { 0 }
}

/// Notes that there is a guarded page; whether it is the first.
pub fn note_page() -> bool {
    !ANY.swap(true, Ordering::Relaxed)
}

/// Whether there are guarded pages.
pub fn any() -> bool {
    ANY.load(Ordering::Relaxed)
}

/// The program counter without BTYPE.
pub fn pc(state: &GuestState) -> u64 {
    if any() { state.pc() & !3 } else { state.pc() }
}

/// PSTATE.BTYPE
pub fn pstate(state: &GuestState) -> u64 {
    if any() { (state.pc() & 3) << BTYPE_SHIFT } else { 0 }
}

/// Goes to `pc` with the BTYPE of this PSTATE.
pub fn enter(state: &mut GuestState, pc: u64, pstate: u64) {
    let btype = if any() && pc & 3 == 0 { pstate >> BTYPE_SHIFT & 3 } else { 0 };
    state.set_pc(pc | btype);
}

/// Calls `pc`, as the kernel calls a signal handler.
pub fn call(state: &mut GuestState, pc: u64) {
    enter(state, pc, CALL << BTYPE_SHIFT);
}

/// Whether a branch that leaves `btype` may reach `word` in a guarded page. The kernel has SCTLR_EL1.BT0 set:
/// PACIASP is no landing for a jump through a register other than x16 and x17.
pub const fn may_reach(word: u32, btype: u64) -> bool {
    match word {
        // BTI, BTI c, BTI j, BTI jc
        0xd503_241f => false,
        0xd503_245f | 0xd503_233f | 0xd503_237f => btype == 1 || btype == 2,
        0xd503_249f => btype == 1 || btype == 3,
        0xd503_24df => true,
        // BRK, HLT
        _ => word & 0xffe0_001f == 0xd420_0000 || word & 0xffe0_001f == 0xd440_0000,
    }
}

/// The page's kind is decided where the instruction is.
pub const fn page(pc: GuestAddr) -> u64 {
    pc.raw() >> 12
}

/// `GNU_PROPERTY_AARCH64_FEATURE_1_BTI` in a `NT_GNU_PROPERTY_TYPE_0` note.
pub fn in_properties(note: &[u8]) -> bool {
    const FEATURE_1_AND: u32 = 0xc000_0000;
    let word = |at: usize| note.get(at..at + 4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]));
    // namesz 4, descsz, type 5, "GNU"
    let (Some(4), Some(size), Some(5)) = (word(0), word(4), word(8)) else { return false };
    if note.get(12..16) != Some(b"GNU\0") {
        return false;
    }
    let (mut at, end) = (16, 16 + size as usize);
    while at + 8 <= end {
        let (Some(kind), Some(len)) = (word(at), word(at + 4)) else { return false };
        if kind == FEATURE_1_AND {
            return len == 4 && word(at + 8).is_some_and(|bits| bits & 1 != 0);
        }
        at += 8 + (len as usize).next_multiple_of(8);
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn landings_are_for_their_branches() {
        let reached = |word| [1, 2, 3].map(|btype| may_reach(word, btype));
        assert_eq!(reached(0xd503_241f), [false, false, false]);
        assert_eq!(reached(0xd503_245f), [true, true, false]);
        assert_eq!(reached(0xd503_249f), [true, false, true]);
        assert_eq!(reached(0xd503_24df), [true, true, true]);
        assert_eq!(reached(0xd503_233f), [true, true, false]);
        assert_eq!(reached(0xd503_201f), [false, false, false]);
        assert_eq!(reached(0xd420_0020), [true, true, true]);
    }

    #[test]
    fn the_note_is_found_among_other_properties() {
        let note = |words: &[u32]| -> Vec<u8> {
            let head = [4, 4 * words.len() as u32, 5, u32::from_le_bytes(*b"GNU\0")];
            head.iter().chain(words).flat_map(|word| word.to_le_bytes()).collect()
        };
        assert!(in_properties(&note(&[0xc000_0000, 4, 3, 0])));
        assert!(in_properties(&note(&[0x1234, 4, 9, 0, 0xc000_0000, 4, 1, 0])));
        assert!(!in_properties(&note(&[0xc000_0000, 4, 2, 0])));
        assert!(!in_properties(&note(&[0x1234, 4, 1, 0])));
        assert!(!in_properties(&[0; 7]));
    }
}
