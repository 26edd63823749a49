//! Comparisons, and conditions on the flag record.
//!
//! The record's kind is known where the block itself has set it. Where it comes from before the block, it
//! is taken to be of the kind it had when the block was made; the code checks that and else calls the
//! interpreter.

use super::asm::{Alu, Cc, Label, RAX, RCX, Rm, fits};
use super::regs::{Loc, state};
use super::{Emitter, Flags};
use guest::ir::flags::encode_kind;
use guest::ir::{Cond, FlagKind, IntCc, Val, Width};
use guest::state::{FLAG_A, FLAG_B, FLAG_KIND, FLAG_R};

/// The host's name for a comparison.
pub fn host_cc(cc: IntCc) -> Cc {
    match cc {
        IntCc::Eq => Cc::E,
        IntCc::Ne => Cc::Ne,
        IntCc::Ult => Cc::B,
        IntCc::Ule => Cc::Be,
        IntCc::Ugt => Cc::A,
        IntCc::Uge => Cc::Ae,
        IntCc::Slt => Cc::L,
        IntCc::Sle => Cc::Le,
        IntCc::Sgt => Cc::G,
        IntCc::Sge => Cc::Ge,
    }
}

/// How a record's flags are made again as the host's own.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Remade {
    /// `cmp a, b`
    Compare,
    /// `add a, b`
    Add,
    /// `test r, r`
    Result,
}

/// The host's condition for `cc` on a record of this kind, if one instruction makes its flags again.
fn remade(kind: FlagKind, cc: Cond) -> Option<(Remade, Cc)> {
    let inverted = kind == FlagKind::SubInv;
    let signed = match cc {
        Cond::Eq => Cc::E,
        Cond::Ne => Cc::Ne,
        Cond::Mi => Cc::S,
        Cond::Pl => Cc::Ns,
        Cond::Pe => Cc::P,
        Cond::Po => Cc::Np,
        _ => return carried(kind, cc, inverted),
    };
    match kind {
        FlagKind::Sub | FlagKind::SubInv => Some((Remade::Compare, signed)),
        FlagKind::Packed | FlagKind::FcmpX86 | FlagKind::FcmpArm => None,
        _ => Some((Remade::Result, signed)),
    }
}

/// Conditions on carry and overflow.
fn carried(kind: FlagKind, cc: Cond, inverted: bool) -> Option<(Remade, Cc)> {
    let host = match cc {
        Cond::Vs => Cc::O,
        Cond::Vc => Cc::No,
        Cond::Lt => Cc::L,
        Cond::Ge => Cc::Ge,
        Cond::Le => Cc::Le,
        Cond::Gt => Cc::G,
        Cond::Cs if inverted => Cc::Ae,
        Cond::Cc if inverted => Cc::B,
        Cond::Hi if inverted => Cc::A,
        Cond::Ls if inverted => Cc::Be,
        Cond::Cs => Cc::B,
        Cond::Cc => Cc::Ae,
        Cond::Be if !inverted => Cc::Be,
        Cond::Nbe if !inverted => Cc::A,
        _ => return None,
    };
    match kind {
        FlagKind::Sub | FlagKind::SubInv => Some((Remade::Compare, host)),
        FlagKind::Add => Some((Remade::Add, host)),
        FlagKind::Logic => Some((Remade::Result, host)),
        _ => None,
    }
}

impl Emitter {
    /// Compares two values.
    pub(super) fn compare(&mut self, cc: IntCc, w: Width, a: Val, b: Val) -> Cc {
        match self.konst(b).filter(|&value| fits(w, value)) {
            Some(value)
                if value & w.mask() == 0 && matches!(cc, IntCc::Eq | IntCc::Ne | IntCc::Slt | IntCc::Sge) =>
            {
                let x = self.int(a);
                self.asm.test(w, x, x);
            }
            Some(value) => {
                let x = self.int(a);
                self.asm.alu_ri(Alu::Cmp, w, Rm::Reg(x), value);
            }
            None => {
                let (x, y) = (self.int(a), self.int(b));
                self.asm.alu_rr(Alu::Cmp, w, x, y);
            }
        }
        host_cc(cc)
    }

    pub(super) fn record_flags(&mut self, kind: FlagKind, w: Width, a: Val, b: Val, r: Val) {
        self.asm.store_imm(Width::W64, encode_kind(kind, w), state(FLAG_KIND.0));
        for (slot, v) in [(FLAG_A, a), (FLAG_B, b), (FLAG_R, r)] {
            self.store_int(Width::W64, v, state(slot.0));
        }
        self.flags = Flags::Set { kind, w, a, b, r };
    }

    /// Stores a value's low bits.
    pub(super) fn store_int(&mut self, w: Width, v: Val, to: Rm) {
        match self.regs.loc(v) {
            Loc::Konst(value) if fits(w, value) => self.asm.store_imm(w, value, to),
            Loc::Konst(value) => {
                self.asm.mov_ri(RCX, value);
                self.asm.store(w, RCX, to);
            }
            _ => {
                let reg = self.int(v);
                self.asm.store(w, reg, to);
            }
        }
    }

    /// A condition on the record, as 0 or 1.
    pub(super) fn record_condition(&mut self, dst: Val, cc: Cond) {
        match self.flags {
            Flags::Set { kind, w, .. } => match remade(kind, cc) {
                Some((how, host)) => {
                    self.remake(how, w);
                    let reg = self.define_int(dst);
                    self.asm.setcc(host, reg);
                }
                None => self.slow(),
            },
            Flags::Entry => match remade(self.predicted.kind, cc) {
                Some((how, host)) => self.predicted_condition(dst, how, host),
                None => self.slow(),
            },
            Flags::Unknown => self.slow(),
        }
    }

    /// Makes the host's flags those of the record in the state.
    fn remake(&mut self, how: Remade, w: Width) {
        match how {
            Remade::Compare | Remade::Add => {
                self.asm.load(Width::W64, RAX, state(FLAG_A.0));
                self.asm.load(Width::W64, RCX, state(FLAG_B.0));
                let what = if how == Remade::Add { Alu::Add } else { Alu::Cmp };
                self.asm.alu_rr(what, w, RAX, RCX);
            }
            Remade::Result => {
                self.asm.load(Width::W64, RAX, state(FLAG_R.0));
                self.asm.test(w, RAX, RAX);
            }
        }
    }

    /// The same where the kind must be checked: all registers are in their cells on both ways, so that they
    /// meet again.
    fn predicted_condition(&mut self, dst: Val, how: Remade, host: Cc) {
        let Some(index) = super::slow::add(self.op, self.nan_rule) else {
            self.complete = false;
            return;
        };
        self.need_context();
        self.spill_for_call();
        let expected = encode_kind(self.predicted.kind, self.predicted.w);
        self.asm.alu_ri(Alu::Cmp, Width::W64, state(FLAG_KIND.0), expected);
        self.asm.code.extend_from_slice(&[0x70 | Cc::Ne as u8, 0]);
        let from = self.asm.here();
        self.remake(how, self.predicted.w);
        self.asm.setcc(host, RAX);
        self.asm.code.extend_from_slice(&[0xeb, 0]);
        let skip = self.asm.here();
        self.asm.code[from - 1] = (skip - from) as u8;
        self.call_slow(index);
        self.asm.load(Width::W64, RAX, super::regs::cell(dst));
        let end = self.asm.here();
        self.asm.code[skip - 1] = (end - skip) as u8;
        let reg = self.define_int(dst);
        self.asm.mov_rr(reg, RAX);
    }

    /// A fresh register that is 0 or 1 as `cc` says.
    pub(super) fn set_from(&mut self, dst: Val, cc: Cc) {
        let reg = self.define_int(dst);
        self.asm.setcc(cc, reg);
    }

    pub(super) fn rip(label: Label) -> Rm {
        Rm::Rip { to: label, after: 0 }
    }
}
