//! Encodings of Advanced SIMD on floating-point lanes.

use super::{Insn, rows};
use crate::features;
use crate::lift::Lifter;

/// Conversions to and from fixed point: 32-bit lanes, or 64-bit ones with Q.
fn fixed_vector_is_allocated(insn: Insn) -> bool {
    let immh = insn.bits(19, 4);
    immh >= 4 && (immh < 8 || insn.q())
}

fn fixed_scalar_is_allocated(insn: Insn) -> bool {
    insn.bits(19, 4) >= 4
}

rows! { VECTOR, 0;
    "FMAXNM, FMINNM (vector)" "0 Q:1 0 01110 op:1 sz:1 1 Rm:5 11000 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FMLA, FMLS (vector)" "0 Q:1 0 01110 op:1 sz:1 1 Rm:5 11001 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fmla;
    "FADD, FSUB (vector)" "0 Q:1 0 01110 op:1 sz:1 1 Rm:5 11010 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FMULX" "0 Q:1 0 01110 0 sz:1 1 Rm:5 11011 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FCMEQ" "0 Q:1 0 01110 0 sz:1 1 Rm:5 11100 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FMAX, FMIN (vector)" "0 Q:1 0 01110 op:1 sz:1 1 Rm:5 11110 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FRECPS, FRSQRTS" "0 Q:1 0 01110 op:1 sz:1 1 Rm:5 11111 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FMAXNMP, FMINNMP" "0 Q:1 1 01110 op:1 sz:1 1 Rm:5 11000 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp_pairwise;
    "FADDP" "0 Q:1 1 01110 0 sz:1 1 Rm:5 11010 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp_pairwise;
    "FABD" "0 Q:1 1 01110 1 sz:1 1 Rm:5 11010 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FMUL (vector)" "0 Q:1 1 01110 0 sz:1 1 Rm:5 11011 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FCMGE, FCMGT" "0 Q:1 1 01110 op:1 sz:1 1 Rm:5 11100 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FACGE, FACGT" "0 Q:1 1 01110 op:1 sz:1 1 Rm:5 11101 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FMAXP, FMINP" "0 Q:1 1 01110 op:1 sz:1 1 Rm:5 11110 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp_pairwise;
    "FDIV (vector)" "0 Q:1 1 01110 0 sz:1 1 Rm:5 11111 1 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fp;
    "FCVTN" "0 Q:1 0 01110 0 sz:1 10000 10110 10 Rn:5 Rd:5" Lifter::fcvtn;
    "FCVTXN" "0 Q:1 1 01110 01 10000 10110 10 Rn:5 Rd:5" Lifter::fcvtxn;
    "FCVTL" "0 Q:1 0 01110 0 sz:1 10000 10111 10 Rn:5 Rd:5" Lifter::fcvtl;
    "FRINTN, FRINTP" "0 Q:1 0 01110 op:1 sz:1 10000 11000 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_frint;
    "FRINTM, FRINTZ" "0 Q:1 0 01110 op:1 sz:1 10000 11001 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_frint;
    "FRINTA" "0 Q:1 1 01110 0 sz:1 10000 11000 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_frint;
    "FRINTX, FRINTI" "0 Q:1 1 01110 op:1 sz:1 10000 11001 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_frint;
    "FCVTNS, FCVTPS" "0 Q:1 U:1 01110 op:1 sz:1 10000 11010 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fcvt;
    "FCVTMS, FCVTZS" "0 Q:1 U:1 01110 op:1 sz:1 10000 11011 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fcvt;
    "FCVTAS, FCVTAU" "0 Q:1 U:1 01110 0 sz:1 10000 11100 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fcvt;
    "SCVTF, UCVTF (vector)" "0 Q:1 U:1 01110 0 sz:1 10000 11101 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_scvtf;
    "FCMGT, FCMGE (zero)" "0 Q:1 U:1 01110 1 sz:1 10000 01100 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::fcm_zero;
    "FCMEQ, FCMLE (zero)" "0 Q:1 U:1 01110 1 sz:1 10000 01101 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::fcm_zero;
    "FCMLT (zero)" "0 Q:1 0 01110 1 sz:1 10000 01110 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::fcm_zero;
    "FABS, FNEG (vector)" "0 Q:1 U:1 01110 1 sz:1 10000 01111 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fabs_fneg;
    "FSQRT (vector)" "0 Q:1 1 01110 1 sz:1 10000 11111 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_fsqrt;
    "FRECPE, FRSQRTE" "0 Q:1 U:1 01110 1 sz:1 10000 11101 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_estimate;
    "FMAXNMV, FMINNMV" "0 1 1 01110 op:1 0 11000 01100 10 Rn:5 Rd:5" Lifter::fminmaxv;
    "FMAXV, FMINV" "0 1 1 01110 op:1 0 11000 01111 10 Rn:5 Rd:5" Lifter::fminmaxv;
    "SCVTF, UCVTF (vector, fixed-point)" "0 Q:1 U:1 011110 immh:4 immb:3 11100 1 Rn:5 Rd:5" Lifter::vector_fixed_to_fp, if fixed_vector_is_allocated;
    "FCVTZS, FCVTZU (vector, fixed-point)" "0 Q:1 U:1 011110 immh:4 immb:3 11111 1 Rn:5 Rd:5" Lifter::vector_fp_to_fixed, if fixed_vector_is_allocated;
}

rows! { SCALAR, 0;
    "FMULX (scalar)" "01 0 11110 0 sz:1 1 Rm:5 11011 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FCMEQ (scalar)" "01 0 11110 0 sz:1 1 Rm:5 11100 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FRECPS, FRSQRTS (scalar)" "01 0 11110 op:1 sz:1 1 Rm:5 11111 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FCMGE, FCMGT (scalar)" "01 1 11110 op:1 sz:1 1 Rm:5 11100 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FACGE, FACGT (scalar)" "01 1 11110 op:1 sz:1 1 Rm:5 11101 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FABD (scalar)" "01 1 11110 1 sz:1 1 Rm:5 11010 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FCVTNS, FCVTPS (scalar)" "01 U:1 11110 op:1 sz:1 10000 11010 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "FCVTMS, FCVTZS (scalar)" "01 U:1 11110 op:1 sz:1 10000 11011 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "FCVTAS, FCVTAU (scalar)" "01 U:1 11110 0 sz:1 10000 11100 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "SCVTF, UCVTF (scalar)" "01 U:1 11110 0 sz:1 10000 11101 10 Rn:5 Rd:5" Lifter::vector_scvtf;
    "FCMGT, FCMGE (scalar, zero)" "01 U:1 11110 1 sz:1 10000 01100 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FCMEQ, FCMLE (scalar, zero)" "01 U:1 11110 1 sz:1 10000 01101 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FCMLT (scalar, zero)" "01 0 11110 1 sz:1 10000 01110 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FRECPE, FRSQRTE (scalar)" "01 U:1 11110 1 sz:1 10000 11101 10 Rn:5 Rd:5" Lifter::vector_estimate;
    "FRECPX" "01 0 11110 1 sz:1 10000 11111 10 Rn:5 Rd:5" Lifter::frecpx;
    "FCVTXN (scalar)" "01 1 11110 01 10000 10110 10 Rn:5 Rd:5" Lifter::fcvtxn;
    "FADDP (scalar)" "01 1 11110 0 sz:1 11000 01101 10 Rn:5 Rd:5" Lifter::scalar_fp_pairwise;
    "FMAXNMP, FMINNMP (scalar)" "01 1 11110 op:1 sz:1 11000 01100 10 Rn:5 Rd:5" Lifter::scalar_fp_pairwise;
    "FMAXP, FMINP (scalar)" "01 1 11110 op:1 sz:1 11000 01111 10 Rn:5 Rd:5" Lifter::scalar_fp_pairwise;
    "SCVTF, UCVTF (scalar, fixed-point)" "01 U:1 111110 immh:4 immb:3 11100 1 Rn:5 Rd:5" Lifter::vector_fixed_to_fp, if fixed_scalar_is_allocated;
    "FCVTZS, FCVTZU (scalar, fixed-point)" "01 U:1 111110 immh:4 immb:3 11111 1 Rn:5 Rd:5" Lifter::vector_fp_to_fixed, if fixed_scalar_is_allocated;
}

rows! { BY_ELEMENT, 0;
    "FMLA (by element)" "0 Q:1 0 01111 1 sz:1 L:1 M:1 Rm:4 0001 H:1 0 Rn:5 Rd:5 ; sz=1 Q=0 ; sz=1 L=1" Lifter::fp_by_element;
    "FMLS (by element)" "0 Q:1 0 01111 1 sz:1 L:1 M:1 Rm:4 0101 H:1 0 Rn:5 Rd:5 ; sz=1 Q=0 ; sz=1 L=1" Lifter::fp_by_element;
    "FMUL (by element)" "0 Q:1 0 01111 1 sz:1 L:1 M:1 Rm:4 1001 H:1 0 Rn:5 Rd:5 ; sz=1 Q=0 ; sz=1 L=1" Lifter::fp_by_element;
    "FMULX (by element)" "0 Q:1 1 01111 1 sz:1 L:1 M:1 Rm:4 1001 H:1 0 Rn:5 Rd:5 ; sz=1 Q=0 ; sz=1 L=1" Lifter::fp_by_element;
    "FMLA (scalar, by element)" "01 0 11111 1 sz:1 L:1 M:1 Rm:4 0001 H:1 0 Rn:5 Rd:5 ; sz=1 L=1" Lifter::fp_by_element;
    "FMLS (scalar, by element)" "01 0 11111 1 sz:1 L:1 M:1 Rm:4 0101 H:1 0 Rn:5 Rd:5 ; sz=1 L=1" Lifter::fp_by_element;
    "FMUL (scalar, by element)" "01 0 11111 1 sz:1 L:1 M:1 Rm:4 1001 H:1 0 Rn:5 Rd:5 ; sz=1 L=1" Lifter::fp_by_element;
    "FMULX (scalar, by element)" "01 1 11111 1 sz:1 L:1 M:1 Rm:4 1001 H:1 0 Rn:5 Rd:5 ; sz=1 L=1" Lifter::fp_by_element;
}

rows! { FRINTTS, features::FRINTTS;
    "FRINT32Z, FRINT32X (vector)" "0 Q:1 U:1 01110 0 sz:1 10000 11110 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_frint_to_size;
    "FRINT64Z, FRINT64X (vector)" "0 Q:1 U:1 01110 0 sz:1 10000 11111 10 Rn:5 Rd:5 ; sz=1 Q=0" Lifter::vector_frint_to_size;
}
