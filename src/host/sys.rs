//! Raw system calls to the host kernel.
//!
//! The guest's calls are made with the guest's own arguments, so libc's wrappers (which cache, cancel,
//! retry and set `errno`) are in the way. Two entries: [`syscall`] for calls that do not block, and
//! [`interruptible`] for those that may: a signal that arrives between the last check for pending signals
//! and the kernel's entry makes it return [`INTERRUPTED`] instead of blocking with the signal undelivered.
#![allow(unsafe_code)] // the syscall instruction

use std::arch::{asm, global_asm};
use std::sync::atomic::AtomicU32;

/// What [`interruptible`] returns when the call was not made, or must be made again after the signal has
/// been delivered (the kernel's own `ERESTARTSYS`, which it never shows to programs).
pub const INTERRUPTED: i64 = -512;

/// Makes a system call; the kernel's result (`-errno` on failure). Pointers among the arguments are the
/// guest's: the kernel checks them.
#[inline]
pub fn syscall(number: i64, args: [u64; 6]) -> i64 {
    let result: i64;
    // SAFETY: the kernel touches user memory only at addresses that the arguments name. Callers pass
    // either memory of their own that outlives the call, or guest addresses.
    unsafe {
        asm!(
            "syscall",
            inout("rax") number => result, in("rdi") args[0], in("rsi") args[1], in("rdx") args[2],
            in("r10") args[3], in("r8") args[4], in("r9") args[5],
            out("rcx") _, out("r11") _, options(nostack)
        );
    }
    result
}

global_asm!(
    ".pushsection .text.qemu_lua_syscall,\"ax\",@progbits",
    ".globl qemu_lua_interruptible",
    ".globl qemu_lua_syscall_begin",
    ".globl qemu_lua_syscall_insn",
    ".globl qemu_lua_syscall_abort",
    "qemu_lua_interruptible:",
    "mov rax, rdi",
    "mov r11, rdx",
    "mov rcx, rsi",
    "mov rdi, [rcx]",
    "mov rsi, [rcx + 8]",
    "mov rdx, [rcx + 16]",
    "mov r10, [rcx + 24]",
    "mov r8, [rcx + 32]",
    "mov r9, [rcx + 40]",
    "qemu_lua_syscall_begin:",
    "cmp dword ptr [r11], 0",
    "jne qemu_lua_syscall_abort",
    "qemu_lua_syscall_insn:",
    "syscall",
    "ret",
    "qemu_lua_syscall_abort:",
    "mov rax, -512",
    "ret",
    ".popsection",
);

unsafe extern "C" {
    fn qemu_lua_interruptible(number: i64, args: *const u64, poll: *const AtomicU32) -> i64;
    fn qemu_lua_syscall_begin();
    fn qemu_lua_syscall_insn();
    fn qemu_lua_syscall_abort();
}

/// Has every thread that uses this memory pass a memory barrier (membarrier(2)). Whether the kernel has that.
pub fn barrier_in_all_threads() -> bool {
    const PRIVATE_EXPEDITED: u64 = 1 << 3;
    const REGISTER_PRIVATE_EXPEDITED: u64 = 1 << 4;
    let barrier = |command: u64| syscall(libc::SYS_membarrier, [command, 0, 0, 0, 0, 0]) == 0;
    barrier(REGISTER_PRIVATE_EXPEDITED) && barrier(PRIVATE_EXPEDITED)
}

/// Makes a system call unless `poll` is nonzero when the kernel is entered; see the module text.
#[inline]
pub fn interruptible(number: i64, args: [u64; 6], poll: &AtomicU32) -> i64 {
    // SAFETY: reads six words of `args` and the flag, both alive for the call; else as `syscall`.
    unsafe { qemu_lua_interruptible(number, args.as_ptr(), std::ptr::from_ref(poll)) }
}

/// Where a signal handler must send a thread that was interrupted at host pc `pc` between the check and
/// the system call (or whose call the kernel has prepared to restart). Async-signal-safe.
pub fn rewind_for(pc: usize) -> Option<usize> {
    let begin = qemu_lua_syscall_begin as *const () as usize;
    let insn = qemu_lua_syscall_insn as *const () as usize;
    (begin..=insn).contains(&pc).then_some(qemu_lua_syscall_abort as *const () as usize)
}

/// The result as a `Result`: the errno on failure.
#[inline]
pub fn check(result: i64) -> Result<u64, i32> {
    if (-4095..0).contains(&result) { Err(-result as i32) } else { Ok(result as u64) }
}
