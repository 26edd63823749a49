//! Ways out of single accesses.
//!
//! Behind such an access stands a test of what is never 0, with a branch to code that stores what has changed and leaves:
//! the mark. To Cranelift it is a branch like any other, so it keeps for that code whatever it needs. It is taken only by
//! the handler of a fault, which sends the thread there from the access itself. That is right if nothing stands between
//! the two that the way out needs, as the register allocator could put moves there: so it is looked at in the finished
//! code, and where it is not so, the region is made again without such ways. What was loaded may be moved to the stack
//! there: no way out needs it. In the end the test is made nothing.

use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, OpAccess, OpKind, Register, RflagsBits,
};

/// The move from or to memory at `at`; `None` for what is none.
fn decode(code: &[u8], at: usize) -> Option<Instruction> {
    let found = Decoder::new(64, code.get(at..)?, DecoderOptions::NONE).decode();
    let has_memory = to_memory(&found) || found.op1_kind() == OpKind::Memory;
    (has_memory && is_move(&found)).then_some(found)
}

/// Whether an instruction puts one operand, or a part of it, into another, and does nothing else.
fn is_move(found: &Instruction) -> bool {
    let two = found.op_count() == 2 || (found.op_count() == 3 && found.op2_kind() == OpKind::Immediate8);
    let mut factory = InstructionInfoFactory::new();
    let info = factory.info(found);
    let accesses = (info.op0_access(), info.op1_access());
    two && accesses == (OpAccess::Write, OpAccess::Read) && found.rflags_modified() == RflagsBits::NONE
}

fn to_memory(found: &Instruction) -> bool {
    found.op0_kind() == OpKind::Memory
}

/// Whether `found` puts what `load` has loaded on the stack.
fn spills(found: &Instruction, load: &Instruction) -> bool {
    let on_stack = found.memory_base() == Register::RSP && found.memory_index() == Register::None;
    let same = found.op1_register().full_register() == load.op0_register().full_register();
    to_memory(found) && on_stack && found.op1_kind() == OpKind::Register && same
}

/// A mark: a test, and the branch behind it.
struct Mark {
    test: usize,
    way_out: usize,
    goes_on: GoesOn,
}

/// How code goes on from a mark.
#[derive(Clone, Copy, PartialEq, Eq)]
enum GoesOn {
    Behind,
    Elsewhere,
}

/// Bytes of a test and a branch: three, and six of which the last four are the distance.
const MARK_LEN: usize = 9;

/// Where the mark behind the access at `at` leads; `None` where there is none right behind it.
pub fn way_out(code: &[u8], at: usize) -> Option<usize> {
    find(code, at).map(|mark| mark.way_out)
}

/// Takes away the mark behind the access at `at`: once the way out is noted, it is there for nobody.
pub fn remove(code: &mut [u8], at: usize) {
    const NOTHING: [u8; MARK_LEN] = [0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
    // A longer nothing, and a jump.
    const GO_ON: [u8; MARK_LEN - 4] = [0x0f, 0x1f, 0x40, 0x00, 0xe9];
    let Some(mark) = find(code, at) else { return };
    match mark.goes_on {
        GoesOn::Behind => code[mark.test..][..MARK_LEN].copy_from_slice(&NOTHING),
        GoesOn::Elsewhere => code[mark.test..][..GO_ON.len()].copy_from_slice(&GO_ON),
    }
}

fn find(code: &[u8], at: usize) -> Option<Mark> {
    let access = decode(code, at)?;
    let mut test = at + access.len();
    while let Some(spill) = decode(code, test).filter(|next| !to_memory(&access) && spills(next, &access)) {
        test += spill.len();
    }
    let &[rex, 0x85, both, 0x0f, condition, ref rest @ ..] = code.get(test..)? else { return None };
    let same = both >> 6 == 3 && both >> 3 & 7 == both & 7 && matches!(rex, 0x48 | 0x4d);
    let after = test + MARK_LEN;
    let (goes_on, way_out) = match (same, condition) {
        (true, 0x84) => (GoesOn::Behind, target(after, rest)?),
        (true, 0x85) => match *code.get(after..)? {
            [0xe9, ref rest @ ..] => (GoesOn::Elsewhere, target(after + 5, rest)?),
            _ => return None,
        },
        _ => return None,
    };
    Some(Mark { test, way_out, goes_on })
}

fn target(after: usize, distance: &[u8]) -> Option<usize> {
    let distance = i32::from_le_bytes(*distance.first_chunk()?);
    after.checked_add_signed(distance as isize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accesses_are_as_long_as_they_are() {
        for access in [
            // mov rax, [rcx]; mov [r8 + r9 * 8 - 8], r10; mov word [rdi], 7; mov dword [rsp + 8], 1; mov byte [rax], 3.
            &[0x48, 0x8b, 0x01][..],
            &[0x4f, 0x89, 0x54, 0xc8, 0xf8],
            &[0x66, 0xc7, 0x07, 0x07, 0x00],
            &[0xc7, 0x44, 0x24, 0x08, 0x01, 0, 0, 0],
            &[0xc6, 0x00, 0x03],
            // movzx eax, byte [rdx]; movsxd rax, [rip + 0]; movsd xmm0, [rax + r10]; movdqu [rax + 0x780], xmm9.
            &[0x0f, 0xb6, 0x02],
            &[0x48, 0x63, 0x05, 0, 0, 0, 0],
            &[0xf2, 0x42, 0x0f, 0x10, 0x04, 0x10],
            &[0xf3, 0x44, 0x0f, 0x7f, 0x88, 0x80, 0x07, 0, 0],
            // vmovsd xmm8, [rax + r10]; vmovdqu xmm7, [rdx + r10]; vmovdqu [rsi + 0x10], xmm4; vpextrq [rax], xmm0, 1.
            &[0xc4, 0x21, 0x7b, 0x10, 0x04, 0x10],
            &[0xc4, 0xa1, 0x7a, 0x6f, 0x3c, 0x12],
            &[0xc5, 0xfa, 0x7f, 0x66, 0x10],
            &[0xc4, 0xe3, 0xf9, 0x16, 0x00, 0x01],
        ] {
            let mut code = access.to_vec();
            code.extend([0x90; 8]);
            assert_eq!(decode(&code, 0).map(|found| found.len()), Some(access.len()), "{access:x?}");
        }
        // mov rax, rcx; call; add [rax], ecx; vpaddd xmm0, xmm0, [rcx].
        for other in [&[0x48, 0x89, 0xc8][..], &[0xe8, 0, 0, 0, 0], &[0x01, 0x08], &[0xc5, 0xf9, 0xfe, 0x01]]
        {
            assert_eq!(decode(other, 0), None);
        }
    }

    /// An access, what stands behind it, and the mark: `test rdi, rdi; je`.
    fn marked(access: &[u8], between: &[u8]) -> Vec<u8> {
        [access, between, &[0x48, 0x85, 0xff, 0x0f, 0x84, 0x10, 0, 0, 0]].concat()
    }

    #[test]
    fn a_mark_is_found_right_behind_its_access_only() {
        // mov rax, [rcx]; mov [rcx], rax.
        let (load, store) = ([0x48, 0x8b, 0x01], [0x48, 0x89, 0x01]);
        for access in [load, store] {
            assert_eq!(way_out(&marked(&access, &[]), 0), Some(12 + 16));
            // mov rax, rcx.
            assert_eq!(way_out(&marked(&access, &[0x48, 0x89, 0xc8]), 0), None);
        }
        // test r8, r8; jne; jmp.
        let other = [0x48, 0x8b, 0x01, 0x4d, 0x85, 0xc0, 0x0f, 0x85, 0x10, 0, 0, 0, 0xe9, 0x20, 0, 0, 0];
        assert_eq!(way_out(&other, 0), Some(17 + 32));
        // test rdi, rsi.
        let mut others = marked(&load, &[]);
        others[5] = 0xf7;
        assert_eq!(way_out(&others, 0), None);
        others.truncate(11);
        assert_eq!(way_out(&others, 0), None);
    }

    #[test]
    fn a_mark_that_is_removed_goes_on_as_before() {
        // mov rax, [rcx], and the mark.
        let load = [0x48, 0x8b, 0x01];
        let mut code = marked(&load, &[]);
        remove(&mut code, 0);
        let found: Vec<_> = Decoder::new(64, &code, DecoderOptions::NONE).into_iter().collect();
        assert_eq!((found.len(), found[1].mnemonic()), (2, iced_x86::Mnemonic::Nop));
        assert_eq!(way_out(&code, 0), None);
        // test r8, r8; jne; jmp.
        let mut code =
            [&load[..], &[0x4d, 0x85, 0xc0, 0x0f, 0x85, 0x10, 0, 0, 0, 0xe9, 0x20, 0, 0, 0]].concat();
        remove(&mut code, 0);
        let found: Vec<_> = Decoder::new(64, &code, DecoderOptions::NONE).into_iter().collect();
        assert_eq!(found[1].mnemonic(), iced_x86::Mnemonic::Nop);
        assert_eq!((found[2].mnemonic(), found[2].near_branch64()), (iced_x86::Mnemonic::Jmp, 12 + 16));
    }

    #[test]
    fn what_was_loaded_may_go_to_the_stack_before_the_mark() {
        // mov rax, [rcx]; mov [rsp + 8], rax, rcx, r8; mov [rcx], rax; movsd [rsp + 8], xmm0.
        let load = [0x48, 0x8b, 0x01];
        let spill = [0x48, 0x89, 0x44, 0x24, 0x08];
        assert_eq!(way_out(&marked(&load, &spill), 0), Some(17 + 16));
        assert_eq!(way_out(&marked(&[0x48, 0x89, 0x01], &spill), 0), None);
        for other in [
            &[0x48, 0x89, 0x4c, 0x24, 0x08][..],
            &[0x4c, 0x89, 0x44, 0x24, 0x08],
            &[0x48, 0x89, 0x01],
            &[0xf2, 0x0f, 0x11, 0x44, 0x24, 0x08],
            // mov [r12 + 8], rax.
            &[0x49, 0x89, 0x44, 0x24, 0x08],
        ] {
            assert_eq!(way_out(&marked(&load, other), 0), None, "{other:x?}");
        }
        // vmovdqu xmm9, [rcx]; vmovdqu [rsp + 16], xmm9.
        let (load, spill) = ([0xc5, 0x7a, 0x6f, 0x09], [0xc5, 0x7a, 0x7f, 0x4c, 0x24, 0x10]);
        assert_eq!(way_out(&marked(&load, &spill), 0), Some(19 + 16));
    }
}
