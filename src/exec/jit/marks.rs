//! Ways out of single accesses.
//!
//! Behind such an access stands a test of what is never 0, with a branch to code that stores what has changed and leaves:
//! the mark. To Cranelift it is a branch like any other, so it keeps for that code whatever it needs. It is taken only by
//! the handler of a fault, which sends the thread there from the access itself. That is right if nothing stands between
//! the two that the way out needs, as the register allocator could put moves there: so it is looked at in the finished
//! code, and where it is not so, the region is made again without such ways. What was loaded may be moved to the stack
//! there: no way out needs it.

/// What is to be known of an instruction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Move {
    len: usize,
    /// The register, by its number and file.
    register: (Kind, u8),
    to_memory: bool,
    /// Whether the memory is at the stack pointer.
    on_stack: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    General,
    Vector,
}

/// What of an instruction stands before its operands.
#[derive(Clone, Copy)]
struct Opcode {
    len: usize,
    /// The highest bits of the numbers of the register, and of the memory's base.
    extended: bool,
    extended_base: bool,
    kind: Kind,
    to_memory: bool,
    immediate: usize,
}

/// The move from or to memory at `at`; `None` for what is none (SDM vol. 2, ch. 2).
fn decode(code: &[u8], at: usize) -> Option<Move> {
    let Opcode { len, extended, extended_base, kind, to_memory, immediate } = opcode(code.get(at..)?)?;
    let operands = code.get(at + len..)?;
    let byte = |index: usize| operands.get(index).copied();
    let (mode, low) = (byte(0)? >> 6, byte(0)? & 7);
    let base = if low == 4 { byte(1)? & 7 } else { low };
    let distance = match (mode, base) {
        (3, _) => return None,
        (0, 5) | (2, _) => 4,
        (0, _) => 0,
        _ => 1,
    };
    let len = len + 1 + usize::from(low == 4) + distance + immediate;
    let number = byte(0)? >> 3 & 7 | u8::from(extended) << 3;
    // The index that stands for none.
    let on_stack = low == 4 && byte(1)? == 0x24 && !extended_base;
    (at + len <= code.len()).then_some(Move { len, register: (kind, number), to_memory, on_stack })
}

fn opcode(code: &[u8]) -> Option<Opcode> {
    let prefixes = code.iter().take_while(|byte| matches!(byte, 0x66 | 0xf2 | 0xf3)).count();
    let narrow = code[..prefixes].contains(&0x66);
    let (rex, after) = match code.get(prefixes)? {
        &rex if rex & 0xf0 == 0x40 => (rex, prefixes + 1),
        _ => (0, prefixes),
    };
    let (extended, extended_base) = (rex & 4 != 0, rex & 1 != 0);
    let with = |len, kind, to_memory, immediate| {
        Some(Opcode { len, extended, extended_base, kind, to_memory, immediate })
    };
    let vector = |len, opcode| with(len, Kind::Vector, moves_vector_to_memory(opcode)?, 0);
    // The bits of VEX are inverted.
    let vex = |byte: u8, found: Option<Opcode>| {
        Some(Opcode { extended: byte & 0x80 == 0, extended_base: byte & 0x20 == 0, ..found? })
    };
    match *code.get(after..)? {
        [0xc5, flags, opcode, ..] => vex(flags | 0x20, vector(3, opcode)),
        [0xc4, map, _, opcode, ..] if map & 0x1f == 1 => vex(map, vector(4, opcode)),
        // VPEXTRB and so on.
        [0xc4, map, _, 0x14..=0x17, ..] if map & 0x1f == 3 => vex(map, with(4, Kind::Vector, true, 1)),
        [0x0f, 0x3a, 0x14..=0x17, ..] => with(after + 3, Kind::Vector, true, 1),
        // Moves that widen.
        [0x0f, 0xb6 | 0xb7 | 0xbe | 0xbf, ..] => with(after + 2, Kind::General, false, 0),
        [0x0f, opcode, ..] => vector(after + 2, opcode),
        [0x63 | 0x8a | 0x8b, ..] => with(after + 1, Kind::General, false, 0),
        [0x88 | 0x89, ..] => with(after + 1, Kind::General, true, 0),
        [0xc6, ..] => with(after + 1, Kind::General, true, 1),
        [0xc7, ..] => with(after + 1, Kind::General, true, if narrow { 2 } else { 4 }),
        _ => None,
    }
}

/// Whether such a move of a vector, or of a part of one, is to memory; `None` for what is none.
fn moves_vector_to_memory(opcode: u8) -> Option<bool> {
    match opcode {
        0x10 | 0x12 | 0x16 | 0x28 | 0x6f => Some(false),
        0x11 | 0x13 | 0x17 | 0x29 | 0x7f | 0xd6 => Some(true),
        _ => None,
    }
}

/// Where the mark behind the access at `at` leads; `None` where there is none right behind it.
pub fn way_out(code: &[u8], at: usize) -> Option<usize> {
    let access = decode(code, at)?;
    let mut test = at + access.len;
    while let Some(spill) = decode(code, test).filter(|_| !access.to_memory)
        && (spill.to_memory, spill.on_stack, spill.register) == (true, true, access.register)
    {
        test += spill.len;
    }
    let &[rex, 0x85, both, 0x0f, condition, ref rest @ ..] = code.get(test..)? else { return None };
    let same = both >> 6 == 3 && both >> 3 & 7 == both & 7 && matches!(rex, 0x48 | 0x4d);
    let after = test + 3 + 6;
    match (same, condition) {
        (true, 0x84) => target(after, rest),
        (true, 0x85) => match *code.get(after..)? {
            [0xe9, ref rest @ ..] => target(after + 5, rest),
            _ => None,
        },
        _ => None,
    }
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
            assert_eq!(decode(&code, 0).map(|found| found.len), Some(access.len()), "{access:x?}");
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
