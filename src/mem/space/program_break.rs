//! The program break: memory that grows from behind the program's image.

use super::{MapRequest, Space, align_up};
use std::ops::Range;

impl Space {
    /// Sets where the program break starts.
    pub fn set_brk_start(&self, start: u64) {
        let mut inner = self.lock();
        inner.brk_start = start;
        inner.brk = start;
    }

    /// From the first break to the present one.
    #[must_use]
    pub fn brk_range(&self) -> Range<u64> {
        let inner = self.lock();
        inner.brk_start..inner.brk
    }

    /// `brk(2)`: the new break, or the old one where it cannot move.
    pub fn brk(&self, wanted: u64, limit: u64) -> u64 {
        let (start, now) = {
            let inner = self.lock();
            (inner.brk_start, inner.brk)
        };
        let (Some(old_end), Some(new_end)) = (align_up(now), align_up(wanted)) else { return now };
        if wanted < start || wanted - start > limit || new_end > self.top() {
            return now;
        }
        let moved = match new_end.cmp(&old_end) {
            std::cmp::Ordering::Greater => self.mmap(&MapRequest {
                addr: old_end,
                len: new_end - old_end,
                prot: libc::PROT_READ | libc::PROT_WRITE,
                flags: libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE,
                fd: -1,
                offset: 0,
            }),
            std::cmp::Ordering::Less => self.munmap(new_end, old_end - new_end),
            std::cmp::Ordering::Equal => Ok(0),
        };
        if moved.is_err() {
            return now;
        }
        self.lock().brk = wanted;
        wanted
    }
}
