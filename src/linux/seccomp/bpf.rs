//! Classic BPF as `seccomp(2)` takes it: a program is checked once, then run on the data of each system call.
//!
//! What is allowed is the kernel's list (kernel/seccomp.c, `seccomp_check_filter`; net/core/filter.c): loads of whole
//! words of the data, arithmetic, jumps forward, 16 words of memory, and a return at the end.

/// An instruction (`struct sock_filter`).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Insn {
    pub code: u16,
    pub jt: u8,
    pub jf: u8,
    pub k: u32,
}

/// The most instructions of a program (`BPF_MAXINSNS`).
pub const MAX_INSNS: usize = 4096;
/// Words of memory (`BPF_MEMWORDS`).
const MEMORY: usize = 16;
/// Bytes of the data (`struct seccomp_data`).
pub const DATA: usize = 64;

// Classes, sizes, modes, operations and sources (include/uapi/linux/bpf_common.h).
const LD: u16 = 0x00;
const LDX: u16 = 0x01;
const ST: u16 = 0x02;
const STX: u16 = 0x03;
const ALU: u16 = 0x04;
const JMP: u16 = 0x05;
const RET: u16 = 0x06;
const MISC: u16 = 0x07;
const IMM: u16 = 0x00;
const ABS: u16 = 0x20;
const MEM: u16 = 0x60;
const LEN: u16 = 0x80;
const X: u16 = 0x08;
const A: u16 = 0x10;

impl Insn {
    /// From its 8 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 8]) -> Self {
        let [c0, c1, jt, jf, k0, k1, k2, k3] = bytes;
        Self { code: u16::from_le_bytes([c0, c1]), jt, jf, k: u32::from_le_bytes([k0, k1, k2, k3]) }
    }

    #[must_use]
    pub fn to_bytes(self) -> [u8; 8] {
        let ([c0, c1], [k0, k1, k2, k3]) = (self.code.to_le_bytes(), self.k.to_le_bytes());
        [c0, c1, self.jt, self.jf, k0, k1, k2, k3]
    }
}

/// A program that has passed the checks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Program(Vec<Insn>);

impl Program {
    /// `None` where the kernel would say EINVAL.
    #[must_use]
    pub fn new(insns: Vec<Insn>) -> Option<Self> {
        let count = insns.len();
        let last = insns.last()?;
        if count > MAX_INSNS || last.code & 7 != RET {
            return None;
        }
        // Memory that is surely written where an instruction is reached.
        let mut written = vec![u16::MAX; count];
        let mut now = 0;
        for (at, insn) in insns.iter().enumerate() {
            now &= written[at];
            if !is_known(*insn) {
                return None;
            }
            let word = 1u16.checked_shl(insn.k).unwrap_or(0);
            match insn.code {
                code if code & 7 == ST || code & 7 == STX => {
                    if word == 0 {
                        return None;
                    }
                    now |= word;
                }
                code if (code == LD | MEM || code == LDX | MEM) && now & word == 0 => return None,
                code if code & 7 == JMP => {
                    for target in targets(*insn, at)? {
                        *written.get_mut(target)? &= now;
                    }
                    now = u16::MAX;
                }
                _ => {}
            }
        }
        Some(Self(insns))
    }

    #[must_use]
    pub fn insns(&self) -> &[Insn] {
        &self.0
    }

    /// What it returns for this data.
    #[must_use]
    pub fn run(&self, data: &[u8; DATA]) -> u32 {
        let (mut a, mut x, mut memory, mut at) = (0u32, 0u32, [0u32; MEMORY], 0);
        // Jumps lead forward only, and the last instruction returns.
        while let Some(insn) = self.0.get(at) {
            at += 1;
            let k = insn.k;
            let word = |index: u32| usize::try_from(index).unwrap_or(MEMORY) % MEMORY;
            match insn.code & 7 {
                LD => a = load(insn.code, k, data, &memory),
                LDX => x = load(insn.code, k, data, &memory),
                ST => memory[word(k)] = a,
                STX => memory[word(k)] = x,
                ALU => match calculate(insn.code & 0xf0, a, if insn.code & X != 0 { x } else { k }) {
                    Some(result) => a = result,
                    // A division by zero ends the program with 0.
                    None => return 0,
                },
                JMP => at += distance(*insn, a, if insn.code & X != 0 { x } else { k }),
                RET => return if insn.code & 0x18 == A { a } else { k },
                _ if insn.code & 0xf8 == 0 => x = a,
                _ => a = x,
            }
        }
        0
    }
}

/// Whether `seccomp` knows the instruction, with this constant.
fn is_known(insn: Insn) -> bool {
    let k = insn.k as usize;
    match insn.code & 7 {
        LD => match insn.code {
            code if code == LD | ABS => k < DATA && k.is_multiple_of(4),
            code => code == LD | IMM || code == LD | LEN || (code == LD | MEM && k < MEMORY),
        },
        LDX => {
            let code = insn.code;
            code == LDX | IMM || code == LDX | LEN || (code == LDX | MEM && k < MEMORY)
        }
        ST | STX => insn.code & !7 == 0 && k < MEMORY,
        ALU => match insn.code & 0xf0 {
            // Division by a constant 0, shifts by a constant out of range.
            0x30 if insn.code & X == 0 && insn.k == 0 => false,
            0x60 | 0x70 if insn.code & X == 0 && insn.k >= 32 => false,
            0x80 => insn.code == ALU | 0x80,
            0x00..=0x70 | 0xa0 => insn.code & 0xff00 == 0,
            _ => false,
        },
        JMP => match insn.code & 0xf0 {
            0x00 => insn.code == JMP,
            0x10..=0x40 => insn.code & 0xff00 == 0,
            _ => false,
        },
        RET => insn.code == RET || insn.code == RET | A,
        _ => insn.code == MISC || insn.code == MISC | 0x80,
    }
}

/// Where a jump may lead; `None` where that is nowhere.
fn targets(insn: Insn, at: usize) -> Option<[usize; 2]> {
    if insn.code & 0xf0 == 0 {
        let target = at.checked_add(1)?.checked_add(insn.k as usize)?;
        return Some([target; 2]);
    }
    Some([at + 1 + usize::from(insn.jt), at + 1 + usize::from(insn.jf)])
}

/// How far a jump goes.
fn distance(insn: Insn, a: u32, b: u32) -> usize {
    let holds = match insn.code & 0xf0 {
        0x00 => return insn.k as usize,
        0x10 => a == b,
        0x20 => a > b,
        0x30 => a >= b,
        _ => a & b != 0,
    };
    usize::from(if holds { insn.jt } else { insn.jf })
}

fn load(code: u16, k: u32, data: &[u8; DATA], memory: &[u32; MEMORY]) -> u32 {
    match code & 0xe0 {
        IMM => k,
        MEM => memory[k as usize % MEMORY],
        LEN => DATA as u32,
        _ => {
            let at = (k as usize % DATA) & !3;
            u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]])
        }
    }
}

fn calculate(operation: u16, a: u32, b: u32) -> Option<u32> {
    Some(match operation {
        0x00 => a.wrapping_add(b),
        0x10 => a.wrapping_sub(b),
        0x20 => a.wrapping_mul(b),
        0x30 => a.checked_div(b)?,
        0x40 => a | b,
        0x50 => a & b,
        0x60 => a.wrapping_shl(b),
        0x70 => a.wrapping_shr(b),
        0x80 => a.wrapping_neg(),
        _ => a ^ b,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn insn(code: u16, jt: u8, jf: u8, k: u32) -> Insn {
        Insn { code, jt, jf, k }
    }

    fn data(number: u32) -> [u8; DATA] {
        let mut data = [0; DATA];
        data[..4].copy_from_slice(&number.to_le_bytes());
        data
    }

    #[test]
    fn a_filter_tells_numbers_apart() {
        let program =
            vec![insn(LD | ABS, 0, 0, 0), insn(JMP | 0x10, 0, 1, 39), insn(RET, 0, 0, 1), insn(RET, 0, 0, 2)];
        let program = Program::new(program).unwrap();
        assert_eq!((program.run(&data(39)), program.run(&data(40))), (1, 2));
    }

    #[test]
    fn arithmetic_and_memory() {
        let program = vec![
            insn(LD | IMM, 0, 0, 7),
            insn(ST, 0, 0, 3),
            insn(ALU | 0x20, 0, 0, 6),
            insn(LDX | MEM, 0, 0, 3),
            insn(ALU | 0x10 | X, 0, 0, 0),
            insn(RET | A, 0, 0, 0),
        ];
        assert_eq!(Program::new(program).unwrap().run(&data(0)), 35);
    }

    #[test]
    fn a_division_by_zero_at_run_time_returns_zero() {
        let program = vec![insn(LD | IMM, 0, 0, 7), insn(ALU | 0x30 | X, 0, 0, 0), insn(RET, 0, 0, 9)];
        assert_eq!(Program::new(program).unwrap().run(&data(0)), 0);
    }

    #[test]
    fn what_the_kernel_refuses_is_refused() {
        let end = insn(RET, 0, 0, 0);
        for wrong in [
            vec![],
            vec![insn(LD | IMM, 0, 0, 0)],
            vec![insn(JMP, 0, 0, 1), end],
            vec![insn(JMP | 0x10, 0, 2, 0), end, end],
            vec![insn(LD | ABS, 0, 0, 2), end],
            vec![insn(LD | ABS, 0, 0, 64), end],
            vec![insn(0x28, 0, 0, 0), end],
            vec![insn(LD | MEM, 0, 0, 0), end],
            vec![insn(ST, 0, 0, 16), end],
            vec![insn(ALU | 0x30, 0, 0, 0), end],
            vec![insn(ALU | 0x90, 0, 0, 1), end],
            vec![end; MAX_INSNS + 1],
        ] {
            assert_eq!(Program::new(wrong.clone()), None, "{wrong:?}");
        }
    }
}
