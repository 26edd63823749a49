//! Comparisons, and conditions on the flag record.
//!
//! The record's kind is known where the block itself has set it. Where it comes from before the block, it
//! is taken to be of the kind it had when the block was made; the code checks that and else calls the
//! interpreter.

use super::asm::{Alu, Cc, Label, RAX, RCX, Reg, Rm, Shift, fits, op};
use super::regs::{Loc, state};
use super::{Emitter, Flags, Predicted, slow};
use crate::exec::jit::entry;
use guest::ir::flags::{OPERANDS, encode_kind, needed};
use guest::ir::{Cond, FlagKind, IntCc, Val, Width, flag};
use guest::state::{FLAG_A, FLAG_B, FLAG_KIND, FLAG_R};
use smallvec::SmallVec;

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
    /// From the packed flags.
    Packed,
    /// The same with the carry inverted.
    PackedInverted,
    /// From a result, a carry and an overflow, which are packed first.
    ResultCv,
    /// The same where what is not carry or overflow is packed already.
    PackedCv,
    /// `inc` of what is one less, with the carry as it was.
    Inc,
    Dec,
    /// `adc a, b`, with the carry that went in.
    Adc,
    Sbb,
}

/// The host's condition for `cc` on a record of this kind, if one instruction makes its flags again.
fn remade(kind: FlagKind, cc: Cond) -> Option<(Remade, Cc)> {
    let inverted = matches!(kind, FlagKind::SubInv | FlagKind::SbcInv);
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
        FlagKind::Add => Some((Remade::Add, signed)),
        FlagKind::Packed => Some((Remade::Packed, signed)),
        FlagKind::PackedCv => Some((Remade::PackedCv, signed)),
        FlagKind::FcmpX86 | FlagKind::FcmpArm => None,
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
        // Carry and not zero: above, if no carry is one.
        Cond::Hi if kind == FlagKind::Packed => return Some((Remade::PackedInverted, Cc::A)),
        Cond::Ls if kind == FlagKind::Packed => return Some((Remade::PackedInverted, Cc::Be)),
        _ => return None,
    };
    match kind {
        FlagKind::Sub | FlagKind::SubInv => Some((Remade::Compare, host)),
        FlagKind::Add => Some((Remade::Add, host)),
        FlagKind::Logic => Some((Remade::Result, host)),
        FlagKind::Packed => Some((Remade::Packed, host)),
        FlagKind::ResultCv if !matches!(cc, Cond::Hi | Cond::Ls) => Some((Remade::ResultCv, host)),
        FlagKind::PackedCv => Some((Remade::PackedCv, host)),
        FlagKind::Inc => Some((Remade::Inc, host)),
        FlagKind::Dec => Some((Remade::Dec, host)),
        FlagKind::Adc => Some((Remade::Adc, host)),
        FlagKind::Sbb | FlagKind::SbcInv => Some((Remade::Sbb, host)),
        _ => None,
    }
}

/// Whether a piece could be emitted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Can {
    Do,
    /// Nothing was.
    Not,
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
        let code = encode_kind(kind, w);
        let operands = OPERANDS.into_iter().zip([a, b, r]).zip(needed(kind));
        let operands = operands.filter_map(|(operand, needed)| needed.then_some(operand));
        if !self.record_late(code, operands.clone()) {
            self.asm.store_imm(Width::W64, code, state(FLAG_KIND.0));
            operands.for_each(|(slot, v)| self.store_int(Width::W64, v, state(slot.0)));
        }
        self.flags = Flags::Set { kind, w };
    }

    /// The same where `c` is not 0. That it is, is what is foretold from here on.
    pub(super) fn record_flags_if(&mut self, c: Val, kind: FlagKind, w: Width, operands: [Val; 3]) {
        // What is stored is in registers before the jump, so that both ways know where it is.
        for v in operands {
            if self.konst(v).is_none() {
                self.int(v);
            }
        }
        let cc = self.condition(c);
        let was_packed = matches!(self.flags, Flags::Set { kind: FlagKind::Packed, .. });
        let over = self.jump_ahead(0x70 | (cc as u8 ^ 1));
        let [a, b, r] = operands;
        self.record_flags(kind, w, a, b, r);
        self.land(over);
        self.flags = Flags::Entry;
        self.predicted = Predicted { kind, w };
        self.else_packed = was_packed;
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
        self.by_record(dst, |e, kind, w| {
            let Some((how, host)) = remade(kind, cc) else { return Can::Not };
            e.remake(how, w);
            e.asm.setcc(host, RAX);
            Can::Do
        });
    }

    /// All flags of the record, packed.
    pub(super) fn record_packed(&mut self, dst: Val) {
        self.by_record(dst, |e, kind, w| {
            let how = match kind {
                FlagKind::Packed => {
                    e.asm.load(Width::W64, RAX, state(FLAG_A.0));
                    e.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RAX), flag::ALL);
                    return Can::Do;
                }
                FlagKind::ResultCv => {
                    e.pack_result(w);
                    return Can::Do;
                }
                FlagKind::PackedCv => {
                    e.pack_parted();
                    return Can::Do;
                }
                FlagKind::Sub | FlagKind::SubInv => Remade::Compare,
                FlagKind::Add => Remade::Add,
                FlagKind::Inc => Remade::Inc,
                FlagKind::Dec => Remade::Dec,
                FlagKind::Adc => Remade::Adc,
                FlagKind::Sbb | FlagKind::SbcInv => Remade::Sbb,
                FlagKind::Logic => Remade::Result,
                FlagKind::FcmpX86 | FlagKind::FcmpArm => return Can::Not,
            };
            e.remake(how, w);
            e.pack_host_flags(kind);
            Can::Do
        });
    }

    /// The host's flags, which are those of a record of that kind but for what the kind has otherwise, in rax.
    fn pack_host_flags(&mut self, kind: FlagKind) {
        // seto al; lahf: the low byte of the flags goes to ah.
        self.asm.code.extend_from_slice(&[0x0f, 0x90, 0xc0, 0x9f]);
        self.asm.load(Width::W8, RCX, Rm::Reg(RAX));
        self.asm.shift_ri(Shift::Shl, Width::W32, RCX, flag::V.trailing_zeros() as u8);
        self.asm.shift_ri(Shift::Shr, Width::W32, RAX, 8);
        let low = flag::C | flag::P | flag::Z | flag::S;
        let kept = if kind == FlagKind::Logic { low } else { low | flag::A };
        self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RAX), kept);
        self.asm.alu_rr(Alu::Or, Width::W32, RAX, RCX);
        if matches!(kind, FlagKind::SubInv | FlagKind::SbcInv) {
            self.asm.alu_ri(Alu::Xor, Width::W32, Rm::Reg(RAX), flag::C);
        }
    }

    /// The flags of a record of a result, a carry and an overflow, packed in rax.
    fn pack_result(&mut self, w: Width) {
        self.remake(Remade::Result, w);
        self.asm.code.push(0x9f); // lahf
        self.asm.shift_ri(Shift::Shr, Width::W32, RAX, 8);
        self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RAX), flag::P | flag::Z | flag::S);
        self.add_carry_and_overflow();
    }

    /// The same where the other flags are packed already.
    fn pack_parted(&mut self) {
        self.asm.load(Width::W32, RAX, state(FLAG_R.0));
        self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RAX), flag::OTHERS);
        self.add_carry_and_overflow();
    }

    /// Adds these two to packed flags in rax.
    fn add_carry_and_overflow(&mut self) {
        for (slot, flag) in [(FLAG_A, flag::C), (FLAG_B, flag::V)] {
            self.asm.load(Width::W32, RCX, state(slot.0));
            self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RCX), 1);
            self.asm.shift_ri(Shift::Shl, Width::W32, RCX, flag.trailing_zeros() as u8);
            self.asm.alu_rr(Alu::Or, Width::W32, RAX, RCX);
        }
    }

    /// A value made from the record by `piece`, which leaves it in rax, if it can for the record's kind.
    fn by_record(&mut self, dst: Val, piece: impl Fn(&mut Self, FlagKind, Width) -> Can) {
        match self.flags {
            Flags::Set { kind, w } => {
                if piece(self, kind, w) == Can::Not {
                    return self.slow();
                }
                let reg = self.define_int(dst);
                self.asm.mov_rr(reg, RAX);
            }
            Flags::Entry => self.foretold(dst, piece),
            Flags::Unknown => self.slow(),
        }
    }

    /// The same where the kind must be checked: all registers are in their cells on all ways, so that they meet again. Behind
    /// a write that depends on a condition the record is packed where that did not hold.
    fn foretold(&mut self, dst: Val, piece: impl Fn(&mut Self, FlagKind, Width) -> Can) {
        self.need_context();
        self.spill_for_call();
        let mut ends = SmallVec::<[usize; 2]>::new();
        let packed = self.else_packed.then_some(Predicted { kind: FlagKind::Packed, w: Width::W64 });
        for Predicted { kind, w } in [self.predicted].into_iter().chain(packed) {
            self.asm.alu_ri(Alu::Cmp, Width::W64, state(FLAG_KIND.0), encode_kind(kind, w));
            let other = self.jump_ahead(0x70 | Cc::Ne as u8);
            if piece(self, kind, w) == Can::Not {
                return self.slow();
            }
            ends.push(self.jump_ahead(0xeb));
            self.land(other);
        }
        let Some(index) = slow::add(self.op, self.nan_rule) else {
            self.complete = false;
            return;
        };
        self.call_out(index, entry::SLOW_OP);
        self.asm.load(Width::W64, RAX, super::regs::cell(dst));
        ends.into_iter().for_each(|end| self.land(end));
        let reg = self.define_int(dst);
        self.asm.mov_rr(reg, RAX);
    }

    /// A short jump whose target is not known yet: where it goes from.
    pub(super) fn jump_ahead(&mut self, opcode: u8) -> usize {
        self.asm.code.extend_from_slice(&[opcode, 0]);
        self.asm.here()
    }

    /// Makes such a jump lead here.
    pub(super) fn land(&mut self, from: usize) {
        let length = self.asm.here() - from;
        debug_assert!(length < 128, "a short jump stays short");
        self.complete &= length < 128;
        self.asm.code[from - 1] = length as u8;
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
            Remade::ResultCv => {
                self.pack_result(w);
                self.unpack_flags();
            }
            Remade::PackedCv => {
                self.pack_parted();
                self.unpack_flags();
            }
            Remade::Inc | Remade::Dec => {
                let (before, extension) = if how == Remade::Inc { (-1, Reg(0)) } else { (1, Reg(1)) };
                self.asm.load(Width::W64, RAX, state(FLAG_R.0));
                self.asm.load(Width::W32, RCX, state(FLAG_B.0));
                self.asm.lea(RAX, Rm::Mem(RAX, before));
                self.asm.shift_ri(Shift::Shr, Width::W32, RCX, 1);
                let code = if w == Width::W8 { op(0xfe) } else { op(0xff) };
                self.asm.ins(code, w, extension, Rm::Reg(RAX));
            }
            Remade::Adc | Remade::Sbb => {
                // What went in is the lowest bit of all three together.
                self.asm.load(Width::W64, RCX, state(FLAG_B.0));
                self.asm.load(Width::W32, RAX, state(FLAG_A.0));
                self.asm.alu_rr(Alu::Xor, Width::W32, RAX, RCX);
                self.asm.ins(op(0x33), Width::W32, RAX, state(FLAG_R.0));
                self.asm.shift_ri(Shift::Shr, Width::W32, RAX, 1);
                self.asm.load(Width::W64, RAX, state(FLAG_A.0));
                let what = if how == Remade::Adc { Alu::Adc } else { Alu::Sbb };
                self.asm.alu_rr(what, w, RAX, RCX);
            }
            Remade::Packed | Remade::PackedInverted => {
                self.asm.load(Width::W64, RAX, state(FLAG_A.0));
                self.unpack_flags();
                if how == Remade::PackedInverted {
                    self.asm.code.push(0xf5); // cmc
                }
            }
        }
    }

    /// Makes the host's flags those that are packed in rax.
    fn unpack_flags(&mut self) {
        // The overflow flag first, by an addition that overflows if its bit was set; sahf leaves it alone, and takes the others
        // from ah.
        self.asm.mov_rr(RCX, RAX);
        self.asm.shift_ri(Shift::Shl, Width::W32, RAX, 8);
        self.asm.shift_ri(Shift::Shr, Width::W32, RCX, flag::V.trailing_zeros() as u8);
        self.asm.alu_ri(Alu::And, Width::W32, Rm::Reg(RCX), 1);
        self.asm.alu_ri(Alu::Add, Width::W32, Rm::Reg(RCX), i32::MAX as u64);
        self.asm.code.push(0x9e); // sahf
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
