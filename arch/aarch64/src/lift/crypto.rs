//! The cryptographic extension: one helper, told apart by its immediate.

use super::{Lifter, X1};
use crate::decode::Insn;
use crate::helpers::{self, CryptoOp};

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

    pub fn sha_two(&mut self, insn: Insn) {
        let op = match insn.bits(12, 2) {
            0 => CryptoOp::Sha1h,
            1 => CryptoOp::Sha1su1,
            _ => CryptoOp::Sha256su0,
        };
        self.crypto(insn, op, insn.rn());
    }
}
