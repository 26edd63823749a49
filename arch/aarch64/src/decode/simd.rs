//! Encodings of Advanced SIMD on integer lanes.

use super::{Insn, rows};
use crate::lift::Lifter;

/// Whether `imm5` names a lane size that `Q` allows (not one 64-bit lane).
fn dup_is_allocated(insn: Insn) -> bool {
    let imm5 = insn.bits(16, 5);
    imm5 & 15 != 0 && (imm5 & 15 != 8 || insn.q())
}

/// `SMOV` to X takes b, h, s; to W b, h.
fn smov_is_allocated(insn: Insn) -> bool {
    let imm5 = insn.bits(16, 5);
    imm5 & 3 != 0 || insn.q() && imm5 & 7 == 4
}

/// `UMOV` to X takes d only; to W b, h, s.
fn umov_is_allocated(insn: Insn) -> bool {
    let imm5 = insn.bits(16, 5);
    if insn.q() { imm5 & 15 == 8 } else { imm5 & 7 != 0 }
}

fn ins_is_allocated(insn: Insn) -> bool {
    insn.bits(16, 4) != 0
}

rows! { PERMUTE, 0;
    "TBL, TBX" "0 Q:1 001110 000 Rm:5 0 len:2 op:1 00 Rn:5 Rd:5" Lifter::table_lookup;
    "UZP1" "0 Q:1 001110 size:2 0 Rm:5 0 001 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::permute;
    "TRN1" "0 Q:1 001110 size:2 0 Rm:5 0 010 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::permute;
    "ZIP1" "0 Q:1 001110 size:2 0 Rm:5 0 011 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::permute;
    "UZP2" "0 Q:1 001110 size:2 0 Rm:5 0 101 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::permute;
    "TRN2" "0 Q:1 001110 size:2 0 Rm:5 0 110 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::permute;
    "ZIP2" "0 Q:1 001110 size:2 0 Rm:5 0 111 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::permute;
    "EXT" "0 Q:1 101110 000 Rm:5 0 imm:4 0 Rn:5 Rd:5 ; Q=0 imm=1xxx" Lifter::ext;
    "DUP (element)" "0 Q:1 0 01110000 imm:5 0 0000 1 Rn:5 Rd:5" Lifter::dup_element, if dup_is_allocated;
    "DUP (general)" "0 Q:1 0 01110000 imm:5 0 0001 1 Rn:5 Rd:5" Lifter::dup_general, if dup_is_allocated;
    "SMOV" "0 Q:1 0 01110000 imm:5 0 0101 1 Rn:5 Rd:5" Lifter::smov, if smov_is_allocated;
    "UMOV" "0 Q:1 0 01110000 imm:5 0 0111 1 Rn:5 Rd:5" Lifter::umov, if umov_is_allocated;
    "INS (general)" "0 1 0 01110000 imm:5 0 0011 1 Rn:5 Rd:5" Lifter::ins_general, if ins_is_allocated;
    "INS (element)" "0 1 1 01110000 imm:5 0 imm4:4 1 Rn:5 Rd:5" Lifter::ins_element, if ins_is_allocated;
    "DUP (scalar)" "01 0 11110000 imm:5 0 0000 1 Rn:5 Rd:5" Lifter::dup_scalar, if ins_is_allocated;
}

rows! { THREE_SAME, 0;
    "SHADD, UHADD" "0 Q:1 U:1 01110 size:2 1 Rm:5 00000 1 Rn:5 Rd:5 ; size=11" Lifter::hadd;
    "SQADD, UQADD" "0 Q:1 U:1 01110 size:2 1 Rm:5 00001 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::qadd;
    "SRHADD, URHADD" "0 Q:1 U:1 01110 size:2 1 Rm:5 00010 1 Rn:5 Rd:5 ; size=11" Lifter::rhadd;
    "AND, BIC, ORR, ORN" "0 Q:1 0 01110 op:2 1 Rm:5 00011 1 Rn:5 Rd:5" Lifter::vector_logic;
    "EOR" "0 Q:1 1 01110 00 1 Rm:5 00011 1 Rn:5 Rd:5" Lifter::vector_eor;
    "BSL, BIT, BIF" "0 Q:1 1 01110 op:2 1 Rm:5 00011 1 Rn:5 Rd:5 ; op=00" Lifter::bit_select;
    "SHSUB, UHSUB" "0 Q:1 U:1 01110 size:2 1 Rm:5 00100 1 Rn:5 Rd:5 ; size=11" Lifter::hsub;
    "SQSUB, UQSUB" "0 Q:1 U:1 01110 size:2 1 Rm:5 00101 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::qsub;
    "CMGT, CMHI" "0 Q:1 U:1 01110 size:2 1 Rm:5 00110 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::cm_greater;
    "CMGE, CMHS" "0 Q:1 U:1 01110 size:2 1 Rm:5 00111 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::cm_greater;
    "SSHL, USHL" "0 Q:1 U:1 01110 size:2 1 Rm:5 01000 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::shift_register;
    "SQSHL, UQSHL (register)" "0 Q:1 U:1 01110 size:2 1 Rm:5 01001 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::shift_register;
    "SRSHL, URSHL" "0 Q:1 U:1 01110 size:2 1 Rm:5 01010 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::shift_register;
    "SQRSHL, UQRSHL" "0 Q:1 U:1 01110 size:2 1 Rm:5 01011 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::shift_register;
    "SMAX, UMAX" "0 Q:1 U:1 01110 size:2 1 Rm:5 01100 1 Rn:5 Rd:5 ; size=11" Lifter::vector_minmax;
    "SMIN, UMIN" "0 Q:1 U:1 01110 size:2 1 Rm:5 01101 1 Rn:5 Rd:5 ; size=11" Lifter::vector_minmax;
    "SABD, UABD" "0 Q:1 U:1 01110 size:2 1 Rm:5 01110 1 Rn:5 Rd:5 ; size=11" Lifter::abd;
    "SABA, UABA" "0 Q:1 U:1 01110 size:2 1 Rm:5 01111 1 Rn:5 Rd:5 ; size=11" Lifter::abd;
    "ADD, SUB (vector)" "0 Q:1 U:1 01110 size:2 1 Rm:5 10000 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::vector_add_sub;
    "CMTST, CMEQ" "0 Q:1 U:1 01110 size:2 1 Rm:5 10001 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::cmtst_cmeq;
    "MLA, MLS" "0 Q:1 U:1 01110 size:2 1 Rm:5 10010 1 Rn:5 Rd:5 ; size=11" Lifter::mla;
    "MUL" "0 Q:1 0 01110 size:2 1 Rm:5 10011 1 Rn:5 Rd:5 ; size=11" Lifter::vector_mul;
    "PMUL" "0 Q:1 1 01110 00 1 Rm:5 10011 1 Rn:5 Rd:5" Lifter::pmul;
    "SMAXP, UMAXP" "0 Q:1 U:1 01110 size:2 1 Rm:5 10100 1 Rn:5 Rd:5 ; size=11" Lifter::minmax_pairwise;
    "SMINP, UMINP" "0 Q:1 U:1 01110 size:2 1 Rm:5 10101 1 Rn:5 Rd:5 ; size=11" Lifter::minmax_pairwise;
    "SQDMULH, SQRDMULH" "0 Q:1 U:1 01110 size:2 1 Rm:5 10110 1 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmulh;
    "ADDP" "0 Q:1 0 01110 size:2 1 Rm:5 10111 1 Rn:5 Rd:5 ; Q=0 size=11" Lifter::addp;
}

rows! { TWO_MISC, 0;
    "REV64" "0 Q:1 0 01110 size:2 10000 00000 10 Rn:5 Rd:5 ; size=11" Lifter::vector_rev;
    "REV32" "0 Q:1 1 01110 0 s:1 10000 00000 10 Rn:5 Rd:5" Lifter::vector_rev;
    "REV16" "0 Q:1 0 01110 00 10000 00001 10 Rn:5 Rd:5" Lifter::vector_rev;
    "SADDLP, UADDLP" "0 Q:1 U:1 01110 size:2 10000 00010 10 Rn:5 Rd:5 ; size=11" Lifter::addlp;
    "SUQADD, USQADD" "0 Q:1 U:1 01110 size:2 10000 00011 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::suqadd;
    "CLS, CLZ" "0 Q:1 U:1 01110 size:2 10000 00100 10 Rn:5 Rd:5 ; size=11" Lifter::vector_count;
    "CNT" "0 Q:1 0 01110 00 10000 00101 10 Rn:5 Rd:5" Lifter::vector_count;
    "NOT" "0 Q:1 1 01110 00 10000 00101 10 Rn:5 Rd:5" Lifter::vector_not;
    "RBIT" "0 Q:1 1 01110 01 10000 00101 10 Rn:5 Rd:5" Lifter::vector_rbit;
    "SADALP, UADALP" "0 Q:1 U:1 01110 size:2 10000 00110 10 Rn:5 Rd:5 ; size=11" Lifter::addlp;
    "SQABS, SQNEG" "0 Q:1 U:1 01110 size:2 10000 00111 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::sqabs;
    "CMGT, CMGE (zero)" "0 Q:1 U:1 01110 size:2 10000 01000 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::cm_zero;
    "CMEQ, CMLE (zero)" "0 Q:1 U:1 01110 size:2 10000 01001 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::cm_zero;
    "CMLT (zero)" "0 Q:1 0 01110 size:2 10000 01010 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::cm_zero;
    "ABS, NEG" "0 Q:1 U:1 01110 size:2 10000 01011 10 Rn:5 Rd:5 ; Q=0 size=11" Lifter::vector_abs_neg;
    "XTN" "0 Q:1 0 01110 size:2 10000 10010 10 Rn:5 Rd:5 ; size=11" Lifter::xtn;
    "SQXTUN" "0 Q:1 1 01110 size:2 10000 10010 10 Rn:5 Rd:5 ; size=11" Lifter::xtn;
    "SQXTN, UQXTN" "0 Q:1 U:1 01110 size:2 10000 10100 10 Rn:5 Rd:5 ; size=11" Lifter::xtn;
    "SHLL" "0 Q:1 1 01110 size:2 10000 10011 10 Rn:5 Rd:5 ; size=11" Lifter::shll;
    "URECPE, URSQRTE" "0 Q:1 U:1 01110 10 10000 11100 10 Rn:5 Rd:5" Lifter::unsigned_estimate;
}

rows! { THREE_DIFFERENT, 0;
    "SADDL, UADDL" "0 Q:1 U:1 01110 size:2 1 Rm:5 0000 00 Rn:5 Rd:5 ; size=11" Lifter::add_long;
    "SADDW, UADDW" "0 Q:1 U:1 01110 size:2 1 Rm:5 0001 00 Rn:5 Rd:5 ; size=11" Lifter::add_long;
    "SSUBL, USUBL" "0 Q:1 U:1 01110 size:2 1 Rm:5 0010 00 Rn:5 Rd:5 ; size=11" Lifter::add_long;
    "SSUBW, USUBW" "0 Q:1 U:1 01110 size:2 1 Rm:5 0011 00 Rn:5 Rd:5 ; size=11" Lifter::add_long;
    "ADDHN, RADDHN" "0 Q:1 U:1 01110 size:2 1 Rm:5 0100 00 Rn:5 Rd:5 ; size=11" Lifter::add_high_narrow;
    "SABAL, UABAL" "0 Q:1 U:1 01110 size:2 1 Rm:5 0101 00 Rn:5 Rd:5 ; size=11" Lifter::abd_long;
    "SUBHN, RSUBHN" "0 Q:1 U:1 01110 size:2 1 Rm:5 0110 00 Rn:5 Rd:5 ; size=11" Lifter::add_high_narrow;
    "SABDL, UABDL" "0 Q:1 U:1 01110 size:2 1 Rm:5 0111 00 Rn:5 Rd:5 ; size=11" Lifter::abd_long;
    "SMLAL, UMLAL" "0 Q:1 U:1 01110 size:2 1 Rm:5 1000 00 Rn:5 Rd:5 ; size=11" Lifter::mul_long;
    "SQDMLAL" "0 Q:1 0 01110 size:2 1 Rm:5 1001 00 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull;
    "SMLSL, UMLSL" "0 Q:1 U:1 01110 size:2 1 Rm:5 1010 00 Rn:5 Rd:5 ; size=11" Lifter::mul_long;
    "SQDMLSL" "0 Q:1 0 01110 size:2 1 Rm:5 1011 00 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull;
    "SMULL, UMULL" "0 Q:1 U:1 01110 size:2 1 Rm:5 1100 00 Rn:5 Rd:5 ; size=11" Lifter::mul_long;
    "SQDMULL" "0 Q:1 0 01110 size:2 1 Rm:5 1101 00 Rn:5 Rd:5 ; size=00 ; size=11" Lifter::sqdmull;
    "PMULL (8-bit)" "0 Q:1 0 01110 00 1 Rm:5 1110 00 Rn:5 Rd:5" Lifter::pmull;
}

rows! { ACROSS, 0;
    "SADDLV, UADDLV" "0 Q:1 U:1 01110 size:2 11000 00011 10 Rn:5 Rd:5 ; size=11 ; Q=0 size=10" Lifter::addlv;
    "SMAXV, UMAXV" "0 Q:1 U:1 01110 size:2 11000 01010 10 Rn:5 Rd:5 ; size=11 ; Q=0 size=10" Lifter::minmaxv;
    "SMINV, UMINV" "0 Q:1 U:1 01110 size:2 11000 11010 10 Rn:5 Rd:5 ; size=11 ; Q=0 size=10" Lifter::minmaxv;
    "ADDV" "0 Q:1 0 01110 size:2 11000 11011 10 Rn:5 Rd:5 ; size=11 ; Q=0 size=10" Lifter::addv;
}
