//! What is kept of each piece of installed code: whose code a fault is in, and what saving it takes.
//!
//! Most of it is about code that may fault, of which there is much, and which hardly ever does: that is packed.

use super::owed::Noted;
use super::template::Forward;
use super::{AfterFault, Back, Site};
use guest::{Access, GuestAddr};

/// A host instruction that accesses guest memory, by its offset into its piece.
#[derive(Clone, Copy, Debug)]
pub struct FaultPoint {
    pub at: u32,
    pub site: Site,
    pub noted: Noted,
}

/// Bytes of a packed point.
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
    /// Which of them lead forward, for a block from templates; its counter does not count.
    pub forward: Forward,
    /// The guest address of the block, or of the region's head.
    pub head: GuestAddr,
    /// What may fault, packed, in order.
    pub faults: Box<[u8]>,
    /// What these owe, packed.
    pub owed: Box<[u8]>,
    /// The guest address of each commit point.
    pub points: Box<[GuestAddr]>,
}

impl Piece {
    /// What a fault at an offset leads to, given the commit point that the state says.
    pub fn after_fault(&self, offset: usize, stored: u32) -> Option<AfterFault> {
        let offset = u32::try_from(offset).ok()?;
        let (points, _) = self.faults.as_chunks::<FAULT_SIZE>();
        let index = points.binary_search_by_key(&offset, |point| unpack(point).at).ok()?;
        let FaultPoint { site: Site { pc: at, access, back }, noted, .. } = unpack(&points[index]);
        let replay = |point: u32| Some(AfterFault::Replay { from: *self.points.get(point as usize)?, at });
        match back {
            Back::Exact => Some(AfterFault::Raise { pc: at, access, owed: noted.of(&self.owed) }),
            Back::To(point) => replay(point.into()),
            Back::Stored => replay(stored),
            Back::Own => Some(AfterFault::Replay { from: at, at }),
        }
    }

    /// Where the access at an offset has its own way out, if it has one.
    pub fn way_out(&self, offset: usize) -> Option<usize> {
        let offset = u32::try_from(offset).ok()?;
        let (points, _) = self.faults.as_chunks::<FAULT_SIZE>();
        let index = points.binary_search_by_key(&offset, |point| unpack(point).at).ok()?;
        let FaultPoint { site, noted, .. } = unpack(&points[index]);
        (site.back == Back::Own).then(|| usize::from(noted.first) | usize::from(noted.count) << u16::BITS)
    }
}

/// Bits of a guest address; in a packed point the commit point, or the number of the first that is owed, stands above them.
const ADDRESS_BITS: u32 = 48;
/// Bits of an offset, and of the numbers behind it.
const OFFSET_BITS: u32 = 32;
const FIELD_BITS: u32 = 8;
const FIELD: u64 = (1 << FIELD_BITS) - 1;

/// How a way out at an offset is noted; `None` where it is too far away.
pub fn noted_way_out(offset: usize) -> Option<Noted> {
    Some(Noted { first: offset as u16, count: u8::try_from(offset >> u16::BITS).ok()? })
}

/// Packs points; `None` where one is of an address that no code can have.
pub fn pack(points: impl Iterator<Item = FaultPoint>) -> Option<Box<[u8]>> {
    let mut out = Vec::with_capacity(FAULT_SIZE * points.size_hint().0);
    for point in points {
        out.extend_from_slice(&pack_one(&point)?);
    }
    Some(out.into_boxed_slice())
}

fn pack_one(point: &FaultPoint) -> Option<[u8; FAULT_SIZE]> {
    let access: u64 = match point.site.access {
        Access::Read => 0,
        Access::Write => 1,
        Access::Fetch => 2,
    };
    let (back, above): (u64, u16) = match point.site.back {
        Back::Exact => (0, point.noted.first),
        Back::Stored => (1, 0),
        Back::To(commit) => (2, commit),
        Back::Own => (3, point.noted.first),
    };
    let pc = point.site.pc.raw();
    let fields = access | back << FIELD_BITS | u64::from(point.noted.count) << (2 * FIELD_BITS);
    let place = u64::from(point.at) | fields << OFFSET_BITS;
    let [place, site] = [place, pc | u64::from(above) << ADDRESS_BITS].map(u64::to_le_bytes);
    let mut out = [0; FAULT_SIZE];
    out[..8].copy_from_slice(&place);
    out[8..].copy_from_slice(&site);
    (pc >> ADDRESS_BITS == 0).then_some(out)
}

fn unpack(bytes: &[u8; FAULT_SIZE]) -> FaultPoint {
    let packed = u128::from_le_bytes(*bytes);
    let (place, site) = (packed as u64, (packed >> 64) as u64);
    let field = |number: u32| place >> (OFFSET_BITS + number * FIELD_BITS) & FIELD;
    let above = (site >> ADDRESS_BITS) as u16;
    let access = match field(0) {
        0 => Access::Read,
        1 => Access::Write,
        _ => Access::Fetch,
    };
    let (back, first) = match field(1) {
        0 => (Back::Exact, above),
        1 => (Back::Stored, 0),
        3 => (Back::Own, above),
        _ => (Back::To(above), 0),
    };
    let noted = Noted { first, count: field(2) as u8 };
    let pc = GuestAddr(site & ((1 << ADDRESS_BITS) - 1));
    FaultPoint { at: place as u32, site: Site { pc, access, back }, noted }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exec::jit::commit::Point;

    #[test]
    fn faults_are_unpacked_as_they_were_packed() {
        let packed_at = |pc, back, access| {
            let site = Site { pc: GuestAddr(pc), access, back };
            let noted = match back {
                Back::Exact | Back::Own => Noted { first: 60_000, count: 40 },
                _ => Noted::default(),
            };
            let point = FaultPoint { at: 1 << 20, site, noted };
            pack_one(&point).inspect(|packed| assert_eq!(unpack(packed).noted, noted))
        };
        for pc in [0x1000, 0x5555_5555_4000, 0x7fff_f7ff_e123, (1 << ADDRESS_BITS) - 1] {
            for back in [Back::Exact, Back::Stored, Back::Own, Back::To(0), Back::To(Point::MAX)] {
                for access in [Access::Read, Access::Write, Access::Fetch] {
                    let read = unpack(&packed_at(pc, back, access).unwrap());
                    assert_eq!(read.at, 1 << 20);
                    assert_eq!(
                        (read.site.pc, read.site.access, read.site.back),
                        (GuestAddr(pc), access, back)
                    );
                }
            }
        }
        assert!(packed_at(1 << ADDRESS_BITS, Back::Exact, Access::Read).is_none());
    }
}
