//! What the syndrome register and the faulting address say about a fault or trap: ESR_EL1 and FAR_EL1 as the
//! kernel passes them on in a signal frame (Arm ARM D24.2.40, arch/arm64/mm/fault.c).

use crate::decode::Insn;
use crate::guarded;
use crate::state::x;
use guest::state::GuestState;
use guest::{Access, Fault, FaultKind, GuestAddr, GuestMemory, Trap};

/// The 32-bit instruction bit, which is always set.
const IL: u64 = 1 << 25;
/// WnR: a write; CM: cache maintenance.
const WRITE: u64 = 1 << 6;
const MAINTENANCE: u64 = 1 << 8;
/// A permission fault, at the third level.
const PERMISSION: u64 = 0x0f;

const CLASS_FPAC: u64 = 0x1c;
const CLASS_FETCH: u64 = 0x20;
const CLASS_PC_ALIGNMENT: u64 = 0x22;
const CLASS_DATA: u64 = 0x24;

/// The address without its tag, which `sigcontext` never shows
/// (Documentation/arch/arm64/tagged-pointers.rst). In the upper half there are no tags.
pub const fn untagged(address: u64) -> u64 {
    address & ((address << 8) as i64 >> 8) as u64
}

/// An instruction that reads and writes by itself: LSE, but no exclusive.
const fn is_atomic(word: u32) -> bool {
    let operation = word & 0x3b20_0c00 == 0x3820_0000 && !is_ldapr(word);
    operation || word & 0x3fa0_7c00 == 0x08a0_7c00 || word & 0xbfa0_7c00 == 0x0820_7c00
}

const fn is_ldapr(word: u32) -> bool {
    word & 0x3fff_fc00 == 0x38bf_c000
}

/// `LDAPUR`, `STLUR` and the like, which have an offset.
const fn is_unscaled_ordered(word: u32) -> bool {
    word & 0x3f20_0c00 == 0x1900_0000
}

/// `DC CVAC` and the like, `IC IVAU`.
const fn is_maintenance(word: u32) -> bool {
    word & 0xffff_f0e0 == 0xd50b_7020 && word >> 8 & 15 != 4
}

/// The access of an instruction that demands alignment, which it did not have.
pub fn misaligned(state: &GuestState, memory: &dyn GuestMemory) -> Option<Fault> {
    let word = memory.read_u32(GuestAddr(guarded::pc(state))).ok()?;
    let insn = Insn(word);
    let offset = if is_unscaled_ordered(word) { insn.signed(12, 9) } else { 0 };
    let reads = match word {
        _ if is_atomic(word) || is_ldapr(word) => true,
        _ if is_unscaled_ordered(word) => insn.bits(22, 2) != 0,
        _ => insn.bit(22),
    };
    Some(Fault {
        addr: GuestAddr(state.u64(x(insn.rn())).wrapping_add_signed(offset)),
        access: if reads { Access::Read } else { Access::Write },
        kind: FaultKind::Misaligned,
    })
}

/// The syndrome of a fault at the state's pc.
pub fn syndrome(fault: &Fault, state: &GuestState, memory: &dyn GuestMemory) -> u64 {
    let status = match fault.kind {
        FaultKind::Protected if memory.is_present(fault.addr) => PERMISSION,
        FaultKind::Misaligned => 0x21,
        _ if untagged(fault.addr.raw()) >> 48 != 0 => 0x04,
        FaultKind::Protected
        | FaultKind::Unmapped
        | FaultKind::NonCanonical
        | FaultKind::BeyondEnd
        | FaultKind::Interrupted => 0x07,
    };
    if fault.access == Access::Fetch {
        return CLASS_FETCH << 26 | IL | status;
    }
    let word = memory.read_u32(GuestAddr(guarded::pc(state))).unwrap_or(0);
    let kind = match fault.access {
        _ if is_maintenance(word) => MAINTENANCE | WRITE,
        // An atomic that could not even have read.
        Access::Write if status != PERMISSION && is_atomic(word) => 0,
        Access::Write => WRITE,
        Access::Read | Access::Fetch => 0,
    };
    CLASS_DATA << 26 | IL | kind | status
}

/// The syndrome of a trap, where the kernel passes one on: undefined instructions and breakpoints have none.
pub fn trap_syndrome(trap: Trap, state: &GuestState, memory: &dyn GuestMemory) -> Option<u64> {
    match trap {
        Trap::PcAlignment => Some(CLASS_PC_ALIGNMENT << 26 | IL),
        Trap::Authentication => {
            let word = memory.read_u32(GuestAddr(guarded::pc(state))).unwrap_or(0);
            Some(CLASS_FPAC << 26 | IL | u64::from(failed_key(word)))
        }
        _ => None,
    }
}

/// ISS of a failed authentication: bit 1 for a data key, bit 0 for a B key.
const fn failed_key(word: u32) -> u32 {
    match word {
        // The hints: bit 6 of the word is bit 1 of op2.
        _ if word & 0xffff_f01f == 0xd503_201f => word >> 6 & 1,
        // AUTIA to AUTDZB
        _ => word >> 10 & 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_told_by_their_words() {
        assert!(is_atomic(0xf822_0020) && is_atomic(0xc8a2_7c20) && is_atomic(0x4822_7c24));
        assert!(!is_atomic(0xc85f_7c20) && !is_atomic(0xf8bf_c020) && !is_atomic(0xf860_0820));
        assert!(is_ldapr(0xf8bf_c020) && is_unscaled_ordered(0xd940_0020));
        assert!(is_maintenance(0xd50b_7a21) && is_maintenance(0xd50b_7521) && !is_maintenance(0xd50b_7421));
        assert_eq!([0xd503_219f, 0xd503_21df, 0xdac1_1841].map(failed_key), [0, 1, 2]);
    }

    #[test]
    fn the_upper_half_has_no_tags() {
        assert_eq!(untagged(0x5a00_7fff_0000_0000), 0x7fff_0000_0000);
        assert_eq!(untagged(0xffff_0000_0000_0000), 0xffff_0000_0000_0000);
    }
}
