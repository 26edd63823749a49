//! The register description: one table per architecture, from which Lua, the debugger stub, register
//! dumps and signal frames are derived.
//!
//! Names, numbers and features are gdb's (its target description XML: `org.gnu.gdb.i386.core`,
//! `org.gnu.gdb.aarch64.core`, ...), because that is what users of a debugger and of `c_get_reg` expect.

use crate::state::{GuestState, Slot};

/// Where a register's value lives.
#[derive(Clone, Copy, Debug)]
pub enum Storage {
    /// In the state, little endian, at this slot's offset.
    Slot(Slot),
    /// A constant: reads give it, writes are accepted and ignored.
    Fixed(u64),
    /// Composed of several state fields (flags, tags): read and written by these functions.
    Computed { get: fn(&GuestState) -> u64, set: fn(&mut GuestState, u64) },
}

/// One row of the register table.
#[derive(Clone, Copy, Debug)]
pub struct Register {
    /// gdb's register number.
    pub num: u16,
    /// gdb's name, lower case.
    pub name: &'static str,
    /// The gdb target-description feature it belongs to.
    pub feature: &'static str,
    /// Size in bytes.
    pub size: usize,
    pub storage: Storage,
}

/// The largest register, in bytes.
pub const MAX_REGISTER_SIZE: usize = 64;

/// A register access that cannot be done; nothing has been changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RegisterError {
    #[error("no such register")]
    Unknown,
    #[error("wrong length for this register")]
    WrongLength,
}

impl Register {
    /// The register's bytes (`size` of them, little endian) in the first `size` bytes of the result.
    #[must_use]
    pub fn read(&self, state: &GuestState) -> [u8; MAX_REGISTER_SIZE] {
        let mut out = [0; MAX_REGISTER_SIZE];
        match self.storage {
            Storage::Slot(slot) => out[..self.size].copy_from_slice(state.bytes_at(slot, self.size)),
            Storage::Fixed(value) => out[..8].copy_from_slice(&value.to_le_bytes()),
            Storage::Computed { get, .. } => out[..8].copy_from_slice(&get(state).to_le_bytes()),
        }
        out[self.size..].fill(0);
        out
    }

    /// Sets the register from exactly `size` little-endian bytes.
    pub fn write(&self, state: &mut GuestState, bytes: &[u8]) -> Result<(), RegisterError> {
        if bytes.len() != self.size {
            return Err(RegisterError::WrongLength);
        }
        match self.storage {
            Storage::Slot(slot) => state.bytes_at_mut(slot, self.size).copy_from_slice(bytes),
            Storage::Fixed(_) => {}
            Storage::Computed { set, .. } => {
                let mut value = [0; 8];
                value[..self.size].copy_from_slice(bytes);
                set(state, u64::from_le_bytes(value));
            }
        }
        Ok(())
    }
}

/// The register table of one architecture.
#[derive(Clone, Copy, Debug)]
pub struct RegisterTable {
    pub registers: &'static [Register],
    /// The names that `pc` and `sp` stand for on this architecture.
    pub pc: &'static str,
    pub sp: &'static str,
}

impl RegisterTable {
    /// The register called `name` (`pc` and `sp` work on every architecture).
    #[must_use]
    pub fn by_name(&self, name: &str) -> Option<&'static Register> {
        let name = match name {
            "pc" => self.pc,
            "sp" => self.sp,
            other => other,
        };
        self.registers.iter().find(|r| r.name == name)
    }

    #[must_use]
    pub fn by_num(&self, num: u64) -> Option<&'static Register> {
        self.registers.iter().find(|r| u64::from(r.num) == num)
    }
}
