//! The cryptographic extension: the host's own steps where it has such, else one helper, told apart by its immediate.

use super::simd_move::element_indices;
use super::{Lifter, X1};
use crate::decode::Insn;
use crate::helpers::{self, CryptoOp};
use guest::ir::{Crypto, Lane, Val, Width};

/// What `AESE` or `AESD` gave, and the state that it substituted.
#[derive(Clone, Copy)]
pub struct AesHalf {
    result: Val,
    input: Val,
    inverse: bool,
}

/// Four rounds of SHA-256 on a state and schedule: the host's halves after two and after four.
#[derive(Clone, Copy)]
pub struct Sha256Rounds {
    from: [Val; 3],
    after_two: Val,
    after_four: Val,
}

impl Lifter {
    fn crypto(&mut self, insn: Insn, op: CryptoOp, third: u16) {
        let (a, b, c) = (self.v(insn.rd()), self.v(insn.rn()), self.v(third));
        let r = self.ir.call_vec(X1, helpers::CRYPTO, a, b, c, op as u32);
        self.set_v(insn.rd(), r);
    }

    /// A step that the host has.
    fn step(&mut self, op: Crypto, a: Val, b: Val) -> Val {
        self.ir.vcrypto(X1, op, a, b, b)
    }

    /// `AESE`, `AESD`, `AESMC`, `AESIMC`. The host has whole rounds only, with the key at their end: a mixing of columns
    /// that follows its substitution is one round, another is a round of the substitution undone.
    pub fn aes(&mut self, insn: Insn) {
        let (zeros, b) = (self.zeros(), self.v(insn.rn()));
        let half_round = self.aes_half.filter(|half| half.result == b);
        let r = match (insn.bits(12, 2), half_round) {
            (2, Some(AesHalf { input, inverse: false, .. })) => self.step(Crypto::AesEnc, input, zeros),
            (3, Some(AesHalf { input, inverse: true, .. })) => self.step(Crypto::AesDec, input, zeros),
            (2, _) => {
                let undone = self.step(Crypto::AesDecLast, b, zeros);
                self.step(Crypto::AesEnc, undone, zeros)
            }
            (3, _) => self.step(Crypto::AesImc, b, b),
            (op, _) => {
                let a = self.v(insn.rd());
                let (input, inverse) = (self.ir.vxor(X1, a, b), op == 1);
                let step = if inverse { Crypto::AesDecLast } else { Crypto::AesEncLast };
                let result = self.step(step, input, zeros);
                self.aes_half = Some(AesHalf { result, input, inverse });
                result
            }
        };
        self.set_v(insn.rd(), r);
    }

    pub fn pmull_64(&mut self, insn: Insn) {
        let op = if insn.q() { Crypto::Clmul11 } else { Crypto::Clmul00 };
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let r = self.step(op, a, b);
        self.set_v(insn.rd(), r);
    }

    /// Words of a:b, the lowest first; b's count from 4 on.
    fn words(&mut self, a: Val, b: Val, from: [usize; 4]) -> Val {
        self.shuffle(a, b, element_indices(Lane::S, 4, |e| from[e]))
    }

    fn reversed(&mut self, a: Val) -> Val {
        self.words(a, a, [3, 2, 1, 0])
    }

    /// `SHA1C`, `SHA1P`, `SHA1M`: the host has the words in the other order, and adds the constants, which the
    /// guest has added already.
    pub fn sha1_rounds(&mut self, insn: Insn) {
        let (op, constant) = match insn.bits(12, 2) {
            0 => (Crypto::Sha1Rounds0, 0x5a82_7999u32),
            1 => (Crypto::Sha1Rounds1, 0x6ed9_eba1),
            _ => (Crypto::Sha1Rounds2, 0x8f1b_bcdc),
        };
        let (state, e, schedule) = (self.v(insn.rd()), self.v(insn.rn()), self.v(insn.rm()));
        let low_word = self.vector_constant(0xffff_ffff);
        let e = self.ir.vand(X1, e, low_word);
        let constants = self.vector_constant(u128::from(constant) * 0x1_0000_0001_0000_0001_0000_0001);
        let schedule = self.ir.vsub(X1, Lane::S, schedule, constants);
        let schedule = self.ir.vadd(X1, Lane::S, schedule, e);
        let (state, schedule) = (self.reversed(state), self.reversed(schedule));
        let r = self.step(op, state, schedule);
        let r = self.reversed(r);
        self.set_v(insn.rd(), r);
    }

    pub fn sha1h(&mut self, insn: Insn) {
        let (a, thirty) = (self.v_low(Width::W32, insn.rn()), self.imm(30));
        let r = self.ir.rotl(Width::W32, a, thirty);
        self.set_v_scalar(insn.rd(), Width::W32, r);
    }

    pub fn sha1su0(&mut self, insn: Insn) {
        let (a, b, c) = (self.v(insn.rd()), self.v(insn.rn()), self.v(insn.rm()));
        let between = self.words(a, b, [2, 3, 4, 5]);
        let r = self.ir.vxor(X1, between, a);
        let r = self.ir.vxor(X1, r, c);
        self.set_v(insn.rd(), r);
    }

    pub fn sha1su1(&mut self, insn: Insn) {
        let (a, b) = (self.v(insn.rd()), self.v(insn.rn()));
        let (a, b) = (self.reversed(a), self.reversed(b));
        let r = self.step(Crypto::Sha1Msg2, a, b);
        let r = self.reversed(r);
        self.set_v(insn.rd(), r);
    }

    /// `SHA256H`, and with bit 12 `SHA256H2`: each gives half of the state after four rounds, and they come in pairs.
    pub fn sha256_rounds(&mut self, insn: Insn) {
        let second = insn.bit(12);
        let (d, n, schedule) = (self.v(insn.rd()), self.v(insn.rn()), self.v(insn.rm()));
        let (abcd, efgh) = if second { (n, d) } else { (d, n) };
        let from = [abcd, efgh, schedule];
        let known = self.sha256_rounds.filter(|known| known.from == from);
        let rounds = known.unwrap_or_else(|| {
            let abef = self.words(abcd, efgh, [5, 4, 1, 0]);
            let cdgh = self.words(abcd, efgh, [7, 6, 3, 2]);
            let after_two = self.ir.vcrypto(X1, Crypto::Sha256Rounds2, cdgh, abef, schedule);
            let later = self.words(schedule, schedule, [2, 3, 2, 3]);
            let after_four = self.ir.vcrypto(X1, Crypto::Sha256Rounds2, abef, after_two, later);
            Sha256Rounds { from, after_two, after_four }
        });
        self.sha256_rounds = Some(rounds);
        let order = if second { [1, 0, 5, 4] } else { [3, 2, 7, 6] };
        let r = self.words(rounds.after_four, rounds.after_two, order);
        self.set_v(insn.rd(), r);
    }

    pub fn sha256su0(&mut self, insn: Insn) {
        let (a, b) = (self.v(insn.rd()), self.v(insn.rn()));
        let r = self.step(Crypto::Sha256Msg1, a, b);
        self.set_v(insn.rd(), r);
    }

    pub fn sha256su1(&mut self, insn: Insn) {
        let (a, b, c) = (self.v(insn.rd()), self.v(insn.rn()), self.v(insn.rm()));
        let between = self.words(b, c, [1, 2, 3, 4]);
        let sum = self.ir.vadd(X1, Lane::S, a, between);
        let r = self.step(Crypto::Sha256Msg2, sum, c);
        self.set_v(insn.rd(), r);
    }

    /// The steps of SHA-512 on three registers.
    pub fn sha512(&mut self, insn: Insn) {
        let op = match insn.bits(10, 2) {
            0 => CryptoOp::Sha512h,
            1 => CryptoOp::Sha512h2,
            _ => CryptoOp::Sha512su1,
        };
        self.crypto(insn, op, insn.rm());
    }

    pub fn sha512_su0(&mut self, insn: Insn) {
        self.crypto(insn, CryptoOp::Sha512su0, insn.rn());
    }

    pub fn eor3(&mut self, insn: Insn) {
        let (a, b, c) = (self.v(insn.rn()), self.v(insn.rm()), self.v(insn.ra()));
        let r = self.ir.vxor(X1, a, b);
        let r = self.ir.vxor(X1, r, c);
        self.set_v(insn.rd(), r);
    }

    pub fn bcax(&mut self, insn: Insn) {
        let (a, b, c) = (self.v(insn.rn()), self.v(insn.rm()), self.v(insn.ra()));
        let cleared = self.ir.vandnot(X1, b, c);
        let r = self.ir.vxor(X1, a, cleared);
        self.set_v(insn.rd(), r);
    }

    /// 64-bit lanes rotated to the right.
    fn lanes_rotated(&mut self, a: Val, count: u32) -> Val {
        if count == 0 {
            return a;
        }
        let (right, left) = (self.imm(u64::from(count)), self.imm(u64::from(64 - count)));
        let low = self.ir.vshr(X1, Lane::D, a, right);
        let high = self.ir.vshl(X1, Lane::D, a, left);
        self.ir.vor(X1, low, high)
    }

    pub fn rax1(&mut self, insn: Insn) {
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let b = self.lanes_rotated(b, 63);
        let r = self.ir.vxor(X1, a, b);
        self.set_v(insn.rd(), r);
    }

    pub fn xar(&mut self, insn: Insn) {
        let (a, b) = (self.v(insn.rn()), self.v(insn.rm()));
        let both = self.ir.vxor(X1, a, b);
        let r = self.lanes_rotated(both, insn.bits(10, 6));
        self.set_v(insn.rd(), r);
    }

    /// The top words rotated and summed; the rest is zero.
    pub fn sm3_ss1(&mut self, insn: Insn) {
        let [a, b, c] = [insn.rn(), insn.rm(), insn.ra()].map(|n| {
            let whole = self.v(n);
            self.ir.vextract(X1, Lane::S, 3, whole)
        });
        let twelve = self.imm(12);
        let a = self.ir.rotl(Width::W32, a, twelve);
        let sum = self.ir.add(Width::W32, a, b);
        let sum = self.ir.add(Width::W32, sum, c);
        let seven = self.imm(7);
        let r = self.ir.rotl(Width::W32, sum, seven);
        let zeros = self.zeros();
        let r = self.ir.vinsert(X1, Lane::S, 3, zeros, r);
        self.set_v(insn.rd(), r);
    }

    /// One step of the compression; the word of Vm that it takes goes along in every lane.
    pub fn sm3_tt(&mut self, insn: Insn) {
        let op = match insn.bits(10, 2) {
            0 => CryptoOp::Sm3tt1a,
            1 => CryptoOp::Sm3tt1b,
            2 => CryptoOp::Sm3tt2a,
            _ => CryptoOp::Sm3tt2b,
        };
        let words = self.v(insn.rm());
        let word = self.ir.vextract(X1, Lane::S, insn.bits(12, 2) as u8, words);
        let word = self.ir.vsplat(X1, Lane::S, word);
        let (old, a) = (self.v(insn.rd()), self.v(insn.rn()));
        let r = self.ir.call_vec(X1, helpers::CRYPTO, old, a, word, op as u32);
        self.set_v(insn.rd(), r);
    }

    pub fn sm3_partw(&mut self, insn: Insn) {
        let op = if insn.bit(10) { CryptoOp::Sm3partw2 } else { CryptoOp::Sm3partw1 };
        self.crypto(insn, op, insn.rm());
    }

    pub fn sm4_e(&mut self, insn: Insn) {
        self.crypto(insn, CryptoOp::Sm4e, insn.rn());
    }

    pub fn sm4_ekey(&mut self, insn: Insn) {
        self.crypto(insn, CryptoOp::Sm4ekey, insn.rm());
    }
}
