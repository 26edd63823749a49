//! Loads and stores of single registers and pairs.

use super::{Lifter, X1};
use crate::decode::Insn;
use crate::features;
use crate::state::x;
use guest::ir::{Lane, Locality, Order, Val, Width};

/// How a loaded value fills its register.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fill {
    Zero,
    SignTo64,
    SignTo32,
}

/// A vector register's part that a load or store moves.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Part {
    Scalar(Width),
    Whole,
}

impl Part {
    const fn bytes(self) -> u32 {
        match self {
            Self::Scalar(w) => w.bytes(),
            Self::Whole => 16,
        }
    }

    /// From `size` and the upper bit of `opc` of single-register forms.
    const fn of_single(insn: Insn) -> Self {
        if insn.bit(23) { Self::Whole } else { Self::Scalar(insn.access()) }
    }

    /// From `opc` of pairs and literals.
    const fn of_pair(insn: Insn) -> Self {
        match insn.bits(30, 2) {
            0 => Self::Scalar(Width::W32),
            1 => Self::Scalar(Width::W64),
            _ => Self::Whole,
        }
    }
}

/// Where an access goes and what becomes of the base register.
struct Place {
    addr: Val,
    off: i32,
    /// The base register and its new value.
    writeback: Option<(u16, Val)>,
}

const fn fill(insn: Insn) -> Fill {
    match insn.bits(22, 2) {
        2 => Fill::SignTo64,
        3 => Fill::SignTo32,
        _ => Fill::Zero,
    }
}

impl Lifter {
    fn place_unsigned(&mut self, insn: Insn, bytes: u32) -> Place {
        let addr = self.x_or_sp(insn.rn());
        Place { addr, off: (insn.bits(10, 12) * bytes) as i32, writeback: None }
    }

    /// Unscaled, unprivileged, post-indexed and pre-indexed: bits 11:10.
    fn place_indexed(&mut self, insn: Insn) -> Place {
        let imm = insn.signed(12, 9);
        self.place_by_mode(insn, imm, insn.bit(10), insn.bit(11))
    }

    fn place_by_mode(&mut self, insn: Insn, imm: i64, writes_back: bool, pre: bool) -> Place {
        let base = self.x_or_sp(insn.rn());
        if !writes_back {
            return Place { addr: base, off: imm as i32, writeback: None };
        }
        let moved = self.ir.add_imm(base, imm);
        let addr = if pre { moved } else { base };
        Place { addr, off: 0, writeback: Some((insn.rn(), moved)) }
    }

    fn place_register(&mut self, insn: Insn, bytes: u32) -> Place {
        let index = self.x(insn.rm());
        let shift = if insn.bit(12) { bytes.trailing_zeros() } else { 0 };
        let index = self.extend(index, insn.bits(13, 3), shift);
        let base = self.x_or_sp(insn.rn());
        let addr = self.ir.add(Width::W64, base, index);
        Place { addr, off: 0, writeback: None }
    }

    fn place_pair(&mut self, insn: Insn, bytes: u32) -> Place {
        let imm = insn.signed(15, 7) * i64::from(bytes);
        self.place_by_mode(insn, imm, insn.bit(23), insn.bit(24))
    }

    fn write_back(&mut self, place: &Place) {
        if let Some((n, value)) = place.writeback {
            self.ir.write_slot(x(n), value);
        }
    }

    fn load_filled(&mut self, w: Width, order: Order, fill: Fill, addr: Val, off: i32) -> Val {
        let value = self.ir.load(w, order, addr, off);
        match fill {
            // What was loaded has zeros above it.
            Fill::Zero => value,
            _ => self.filled(w, fill, value),
        }
    }

    /// The low `w` of a value, extended.
    fn filled(&mut self, w: Width, fill: Fill, value: Val) -> Val {
        match fill {
            Fill::Zero => self.ir.zext(w, value),
            Fill::SignTo64 => self.ir.sext(w, value),
            Fill::SignTo32 => {
                let extended = self.ir.sext(w, value);
                self.ir.zext(Width::W32, extended)
            }
        }
    }

    fn load_single(&mut self, insn: Insn, place: &Place) {
        let value = self.load_filled(insn.access(), Order::Relaxed, fill(insn), place.addr, place.off);
        self.write_back(place);
        self.set_x(insn.rd(), value);
    }

    fn store_single(&mut self, insn: Insn, place: &Place) {
        let value = self.x(insn.rd());
        self.ir.store(insn.access(), Order::Relaxed, place.addr, place.off, value);
        self.write_back(place);
    }

    pub fn ldr_unsigned(&mut self, insn: Insn) {
        let place = self.place_unsigned(insn, insn.access().bytes());
        self.load_single(insn, &place);
    }

    pub fn str_unsigned(&mut self, insn: Insn) {
        let place = self.place_unsigned(insn, insn.access().bytes());
        self.store_single(insn, &place);
    }

    pub fn ldr_register(&mut self, insn: Insn) {
        let place = self.place_register(insn, insn.access().bytes());
        self.load_single(insn, &place);
    }

    pub fn str_register(&mut self, insn: Insn) {
        let place = self.place_register(insn, insn.access().bytes());
        self.store_single(insn, &place);
    }

    pub fn ldr_indexed(&mut self, insn: Insn) {
        let place = self.place_indexed(insn);
        self.load_single(insn, &place);
    }

    pub fn str_indexed(&mut self, insn: Insn) {
        let place = self.place_indexed(insn);
        self.store_single(insn, &place);
    }

    /// `LDAPUR` and its sign-extending forms.
    pub fn ldapur(&mut self, insn: Insn) {
        let (w, fill) = (insn.access(), fill(insn));
        let addr = self.ordered_unscaled(insn);
        let value = self.load_filled(w, Order::Acquire, fill, addr, 0);
        self.set_x(insn.rd(), value);
    }

    pub fn stlur(&mut self, insn: Insn) {
        let (w, value) = (insn.access(), self.x(insn.rd()));
        let addr = self.ordered_unscaled(insn);
        self.ir.store(w, Order::Release, addr, 0, value);
    }

    /// Base plus offset of an ordered access, checked for alignment.
    fn ordered_unscaled(&mut self, insn: Insn) -> Val {
        let base = self.x_or_sp(insn.rn());
        let addr = self.ir.add_imm(base, insn.signed(12, 9));
        self.check_alignment(addr, insn.access().bytes());
        addr
    }

    fn literal(&mut self, insn: Insn) -> Val {
        self.imm(self.pc.wrapping_add_signed(insn.signed(5, 19) << 2))
    }

    pub fn ldr_literal(&mut self, insn: Insn) {
        let addr = self.literal(insn);
        let (w, fill) = match insn.bits(30, 2) {
            0 => (Width::W32, Fill::Zero),
            1 => (Width::W64, Fill::Zero),
            _ => (Width::W32, Fill::SignTo64),
        };
        let value = self.load_filled(w, Order::Relaxed, fill, addr, 0);
        self.set_x(insn.rd(), value);
    }

    // ---- prefetches ----

    pub fn prfm_unsigned(&mut self, insn: Insn) {
        let place = self.place_unsigned(insn, Width::W64.bytes());
        self.prefetch(insn, &place);
    }

    pub fn prfm_register(&mut self, insn: Insn) {
        let place = self.place_register(insn, Width::W64.bytes());
        self.prefetch(insn, &place);
    }

    pub fn prfum(&mut self, insn: Insn) {
        let place = self.place_indexed(insn);
        self.prefetch(insn, &place);
    }

    pub fn prfm_literal(&mut self, insn: Insn) {
        let addr = self.literal(insn);
        self.prefetch(insn, &Place { addr, off: 0, writeback: None });
    }

    /// What `<prfop>` says, in Rt (Arm ARM C6.2, `PRFM`): bits 4:3 the kind (code is not for the host's data caches),
    /// 2:1 the level, 0 whether it is used once.
    fn prefetch(&mut self, insn: Insn, place: &Place) {
        let how = match (insn.bits(3, 2), insn.bits(1, 2), insn.bit(0)) {
            (0, 0..=2, true) => Locality::Once,
            (0, 0, false) => Locality::L1,
            (0, 1, false) => Locality::L2,
            (0, 2, false) => Locality::L3,
            (2, 0..=2, _) => Locality::Write,
            _ => return,
        };
        self.ir.prefetch(how, place.addr, place.off);
    }

    // ---- pairs ----

    /// Whether a pair of general registers is one access (FEAT_LSE2, Arm ARM B2.2.1). Nobody pays for it who has no
    /// threads, nor where the pair crosses the border of 16 bytes, as far as that can be seen: the stack pointer is aligned.
    fn is_one_access(&self, insn: Insn, w: Width) -> bool {
        const WITHIN: i64 = 16;
        let post_indexed = insn.bits(23, 2) == 1;
        let bytes = i64::from(w.bytes());
        let from_base = if post_indexed { 0 } else { insn.signed(15, 7) * bytes };
        let crosses = insn.rn() == 31 && from_base.rem_euclid(WITHIN) + 2 * bytes > WITHIN;
        self.features & features::LSE2 != 0 && self.threads && !crosses
    }

    fn load_pair(&mut self, insn: Insn, w: Width, fill: Fill) {
        let place = self.place_pair(insn, w.bytes());
        let [first, second] = match (self.is_one_access(insn, w), w) {
            (true, Width::W64) => {
                let both = self.ir.vload(X1, place.addr, place.off);
                [0, 1].map(|index| self.ir.vextract(X1, Lane::D, index, both))
            }
            (true, _) => {
                let both = self.ir.load(Width::W64, Order::Relaxed, place.addr, place.off);
                let bits = self.imm(32);
                let high = self.ir.shr(Width::W64, both, bits);
                [both, high].map(|word| self.filled(w, fill, word))
            }
            _ => [0, w.bytes() as i32]
                .map(|at| self.load_filled(w, Order::Relaxed, fill, place.addr, place.off + at)),
        };
        self.write_back(&place);
        self.set_x(insn.rd(), first);
        self.set_x(insn.ra(), second);
    }

    pub fn ldp(&mut self, insn: Insn) {
        self.load_pair(insn, insn.sf(), Fill::Zero);
    }

    pub fn ldpsw(&mut self, insn: Insn) {
        self.load_pair(insn, Width::W32, Fill::SignTo64);
    }

    pub fn stp(&mut self, insn: Insn) {
        let w = insn.sf();
        let place = self.place_pair(insn, w.bytes());
        let (first, second) = (self.x(insn.rd()), self.x(insn.ra()));
        match (self.is_one_access(insn, w), w) {
            (true, Width::W64) => {
                let both = self.ir.vpair(X1, first, second);
                self.ir.vstore(X1, place.addr, place.off, both);
            }
            (true, _) => {
                let bits = self.imm(32);
                let (low, high) = (self.ir.zext(w, first), self.ir.shl(Width::W64, second, bits));
                let both = self.ir.or(Width::W64, low, high);
                self.ir.store(Width::W64, Order::Relaxed, place.addr, place.off, both);
            }
            _ => {
                self.ir.store(w, Order::Relaxed, place.addr, place.off, first);
                self.ir.store(w, Order::Relaxed, place.addr, place.off + w.bytes() as i32, second);
            }
        }
        self.write_back(&place);
    }

    pub fn ldp_vector(&mut self, insn: Insn) {
        let part = Part::of_pair(insn);
        let place = self.place_pair(insn, part.bytes());
        let first = self.load_part(part, place.addr, place.off);
        let second = self.load_part(part, place.addr, place.off + part.bytes() as i32);
        self.write_back(&place);
        self.set_part(part, insn.rd(), first);
        self.set_part(part, insn.ra(), second);
    }

    pub fn stp_vector(&mut self, insn: Insn) {
        let part = Part::of_pair(insn);
        let place = self.place_pair(insn, part.bytes());
        self.store_part(part, insn.rd(), place.addr, place.off);
        self.store_part(part, insn.ra(), place.addr, place.off + part.bytes() as i32);
        self.write_back(&place);
    }

    // ---- vector registers ----

    fn load_part(&mut self, part: Part, addr: Val, off: i32) -> Val {
        match part {
            Part::Whole => self.ir.vload(X1, addr, off),
            Part::Scalar(w) => self.ir.load(w, Order::Relaxed, addr, off),
        }
    }

    fn set_part(&mut self, part: Part, n: u16, value: Val) {
        match part {
            Part::Whole => self.set_v(n, value),
            Part::Scalar(w) => self.set_v_scalar(n, w, value),
        }
    }

    fn store_part(&mut self, part: Part, n: u16, addr: Val, off: i32) {
        match part {
            Part::Whole => {
                let value = self.v(n);
                self.ir.vstore(X1, addr, off, value);
            }
            Part::Scalar(w) => {
                let value = self.v_low(w, n);
                self.ir.store(w, Order::Relaxed, addr, off, value);
            }
        }
    }

    fn load_vector(&mut self, insn: Insn, place: &Place) {
        let part = Part::of_single(insn);
        let value = self.load_part(part, place.addr, place.off);
        self.write_back(place);
        self.set_part(part, insn.rd(), value);
    }

    fn store_vector(&mut self, insn: Insn, place: &Place) {
        self.store_part(Part::of_single(insn), insn.rd(), place.addr, place.off);
        self.write_back(place);
    }

    pub fn ldr_vector_unsigned(&mut self, insn: Insn) {
        let place = self.place_unsigned(insn, Part::of_single(insn).bytes());
        self.load_vector(insn, &place);
    }

    pub fn str_vector_unsigned(&mut self, insn: Insn) {
        let place = self.place_unsigned(insn, Part::of_single(insn).bytes());
        self.store_vector(insn, &place);
    }

    pub fn ldr_vector_register(&mut self, insn: Insn) {
        let place = self.place_register(insn, Part::of_single(insn).bytes());
        self.load_vector(insn, &place);
    }

    pub fn str_vector_register(&mut self, insn: Insn) {
        let place = self.place_register(insn, Part::of_single(insn).bytes());
        self.store_vector(insn, &place);
    }

    pub fn ldr_vector_indexed(&mut self, insn: Insn) {
        let place = self.place_indexed(insn);
        self.load_vector(insn, &place);
    }

    pub fn str_vector_indexed(&mut self, insn: Insn) {
        let place = self.place_indexed(insn);
        self.store_vector(insn, &place);
    }

    pub fn ldr_vector_literal(&mut self, insn: Insn) {
        let addr = self.literal(insn);
        let part = Part::of_pair(insn);
        let value = self.load_part(part, addr, 0);
        self.set_part(part, insn.rd(), value);
    }
}
