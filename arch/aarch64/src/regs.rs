//! The register table, with gdb's names and numbers (`org.gnu.gdb.aarch64.core` and `.fpu`).

use crate::state::{FPCR, PSTATE, SP, x};
use crate::{fpenv, guarded};
use guest::ir::flag;
use guest::ir::flags::FlagRecord;
use guest::regs::{Register, RegisterTable, Storage};
use guest::state::{GuestState, vector_slot};

const CORE: &str = "org.gnu.gdb.aarch64.core";
const FPU: &str = "org.gnu.gdb.aarch64.fpu";

/// (PSTATE bit, packed flag).
const NZCV: [(u64, u64); 4] =
    [(1 << 31, flag::S), (1 << 30, flag::Z), (1 << 29, flag::C), (1 << 28, flag::V)];

/// PSTATE.SSBS and PSTATE.DIT.
const OTHER_BITS: u64 = 1 << 12 | 1 << 24;

/// PSTATE as EL0 shows it.
pub fn cpsr(state: &GuestState) -> u64 {
    let packed = FlagRecord::load(state).pack();
    NZCV.iter()
        .filter(|(_, flag)| packed & flag != 0)
        .fold(state.u64(PSTATE) | guarded::pstate(state), |bits, (bit, _)| bits | bit)
}

pub fn set_cpsr(state: &mut GuestState, value: u64) {
    let packed = NZCV.iter().filter(|(bit, _)| value & bit != 0).fold(0, |bits, (_, flag)| bits | flag);
    FlagRecord::packed(packed).store(state);
    state.set_u64(PSTATE, value & OTHER_BITS);
}

const GENERAL: [&str; 31] = [
    "x0", "x1", "x2", "x3", "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14", "x15",
    "x16", "x17", "x18", "x19", "x20", "x21", "x22", "x23", "x24", "x25", "x26", "x27", "x28", "x29", "x30",
];

const VECTOR: [&str; 32] = [
    "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15",
    "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30",
    "v31",
];

const SP_NUM: u16 = 31;
const VECTOR_NUM: u16 = 34;
const COUNT: usize = 68;

const fn row(num: u16, name: &'static str, feature: &'static str, size: usize, storage: Storage) -> Register {
    Register { num, name, feature, size, storage }
}

const fn table() -> [Register; COUNT] {
    let mut rows = [row(SP_NUM, "sp", CORE, 8, Storage::Slot(SP)); COUNT];
    let mut n = 0;
    while n < 31 {
        rows[n] = row(n as u16, GENERAL[n], CORE, 8, Storage::Slot(x(n as u16)));
        n += 1;
    }
    rows[32] = row(32, "pc", CORE, 8, Storage::Computed { get: guarded::pc, set: GuestState::set_pc });
    rows[33] = row(33, "cpsr", CORE, 4, Storage::Computed { get: cpsr, set: set_cpsr });
    let mut n = 0;
    while n < 32 {
        let num = VECTOR_NUM + n as u16;
        rows[num as usize] = row(num, VECTOR[n], FPU, 16, Storage::Slot(vector_slot(n as u16)));
        n += 1;
    }
    rows[66] = row(66, "fpsr", FPU, 4, Storage::Computed { get: fpenv::fpsr, set: fpenv::set_fpsr });
    rows[67] = row(67, "fpcr", FPU, 4, Storage::Computed { get: fpcr, set: fpenv::set_fpcr });
    rows
}

fn fpcr(state: &GuestState) -> u64 {
    state.u64(FPCR)
}

static REGISTERS: [Register; COUNT] = table();

pub fn registers() -> RegisterTable {
    RegisterTable { registers: &REGISTERS, pc: "pc", sp: "sp" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_gdbs_and_in_order() {
        assert!(REGISTERS.iter().enumerate().all(|(i, r)| usize::from(r.num) == i));
        let table = registers();
        let by_name = |name| table.by_name(name).map(|r| (r.num, r.size));
        assert_eq!(by_name("x30"), Some((30, 8)));
        assert_eq!(by_name("sp"), Some((31, 8)));
        assert_eq!(by_name("v31"), Some((65, 16)));
        assert_eq!(by_name("fpcr"), Some((67, 4)));
    }

    #[test]
    fn flags_survive_a_write_and_a_read() {
        let mut state = GuestState::default();
        for value in (0..16).map(|nzcv| nzcv << 28) {
            set_cpsr(&mut state, value);
            assert_eq!(cpsr(&state), value);
        }
    }
}
