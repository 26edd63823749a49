//! Encodings of Advanced SIMD on half-precision lanes: the instructions of `simd_fp` in a place of their own.

use super::{Insn, rows};
use crate::features::FP16;
use crate::lift::Lifter;

/// Conversions to and from fixed point with 16-bit lanes.
fn fixed_is_allocated(insn: Insn) -> bool {
    insn.bits(20, 3) == 1
}

rows! { VECTOR, FP16, Half;
    "FMAXNM, FMINNM (vector, half)" "0 Q:1 0 01110 op:1 1 0 Rm:5 00000 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FMLA, FMLS (vector, half)" "0 Q:1 0 01110 op:1 1 0 Rm:5 00001 1 Rn:5 Rd:5" Lifter::vector_fmla;
    "FADD, FSUB (vector, half)" "0 Q:1 0 01110 op:1 1 0 Rm:5 00010 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FMULX (half)" "0 Q:1 0 01110 0 1 0 Rm:5 00011 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FCMEQ (half)" "0 Q:1 0 01110 0 1 0 Rm:5 00100 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FMAX, FMIN (vector, half)" "0 Q:1 0 01110 op:1 1 0 Rm:5 00110 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FRECPS, FRSQRTS (half)" "0 Q:1 0 01110 op:1 1 0 Rm:5 00111 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FMAXNMP, FMINNMP (half)" "0 Q:1 1 01110 op:1 1 0 Rm:5 00000 1 Rn:5 Rd:5" Lifter::vector_fp_pairwise;
    "FADDP (half)" "0 Q:1 1 01110 0 1 0 Rm:5 00010 1 Rn:5 Rd:5" Lifter::vector_fp_pairwise;
    "FABD (half)" "0 Q:1 1 01110 1 1 0 Rm:5 00010 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FMUL (vector, half)" "0 Q:1 1 01110 0 1 0 Rm:5 00011 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FCMGE, FCMGT (half)" "0 Q:1 1 01110 op:1 1 0 Rm:5 00100 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FACGE, FACGT (half)" "0 Q:1 1 01110 op:1 1 0 Rm:5 00101 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FMAXP, FMINP (half)" "0 Q:1 1 01110 op:1 1 0 Rm:5 00110 1 Rn:5 Rd:5" Lifter::vector_fp_pairwise;
    "FDIV (vector, half)" "0 Q:1 1 01110 0 1 0 Rm:5 00111 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FRINTN, FRINTP (half)" "0 Q:1 0 01110 op:1 1 11100 11000 10 Rn:5 Rd:5" Lifter::vector_frint;
    "FRINTM, FRINTZ (half)" "0 Q:1 0 01110 op:1 1 11100 11001 10 Rn:5 Rd:5" Lifter::vector_frint;
    "FRINTA (half)" "0 Q:1 1 01110 0 1 11100 11000 10 Rn:5 Rd:5" Lifter::vector_frint;
    "FRINTX, FRINTI (half)" "0 Q:1 1 01110 op:1 1 11100 11001 10 Rn:5 Rd:5" Lifter::vector_frint;
    "FCVTNS, FCVTPS (half)" "0 Q:1 U:1 01110 op:1 1 11100 11010 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "FCVTMS, FCVTZS (half)" "0 Q:1 U:1 01110 op:1 1 11100 11011 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "FCVTAS, FCVTAU (half)" "0 Q:1 U:1 01110 0 1 11100 11100 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "SCVTF, UCVTF (vector, half)" "0 Q:1 U:1 01110 0 1 11100 11101 10 Rn:5 Rd:5" Lifter::vector_scvtf;
    "FCMGT, FCMGE (zero, half)" "0 Q:1 U:1 01110 1 1 11100 01100 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FCMEQ, FCMLE (zero, half)" "0 Q:1 U:1 01110 1 1 11100 01101 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FCMLT (zero, half)" "0 Q:1 0 01110 1 1 11100 01110 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FABS, FNEG (vector, half)" "0 Q:1 U:1 01110 1 1 11100 01111 10 Rn:5 Rd:5" Lifter::vector_fabs_fneg;
    "FSQRT (vector, half)" "0 Q:1 1 01110 1 1 11100 11111 10 Rn:5 Rd:5" Lifter::vector_fsqrt;
    "FRECPE, FRSQRTE (half)" "0 Q:1 U:1 01110 1 1 11100 11101 10 Rn:5 Rd:5" Lifter::vector_estimate;
    "FMAXNMV, FMINNMV (half)" "0 Q:1 0 01110 op:1 0 11000 01100 10 Rn:5 Rd:5" Lifter::fminmaxv;
    "FMAXV, FMINV (half)" "0 Q:1 0 01110 op:1 0 11000 01111 10 Rn:5 Rd:5" Lifter::fminmaxv;
}

rows! { SCALAR, FP16, Half;
    "FMULX (scalar, half)" "01 0 11110 0 1 0 Rm:5 00011 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FCMEQ (scalar, half)" "01 0 11110 0 1 0 Rm:5 00100 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FRECPS, FRSQRTS (scalar, half)" "01 0 11110 op:1 1 0 Rm:5 00111 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FCMGE, FCMGT (scalar, half)" "01 1 11110 op:1 1 0 Rm:5 00100 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FACGE, FACGT (scalar, half)" "01 1 11110 op:1 1 0 Rm:5 00101 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FABD (scalar, half)" "01 1 11110 1 1 0 Rm:5 00010 1 Rn:5 Rd:5" Lifter::vector_fp;
    "FCVTNS, FCVTPS (scalar, half)" "01 U:1 11110 op:1 1 11100 11010 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "FCVTMS, FCVTZS (scalar, half)" "01 U:1 11110 op:1 1 11100 11011 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "FCVTAS, FCVTAU (scalar, half)" "01 U:1 11110 0 1 11100 11100 10 Rn:5 Rd:5" Lifter::vector_fcvt;
    "SCVTF, UCVTF (scalar, half)" "01 U:1 11110 0 1 11100 11101 10 Rn:5 Rd:5" Lifter::vector_scvtf;
    "FCMGT, FCMGE (scalar, zero, half)" "01 U:1 11110 1 1 11100 01100 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FCMEQ, FCMLE (scalar, zero, half)" "01 U:1 11110 1 1 11100 01101 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FCMLT (scalar, zero, half)" "01 0 11110 1 1 11100 01110 10 Rn:5 Rd:5" Lifter::fcm_zero;
    "FRECPE, FRSQRTE (scalar, half)" "01 U:1 11110 1 1 11100 11101 10 Rn:5 Rd:5" Lifter::vector_estimate;
    "FRECPX (half)" "01 0 11110 1 1 11100 11111 10 Rn:5 Rd:5" Lifter::frecpx;
    "FADDP (scalar, half)" "01 0 11110 0 0 11000 01101 10 Rn:5 Rd:5" Lifter::scalar_fp_pairwise;
    "FMAXNMP, FMINNMP (scalar, half)" "01 0 11110 op:1 0 11000 01100 10 Rn:5 Rd:5" Lifter::scalar_fp_pairwise;
    "FMAXP, FMINP (scalar, half)" "01 0 11110 op:1 0 11000 01111 10 Rn:5 Rd:5" Lifter::scalar_fp_pairwise;
}

rows! { BY_ELEMENT, FP16, Half;
    "FMLA (by element, half)" "0 Q:1 0 01111 0 0 L:1 M:1 Rm:4 0001 H:1 0 Rn:5 Rd:5" Lifter::fp_by_element;
    "FMLS (by element, half)" "0 Q:1 0 01111 0 0 L:1 M:1 Rm:4 0101 H:1 0 Rn:5 Rd:5" Lifter::fp_by_element;
    "FMUL (by element, half)" "0 Q:1 0 01111 0 0 L:1 M:1 Rm:4 1001 H:1 0 Rn:5 Rd:5" Lifter::fp_by_element;
    "FMULX (by element, half)" "0 Q:1 1 01111 0 0 L:1 M:1 Rm:4 1001 H:1 0 Rn:5 Rd:5" Lifter::fp_by_element;
    "FMLA (scalar, by element, half)" "01 0 11111 0 0 L:1 M:1 Rm:4 0001 H:1 0 Rn:5 Rd:5" Lifter::fp_by_element;
    "FMLS (scalar, by element, half)" "01 0 11111 0 0 L:1 M:1 Rm:4 0101 H:1 0 Rn:5 Rd:5" Lifter::fp_by_element;
    "FMUL (scalar, by element, half)" "01 0 11111 0 0 L:1 M:1 Rm:4 1001 H:1 0 Rn:5 Rd:5" Lifter::fp_by_element;
    "FMULX (scalar, by element, half)" "01 1 11111 0 0 L:1 M:1 Rm:4 1001 H:1 0 Rn:5 Rd:5" Lifter::fp_by_element;
}

rows! { FIXED, FP16, Half;
    "SCVTF, UCVTF (vector, fixed-point, half)" "0 Q:1 U:1 011110 immh:4 immb:3 11100 1 Rn:5 Rd:5" Lifter::vector_fixed_to_fp, if fixed_is_allocated;
    "FCVTZS, FCVTZU (vector, fixed-point, half)" "0 Q:1 U:1 011110 immh:4 immb:3 11111 1 Rn:5 Rd:5" Lifter::vector_fp_to_fixed, if fixed_is_allocated;
    "SCVTF, UCVTF (scalar, fixed-point, half)" "01 U:1 111110 immh:4 immb:3 11100 1 Rn:5 Rd:5" Lifter::vector_fixed_to_fp, if fixed_is_allocated;
    "FCVTZS, FCVTZU (scalar, fixed-point, half)" "01 U:1 111110 immh:4 immb:3 11111 1 Rn:5 Rd:5" Lifter::vector_fp_to_fixed, if fixed_is_allocated;
}

rows! { IMMEDIATE, FP16;
    "FMOV (vector, immediate, half)" "0 Q:1 0 0111100000 abc:3 1111 1 1 defgh:5 Rd:5" Lifter::fmov_vector_half;
}
