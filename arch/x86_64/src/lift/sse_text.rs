//! `PCMPESTRI`, `PCMPESTRM`, `PCMPISTRI`, `PCMPISTRM`: pure helpers, which give the result and the flags.

use super::{Handler, Lifter};
use crate::helpers::id;
use crate::state::{RAX, RCX, RDX};
use guest::ir::{HelperId, Lane, Val, VecLen, Width};
use iced_x86::{Mnemonic as M, Register};

const N: VecLen = VecLen::X1;

pub(super) fn lookup(mnemonic: M) -> Option<Handler> {
    Some(match mnemonic {
        M::Pcmpistri => |l| l.text_compare(Lengths::Implicit, Output::Index),
        M::Pcmpistrm => |l| l.text_compare(Lengths::Implicit, Output::Mask),
        M::Pcmpestri | M::Pcmpestri64 => |l| l.text_compare(Lengths::Explicit, Output::Index),
        M::Pcmpestrm | M::Pcmpestrm64 => |l| l.text_compare(Lengths::Explicit, Output::Mask),
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Lengths {
    Implicit,
    Explicit,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Output {
    Index,
    Mask,
}

impl Lifter {
    fn text_compare(&mut self, lengths: Lengths, output: Output) {
        let b = self.read_vec_unaligned(1);
        let a = self.read_vec(0);
        let (lengths, helpers) = match lengths {
            Lengths::Implicit => (a, (id::PCMPISTR, id::PCMPISTRM)),
            Lengths::Explicit => (self.explicit_lengths(), (id::PCMPESTR, id::PCMPESTRM)),
        };
        let imm = self.insn.immediate(2) as u32 & 0xff;
        let summary = self.ir.call_vec(N, helpers.0, a, b, lengths, imm);
        match output {
            Output::Index => {
                let index = self.lane_of(Lane::D, 0, summary);
                self.ir.write_slot(RCX, index);
            }
            Output::Mask => self.put_text_mask(helpers.1, a, b, lengths, imm),
        }
        let flags = self.lane_of(Lane::D, 1, summary);
        self.put_flags(flags);
    }

    fn put_text_mask(&mut self, helper: HelperId, a: Val, b: Val, lengths: Val, imm: u32) {
        let mask = self.ir.call_vec(N, helper, a, b, lengths, imm);
        self.write_vector(Register::XMM0, mask);
    }

    /// rax and rdx as signed lengths; 32 bits of them without REX.W.
    fn explicit_lengths(&mut self) -> Val {
        let (mut rax, mut rdx) = (self.ir.read_slot(RAX), self.ir.read_slot(RDX));
        let wide = [M::Pcmpestri64, M::Pcmpestrm64, M::Vpcmpestri64, M::Vpcmpestrm64];
        if !wide.contains(&self.insn.mnemonic()) {
            (rax, rdx) = (self.ir.sext(Width::W32, rax), self.ir.sext(Width::W32, rdx));
        }
        self.ir.vpair(N, rax, rdx)
    }
}
