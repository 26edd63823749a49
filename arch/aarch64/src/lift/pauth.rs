//! Pointer authentication (FEAT_PAuth): a code in bits 54:48 of an address, from the address, a modifier and
//! one of the process's keys.
//!
//! The algorithm is the implementation's own choice, which the identification registers say: two rounds of a
//! keyed multiplicative hash, short enough to be emitted in place. Top-byte-ignore is always on for user
//! space, so the byte above stays as it is.

use super::Lifter;
use crate::decode::Insn;
use crate::state::{KEYS, x};
use crate::{features, guarded};
use guest::Trap;
use guest::ir::{Hint, IntCc, Order, Terminator, Val, Width};
use guest::state::Slot;

/// The keys, in the order that they stand in the state.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Key {
    InstructionA,
    InstructionB,
    DataA,
    DataB,
    Generic,
}

impl Key {
    const fn slot(self) -> Slot {
        KEYS.plus(16 * self as u16)
    }

    /// By bits 1:0 of the opcodes: instruction A, B, data A, B.
    const fn of(bits: u32) -> Self {
        match bits & 3 {
            0 => Self::InstructionA,
            1 => Self::InstructionB,
            2 => Self::DataA,
            _ => Self::DataB,
        }
    }

    const fn is_b(self) -> bool {
        matches!(self, Self::InstructionB | Self::DataB)
    }
}

/// What a failed authentication does where the model has FEAT_FPAC.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Failure {
    Traps,
    /// Instructions that go on to use the address fault there.
    GivesBadAddress,
}

/// Where the code stands.
const CODE: (u8, u8) = (48, 7);
/// Odd constants without a pattern.
const FACTORS: [u64; 2] = [0x9e37_79b9_7f4a_7c15, 0xd6e8_feb8_6659_fd93];

impl Lifter {
    /// `ComputePAC`: 64 bits.
    fn pac_hash(&mut self, address: Val, modifier: Val, key: Key) -> Val {
        let w = Width::W64;
        let (low, high) = (self.ir.read_slot(key.slot()), self.ir.read_slot(key.slot().plus(8)));
        let [first, second] = FACTORS.map(|factor| self.imm(factor));
        let half = self.imm(32);
        let hash = self.ir.xor(w, address, low);
        let hash = self.ir.mul(w, hash, first);
        let folded = self.ir.shr(w, hash, half);
        let hash = self.ir.xor(w, hash, folded);
        let hash = self.ir.xor(w, hash, modifier);
        let hash = self.ir.xor(w, hash, high);
        let hash = self.ir.mul(w, hash, second);
        let folded = self.ir.shr(w, hash, half);
        self.ir.xor(w, hash, folded)
    }

    /// All ones where the address is one of the upper half.
    fn extension(&mut self, address: Val) -> Val {
        self.ir.sextract(55, 1, address)
    }

    /// The address without a code (`Strip`). The upper half of the addresses has no ignored byte.
    fn stripped(&mut self, address: Val) -> Val {
        let extension = self.extension(address);
        let plain = self.ir.deposit(CODE.0, CODE.1, address, extension);
        let top = self.imm(0xff << 56);
        let top = self.ir.and(Width::W64, extension, top);
        self.ir.or(Width::W64, plain, top)
    }

    fn code_for(&mut self, address: Val, modifier: Val, key: Key) -> Val {
        let plain = self.stripped(address);
        let hash = self.pac_hash(plain, modifier, key);
        self.ir.extract(57, CODE.1, hash)
    }

    /// FEAT_PAuth2.
    const fn is_enhanced(&self) -> bool {
        self.features & features::PAUTH2 != 0
    }

    /// `AddPAC`.
    fn signed(&mut self, address: Val, modifier: Val, key: Key) -> Val {
        let w = Width::W64;
        let code = self.code_for(address, modifier, key);
        let old = self.ir.extract(CODE.0, CODE.1, address);
        let code = if self.is_enhanced() {
            self.ir.xor(w, code, old)
        } else {
            // An address that was none before gets a code that is wrong.
            let plain = self.stripped(address);
            let bad = self.ir.icmp(IntCc::Ne, w, plain, address);
            let place = self.imm(u64::from(CODE.1) - 1);
            let flip = self.ir.shl(w, bad, place);
            self.ir.xor(w, code, flip)
        };
        self.ir.deposit(CODE.0, CODE.1, address, code)
    }

    /// `Auth`.
    fn authenticated(&mut self, address: Val, modifier: Val, key: Key, failure: Failure) -> Val {
        let w = Width::W64;
        let code = self.code_for(address, modifier, key);
        let old = self.ir.extract(CODE.0, CODE.1, address);
        if self.is_enhanced() {
            let rest = self.ir.xor(w, code, old);
            let result = self.ir.deposit(CODE.0, CODE.1, address, rest);
            if failure == Failure::Traps && self.features & features::FPAC != 0 {
                let plain = self.stripped(address);
                let bad = self.ir.icmp(IntCc::Ne, w, plain, result);
                self.ir.trap_when(Trap::Authentication, bad);
            }
            return result;
        }
        let right = self.ir.icmp(IntCc::Eq, w, code, old);
        let plain = self.stripped(address);
        let error = self.imm(if key.is_b() { 2 } else { 1 });
        let bad = self.ir.deposit(53, 2, plain, error);
        self.ir.select(right, plain, bad)
    }

    // ---- data processing ----

    /// `PACIA` to `AUTDZB`: bit 12 authenticates, bit 13 takes zero as the modifier.
    pub fn pac_register(&mut self, insn: Insn) {
        let key = Key::of(insn.bits(10, 2));
        let modifier = if insn.bit(13) { self.imm(0) } else { self.x_or_sp(insn.rn()) };
        let address = self.x(insn.rd());
        let r = if insn.bit(12) {
            self.authenticated(address, modifier, key, Failure::Traps)
        } else {
            self.signed(address, modifier, key)
        };
        self.set_x(insn.rd(), r);
    }

    pub fn pacga(&mut self, insn: Insn) {
        let (a, modifier) = (self.x(insn.rn()), self.x_or_sp(insn.rm()));
        let hash = self.pac_hash(a, modifier, Key::Generic);
        let (zero, top) = (self.imm(0), self.ir.extract(32, 32, hash));
        let r = self.ir.deposit(32, 32, zero, top);
        self.set_x(insn.rd(), r);
    }

    /// `XPACI`, `XPACD`.
    pub fn xpac(&mut self, insn: Insn) {
        let address = self.x(insn.rd());
        let r = self.stripped(address);
        self.set_x(insn.rd(), r);
    }

    /// The forms among the hints, which do nothing on a model without the feature.
    pub fn hint(&mut self, insn: Insn) {
        if self.features & features::PAUTH == 0 {
            return;
        }
        let hint = insn.bits(5, 7);
        if hint == 7 {
            let address = self.x(30);
            let r = self.stripped(address);
            return self.set_x(30, r);
        }
        // x17 with x16; x30 with zero; x30 with the stack pointer.
        let (n, modifier) = match hint {
            8 | 10 | 12 | 14 => (17, self.x(16)),
            24 | 26 | 28 | 30 => (30, self.imm(0)),
            25 | 27 | 29 | 31 => (30, self.ir.read_slot(x(31))),
            _ => return,
        };
        let key = if hint & 2 == 0 { Key::InstructionA } else { Key::InstructionB };
        let address = self.x(n);
        let r = if hint & 4 == 0 {
            self.signed(address, modifier, key)
        } else {
            self.authenticated(address, modifier, key, Failure::Traps)
        };
        self.set_x(n, r);
    }

    // ---- branches and loads ----

    /// The target of `BRAA` and the like: bit 10 is the key, bit 24 says that there is a modifier.
    fn authenticated_target(&mut self, insn: Insn) -> Val {
        let modifier = if insn.bit(24) { self.x_or_sp(insn.bits(0, 5) as u16) } else { self.imm(0) };
        let address = self.x(insn.rn());
        self.authenticated_branch(insn, address, modifier)
    }

    fn authenticated_branch(&mut self, insn: Insn, address: Val, modifier: Val) -> Val {
        let key = Key::of(insn.bits(10, 1));
        let target = self.authenticated(address, modifier, key, Failure::GivesBadAddress);
        self.ir.sextract(0, 56, target)
    }

    pub fn bra(&mut self, insn: Insn) {
        let target = self.authenticated_target(insn);
        let target = self.landing(target, self.jump_btype(insn.rn()));
        self.end = Some(Terminator::Indirect { target, hint: Hint::None });
    }

    pub fn blra(&mut self, insn: Insn) {
        let target = self.authenticated_target(insn);
        let target = self.landing(target, guarded::CALL);
        self.link();
        self.end = Some(Terminator::Indirect { target, hint: Hint::Call(self.next_pc()) });
    }

    pub fn reta(&mut self, insn: Insn) {
        let (address, modifier) = (self.x(30), self.ir.read_slot(x(31)));
        let target = self.authenticated_branch(insn, address, modifier);
        self.end = Some(Terminator::Indirect { target, hint: Hint::Return });
    }

    /// `LDRAA`, `LDRAB`: bit 11 writes the address back.
    pub fn ldra(&mut self, insn: Insn) {
        let key = if insn.bit(23) { Key::DataB } else { Key::DataA };
        let (base, zero) = (self.x_or_sp(insn.rn()), self.imm(0));
        let base = self.authenticated(base, zero, key, Failure::GivesBadAddress);
        let offset = insn.signed(22, 1) << 12 | i64::from(insn.bits(12, 9)) << 3;
        let addr = self.ir.add_imm(base, offset);
        let value = self.ir.load(Width::W64, Order::Relaxed, addr, 0);
        if insn.bit(11) {
            self.set_x_or_sp(insn.rn(), addr);
        }
        self.set_x(insn.rd(), value);
    }
}
