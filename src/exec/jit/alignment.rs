//! Accesses that must be aligned: where a program's instruction demands it, the host's does so too.
//!
//! A program of x86-64 mostly says so of 16 bytes at a time. A check before each access would be three instructions, so
//! the access itself is made one that faults (SDM vol. 2, `MOVDQA`, `MOVAPS`). It goes back to a commit point then, as with
//! any fault, and the interpreter does the check. Cranelift always takes the form that does not fault: in its finished
//! code the one becomes the other, which is as long.

use super::marks::NO_SEGMENT;

/// Makes the move at `at` one of aligned memory. Whether it is a move of 16 bytes.
pub fn demand(code: &mut [u8], at: usize) -> bool {
    const LEGACY: u8 = 0x0f;
    let at = at + code.iter().skip(at).take_while(|&&byte| byte == NO_SEGMENT).count();
    match code.get(at..) {
        Some(&[0xc4, map, last, ..]) if map & 0x1f == 1 && last & LENGTH == 0 => {
            exchange(code, at + 2, at + 3)
        }
        Some(&[0xc5, last, ..]) if last & LENGTH == 0 => exchange(code, at + 1, at + 2),
        Some(&[prefix, LEGACY, ..]) if is_rex(prefix) => exchange_opcode(code, at + 2),
        Some(&[LEGACY, ..]) => exchange_opcode(code, at + 1),
        Some(&[prefix, rex, LEGACY, ..]) if is_rex(rex) => exchange_after(code, at, prefix, at + 3),
        Some(&[prefix, LEGACY, ..]) => exchange_after(code, at, prefix, at + 2),
        _ => false,
    }
}

/// In the last byte of a VEX prefix: vectors of 32 bytes.
const LENGTH: u8 = 1 << 2;

const fn is_rex(byte: u8) -> bool {
    byte & 0xf0 == 0x40
}

/// Under VEX, the low bits of whose last byte stand for the prefix: none, 66, F3, F2.
fn exchange(code: &mut [u8], last: usize, opcode: usize) -> bool {
    match code[last] & 3 {
        0 | 1 => exchange_opcode(code, opcode),
        2 if is_integer_move(code, opcode) => {
            code[last] = code[last] & !3 | 1;
            true
        }
        _ => false,
    }
}

fn exchange_after(code: &mut [u8], at: usize, prefix: u8, opcode: usize) -> bool {
    match prefix {
        0x66 => exchange_opcode(code, opcode),
        0xf3 if is_integer_move(code, opcode) => {
            code[at] = 0x66;
            true
        }
        _ => false,
    }
}

/// `MOVDQU`, whose prefix alone is another than that of `MOVDQA`.
fn is_integer_move(code: &[u8], opcode: usize) -> bool {
    matches!(code.get(opcode), Some(0x6f | 0x7f))
}

/// `MOVUPS` and `MOVUPD`, loads and stores.
fn exchange_opcode(code: &mut [u8], opcode: usize) -> bool {
    let Some(byte) = code.get_mut(opcode) else { return false };
    match *byte {
        0x10 => *byte = 0x28,
        0x11 => *byte = 0x29,
        _ => return false,
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_of_any_memory_become_moves_of_aligned_memory() {
        for (before, after) in [
            // vmovdqu xmm3, [rdx + r11]; vmovdqu [rsi + r11], xmm3; vmovdqu xmm0, [rcx]; vmovups [rdi], xmm9.
            (&[0xc4, 0xa1, 0x7a, 0x6f, 0x1c, 0x1a][..], &[0xc4, 0xa1, 0x79, 0x6f, 0x1c, 0x1a][..]),
            (&[0xc4, 0xa1, 0x7a, 0x7f, 0x1c, 0x1e], &[0xc4, 0xa1, 0x79, 0x7f, 0x1c, 0x1e]),
            (&[0xc5, 0xfa, 0x6f, 0x01], &[0xc5, 0xf9, 0x6f, 0x01]),
            (&[0xc5, 0x78, 0x11, 0x0f], &[0xc5, 0x78, 0x29, 0x0f]),
            // movdqu xmm0, [rcx]; movdqu [r8], xmm9; movups xmm0, [rcx]; movups xmm8, [rcx]; movupd [rcx], xmm0.
            (&[0xf3, 0x0f, 0x6f, 0x01], &[0x66, 0x0f, 0x6f, 0x01]),
            (&[0xf3, 0x45, 0x0f, 0x7f, 0x08], &[0x66, 0x45, 0x0f, 0x7f, 0x08]),
            (&[0x0f, 0x10, 0x01], &[0x0f, 0x28, 0x01]),
            (&[0x44, 0x0f, 0x10, 0x01], &[0x44, 0x0f, 0x28, 0x01]),
            (&[0x66, 0x0f, 0x11, 0x01], &[0x66, 0x0f, 0x29, 0x01]),
        ] {
            for prefixes in [0, 9] {
                let [mut code, after] =
                    [before, after].map(|code| [&[NO_SEGMENT; 9][..prefixes], code].concat());
                assert!(demand(&mut code, 0), "{before:x?}");
                assert_eq!(code, after);
            }
        }
    }

    #[test]
    fn other_instructions_stay_as_they_are() {
        for other in [
            // movss xmm0, [rcx]; movdqa xmm0, [rcx]; vmovdqu ymm0, [rcx]; vpaddd xmm0, xmm0, [rcx]; mov rax, [rcx].
            &[0xf3, 0x0f, 0x10, 0x01][..],
            &[0x66, 0x0f, 0x6f, 0x01],
            &[0xc5, 0xfe, 0x6f, 0x01],
            &[0xc5, 0xf9, 0xfe, 0x01],
            &[0x48, 0x8b, 0x01],
            &[0xc5],
        ] {
            let mut code = other.to_vec();
            assert!(!demand(&mut code, 0), "{other:x?}");
            assert_eq!(code, other);
        }
    }
}
