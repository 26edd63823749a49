//! The mapping table: what the guest has mapped, in its own terms.

use std::collections::BTreeMap;
use std::ops::Range;

/// Guest page protection: `PROT_READ | PROT_WRITE | PROT_EXEC` bits, and [`Prot::GUARD`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Prot(pub i32);

impl Prot {
    /// AArch64's PROT_BTI; the host knows nothing of it.
    pub const GUARD: i32 = 0x10;
    /// Bits that are the guest's alone or ours to translate.
    pub const KNOWN: i32 = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC | Self::GUARD;

    #[must_use]
    pub const fn guarded(self) -> bool {
        self.0 & Self::GUARD != 0
    }
    #[must_use]
    pub const fn readable(self) -> bool {
        self.0 & libc::PROT_READ != 0
    }
    #[must_use]
    pub const fn writable(self) -> bool {
        self.0 & libc::PROT_WRITE != 0
    }
    #[must_use]
    pub const fn executable(self) -> bool {
        self.0 & libc::PROT_EXEC != 0
    }
    /// The host's protection for such a page: never executable; what may be executed must be readable,
    /// because the lifter reads it.
    #[must_use]
    pub const fn host(self) -> i32 {
        let rest = self.0 & !(libc::PROT_EXEC | Self::GUARD);
        if self.executable() { rest | libc::PROT_READ } else { rest }
    }
}

/// What backs a mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backing {
    Anonymous,
    /// A file, by device and inode, from this offset in bytes.
    File {
        device: u64,
        inode: u64,
        offset: u64,
    },
}

/// One mapping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mapping {
    /// First address behind it.
    pub end: u64,
    pub prot: Prot,
    pub shared: bool,
    pub backing: Backing,
}

impl Mapping {
    /// Whether it counts as data: private and writable.
    #[must_use]
    pub const fn is_data(&self) -> bool {
        !self.shared && self.prot.writable()
    }

    /// Whether it is code of a file that the guest cannot change where it is.
    #[must_use]
    pub const fn is_file_code(&self) -> bool {
        matches!(self.backing, Backing::File { .. })
            && self.prot.executable()
            && !self.prot.writable()
            && !self.shared
    }
}

/// Disjoint mappings by start address.
#[derive(Default, Debug)]
pub struct Table {
    map: BTreeMap<u64, Mapping>,
}

impl Table {
    #[must_use]
    pub const fn new() -> Self {
        Self { map: BTreeMap::new() }
    }

    /// The mapping that holds `addr`, with its start.
    #[must_use]
    pub fn find(&self, addr: u64) -> Option<(u64, &Mapping)> {
        let (&start, mapping) = self.map.range(..=addr).next_back()?;
        (addr < mapping.end).then_some((start, mapping))
    }

    /// Cuts mappings so that none crosses `at`.
    fn split(&mut self, at: u64) {
        let Some((start, &mapping)) = self.find(at) else { return };
        if start == at {
            return;
        }
        let mut tail = mapping;
        if let Backing::File { offset, .. } = &mut tail.backing {
            *offset += at - start;
        }
        self.map.insert(at, tail);
        if let Some(head) = self.map.get_mut(&start) {
            head.end = at;
        }
    }

    /// Removes everything in the range.
    pub fn remove(&mut self, range: Range<u64>) {
        self.split(range.start);
        self.split(range.end);
        let inside: Vec<u64> = self.map.range(range).map(|(&start, _)| start).collect();
        for start in inside {
            self.map.remove(&start);
        }
    }

    /// Puts a mapping at `start`, in place of what was there.
    pub fn insert(&mut self, start: u64, mapping: Mapping) {
        self.remove(start..mapping.end);
        self.map.insert(start, mapping);
        self.merge_before(mapping.end);
        self.merge_before(start);
    }

    /// Merges the mapping that starts at `at` into the one before it where they continue each other.
    fn merge_before(&mut self, at: u64) {
        let Some(&next) = self.map.get(&at) else { return };
        let Some((&start, &before)) = self.map.range(..at).next_back() else { return };
        let continues = match (before.backing, next.backing) {
            (Backing::Anonymous, Backing::Anonymous) => true,
            (Backing::File { device, inode, offset }, Backing::File { device: d, inode: i, offset: o }) => {
                (device, inode, offset + (at - start)) == (d, i, o)
            }
            _ => false,
        };
        if before.end == at && before.prot == next.prot && before.shared == next.shared && continues {
            self.map.remove(&at);
            self.map.insert(start, Mapping { end: next.end, ..before });
        }
    }

    /// Changes the protection of what is mapped in the range.
    pub fn protect(&mut self, range: Range<u64>, prot: Prot) {
        self.split(range.start);
        self.split(range.end);
        for (_, mapping) in self.map.range_mut(range) {
            mapping.prot = prot;
        }
    }

    /// Mappings that overlap the range, in order.
    pub fn overlapping(&self, range: Range<u64>) -> impl Iterator<Item = (u64, &Mapping)> {
        let first = self.find(range.start).map_or(range.start, |(start, _)| start);
        self.map.range(first..range.end).map(|(&start, mapping)| (start, mapping))
    }

    /// The end of what is mapped from `addr` on without a gap; `addr` where nothing is.
    #[must_use]
    pub fn covered_from(&self, addr: u64) -> u64 {
        let mut end = addr;
        while let Some((_, mapping)) = self.find(end) {
            end = mapping.end;
        }
        end
    }

    /// All mappings, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u64, &Mapping)> {
        self.map.iter().map(|(&start, mapping)| (start, mapping))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn anonymous(end: u64, prot: i32) -> Mapping {
        Mapping { end, prot: Prot(prot), shared: false, backing: Backing::Anonymous }
    }

    #[test]
    fn a_hole_splits_a_mapping() {
        let mut table = Table::default();
        table.insert(0x1000, anonymous(0x9000, 3));
        table.remove(0x3000..0x5000);
        let found: Vec<_> = table.iter().map(|(start, m)| (start, m.end)).collect();
        assert_eq!(found, [(0x1000, 0x3000), (0x5000, 0x9000)]);
        assert!(table.find(0x3000).is_none() && table.find(0x5000).is_some());
    }

    #[test]
    fn neighbours_of_one_kind_merge() {
        let mut table = Table::default();
        table.insert(0x1000, anonymous(0x2000, 3));
        table.insert(0x3000, anonymous(0x4000, 3));
        table.insert(0x2000, anonymous(0x3000, 3));
        assert_eq!(table.iter().count(), 1);
        table.protect(0x2000..0x3000, Prot(1));
        assert_eq!(table.iter().count(), 3);
    }
}
