//! The guest's address space.
//!
//! Guest addresses are host addresses. The kernel keeps the memory; what is kept here is what the kernel
//! cannot tell: which pages are the guest's, which of them it may execute (guest code is never
//! host-executable), and from which of them code has been translated.

pub mod access;
mod aliases;
mod code_pages;
mod gap;
mod mapping;
mod space;

pub use access::Memory;
pub use code_pages::{CodeInvalidation, Invalidated};
pub use mapping::{Backing, Mapping, Prot};
pub use space::{Changes, GUEST_TOP, MapRequest, Space, space};

use crate::host::files::OwnedFile;
use guest::{Access, Fault, FaultKind, GuestAddr};
use std::sync::atomic::{AtomicBool, Ordering};

static TOP_BYTE_IGNORED: AtomicBool = AtomicBool::new(false);

/// Makes accesses ignore the top address byte (AArch64's TBI).
pub fn ignore_top_byte() {
    TOP_BYTE_IGNORED.store(true, Ordering::Relaxed);
}

/// Whether accesses ignore the top address byte.
#[must_use]
pub fn ignores_top_byte() -> bool {
    TOP_BYTE_IGNORED.load(Ordering::Relaxed)
}

/// The address without its tag, where it has one and tags are ignored. In the upper half of the addresses, which
/// bit 55 tells, the top byte counts.
#[must_use]
pub fn untagged(addr: GuestAddr) -> Option<GuestAddr> {
    let tagged = addr.raw() >> 56 != 0 && addr.raw() >> 55 & 1 == 0 && ignores_top_byte();
    tagged.then_some(GuestAddr(addr.raw() & (u64::MAX >> 8)))
}

/// Where `fault` is a write into a page that is protected only because code was translated from it:
/// drops those translations, makes the page writable, and says so.
pub fn release_code(fault: &Fault) -> bool {
    let addr = untagged(fault.addr).unwrap_or(fault.addr);
    fault.access == Access::Write && fault.kind == FaultKind::Protected && space().release_code(addr, 1)
}

/// Whether the page tables have the page at `addr` for the program ([`guest::GuestMemory::is_present`]). The kernel's
/// word for it (Documentation/admin-guide/mm/pagemap.rst: 8 bytes for each page, bit 63 of them); without /proc, whatever is
/// mapped counts.
#[must_use]
pub fn is_present(addr: GuestAddr) -> bool {
    let addr = untagged(addr).unwrap_or(addr);
    let allowed = space().protection(addr);
    if allowed.is_none_or(|prot| prot.host() == libc::PROT_NONE) {
        return false;
    }
    let mut entry = [0; 8];
    let Ok(pagemap) = OwnedFile::open("/proc/self/pagemap") else { return true };
    pagemap.read_at(addr.raw() / space::PAGE * 8, &mut entry) != entry.len() || entry[7] & 0x80 != 0
}

/// The fault of fetching an instruction byte at `addr`.
#[must_use]
pub fn fetch_fault(addr: GuestAddr) -> Fault {
    let kind = if space().is_mapped(addr) { FaultKind::Protected } else { FaultKind::Unmapped };
    Fault { addr, access: Access::Fetch, kind }
}
