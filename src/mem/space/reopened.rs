//! `mprotect(2)` of pages with translations that may be executed before and after.
//!
//! Runtimes that make code while they run open its pages for writing, and close them again, around each piece. What is there does
//! not change by that, so translations of it stay. A page that the guest may write then never is writable for the host, not
//! for a moment: another thread might write it.

use super::{Guard, Inner, PAGE, Space, host_mprotect};
use crate::host::sys;
use crate::mem::mapping::{Mapping, Prot};
use std::ops::Range;
use std::sync::atomic::Ordering;

impl Space {
    /// Whether translations of the range stay what they are under `prot`, as given to the call. What is shared is written at other
    /// addresses, too, and the kernel may refuse to make it writable.
    pub(super) fn keeps_code(inner: &Inner, range: &Range<u64>, prot: i32) -> bool {
        let new = Prot(prot);
        let stays = |mapping: &Mapping| {
            !mapping.shared && mapping.prot.executable() && mapping.prot.guarded() == new.guarded()
        };
        prot & !Prot::KNOWN == 0
            && new.executable()
            && inner.code.any_in(range)
            && inner.table.overlapping(range.clone()).all(|(_, mapping)| stays(mapping))
    }

    /// Gives the range, whose code is kept, the protection. Where that fails, part of it may have it.
    pub(super) fn protect_with_code(
        &self,
        inner: &mut Inner,
        range: &Range<u64>,
        prot: Prot,
    ) -> Result<(), i32> {
        let guard = if prot.writable() { Guard::Protected } else { Guard::None };
        let mut at = range.start;
        for page in inner.code.translated(range) {
            if at < page {
                sys::check(host_mprotect(at, page - at, prot.host()))?;
            }
            sys::check(host_mprotect(page, PAGE, prot.host() & !libc::PROT_WRITE))?;
            let before = inner.code.add(page, guard);
            self.protected.fetch_add(usize::from(guard == Guard::Protected), Ordering::Relaxed);
            self.protected.fetch_sub(usize::from(before == Some(Guard::Protected)), Ordering::Relaxed);
            at = page + PAGE;
        }
        if at < range.end {
            sys::check(host_mprotect(at, range.end - at, prot.host()))?;
        }
        Ok(())
    }
}
