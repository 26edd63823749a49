//! The cryptographic extension: one helper, told apart by its immediate.

use super::{Lifter, X1};
use crate::decode::Insn;
use crate::helpers::{self, CryptoOp};
use guest::ir::{Lane, Val, Width};

impl Lifter {
    fn crypto(&mut self, insn: Insn, op: CryptoOp, third: u16) {
        let (a, b, c) = (self.v(insn.rd()), self.v(insn.rn()), self.v(third));
        let r = self.ir.call_vec(X1, helpers::CRYPTO, a, b, c, op as u32);
        self.set_v(insn.rd(), r);
    }

    pub fn aes(&mut self, insn: Insn) {
        let op = match insn.bits(12, 2) {
            0 => CryptoOp::Aese,
            1 => CryptoOp::Aesd,
            2 => CryptoOp::Aesmc,
            _ => CryptoOp::Aesimc,
        };
        self.crypto(insn, op, insn.rn());
    }

    pub fn pmull_64(&mut self, insn: Insn) {
        let op = if insn.q() { CryptoOp::Pmull2 } else { CryptoOp::Pmull };
        self.crypto(insn, op, insn.rm());
    }

    pub fn sha_three(&mut self, insn: Insn) {
        let op = match insn.bits(12, 3) {
            0 => CryptoOp::Sha1c,
            1 => CryptoOp::Sha1p,
            2 => CryptoOp::Sha1m,
            3 => CryptoOp::Sha1su0,
            4 => CryptoOp::Sha256h,
            5 => CryptoOp::Sha256h2,
            _ => CryptoOp::Sha256su1,
        };
        self.crypto(insn, op, insn.rm());
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

    pub fn sha_two(&mut self, insn: Insn) {
        let op = match insn.bits(12, 2) {
            0 => CryptoOp::Sha1h,
            1 => CryptoOp::Sha1su1,
            _ => CryptoOp::Sha256su0,
        };
        self.crypto(insn, op, insn.rn());
    }
}
