//! Everything that decodes lifts to IR that the verifier accepts, before and after the passes.
//!
//! Three sources of instructions: the opcode maps, walked with every prefix that selects an instruction and
//! several operand forms; the compiled code of this very test; and programs that the tests need anyway.
#![allow(clippy::unwrap_used)]

use arch_x86_64::X86_64;
use guest::arch::{CodeReader, GuestArch, LiftConfig, LiftLimits, MAX_INSN_LEN};
use guest::ir::{Block, Locality, Op, Terminator, passes, verify};
use guest::{GuestAddr, Trap};

const BASE: u64 = 0x10_0000;

struct Bytes<'a>(&'a [u8]);

impl CodeReader for Bytes<'_> {
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        self.0.get((pc.0 - BASE) as usize..).unwrap_or(&[])
    }
}

fn lift(bytes: &[u8], offset: u64, max_insns: usize) -> Block {
    let config = LiftConfig { features: X86_64.cpu_models()[0].features, control: 0x1f80 };
    let pc = GuestAddr(BASE + offset);
    X86_64.lift(&config, LiftLimits { max_insns }, &mut Bytes(bytes), pc)
}

/// Lifts at `offset` and checks the block; tells whether it was an instruction at all.
fn check(bytes: &[u8], offset: u64, max_insns: usize) -> Block {
    let mut block = lift(bytes, offset, max_insns);
    let text = |block: &Block| {
        let here = &bytes[offset as usize..];
        let insn = X86_64.disassemble(block.pc, here);
        format!("{}: {:02x?}\n{block}", insn.text, &here[..insn.len.min(here.len())])
    };
    verify(&block).unwrap_or_else(|e| panic!("{e}\n{}", text(&block)));
    passes::optimize(&mut block);
    verify(&block).unwrap_or_else(|e| panic!("after the passes: {e}\n{}", text(&block)));
    block
}

fn is_illegal(block: &Block) -> bool {
    matches!(block.terminator, Terminator::Trap { trap: Trap::Illegal, .. })
}

#[test]
fn every_opcode_lifts_to_valid_ir() {
    let selectors: [&[u8]; 10] = [
        &[],
        &[0x66],
        &[0xf2],
        &[0xf3],
        &[0x48],
        &[0x66, 0x48],
        &[0xf2, 0x48],
        &[0xf3, 0x48],
        &[0xf0],
        &[0x67],
    ];
    let maps: [&[u8]; 4] = [&[], &[0x0f], &[0x0f, 0x38], &[0x0f, 0x3a]];
    let mut lifted = 0;
    for selector in selectors {
        for map in maps {
            for opcode in 0..=255u8 {
                // Registers, [rax], [rsp+8], rip-relative; every /digit.
                for modrm in
                    (0xc0..=0xffu8).chain((0..8).flat_map(|digit| [0x00, 0x44, 0x05].map(|m| m | digit << 3)))
                {
                    let mut bytes = [selector, map, &[opcode, modrm]].concat();
                    bytes.extend_from_slice(&[0x24, 0x08, 0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0, 0, 0]);
                    bytes.resize(bytes.len().max(2 * MAX_INSN_LEN), 0x90);
                    lifted += usize::from(!is_illegal(&check(&bytes, 0, 1)));
                }
            }
        }
    }
    assert!(lifted > 100_000, "only {lifted} lifted");
}

/// Lifts all of `code` in blocks, one after another.
fn walk(code: &[u8]) {
    let mut offset = 0;
    while offset + MAX_INSN_LEN < code.len() {
        let block = check(code, offset as u64, 64);
        offset += (block.code_len() as usize).max(1);
    }
}

/// The bytes of an ELF file's executable segments.
fn executable_code(path: &str) -> Vec<u8> {
    let file = std::fs::read(path).unwrap();
    let word =
        |at: usize, len: usize| file[at..at + len].iter().rev().fold(0, |v, &b| v << 8 | usize::from(b));
    let (table, size, count) = (word(32, 8), word(54, 2), word(56, 2));
    let headers = (0..count).map(|i| table + i * size);
    let executable = headers.filter(|&at| word(at, 4) == 1 && word(at + 4, 4) & 1 != 0);
    executable.flat_map(|at| file[word(at + 8, 8)..][..word(at + 32, 8)].to_vec()).collect()
}

#[test]
fn compiled_code_lifts_to_valid_ir() {
    let own = std::env::current_exe().unwrap();
    let code = executable_code(own.to_str().unwrap());
    walk(&code[..code.len().min(400_000)]);
}

#[test]
fn programs_of_the_system_lift_to_valid_ir() {
    for file in ["/bin/bash", "/usr/bin/perl", "/usr/bin/openssl"] {
        let code = executable_code(file);
        assert!(code.len() > 1000, "{file} has no code");
        walk(&code[..code.len().min(1_000_000)]);
    }
}

#[test]
fn prefetches_ask_for_what_the_instruction_says() {
    // prefetchnta, t0, t1, t2, w and plain prefetch of [rcx + 8].
    let kinds: [([u8; 2], Locality); 6] = [
        ([0x18, 0x41], Locality::Once),
        ([0x18, 0x49], Locality::L1),
        ([0x18, 0x51], Locality::L2),
        ([0x18, 0x59], Locality::L3),
        ([0x0d, 0x49], Locality::Write),
        ([0x0d, 0x41], Locality::L1),
    ];
    for ([opcode, place], expected) in kinds {
        let block = check(&[0x0f, opcode, place, 8], 0, 1);
        let found = block.ops.iter().find_map(|op| match *op {
            Op::Prefetch { how, off: 8, .. } => Some(how),
            _ => None,
        });
        assert_eq!(found, Some(expected), "{opcode:#x} {place:#x}");
    }
}
