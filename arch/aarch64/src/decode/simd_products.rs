//! Encodings of sums of products: dot products, small matrices, complex numbers, products that widen.

use super::rows;
use crate::features;
use crate::lift::Lifter;

rows! { DOTPROD, features::DOTPROD;
    "SDOT, UDOT" "0 Q:1 U:1 01110 10 0 Rm:5 10010 1 Rn:5 Rd:5" Lifter::dot;
    "SDOT, UDOT (by element)" "0 Q:1 U:1 01111 10 L:1 M:1 Rm:4 1110 H:1 0 Rn:5 Rd:5" Lifter::dot_by_element;
}

rows! { I8MM, features::I8MM;
    "USDOT" "0 Q:1 0 01110 10 0 Rm:5 10011 1 Rn:5 Rd:5" Lifter::usdot;
    "USDOT, SUDOT (by element)" "0 Q:1 0 01111 US:1 0 L:1 M:1 Rm:4 1111 H:1 0 Rn:5 Rd:5" Lifter::usdot_by_element;
    "SMMLA, UMMLA" "0 1 U:1 01110 10 0 Rm:5 10100 1 Rn:5 Rd:5" Lifter::matrix_of_bytes;
    "USMMLA" "0 1 0 01110 10 0 Rm:5 10101 1 Rn:5 Rd:5" Lifter::matrix_of_bytes;
}

rows! { BF16, features::BF16;
    "BFCVT" "000 11110 01 1 000110 10000 Rn:5 Rd:5" Lifter::bfcvt;
    "BFCVTN" "0 Q:1 0 01110 10 10000 10110 10 Rn:5 Rd:5" Lifter::bfcvtn;
    "BFDOT" "0 Q:1 1 01110 01 0 Rm:5 11111 1 Rn:5 Rd:5" Lifter::bfdot;
    "BFDOT (by element)" "0 Q:1 0 01111 01 L:1 M:1 Rm:4 1111 H:1 0 Rn:5 Rd:5" Lifter::bfdot_by_element;
    "BFMLALB, BFMLALT" "0 Q:1 1 01110 11 0 Rm:5 11111 1 Rn:5 Rd:5" Lifter::bfmlal;
    "BFMLALB, BFMLALT (by element)" "0 Q:1 0 01111 11 L:1 M:1 Rm:4 1111 H:1 0 Rn:5 Rd:5" Lifter::bfmlal_by_element;
    "BFMMLA" "0 1 1 01110 01 0 Rm:5 11101 1 Rn:5 Rd:5" Lifter::bfmmla;
}

rows! { FHM, features::FHM | features::FP16;
    "FMLAL, FMLSL" "0 Q:1 0 01110 S:1 0 1 Rm:5 11101 1 Rn:5 Rd:5" Lifter::fmlal;
    "FMLAL2, FMLSL2" "0 Q:1 1 01110 S:1 0 1 Rm:5 11001 1 Rn:5 Rd:5" Lifter::fmlal;
    "FMLAL, FMLSL (by element)" "0 Q:1 0 01111 10 L:1 M:1 Rm:4 0 S:1 00 H:1 0 Rn:5 Rd:5" Lifter::fmlal_by_element;
    "FMLAL2, FMLSL2 (by element)" "0 Q:1 1 01111 10 L:1 M:1 Rm:4 1 S:1 00 H:1 0 Rn:5 Rd:5" Lifter::fmlal_by_element;
}

rows! { FCMA, features::FCMA;
    "FCMLA" "0 Q:1 1 01110 size:2 0 Rm:5 110 rot:2 1 Rn:5 Rd:5 ; size=00 ; size=01 ; size=11 Q=0" Lifter::fcmla;
    "FCADD" "0 Q:1 1 01110 size:2 0 Rm:5 111 rot:1 0 1 Rn:5 Rd:5 ; size=00 ; size=01 ; size=11 Q=0" Lifter::fcadd;
    "FCMLA (by element)" "0 1 1 01111 10 0 M:1 Rm:4 0 rot:2 1 H:1 0 Rn:5 Rd:5" Lifter::fcmla_by_element;
}

rows! { FCMA_HALF, features::FCMA | features::FP16, Half;
    "FCMLA (half)" "0 Q:1 1 01110 01 0 Rm:5 110 rot:2 1 Rn:5 Rd:5" Lifter::fcmla;
    "FCADD (half)" "0 Q:1 1 01110 01 0 Rm:5 111 rot:1 0 1 Rn:5 Rd:5" Lifter::fcadd;
    "FCMLA (by element, half)" "0 Q:1 1 01111 01 L:1 M:1 Rm:4 0 rot:2 1 H:1 0 Rn:5 Rd:5 ; Q=0 H=1" Lifter::fcmla_by_element;
}
