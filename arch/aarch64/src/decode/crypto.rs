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
    "SHA1C" "01011110 000 Rm:5 0 000 00 Rn:5 Rd:5" Lifter::sha_three;
    "SHA1P" "01011110 000 Rm:5 0 001 00 Rn:5 Rd:5" Lifter::sha_three;
    "SHA1M" "01011110 000 Rm:5 0 010 00 Rn:5 Rd:5" Lifter::sha_three;
    "SHA1SU0" "01011110 000 Rm:5 0 011 00 Rn:5 Rd:5" Lifter::sha_three;
    "SHA1H" "01011110 00 10100 00000 10 Rn:5 Rd:5" Lifter::sha_two;
    "SHA1SU1" "01011110 00 10100 00001 10 Rn:5 Rd:5" Lifter::sha_two;
}

rows! { SHA2, features::SHA2;
    "SHA256H" "01011110 000 Rm:5 0 100 00 Rn:5 Rd:5" Lifter::sha_three;
    "SHA256H2" "01011110 000 Rm:5 0 101 00 Rn:5 Rd:5" Lifter::sha_three;
    "SHA256SU1" "01011110 000 Rm:5 0 110 00 Rn:5 Rd:5" Lifter::sha_three;
    "SHA256SU0" "01011110 00 10100 00010 10 Rn:5 Rd:5" Lifter::sha_two;
}
