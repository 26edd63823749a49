//! Repeated string instructions on guest memory: the host's own.
//!
//! They do what the guest's do, at the host's speed: in either direction, over what they have just written, and with
//! registers that say how far they have come when an access faults.
#![allow(unsafe_code)] // raw loads and stores, as in `guest_access`

use crate::host::fault_table::take_own_fault;
use guest::Fault;
use guest::helper::{Direction, StringOp, StringRun};
use guest::ir::Width;
use std::arch::asm;

/// `$insn` with the registers of `$run` and the direction flag as `$before` sets it.
macro_rules! repeated {
    ($run:ident, $before:literal, $insn:literal) => {{
        let failed: u32;
        let flags: u64;
        // SAFETY: the instruction is in the fault table: a fault comes back through `failed`, with the registers as
        // far as it has come. It touches guest memory only: our own memory is never at an address that the mapping
        // table gives to the guest. The direction flag is clear again at the end, on both ways.
        unsafe {
            asm!(
                "xor r8d, r8d",
                $before,
                concat!("2: ", $insn),
                "3:",
                "cld",
                "pushfq",
                "pop r9",
                ".pushsection .text.guest_fixup,\"ax\",@progbits",
                "4: mov r8d, 1",
                "jmp 3b",
                ".popsection",
                ".pushsection guest_faults,\"aR\",@progbits",
                ".long 2b - ., 4b - .",
                ".popsection",
                inout("rcx") $run.count, inout("rsi") $run.source, inout("rdi") $run.dest,
                inout("rax") $run.accumulator, out("r8d") failed, out("r9") flags,
            );
        }
        $run.flags = flags;
        failed != 0
    }};
}

macro_rules! in_direction {
    ($run:ident, $direction:ident, $insn:literal) => {
        match $direction {
            Direction::Up => repeated!($run, "", $insn),
            Direction::Down => repeated!($run, "std", $insn),
        }
    };
}

macro_rules! of_width {
    ($run:ident, $w:ident, $direction:ident, $b:literal, $sw:literal, $d:literal, $q:literal) => {
        match $w {
            Width::W8 => in_direction!($run, $direction, $b),
            Width::W16 => in_direction!($run, $direction, $sw),
            Width::W32 => in_direction!($run, $direction, $d),
            Width::W64 => in_direction!($run, $direction, $q),
        }
    };
}

/// Runs `op` on `run.count` elements at most, which is not 0. At a fault `run` says how far it has come.
#[rustfmt::skip]
pub fn repeat(op: StringOp, w: Width, direction: Direction, run: &mut StringRun) -> Result<(), Fault> {
    let failed = match op {
        StringOp::Movs => of_width!(run, w, direction, "rep movsb", "rep movsw", "rep movsd", "rep movsq"),
        StringOp::Stos => of_width!(run, w, direction, "rep stosb", "rep stosw", "rep stosd", "rep stosq"),
        StringOp::Lods => of_width!(run, w, direction, "rep lodsb", "rep lodsw", "rep lodsd", "rep lodsq"),
        StringOp::CmpsWhileEqual => of_width!(run, w, direction, "repe cmpsb", "repe cmpsw", "repe cmpsd", "repe cmpsq"),
        StringOp::CmpsUntilEqual => of_width!(run, w, direction, "repne cmpsb", "repne cmpsw", "repne cmpsd", "repne cmpsq"),
        StringOp::ScasWhileEqual => of_width!(run, w, direction, "repe scasb", "repe scasw", "repe scasd", "repe scasq"),
        StringOp::ScasUntilEqual => of_width!(run, w, direction, "repne scasb", "repne scasw", "repne scasd", "repne scasq"),
    };
    if failed { Err(take_own_fault()) } else { Ok(()) }
}
