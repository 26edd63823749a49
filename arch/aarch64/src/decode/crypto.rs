//! Encodings of the cryptographic extension.

use super::rows;
use crate::features;
use crate::lift::Lifter;

rows! { AES, features::AES;
    "AESE" "01001110 00 10100 00100 10 Rn:5 Rd:5" Lifter::aes;
    "AESD" "01001110 00 10100 00101 10 Rn:5 Rd:5" Lifter::aes;
    "AESMC" "01001110 00 10100 00110 10 Rn:5 Rd:5" Lifter::aes;
    "AESIMC" "01001110 00 10100 00111 10 Rn:5 Rd:5" Lifter::aes;
    "PMULL (64-bit)" "0 Q:1 0 01110 11 1 Rm:5 1110 00 Rn:5 Rd:5" Lifter::pmull_64;
}

rows! { SHA1, features::SHA1;
    "SHA1C" "01011110 000 Rm:5 0 000 00 Rn:5 Rd:5" Lifter::sha1_rounds;
    "SHA1P" "01011110 000 Rm:5 0 001 00 Rn:5 Rd:5" Lifter::sha1_rounds;
    "SHA1M" "01011110 000 Rm:5 0 010 00 Rn:5 Rd:5" Lifter::sha1_rounds;
    "SHA1SU0" "01011110 000 Rm:5 0 011 00 Rn:5 Rd:5" Lifter::sha1su0;
    "SHA1H" "01011110 00 10100 00000 10 Rn:5 Rd:5" Lifter::sha1h;
    "SHA1SU1" "01011110 00 10100 00001 10 Rn:5 Rd:5" Lifter::sha1su1;
}

rows! { SHA512, features::SHA512 | features::SHA2;
    "SHA512H" "11001110 011 Rm:5 1 0 00 00 Rn:5 Rd:5" Lifter::sha512;
    "SHA512H2" "11001110 011 Rm:5 1 0 00 01 Rn:5 Rd:5" Lifter::sha512;
    "SHA512SU1" "11001110 011 Rm:5 1 0 00 10 Rn:5 Rd:5" Lifter::sha512;
    "SHA512SU0" "11001110 110 00000 1 0 00 00 Rn:5 Rd:5" Lifter::sha512_su0;
}

rows! { SHA3, features::SHA3;
    "EOR3" "11001110 000 Rm:5 0 Ra:5 Rn:5 Rd:5" Lifter::eor3;
    "BCAX" "11001110 001 Rm:5 0 Ra:5 Rn:5 Rd:5" Lifter::bcax;
    "RAX1" "11001110 011 Rm:5 1 0 00 11 Rn:5 Rd:5" Lifter::rax1;
    "XAR" "11001110 100 Rm:5 imm:6 Rn:5 Rd:5" Lifter::xar;
}

rows! { SM3, features::SM3;
    "SM3SS1" "11001110 010 Rm:5 0 Ra:5 Rn:5 Rd:5" Lifter::sm3_ss1;
    "SM3TT1A, SM3TT1B, SM3TT2A, SM3TT2B" "11001110 010 Rm:5 1 0 imm:2 op:2 Rn:5 Rd:5" Lifter::sm3_tt;
    "SM3PARTW1, SM3PARTW2" "11001110 011 Rm:5 1 1 00 0 op:1 Rn:5 Rd:5" Lifter::sm3_partw;
}

rows! { SM4, features::SM4;
    "SM4E" "11001110 110 00000 1 0 00 01 Rn:5 Rd:5" Lifter::sm4_e;
    "SM4EKEY" "11001110 011 Rm:5 1 1 00 10 Rn:5 Rd:5" Lifter::sm4_ekey;
}

rows! { SHA2, features::SHA2;
    "SHA256H" "01011110 000 Rm:5 0 100 00 Rn:5 Rd:5" Lifter::sha256_rounds;
    "SHA256H2" "01011110 000 Rm:5 0 101 00 Rn:5 Rd:5" Lifter::sha256_rounds;
    "SHA256SU1" "01011110 000 Rm:5 0 110 00 Rn:5 Rd:5" Lifter::sha256su1;
    "SHA256SU0" "01011110 00 10100 00010 10 Rn:5 Rd:5" Lifter::sha256su0;
}
