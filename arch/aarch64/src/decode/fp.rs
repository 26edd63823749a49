//! Encodings of scalar floating point.

use super::rows;
use crate::features;
use crate::lift::Lifter;

rows! { SCALAR, 0, Ftype;
    "SCVTF (fixed-point)" "sf:1 00 11110 t:2 0 00 010 scale:6 Rn:5 Rd:5 ; sf=0 scale=0xxxxx ; t=10" Lifter::fixed_to_fp;
    "UCVTF (fixed-point)" "sf:1 00 11110 t:2 0 00 011 scale:6 Rn:5 Rd:5 ; sf=0 scale=0xxxxx ; t=10" Lifter::fixed_to_fp;
    "FCVTZS (fixed-point)" "sf:1 00 11110 t:2 0 11 000 scale:6 Rn:5 Rd:5 ; sf=0 scale=0xxxxx ; t=10" Lifter::fp_to_fixed;
    "FCVTZU (fixed-point)" "sf:1 00 11110 t:2 0 11 001 scale:6 Rn:5 Rd:5 ; sf=0 scale=0xxxxx ; t=10" Lifter::fp_to_fixed;
    "FCVTNS, FCVTPS, FCVTMS, FCVTZS" "sf:1 00 11110 t:2 1 rmode:2 000 000000 Rn:5 Rd:5 ; t=10" Lifter::fp_to_int;
    "FCVTNU, FCVTPU, FCVTMU, FCVTZU" "sf:1 00 11110 t:2 1 rmode:2 001 000000 Rn:5 Rd:5 ; t=10" Lifter::fp_to_int;
    "FCVTAS, FCVTAU" "sf:1 00 11110 t:2 1 00 10 U:1 000000 Rn:5 Rd:5 ; t=10" Lifter::fp_to_int;
    "SCVTF" "sf:1 00 11110 t:2 1 00 010 000000 Rn:5 Rd:5 ; t=10" Lifter::int_to_fp;
    "UCVTF" "sf:1 00 11110 t:2 1 00 011 000000 Rn:5 Rd:5 ; t=10" Lifter::int_to_fp;
    "FMOV (H to W, X)" "sf:1 00 11110 11 1 00 110 000000 Rn:5 Rd:5" Lifter::fmov_half_to_general;
    "FMOV (W, X to H)" "sf:1 00 11110 11 1 00 111 000000 Rn:5 Rd:5" Lifter::fmov_half_from_general;
    "FMOV (S to W)" "0 00 11110 00 1 00 110 000000 Rn:5 Rd:5" Lifter::fmov_to_general;
    "FMOV (W to S)" "0 00 11110 00 1 00 111 000000 Rn:5 Rd:5" Lifter::fmov_from_general;
    "FMOV (D to X)" "1 00 11110 01 1 00 110 000000 Rn:5 Rd:5" Lifter::fmov_to_general;
    "FMOV (X to D)" "1 00 11110 01 1 00 111 000000 Rn:5 Rd:5" Lifter::fmov_from_general;
    "FMOV (D[1] to X)" "1 00 11110 10 1 01 110 000000 Rn:5 Rd:5" Lifter::fmov_top_to_general;
    "FMOV (X to D[1])" "1 00 11110 10 1 01 111 000000 Rn:5 Rd:5" Lifter::fmov_general_to_top;
    "FMOV (register)" "000 11110 t:2 1 000000 10000 Rn:5 Rd:5 ; t=10" Lifter::fmov;
    "FABS" "000 11110 t:2 1 000001 10000 Rn:5 Rd:5 ; t=10" Lifter::fabs;
    "FNEG" "000 11110 t:2 1 000010 10000 Rn:5 Rd:5 ; t=10" Lifter::fneg;
    "FSQRT" "000 11110 t:2 1 000011 10000 Rn:5 Rd:5 ; t=10" Lifter::fsqrt;
    "FRINTN, FRINTP, FRINTM, FRINTZ" "000 11110 t:2 1 0010 mode:2 10000 Rn:5 Rd:5 ; t=10" Lifter::frint;
    "FRINTA" "000 11110 t:2 1 001100 10000 Rn:5 Rd:5 ; t=10" Lifter::frint;
    "FRINTX, FRINTI" "000 11110 t:2 1 00111 mode:1 10000 Rn:5 Rd:5 ; t=10" Lifter::frint;
    "FCMP, FCMPE" "000 11110 t:2 1 Rm:5 001000 Rn:5 E:1 zero:1 000 ; t=10" Lifter::fcmp;
    "FMOV (immediate)" "000 11110 t:2 1 imm:8 100 00000 Rd:5 ; t=10" Lifter::fmov_immediate;
    "FCCMP, FCCMPE" "000 11110 t:2 1 Rm:5 cond:4 01 Rn:5 E:1 nzcv:4 ; t=10" Lifter::fccmp;
    "FMUL" "000 11110 t:2 1 Rm:5 0000 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FDIV" "000 11110 t:2 1 Rm:5 0001 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FADD" "000 11110 t:2 1 Rm:5 0010 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FSUB" "000 11110 t:2 1 Rm:5 0011 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FMAX" "000 11110 t:2 1 Rm:5 0100 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FMIN" "000 11110 t:2 1 Rm:5 0101 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FMAXNM" "000 11110 t:2 1 Rm:5 0110 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FMINNM" "000 11110 t:2 1 Rm:5 0111 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FNMUL" "000 11110 t:2 1 Rm:5 1000 10 Rn:5 Rd:5 ; t=10" Lifter::fp_two_source;
    "FCSEL" "000 11110 t:2 1 Rm:5 cond:4 11 Rn:5 Rd:5 ; t=10" Lifter::fcsel;
    "FMADD" "000 11111 t:2 0 Rm:5 0 Ra:5 Rn:5 Rd:5 ; t=10" Lifter::fmadd;
    "FMSUB" "000 11111 t:2 0 Rm:5 1 Ra:5 Rn:5 Rd:5 ; t=10" Lifter::fmadd;
    "FNMADD" "000 11111 t:2 1 Rm:5 0 Ra:5 Rn:5 Rd:5 ; t=10" Lifter::fmadd;
    "FNMSUB" "000 11111 t:2 1 Rm:5 1 Ra:5 Rn:5 Rd:5 ; t=10" Lifter::fmadd;
}

// Conversions between sizes: half precision was there from the start.
rows! { CONVERT, 0;
    "FCVT (double to single)" "000 11110 01 1 000100 10000 Rn:5 Rd:5" Lifter::fcvt;
    "FCVT (half to single)" "000 11110 11 1 000100 10000 Rn:5 Rd:5" Lifter::fcvt;
    "FCVT (single to double)" "000 11110 00 1 000101 10000 Rn:5 Rd:5" Lifter::fcvt;
    "FCVT (half to double)" "000 11110 11 1 000101 10000 Rn:5 Rd:5" Lifter::fcvt;
    "FCVT (to half)" "000 11110 0 t:1 1 000111 10000 Rn:5 Rd:5" Lifter::fcvt;
}

rows! { FRINTTS, features::FRINTTS;
    "FRINT32Z, FRINT32X, FRINT64Z, FRINT64X" "000 11110 0 t:1 1 0100 op:2 10000 Rn:5 Rd:5" Lifter::frint_to_size;
}

rows! { JSCVT, features::JSCVT;
    "FJCVTZS" "0 00 11110 01 1 11 110 000000 Rn:5 Rd:5" Lifter::fjcvtzs;
}
