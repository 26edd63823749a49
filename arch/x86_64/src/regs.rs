//! The register table: gdb's names, numbers and features.

use crate::helpers::full_tags;
use crate::state::{
    FS_BASE, GS_BASE, MXCSR, ORIG_RAX, X87_CONTROL, X87_FDP, X87_FIP, X87_FOP, X87_STATUS, X87_TAGS, gpr,
    read_eflags, selector, st, write_eflags,
};
use guest::regs::{Register, RegisterTable, Storage};
use guest::state::{GuestState, PC, Slot, vector_slot};

const CORE: &str = "org.gnu.gdb.i386.core";
const SSE: &str = "org.gnu.gdb.i386.sse";
const LINUX: &str = "org.gnu.gdb.i386.linux";
const SEGMENTS: &str = "org.gnu.gdb.i386.segments";
const AVX: &str = "org.gnu.gdb.i386.avx";

const fn row(num: u16, name: &'static str, feature: &'static str, size: usize, storage: Storage) -> Register {
    Register { num, name, feature, size, storage }
}

const fn general(num: u16, name: &'static str, encoding: u16) -> Register {
    row(num, name, CORE, 8, Storage::Slot(gpr(encoding)))
}

const fn fixed(num: u16, name: &'static str, value: u64) -> Register {
    row(num, name, CORE, 4, Storage::Fixed(value))
}

const fn stack(n: u16, name: &'static str) -> Register {
    row(24 + n, name, CORE, 10, Storage::Slot(st(n)))
}

const fn in_slot(num: u16, name: &'static str, feature: &'static str, size: usize, slot: Slot) -> Register {
    row(num, name, feature, size, Storage::Slot(slot))
}

const fn xmm(n: u16, name: &'static str) -> Register {
    in_slot(40 + n, name, SSE, 16, vector_slot(n))
}

const fn ymm_high(n: u16, name: &'static str) -> Register {
    in_slot(60 + n, name, AVX, 16, vector_slot(n).plus(16))
}

/// The second 32 bits of a pointer register, as gdb's `fiseg` and `foseg` show them.
const fn computed(
    num: u16,
    name: &'static str,
    get: fn(&GuestState) -> u64,
    set: fn(&mut GuestState, u64),
) -> Register {
    row(num, name, CORE, 4, Storage::Computed { get, set })
}

fn high_half(state: &GuestState, slot: Slot) -> u64 {
    state.u64(slot) >> 32
}

fn set_high_half(state: &mut GuestState, slot: Slot, value: u64) {
    state.set_u32(slot.plus(4), value as u32);
}

#[rustfmt::skip]
static REGISTERS: &[Register] = &[
    general(0, "rax", 0), general(1, "rbx", 3), general(2, "rcx", 1), general(3, "rdx", 2),
    general(4, "rsi", 6), general(5, "rdi", 7), general(6, "rbp", 5), general(7, "rsp", 4),
    general(8, "r8", 8), general(9, "r9", 9), general(10, "r10", 10), general(11, "r11", 11),
    general(12, "r12", 12), general(13, "r13", 13), general(14, "r14", 14), general(15, "r15", 15),
    in_slot(16, "rip", CORE, 8, PC),
    row(17, "eflags", CORE, 4, Storage::Computed { get: read_eflags, set: write_eflags }),
    fixed(18, "cs", 0x33), fixed(19, "ss", 0x2b),
    computed(20, "ds", |s| s.u64(selector(3)), |s, v| s.set_u64(selector(3), v & 0xffff)),
    computed(21, "es", |s| s.u64(selector(0)), |s, v| s.set_u64(selector(0), v & 0xffff)),
    computed(22, "fs", |s| s.u64(selector(4)), |s, v| s.set_u64(selector(4), v & 0xffff)),
    computed(23, "gs", |s| s.u64(selector(5)), |s, v| s.set_u64(selector(5), v & 0xffff)),
    stack(0, "st0"), stack(1, "st1"), stack(2, "st2"), stack(3, "st3"),
    stack(4, "st4"), stack(5, "st5"), stack(6, "st6"), stack(7, "st7"),
    computed(32, "fctrl", |s| s.u16(X87_CONTROL).into(), |s, v| s.set_u16(X87_CONTROL, v as u16)),
    computed(33, "fstat", |s| s.u16(X87_STATUS).into(), |s, v| s.set_u16(X87_STATUS, v as u16)),
    computed(34, "ftag", |s| full_tags(s).into(), set_tags),
    computed(35, "fiseg", |s| high_half(s, X87_FIP), |s, v| set_high_half(s, X87_FIP, v)),
    in_slot(36, "fioff", CORE, 4, X87_FIP),
    computed(37, "foseg", |s| high_half(s, X87_FDP), |s, v| set_high_half(s, X87_FDP, v)),
    in_slot(38, "fooff", CORE, 4, X87_FDP),
    computed(39, "fop", |s| s.u16(X87_FOP).into(), |s, v| s.set_u16(X87_FOP, v as u16 & 0x7ff)),
    xmm(0, "xmm0"), xmm(1, "xmm1"), xmm(2, "xmm2"), xmm(3, "xmm3"),
    xmm(4, "xmm4"), xmm(5, "xmm5"), xmm(6, "xmm6"), xmm(7, "xmm7"),
    xmm(8, "xmm8"), xmm(9, "xmm9"), xmm(10, "xmm10"), xmm(11, "xmm11"),
    xmm(12, "xmm12"), xmm(13, "xmm13"), xmm(14, "xmm14"), xmm(15, "xmm15"),
    in_slot(56, "mxcsr", SSE, 4, MXCSR),
    in_slot(57, "orig_rax", LINUX, 8, ORIG_RAX),
    in_slot(58, "fs_base", SEGMENTS, 8, FS_BASE),
    in_slot(59, "gs_base", SEGMENTS, 8, GS_BASE),
    ymm_high(0, "ymm0h"), ymm_high(1, "ymm1h"), ymm_high(2, "ymm2h"), ymm_high(3, "ymm3h"),
    ymm_high(4, "ymm4h"), ymm_high(5, "ymm5h"), ymm_high(6, "ymm6h"), ymm_high(7, "ymm7h"),
    ymm_high(8, "ymm8h"), ymm_high(9, "ymm9h"), ymm_high(10, "ymm10h"), ymm_high(11, "ymm11h"),
    ymm_high(12, "ymm12h"), ymm_high(13, "ymm13h"), ymm_high(14, "ymm14h"), ymm_high(15, "ymm15h"),
];

/// The full tag word has two bits a register; only "empty" (3) is kept.
fn set_tags(state: &mut GuestState, value: u64) {
    let valid = (0..8).filter(|n| value >> (2 * n) & 3 != 3).fold(0, |tags, n| tags | 1u8 << n);
    state.set_u8(X87_TAGS, valid);
}

/// The table.
#[must_use]
pub fn table() -> RegisterTable {
    RegisterTable { registers: REGISTERS, pc: "rip", sp: "rsp" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_consecutive_and_names_unique() {
        for (index, register) in REGISTERS.iter().enumerate() {
            assert_eq!(usize::from(register.num), index, "{}", register.name);
            assert_eq!(table().by_name(register.name).map(|r| r.num), Some(register.num));
        }
    }

    #[test]
    fn eflags_reads_back_what_was_written() {
        let (mut state, eflags) = (GuestState::default(), table().by_name("eflags").unwrap());
        eflags.write(&mut state, &0x0000_0cd7u32.to_le_bytes()).unwrap();
        assert_eq!(eflags.read(&state)[..4], 0x0000_0ed7u32.to_le_bytes());
    }
}
