//! From guest bytes to IR.
//!
//! Each family of instructions is a file that maps mnemonics to handlers. The handler is looked up
//! before anything is emitted, so that an instruction we lack ends the block before it and raises its
//! trap from a block of its own.

mod alignment;
mod atomic;
mod avx;
mod bits;
mod bmi;
mod control;
mod crypto;
mod far;
mod flags;
mod fma;
mod forms;
mod int;
mod mmx;
mod muldiv;
mod operand;
mod shift;
mod sse_convert;
mod sse_float;
mod sse_int;
mod sse_move;
mod sse_shuffle;
mod sse_text;
mod stack;
mod string;
mod system;
mod vex;
mod x87;
mod xstate;

use crate::state::{MXCSR_MASKS, eflags};
use forms::Form;
use guest::arch::{CodeReader, LiftConfig, LiftLimits, MAX_INSN_LEN};
use guest::ir::{Block, Builder, Hint, NanRule, Terminator, Val, VecLen};
use guest::{GuestAddr, Trap};
use iced_x86::{CpuidFeature, Decoder, DecoderError, DecoderOptions, Instruction, Mnemonic};

/// Emits the IR of the current instruction.
pub(crate) type Handler = fn(&mut Lifter);

/// The state of lifting one block.
pub(crate) struct Lifter {
    ir: Builder,
    insn: Instruction,
    /// Set by an instruction that ends the block.
    end: Option<Terminator>,
    /// The carry flag, where it is at hand as a value although the flag record holds more.
    carry: Option<Val>,
    /// Whether the instruction has an MMX operand.
    mmx: bool,
    /// Whether it is VEX-encoded: its destination is an operand of its own, memory need not be aligned, and the
    /// rest of the destination register is cleared.
    vex: bool,
    /// The length of its vectors.
    n: VecLen,
    /// Set by a load of the stack's selector: traps wait until the instruction behind it is done (SDM vol. 3A, 6.8.3).
    shadows: bool,
    /// Whether accesses must be aligned (EFLAGS.AC).
    aligns: bool,
}

/// The most bytes of an instruction (SDM vol. 2A, 2.3.11).
const LONGEST: usize = 15;

/// What decoding at an address gave.
enum Decoded {
    Insn(Form),
    Illegal {
        len: u8,
    },
    /// More than 15 bytes.
    TooLong,
    Unfetchable {
        fault: GuestAddr,
    },
}

/// The handler of an instruction of a family where the code and whether there is a memory operand decide on it.
fn plain_handler(insn: &Instruction, mnemonic: Mnemonic, features: u64) -> Option<Handler> {
    int::lookup(insn)
        .or_else(|| control::lookup(insn))
        .or_else(|| stack::lookup(insn))
        .or_else(|| sse_move::lookup(insn, mnemonic))
        .or_else(|| shift::lookup(insn))
        .or_else(|| bits::lookup(insn, features))
        .or_else(|| muldiv::lookup(insn))
        .or_else(|| flags::lookup(insn))
        .or_else(|| sse_float::lookup(insn, mnemonic))
        .or_else(|| sse_convert::lookup(insn, mnemonic))
        .or_else(|| sse_int::lookup(mnemonic))
        .or_else(|| sse_shuffle::lookup(mnemonic))
}

/// The handler of another instruction.
fn rare_handler(insn: &Instruction, mnemonic: Mnemonic) -> Option<Handler> {
    far::lookup(insn)
        .or_else(|| avx::lookup(insn))
        .or_else(|| fma::lookup(insn))
        .or_else(|| crypto::lookup(insn, mnemonic))
        .or_else(|| bmi::lookup(insn))
        .or_else(|| xstate::lookup(insn))
        .or_else(|| atomic::lookup(insn))
        .or_else(|| string::lookup(insn))
        .or_else(|| system::lookup(insn, mnemonic))
        .or_else(|| sse_text::lookup(mnemonic))
        .or_else(|| x87::lookup(insn))
        .or_else(|| mmx::lookup(insn))
}

/// Lifts a block at `pc`.
pub(crate) fn lift(
    config: &LiftConfig,
    limits: LiftLimits,
    code: &mut dyn CodeReader,
    pc: GuestAddr,
) -> Block {
    let mut lifter = Lifter {
        ir: Builder::new(pc, NanRule::X86),
        insn: Instruction::default(),
        end: None,
        carry: None,
        mmx: false,
        vex: false,
        n: VecLen::X1,
        shadows: false,
        aligns: config.control & eflags::AC != 0,
    };
    let terminator = lifter.run(config, limits, code, pc);
    lifter.ir.finish(terminator)
}

/// Whether the control key has a float exception unmasked.
fn has_unmasked(control: u64) -> bool {
    control & MXCSR_MASKS != MXCSR_MASKS
}

/// Whether it may raise a float exception. Such an instruction must find the state exact while one is unmasked, so it
/// starts a block.
fn may_raise(insn: &Instruction) -> bool {
    use CpuidFeature as F;
    let with_floats = [F::SSE, F::SSE2, F::SSE3, F::SSE4_1, F::AVX, F::FMA, F::F16C];
    insn.cpuid_features().iter().any(|feature| with_floats.contains(feature))
}

/// Whether what is no instruction would need more than the longest one's bytes: one less does not settle it.
fn is_too_long(bytes: &[u8]) -> bool {
    let mut decoder = Decoder::new(64, &bytes[..bytes.len().min(LONGEST - 1)], DecoderOptions::NONE);
    bytes.len() >= LONGEST
        && decoder.decode().is_invalid()
        && decoder.last_error() == DecoderError::NoMoreBytes
}

impl Lifter {
    fn run(
        &mut self,
        config: &LiftConfig,
        limits: LiftLimits,
        code: &mut dyn CodeReader,
        start: GuestAddr,
    ) -> Terminator {
        let unmasked = has_unmasked(config.control);
        let mut pc = start.0;
        loop {
            let bytes = code.bytes_at(GuestAddr(pc));
            let mut decoder = Decoder::with_ip(64, bytes, pc, DecoderOptions::NONE);
            loop {
                let stop = self.ir.insn_count() >= limits.max_insns.max(1) || self.ir.is_full();
                if stop && pc != start.0 && !self.shadows {
                    return Terminator::Jump { target: GuestAddr(pc), hint: Hint::None };
                }
                match self.decode(&mut decoder, bytes, config.features) {
                    Decoded::Insn(_) if unmasked && pc != start.0 && may_raise(&self.insn) => {
                        return Terminator::Jump { target: GuestAddr(pc), hint: Hint::None };
                    }
                    Decoded::Insn(form) => self.emit(form),
                    other => return self.end_undecoded(&other, start, GuestAddr(pc)),
                }
                if let Some(end) = self.end.take() {
                    return end;
                }
                pc = self.insn.next_ip();
                if decoder.max_position() - decoder.position() < MAX_INSN_LEN {
                    break;
                }
            }
        }
    }

    fn decode(&mut self, decoder: &mut Decoder<'_>, bytes: &[u8], features: u64) -> Decoded {
        let start = decoder.position();
        decoder.decode_out(&mut self.insn);
        if self.insn.is_invalid() {
            let room = decoder.max_position();
            return match decoder.last_error() {
                DecoderError::NoMoreBytes if room < LONGEST => {
                    Decoded::Unfetchable { fault: GuestAddr(self.insn.ip() + room as u64) }
                }
                _ if is_too_long(&bytes[start..]) => Decoded::TooLong,
                _ => Decoded::Illegal { len: self.insn.len().clamp(1, 15) as u8 },
            };
        }
        match forms::of(&self.insn, features) {
            Some(form) => Decoded::Insn(form),
            None => Decoded::Illegal { len: self.insn.len() as u8 },
        }
    }

    fn emit(&mut self, form: Form) {
        self.ir.begin_insn(GuestAddr(self.insn.ip()), self.insn.len() as u8);
        (self.mmx, self.vex, self.n) = (form.mmx, form.vex, form.n);
        self.shadows = false;
        if self.aligns {
            self.check_alignment();
        }
        if self.mmx {
            self.enter_mmx();
        }
        (form.handler)(self);
    }

    /// The end of a block before something that is no instruction, or the block that reports it.
    fn end_undecoded(&mut self, what: &Decoded, start: GuestAddr, pc: GuestAddr) -> Terminator {
        if pc != start {
            return Terminator::Jump { target: pc, hint: Hint::None };
        }
        match *what {
            Decoded::Unfetchable { fault } => Terminator::FetchFault { pc, fault },
            Decoded::Illegal { len } => {
                self.ir.begin_insn(pc, len);
                Terminator::Trap { trap: Trap::Illegal, pc }
            }
            Decoded::TooLong => {
                self.ir.begin_insn(pc, LONGEST as u8);
                Terminator::Trap { trap: Trap::GeneralProtection, pc }
            }
            Decoded::Insn(_) => unreachable!("a decoded instruction was emitted"),
        }
    }

    /// Where the next instruction starts.
    fn next(&self) -> GuestAddr {
        GuestAddr(self.insn.next_ip())
    }

    /// Where this instruction starts.
    fn here(&self) -> GuestAddr {
        GuestAddr(self.insn.ip())
    }

    fn raise(&mut self, trap: Trap, pc: GuestAddr) {
        self.end = Some(Terminator::Trap { trap, pc });
    }

    /// Goes on through the translator: control state has changed.
    fn resync(&mut self) {
        self.end = Some(Terminator::Resync { next: self.next() });
    }
}
