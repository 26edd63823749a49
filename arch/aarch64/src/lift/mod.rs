//! From instruction words to IR.
//!
//! One method of [`Lifter`] per instruction or family, in the files by subject. Each emits what may fault
//! or trap first and writes state last, because a fault must find the state as the instruction began.

mod atomic;
mod control;
mod crypto;
mod cssc;
mod exclusive;
mod flag_ops;
mod fp;
mod fp_convert;
pub mod int;
mod loadstore;
pub mod mops;
mod pauth;
mod simd;
mod simd_fp;
mod simd_move;
mod simd_narrow;
mod simd_products;
mod simd_shift;
pub mod structure;
pub mod system;
#[cfg(test)]
mod tests;

use crate::decode::{Insn, Sizes, decode};
use crate::state::x;
use crate::{fpenv, guarded};
use guest::arch::{CodeReader, LiftConfig, LiftLimits};
use guest::ir::{Block, Builder, Cond, Hint, NanRule, Reads, Terminator, Val, VecLen, Width};
use guest::{GuestAddr, Trap};

/// The lifter's state within one block.
pub struct Lifter {
    pub ir: Builder,
    /// The instruction being lifted.
    pc: u64,
    /// The CPU model.
    features: u64,
    /// FPCR's control bits that the block was translated for.
    fpcr: u64,
    /// Whether the process has guarded pages, and whether this instruction is in one.
    guards: bool,
    /// Whether other threads may see an access.
    threads: bool,
    guarded: bool,
    /// Whether the instruction's row is one of half precision.
    half: bool,
    /// Set by the instruction that ends the block.
    end: Option<Terminator>,
    vector_constants: Vec<(u128, Val)>,
    /// What vector registers were last written with in this block, where it was a scalar.
    scalars: Vec<Scalar>,
    /// What the next step of a cipher or hash may go on from.
    aes_half: Option<crypto::AesHalf>,
    sha256_rounds: Option<crypto::Sha256Rounds>,
    /// The last result of `RBIT`, and of what.
    reversed: Option<int::Reversed>,
    /// What the main instruction or epilogue of a copy may go on from.
    moving: Option<mops::Moving>,
}

/// A vector register that holds this value of `w` bits and zeros above.
#[derive(Clone, Copy)]
struct Scalar {
    n: u16,
    w: Width,
    value: Val,
}

/// One 16-byte vector.
const X1: VecLen = VecLen::X1;

/// Lifts the block at `pc`.
pub fn lift_block(
    config: &LiftConfig,
    limits: LiftLimits,
    code: &mut dyn CodeReader,
    pc: GuestAddr,
) -> Block {
    let rule = NanRule::arm(fpenv::arithmetic(config.control));
    let guards = config.control & guarded::GUARDED != 0;
    let mut lifter = Lifter {
        ir: Builder::new(pc, rule),
        pc: if guards { pc.raw() & !3 } else { pc.raw() },
        features: config.features,
        fpcr: config.control & fpenv::FPCR_MASK,
        guards,
        threads: config.control & guarded::THREADS != 0,
        guarded: false,
        half: false,
        end: None,
        vector_constants: Vec::new(),
        scalars: Vec::new(),
        aes_half: None,
        sha256_rounds: None,
        reversed: None,
        moving: None,
    };
    // A single instruction is for the interpreter, which finds out by itself and tells of faults with their tags.
    if config.control & guarded::UNTAGGED != 0 && limits.max_insns > 1 {
        lifter.ir.take_tags_off();
    }
    let end = match lifter.pc & 3 {
        0 => lifter.run(config, limits, code, pc.raw() & 3),
        _ => Terminator::Trap { trap: Trap::PcAlignment, pc },
    };
    lifter.ir.finish(end)
}

impl Lifter {
    /// `btype`: what an indirect branch to the first instruction has left.
    fn run(
        &mut self,
        config: &LiftConfig,
        limits: LiftLimits,
        code: &mut dyn CodeReader,
        btype: u64,
    ) -> Terminator {
        let mut page = None;
        loop {
            if self.guards && page != Some(guarded::page(GuestAddr(self.pc))) {
                page = Some(guarded::page(GuestAddr(self.pc)));
                self.guarded = code.is_guarded(GuestAddr(self.pc));
            }
            let bytes = code.bytes_at(GuestAddr(self.pc));
            if bytes.len() < 4 {
                return self.end_of_memory(bytes.len());
            }
            for word in bytes.chunks_exact(4) {
                let word = u32::from_le_bytes([word[0], word[1], word[2], word[3]]);
                if btype != 0 && self.ir.insn_count() == 0 && self.guarded && !guarded::may_reach(word, btype)
                {
                    return self.refuse(btype);
                }
                if self.ir.insn_count() >= limits.max_insns.max(1) || self.ir.is_full() {
                    return self.jump_to(self.pc);
                }
                if let Some(end) = self.instruction(config, word) {
                    return end;
                }
                self.pc = self.pc.wrapping_add(4);
                if self.guards && self.pc & 0xfff == 0 {
                    break;
                }
            }
        }
    }

    /// The Branch Target exception, with BTYPE as it is.
    fn refuse(&mut self, btype: u64) -> Terminator {
        self.ir.begin_insn(GuestAddr(self.pc), 4);
        Terminator::Trap { trap: Trap::BranchTarget, pc: GuestAddr(self.pc | btype) }
    }

    /// The target of an indirect branch that leaves `btype`.
    fn landing(&mut self, target: Val, btype: u64) -> Val {
        if !self.guards {
            return target;
        }
        let low = self.imm(3);
        let misaligned = self.ir.and(Width::W64, target, low);
        self.ir.trap_when(Trap::PcAlignment, misaligned);
        let btype = self.imm(btype);
        self.ir.or(Width::W64, target, btype)
    }

    /// BTYPE after a jump through register `n` (`AArch64.BranchTargetCheck`, shared/functions/system/BTypeNext).
    fn jump_btype(&self, n: u16) -> u64 {
        if self.guarded && n != 16 && n != 17 { 3 } else { 1 }
    }

    /// Lifts one instruction; gives the block's end where it is reached.
    fn instruction(&mut self, config: &LiftConfig, word: u32) -> Option<Terminator> {
        let here = GuestAddr(self.pc);
        let row = decode(word).filter(|row| row.needs(Insn(word)) & !config.features == 0);
        let trap = match row {
            None if word >> 21 == 0b110_1010_0001 && word & 31 == 0 => Some(Trap::Breakpoint),
            None => Some(Trap::Illegal),
            Some(_) => None,
        };
        if trap.is_some() && self.ir.insn_count() > 0 {
            return Some(self.jump_to(self.pc));
        }
        self.ir.begin_insn(here, 4);
        if let Some(trap) = trap {
            return Some(Terminator::Trap { trap, pc: here });
        }
        if let Some(row) = row {
            self.half = row.sizes == Sizes::Half;
            (row.lift)(self, Insn(word));
        }
        self.end.take()
    }

    fn end_of_memory(&self, available: usize) -> Terminator {
        if self.ir.insn_count() > 0 {
            return self.jump_to(self.pc);
        }
        let pc = GuestAddr(self.pc);
        Terminator::FetchFault { pc, fault: pc.offset(available as i64) }
    }

    fn jump_to(&self, target: u64) -> Terminator {
        Terminator::Jump { target: GuestAddr(target), hint: Hint::None }
    }

    /// The address of the instruction after this one.
    fn next_pc(&self) -> GuestAddr {
        GuestAddr(self.pc.wrapping_add(4))
    }

    /// Ends the block so that what follows is looked up, and perhaps lifted, anew.
    fn resync(&mut self) {
        self.end = Some(Terminator::Resync { next: self.next_pc() });
    }

    // ---- registers ----

    /// Register `n`, where 31 is zero.
    fn x(&mut self, n: u16) -> Val {
        if n == 31 { self.ir.imm(0) } else { self.ir.read_slot(x(n)) }
    }

    /// Register `n`, where 31 is the stack pointer.
    fn x_or_sp(&mut self, n: u16) -> Val {
        self.ir.read_slot(x(n))
    }

    /// Writes register `n`, where 31 is nothing. The value must be zero-extended.
    fn set_x(&mut self, n: u16, value: Val) {
        if n != 31 {
            self.ir.write_slot(x(n), value);
        }
    }

    fn set_x_or_sp(&mut self, n: u16, value: Val) {
        self.ir.write_slot(x(n), value);
    }

    fn imm(&mut self, value: u64) -> Val {
        self.ir.imm(value)
    }

    /// 1 where the condition field holds.
    fn condition(&mut self, cond: u32) -> Val {
        match condition(cond) {
            Some(cc) => self.ir.condition(cc),
            None => self.imm(1),
        }
    }

    // ---- vectors ----

    /// A vector constant, made once per block.
    fn vector_constant(&mut self, unit: u128) -> Val {
        if let Some(&(_, known)) = self.vector_constants.iter().find(|(u, _)| *u == unit) {
            return known;
        }
        let made = self.ir.vimm(X1, unit);
        self.vector_constants.push((unit, made));
        made
    }

    /// The whole of vector register `n`.
    fn v(&mut self, n: u16) -> Val {
        self.ir.read_vector(X1, guest::state::vector_slot(n))
    }

    /// The low `w` bits of vector register `n`.
    fn v_low(&mut self, w: Width, n: u16) -> Val {
        let slot = guest::state::vector_slot(n);
        let known = self.scalars.iter().find(|s| s.n == n && s.w as u8 <= w as u8);
        if let Some(scalar) = known {
            self.ir.reads(Reads::of(slot, w.bytes() as u16));
            return scalar.value;
        }
        self.ir.read_slot_w(w, slot)
    }

    fn set_v(&mut self, n: u16, value: Val) {
        self.scalars.retain(|scalar| scalar.n != n);
        self.ir.vput(X1, guest::state::vector_slot(n), value);
    }

    /// Writes a vector register from a scalar of `w` bits, zero-extended; the bits above become zero.
    fn set_v_scalar(&mut self, n: u16, w: Width, value: Val) {
        let zero = self.imm(0);
        let whole = self.ir.vpair(X1, value, zero);
        self.set_v(n, whole);
        self.scalars.push(Scalar { n, w, value });
    }

    /// Writes 16 bytes, or with `Q` clear the low 8 and zeros above.
    fn set_v_q(&mut self, insn: Insn, value: Val) {
        if insn.q() {
            return self.set_v(insn.rd(), value);
        }
        let low = self.vector_constant(u128::from(u64::MAX));
        let masked = self.ir.vand(X1, value, low);
        self.set_v(insn.rd(), masked);
    }
}

/// The condition a field stands for; `None` is always.
pub const fn condition(cond: u32) -> Option<Cond> {
    Some(match cond {
        0 => Cond::Eq,
        1 => Cond::Ne,
        2 => Cond::Cs,
        3 => Cond::Cc,
        4 => Cond::Mi,
        5 => Cond::Pl,
        6 => Cond::Vs,
        7 => Cond::Vc,
        8 => Cond::Hi,
        9 => Cond::Ls,
        10 => Cond::Ge,
        11 => Cond::Lt,
        12 => Cond::Gt,
        13 => Cond::Le,
        _ => return None,
    })
}
