//! What lifters write IR with.
//!
//! The op methods come from the op table. What stands here adds value numbering of constants and state
//! slots and the fusion of a condition with the comparison that set its flags, because doing it while
//! the ops are made costs less than a pass over them.

use super::flags::needed;
use super::{
    Block, Cond, FSize, FlagKind, FloatCc, InsnMark, IntCc, Kind, KnownSlots, MAX_CELLS, NanRule, Nans, Op,
    Reads, Terminator, Val, VecLen, Width, Writes, flag,
};
use crate::{GuestAddr, Trap, state::Slot};
use std::cell::Cell;

/// Cells that one instruction may take; a block is full when fewer are left.
const CELLS_PER_INSN: usize = 768;

/// The last flag-setting op of the block, while it still describes the flags.
#[derive(Clone, Copy)]
struct LastFlags {
    kind: FlagKind,
    w: Width,
    a: Val,
    b: Val,
    r: Val,
    /// For `Fcmp*`: the size of the operands.
    fs: FSize,
}

/// Builds one block.
pub struct Builder {
    pc: GuestAddr,
    nan_rule: NanRule,
    work: Box<Work>,
    cells: usize,
    last_flags: Option<LastFlags>,
    /// Whether accesses take the top byte off their addresses.
    untags: bool,
}

/// What grows while a block is built. It is used over and over: a finished block has its vectors, and hands them on
/// ([`Block::recycle`]).
#[derive(Default)]
struct Work {
    ops: Vec<Op>,
    insns: Vec<InsnMark>,
    pool: Vec<u128>,
    consts: Vec<(u64, Val)>,
    known: KnownSlots,
    /// Addresses, and the same without a tag.
    untagged: Vec<(Val, Val)>,
}

thread_local! {
    static SPARE: Cell<Option<Box<Work>>> = const { Cell::new(None) };
}

/// The ops that access guest memory, and their addresses.
macro_rules! accesses {
    ($addr:pat) => {
        Op::Load { addr: $addr, .. }
            | Op::Vload { addr: $addr, .. }
            | Op::Rmw { addr: $addr, .. }
            | Op::Cas { addr: $addr, .. }
            | Op::Cas128 { addr: $addr, .. }
            | Op::Load128 { addr: $addr, .. }
            | Op::LoadEx { addr: $addr, .. }
            | Op::LoadEx128 { addr: $addr, .. }
            | Op::StoreEx { addr: $addr, .. }
            | Op::StoreEx128 { addr: $addr, .. }
            | Op::Store { addr: $addr, .. }
            | Op::Vstore { addr: $addr, .. }
            | Op::ProbeWrite { addr: $addr, .. }
    };
}

#[inline(always)]
const fn has_address(op: &Op) -> bool {
    matches!(op, accesses!(_))
}

/// The op; if it sets flags, it names no value that the record does not need, so that nothing is computed for it.
#[inline(always)]
fn naming_needed(mut op: Op) -> Op {
    if let Op::SetFlags { kind, a, b, r, .. } | Op::SetFlagsIf { kind, a, b, r, .. } = &mut op {
        let [needs_a, needs_b, needs_r] = needed(*kind);
        let any = if needs_a { *a } else { *r };
        for (operand, needed) in [(a, needs_a), (b, needs_b), (r, needs_r)] {
            if !needed {
                *operand = any;
            }
        }
    }
    op
}

impl Block {
    /// The block is not needed any more: the next one is built in its memory.
    pub fn recycle(mut self) {
        let mut work = SPARE.take().unwrap_or_default();
        self.ops.clear();
        self.insns.clear();
        self.pool.clear();
        (work.ops, work.insns, work.pool) = (self.ops, self.insns, self.pool);
        SPARE.set(Some(work));
    }

    /// The block in memory of its own, of exact size: there are very many blocks, and most are short.
    #[must_use]
    pub fn kept(self) -> Box<Self> {
        let kept = Box::new(self.clone());
        self.recycle();
        kept
    }
}

impl Builder {
    #[must_use]
    pub fn new(pc: GuestAddr, nan_rule: NanRule) -> Self {
        const OPS: usize = 256;
        const INSNS: usize = 64;
        let mut work = SPARE.take().unwrap_or_default();
        work.ops.reserve(OPS);
        work.insns.reserve(INSNS);
        Self { pc, nan_rule, work, cells: 0, last_flags: None, untags: false }
    }

    /// From here on accesses take the top byte off their addresses: it becomes what bit 55 is.
    pub fn take_tags_off(&mut self) {
        self.untags = true;
    }

    fn untagged(&mut self, addr: Val) -> Val {
        if let Some(&(_, plain)) = self.work.untagged.iter().find(|(tagged, _)| *tagged == addr) {
            return plain;
        }
        let plain = self.sextract(0, 56, addr);
        self.work.untagged.push((addr, plain));
        plain
    }

    /// The op on an address without a tag.
    #[cold]
    #[inline(never)]
    fn without_tag(&mut self, mut op: Op) -> Op {
        if let accesses!(addr) = &mut op {
            *addr = self.untagged(*addr);
        }
        op
    }

    /// Starts the instruction at `pc`, `len` bytes long.
    pub fn begin_insn(&mut self, pc: GuestAddr, len: u8) {
        let first_op = self.work.ops.len() as u32;
        self.work.insns.push(InsnMark { first_op, pc, len, reads: Reads::NONE, writes: Writes::All });
    }

    /// Whether another instruction might not fit any more.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.cells + CELLS_PER_INSN > MAX_CELLS
    }

    #[must_use]
    pub fn insn_count(&self) -> usize {
        self.work.insns.len()
    }

    /// Ends the block.
    #[must_use]
    pub fn finish(mut self, terminator: Terminator) -> Block {
        let work = &mut *self.work;
        let block = Block {
            pc: self.pc,
            ops: std::mem::take(&mut work.ops),
            insns: std::mem::take(&mut work.insns),
            pool: std::mem::take(&mut work.pool),
            terminator,
            nan_rule: self.nan_rule,
            cells: self.cells as u16,
        };
        work.consts.clear();
        work.known.clear();
        work.untagged.clear();
        SPARE.set(Some(self.work));
        block
    }

    #[inline(always)]
    pub(super) fn fresh(&mut self, kind: Kind) -> Val {
        let cells = match kind {
            Kind::Int => 1,
            Kind::Vector(n) => 2 * n.units(),
        };
        let value = Val(self.cells as u16);
        self.cells += cells;
        assert!(self.cells <= MAX_CELLS, "one instruction was lifted into too many values");
        value
    }

    // Inlined, with what it calls: of each op's method only what that op needs is left.
    #[inline(always)]
    pub(super) fn push(&mut self, op: Op) {
        let op = if has_address(&op) && self.untags { self.without_tag(op) } else { op };
        self.note(op);
        self.work.ops.push(naming_needed(op));
    }

    /// Notes that the instruction at hand reads state: for lifters that have its value at hand and use that.
    pub fn reads(&mut self, what: Reads) {
        if let Some(mark) = self.work.insns.last_mut() {
            mark.reads = mark.reads.and(what);
        }
    }

    /// Keeps what is known about state and flags true across `op`.
    #[inline(always)]
    fn note(&mut self, op: Op) {
        self.work.known.note(op);
        match op {
            Op::Get { w, slot, .. } => self.reads(Reads::of(slot, w.bytes() as u16)),
            Op::Vget { n, slot, .. } => self.reads(Reads::of(slot, 16 * n.units() as u16)),
            Op::CondOp { .. } | Op::GetFlags { .. } => self.reads(Reads::FLAGS),
            Op::SetFlags { kind, w, a, b, r } => {
                self.last_flags = Some(LastFlags { kind, w, a, b, r, fs: FSize::F64 });
            }
            Op::SetFlagsIf { .. } => {
                self.reads(Reads::FLAGS);
                self.last_flags = None;
            }
            Op::CallState { .. } => self.last_flags = None,
            _ => {}
        }
    }

    fn lookup(&mut self, slot: Slot, bytes: u16) -> Option<Val> {
        self.reads(Reads::of(slot, bytes));
        self.work.known.find(slot, bytes)
    }

    // ---- conveniences for lifters ----

    /// The constant, made once per block.
    pub fn imm(&mut self, value: u64) -> Val {
        if let Some(&(_, known)) = self.work.consts.iter().find(|(v, _)| *v == value) {
            return known;
        }
        let made = self.konst(value);
        self.work.consts.push((value, made));
        made
    }

    /// The value of an earlier constant.
    #[must_use]
    pub fn const_of(&self, value: Val) -> Option<u64> {
        self.work.consts.iter().find(|(_, v)| *v == value).map(|(imm, _)| *imm)
    }

    /// A 64-bit state slot, read at most once while nothing overwrites it.
    pub fn read_slot(&mut self, slot: Slot) -> Val {
        match self.lookup(slot, 8) {
            Some(known) => known,
            None => self.get(Width::W64, slot),
        }
    }

    /// A slot of any width; `put`s of 64 bits are forwarded, narrower ones read back.
    pub fn read_slot_w(&mut self, w: Width, slot: Slot) -> Val {
        match self.lookup(slot, w.bytes() as u16) {
            Some(known) => known,
            None => self.get(w, slot),
        }
    }

    pub fn write_slot(&mut self, slot: Slot, value: Val) {
        self.put(Width::W64, slot, value);
    }

    /// A vector state slot, read at most once while nothing overwrites it.
    pub fn read_vector(&mut self, n: VecLen, slot: Slot) -> Val {
        match self.lookup(slot, 16 * n.units() as u16) {
            Some(known) => known,
            None => self.vget(n, slot),
        }
    }

    /// The vector constant.
    pub fn vimm(&mut self, n: VecLen, unit: u128) -> Val {
        let index = match self.work.pool.iter().position(|&p| p == unit) {
            Some(index) => index,
            None => {
                self.work.pool.push(unit);
                self.work.pool.len() - 1
            }
        };
        self.vconst(n, index as u16)
    }

    /// `a + imm` at 64 bits, folded where it can be.
    pub fn add_imm(&mut self, a: Val, imm: i64) -> Val {
        if imm == 0 {
            return a;
        }
        let b = self.imm(imm as u64);
        self.add(Width::W64, a, b)
    }

    /// Raises `trap` where `c` is not zero.
    pub fn trap_when(&mut self, trap: Trap, c: Val) {
        self.trap_if(trap as u8, c);
    }

    /// Sets all flags from their packed form.
    pub fn put_flags(&mut self, packed: Val) {
        let zero = self.imm(0);
        self.set_flags(FlagKind::Packed, Width::W64, packed, zero, zero);
    }

    /// Records a floating-point comparison: `code` is what `fcompare` gave for `a` and `b`.
    pub fn set_fcmp_flags(&mut self, kind: FlagKind, fs: FSize, a: Val, b: Val, code: Val) {
        self.set_flags(kind, Width::W64, a, b, code);
        if let Some(last) = &mut self.last_flags {
            last.fs = fs;
        }
    }

    /// 1 where the condition holds on the flags as they are here, else 0; fused with the operation that
    /// set them where that is in this block.
    pub fn condition(&mut self, cc: Cond) -> Val {
        self.reads(Reads::FLAGS);
        let Some(last) = self.last_flags else { return self.cond(cc) };
        match last.kind {
            FlagKind::Sub | FlagKind::SubInv => self.fused_sub(cc, last),
            FlagKind::FcmpX86 | FlagKind::FcmpArm => self.fused_fcmp(cc, last),
            FlagKind::Packed => self.fused_packed(cc, last.a),
            FlagKind::PackedCv => self.fused_packed_cv(cc, last),
            _ => self.fused_result(cc, last),
        }
    }

    fn fused_sub(&mut self, cc: Cond, last: LastFlags) -> Val {
        let inverted = last.kind == FlagKind::SubInv;
        let compare = match cc {
            Cond::Eq => IntCc::Eq,
            Cond::Ne => IntCc::Ne,
            Cond::Lt => IntCc::Slt,
            Cond::Ge => IntCc::Sge,
            Cond::Le => IntCc::Sle,
            Cond::Gt => IntCc::Sgt,
            Cond::Cs if inverted => IntCc::Uge,
            Cond::Cc if inverted => IntCc::Ult,
            Cond::Hi if inverted => IntCc::Ugt,
            Cond::Ls if inverted => IntCc::Ule,
            Cond::Cs if !inverted => IntCc::Ult,
            Cond::Cc if !inverted => IntCc::Uge,
            Cond::Be if !inverted => IntCc::Ule,
            Cond::Nbe if !inverted => IntCc::Ugt,
            _ => return self.fused_result(cc, last),
        };
        self.icmp(compare, last.w, last.a, last.b)
    }

    /// Conditions that depend on the result alone.
    fn fused_result(&mut self, cc: Cond, last: LastFlags) -> Val {
        let (zero, logic) = (self.imm(0), last.kind == FlagKind::Logic);
        let compare = match cc {
            Cond::Eq => IntCc::Eq,
            Cond::Ne => IntCc::Ne,
            Cond::Mi => IntCc::Slt,
            Cond::Pl => IntCc::Sge,
            Cond::Lt if logic => IntCc::Slt,
            Cond::Ge if logic => IntCc::Sge,
            Cond::Le if logic => IntCc::Sle,
            Cond::Gt if logic => IntCc::Sgt,
            Cond::Be if logic => IntCc::Eq,
            Cond::Nbe if logic => IntCc::Ne,
            Cond::Cs | Cond::Vs if logic => return zero,
            Cond::Cc | Cond::Vc if logic => return self.imm(1),
            Cond::Cs if matches!(last.kind, FlagKind::Add) => {
                return self.icmp(IntCc::Ult, last.w, last.r, last.a);
            }
            Cond::Cc if matches!(last.kind, FlagKind::Add) => {
                return self.icmp(IntCc::Uge, last.w, last.r, last.a);
            }
            Cond::Cs | Cond::Cc if matches!(last.kind, FlagKind::Adc | FlagKind::Sbb | FlagKind::SbcInv) => {
                let inverted = last.kind == FlagKind::SbcInv;
                let out = self.carry_out(last);
                return if (cc == Cond::Cs) == inverted { self.flipped(out) } else { out };
            }
            Cond::Cs if matches!(last.kind, FlagKind::ResultCv) => return self.extract(0, 1, last.a),
            Cond::Vs if matches!(last.kind, FlagKind::ResultCv) => return self.extract(0, 1, last.b),
            Cond::Cs if matches!(last.kind, FlagKind::Inc | FlagKind::Dec) => {
                return self.extract(0, 1, last.b);
            }
            _ => return self.cond(cc),
        };
        self.icmp(compare, last.w, last.r, zero)
    }

    fn fused_fcmp(&mut self, cc: Cond, last: LastFlags) -> Val {
        use FloatCc as F;
        let compare = match (last.kind, cc) {
            (FlagKind::FcmpX86, Cond::Eq) => F::Ueq,
            (FlagKind::FcmpX86, Cond::Ne) => F::One,
            (FlagKind::FcmpX86, Cond::Cs) => F::Ult,
            (FlagKind::FcmpX86, Cond::Cc) => F::Ge,
            (FlagKind::FcmpX86, Cond::Be) => F::Ule,
            (FlagKind::FcmpX86, Cond::Nbe) => F::Gt,
            (FlagKind::FcmpX86, Cond::Pe) => F::Uno,
            (FlagKind::FcmpX86, Cond::Po) => F::Ord,
            (FlagKind::FcmpArm, Cond::Eq) => F::Eq,
            (FlagKind::FcmpArm, Cond::Ne) => F::Une,
            (FlagKind::FcmpArm, Cond::Mi) => F::Lt,
            (FlagKind::FcmpArm, Cond::Pl) => F::Uge,
            (FlagKind::FcmpArm, Cond::Cs) => F::Uge,
            (FlagKind::FcmpArm, Cond::Cc) => F::Lt,
            (FlagKind::FcmpArm, Cond::Vs) => F::Uno,
            (FlagKind::FcmpArm, Cond::Vc) => F::Ord,
            (FlagKind::FcmpArm, Cond::Hi) => F::Ugt,
            (FlagKind::FcmpArm, Cond::Ls) => F::Le,
            (FlagKind::FcmpArm, Cond::Ge) => F::Ge,
            (FlagKind::FcmpArm, Cond::Lt) => F::Ult,
            (FlagKind::FcmpArm, Cond::Gt) => F::Gt,
            (FlagKind::FcmpArm, Cond::Le) => F::Ule,
            _ => return self.cond(cc),
        };
        self.fcmp(compare, Nans::Quiet, last.fs, last.a, last.b)
    }

    /// Single-flag conditions on packed flags.
    fn fused_packed(&mut self, cc: Cond, packed: Val) -> Val {
        let (bit, negate) = match cc {
            Cond::Eq => (flag::Z, false),
            Cond::Ne => (flag::Z, true),
            Cond::Cs => (flag::C, false),
            Cond::Cc => (flag::C, true),
            Cond::Mi => (flag::S, false),
            Cond::Pl => (flag::S, true),
            Cond::Vs => (flag::V, false),
            Cond::Vc => (flag::V, true),
            Cond::Pe => (flag::P, false),
            Cond::Po => (flag::P, true),
            _ => return self.cond(cc),
        };
        let set = self.extract(bit.trailing_zeros() as u8, 1, packed);
        if negate { self.flipped(set) } else { set }
    }

    fn fused_packed_cv(&mut self, cc: Cond, last: LastFlags) -> Val {
        match cc {
            Cond::Cs => last.a,
            Cond::Vs => last.b,
            Cond::Cc => self.flipped(last.a),
            Cond::Vc => self.flipped(last.b),
            Cond::Eq | Cond::Ne | Cond::Mi | Cond::Pl | Cond::Pe | Cond::Po => self.fused_packed(cc, last.r),
            _ => self.cond(cc),
        }
    }

    /// The other one of 0 and 1.
    fn flipped(&mut self, bit: Val) -> Val {
        let one = self.imm(1);
        self.xor(Width::W64, bit, one)
    }

    /// The carry, or the borrow, out of the top bit of a sum or difference with one coming in.
    fn carry_out(&mut self, last: LastFlags) -> Val {
        const W: Width = Width::W64;
        let LastFlags { kind, w, a, b, r, .. } = last;
        // Where both have the bit, or one has it and the sum lacks it.
        let (certain, lost) = if kind == FlagKind::Adc {
            let (both, either) = (self.and(W, a, b), self.or(W, a, b));
            (both, self.andnot(W, either, r))
        } else {
            let (below, above) = (self.andnot(W, b, a), self.andnot(W, a, b));
            (below, self.andnot(W, r, above))
        };
        let out = self.or(W, certain, lost);
        self.extract(w.bits() as u8 - 1, 1, out)
    }

    /// The flags but for carry and overflow, packed, and these two as 0 or 1.
    pub fn parted_flags(&mut self) -> [Val; 3] {
        if let Some(LastFlags { kind: FlagKind::PackedCv, a, b, r, .. }) = self.last_flags {
            self.reads(Reads::FLAGS);
            return [r, a, b];
        }
        let packed = self.get_flags();
        [
            packed,
            self.extract(flag::C.trailing_zeros() as u8, 1, packed),
            self.extract(flag::V.trailing_zeros() as u8, 1, packed),
        ]
    }

    /// Sets all flags from these; carry and overflow are 0 or 1.
    pub fn put_parted_flags(&mut self, [others, carry, overflow]: [Val; 3]) {
        self.set_flags(FlagKind::PackedCv, Width::W64, carry, overflow, others);
    }
}
