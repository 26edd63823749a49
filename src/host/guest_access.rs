//! The only code that touches guest memory.
//!
//! Guest memory is mapped at its own address, is shared with other threads and processes, and may vanish
//! at any moment. So every access is one instruction (or one string instruction) of inline assembly whose
//! address stands in a table: when it faults, the SIGSEGV/SIGBUS handler finds it there, leaves the fault
//! in a thread-local, and continues at the access's error exit. Nothing is checked beforehand, and no
//! reference to guest memory ever exists.
#![allow(unsafe_code)] // raw loads and stores; see above

use crate::host::fault_table::{guarded, take_fault};
use guest::{Access, Fault, GuestAddr};
use std::arch::asm;

/// What went wrong at the access that has just failed on this thread.
#[cold]
fn failed(access: Access) -> Fault {
    take_fault(access)
}

macro_rules! scalar_access {
    ($load:ident, $store:ident, $t:ty, $ld:literal, $st:literal) => {
        /// Loads a little-endian integer.
        #[inline]
        pub fn $load(addr: GuestAddr) -> Result<$t, Fault> {
            let value: u64;
            let failed_flag: u32;
            // SAFETY: the instruction is in the fault table: a fault comes back through `failed_flag`. It
            // writes only its output registers.
            unsafe {
                asm!(guarded!($ld), out("rax") value, in("rdi") addr.raw(), out("ecx") failed_flag, options(nostack))
            };
            if failed_flag != 0 { Err(failed(Access::Read)) } else { Ok(value as $t) }
        }

        /// Stores a little-endian integer.
        #[inline]
        pub fn $store(addr: GuestAddr, value: $t) -> Result<(), Fault> {
            let failed_flag: u32;
            // SAFETY: in the fault table, as above. It writes guest memory only: our own memory is never
            // at an address that the mapping table gives to the guest.
            unsafe {
                asm!(guarded!($st), in("rax") u64::from(value), in("rdi") addr.raw(), out("ecx") failed_flag, options(nostack))
            };
            if failed_flag != 0 { Err(failed(Access::Write)) } else { Ok(()) }
        }
    };
}

scalar_access!(load_u8, store_u8, u8, "movzx eax, byte ptr [rdi]", "mov byte ptr [rdi], al");
scalar_access!(load_u16, store_u16, u16, "movzx eax, word ptr [rdi]", "mov word ptr [rdi], ax");
scalar_access!(load_u32, store_u32, u32, "mov eax, dword ptr [rdi]", "mov dword ptr [rdi], eax");
scalar_access!(load_u64, store_u64, u64, "mov rax, qword ptr [rdi]", "mov qword ptr [rdi], rax");

/// Loads 16 bytes with one access; atomic where the address is aligned to 16.
#[inline]
pub fn load_u128(addr: GuestAddr) -> Result<u128, Fault> {
    let (lo, hi): (u64, u64);
    let failed_flag: u32;
    // SAFETY: in the fault table; writes only registers.
    unsafe {
        asm!(
            guarded!("movdqu {x}, xmmword ptr [rdi]"),
            "movq rax, {x}",
            "pextrq rdx, {x}, 1",
            x = out(xmm_reg) _, out("rax") lo, out("rdx") hi, in("rdi") addr.raw(), out("ecx") failed_flag,
            options(nostack)
        );
    }
    if failed_flag != 0 { Err(failed(Access::Read)) } else { Ok(u128::from(lo) | u128::from(hi) << 64) }
}

/// Stores 16 bytes with one access.
#[inline]
pub fn store_u128(addr: GuestAddr, value: u128) -> Result<(), Fault> {
    let failed_flag: u32;
    // SAFETY: in the fault table; writes guest memory only.
    unsafe {
        asm!(
            "movq {x}, rax",
            "pinsrq {x}, rdx, 1",
            guarded!("movdqu xmmword ptr [rdi], {x}"),
            x = out(xmm_reg) _, in("rax") value as u64, in("rdx") (value >> 64) as u64, in("rdi") addr.raw(),
            out("ecx") failed_flag, options(nostack)
        );
    }
    if failed_flag != 0 { Err(failed(Access::Write)) } else { Ok(()) }
}

macro_rules! atomic_access {
    ($xchg:ident, $xadd:ident, $cas:ident, $t:ty, $ix:literal, $ia:literal, $ic:literal) => {
        /// Atomic exchange; the old value.
        #[inline]
        pub fn $xchg(addr: GuestAddr, value: $t) -> Result<$t, Fault> {
            let mut reg = u64::from(value);
            let failed_flag: u32;
            // SAFETY: in the fault table; writes guest memory and its registers only.
            unsafe {
                asm!(guarded!($ix), inout("rax") reg, in("rdi") addr.raw(), out("ecx") failed_flag, options(nostack))
            };
            if failed_flag != 0 { Err(failed(Access::Write)) } else { Ok(reg as $t) }
        }

        /// Atomic wrapping addition; the old value.
        #[inline]
        pub fn $xadd(addr: GuestAddr, value: $t) -> Result<$t, Fault> {
            let mut reg = u64::from(value);
            let failed_flag: u32;
            // SAFETY: in the fault table; writes guest memory and its registers only.
            unsafe {
                asm!(guarded!($ia), inout("rax") reg, in("rdi") addr.raw(), out("ecx") failed_flag, options(nostack))
            };
            if failed_flag != 0 { Err(failed(Access::Write)) } else { Ok(reg as $t) }
        }

        /// Atomic compare and swap; the old value.
        #[inline]
        pub fn $cas(addr: GuestAddr, expected: $t, new: $t) -> Result<$t, Fault> {
            let mut reg = u64::from(expected);
            let failed_flag: u32;
            // SAFETY: in the fault table; writes guest memory and its registers only.
            unsafe {
                asm!(
                    guarded!($ic),
                    inout("rax") reg, in("rdx") u64::from(new), in("rdi") addr.raw(),
                    out("ecx") failed_flag, options(nostack)
                );
            }
            if failed_flag != 0 { Err(failed(Access::Write)) } else { Ok(reg as $t) }
        }
    };
}

atomic_access!(
    xchg_u8,
    xadd_u8,
    cas_u8,
    u8,
    "xchg byte ptr [rdi], al",
    "lock xadd byte ptr [rdi], al",
    "lock cmpxchg byte ptr [rdi], dl"
);
atomic_access!(
    xchg_u16,
    xadd_u16,
    cas_u16,
    u16,
    "xchg word ptr [rdi], ax",
    "lock xadd word ptr [rdi], ax",
    "lock cmpxchg word ptr [rdi], dx"
);
atomic_access!(
    xchg_u32,
    xadd_u32,
    cas_u32,
    u32,
    "xchg dword ptr [rdi], eax",
    "lock xadd dword ptr [rdi], eax",
    "lock cmpxchg dword ptr [rdi], edx"
);
atomic_access!(
    xchg_u64,
    xadd_u64,
    cas_u64,
    u64,
    "xchg qword ptr [rdi], rax",
    "lock xadd qword ptr [rdi], rax",
    "lock cmpxchg qword ptr [rdi], rdx"
);

/// Atomic 16-byte compare and swap; the old value. The address must be a multiple of 16.
pub fn cas_u128(addr: GuestAddr, expected: u128, new: u128) -> Result<u128, Fault> {
    let (mut lo, mut hi) = (expected as u64, (expected >> 64) as u64);
    let failed_flag: u32;
    // SAFETY: in the fault table. rbx is LLVM's own, so it is exchanged with rsi around the instruction;
    // the error exit lies behind the exchange back, which both ways pass.
    unsafe {
        asm!(
            "xor r8d, r8d",
            "xchg rbx, rsi",
            "2: lock cmpxchg16b xmmword ptr [rdi]",
            "3:",
            "xchg rbx, rsi",
            ".pushsection .text.guest_fixup,\"ax\",@progbits",
            "4: mov r8d, 1",
            "jmp 3b",
            ".popsection",
            ".pushsection guest_faults,\"aR\",@progbits",
            ".long 2b - ., 4b - .",
            ".popsection",
            inout("rax") lo, inout("rdx") hi, inout("rsi") new as u64 => _, in("rcx") (new >> 64) as u64,
            in("rdi") addr.raw(), out("r8d") failed_flag, options(nostack)
        );
    }
    if failed_flag != 0 { Err(failed(Access::Write)) } else { Ok(u128::from(lo) | u128::from(hi) << 64) }
}

/// Copies `out.len()` bytes from guest memory; on a fault, how many were copied before it.
pub fn copy_in(out: &mut [u8], src: GuestAddr) -> Result<(), (usize, Fault)> {
    let mut left = out.len();
    let failed_flag: u32;
    // SAFETY: in the fault table; writes within `out` only, whose length bounds the count.
    unsafe {
        asm!(
            "xor r8d, r8d",
            "2: rep movsb",
            "3:",
            ".pushsection .text.guest_fixup,\"ax\",@progbits",
            "4: mov r8d, 1",
            "jmp 3b",
            ".popsection",
            ".pushsection guest_faults,\"aR\",@progbits",
            ".long 2b - ., 4b - .",
            ".popsection",
            inout("rcx") left, inout("rsi") src.raw() => _, inout("rdi") out.as_mut_ptr() => _,
            out("r8d") failed_flag, options(nostack)
        );
    }
    if failed_flag != 0 { Err((out.len() - left, failed(Access::Read))) } else { Ok(()) }
}

/// Copies `data` to guest memory; on a fault, how many bytes were copied before it.
pub fn copy_out(dst: GuestAddr, data: &[u8]) -> Result<(), (usize, Fault)> {
    let mut left = data.len();
    let failed_flag: u32;
    // SAFETY: in the fault table; reads within `data`, writes guest memory only.
    unsafe {
        asm!(
            "xor r8d, r8d",
            "2: rep movsb",
            "3:",
            ".pushsection .text.guest_fixup,\"ax\",@progbits",
            "4: mov r8d, 1",
            "jmp 3b",
            ".popsection",
            ".pushsection guest_faults,\"aR\",@progbits",
            ".long 2b - ., 4b - .",
            ".popsection",
            inout("rcx") left, inout("rsi") data.as_ptr() => _, inout("rdi") dst.raw() => _,
            out("r8d") failed_flag, options(nostack)
        );
    }
    if failed_flag != 0 { Err((data.len() - left, failed(Access::Write))) } else { Ok(()) }
}
