//! Memory that is mapped at several addresses.
//!
//! A compiler of the guest's may write its code through one shared mapping of a file and run it through another. What is
//! mapped privately, or by another process too, is not looked for.

use super::mapping::{Backing, Mapping, Table};
use std::ops::Range;

/// The bytes of a file that a mapping shares with others: the file, and where in it.
fn shared_bytes(start: u64, mapping: &Mapping) -> Option<((u64, u64), Range<u64>)> {
    match mapping.backing {
        Backing::File { device, inode, offset } if mapping.shared => {
            Some(((device, inode), offset..offset + (mapping.end - start)))
        }
        _ => None,
    }
}

/// The other pages that show what the page does, with their mappings.
pub fn of_page(table: &Table, page: u64) -> Vec<(u64, Mapping)> {
    let place = table.find(page).and_then(|(start, mapping)| {
        shared_bytes(start, mapping).map(|(file, bytes)| (file, bytes.start + page - start))
    });
    let Some((file, at)) = place else { return Vec::new() };
    let same = |(start, mapping): (u64, &Mapping)| {
        let (other, bytes) = shared_bytes(start, mapping)?;
        let there = start + at.checked_sub(bytes.start)?;
        (other == file && bytes.contains(&at) && there != page).then_some((there, *mapping))
    };
    table.iter().filter_map(same).collect()
}

/// Where else the memory of the range's writable mappings may be executed.
pub fn executable(table: &Table, range: &Range<u64>) -> Vec<Range<u64>> {
    let written = table.overlapping(range.clone()).filter(|(_, mapping)| mapping.prot.writable());
    let files: Vec<_> =
        written.filter_map(|(start, mapping)| Some(shared_bytes(start, mapping)?.0)).collect();
    if files.is_empty() {
        return Vec::new();
    }
    let runs = table.iter().filter(|(start, mapping)| {
        mapping.prot.executable()
            && shared_bytes(*start, mapping).is_some_and(|(file, _)| files.contains(&file))
    });
    runs.map(|(start, mapping)| start..mapping.end).collect()
}

/// Where code in shared mappings of a file, or of any, may be executed.
pub fn of_file(table: &Table, file: Option<(u64, u64)>) -> Vec<Range<u64>> {
    let runs = table.iter().filter(|(start, mapping)| {
        let shown = shared_bytes(*start, mapping).map(|(shown, _)| shown);
        mapping.prot.executable() && shown.is_some_and(|shown| file.is_none_or(|file| file == shown))
    });
    runs.map(|(start, mapping)| start..mapping.end).collect()
}

#[cfg(test)]
mod tests {
    use super::super::mapping::Prot;
    use super::*;

    fn of_file(end: u64, inode: u64, offset: u64, prot: i32) -> Mapping {
        let backing = Backing::File { device: 1, inode, offset };
        Mapping { end, prot: Prot(prot), shared: true, backing }
    }

    #[test]
    fn pages_of_the_same_bytes_are_found() {
        let mut table = Table::default();
        table.insert(0x10000, of_file(0x14000, 7, 0, 5));
        table.insert(0x20000, of_file(0x22000, 7, 0x2000, 3));
        table.insert(0x30000, of_file(0x34000, 8, 0, 3));
        table.insert(0x40000, Mapping { shared: false, ..of_file(0x44000, 7, 0, 3) });
        let found = |page| of_page(&table, page).iter().map(|(page, _)| *page).collect::<Vec<_>>();
        assert_eq!(found(0x13000), [0x21000]);
        assert_eq!(found(0x20000), [0x12000]);
        assert_eq!(found(0x10000), []);
        assert_eq!(executable(&table, &(0x20000..0x21000)).first(), Some(&(0x10000..0x14000)));
        assert_eq!(executable(&table, &(0x30000..0x44000)), []);
    }
}
