//! What is kept of each piece of installed code: whose code a fault is in, and what saving it takes.
//!
//! Most of it is about code that may fault, of which there is much, and which hardly ever does: that is packed.

use super::{AfterFault, Back, Site};
use guest::{Access, GuestAddr};

/// Host code that may fault, by offsets into its piece.
#[derive(Clone, Copy, Debug)]
pub struct FaultRange {
    pub start: u32,
    pub end: u32,
    pub site: Site,
}

/// Bytes of a packed range.
pub const FAULT_SIZE: usize = 16;

/// Code of a block or region.
#[derive(Debug)]
pub struct Piece {
    pub code_len: u32,
    /// Where it is entered, from its start.
    pub entry: u32,
    /// The number of its first slot, and how many there are.
    pub first_slot: u32,
    pub slots: u32,
    /// The guest address of the block, or of the region's head.
    pub head: GuestAddr,
    /// Code that may fault, packed, in order.
    pub faults: Box<[u8]>,
    /// The guest address of each commit point.
    pub points: Box<[GuestAddr]>,
}

impl Piece {
    /// What a fault at an offset leads to, given the commit point that the state says.
    pub fn after_fault(&self, offset: usize, stored: u32) -> Option<AfterFault> {
        let offset = u32::try_from(offset).ok()?;
        let (ranges, _) = self.faults.as_chunks::<FAULT_SIZE>();
        let after = ranges.partition_point(|range| unpack(range, self.head).start <= offset);
        let range = unpack(ranges[..after].last()?, self.head);
        if offset >= range.end {
            return None;
        }
        Some(match range.site.back {
            Back::Exact => AfterFault::Raise { pc: range.site.pc, access: range.site.access },
            Back::To(pc) => AfterFault::Replay(pc),
            Back::Stored => AfterFault::Replay(*self.points.get(stored as usize)?),
        })
    }
}

/// Packs ranges, with guest addresses relative to the head's; `None` where one is too far from it.
pub fn pack(ranges: impl Iterator<Item = FaultRange>, head: GuestAddr) -> Option<Box<[u8]>> {
    let mut out = Vec::with_capacity(FAULT_SIZE * ranges.size_hint().0);
    for range in ranges {
        out.extend_from_slice(&pack_one(&range, head)?);
    }
    Some(out.into_boxed_slice())
}

fn pack_one(range: &FaultRange, head: GuestAddr) -> Option<[u8; FAULT_SIZE]> {
    let near =
        |pc: GuestAddr| i32::try_from(pc.raw().wrapping_sub(head.raw()) as i64).ok().map(|near| near as u32);
    let len = u16::try_from(range.end.checked_sub(range.start)?).ok()?;
    let access: u32 = match range.site.access {
        Access::Read => 0,
        Access::Write => 1,
        Access::Fetch => 2,
    };
    let (back, to): (u32, u32) = match range.site.back {
        Back::Exact => (0, 0),
        Back::Stored => (1, 0),
        Back::To(pc) => (2, near(pc)?),
    };
    let words = [range.start, u32::from(len) | access << 16 | back << 24, near(range.site.pc)?, to];
    let mut out = [0; FAULT_SIZE];
    for (bytes, word) in out.chunks_exact_mut(4).zip(words) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    Some(out)
}

fn unpack(bytes: &[u8; FAULT_SIZE], head: GuestAddr) -> FaultRange {
    let word = |at: usize| u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
    let [start, what] = [word(0), word(4)];
    let [pc, to] = [word(8), word(12)].map(|near| head.offset(i64::from(near as i32)));
    let access = match what >> 16 & 0xff {
        0 => Access::Read,
        1 => Access::Write,
        _ => Access::Fetch,
    };
    let back = match what >> 24 {
        0 => Back::Exact,
        1 => Back::Stored,
        _ => Back::To(to),
    };
    FaultRange { start, end: start.wrapping_add(what & 0xffff), site: Site { pc, access, back } }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_are_unpacked_where_they_are_near() {
        let head = GuestAddr(0x7fff_0000_0000);
        for back in [Back::Exact, Back::Stored, Back::To(GuestAddr(0x7ffe_ffff_0000))] {
            for access in [Access::Read, Access::Write, Access::Fetch] {
                let site = Site { pc: head.offset(-0x1234), access, back };
                let packed =
                    pack_one(&FaultRange { start: 1 << 20, end: (1 << 20) + 9, site }, head).unwrap();
                let read = unpack(&packed, head);
                assert_eq!((read.start, read.end), (1 << 20, (1 << 20) + 9));
                assert_eq!((read.site.pc, read.site.access, read.site.back), (site.pc, access, back));
            }
        }
        let far = Site { pc: GuestAddr(0), access: Access::Read, back: Back::Exact };
        assert!(pack_one(&FaultRange { start: 0, end: 1, site: far }, head).is_none());
    }
}
