//! AES, carry-less products, SHA, Galois fields, and the dot products of AVX-VNNI.

use super::{Handler, Lifter};
use crate::helpers::id;
use guest::ir::{Crypto, HelperId, Lane, Val, VecLen};
use iced_x86::{Instruction, Mnemonic as M, Register};

const X1: VecLen = VecLen::X1;

pub(super) fn lookup(insn: &Instruction, mnemonic: M) -> Option<Handler> {
    Some(match mnemonic {
        M::Aesenc => |l| l.crypto(Crypto::AesEnc),
        M::Aesenclast => |l| l.crypto(Crypto::AesEncLast),
        M::Aesdec => |l| l.crypto(Crypto::AesDec),
        M::Aesdeclast => |l| l.crypto(Crypto::AesDecLast),
        M::Aesimc => Lifter::aesimc,
        M::Aeskeygenassist => Lifter::aeskeygenassist,
        M::Pclmulqdq => Lifter::pclmulqdq,
        M::Sha1msg1 => |l| l.sha(Crypto::Sha1Msg1),
        M::Sha1msg2 => |l| l.sha(Crypto::Sha1Msg2),
        M::Sha1nexte => |l| l.sha(Crypto::Sha1NextE),
        M::Sha1rnds4 => Lifter::sha1rnds4,
        M::Sha256msg1 => |l| l.sha(Crypto::Sha256Msg1),
        M::Sha256msg2 => |l| l.sha(Crypto::Sha256Msg2),
        M::Sha256rnds2 => |l| l.sha(Crypto::Sha256Rounds2),
        M::Gf2p8mulb => |l| l.crypto(Crypto::GfMul),
        M::Gf2p8affineqb => |l| l.affine(Crypto::GfAffine),
        M::Gf2p8affineinvqb => |l| l.affine(Crypto::GfAffineInv),
        _ => return dot_product(insn),
    })
}

fn dot_product(insn: &Instruction) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Vpdpbusd => |l| l.accumulate(id::VPDPBUSD),
        M::Vpdpbusds => |l| l.accumulate(id::VPDPBUSDS),
        M::Vpdpwssd => |l| l.accumulate(id::VPDPWSSD),
        M::Vpdpwssds => |l| l.accumulate(id::VPDPWSSDS),
        _ => return None,
    })
}

impl Lifter {
    /// A step on the two sources.
    fn crypto(&mut self, op: Crypto) {
        let (a, b) = self.read_sources();
        let r = self.ir.vcrypto(self.n, op, a, b, b);
        self.write_vec(r);
    }

    /// A step of a hash; the third operand is xmm0, for the one that has it. Memory must be aligned (SDM vol. 2,
    /// exception type 4), although AMD's processors do not mind.
    fn sha(&mut self, op: Crypto) {
        let b = self.read_vec(1);
        let (a, c) = (self.read_vec(0), self.read_xmm(Register::XMM0));
        let r = self.ir.vcrypto(X1, op, a, b, c);
        self.write_vec(r);
    }

    /// `AESIMC`
    fn aesimc(&mut self) {
        let a = self.read_vec(1);
        let r = self.ir.vcrypto(X1, Crypto::AesImc, a, a, a);
        self.write_vec(r);
    }

    /// `AESKEYGENASSIST`: the round constant goes into the rotated words.
    fn aeskeygenassist(&mut self) {
        let a = self.read_vec(1);
        let words = self.ir.vcrypto(X1, Crypto::AesKeygen, a, a, a);
        let constant = u128::from(self.last_immediate());
        let constants = self.ir.vimm(X1, constant << 32 | constant << 96);
        let r = self.ir.vxor(X1, words, constants);
        self.write_vec(r);
    }

    /// `PCLMULQDQ`: the immediate picks a half of each source.
    fn pclmulqdq(&mut self) {
        let imm = self.last_immediate();
        self.crypto(match (imm & 1, imm >> 4 & 1) {
            (0, 0) => Crypto::Clmul00,
            (1, 0) => Crypto::Clmul10,
            (0, _) => Crypto::Clmul01,
            _ => Crypto::Clmul11,
        });
    }

    /// `SHA1RNDS4`: the immediate picks function and constant.
    fn sha1rnds4(&mut self) {
        self.sha(match self.last_immediate() & 3 {
            0 => Crypto::Sha1Rounds0,
            1 => Crypto::Sha1Rounds1,
            2 => Crypto::Sha1Rounds2,
            _ => Crypto::Sha1Rounds3,
        });
    }

    /// `GF2P8AFFINEQB`, `GF2P8AFFINEINVQB`: the immediate is added to each byte.
    fn affine(&mut self, op: Crypto) {
        let (a, b) = self.read_sources();
        let product = self.ir.vcrypto(self.n, op, a, b, b);
        let constant = super::avx::repeated(Lane::B, self.last_immediate());
        let constant = self.ir.vimm(self.n, constant);
        let r = self.ir.vxor(self.n, product, constant);
        self.write_vec(r);
    }

    /// `VPDPBUSD` and its kin: products are added to the destination.
    fn accumulate(&mut self, helper: HelperId) {
        let b = self.read_vec(2);
        let a = self.read_vec(1);
        let sum: Val = self.read_vec(0);
        let r = self.ir.call_vec(self.n, helper, sum, a, b, 0);
        self.write_vec(r);
    }
}
