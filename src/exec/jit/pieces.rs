//! What is kept of each piece of installed code: whose code a fault is in, and what saving it takes.
//!
//! Most of it is about code that may fault, of which there is much, and which hardly ever does: that is packed.

use super::owed::Noted;
use super::template::Forward;
use super::{AfterFault, Back, Site};
use guest::{Access, GuestAddr};
use std::cell::Cell;

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
#[derive(Clone, Copy, Debug)]
pub struct Piece<'a> {
    /// Where it starts, from the start of code memory, and its length in bytes.
    pub code_at: u32,
    pub code_len: u32,
    /// Where it is entered, from its start.
    pub entry: u32,
    /// The number of its first slot, and how many there are.
    pub first_slot: u32,
    pub slots: u32,
    /// Which of them lead forward, for a block from templates; its counter does not count.
    pub forward: Forward,
    /// What may fault, packed, in order.
    pub faults: &'a [u8],
    /// What these owe, packed.
    pub owed: &'a [u8],
    /// The guest address of each commit point, and then of the head, for a region; nothing for others.
    pub points: &'a [u8],
    /// Where these three start among those of [all](Pieces::packed) pieces.
    pub starts: [u32; 3],
}

impl Piece<'_> {
    /// What a fault at an offset into code memory leads to, given the commit point that the state says.
    pub fn after_fault(&self, offset: usize, stored: u32) -> Option<AfterFault> {
        let FaultPoint { site: Site { pc: at, access, back }, noted, .. } = self.fault_at(offset)?;
        let replay = |point: u32| Some(AfterFault::Replay { from: self.point(point)?, at });
        match back {
            Back::Exact => Some(AfterFault::Raise { pc: at, access, owed: noted.of(self.owed) }),
            Back::To(point) => replay(point.into()),
            Back::Stored => replay(stored),
            Back::Own => Some(AfterFault::Replay { from: at, at }),
        }
    }

    /// Where the access at an offset into code memory has its own way out, if it has one.
    pub fn way_out(&self, offset: usize) -> Option<usize> {
        let FaultPoint { site, noted, .. } = self.fault_at(offset)?;
        let out = usize::from(noted.first) | usize::from(noted.count) << u16::BITS;
        (site.back == Back::Own).then_some(self.code_at as usize + out)
    }

    /// The head of the region that it is the code of.
    pub fn head(&self) -> Option<GuestAddr> {
        Some(GuestAddr(u64::from_le_bytes(*self.points.last_chunk()?)))
    }

    fn fault_at(&self, offset: usize) -> Option<FaultPoint> {
        let inside = u32::try_from(offset.checked_sub(self.code_at as usize)?).ok()?;
        let (points, _) = self.faults.as_chunks::<FAULT_SIZE>();
        let index = points.binary_search_by_key(&inside, |point| unpack(point).at).ok()?;
        Some(unpack(&points[index]))
    }

    fn point(&self, number: u32) -> Option<GuestAddr> {
        let (points, _) = self.points.as_chunks();
        Some(GuestAddr(u64::from_le_bytes(*points.get(number as usize)?)))
    }
}

/// All pieces that this process has made, in the order of their addresses, and what there is to know of them one behind the
/// other: there are as many as there are blocks, and they are saved as they are.
#[derive(Default)]
pub struct Pieces {
    all: Vec<Kept>,
    faults: Vec<u8>,
    owed: Vec<u8>,
    points: Vec<u8>,
    /// Behind the piece that was asked for last: they are asked for one after the other when they are saved.
    next: Cell<usize>,
}

/// A piece, and where what there is to know of it ends.
#[derive(Clone, Copy, Default)]
struct Kept {
    code_at: u32,
    code_len: u32,
    entry: u32,
    first_slot: u32,
    slots: u32,
    forward: Forward,
    faults_end: u32,
    owed_end: u32,
    points_end: u32,
}

/// Makes room for more, by less than doubling.
fn grow<T>(all: &mut Vec<T>, more: usize) {
    const LEAST: usize = 16 << 10;
    if all.capacity() - all.len() < more {
        all.reserve_exact(more.max(all.len() / 4).max(LEAST / size_of::<T>()));
    }
}

impl Pieces {
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// Packs what may fault in the piece that is [added](Self::add) next. Whether that can be done: not where there is an
    /// address that no code can have.
    pub fn pack(&mut self, points: impl Iterator<Item = FaultPoint>) -> bool {
        self.faults.truncate(self.last().faults_end as usize);
        for point in points {
            let Some(packed) = pack_one(&point) else { return false };
            grow(&mut self.faults, packed.len());
            self.faults.extend_from_slice(&packed);
        }
        true
    }

    /// Adds a piece, which is behind all others, with the faults that were packed last.
    pub fn add(&mut self, piece: &Piece<'_>) {
        debug_assert!(self.last().code_at + self.last().code_len <= piece.code_at);
        debug_assert!(piece.faults.is_empty(), "they are packed");
        grow(&mut self.owed, piece.owed.len());
        grow(&mut self.all, 1);
        self.owed.extend_from_slice(piece.owed);
        self.points.extend_from_slice(piece.points);
        self.all.push(Kept {
            code_at: piece.code_at,
            code_len: piece.code_len,
            entry: piece.entry,
            first_slot: piece.first_slot,
            slots: piece.slots,
            forward: piece.forward,
            faults_end: self.faults.len() as u32,
            owed_end: self.owed.len() as u32,
            points_end: self.points.len() as u32,
        });
    }

    fn last(&self) -> Kept {
        self.all.last().copied().unwrap_or_default()
    }

    /// The piece that is at an offset into code memory.
    pub fn at(&self, offset: usize) -> Option<Piece<'_>> {
        let starts_before = |kept: &Kept| kept.code_at as usize <= offset;
        let next = self.next.get();
        let is_next = self.all.get(next).is_some_and(starts_before)
            && !self.all.get(next + 1).is_some_and(starts_before);
        let after = if is_next { next + 1 } else { self.all.partition_point(starts_before) };
        self.next.set(after);
        let piece = self.piece(after.checked_sub(1)?);
        (offset - (piece.code_at as usize) < piece.code_len as usize).then_some(piece)
    }

    /// The piece that a slot is of: slots are given out in the order of pieces.
    pub fn with_slot(&self, slot: u32) -> Option<Piece<'_>> {
        let after = self.all.partition_point(|kept| kept.first_slot <= slot);
        let piece = self.piece(after.checked_sub(1)?);
        (slot - piece.first_slot < piece.slots).then_some(piece)
    }

    fn piece(&self, index: usize) -> Piece<'_> {
        let kept = self.all[index];
        let before = index.checked_sub(1).map(|before| self.all[before]).unwrap_or_default();
        let range = |start: u32, end: u32| start as usize..end as usize;
        Piece {
            code_at: kept.code_at,
            code_len: kept.code_len,
            entry: kept.entry,
            first_slot: kept.first_slot,
            slots: kept.slots,
            forward: kept.forward,
            faults: &self.faults[range(before.faults_end, kept.faults_end)],
            owed: &self.owed[range(before.owed_end, kept.owed_end)],
            points: &self.points[range(before.points_end, kept.points_end)],
            starts: [before.faults_end, before.owed_end, before.points_end],
        }
    }

    /// All faults, what they owe, and commit points, piece by piece.
    pub fn packed(&self) -> [&[u8]; 3] {
        [&self.faults[..self.last().faults_end as usize], &self.owed, &self.points]
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

/// The point, packed; `None` where it is of an address that no code can have.
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

    fn point(at: u32, pc: u64) -> FaultPoint {
        let site = Site { pc: GuestAddr(pc), access: Access::Read, back: Back::Exact };
        FaultPoint { at, site, noted: Noted::default() }
    }

    fn add(pieces: &mut Pieces, code_at: u32, owed: &[u8], points: &[u8]) {
        let (faults, starts, forward) = (&[][..], [0; 3], Forward(code_at / 32));
        let (code_len, entry, first_slot, slots) = (40, 16, code_at / 10, 2);
        pieces.add(&Piece {
            code_at,
            code_len,
            entry,
            first_slot,
            slots,
            forward,
            faults,
            owed,
            points,
            starts,
        });
    }

    #[test]
    fn a_piece_is_found_by_all_of_its_addresses_with_what_is_its_own() {
        let mut pieces = Pieces::default();
        assert!(pieces.at(0).is_none());
        assert!(pieces.pack([point(8, 0x1000)].into_iter()));
        add(&mut pieces, 32, &[1, 2, 3, 4], &[]);
        // One that could not be put in place leaves nothing.
        assert!(!pieces.pack([point(4, 0x2000), point(8, 1 << ADDRESS_BITS)].into_iter()));
        assert!(pieces.pack([point(4, 0x3000), point(12, 0x3004)].into_iter()));
        add(&mut pieces, 96, &[], &0x5000_u64.to_le_bytes());
        assert_eq!(pieces.len(), 2);
        assert_eq!([0, 31, 72, 95, 136].map(|offset| pieces.at(offset).is_none()), [true; 5]);
        for offset in [32, 71] {
            let first = pieces.at(offset).unwrap();
            assert_eq!((first.code_at, first.first_slot, first.owed), (32, 3, &[1, 2, 3, 4][..]));
            assert_eq!((first.faults.len(), first.starts), (FAULT_SIZE, [0; 3]));
        }
        let second = pieces.at(100).unwrap();
        assert_eq!((pieces.at(32).unwrap().forward, second.forward), (Forward(1), Forward(3)));
        assert_eq!((second.code_at, second.owed.len(), second.starts), (96, 0, [FAULT_SIZE as u32, 4, 0]));
        let raised = |pc, at| Some(AfterFault::Raise { pc: GuestAddr(pc), access: Access::Read, owed: at });
        assert_eq!(second.after_fault(96 + 12, 0), raised(0x3004, Noted::default().of(&[])));
        assert_eq!([second.after_fault(96 + 8, 0), second.after_fault(40, 0)], [None, None]);
        assert_eq!((second.point(0), second.point(1)), (Some(GuestAddr(0x5000)), None));
        assert_eq!((pieces.at(32).unwrap().head(), second.head()), (None, Some(GuestAddr(0x5000))));
        let of_slot = |slot| pieces.with_slot(slot).map(|piece| piece.code_at);
        assert_eq!(
            [2, 3, 4, 5, 9, 10, 11].map(of_slot),
            [None, Some(32), Some(32), None, Some(96), Some(96), None]
        );
        let [faults, owed, points] = pieces.packed();
        assert_eq!((faults.len(), owed.len(), points.len()), (3 * FAULT_SIZE, 4, 8));
    }
}
