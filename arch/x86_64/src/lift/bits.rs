//! Single bits, bit scans, counts, CRC32.

use super::operand::{Mem, Place, address_width};
use super::{Handler, Lifter};
use crate::cpu::feature;
use crate::helpers::id;
use guest::ir::{FlagKind, IntCc, Order, RmwOp, Val, Width, flag};
use iced_x86::{Instruction, Mnemonic as M, OpKind};

pub(super) fn lookup(insn: &Instruction, features: u64) -> Option<Handler> {
    Some(match insn.mnemonic() {
        M::Bt => |l| l.bit_test(None),
        M::Bts => |l| l.bit_test(Some(RmwOp::Or)),
        M::Btr => |l| l.bit_test(Some(RmwOp::AndNot)),
        M::Btc => |l| l.bit_test(Some(RmwOp::Xor)),
        // Without BMI1 and LZCNT the prefix of TZCNT and LZCNT is ignored.
        M::Tzcnt if features & feature::BMI1 != 0 => |l| l.count_zeros(|l, w, a| l.ir.ctz(w, a)),
        M::Lzcnt if features & feature::LZCNT != 0 => |l| l.count_zeros(|l, w, a| l.ir.clz(w, a)),
        M::Bsf | M::Tzcnt => |l| l.bit_scan(Scan::Forward),
        M::Bsr | M::Lzcnt => |l| l.bit_scan(Scan::Reverse),
        M::Popcnt => Lifter::popcnt,
        M::Crc32 => Lifter::crc32,
        _ => return None,
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Scan {
    Forward,
    Reverse,
}

impl Lifter {
    /// `BT`, `BTS`, `BTR`, `BTC`: the carry is the bit; the other flags stay.
    fn bit_test(&mut self, change: Option<RmwOp>) {
        let w = self.width(0);
        let index = self.read(1);
        let place = self.bit_place(w, index);
        let one = self.ir.imm(1);
        let last = self.ir.imm(u64::from(w.bits()) - 1);
        let bit = self.ir.and(Width::W64, index, last);
        let mask = change.map(|_| self.ir.shl(Width::W64, one, bit));
        let old = match (place, change, mask) {
            (Place::Mem(mem), Some(op), Some(mask)) if self.insn.has_lock_prefix() => {
                let addr = self.flat(mem);
                self.ir.rmw(op, w, Order::SeqCst, addr, mask)
            }
            (_, Some(op), Some(mask)) => {
                let old = self.get_place(place, w);
                let new = match op {
                    RmwOp::Or => self.ir.or(w, old, mask),
                    RmwOp::AndNot => self.ir.andnot(w, old, mask),
                    _ => self.ir.xor(w, old, mask),
                };
                self.put_place(place, w, new);
                old
            }
            _ => self.get_place(place, w),
        };
        let down = self.ir.shr(Width::W64, old, bit);
        let carry = self.ir.extract(0, 1, down);
        self.replace_carry(carry);
    }

    /// The operand that holds the bit: with a register index a memory operand is a bit string.
    pub(super) fn bit_place(&mut self, w: Width, index: Val) -> Place {
        let place = self.place(0);
        let (Place::Mem(mem), OpKind::Register) = (place, self.insn.op_kind(1)) else { return place };
        let signed = self.ir.sext(w, index);
        let log_bits = self.ir.imm(u64::from(w.bits().trailing_zeros()));
        let log_bytes = self.ir.imm(u64::from(w.bytes().trailing_zeros()));
        let unit = self.ir.sar(Width::W64, signed, log_bits);
        let offset = self.ir.shl(Width::W64, unit, log_bytes);
        if address_width(&self.insn) == Width::W32 {
            let (start, segment) = (self.effective_address(Width::W32), self.segment_base());
            let addr = self.ir.add(Width::W32, start, offset);
            return Place::Mem(Mem { addr: self.plus_segment(addr, segment), off: 0 });
        }
        let addr = self.ir.add(Width::W64, mem.addr, offset);
        Place::Mem(Mem { addr, off: mem.off })
    }

    /// Replaces the carry in the flags.
    pub(super) fn replace_carry(&mut self, carry: Val) {
        let [others, _, overflow] = self.parted_flags();
        self.put_parted_flags([others, carry, overflow]);
    }

    /// `BSF`, `BSR`: for 0 the destination stays, as processors do and software relies on.
    fn bit_scan(&mut self, scan: Scan) {
        let w = self.width(0);
        let source = self.read(1);
        let found = match scan {
            Scan::Forward => self.ir.ctz(w, source),
            Scan::Reverse => {
                let zeros = self.ir.clz(w, source);
                let last = self.ir.imm(u64::from(w.bits()) - 1);
                self.ir.sub(w, last, zeros)
            }
        };
        let place = Place::Reg(self.reg(0));
        let old = self.get_place(place, w);
        let nonzero = self.is_nonzero(w, source);
        let r = self.ir.select(nonzero, found, old);
        // A 32-bit destination that stays keeps its upper half too.
        let slot = super::operand::gpr_slot(self.reg(0));
        match w {
            Width::W32 | Width::W64 => self.ir.write_slot(slot, r),
            _ => self.put_place(place, w, r),
        }
        self.set_flags(FlagKind::Logic, w, source, source, source);
    }

    /// `POPCNT`: clears all flags but Z.
    fn popcnt(&mut self) {
        let w = self.width(0);
        let source = self.read(1);
        let count = self.ir.popcnt(w, source);
        self.write(0, count);
        let (zero, shift) = (self.is_zero(w, source), self.ir.imm(u64::from(flag::Z.trailing_zeros())));
        let flags = self.ir.shl(Width::W64, zero, shift);
        self.put_flags(flags);
    }

    /// `CRC32`: the Castagnoli polynomial.
    fn crc32(&mut self) {
        let source = self.read_clean(1);
        let bytes = self.width(1).bytes();
        let (crc, bytes) = (self.read_reg(self.reg(0)), self.ir.imm(u64::from(bytes)));
        let r = self.ir.call(id::CRC32C, crc, source, bytes);
        self.write_reg(self.reg(0), r);
    }

    /// 1 where the values are equal.
    pub(super) fn equals(&mut self, w: Width, a: Val, b: Val) -> Val {
        self.ir.icmp(IntCc::Eq, w, a, b)
    }
}
