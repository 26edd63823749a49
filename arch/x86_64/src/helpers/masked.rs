//! Masked moves and gathers: lanes that are switched off must not be accessed.

use guest::GuestAddr;
use guest::helper::{HelperContext, HelperExit};
use guest::ir::{Lane, VecLen};
use guest::state::{Slot, vector_slot};

type Outcome = Result<u64, HelperExit>;

/// A masked move, as the lifter passes it.
#[derive(Clone, Copy)]
pub(crate) struct Move {
    pub register: u16,
    pub lane: Lane,
    pub n: VecLen,
}

impl Move {
    pub(crate) fn encode(self) -> u64 {
        u64::from(self.register) | (self.lane as u64) << 8 | (self.n as u64) << 16
    }

    fn decode(code: u64) -> Self {
        Self { register: (code & 0xff) as u16, lane: lane(code >> 8), n: length(code >> 16) }
    }

    fn slot(self) -> Slot {
        vector_slot(self.register)
    }

    /// The lanes in `mask`, with the offset of each.
    fn lanes(self, mask: u64) -> impl Iterator<Item = usize> {
        let (size, count) = (self.lane.bytes(), 16 * self.n.units() / self.lane.bytes());
        (0..count).filter(move |i| mask >> i & 1 != 0).map(move |i| i * size)
    }
}

fn lane(code: u64) -> Lane {
    Lane::ALL[(code & 3) as usize]
}

fn length(code: u64) -> VecLen {
    VecLen::ALL[(code & 0xff) as usize % VecLen::ALL.len()]
}

/// `VMASKMOVPS` and its kin, from memory: other lanes become 0, and so does the rest of the register.
pub(super) fn load(cx: &mut dyn HelperContext, addr: u64, mask: u64, how: u64) -> Outcome {
    let how = Move::decode(how);
    let mut bytes = [0; 32];
    for at in how.lanes(mask) {
        cx.memory().read(GuestAddr(addr).offset(at as i64), &mut bytes[at..at + how.lane.bytes()])?;
    }
    cx.state().bytes_at_mut(how.slot(), 32).copy_from_slice(&bytes);
    Ok(0)
}

/// The same to memory: nothing is written if a lane faults.
pub(super) fn store(cx: &mut dyn HelperContext, addr: u64, mask: u64, how: u64) -> Outcome {
    let how = Move::decode(how);
    let mut bytes = [0; 32];
    bytes.copy_from_slice(cx.state().bytes_at(how.slot(), 32));
    let place = |at: usize| GuestAddr(addr).offset(at as i64);
    for at in how.lanes(mask) {
        cx.probe_write(place(at), how.lane.bytes() as u64)?;
    }
    for at in how.lanes(mask) {
        cx.memory().write(place(at), &bytes[at..at + how.lane.bytes()])?;
    }
    Ok(0)
}

/// A gather, as the lifter passes it.
#[derive(Clone, Copy)]
pub(crate) struct Gather {
    pub to: u16,
    pub mask: u16,
    pub index: u16,
    pub lane: Lane,
    pub index_lane: Lane,
    pub log_scale: u8,
    pub count: u8,
    pub address32: bool,
}

impl Gather {
    pub(crate) fn encode(self) -> u64 {
        let registers = u64::from(self.to) | u64::from(self.mask) << 8 | u64::from(self.index) << 16;
        let lanes = (self.lane as u64) << 24 | (self.index_lane as u64) << 28;
        registers
            | lanes
            | u64::from(self.log_scale) << 32
            | u64::from(self.count) << 40
            | u64::from(self.address32) << 48
    }

    fn decode(code: u64) -> Self {
        let byte = |at: u32| (code >> at & 0xff) as u16;
        Self {
            to: byte(0),
            mask: byte(8),
            index: byte(16),
            lane: lane(code >> 24),
            index_lane: lane(code >> 28),
            log_scale: byte(32) as u8,
            count: byte(40) as u8,
            address32: byte(48) != 0,
        }
    }

    /// The slot of lane `i` of register `n`.
    fn lane_slot(n: u16, lane: Lane, i: u8) -> Slot {
        vector_slot(n).plus(u16::from(i) * lane.bytes() as u16)
    }

    fn address(self, cx: &mut dyn HelperContext, base: u64, segment: u64, i: u8) -> GuestAddr {
        let slot = Self::lane_slot(self.index, self.index_lane, i);
        let index = match self.index_lane {
            Lane::D => cx.state().u64(slot),
            _ => cx.state().u32(slot) as i32 as u64,
        };
        let offset = base.wrapping_add(index << self.log_scale);
        let offset = if self.address32 { offset & 0xffff_ffff } else { offset };
        GuestAddr(segment.wrapping_add(offset))
    }
}

/// `VGATHERDPS` and its kin. Each lane clears its mask when it is done, so that after a fault the rest can be
/// done by running the instruction again. The sign of the others has spread over the lane by then (SDM vol. 2C, `MASK`
/// in the operation of `VGATHERDPS`).
pub(super) fn gather(cx: &mut dyn HelperContext, base: u64, how: u64, segment: u64) -> Outcome {
    let how = Gather::decode(how);
    let size = how.lane.bytes();
    let mask_of = |i| Gather::lane_slot(how.mask, how.lane, i);
    for i in 0..how.count {
        let mask = cx.state().bytes_at_mut(mask_of(i), size);
        mask.fill(if mask[size - 1] & 0x80 != 0 { 0xff } else { 0 });
    }
    for i in 0..how.count {
        if cx.state().bytes_at(mask_of(i), size)[0] != 0 {
            let (from, mut bytes) = (how.address(cx, base, segment, i), [0; 8]);
            cx.memory().read(from, &mut bytes[..size])?;
            let to = Gather::lane_slot(how.to, how.lane, i);
            cx.state().bytes_at_mut(to, size).copy_from_slice(&bytes[..size]);
        }
        cx.state().bytes_at_mut(mask_of(i), size).fill(0);
    }
    let gathered = usize::from(how.count) * size;
    cx.state().bytes_at_mut(vector_slot(how.mask), 32).fill(0);
    cx.state().bytes_at_mut(vector_slot(how.to), 32)[gathered..].fill(0);
    Ok(0)
}
