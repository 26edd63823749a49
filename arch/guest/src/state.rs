//! A guest thread's registers: one flat, fixed-layout block of bytes.
//!
//! Compiled code addresses it by constant offsets from a pinned host register, the interpreter by the
//! same offsets through the safe accessors here. The first fields are the same on every architecture
//! because generic passes and the engine need them; the rest is laid out by the architecture crate.

/// Size of [`GuestState`] in bytes.
pub const STATE_SIZE: usize = 4096;

/// A field of the state: its byte offset. The width comes with each access.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Slot(pub u16);

impl Slot {
    /// The slot `bytes` further on.
    #[must_use]
    pub const fn plus(self, bytes: u16) -> Self {
        Self(self.0 + bytes)
    }
}

/// The guest pc, exact whenever translated code is not running.
pub const PC: Slot = Slot(0);
/// The lazy flag record: kind and width (see [`crate::ir::FlagKind`]) ...
pub const FLAG_KIND: Slot = Slot(8);
/// ... first operand, ...
pub const FLAG_A: Slot = Slot(16);
/// ... second operand, ...
pub const FLAG_B: Slot = Slot(24);
/// ... and result.
pub const FLAG_R: Slot = Slot(32);
/// Exclusive monitor: nonzero while armed, ...
pub const MONITOR_SIZE: Slot = Slot(40);
/// ... address, ...
pub const MONITOR_ADDR: Slot = Slot(48);
/// ... and the 16 bytes that were seen there.
pub const MONITOR_VALUE: Slot = Slot(64);
/// Where the last indirect jump stands whose target was not known to compiled code, or the last single step began.
pub const JUMPED_FROM: Slot = Slot(104);
/// The first offset that is the architecture's own.
pub const ARCH_BASE: Slot = Slot(128);
/// Vector registers: 32 of them, 64 bytes apart, the low 16 first.
pub const VECTORS: Slot = Slot(2048);
/// Distance of two vector registers in bytes.
pub const VECTOR_STRIDE: u16 = 64;

/// One guest thread's register state.
#[derive(Clone)]
#[repr(C, align(64))]
pub struct GuestState {
    bytes: [u8; STATE_SIZE],
}

impl Default for GuestState {
    fn default() -> Self {
        Self { bytes: [0; STATE_SIZE] }
    }
}

impl GuestState {
    #[inline]
    #[must_use]
    pub fn bytes_at(&self, slot: Slot, len: usize) -> &[u8] {
        &self.bytes[usize::from(slot.0)..][..len]
    }

    #[inline]
    pub fn bytes_at_mut(&mut self, slot: Slot, len: usize) -> &mut [u8] {
        &mut self.bytes[usize::from(slot.0)..][..len]
    }

    #[inline]
    fn array<const N: usize>(&self, slot: Slot) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[usize::from(slot.0)..usize::from(slot.0) + N]);
        out
    }

    #[inline]
    #[must_use]
    pub fn u8(&self, slot: Slot) -> u8 {
        self.bytes[usize::from(slot.0)]
    }

    #[inline]
    #[must_use]
    pub fn u16(&self, slot: Slot) -> u16 {
        u16::from_le_bytes(self.array(slot))
    }

    #[inline]
    #[must_use]
    pub fn u32(&self, slot: Slot) -> u32 {
        u32::from_le_bytes(self.array(slot))
    }

    #[inline]
    #[must_use]
    pub fn u64(&self, slot: Slot) -> u64 {
        u64::from_le_bytes(self.array(slot))
    }

    #[inline]
    #[must_use]
    pub fn u128(&self, slot: Slot) -> u128 {
        u128::from_le_bytes(self.array(slot))
    }

    #[inline]
    pub fn set_u8(&mut self, slot: Slot, value: u8) {
        self.bytes[usize::from(slot.0)] = value;
    }

    #[inline]
    pub fn set_u16(&mut self, slot: Slot, value: u16) {
        self.bytes_at_mut(slot, 2).copy_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub fn set_u32(&mut self, slot: Slot, value: u32) {
        self.bytes_at_mut(slot, 4).copy_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub fn set_u64(&mut self, slot: Slot, value: u64) {
        self.bytes_at_mut(slot, 8).copy_from_slice(&value.to_le_bytes());
    }

    #[inline]
    pub fn set_u128(&mut self, slot: Slot, value: u128) {
        self.bytes_at_mut(slot, 16).copy_from_slice(&value.to_le_bytes());
    }

    #[inline]
    #[must_use]
    pub fn pc(&self) -> u64 {
        self.u64(PC)
    }

    #[inline]
    pub fn set_pc(&mut self, pc: u64) {
        self.set_u64(PC, pc);
    }
}

/// The slot of vector register `n` (its low 16 bytes; further units follow).
#[must_use]
pub const fn vector_slot(n: u16) -> Slot {
    Slot(VECTORS.0 + n * VECTOR_STRIDE)
}
