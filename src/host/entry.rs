//! The program's first instructions: before the C library.
//!
//! The image is linked to be where the emulator's range starts (`build.rs`), so that the kernel maps it there, and nothing
//! of it is relocated: its pages are the file's, in memory once for all processes. But the kernel starts it on a stack at
//! the top of the address space, which is the guest's place. So the entry point makes a stack in our range, copies the
//! start-up block onto it, and only then goes on with the C library's `_start`. Where the kernel refuses, the program
//! stays on the stack that it has.
//!
//! The C library would take the first thread's storage from the kernel's program break, which for us is behind the image.
//! Once its `__curbrk` is set, it takes it from `sbrk`, which is ours.
//!
//! Nothing here may use thread-local storage, or what the C library chooses by the processor (`memcpy`).
#![allow(unsafe_code)] // system calls and raw memory, before there is a runtime

use super::layout::HEAP_START;
use super::sys;
use std::arch::global_asm;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE: u64 = 4096;
/// Size of the main thread's stack.
const STACK_SIZE: u64 = 8 << 20;
/// Where that stack is: below the heap.
const STACK_BOTTOM: u64 = HEAP_START - (64 << 20);

global_asm!(
    ".pushsection .text.qemu_lua_entry,\"ax\",@progbits",
    ".globl qemu_lua_entry",
    ".type qemu_lua_entry,@function",
    "qemu_lua_entry:",
    "xor ebp, ebp",
    "mov qword ptr [rip + __curbrk], 1",
    "mov rdi, rsp",
    "call {prepare}",
    "mov rsp, rax",
    "xor edx, edx",
    "jmp _start",
    ".popsection",
    prepare = sym prepare,
);

/// What the C library has for a static program that may be anywhere, or calls where it is there: the distance from us to
/// nowhere is more than its calls reach. For `entry_point!`, because what the program defines itself is found first.
#[macro_export]
macro_rules! c_library_stubs {
    () => {
        std::arch::global_asm!(
            ".pushsection .text.qemu_lua_stubs,\"ax\",@progbits",
            // Nothing is to be relocated.
            ".globl _dl_relocate_static_pie",
            "_dl_relocate_static_pie:",
            // What the parts of it do at a fork or an end that are not linked in.
            ".irp name, __pthread_initialize_minimal, __call_tls_dtors, __cxa_finalize",
            ".weak \\name",
            "\\name:",
            ".endr",
            ".irp name, __glibc_tls_internal_free, __mq_notify_fork_subprocess, __timer_fork_subprocess",
            ".weak \\name",
            "\\name:",
            ".endr",
            "ret",
            // Where the program is: for libraries that a static program might load. It costs a walk through /proc.
            ".globl _dl_get_origin",
            "_dl_get_origin:",
            "mov rax, -1",
            "ret",
            ".popsection",
        );
    };
}

/// Copies bytes. The C library's `memcpy` is reached through a table that is not relocated yet.
///
/// # Safety
/// Both ranges are valid, and do not overlap.
unsafe fn copy(to: u64, from: u64, len: u64) {
    // SAFETY: the caller's promise.
    unsafe {
        std::arch::asm!("rep movsb", inout("rcx") len => _, inout("rdi") to => _, inout("rsi") from => _,
                        options(nostack));
    }
}

fn map(addr: u64, len: u64, prot: i32) -> bool {
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE | libc::MAP_FIXED_NOREPLACE;
    let args = [addr, len, prot as u64, flags as u64, u64::MAX, 0];
    sys::syscall(libc::SYS_mmap, args) == addr as i64
}

/// Makes the stack that we run on; its pointer. `stack` is what the kernel started us with.
extern "C" fn prepare(stack: *const u64) -> u64 {
    if !map(STACK_BOTTOM, STACK_SIZE, libc::PROT_READ | libc::PROT_WRITE) {
        return stack as u64;
    }
    // SAFETY: `stack` is the kernel's start-up block.
    unsafe { copy_start_block(stack) }
}

/// Copies arguments, environment, auxiliary vector and their strings to the new stack; its pointer.
///
/// # Safety
/// `stack` is the kernel's start-up block.
unsafe fn copy_start_block(stack: *const u64) -> u64 {
    let old = stack as u64;
    // The strings are above the vectors, up to the end of the last page; AT_EXECFN's is the highest.
    // SAFETY: walks argv and envp to their null words, then the auxiliary vector to its end.
    let (auxv, top) = unsafe { find_end(stack) };
    FIRST_STACK[0].store(old & !(PAGE - 1), Ordering::Relaxed);
    FIRST_STACK[1].store(top, Ordering::Relaxed);
    let new_top = STACK_BOTTOM + STACK_SIZE - PAGE;
    let size = top - old;
    let new = (new_top - size) & !63 | (old & 63);
    // SAFETY: from the kernel's block to the stack just mapped, which is larger.
    unsafe { copy(new, old, size) };
    let shift = new.wrapping_sub(old);
    let words = (auxv - old) / 8;
    let slots = new as *mut u64;
    for index in 1..words as usize {
        // SAFETY: within the copied vectors.
        let value = unsafe { slots.add(index).read() };
        if value >= old && value < top {
            // SAFETY: as above.
            unsafe { slots.add(index).write(value.wrapping_add(shift)) };
        }
    }
    let mut entry = (new + (auxv - old)) as *mut u64;
    loop {
        // SAFETY: the auxiliary vector ends with a zero type.
        let (kind, value) = unsafe { (entry.read(), entry.add(1).read()) };
        if kind == 0 {
            return new;
        }
        let on_stack = value >= old && value < top;
        let moved = match kind {
            // The host's own vDSO stays where the kernel put it, so it is not used: it is in the guest's space.
            libc::AT_SYSINFO_EHDR => 0,
            _ if on_stack => value.wrapping_add(shift),
            _ => value,
        };
        let kind = if kind == libc::AT_SYSINFO_EHDR { 1 } else { kind };
        // SAFETY: as above. Type 1 is AT_IGNORE.
        unsafe {
            entry.write(kind);
            entry.add(1).write(moved);
            entry = entry.add(2);
        }
    }
}

/// Where the auxiliary vector starts and the start-up block's strings end.
///
/// # Safety
/// `stack` is the kernel's start-up block.
unsafe fn find_end(stack: *const u64) -> (u64, u64) {
    // SAFETY: argc, then argv with its null, then envp with its null, then pairs.
    unsafe {
        let argc = stack.read() as usize;
        let mut cursor = stack.add(argc + 2);
        while cursor.read() != 0 {
            cursor = cursor.add(1);
        }
        cursor = cursor.add(1);
        let auxv = cursor as u64;
        let mut highest = cursor as u64;
        while cursor.read() != 0 {
            if cursor.read() == libc::AT_EXECFN {
                highest = highest.max(cursor.add(1).read());
            }
            cursor = cursor.add(2);
        }
        (auxv, (highest.max(cursor as u64 + 16) + PAGE - 1) & !(PAGE - 1))
    }
}

/// The kernel's own stack, as far as it is certain: the page of its pointer at the start, and the end. Zeros where
/// we are on it still.
static FIRST_STACK: [AtomicU64; 2] = [const { AtomicU64::new(0) }; 2];

/// After start-up: gives the kernel's own stack back, so that the guest can have its place.
pub fn release_first_stack() {
    // The mapping starts somewhat below the pointer; farther down the kernel keeps a gap.
    const GAP: u64 = 1 << 20;
    let [pointer, end] = [0, 1].map(|word: usize| FIRST_STACK[word].load(Ordering::Relaxed));
    if end != 0 {
        let start = pointer.saturating_sub(GAP);
        sys::syscall(libc::SYS_munmap, [start, end - start, 0, 0, 0, 0]);
    }
}
