//! Ways out of single accesses.
//!
//! Behind such an access stands a test of what is never 0, with a branch to code that stores what has changed and leaves:
//! the mark. To Cranelift it is a branch like any other, so it keeps for that code whatever it needs. It is taken only by
//! the handler of a fault, which sends the thread there from the access itself. Between the two the register allocator may
//! have put moves, which the way out may need: they are done on it, too, in a copy behind all other code. (What was loaded
//! is not there then, and no way out needs it.) Where something else stands between them the region is made again without
//! such ways. In the end the test is made nothing.

use iced_x86::{
    Decoder, DecoderOptions, Instruction, InstructionInfoFactory, Mnemonic, OpAccess, OpKind, Register,
    RflagsBits,
};
use std::ops::Range;

/// The instruction at `at`.
fn any(code: &[u8], at: usize) -> Option<Instruction> {
    Some(Decoder::new(64, code.get(at..)?, DecoderOptions::NONE).decode())
}

/// The move from or to memory at `at`; `None` for what is none.
fn decode(code: &[u8], at: usize) -> Option<Instruction> {
    let found = any(code, at)?;
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
    let same = found.op1_register().full_register() == load.op0_register().full_register();
    to_memory(found) && is_arranging(found) && found.op1_kind() == OpKind::Register && same
}

/// Whether this is a move between registers and the stack, or of a constant into a register: it does the same wherever it
/// stands, and whatever the registers hold.
fn is_arranging(found: &Instruction) -> bool {
    use Mnemonic::{
        Mov, Movaps, Movdqa, Movdqu, Movsd, Movss, Movups, Vmovaps, Vmovdqa, Vmovdqu, Vmovsd, Vmovss, Vmovups,
    };
    let moves = matches!(
        found.mnemonic(),
        Mov | Movaps
            | Movdqa
            | Movdqu
            | Movsd
            | Movss
            | Movups
            | Vmovaps
            | Vmovdqa
            | Vmovdqu
            | Vmovsd
            | Vmovss
            | Vmovups
    );
    let mut operands = (0..found.op_count()).map(|operand| found.op_kind(operand));
    let has_memory = operands.any(|kind| kind == OpKind::Memory);
    let on_stack = found.memory_base() == Register::RSP && found.memory_index() == Register::None;
    moves && (!has_memory || on_stack)
}

/// A mark: a test, and the branch behind it.
struct Mark {
    /// What stands between the access and the mark, if that is more than what was loaded being moved to the stack.
    between: Range<usize>,
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
/// Bytes of an instruction, at the most.
const LONGEST: usize = 15;

/// Where the way out of the access at `at` begins; `None` where there is no mark right behind it.
pub fn way_out(code: &mut Vec<u8>, at: usize) -> Option<usize> {
    let mark = find(code, at)?;
    if mark.between.is_empty() {
        return Some(mark.way_out);
    }
    let start = code.len();
    code.extend_from_within(mark.between);
    code.push(0xe9);
    let distance = mark.way_out as i32 - (code.len() as i32 + 4);
    code.extend_from_slice(&distance.to_le_bytes());
    Some(start)
}

/// A prefix that changes nothing: a segment's, whose base is 0.
pub const NO_SEGMENT: u8 = 0x3e;

/// Takes away the mark behind the access at `at`: once the way out is noted, it is there for nobody. Where it can, the
/// access becomes longer by as much, and else what does nothing takes its place.
pub fn remove(code: &mut [u8], at: usize) {
    const NOTHING: [u8; MARK_LEN] = [0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0];
    // A longer nothing, and a jump.
    const GO_ON: [u8; MARK_LEN - 4] = [0x0f, 0x1f, 0x40, 0x00, 0xe9];
    let Some(mark) = find(code, at) else { return };
    match mark.goes_on {
        GoesOn::Behind if mark.test - at <= LONGEST - MARK_LEN => {
            code.copy_within(at..mark.test, at + MARK_LEN);
            code[at..][..MARK_LEN].fill(NO_SEGMENT);
        }
        GoesOn::Behind => code[mark.test..][..MARK_LEN].copy_from_slice(&NOTHING),
        GoesOn::Elsewhere => code[mark.test..][..GO_ON.len()].copy_from_slice(&GO_ON),
    }
}

fn find(code: &[u8], at: usize) -> Option<Mark> {
    let access = decode(code, at)?;
    let start = at + access.len();
    let (mut test, mut end) = (start, start);
    while let Some(next) = any(code, test).filter(is_arranging) {
        test += next.len();
        if to_memory(&access) || !spills(&next, &access) {
            end = test;
        }
    }
    let between = start..end;
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
    Some(Mark { between, test, way_out, goes_on })
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
            assert_eq!(way_out(&mut marked(&access, &[]), 0), Some(12 + 16));
            // add rax, rcx; mov rax, [rcx + 8].
            assert_eq!(way_out(&mut marked(&access, &[0x48, 0x01, 0xc8]), 0), None);
            assert_eq!(way_out(&mut marked(&access, &[0x48, 0x8b, 0x41, 0x08]), 0), None);
        }
        // test r8, r8; jne; jmp.
        let mut other =
            vec![0x48, 0x8b, 0x01, 0x4d, 0x85, 0xc0, 0x0f, 0x85, 0x10, 0, 0, 0, 0xe9, 0x20, 0, 0, 0];
        assert_eq!(way_out(&mut other, 0), Some(17 + 32));
        // test rdi, rsi.
        let mut others = marked(&load, &[]);
        others[5] = 0xf7;
        assert_eq!(way_out(&mut others, 0), None);
        others.truncate(11);
        assert_eq!(way_out(&mut others, 0), None);
    }

    #[test]
    fn a_mark_that_is_removed_goes_on_as_before() {
        // mov rax, [rcx]; mov rax, [rcx + 8]; movsd xmm0, [rax + r10]; mov rax, [rcx + 4096]; vmovsd xmm1, [r12 + rcx * 8 - 8].
        for (load, becomes_longer) in [
            (&[0x48, 0x8b, 0x01][..], true),
            (&[0x48, 0x8b, 0x41, 0x08], true),
            (&[0xf2, 0x42, 0x0f, 0x10, 0x04, 0x10], true),
            (&[0x48, 0x8b, 0x81, 0x00, 0x10, 0x00, 0x00], false),
            (&[0xc4, 0xc1, 0x7b, 0x10, 0x4c, 0xcc, 0xf8], false),
        ] {
            let mut code = marked(load, &[]);
            let before = decode(&code, 0).unwrap();
            remove(&mut code, 0);
            let found: Vec<_> = Decoder::new(64, &code, DecoderOptions::NONE).into_iter().collect();
            assert_eq!(found.iter().map(Instruction::len).sum::<usize>(), code.len());
            assert_eq!(found.len(), if becomes_longer { 1 } else { 2 });
            assert_eq!((found[0].code(), found[0].memory_base()), (before.code(), before.memory_base()));
            assert_eq!(found[0].memory_displacement64(), before.memory_displacement64());
            assert!(found.iter().skip(1).all(|next| next.mnemonic() == Mnemonic::Nop));
            assert_eq!(way_out(&mut code, 0), None);
        }
        let load = [0x48, 0x8b, 0x01];
        // test r8, r8; jne; jmp.
        let mut code =
            [&load[..], &[0x4d, 0x85, 0xc0, 0x0f, 0x85, 0x10, 0, 0, 0, 0xe9, 0x20, 0, 0, 0]].concat();
        remove(&mut code, 0);
        let found: Vec<_> = Decoder::new(64, &code, DecoderOptions::NONE).into_iter().collect();
        assert_eq!(found[1].mnemonic(), Mnemonic::Nop);
        assert_eq!((found[2].mnemonic(), found[2].near_branch64()), (Mnemonic::Jmp, 12 + 16));
    }

    #[test]
    fn what_was_loaded_may_go_to_the_stack_before_the_mark() {
        // mov rax, [rcx]; mov [rsp + 8], rax; vmovdqu xmm9, [rcx]; vmovdqu [rsp + 16], xmm9.
        let (load, spill) = ([0x48, 0x8b, 0x01], [0x48, 0x89, 0x44, 0x24, 0x08]);
        assert_eq!(way_out(&mut marked(&load, &spill), 0), Some(17 + 16));
        let (load, spill) = ([0xc5, 0x7a, 0x6f, 0x09], [0xc5, 0x7a, 0x7f, 0x4c, 0x24, 0x10]);
        assert_eq!(way_out(&mut marked(&load, &spill), 0), Some(19 + 16));
    }

    #[test]
    fn other_moves_before_the_mark_are_done_on_the_way_out() {
        // mov rax, [rcx]; mov [rcx], rax.
        for access in [[0x48, 0x8b, 0x01], [0x48, 0x89, 0x01]] {
            for between in [
                // mov [rsp + 8], rcx and r8; mov rcx, [rsp + 8]; mov rax, rcx; movsd [rsp + 8], xmm0; mov ebx, 5;
                // mov [rsp + 8], rdx and rax.
                &[0x48, 0x89, 0x4c, 0x24, 0x08][..],
                &[0x4c, 0x89, 0x44, 0x24, 0x08],
                &[0x48, 0x8b, 0x4c, 0x24, 0x08],
                &[0x48, 0x89, 0xc8],
                &[0xf2, 0x0f, 0x11, 0x44, 0x24, 0x08],
                &[0xbb, 0x05, 0x00, 0x00, 0x00],
                &[0x48, 0x89, 0x54, 0x24, 0x08, 0x48, 0x89, 0x44, 0x24, 0x10],
            ] {
                let mut code = marked(&access, between);
                let (len, leads_to) = (code.len(), 12 + between.len() + 16);
                assert_eq!(way_out(&mut code, 0), Some(len), "{between:x?}");
                let (copy, jump) = code[len..].split_at(code.len() - len - 5);
                assert_eq!(copy, &between[..copy.len()]);
                let jump = Decoder::with_ip(64, jump, (code.len() - 5) as u64, DecoderOptions::NONE).decode();
                assert_eq!((jump.mnemonic(), jump.near_branch64()), (Mnemonic::Jmp, leads_to as u64));
                // The mark is still found.
                remove(&mut code, 0);
                assert!(find(&code, 0).is_none());
            }
        }
        // mov [rcx], rax; mov [r12 + 8], rax; vmovdqu xmm0, [rip]; pop rax.
        for other in [
            &[0x48, 0x89, 0x01][..],
            &[0x49, 0x89, 0x44, 0x24, 0x08],
            &[0xc5, 0xfa, 0x6f, 0x05, 0, 0, 0, 0],
            &[0x58],
        ] {
            assert_eq!(way_out(&mut marked(&[0x48, 0x8b, 0x01], other), 0), None, "{other:x?}");
        }
    }
}
