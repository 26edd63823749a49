//! What is to be known of an instruction before it is lifted.
//!
//! Finding the handler asks one family of instructions after the other, which takes longer than decoding. For the
//! families that most code is made of, the encoding (iced-x86's `Code`) and whether there is a memory operand decide on
//! everything, so what was found is noted by those.

use super::vex;
use super::{Handler, mmx, plain_handler, rare_handler};
use crate::cpu;
use guest::ir::VecLen;
use iced_x86::{EncodingKind, Instruction, OpKind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

/// A form of instructions.
#[derive(Clone, Copy)]
pub(super) struct Form {
    pub handler: Handler,
    /// Whether the instruction has an MMX operand.
    pub mmx: bool,
    pub vex: bool,
    /// The length of its vectors.
    pub n: VecLen,
}

/// More than there are codes, twice.
const CODES: usize = 2 * 5000;
/// How many forms are noted: few programs have so many.
const NOTED: usize = 1024;

/// By code: the number of the note, and 1.
static PLACES: [AtomicU16; CODES] = [const { AtomicU16::new(0) }; CODES];
static NOTES: [OnceLock<Form>; NOTED] = [const { OnceLock::new() }; NOTED];
static COUNT: AtomicUsize = AtomicUsize::new(0);
/// The features that all notes are for.
static FEATURES: OnceLock<u64> = OnceLock::new();

/// The instruction's form, or none where a CPU model with these features lacks it.
pub(super) fn of(insn: &Instruction, features: u64) -> Option<Form> {
    let place = PLACES.get(2 * insn.code() as usize + usize::from(has_memory(insn)))?;
    let number = usize::from(place.load(Ordering::Acquire));
    let noted = NOTES.get(number.wrapping_sub(1)).and_then(OnceLock::get);
    if let Some(form) = noted.filter(|_| FEATURES.get() == Some(&features)) {
        return Some(*form);
    }
    let (form, is_plain) = find(insn, features)?;
    if is_plain && *FEATURES.get_or_init(|| features) == features {
        note(place, form);
    }
    Some(form)
}

fn note(place: &AtomicU16, form: Form) {
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    if let Some(note) = NOTES.get(number) {
        let _ = note.set(form);
        place.store(number as u16 + 1, Ordering::Release);
    }
}

fn has_memory(insn: &Instruction) -> bool {
    let kinds = [insn.op0_kind(), insn.op1_kind(), insn.op2_kind(), insn.op3_kind()];
    kinds.contains(&OpKind::Memory)
}

/// The form, and whether it is that of all instructions with this code and as many memory operands.
fn find(insn: &Instruction, features: u64) -> Option<(Form, bool)> {
    let mnemonic = vex::semantics(insn)?;
    let plain = plain_handler(insn, mnemonic, features);
    let handler = plain.or_else(|| rare_handler(insn, mnemonic))?;
    if !cpu::allows(features, insn) {
        return None;
    }
    let form = Form {
        handler,
        mmx: mmx::touches_mmx(insn),
        vex: insn.encoding() == EncodingKind::VEX,
        n: vex::length(insn),
    };
    Some((form, plain.is_some()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use iced_x86::{Code, Decoder, DecoderOptions};

    #[test]
    fn a_noted_form_is_what_is_found_for_every_instruction() {
        assert!(2 * Code::values().len() <= CODES);
        let mut random = 1_u64;
        let mut byte = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 56) as u8
        };
        let bytes: Vec<u8> = (0..1 << 20).map(|_| byte()).collect();
        let mut found = 0;
        for insn in &mut Decoder::new(64, &bytes, DecoderOptions::NONE) {
            let told = |form: Form| (form.handler as usize, form.mmx, form.vex, form.n);
            let (noted, anew) = (of(&insn, u64::MAX), find(&insn, u64::MAX));
            assert_eq!(noted.map(told), anew.map(|(form, _)| told(form)), "{:?}", insn.code());
            found += usize::from(noted.is_some());
        }
        assert!(found > 100_000, "{found}");
    }
}
