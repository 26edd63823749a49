//! Masked moves and gathers: lanes that are switched off must not be accessed.

use guest::helper::{HelperContext, HelperExit};
use guest::ir::Lane;
use guest::state::{Slot, vector_slot};
use guest::{Fault, GuestAddr, GuestMemory};
use std::ops::Range;

type Outcome = Result<u64, HelperExit>;

/// A masked move, as the lifter passes it.
#[derive(Clone, Copy)]
pub(crate) struct Move {
    pub register: u16,
    pub lane: Lane,
}

impl Move {
    pub(crate) fn encode(self) -> u64 {
        u64::from(self.register) | (self.lane as u64) << 8
    }

    fn decode(code: u64) -> Self {
        Self { register: (code & 0xff) as u16, lane: lane(code >> 8) }
    }

    fn slot(self) -> Slot {
        vector_slot(self.register)
    }

    /// What the lanes in `mask` cover, in pieces that are one access each.
    fn pieces(self, mask: u64) -> impl Iterator<Item = Range<usize>> {
        let log_size = self.lane.bytes().trailing_zeros();
        let mut left = mask;
        std::iter::from_fn(move || {
            if left == 0 {
                return None;
            }
            let first = left.trailing_zeros();
            let len: u32 = match (left >> first).trailing_ones() << log_size {
                16.. => 16,
                8.. => 8,
                _ => 4,
            };
            left &= !(((1 << (len >> log_size)) - 1) << first);
            let start = (first << log_size) as usize;
            Some(start..start + len as usize)
        })
    }
}

fn lane(code: u64) -> Lane {
    Lane::ALL[(code & 3) as usize]
}

/// `VMASKMOVPS` and its kin, from memory: other lanes become 0, and so does the rest of the register.
pub(super) fn load(cx: &mut dyn HelperContext, addr: u64, mask: u64, how: u64) -> Outcome {
    let how = Move::decode(how);
    let (memory, mut bytes) = (cx.memory(), [0; 32]);
    for piece in how.pieces(mask) {
        memory.read(GuestAddr(addr).offset(piece.start as i64), &mut bytes[piece])?;
    }
    cx.state().bytes_at_mut(how.slot(), 32).copy_from_slice(&bytes);
    Ok(0)
}

/// The same to memory: nothing is written if a lane faults.
pub(super) fn store(cx: &mut dyn HelperContext, addr: u64, mask: u64, how: u64) -> Outcome {
    let how = Move::decode(how);
    let bytes = register(cx, how.register);
    let place = |at: usize| GuestAddr(addr).offset(at as i64);
    for piece in how.pieces(mask) {
        cx.probe_write(place(piece.start), piece.len() as u64)?;
    }
    let memory = cx.memory();
    for piece in how.pieces(mask) {
        memory.write(place(piece.start), &bytes[piece])?;
    }
    Ok(0)
}

/// The whole of vector register `n`.
fn register(cx: &mut dyn HelperContext, n: u16) -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes.copy_from_slice(cx.state().bytes_at(vector_slot(n), 32));
    bytes
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

    /// Where lane `i` comes from.
    fn address(self, indices: &[u8; 32], base: u64, segment: u64, i: usize) -> GuestAddr {
        let index = match self.index_lane {
            Lane::D => u64::from_le_bytes(std::array::from_fn(|k| indices[8 * i + k])),
            _ => i32::from_le_bytes(std::array::from_fn(|k| indices[4 * i + k])) as u64,
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
    let indices = register(cx, how.index);
    let (mut mask, mut to) = (register(cx, how.mask), register(cx, how.to));
    let from = |i| how.address(&indices, base, segment, i);
    let count = usize::from(how.count);
    let gathered = match how.lane {
        Lane::D => gather_lanes::<8>(cx.memory(), count, from, &mut mask, &mut to),
        _ => gather_lanes::<4>(cx.memory(), count, from, &mut mask, &mut to),
    };
    if gathered.is_ok() {
        mask.fill(0);
        to[count * how.lane.bytes()..].fill(0);
    }
    cx.state().bytes_at_mut(vector_slot(how.mask), 32).copy_from_slice(&mask);
    cx.state().bytes_at_mut(vector_slot(how.to), 32).copy_from_slice(&to);
    gathered.map(|()| 0).map_err(HelperExit::from)
}

/// Gathers lanes of `SIZE` bytes.
fn gather_lanes<const SIZE: usize>(
    memory: &dyn GuestMemory,
    count: usize,
    from: impl Fn(usize) -> GuestAddr,
    mask: &mut [u8; 32],
    to: &mut [u8; 32],
) -> Result<(), Fault> {
    let (masks, _) = mask.as_chunks_mut::<SIZE>();
    let (lanes, _) = to.as_chunks_mut::<SIZE>();
    for mask in &mut masks[..count] {
        *mask = if mask[SIZE - 1] & 0x80 != 0 { [0xff; SIZE] } else { [0; SIZE] };
    }
    for (i, (mask, lane)) in masks.iter_mut().zip(lanes).take(count).enumerate() {
        if *mask != [0; SIZE] {
            let mut value = [0; SIZE];
            memory.read(from(i), &mut value)?;
            *lane = value;
        }
        *mask = [0; SIZE];
    }
    Ok(())
}
