//! Encodings of loads and stores.

use super::rows;
use crate::features;
use crate::lift::{Lifter, mops, structure};

rows! { SINGLE, 0;
    "STR (unsigned offset)" "size:2 111 0 01 00 imm:12 Rn:5 Rt:5" Lifter::str_unsigned;
    "LDR (unsigned offset)" "size:2 111 0 01 01 imm:12 Rn:5 Rt:5" Lifter::ldr_unsigned;
    "PRFM (unsigned offset)" "11 111 0 01 10 imm:12 Rn:5 Rt:5" Lifter::prfm_unsigned;
    "LDRS to 64 (unsigned offset)" "size:2 111 0 01 10 imm:12 Rn:5 Rt:5 ; size=11" Lifter::ldr_unsigned;
    "LDRS to 32 (unsigned offset)" "size:2 111 0 01 11 imm:12 Rn:5 Rt:5 ; size=1x" Lifter::ldr_unsigned;
    "STR (SIMD, unsigned offset)" "size:2 111 1 01 00 imm:12 Rn:5 Rt:5" Lifter::str_vector_unsigned;
    "LDR (SIMD, unsigned offset)" "size:2 111 1 01 01 imm:12 Rn:5 Rt:5" Lifter::ldr_vector_unsigned;
    "STR (SIMD Q, unsigned offset)" "00 111 1 01 10 imm:12 Rn:5 Rt:5" Lifter::str_vector_unsigned;
    "LDR (SIMD Q, unsigned offset)" "00 111 1 01 11 imm:12 Rn:5 Rt:5" Lifter::ldr_vector_unsigned;

    "STR (register offset)" "size:2 111 0 00 00 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5" Lifter::str_register;
    "LDR (register offset)" "size:2 111 0 00 01 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5" Lifter::ldr_register;
    "PRFM (register offset)" "11 111 0 00 10 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5" Lifter::prfm_register;
    "LDRS to 64 (register offset)" "size:2 111 0 00 10 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5 ; size=11" Lifter::ldr_register;
    "LDRS to 32 (register offset)" "size:2 111 0 00 11 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5 ; size=1x" Lifter::ldr_register;
    "STR (SIMD, register offset)" "size:2 111 1 00 00 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5" Lifter::str_vector_register;
    "LDR (SIMD, register offset)" "size:2 111 1 00 01 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5" Lifter::ldr_vector_register;
    "STR (SIMD Q, register offset)" "00 111 1 00 10 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5" Lifter::str_vector_register;
    "LDR (SIMD Q, register offset)" "00 111 1 00 11 1 Rm:5 x 1 x S:1 10 Rn:5 Rt:5" Lifter::ldr_vector_register;

    "STUR" "size:2 111 0 00 00 0 imm:9 00 Rn:5 Rt:5" Lifter::str_indexed;
    "LDUR" "size:2 111 0 00 01 0 imm:9 00 Rn:5 Rt:5" Lifter::ldr_indexed;
    "PRFUM" "11 111 0 00 10 0 imm:9 00 Rn:5 Rt:5" Lifter::prfum;
    "LDURS to 64" "size:2 111 0 00 10 0 imm:9 00 Rn:5 Rt:5 ; size=11" Lifter::ldr_indexed;
    "LDURS to 32" "size:2 111 0 00 11 0 imm:9 00 Rn:5 Rt:5 ; size=1x" Lifter::ldr_indexed;
    "STTR" "size:2 111 0 00 00 0 imm:9 10 Rn:5 Rt:5" Lifter::str_indexed;
    "LDTR" "size:2 111 0 00 01 0 imm:9 10 Rn:5 Rt:5" Lifter::ldr_indexed;
    "LDTRS to 64" "size:2 111 0 00 10 0 imm:9 10 Rn:5 Rt:5 ; size=11" Lifter::ldr_indexed;
    "LDTRS to 32" "size:2 111 0 00 11 0 imm:9 10 Rn:5 Rt:5 ; size=1x" Lifter::ldr_indexed;
    "STR (post-indexed, pre-indexed)" "size:2 111 0 00 00 0 imm:9 pre:1 1 Rn:5 Rt:5" Lifter::str_indexed;
    "LDR (post-indexed, pre-indexed)" "size:2 111 0 00 01 0 imm:9 pre:1 1 Rn:5 Rt:5" Lifter::ldr_indexed;
    "LDRS to 64 (post-indexed, pre-indexed)" "size:2 111 0 00 10 0 imm:9 pre:1 1 Rn:5 Rt:5 ; size=11" Lifter::ldr_indexed;
    "LDRS to 32 (post-indexed, pre-indexed)" "size:2 111 0 00 11 0 imm:9 pre:1 1 Rn:5 Rt:5 ; size=1x" Lifter::ldr_indexed;
    "STUR (SIMD)" "size:2 111 1 00 00 0 imm:9 00 Rn:5 Rt:5" Lifter::str_vector_indexed;
    "LDUR (SIMD)" "size:2 111 1 00 01 0 imm:9 00 Rn:5 Rt:5" Lifter::ldr_vector_indexed;
    "STUR (SIMD Q)" "00 111 1 00 10 0 imm:9 00 Rn:5 Rt:5" Lifter::str_vector_indexed;
    "LDUR (SIMD Q)" "00 111 1 00 11 0 imm:9 00 Rn:5 Rt:5" Lifter::ldr_vector_indexed;
    "STR (SIMD, post-indexed, pre-indexed)" "size:2 111 1 00 00 0 imm:9 pre:1 1 Rn:5 Rt:5" Lifter::str_vector_indexed;
    "LDR (SIMD, post-indexed, pre-indexed)" "size:2 111 1 00 01 0 imm:9 pre:1 1 Rn:5 Rt:5" Lifter::ldr_vector_indexed;
    "STR (SIMD Q, post-indexed, pre-indexed)" "00 111 1 00 10 0 imm:9 pre:1 1 Rn:5 Rt:5" Lifter::str_vector_indexed;
    "LDR (SIMD Q, post-indexed, pre-indexed)" "00 111 1 00 11 0 imm:9 pre:1 1 Rn:5 Rt:5" Lifter::ldr_vector_indexed;

    "LDR (literal, 32-bit)" "00 011 0 00 imm:19 Rt:5" Lifter::ldr_literal;
    "LDR (literal, 64-bit)" "01 011 0 00 imm:19 Rt:5" Lifter::ldr_literal;
    "LDRSW (literal)" "10 011 0 00 imm:19 Rt:5" Lifter::ldr_literal;
    "PRFM (literal)" "11 011 0 00 imm:19 Rt:5" Lifter::prfm_literal;
    "LDR (SIMD, literal)" "opc:2 011 1 00 imm:19 Rt:5 ; opc=11" Lifter::ldr_vector_literal;
}

rows! { PAIR, 0;
    "STNP" "sf:1 0 101 0 000 0 imm:7 Rt2:5 Rn:5 Rt:5" Lifter::stp;
    "LDNP" "sf:1 0 101 0 000 1 imm:7 Rt2:5 Rn:5 Rt:5" Lifter::ldp;
    "STP" "sf:1 0 101 0 0 mode:2 0 imm:7 Rt2:5 Rn:5 Rt:5 ; mode=00" Lifter::stp;
    "LDP" "sf:1 0 101 0 0 mode:2 1 imm:7 Rt2:5 Rn:5 Rt:5 ; mode=00" Lifter::ldp;
    "LDPSW" "01 101 0 0 mode:2 1 imm:7 Rt2:5 Rn:5 Rt:5 ; mode=00" Lifter::ldpsw;
    "STP, STNP (SIMD)" "opc:2 101 1 0 mode:2 0 imm:7 Rt2:5 Rn:5 Rt:5 ; opc=11" Lifter::stp_vector;
    "LDP, LDNP (SIMD)" "opc:2 101 1 0 mode:2 1 imm:7 Rt2:5 Rn:5 Rt:5 ; opc=11" Lifter::ldp_vector;
}

rows! { EXCLUSIVE, 0;
    "STXR, STLXR" "size:2 001000 000 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5" Lifter::stxr;
    "LDXR, LDAXR" "size:2 001000 010 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5" Lifter::ldxr;
    "STXP, STLXP" "1 sz:1 001000 001 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5" Lifter::stxp;
    "LDXP, LDAXP" "1 sz:1 001000 011 Rs:5 o0:1 Rt2:5 Rn:5 Rt:5" Lifter::ldxp;
    "STLR" "size:2 001000 100 Rs:5 1 Rt2:5 Rn:5 Rt:5" Lifter::stlr;
    "LDAR" "size:2 001000 110 Rs:5 1 Rt2:5 Rn:5 Rt:5" Lifter::ldar;
}

rows! { ATOMIC, features::LSE;
    "STLLR" "size:2 001000 100 Rs:5 0 Rt2:5 Rn:5 Rt:5" Lifter::stlr;
    "LDLAR" "size:2 001000 110 Rs:5 0 Rt2:5 Rn:5 Rt:5" Lifter::ldar;
    "CAS" "size:2 001000 1 L:1 1 Rs:5 o0:1 11111 Rn:5 Rt:5" Lifter::cas;
    "CASP" "0 sz:1 001000 0 L:1 1 Rs:4 0 o0:1 11111 Rn:5 Rt:4 0" Lifter::casp;
    "LDADD" "size:2 111 0 00 A:1 R:1 1 Rs:5 0 000 00 Rn:5 Rt:5" Lifter::rmw;
    "LDCLR" "size:2 111 0 00 A:1 R:1 1 Rs:5 0 001 00 Rn:5 Rt:5" Lifter::rmw;
    "LDEOR" "size:2 111 0 00 A:1 R:1 1 Rs:5 0 010 00 Rn:5 Rt:5" Lifter::rmw;
    "LDSET" "size:2 111 0 00 A:1 R:1 1 Rs:5 0 011 00 Rn:5 Rt:5" Lifter::rmw;
    "LDSMAX" "size:2 111 0 00 A:1 R:1 1 Rs:5 0 100 00 Rn:5 Rt:5" Lifter::rmw;
    "LDSMIN" "size:2 111 0 00 A:1 R:1 1 Rs:5 0 101 00 Rn:5 Rt:5" Lifter::rmw;
    "LDUMAX" "size:2 111 0 00 A:1 R:1 1 Rs:5 0 110 00 Rn:5 Rt:5" Lifter::rmw;
    "LDUMIN" "size:2 111 0 00 A:1 R:1 1 Rs:5 0 111 00 Rn:5 Rt:5" Lifter::rmw;
    "SWP" "size:2 111 0 00 A:1 R:1 1 Rs:5 1 000 00 Rn:5 Rt:5" Lifter::rmw;
}

rows! { LRCPC, features::LRCPC;
    "LDAPR" "size:2 111 0 00 1 0 1 11111 1 100 00 Rn:5 Rt:5" Lifter::ldar;
}

rows! { LRCPC2, features::LRCPC2 | features::LRCPC;
    "STLUR" "size:2 011001 00 0 imm:9 00 Rn:5 Rt:5" Lifter::stlur;
    "LDAPUR" "size:2 011001 01 0 imm:9 00 Rn:5 Rt:5" Lifter::ldapur;
    "LDAPURS to 64" "size:2 011001 10 0 imm:9 00 Rn:5 Rt:5 ; size=11" Lifter::ldapur;
    "LDAPURS to 32" "size:2 011001 11 0 imm:9 00 Rn:5 Rt:5 ; size=1x" Lifter::ldapur;
}

rows! { MOPS, features::MOPS;
    "SETP" "00 011 0 01 11 0 Rs:5 00 op:2 01 Rn:5 Rd:5" Lifter::set_prologue, if mops::set_is_allocated;
    "SETM" "00 011 0 01 11 0 Rs:5 01 op:2 01 Rn:5 Rd:5" Lifter::set_main, if mops::set_is_allocated;
    "SETE" "00 011 0 01 11 0 Rs:5 10 op:2 01 Rn:5 Rd:5" Lifter::set_main, if mops::set_is_allocated;
    "CPYP, CPYFP" "00 011 o0:1 01 00 0 Rs:5 op:4 01 Rn:5 Rd:5" Lifter::copy_prologue, if mops::copy_is_allocated;
    "CPYM, CPYFM" "00 011 o0:1 01 01 0 Rs:5 op:4 01 Rn:5 Rd:5" Lifter::copy_main, if mops::copy_is_allocated;
    "CPYE, CPYFE" "00 011 o0:1 01 10 0 Rs:5 op:4 01 Rn:5 Rd:5" Lifter::copy_main, if mops::copy_is_allocated;
}

rows! { STRUCTURE, 0;
    "LD1, ST1 (multiple)" "0 Q:1 0011000 L:1 000000 xx1x size:2 Rn:5 Rt:5" Lifter::multiple_structures, if structure::multiple_is_allocated;
    "LD2, LD3, LD4, ST2, ST3, ST4 (multiple)" "0 Q:1 0011000 L:1 000000 xx00 size:2 Rn:5 Rt:5 ; Q=0 size=11" Lifter::multiple_structures, if structure::multiple_is_allocated;
    "LD1, ST1 (multiple, post-indexed)" "0 Q:1 0011001 L:1 0 Rm:5 xx1x size:2 Rn:5 Rt:5" Lifter::multiple_structures, if structure::multiple_is_allocated;
    "LD2, LD3, LD4, ST2, ST3, ST4 (multiple, post-indexed)" "0 Q:1 0011001 L:1 0 Rm:5 xx00 size:2 Rn:5 Rt:5 ; Q=0 size=11" Lifter::multiple_structures, if structure::multiple_is_allocated;
    "LD1R, LD2R, LD3R, LD4R" "0 Q:1 0011010 1 R:1 00000 11x 0 size:2 Rn:5 Rt:5" Lifter::replicate_structure;
    "LD1R, LD2R, LD3R, LD4R (post-indexed)" "0 Q:1 0011011 1 R:1 Rm:5 11x 0 size:2 Rn:5 Rt:5" Lifter::replicate_structure;
    "LDn, STn (single)" "0 Q:1 0011010 L:1 R:1 00000 opcode:3 S:1 size:2 Rn:5 Rt:5 ; opcode=11x" Lifter::single_structure, if structure::single_is_allocated;
    "LDn, STn (single, post-indexed)" "0 Q:1 0011011 L:1 R:1 Rm:5 opcode:3 S:1 size:2 Rn:5 Rt:5 ; opcode=11x" Lifter::single_structure, if structure::single_is_allocated;
}
