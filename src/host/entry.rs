//! The program's first instructions: before the C library, before relocation.
//!
//! The kernel loads a static position-independent executable wherever its own randomisation puts it, and
//! starts it on a stack at the top of the address space: both places belong to the guest. So the entry
//! point moves the image's mappings to the emulator's range, makes a stack there, copies the start-up
//! block onto it, and only then goes on with the C library's `_start`, which relocates the image where it
//! now is. Where the kernel refuses, the program runs where it was loaded.
//!
//! The C library would take the first thread's storage from the kernel's program break, which for us is somewhere in the
//! gigabyte where guests have their programs: a guest that maps over it would kill us. Once its `__curbrk` is set, it
//! takes it from `sbrk`, which is ours.
//!
//! Nothing here may use relocated data (tables of pointers, formatting, panics) or thread-local storage.
#![allow(unsafe_code)] // system calls and raw memory, before there is a runtime

use super::layout::{EMULATOR_START, HEAP_START};
use super::sys;
use std::arch::global_asm;
use std::sync::atomic::{AtomicU64, Ordering};

const PAGE: u64 = 4096;
/// Size of the main thread's stack.
const STACK_SIZE: u64 = 8 << 20;
/// Where that stack is: below the heap.
const STACK_BOTTOM: u64 = HEAP_START - (64 << 20);
/// Where the image goes.
const IMAGE: u64 = EMULATOR_START + 0x1_0000;
const MAX_MOVES: usize = 16;
/// `PF_W`
const WRITABLE: u32 = 2;
/// `MADV_POPULATE_WRITE`
const POPULATE_WRITE: u64 = 23;

global_asm!(
    ".pushsection .text.qemu_lua_entry,\"ax\",@progbits",
    ".globl qemu_lua_entry",
    ".type qemu_lua_entry,@function",
    "qemu_lua_entry:",
    "xor ebp, ebp",
    "mov rbx, rsp",
    "mov qword ptr [rip + __curbrk], 1",
    "mov rdi, rsp",
    "lea rsi, [rip + __ehdr_start]",
    "lea rdx, [rip + _start]",
    // A frame for what is to be done: moves, stack, target.
    "sub rsp, 1024",
    "and rsp, -16",
    "mov rcx, rsp",
    "lea r8, [rip + qemu_lua_mover]",
    "lea r9, [rip + qemu_lua_mover_end]",
    "call {prepare}",
    "test rax, rax",
    "jnz 2f",
    // Nothing to move: the C library starts as if we had not been here.
    "mov rsp, rbx",
    "xor edx, edx",
    "jmp _start",
    // rax: the mover, copied to where nothing moves away from under it. rsp: the plan.
    "2:",
    "mov r12, rsp",
    "jmp rax",
    ".globl qemu_lua_mover",
    ".globl qemu_lua_mover_end",
    // The plan: new stack pointer, target, count, then (old, length, new) for each move.
    "qemu_lua_mover:",
    "mov rsp, [r12]",
    "mov r13, [r12 + 8]",
    "mov r14, [r12 + 16]",
    "add r12, 24",
    "3:",
    "mov rdi, [r12]",
    "mov rsi, [r12 + 8]",
    "mov rdx, [r12 + 8]",
    "mov r10d, 3",
    "mov r8, [r12 + 16]",
    "mov eax, 25",
    "syscall",
    "cmp rax, -4096",
    "ja 4f",
    "add r12, 24",
    "dec r14",
    "jnz 3b",
    "xor edx, edx",
    "jmp r13",
    // A move failed half way: there is nothing to go back to.
    "4:",
    "mov edi, 126",
    "mov eax, 231",
    "syscall",
    "qemu_lua_mover_end:",
    ".popsection",
    prepare = sym prepare,
);

/// What the mover works through.
#[repr(C)]
struct Plan {
    stack: u64,
    target: u64,
    count: u64,
    moves: [[u64; 3]; MAX_MOVES],
}

/// One program header.
#[repr(C)]
struct ProgramHeader {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    filesz: u64,
    memsz: u64,
    align: u64,
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

/// Plans the move; the address of the mover, or 0 to stay. `stack` is what the kernel started us with,
/// `base` where the image is, `start` the C library's entry, `plan` room for the plan.
extern "C" fn prepare(
    stack: *const u64,
    base: *const u8,
    start: u64,
    plan: *mut Plan,
    mover: u64,
    mover_end: u64,
) -> u64 {
    let here = base as u64;
    if here == IMAGE {
        return 0;
    }
    let rw = libc::PROT_READ | libc::PROT_WRITE;
    let mover_page = STACK_BOTTOM - 2 * PAGE;
    if !map(mover_page, PAGE, rw) || !map(STACK_BOTTOM, STACK_SIZE, rw) {
        return 0;
    }
    // SAFETY: from our own text to the page just mapped, which is larger than the mover.
    unsafe { copy(mover_page, mover, mover_end - mover) };
    let exec = (libc::PROT_READ | libc::PROT_EXEC) as u64;
    if sys::syscall(libc::SYS_mprotect, [mover_page, PAGE, exec, 0, 0, 0]) != 0 {
        return 0;
    }
    // SAFETY: the asm above reserved room for a plan.
    let plan = unsafe { &mut *plan };
    if !plan_moves(plan, base) {
        return 0;
    }
    let delta = IMAGE.wrapping_sub(here);
    plan.target = start.wrapping_add(delta);
    // SAFETY: `stack` is the kernel's start-up block.
    plan.stack = unsafe { copy_start_block(stack, delta) };
    mover_page
}

/// The moves of the image's load segments.
fn plan_moves(plan: &mut Plan, base: *const u8) -> bool {
    // SAFETY: the ELF header is at the image's base: e_phoff at 32, e_phnum at 56.
    let (phoff, phnum) = unsafe { (base.add(32).cast::<u64>().read(), base.add(56).cast::<u16>().read()) };
    let mut count = 0;
    for index in 0..usize::from(phnum) {
        // SAFETY: the headers are in the first load segment.
        let header = unsafe { &*base.add(phoff as usize).cast::<ProgramHeader>().add(index) };
        if header.kind != 1 {
            continue;
        }
        let start = header.vaddr & !(PAGE - 1);
        let file_end = (header.vaddr + header.filesz + PAGE - 1) & !(PAGE - 1);
        let end = (header.vaddr + header.memsz + PAGE - 1) & !(PAGE - 1);
        if header.flags & WRITABLE != 0 {
            // Relocation writes to most of it: the pages come at once rather than by a fault each. An old kernel refuses.
            let args = [base as u64 + start, file_end - start, POPULATE_WRITE, 0, 0, 0];
            sys::syscall(libc::SYS_madvise, args);
        }
        // A mapping moves as a whole: the part from the file and the zeroed rest are two.
        for (from, to) in [(start, file_end), (file_end, end)] {
            if to > from {
                if count == MAX_MOVES {
                    return false;
                }
                plan.moves[count] = [base as u64 + from, to - from, IMAGE + from];
                count += 1;
            }
        }
    }
    plan.count = count as u64;
    count > 0
}

/// Copies arguments, environment, auxiliary vector and their strings to the new stack; its pointer.
///
/// # Safety
/// `stack` is the kernel's start-up block, `delta` how far the image moves.
unsafe fn copy_start_block(stack: *const u64, delta: u64) -> u64 {
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
            libc::AT_PHDR | libc::AT_ENTRY => value.wrapping_add(delta),
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
