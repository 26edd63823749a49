//! Encodings of Advanced SIMD with immediates and by element, and of scalar integer forms.

use super::{Insn, rows};
use crate::features;
use crate::lift::Lifter;

/// Modified immediates: `FMOV Vd.2D` needs Q.
fn modified_immediate_is_allocated(insn: Insn) -> bool {
    insn.bits(12, 4) != 15 || !insn.u() || insn.q()
}

/// A vector shift by an immediate: `immh` is not 0 (that is a modified immediate); 64-bit lanes need Q.
fn shift_is_allocated(insn: Insn) -> bool {
    let immh = insn.bits(19, 4);
    immh != 0 && (immh < 8 || insn.q())
}

/// Shifts that narrow or lengthen: lanes of at most 32 bits.
fn long_shift_is_allocated(insn: Insn) -> bool {
    matches!(insn.bits(19, 4), 1..=7)
}

fn scalar_shift_is_allocated(insn: Insn) -> bool {
    insn.bits(19, 4) != 0
}

rows! { IMMEDIATE, 0;
    "MOVI, MVNI, ORR, BIC, FMOV (vector, immediate)" "0 Q:1 op:1 0111100000 abc:3 cmode:4 0 1 defgh:5 Rd:5" Lifter::modified_immediate, if modified_immediate_is_allocated;
}

rows! { SHIFT, 0;
    "SSHR, USHR" "0 Q:1 U:1 011110 immh:4 immb:3 00000 1 Rn:5 Rd:5" Lifter::shift_right, if shift_is_allocated;
    "SSRA, USRA" "0 Q:1 U:1 011110 immh:4 immb:3 00010 1 Rn:5 Rd:5" Lifter::shift_right, if shift_is_allocated;
    "SRSHR, URSHR" "0 Q:1 U:1 011110 immh:4 immb:3 00100 1 Rn:5 Rd:5" Lifter::shift_right, if shift_is_allocated;
    "SRSRA, URSRA" "0 Q:1 U:1 011110 immh:4 immb:3 00110 1 Rn:5 Rd:5" Lifter::shift_right, if shift_is_allocated;
    "SRI" "0 Q:1 1 011110 immh:4 immb:3 01000 1 Rn:5 Rd:5" Lifter::shift_insert, if shift_is_allocated;
    "SHL" "0 Q:1 0 011110 immh:4 immb:3 01010 1 Rn:5 Rd:5" Lifter::shift_left, if shift_is_allocated;
    "SLI" "0 Q:1 1 011110 immh:4 immb:3 01010 1 Rn:5 Rd:5" Lifter::shift_insert, if shift_is_allocated;
    "SQSHLU" "0 Q:1 1 011110 immh:4 immb:3 01100 1 Rn:5 Rd:5" Lifter::shift_left_saturating, if shift_is_allocated;
    "SQSHL, UQSHL (immediate)" "0 Q:1 U:1 011110 immh:4 immb:3 01110 1 Rn:5 Rd:5" Lifter::shift_left_saturating, if shift_is_allocated;
    "SHRN, SQSHRUN" "0 Q:1 U:1 011110 immh:4 immb:3 10000 1 Rn:5 Rd:5" Lifter::shift_right_narrow, if long_shift_is_allocated;
    "RSHRN, SQRSHRUN" "0 Q:1 U:1 011110 immh:4 immb:3 10001 1 Rn:5 Rd:5" Lifter::shift_right_narrow, if long_shift_is_allocated;
    "SQSHRN, UQSHRN" "0 Q:1 U:1 011110 immh:4 immb:3 10010 1 Rn:5 Rd:5" Lifter::shift_right_narrow, if long_shift_is_allocated;
    "SQRSHRN, UQRSHRN" "0 Q:1 U:1 011110 immh:4 immb:3 10011 1 Rn:5 Rd:5" Lifter::shift_right_narrow, if long_shift_is_allocated;
    "SSHLL, USHLL" "0 Q:1 U:1 011110 immh:4 immb:3 10100 1 Rn:5 Rd:5" Lifter::shift_left_long, if long_shift_is_allocated;
    "SSHR, USHR (scalar)" "01 U:1 111110 1 imm:6 00000 1 Rn:5 Rd:5" Lifter::shift_right;
    "SSRA, USRA (scalar)" "01 U:1 111110 1 imm:6 00010 1 Rn:5 Rd:5" Lifter::shift_right;
    "SRSHR, URSHR (scalar)" "01 U:1 111110 1 imm:6 00100 1 Rn:5 Rd:5" Lifter::shift_right;
    "SRSRA, URSRA (scalar)" "01 U:1 111110 1 imm:6 00110 1 Rn:5 Rd:5" Lifter::shift_right;
    "SRI (scalar)" "01 1 111110 1 imm:6 01000 1 Rn:5 Rd:5" Lifter::shift_insert;
    "SHL (scalar)" "01 0 111110 1 imm:6 01010 1 Rn:5 Rd:5" Lifter::shift_left;
    "SLI (scalar)" "01 1 111110 1 imm:6 01010 1 Rn:5 Rd:5" Lifter::shift_insert;
    "SQSHLU (scalar)" "01 1 111110 immh:4 immb:3 01100 1 Rn:5 Rd:5" Lifter::shift_left_saturating, if scalar_shift_is_allocated;
    "SQSHL, UQSHL (scalar)" "01 U:1 111110 immh:4 immb:3 01110 1 Rn:5 Rd:5" Lifter::shift_left_saturating, if scalar_shift_is_allocated;
    "SQSHRUN (scalar)" "01 1 111110 immh:4 immb:3 10000 1 Rn:5 Rd:5" Lifter::shift_right_narrow, if long_shift_is_allocated;
    "SQRSHRUN (scalar)" "01 1 111110 immh:4 immb:3 10001 1 Rn:5 Rd:5" Lifter::shift_right_narrow, if long_shift_is_allocated;
    "SQSHRN, UQSHRN (scalar)" "01 U:1 111110 immh:4 immb:3 10010 1 Rn:5 Rd:5" Lifter::shift_right_narrow, if long_shift_is_allocated;
    "SQRSHRN, UQRSHRN (scalar)" "01 U:1 111110 immh:4 immb:3 10011 1 Rn:5 Rd:5" Lifter::shift_right_narrow, if long_shift_is_allocated;
}

rows! { BY_ELEMENT, 0;
    "MUL (by element)" "0 Q:1 0 01111 size:2 L:1 M:1 Rm:4 1000 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::mul_by_element;
    "MLA (by element)" "0 Q:1 1 01111 size:2 L:1 M:1 Rm:4 0000 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::mul_by_element;
    "MLS (by element)" "0 Q:1 1 01111 size:2 L:1 M:1 Rm:4 0100 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::mul_by_element;
    "SMLAL, UMLAL (by element)" "0 Q:1 U:1 01111 size:2 L:1 M:1 Rm:4 0010 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::mul_long_by_element;
    "SMLSL, UMLSL (by element)" "0 Q:1 U:1 01111 size:2 L:1 M:1 Rm:4 0110 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::mul_long_by_element;
    "SMULL, UMULL (by element)" "0 Q:1 U:1 01111 size:2 L:1 M:1 Rm:4 1010 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::mul_long_by_element;
    "SQDMLAL (by element)" "0 Q:1 0 01111 size:2 L:1 M:1 Rm:4 0011 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull_by_element;
    "SQDMLSL (by element)" "0 Q:1 0 01111 size:2 L:1 M:1 Rm:4 0111 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull_by_element;
    "SQDMULL (by element)" "0 Q:1 0 01111 size:2 L:1 M:1 Rm:4 1011 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull_by_element;
    "SQDMULH (by element)" "0 Q:1 0 01111 size:2 L:1 M:1 Rm:4 1100 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmulh_by_element;
    "SQRDMULH (by element)" "0 Q:1 0 01111 size:2 L:1 M:1 Rm:4 1101 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmulh_by_element;
    "SQDMLAL (scalar, by element)" "01 0 11111 size:2 L:1 M:1 Rm:4 0011 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull_by_element;
    "SQDMLSL (scalar, by element)" "01 0 11111 size:2 L:1 M:1 Rm:4 0111 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull_by_element;
    "SQDMULL (scalar, by element)" "01 0 11111 size:2 L:1 M:1 Rm:4 1011 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull_by_element;
    "SQDMULH (scalar, by element)" "01 0 11111 size:2 L:1 M:1 Rm:4 1100 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmulh_by_element;
    "SQRDMULH (scalar, by element)" "01 0 11111 size:2 L:1 M:1 Rm:4 1101 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmulh_by_element;
}

rows! { SCALAR, 0;
    "SQADD, UQADD (scalar)" "01 U:1 11110 size:2 1 Rm:5 00001 1 Rn:5 Rd:5" Lifter::qadd;
    "SQSUB, UQSUB (scalar)" "01 U:1 11110 size:2 1 Rm:5 00101 1 Rn:5 Rd:5" Lifter::qsub;
    "CMGT, CMHI (scalar)" "01 U:1 11110 11 1 Rm:5 00110 1 Rn:5 Rd:5" Lifter::cm_greater;
    "CMGE, CMHS (scalar)" "01 U:1 11110 11 1 Rm:5 00111 1 Rn:5 Rd:5" Lifter::cm_greater;
    "SSHL, USHL (scalar)" "01 U:1 11110 11 1 Rm:5 01000 1 Rn:5 Rd:5" Lifter::shift_register;
    "SQSHL, UQSHL (scalar, register)" "01 U:1 11110 size:2 1 Rm:5 01001 1 Rn:5 Rd:5" Lifter::shift_register;
    "SRSHL, URSHL (scalar)" "01 U:1 11110 11 1 Rm:5 01010 1 Rn:5 Rd:5" Lifter::shift_register;
    "SQRSHL, UQRSHL (scalar)" "01 U:1 11110 size:2 1 Rm:5 01011 1 Rn:5 Rd:5" Lifter::shift_register;
    "ADD, SUB (scalar)" "01 U:1 11110 11 1 Rm:5 10000 1 Rn:5 Rd:5" Lifter::vector_add_sub;
    "CMTST, CMEQ (scalar)" "01 U:1 11110 11 1 Rm:5 10001 1 Rn:5 Rd:5" Lifter::cmtst_cmeq;
    "SQDMULH, SQRDMULH (scalar)" "01 U:1 11110 size:2 1 Rm:5 10110 1 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmulh;
    "SUQADD, USQADD (scalar)" "01 U:1 11110 size:2 10000 00011 10 Rn:5 Rd:5" Lifter::suqadd;
    "SQABS, SQNEG (scalar)" "01 U:1 11110 size:2 10000 00111 10 Rn:5 Rd:5" Lifter::sqabs;
    "CMGT, CMGE (scalar, zero)" "01 U:1 11110 11 10000 01000 10 Rn:5 Rd:5" Lifter::cm_zero;
    "CMEQ, CMLE (scalar, zero)" "01 U:1 11110 11 10000 01001 10 Rn:5 Rd:5" Lifter::cm_zero;
    "CMLT (scalar, zero)" "01 0 11110 11 10000 01010 10 Rn:5 Rd:5" Lifter::cm_zero;
    "ABS, NEG (scalar)" "01 U:1 11110 11 10000 01011 10 Rn:5 Rd:5" Lifter::vector_abs_neg;
    "SQXTUN (scalar)" "01 1 11110 size:2 10000 10010 10 Rn:5 Rd:5 ; size=11" Lifter::xtn;
    "SQXTN, UQXTN (scalar)" "01 U:1 11110 size:2 10000 10100 10 Rn:5 Rd:5 ; size=11" Lifter::xtn;
    "SQDMLAL (scalar)" "01 0 11110 size:2 1 Rm:5 1001 00 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull;
    "SQDMLSL (scalar)" "01 0 11110 size:2 1 Rm:5 1011 00 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull;
    "SQDMULL (scalar)" "01 0 11110 size:2 1 Rm:5 1101 00 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull;
    "ADDP (scalar)" "01 0 11110 11 11000 11011 10 Rn:5 Rd:5" Lifter::addp_scalar;
}

rows! { RDM, features::RDM;
    "SQRDMLAH, SQRDMLSH" "0 Q:1 1 01110 size:2 0 Rm:5 1000 S:1 1 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqrdmlah;
    "SQRDMLAH, SQRDMLSH (scalar)" "01 1 11110 size:2 0 Rm:5 1000 S:1 1 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqrdmlah;
    "SQRDMLAH, SQRDMLSH (by element)" "0 Q:1 1 01111 size:2 L:1 M:1 Rm:4 11 S:1 1 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqrdmlah_by_element;
    "SQRDMLAH, SQRDMLSH (scalar, by element)" "01 1 11111 size:2 L:1 M:1 Rm:4 11 S:1 1 H:1 0 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqrdmlah_by_element;
}
