//! x86-64 instructions, as many forms as the templates need; every encoding rule stands here once.

use guest::ir::Width;

/// A general or vector register.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reg(pub u8);

pub const RAX: Reg = Reg(0);
pub const RCX: Reg = Reg(1);
pub const RDX: Reg = Reg(2);
pub const RSP: Reg = Reg(4);
pub const RDI: Reg = Reg(7);
/// The thread's context, where a block needs it.
pub const CONTEXT: Reg = Reg(14);
/// Behind the start of the guest state (see [`super::entry::at`]).
pub const STATE: Reg = Reg(15);

/// The operand that may be in memory.
#[derive(Clone, Copy, Debug)]
pub enum Rm {
    Reg(Reg),
    Mem(Reg, i32),
    /// Relative to the instruction's end, which lies `after` bytes behind the distance.
    Rip {
        to: Label,
        after: u8,
    },
}

/// What a distance leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Label {
    /// Byte `.1` of the block's slot `.0`.
    Slot(u32, i32),
    /// A vector constant behind the code.
    Constant(u32),
    /// An out-of-line stub.
    Stub(u32),
}

/// A distance to be filled in: four bytes at `at`.
#[derive(Clone, Copy, Debug)]
pub struct Fixup {
    pub at: usize,
    pub to: Label,
    pub after: u8,
}

/// An opcode: mandatory prefix (or 0), and escape bytes with the last byte, lowest first.
#[derive(Clone, Copy, Debug)]
pub struct Code {
    prefix: u8,
    /// How many bits the bytes are.
    len: u8,
    /// Whether its register or memory operand is a byte, whatever the operand size.
    of_byte: bool,
    bytes: u32,
}

/// A one-byte opcode.
pub const fn op(byte: u8) -> Code {
    Code { prefix: 0, len: 8, of_byte: false, bytes: byte as u32 }
}
/// `0f byte`
pub const fn op0f(byte: u8) -> Code {
    sse(0, byte)
}
/// `prefix 0f byte`
pub const fn sse(prefix: u8, byte: u8) -> Code {
    let of_byte = matches!(byte, 0xb6 | 0xbe | 0x90..=0x9f);
    Code { prefix, len: 16, of_byte, bytes: 0x0f | (byte as u32) << 8 }
}
/// `66 0f 38 byte`
pub const fn sse38(byte: u8) -> Code {
    Code { prefix: 0x66, len: 24, of_byte: false, bytes: 0x380f | (byte as u32) << 16 }
}
/// `66 0f 3a byte`
pub const fn sse3a(byte: u8) -> Code {
    Code { prefix: 0x66, len: 24, of_byte: false, bytes: 0x3a0f | (byte as u32) << 16 }
}

/// Condition codes as in `jcc`, `setcc`, `cmovcc`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Cc {
    O = 0,
    No = 1,
    B = 2,
    Ae = 3,
    E = 4,
    Ne = 5,
    Be = 6,
    A = 7,
    S = 8,
    Ns = 9,
    P = 10,
    Np = 11,
    L = 12,
    Ge = 13,
    Le = 14,
    G = 15,
}

impl Cc {
    /// What holds where this does not.
    pub const fn not(self) -> Self {
        const ALL: [Cc; 16] = {
            use Cc::{A, Ae, B, Be, E, G, Ge, L, Le, Ne, No, Np, Ns, O, P, S};
            [O, No, B, Ae, E, Ne, Be, A, S, Ns, P, Np, L, Ge, Le, G]
        };
        ALL[self as usize ^ 1]
    }
}

/// The arithmetic group: its number is the `/digit` of the immediate form.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Alu {
    Add = 0,
    Or = 1,
    Adc = 2,
    Sbb = 3,
    And = 4,
    Sub = 5,
    Xor = 6,
    Cmp = 7,
}

/// The shift group.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Shift {
    Rol = 0,
    Ror = 1,
    Shl = 4,
    Shr = 5,
    Sar = 7,
}

/// The first bytes of an instruction, which are appended at once: all but an immediate and a distance.
#[derive(Default)]
struct Head {
    /// Up to the displacement: eight bytes at most.
    bytes: u64,
    displacement: u32,
    /// In bits.
    len: u32,
    displacement_len: u32,
}

impl Head {
    #[inline]
    fn push(&mut self, byte: u8) {
        self.bytes |= u64::from(byte) << self.len;
        self.len += 8;
    }

    #[inline]
    fn opcode(&mut self, code: Code) {
        self.bytes |= u64::from(code.bytes) << self.len;
        self.len += u32::from(code.len);
    }

    /// A register as operand.
    #[inline]
    fn modrm_reg(&mut self, reg: u8, rm: Reg) {
        self.push(0xc0 | reg << 3 | rm.0 & 7);
    }

    #[inline]
    fn modrm_mem(&mut self, reg: u8, base: Reg, disp: i32) {
        let low = base.0 & 7;
        let is_short = i32::from(disp as i8) == disp;
        let mode = if disp == 0 && low != 5 { 0x00 } else { 0x80 - (u8::from(is_short) << 6) };
        self.push(mode | reg << 3 | low);
        if low == 4 {
            self.push(0x24);
        }
        // None, one byte, or four.
        self.displacement_len = u32::from(mode >> 6 << 3) << u32::from(mode >> 7);
        self.displacement = disp as u32;
    }

    /// Relative to the instruction's end.
    #[inline]
    fn modrm_rip(&mut self, reg: u8) {
        self.push(reg << 3 | 5);
    }

    /// What stands before the ModRM byte. `low` is the register that is the other operand, if one is, and `base` that, or
    /// the one that the memory operand starts at.
    #[inline]
    fn of(code: Code, w: Width, reg: Reg, low: u8, base: u8) -> Self {
        let mut head = Self::default();
        if w == Width::W16 {
            head.push(0x66);
        }
        if code.prefix != 0 {
            head.push(code.prefix);
        }
        let rex = u8::from(w == Width::W64) << 3 | (reg.0 >> 3) << 2 | base >> 3;
        // Without a prefix, byte registers 4 to 7 would be ah to bh.
        let byte = w == Width::W8 || code.of_byte;
        if rex != 0 || (byte && (low >= 4 || reg.0 >= 4)) {
            head.push(0x40 | rex);
        }
        head.opcode(code);
        head
    }
}

/// Code being written.
#[derive(Default, Debug)]
pub struct Asm {
    pub code: Vec<u8>,
    pub fixups: Vec<Fixup>,
}

impl Asm {
    pub fn clear(&mut self) {
        self.code.clear();
        self.fixups.clear();
    }

    pub fn here(&self) -> usize {
        self.code.len()
    }

    fn imm32(&mut self, value: i32) {
        self.code.extend_from_slice(&value.to_le_bytes());
    }

    /// An instruction with a ModRM byte. `w` decides about the operand size prefix and REX.W. Which kind of operand there is
    /// is known to most callers.
    #[inline(always)]
    pub fn ins(&mut self, code: Code, w: Width, reg: Reg, rm: Rm) {
        match rm {
            Rm::Reg(r) => self.ins_reg(code, w, reg, r),
            Rm::Mem(base, disp) => self.ins_mem(code, w, reg, base, disp),
            Rm::Rip { to, after } => self.ins_rip(code, w, reg, to, after),
        }
    }

    fn ins_reg(&mut self, code: Code, w: Width, reg: Reg, rm: Reg) {
        let mut head = Head::of(code, w, reg, rm.0, rm.0);
        head.modrm_reg(reg.0 & 7, rm);
        self.append(head);
    }

    fn ins_mem(&mut self, code: Code, w: Width, reg: Reg, base: Reg, disp: i32) {
        let mut head = Head::of(code, w, reg, 0, base.0);
        head.modrm_mem(reg.0 & 7, base, disp);
        self.append(head);
    }

    fn ins_rip(&mut self, code: Code, w: Width, reg: Reg, to: Label, after: u8) {
        let mut head = Head::of(code, w, reg, 0, 0);
        head.modrm_rip(reg.0 & 7);
        self.append(head);
        self.distance(to, after);
    }

    #[inline]
    fn append(&mut self, head: Head) {
        let end = self.code.len() + (head.len + head.displacement_len) as usize / 8;
        let bytes = u128::from(head.bytes) | u128::from(head.displacement) << head.len;
        self.code.extend_from_slice(&bytes.to_le_bytes());
        self.code.truncate(end);
    }

    fn distance(&mut self, to: Label, after: u8) {
        self.fixups.push(Fixup { at: self.code.len(), to, after });
        self.imm32(0);
    }

    // ---- moves ----

    pub fn mov_rr(&mut self, to: Reg, from: Reg) {
        if to != from {
            self.ins(op(0x8b), Width::W64, to, Rm::Reg(from));
        }
    }

    /// A constant, with flags kept.
    pub fn mov_ri(&mut self, to: Reg, value: u64) {
        if let Ok(low) = u32::try_from(value) {
            if to.0 >= 8 {
                self.code.push(0x41);
            }
            self.code.push(0xb8 | to.0 & 7);
            self.imm32(low as i32);
        } else if let Ok(signed) = i32::try_from(value as i64) {
            self.ins(op(0xc7), Width::W64, Reg(0), Rm::Reg(to));
            self.imm32(signed);
        } else {
            self.code.push(0x48 | to.0 >> 3);
            self.code.push(0xb8 | to.0 & 7);
            self.code.extend_from_slice(&value.to_le_bytes());
        }
    }

    /// Loads `w` bits, zero-extended.
    #[inline(always)]
    pub fn load(&mut self, w: Width, to: Reg, from: Rm) {
        let (code, w) = match w {
            Width::W8 => (op0f(0xb6), Width::W32),
            Width::W16 => (op0f(0xb7), Width::W32),
            _ => (op(0x8b), w),
        };
        self.ins(code, w, to, from);
    }

    #[inline(always)]
    pub fn store(&mut self, w: Width, from: Reg, to: Rm) {
        let code = if w == Width::W8 { op(0x88) } else { op(0x89) };
        self.ins(code, w, from, to);
    }

    /// Stores a constant that fits (see [`fits`]).
    pub fn store_imm(&mut self, w: Width, value: u64, to: Rm) {
        let code = if w == Width::W8 { op(0xc6) } else { op(0xc7) };
        self.ins(code, w, Reg(0), to);
        match w {
            Width::W8 => self.code.push(value as u8),
            Width::W16 => self.code.extend_from_slice(&(value as u16).to_le_bytes()),
            _ => self.imm32(value as i32),
        }
    }

    pub fn zero_extend(&mut self, w: Width, to: Reg, from: Reg) {
        if w == Width::W64 {
            return self.mov_rr(to, from);
        }
        self.load(w, to, Rm::Reg(from));
    }

    pub fn sign_extend(&mut self, w: Width, to: Reg, from: Reg) {
        match w {
            Width::W8 => self.ins(op0f(0xbe), Width::W64, to, Rm::Reg(from)),
            Width::W16 => self.ins(op0f(0xbf), Width::W64, to, Rm::Reg(from)),
            Width::W32 => self.ins(op(0x63), Width::W64, to, Rm::Reg(from)),
            Width::W64 => self.mov_rr(to, from),
        }
    }

    pub fn lea(&mut self, to: Reg, from: Rm) {
        self.ins(op(0x8d), Width::W64, to, from);
    }

    /// `vmovups` of 32 bytes into one of the first eight registers.
    pub fn load_ymm(&mut self, to: Reg, from: Rm) {
        self.move_ymm(0x10, to, from);
    }

    pub fn store_ymm(&mut self, from: Reg, to: Rm) {
        self.move_ymm(0x11, from, to);
    }

    /// The three-byte VEX form: its bits for registers above 7 are inverted.
    fn move_ymm(&mut self, code: u8, reg: Reg, place: Rm) {
        let Rm::Mem(base, disp) = place else { unreachable!("its operand is in memory") };
        let mut head = Head::default();
        let high = base.0 >= 8;
        [0xc4, if high { 0xc1 } else { 0xe1 }, 0x7c, code].into_iter().for_each(|byte| head.push(byte));
        head.modrm_mem(reg.0 & 7, base, disp);
        self.append(head);
    }

    /// `vzeroupper`: otherwise what follows would wait for upper halves.
    pub fn zero_upper(&mut self) {
        self.code.extend_from_slice(&[0xc5, 0xf8, 0x77]);
    }

    // ---- arithmetic ----

    pub fn alu_rr(&mut self, what: Alu, w: Width, to: Reg, from: Reg) {
        let code = (what as u8) << 3 | if w == Width::W8 { 2 } else { 3 };
        self.ins(op(code), w, to, Rm::Reg(from));
    }

    /// With a constant that fits (see [`fits`]).
    pub fn alu_ri(&mut self, what: Alu, w: Width, to: Rm, value: u64) {
        let value = w.sign_extend(value) as i64;
        match (w, i8::try_from(value)) {
            (Width::W8, _) => {
                self.ins(op(0x80), w, Reg(what as u8), to);
                self.code.push(value as u8);
            }
            (_, Ok(short)) => {
                self.ins(op(0x83), w, Reg(what as u8), to);
                self.code.push(short as u8);
            }
            (Width::W16, _) => {
                self.ins(op(0x81), w, Reg(what as u8), to);
                self.code.extend_from_slice(&(value as i16).to_le_bytes());
            }
            _ => {
                self.ins(op(0x81), w, Reg(what as u8), to);
                self.imm32(value as i32);
            }
        }
    }

    pub fn test(&mut self, w: Width, a: Reg, b: Reg) {
        let code = if w == Width::W8 { op(0x84) } else { op(0x85) };
        self.ins(code, w, a, Rm::Reg(b));
    }

    /// Shifts by a constant less than the width.
    pub fn shift_ri(&mut self, what: Shift, w: Width, to: Reg, count: u8) {
        if count == 0 {
            return;
        }
        let code = if w == Width::W8 { op(0xc0) } else { op(0xc1) };
        self.ins(code, w, Reg(what as u8), Rm::Reg(to));
        self.code.push(count);
    }

    /// Shifts by cl.
    pub fn shift_cl(&mut self, what: Shift, w: Width, to: Reg) {
        let code = if w == Width::W8 { op(0xd2) } else { op(0xd3) };
        self.ins(code, w, Reg(what as u8), Rm::Reg(to));
    }

    /// `setcc` and the extension of its byte.
    pub fn setcc(&mut self, cc: Cc, to: Reg) {
        self.ins(op0f(0x90 | cc as u8), Width::W32, Reg(0), Rm::Reg(to));
        self.load(Width::W8, to, Rm::Reg(to));
    }

    pub fn cmov(&mut self, cc: Cc, to: Reg, from: Reg) {
        self.ins(op0f(0x40 | cc as u8), Width::W64, to, Rm::Reg(from));
    }

    // ---- control ----

    pub fn jcc(&mut self, cc: Cc, to: Label) {
        self.code.extend_from_slice(&[0x0f, 0x80 | cc as u8]);
        self.distance(to, 0);
    }

    /// Jumps to a place already written.
    pub fn jmp_back(&mut self, to: usize) {
        self.code.push(0xe9);
        let after = self.code.len() + 4;
        self.imm32(to as i32 - after as i32);
    }

    /// The same where a condition holds, to a place that is near.
    pub fn jcc_back(&mut self, cc: Cc, to: usize) {
        let after = self.code.len() + 2;
        self.code.extend_from_slice(&[0x70 | cc as u8, (to as i32 - after as i32) as u8]);
    }

    pub fn jmp_mem(&mut self, to: Rm) {
        self.ins(op(0xff), Width::W32, Reg(4), to);
    }

    /// One of the first eight registers.
    pub fn push(&mut self, reg: Reg) {
        self.code.push(0x50 | reg.0);
    }

    pub fn pop(&mut self, reg: Reg) {
        self.code.push(0x58 | reg.0);
    }

    pub fn ret(&mut self) {
        self.code.push(0xc3);
    }

    /// Makes a distance that leads within the code right.
    pub fn resolve(&mut self, fixup: Fixup, target: usize) {
        let end = fixup.at + 4 + usize::from(fixup.after);
        let distance = target as i32 - end as i32;
        self.code[fixup.at..fixup.at + 4].copy_from_slice(&distance.to_le_bytes());
    }
}

/// Whether the low `w` bits of a constant can be an immediate operand.
pub fn fits(w: Width, value: u64) -> bool {
    w != Width::W64 || i32::try_from(value as i64).is_ok()
}
