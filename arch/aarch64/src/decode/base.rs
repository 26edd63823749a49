//! Encodings of the base set: data processing, branches, system.

use super::rows;
use crate::features;
use crate::lift::{Lifter, int, system};

rows! { IMMEDIATE, 0;
    "ADR" "0 immlo:2 10000 immhi:19 Rd:5" Lifter::adr;
    "ADRP" "1 immlo:2 10000 immhi:19 Rd:5" Lifter::adrp;
    "ADD (immediate)" "sf:1 0 0 100010 sh:1 imm:12 Rn:5 Rd:5" Lifter::add_sub_immediate;
    "ADDS (immediate)" "sf:1 0 1 100010 sh:1 imm:12 Rn:5 Rd:5" Lifter::add_sub_immediate;
    "SUB (immediate)" "sf:1 1 0 100010 sh:1 imm:12 Rn:5 Rd:5" Lifter::add_sub_immediate;
    "SUBS (immediate)" "sf:1 1 1 100010 sh:1 imm:12 Rn:5 Rd:5" Lifter::add_sub_immediate;
    "AND (immediate)" "sf:1 00 100100 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1" Lifter::logical_immediate, if int::bitmask_is_valid;
    "ORR (immediate)" "sf:1 01 100100 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1" Lifter::logical_immediate, if int::bitmask_is_valid;
    "EOR (immediate)" "sf:1 10 100100 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1" Lifter::logical_immediate, if int::bitmask_is_valid;
    "ANDS (immediate)" "sf:1 11 100100 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1" Lifter::logical_immediate, if int::bitmask_is_valid;
    "MOVN" "sf:1 00 100101 hw:2 imm:16 Rd:5 ; sf=0 hw=1x" Lifter::movn;
    "MOVZ" "sf:1 10 100101 hw:2 imm:16 Rd:5 ; sf=0 hw=1x" Lifter::movz;
    "MOVK" "sf:1 11 100101 hw:2 imm:16 Rd:5 ; sf=0 hw=1x" Lifter::movk;
    "SBFM" "sf:1 00 100110 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1 ; sf=1 N=0 ; sf=0 immr=1xxxxx ; sf=0 imms=1xxxxx" Lifter::sbfm;
    "BFM" "sf:1 01 100110 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1 ; sf=1 N=0 ; sf=0 immr=1xxxxx ; sf=0 imms=1xxxxx" Lifter::bfm;
    "UBFM" "sf:1 10 100110 N:1 immr:6 imms:6 Rn:5 Rd:5 ; sf=0 N=1 ; sf=1 N=0 ; sf=0 immr=1xxxxx ; sf=0 imms=1xxxxx" Lifter::ubfm;
    "EXTR" "sf:1 00 100111 N:1 0 Rm:5 imms:6 Rn:5 Rd:5 ; sf=0 N=1 ; sf=1 N=0 ; sf=0 imms=1xxxxx" Lifter::extr;
}

rows! { REGISTER, 0;
    "AND, BIC (shifted register)" "sf:1 00 01010 shift:2 N:1 Rm:5 imm:6 Rn:5 Rd:5 ; sf=0 imm=1xxxxx" Lifter::logical_shifted;
    "ORR, ORN (shifted register)" "sf:1 01 01010 shift:2 N:1 Rm:5 imm:6 Rn:5 Rd:5 ; sf=0 imm=1xxxxx" Lifter::logical_shifted;
    "EOR, EON (shifted register)" "sf:1 10 01010 shift:2 N:1 Rm:5 imm:6 Rn:5 Rd:5 ; sf=0 imm=1xxxxx" Lifter::logical_shifted;
    "ANDS, BICS (shifted register)" "sf:1 11 01010 shift:2 N:1 Rm:5 imm:6 Rn:5 Rd:5 ; sf=0 imm=1xxxxx" Lifter::logical_shifted;
    "ADD (shifted register)" "sf:1 0 0 01011 shift:2 0 Rm:5 imm:6 Rn:5 Rd:5 ; shift=11 ; sf=0 imm=1xxxxx" Lifter::add_sub_shifted;
    "ADDS (shifted register)" "sf:1 0 1 01011 shift:2 0 Rm:5 imm:6 Rn:5 Rd:5 ; shift=11 ; sf=0 imm=1xxxxx" Lifter::add_sub_shifted;
    "SUB (shifted register)" "sf:1 1 0 01011 shift:2 0 Rm:5 imm:6 Rn:5 Rd:5 ; shift=11 ; sf=0 imm=1xxxxx" Lifter::add_sub_shifted;
    "SUBS (shifted register)" "sf:1 1 1 01011 shift:2 0 Rm:5 imm:6 Rn:5 Rd:5 ; shift=11 ; sf=0 imm=1xxxxx" Lifter::add_sub_shifted;
    "ADD (extended register)" "sf:1 0 0 01011 00 1 Rm:5 option:3 imm:3 Rn:5 Rd:5 ; imm=101 ; imm=11x" Lifter::add_sub_extended;
    "ADDS (extended register)" "sf:1 0 1 01011 00 1 Rm:5 option:3 imm:3 Rn:5 Rd:5 ; imm=101 ; imm=11x" Lifter::add_sub_extended;
    "SUB (extended register)" "sf:1 1 0 01011 00 1 Rm:5 option:3 imm:3 Rn:5 Rd:5 ; imm=101 ; imm=11x" Lifter::add_sub_extended;
    "SUBS (extended register)" "sf:1 1 1 01011 00 1 Rm:5 option:3 imm:3 Rn:5 Rd:5 ; imm=101 ; imm=11x" Lifter::add_sub_extended;
    "ADC, ADCS" "sf:1 0 S:1 11010000 Rm:5 000000 Rn:5 Rd:5" Lifter::adc;
    "SBC, SBCS" "sf:1 1 S:1 11010000 Rm:5 000000 Rn:5 Rd:5" Lifter::sbc;
    "CCMN (register)" "sf:1 0 1 11010010 Rm:5 cond:4 00 Rn:5 0 nzcv:4" Lifter::conditional_compare;
    "CCMP (register)" "sf:1 1 1 11010010 Rm:5 cond:4 00 Rn:5 0 nzcv:4" Lifter::conditional_compare;
    "CCMN (immediate)" "sf:1 0 1 11010010 imm:5 cond:4 10 Rn:5 0 nzcv:4" Lifter::conditional_compare;
    "CCMP (immediate)" "sf:1 1 1 11010010 imm:5 cond:4 10 Rn:5 0 nzcv:4" Lifter::conditional_compare;
    "CSEL" "sf:1 0 0 11010100 Rm:5 cond:4 00 Rn:5 Rd:5" Lifter::conditional_select;
    "CSINC" "sf:1 0 0 11010100 Rm:5 cond:4 01 Rn:5 Rd:5" Lifter::conditional_select;
    "CSINV" "sf:1 1 0 11010100 Rm:5 cond:4 00 Rn:5 Rd:5" Lifter::conditional_select;
    "CSNEG" "sf:1 1 0 11010100 Rm:5 cond:4 01 Rn:5 Rd:5" Lifter::conditional_select;
    "UDIV" "sf:1 0 0 11010110 Rm:5 000010 Rn:5 Rd:5" Lifter::udiv;
    "SDIV" "sf:1 0 0 11010110 Rm:5 000011 Rn:5 Rd:5" Lifter::sdiv;
    "LSLV" "sf:1 0 0 11010110 Rm:5 001000 Rn:5 Rd:5" Lifter::shift_variable;
    "LSRV" "sf:1 0 0 11010110 Rm:5 001001 Rn:5 Rd:5" Lifter::shift_variable;
    "ASRV" "sf:1 0 0 11010110 Rm:5 001010 Rn:5 Rd:5" Lifter::shift_variable;
    "RORV" "sf:1 0 0 11010110 Rm:5 001011 Rn:5 Rd:5" Lifter::shift_variable;
    "RBIT" "sf:1 1 0 11010110 00000 000000 Rn:5 Rd:5" Lifter::rbit;
    "REV16" "sf:1 1 0 11010110 00000 000001 Rn:5 Rd:5" Lifter::rev16;
    "REV (32-bit)" "0 1 0 11010110 00000 000010 Rn:5 Rd:5" Lifter::rev;
    "REV32" "1 1 0 11010110 00000 000010 Rn:5 Rd:5" Lifter::rev32;
    "REV (64-bit)" "1 1 0 11010110 00000 000011 Rn:5 Rd:5" Lifter::rev;
    "CLZ" "sf:1 1 0 11010110 00000 000100 Rn:5 Rd:5" Lifter::clz;
    "CLS" "sf:1 1 0 11010110 00000 000101 Rn:5 Rd:5" Lifter::cls;
    "MADD" "sf:1 00 11011 000 Rm:5 0 Ra:5 Rn:5 Rd:5" Lifter::madd;
    "MSUB" "sf:1 00 11011 000 Rm:5 1 Ra:5 Rn:5 Rd:5" Lifter::madd;
    "SMADDL, SMSUBL" "1 00 11011 001 Rm:5 o0:1 Ra:5 Rn:5 Rd:5" Lifter::maddl;
    "UMADDL, UMSUBL" "1 00 11011 101 Rm:5 o0:1 Ra:5 Rn:5 Rd:5" Lifter::maddl;
    "SMULH" "1 00 11011 010 Rm:5 0 Ra:5 Rn:5 Rd:5" Lifter::smulh;
    "UMULH" "1 00 11011 110 Rm:5 0 Ra:5 Rn:5 Rd:5" Lifter::umulh;
}

rows! { CSSC, features::CSSC;
    "ABS" "sf:1 1 0 11010110 00000 001000 Rn:5 Rd:5" Lifter::abs;
    "CNT (general)" "sf:1 1 0 11010110 00000 000111 Rn:5 Rd:5" Lifter::cnt;
    "CTZ" "sf:1 1 0 11010110 00000 000110 Rn:5 Rd:5" Lifter::ctz;
    "SMAX, UMAX, SMIN, UMIN (register)" "sf:1 0 0 11010110 Rm:5 0110 op:2 Rn:5 Rd:5" Lifter::minmax_register;
    "SMAX, UMAX, SMIN, UMIN (immediate)" "sf:1 00 1000111 00 op:2 imm:8 Rn:5 Rd:5" Lifter::minmax_immediate;
}

rows! { FLAGM, features::FLAGM;
    "CFINV" "11010101 00000 000 0100 0000 000 11111" Lifter::cfinv;
    "RMIF" "1 0 1 11010000 imm:6 00001 Rn:5 0 mask:4" Lifter::rmif;
    "SETF8, SETF16" "0 0 1 11010000 00000 0 sz:1 0010 Rn:5 0 1101" Lifter::setf;
}

rows! { FLAGM2, features::FLAGM2 | features::FLAGM;
    "XAFLAG" "11010101 00000 000 0100 0000 001 11111" Lifter::xaflag;
    "AXFLAG" "11010101 00000 000 0100 0000 010 11111" Lifter::axflag;
}

rows! { CRC, features::CRC32;
    "CRC32B, CRC32H, CRC32W, CRC32CB, CRC32CH, CRC32CW" "0 00 11010110 Rm:5 010 C:1 sz:2 Rn:5 Rd:5 ; sz=11" Lifter::crc32;
    "CRC32X, CRC32CX" "1 00 11010110 Rm:5 010 C:1 11 Rn:5 Rd:5" Lifter::crc32;
}

rows! { CONTROL, 0;
    "B" "0 00101 imm:26" Lifter::b;
    "BL" "1 00101 imm:26" Lifter::bl;
    "B.cond" "0101010 0 imm:19 0 cond:4" Lifter::b_cond;
    "CBZ" "sf:1 011010 0 imm:19 Rt:5" Lifter::cbz;
    "CBNZ" "sf:1 011010 1 imm:19 Rt:5" Lifter::cbz;
    "TBZ" "b5:1 011011 0 b40:5 imm:14 Rt:5" Lifter::tbz;
    "TBNZ" "b5:1 011011 1 b40:5 imm:14 Rt:5" Lifter::tbz;
    "BR" "1101011 0000 11111 000000 Rn:5 00000" Lifter::br;
    "BLR" "1101011 0001 11111 000000 Rn:5 00000" Lifter::blr;
    "RET" "1101011 0010 11111 000000 Rn:5 00000" Lifter::ret;
    "SVC" "11010100 000 imm:16 00001" Lifter::svc;
}

rows! { HBC, features::HBC;
    "BC.cond" "0101010 0 imm:19 1 cond:4" Lifter::b_cond;
}

rows! { PAUTH, features::PAUTH;
    "PACIA to AUTDB" "1 1 0 11010110 00001 000 AUT:1 key:2 Rn:5 Rd:5" Lifter::pac_register;
    "PACIZA to AUTDZB" "1 1 0 11010110 00001 001 AUT:1 key:2 11111 Rd:5" Lifter::pac_register;
    "XPACI, XPACD" "1 1 0 11010110 00001 01000 D:1 11111 Rd:5" Lifter::xpac;
    "PACGA" "1 0 0 11010110 Rm:5 001100 Rn:5 Rd:5" Lifter::pacga;
    "BRAAZ, BRABZ" "1101011 0 0 00 11111 00001 M:1 Rn:5 11111" Lifter::bra;
    "BLRAAZ, BLRABZ" "1101011 0 0 01 11111 00001 M:1 Rn:5 11111" Lifter::blra;
    "RETAA, RETAB" "1101011 0 0 10 11111 00001 M:1 11111 11111" Lifter::reta;
    "BRAA, BRAB" "1101011 1 0 00 11111 00001 M:1 Rn:5 Rm:5" Lifter::bra;
    "BLRAA, BLRAB" "1101011 1 0 01 11111 00001 M:1 Rn:5 Rm:5" Lifter::blra;
    "LDRAA, LDRAB" "11 111 0 00 M:1 S:1 1 imm:9 W:1 1 Rn:5 Rt:5" Lifter::ldra;
}

rows! { SB, features::SB;
    "SB" "11010101 00000 011 0011 0000 111 11111" Lifter::barrier;
}

rows! { SSBS, features::SSBS;
    "MSR SSBS (immediate)" "11010101 00000 011 0100 CRm:4 001 11111" Lifter::msr_pstate;
    "MRS SSBS" "11010101 0011 1 011 0100 0010 110 Rt:5" Lifter::mrs_pstate;
    "MSR SSBS" "11010101 0001 1 011 0100 0010 110 Rt:5" Lifter::msr_pstate;
}

rows! { DIT, features::DIT;
    "MSR DIT (immediate)" "11010101 00000 011 0100 CRm:4 010 11111" Lifter::msr_pstate;
    "MRS DIT" "11010101 0011 1 011 0100 0010 101 Rt:5" Lifter::mrs_pstate;
    "MSR DIT" "11010101 0001 1 011 0100 0010 101 Rt:5" Lifter::msr_pstate;
}

rows! { RNG, features::RNG;
    "MRS RNDR, RNDRRS" "11010101 0011 1 011 0010 0100 00 x Rt:5" Lifter::rndr;
}

rows! { WFXT, features::WFXT;
    "WFET, WFIT" "11010101 00000 011 0001 0000 00 x Rd:5" Lifter::nop;
    "DSB nXS" "11010101 00000 011 0011 imm:2 10 001 11111" Lifter::barrier;
}

rows! { DPB, features::DPB;
    "DC CVAP" "11010101 00001 011 0111 1100 001 Rt:5" Lifter::dc_clean;
}

rows! { DPB2, features::DPB2 | features::DPB;
    "DC CVADP" "11010101 00001 011 0111 1101 001 Rt:5" Lifter::dc_clean;
}

rows! { SYSTEM, 0;
    "HINT" "11010101 00000 011 0010 CRm:4 op2:3 11111" Lifter::hint;
    "CLREX" "11010101 00000 011 0011 CRm:4 010 11111" Lifter::clrex;
    "DSB" "11010101 00000 011 0011 CRm:4 100 11111" Lifter::barrier;
    "DMB" "11010101 00000 011 0011 CRm:4 101 11111" Lifter::barrier;
    "ISB" "11010101 00000 011 0011 CRm:4 110 11111" Lifter::isb;
    "DC ZVA" "11010101 00001 011 0111 0100 001 Rt:5" Lifter::dc_zva;
    "DC CVAC" "11010101 00001 011 0111 1010 001 Rt:5" Lifter::dc_clean;
    "DC CVAU" "11010101 00001 011 0111 1011 001 Rt:5" Lifter::dc_clean;
    "DC CIVAC" "11010101 00001 011 0111 1110 001 Rt:5" Lifter::dc_clean;
    "IC IVAU" "11010101 00001 011 0111 0101 001 Rt:5" Lifter::ic_ivau;
    "MRS" "11010101 0011 o0:1 op1:3 CRn:4 CRm:4 op2:3 Rt:5" Lifter::mrs, if system::is_readable;
    "MSR (register)" "11010101 0001 o0:1 op1:3 CRn:4 CRm:4 op2:3 Rt:5" Lifter::msr, if system::is_writable;
}
