//! The lazy flag record: stored as four cells, and read from values where the region knows its kind.

use super::{KnownFlags, Lowering, Record};
use crate::exec::jit::cells::FLAG_CELLS;
use crate::exec::jit::entry;
use crate::exec::jit::region::Edge;
use cranelift_codegen::ir::condcodes::IntCC;
use cranelift_codegen::ir::{self, InstBuilder, InstructionData, Opcode, types};
use guest::ir::flags::{OPERANDS, encode_kind, needed, ordering};
use guest::ir::{Cond, FlagKind, Val, Width, flag};
use guest::state::FLAG_KIND;

impl Lowering<'_, '_> {
    pub(super) fn record_flags(&mut self, kind: FlagKind, w: Width, operands: [Val; 3]) {
        let float = operands.iter().any(|&v| self.vals.is_float_result(v));
        let code = self.iconst(encode_kind(kind, w));
        let [a, b, r] = operands.map(|v| self.int(v));
        self.write_cell(FLAG_KIND.0, code, float);
        for ((slot, value), needed) in OPERANDS.iter().zip([a, b, r]).zip(needed(kind)) {
            if needed {
                self.write_cell(slot.0, value, float);
            }
        }
        let forgotten = self.region.cells.forgotten(self.op);
        self.dirty = self.dirty.without(&forgotten);
        self.float_cells = self.float_cells.without(&forgotten);
        self.known_flags = Some(Record::One(KnownFlags { kind, w, a, b, r }));
    }

    pub(super) fn record_flags_if(&mut self, c: Val, kind: FlagKind, w: Width, operands: [Val; 3]) {
        let float = operands.iter().any(|&v| self.vals.is_float_result(v));
        let condition = self.int(c);
        let code = self.iconst(encode_kind(kind, w));
        let [a, b, r] = operands.map(|v| self.int(v));
        // What the other record has no use for may be as this one's.
        let others = match self.known_flags {
            Some(Record::One(other)) => needed(other.kind),
            _ => [true; 3],
        };
        let words = OPERANDS.iter().zip([a, b, r]).zip(needed(kind)).zip(others);
        let operands = words.filter(|((_, needed), _)| *needed).map(|((word, _), other)| (word, other));
        for ((slot, value), other) in [((&FLAG_KIND, code), true)].into_iter().chain(operands) {
            let chosen = if other {
                let old = self.b.use_var(self.vars[self.region.cells.index(slot.0)]);
                self.b.ins().select(condition, value, old)
            } else {
                value
            };
            self.write_cell(slot.0, chosen, float);
        }
        self.known_flags = match self.known_flags {
            Some(Record::One(other)) => {
                Some(Record::Either { condition, set: KnownFlags { kind, w, a, b, r }, other })
            }
            _ => None,
        };
    }

    /// The record in its cells, of a kind that every way here agrees on.
    pub(super) fn recall_flags(&mut self, kind: FlagKind, w: Width) {
        let [_, a, b, r] = self.flag_words();
        self.known_flags = Some(Record::One(KnownFlags { kind, w, a, b, r }));
    }

    /// What is known of the record where a block starts that only one other leads to.
    pub(super) fn flags_on_only_way(&self, block: usize) -> Option<Record> {
        let blocks = &self.region.blocks;
        let leads_here = |edge| matches!(edge, Edge::Inside { block: to, .. } if to == block);
        let mut ways = (0..blocks.len()).flat_map(|from| {
            let edges = [blocks[from].taken, blocks[from].other];
            edges.into_iter().filter(|&edge| leads_here(edge)).map(move |_| from)
        });
        match (ways.next(), ways.next()) {
            (Some(from), None) if block != 0 && from < block => self.flags_at_ends[from],
            _ => None,
        }
    }

    fn flag_words(&mut self) -> [ir::Value; 4] {
        FLAG_CELLS.map(|slot| {
            let cell = self.region.cells.index(slot.0);
            self.b.use_var(self.vars[cell])
        })
    }

    /// A condition as 0 or 1.
    pub(super) fn condition(&mut self, cc: Cond) -> ir::Value {
        if let Some(Record::Either { condition, set, other }) = self.known_flags
            && let Some(holds) = self.both_equal(cc, condition, set, other)
        {
            return self.widen(holds);
        }
        let holds = self.of_record(|lowering, known| match lowering.compared(cc, known) {
            Some(holds) => holds,
            None => lowering.composed(cc, known),
        });
        self.widen(holds)
    }

    /// Two comparisons for equality of which both must hold, as `CCMP` makes them, in one: that all differences are 0.
    fn both_equal(
        &mut self,
        cc: Cond,
        condition: ir::Value,
        set: KnownFlags,
        other: KnownFlags,
    ) -> Option<ir::Value> {
        let test = match cc {
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            _ => return None,
        };
        let flags = self.constant(other.a).filter(|_| other.kind == FlagKind::Packed)?;
        let compares = matches!(set.kind, FlagKind::Sub | FlagKind::SubInv) && set.w == Width::W64;
        if flags as u64 & flag::Z != 0 || !compares {
            return None;
        }
        let first = self.difference_where_equal(condition)?;
        let second = self.b.ins().bxor(set.a, set.b);
        let either = self.b.ins().bor(first, second);
        Some(self.b.ins().icmp_imm_u(test, either, 0))
    }

    /// What is 0 where a condition holds that is a comparison of two words for equality.
    fn difference_where_equal(&mut self, condition: ir::Value) -> Option<ir::Value> {
        let Some(InstructionData::Unary { opcode: Opcode::Uextend, arg }) = self.definition(condition) else {
            return None;
        };
        match self.definition(arg)? {
            InstructionData::IntCompare { cond: IntCC::Equal, args: [a, b], .. }
                if self.b.func.dfg.value_type(a) == types::I64 =>
            {
                Some(self.b.ins().bxor(a, b))
            }
            _ => None,
        }
    }

    /// What `f` makes of the record.
    fn of_record(&mut self, f: impl Fn(&mut Self, KnownFlags) -> ir::Value) -> ir::Value {
        if let (None, Some((kind, w))) = (self.known_flags, self.likely_flags) {
            return self.of_likely(kind, w, f);
        }
        match self.known() {
            Record::One(known) => {
                let known = self.completed(known);
                f(self, known)
            }
            Record::Either { condition, set, other } => {
                let (set, other) = (self.completed(set), self.completed(other));
                let (set, other) = (f(self, set), f(self, other));
                self.b.ins().select(condition, set, other)
            }
        }
    }

    /// What `f` makes of the record, which is most often of this kind.
    fn of_likely(
        &mut self,
        kind: FlagKind,
        w: Width,
        f: impl Fn(&mut Self, KnownFlags) -> ir::Value,
    ) -> ir::Value {
        let words @ [code, a, b, r] = self.flag_words();
        let expected = self.iconst(encode_kind(kind, w));
        let same = self.b.ins().icmp(IntCC::Equal, code, expected);
        let [likely, other, after] = [(); 3].map(|()| self.b.create_block());
        if self.is_aside() {
            [likely, after].into_iter().for_each(|block| self.b.set_cold_block(block));
        }
        self.b.set_cold_block(other);
        self.b.ins().brif(same, likely, &[], other, &[]);
        self.b.switch_to_block(likely);
        let known = self.completed(KnownFlags { kind, w, a, b, r });
        let value = f(self, known);
        let ty = self.b.func.dfg.value_type(value);
        let result = self.b.append_block_param(after, ty);
        self.b.ins().jump(after, &[value.into()]);
        self.b.switch_to_block(other);
        let packed = self.packed_aside(&words);
        let value = f(self, packed);
        self.b.ins().jump(after, &[value.into()]);
        self.b.switch_to_block(after);
        result
    }

    /// The record packed by a call that changes no register.
    fn packed_aside(&mut self, words: &[ir::Value; 4]) -> KnownFlags {
        let context = self.context();
        let callee = self.b.ins().load(types::I64, self.context_flags, context, entry::PACK_FLAGS_ASIDE);
        self.b.ins().call_indirect(self.pack_aside_signature, callee, words);
        let a = self.b.ins().load(types::I64, self.context_flags, context, entry::ASIDE_RESULT);
        KnownFlags { kind: FlagKind::Packed, w: Width::W64, a, b: a, r: a }
    }

    /// The flags' record; packed where their kind is not known here.
    fn known(&mut self) -> Record {
        if let Some(known) = self.known_flags {
            return known;
        }
        let words = self.flag_words();
        let context = self.context();
        let callee = self.b.ins().load(types::I64, self.context_flags, context, entry::PACK_FLAGS);
        let inst = self.b.ins().call_indirect(self.pack_signature, callee, &words);
        let a = self.b.inst_results(inst)[0];
        let known = Record::One(KnownFlags { kind: FlagKind::Packed, w: Width::W64, a, b: a, r: a });
        self.known_flags = Some(known);
        known
    }

    /// The record with what follows from the operands that its kind needs.
    fn completed(&mut self, mut known: KnownFlags) -> KnownFlags {
        match known.kind {
            FlagKind::Add => known.r = self.b.ins().iadd(known.a, known.b),
            FlagKind::Sub | FlagKind::SubInv => known.r = self.b.ins().isub(known.a, known.b),
            FlagKind::Inc => known.a = self.b.ins().iadd_imm_s(known.r, -1),
            FlagKind::Dec => known.a = self.b.ins().iadd_imm_s(known.r, 1),
            _ => {}
        }
        known
    }

    /// All flags, packed.
    pub(super) fn packed_flags(&mut self) -> ir::Value {
        self.of_record(Self::packed)
    }

    fn packed(&mut self, known: KnownFlags) -> ir::Value {
        let (mut packed, more): (_, &[u64]) = match known.kind {
            FlagKind::Packed => return self.b.ins().band_imm_u(known.a, flag::ALL as i64),
            FlagKind::PackedCv => {
                (self.b.ins().band_imm_u(known.r, flag::OTHERS as i64), &[flag::C, flag::V])
            }
            _ => (self.auxiliary(known), &[flag::C, flag::P, flag::Z, flag::S, flag::V]),
        };
        for &bit in more {
            let set = self.flag(bit, known);
            let wide = self.widen(set);
            let moved = self.b.ins().ishl_imm_u(wide, i64::from(bit.trailing_zeros()));
            packed = self.b.ins().bor(packed, moved);
        }
        packed
    }

    /// The carry out of bit 3, where it stands in packed flags.
    fn auxiliary(&mut self, known: KnownFlags) -> ir::Value {
        let KnownFlags { kind, a, b, r, .. } = known;
        let carried = match kind {
            FlagKind::Logic | FlagKind::ResultCv | FlagKind::FcmpX86 | FlagKind::FcmpArm => {
                return self.iconst(0);
            }
            FlagKind::Inc | FlagKind::Dec => {
                let one = self.iconst(1);
                self.b.ins().bxor(a, one)
            }
            _ => self.b.ins().bxor(a, b),
        };
        let carried = self.b.ins().bxor(carried, r);
        self.b.ins().band_imm_u(carried, flag::A as i64)
    }

    /// Conditions that are one comparison of a subtraction's operands.
    fn compared(&mut self, cc: Cond, known: KnownFlags) -> Option<ir::Value> {
        if !matches!(known.kind, FlagKind::Sub | FlagKind::SubInv) {
            return None;
        }
        let inverted = known.kind == FlagKind::SubInv;
        let test = match cc {
            Cond::Eq => IntCC::Equal,
            Cond::Ne => IntCC::NotEqual,
            Cond::Lt => IntCC::SignedLessThan,
            Cond::Ge => IntCC::SignedGreaterThanOrEqual,
            Cond::Le => IntCC::SignedLessThanOrEqual,
            Cond::Gt => IntCC::SignedGreaterThan,
            Cond::Be if !inverted => IntCC::UnsignedLessThanOrEqual,
            Cond::Nbe if !inverted => IntCC::UnsignedGreaterThan,
            Cond::Hi if inverted => IntCC::UnsignedGreaterThan,
            Cond::Ls if inverted => IntCC::UnsignedLessThanOrEqual,
            _ => return None,
        };
        let (a, b) = (self.at_width(known.w, known.a), self.at_width(known.w, known.b));
        Some(self.b.ins().icmp(test, a, b))
    }

    /// Conditions from single flags, as `Cond::holds` has them.
    fn composed(&mut self, cc: Cond, known: KnownFlags) -> ir::Value {
        match cc {
            Cond::Eq => self.flag(flag::Z, known),
            Cond::Cs => self.flag(flag::C, known),
            Cond::Mi => self.flag(flag::S, known),
            Cond::Vs => self.flag(flag::V, known),
            Cond::Pe => self.flag(flag::P, known),
            Cond::Be => {
                let (c, z) = (self.flag(flag::C, known), self.flag(flag::Z, known));
                self.b.ins().bor(c, z)
            }
            Cond::Hi => {
                let (c, z) = (self.flag(flag::C, known), self.flag(flag::Z, known));
                self.b.ins().band_not(c, z)
            }
            Cond::Lt => {
                let (s, v) = (self.flag(flag::S, known), self.flag(flag::V, known));
                self.b.ins().bxor(s, v)
            }
            Cond::Le => {
                let less = self.composed(Cond::Lt, known);
                let z = self.flag(flag::Z, known);
                self.b.ins().bor(less, z)
            }
            _ => {
                let opposite = self.composed(cc.negated(), known);
                self.is_zero(opposite)
            }
        }
    }

    /// A record's value at its width.
    fn at_width(&mut self, w: Width, value: ir::Value) -> ir::Value {
        if w == Width::W64 { value } else { self.b.ins().ireduce(super::values::int_type(w), value) }
    }

    /// One flag as an I8 of 0 or 1; the definition is `FlagRecord::pack`.
    fn flag(&mut self, bit: u64, known: KnownFlags) -> ir::Value {
        match known.kind {
            FlagKind::Packed => self.bit_of(bit, known.a),
            FlagKind::PackedCv if !matches!(bit, flag::C | flag::V) => self.bit_of(bit, known.r),
            FlagKind::FcmpX86 => match bit {
                flag::Z => self.ordered_as(known.r, &[ordering::EQUAL, ordering::UNORDERED]),
                flag::C => self.ordered_as(known.r, &[ordering::LESS, ordering::UNORDERED]),
                flag::P => self.ordered_as(known.r, &[ordering::UNORDERED]),
                _ => self.b.ins().iconst(types::I8, 0),
            },
            FlagKind::FcmpArm => match bit {
                flag::Z => self.ordered_as(known.r, &[ordering::EQUAL]),
                flag::S => self.ordered_as(known.r, &[ordering::LESS]),
                flag::C => {
                    let less = self.ordered_as(known.r, &[ordering::LESS]);
                    self.is_zero(less)
                }
                flag::V => self.ordered_as(known.r, &[ordering::UNORDERED]),
                _ => self.b.ins().iconst(types::I8, 0),
            },
            _ => match bit {
                flag::C => self.carry(known),
                flag::V => self.overflow(known),
                flag::P => self.parity(known.r),
                flag::Z => {
                    let r = self.at_width(known.w, known.r);
                    self.is_zero(r)
                }
                _ => self.is_negative(known.w, known.r),
            },
        }
    }

    fn bit_of(&mut self, bit: u64, packed: ir::Value) -> ir::Value {
        let moved = self.b.ins().ushr_imm_u(packed, i64::from(bit.trailing_zeros()));
        self.low_bit(moved)
    }

    fn ordered_as(&mut self, r: ir::Value, codes: &[u64]) -> ir::Value {
        let mut any = self.b.ins().iconst(types::I8, 0);
        for &code in codes {
            let code = self.iconst(code);
            let same = self.b.ins().icmp(IntCC::Equal, r, code);
            any = self.b.ins().bor(any, same);
        }
        any
    }

    fn parity(&mut self, r: ir::Value) -> ir::Value {
        let low = self.low_bits(Width::W8, r);
        let ones = self.b.ins().popcnt(low);
        let narrow = self.b.ins().ireduce(types::I8, ones);
        let odd = self.b.ins().band_imm_u(narrow, 1);
        self.b.ins().bxor_imm_u(odd, 1)
    }

    fn is_negative(&mut self, w: Width, value: ir::Value) -> ir::Value {
        let value = self.at_width(w, value);
        let ty = self.b.func.dfg.value_type(value);
        let zero = self.b.ins().iconst(ty, 0);
        self.b.ins().icmp(IntCC::SignedLessThan, value, zero)
    }

    fn low_bit(&mut self, value: ir::Value) -> ir::Value {
        let low = self.b.ins().ireduce(types::I8, value);
        self.b.ins().band_imm_u(low, 1)
    }

    fn carry(&mut self, known: KnownFlags) -> ir::Value {
        let KnownFlags { kind, w, a, b, r } = known;
        let (x, y) = match kind {
            FlagKind::Add => (r, a),
            FlagKind::Sub | FlagKind::SubInv => (a, b),
            FlagKind::Inc | FlagKind::Dec => return self.low_bit(b),
            FlagKind::ResultCv | FlagKind::PackedCv => return self.low_bit(a),
            FlagKind::Adc | FlagKind::Sbb | FlagKind::SbcInv => return self.carry_by_majority(known),
            _ => return self.b.ins().iconst(types::I8, 0),
        };
        let test = if kind == FlagKind::SubInv {
            IntCC::UnsignedGreaterThanOrEqual
        } else {
            IntCC::UnsignedLessThan
        };
        let (x, y) = (self.at_width(w, x), self.at_width(w, y));
        self.b.ins().icmp(test, x, y)
    }

    /// Carry or borrow out of the top bit, from operands and result.
    fn carry_by_majority(&mut self, known: KnownFlags) -> ir::Value {
        let KnownFlags { kind, w, a, b, r } = known;
        if kind == FlagKind::Adc {
            let (both, either) = (self.b.ins().band(a, b), self.b.ins().bor(a, b));
            let lost = self.b.ins().band_not(either, r);
            let carried = self.b.ins().bor(both, lost);
            return self.is_negative(w, carried);
        }
        let below = self.b.ins().band_not(b, a);
        let not_a = self.b.ins().bnot(a);
        let reach = self.b.ins().bor(not_a, b);
        let kept = self.b.ins().band(reach, r);
        let borrowed = self.b.ins().bor(below, kept);
        let borrow = self.is_negative(w, borrowed);
        if kind == FlagKind::SbcInv { self.is_zero(borrow) } else { borrow }
    }

    fn overflow(&mut self, known: KnownFlags) -> ir::Value {
        let KnownFlags { kind, w, a, b, r } = known;
        let (x, y) = match kind {
            FlagKind::Add | FlagKind::Adc => (self.b.ins().bxor(a, r), self.b.ins().bxor(b, r)),
            FlagKind::Sub | FlagKind::Sbb | FlagKind::SubInv | FlagKind::SbcInv => {
                (self.b.ins().bxor(a, b), self.b.ins().bxor(a, r))
            }
            FlagKind::Inc | FlagKind::Dec => {
                let value = if kind == FlagKind::Inc { r } else { a };
                let value = self.low_bits_or_all(w, value);
                let top = self.iconst(w.sign_bit());
                return self.b.ins().icmp(IntCC::Equal, value, top);
            }
            FlagKind::ResultCv | FlagKind::PackedCv => return self.low_bit(b),
            _ => return self.b.ins().iconst(types::I8, 0),
        };
        let both = self.b.ins().band(x, y);
        self.is_negative(w, both)
    }

    fn low_bits_or_all(&mut self, w: Width, value: ir::Value) -> ir::Value {
        if w == Width::W64 { value } else { self.low_bits(w, value) }
    }
}
