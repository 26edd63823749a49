//! Much code of a file, compared at once.

use super::{PAGE, Space};
use crate::host::guest_access;
use crate::mem::code_pages::Guard;
use guest::GuestAddr;
use std::ops::Range;

impl Space {
    /// Whether a range is in one mapping of a file's code, guarded against jumps or not as `guarded` says, and all these
    /// bytes (with their addresses, in order) are there. Changes of them are noticed from now on if so.
    pub fn holds_file_code<'a>(
        &self,
        range: Range<u64>,
        guarded: bool,
        code: impl Iterator<Item = Option<(u64, &'a [u8])>>,
    ) -> bool {
        let mut inner = self.lock();
        let mapping = inner.table.find(range.start).map(|(_, mapping)| *mapping);
        let is_there =
            mapping.is_some_and(|m| m.is_file_code() && range.end <= m.end && m.prot.guarded() == guarded);
        let mut noted = range.start & !(PAGE - 1);
        is_there
            && code.into_iter().all(|stretch| {
                let Some((start, bytes)) = stretch else { return false };
                let end = start.saturating_add(bytes.len() as u64);
                if start < range.start || end > range.end {
                    return false;
                }
                let mut page = noted.max(start & !(PAGE - 1));
                while page < end {
                    inner.code.add(page, Guard::None);
                    page += PAGE;
                }
                noted = page;
                is_same(start, bytes)
            })
    }
}

/// Whether guest memory has these bytes.
fn is_same(start: u64, bytes: &[u8]) -> bool {
    const CHUNK: usize = 512;
    let mut memory = [0; CHUNK];
    let mut at = GuestAddr(start);
    bytes.chunks(CHUNK).all(|chunk| {
        let memory = &mut memory[..chunk.len()];
        let same = guest_access::copy_in(memory, at).is_ok() && memory == chunk;
        at = at.offset(CHUNK as i64);
        same
    })
}
