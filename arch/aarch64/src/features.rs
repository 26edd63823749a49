//! CPU models, their features, and the identification registers that tell of them.
//!
//! One table of features feeds decoding, the ID registers, AT_HWCAP and /proc/cpuinfo, so that a program
//! can never be told of an instruction that then raises SIGILL.

use guest::arch::CpuModel;

/// Declares the features: one bit each, in the order of the list, with the name that `-cpu` takes.
macro_rules! features {
    ($($(#[$doc:meta])* $constant:ident $name:literal;)*) => {
        #[allow(non_camel_case_types, clippy::upper_case_acronyms)]
        enum Position { $($constant),* }
        $($(#[$doc])* pub const $constant: u64 = 1 << Position::$constant as u64;)*
        pub static FEATURES: &[(&str, u64)] = &[$(($name, $constant)),*];
        const EVERYTHING: u64 = 0 $(| $constant)*;
    };
}

features! {
    CRC32 "crc32";
    /// Atomics of Armv8.1.
    LSE "lse";
    /// `LDAPR`.
    LRCPC "lrcpc";
    /// `SQRDMLAH`, `SQRDMLSH`.
    RDM "rdm";
    /// AES rounds and 64-bit polynomial products.
    AES "aes";
    SHA1 "sha1";
    SHA2 "sha2";
    SHA512 "sha512";
    SHA3 "sha3";
    SM3 "sm3";
    SM4 "sm4";
    /// Arithmetic in half precision.
    FP16 "fp16";
    DOTPROD "dotprod";
    /// `FMLAL`, `FMLSL`: half-precision products summed in single precision.
    FHM "fhm";
    /// Complex numbers.
    FCMA "fcma";
    /// `FJCVTZS`.
    JSCVT "jscvt";
    /// `FRINT32X` and its like.
    FRINTTS "frintts";
    BF16 "bf16";
    /// Products of 8-bit integer matrices.
    I8MM "i8mm";
    /// `LDAPUR`, `STLUR`.
    LRCPC2 "lrcpc2";
    /// Unaligned atomics within 16 bytes.
    LSE2 "lse2";
    FLAGM "flagm";
    FLAGM2 "flagm2";
    /// `SB`.
    SB "sb";
    SSBS "ssbs";
    DIT "dit";
    /// `DC CVAP`.
    DPB "dpb";
    /// `DC CVADP`.
    DPB2 "dpb2";
    /// Pointer authentication.
    PAUTH "pauth";
    /// Codes are exclusive-ored into pointers, so that a wrong one leaves a bad address.
    PAUTH2 "pauth2";
    /// Branches into guarded pages must reach a landing.
    BTI "bti";
    /// A failed authentication faults at once instead of giving a bad address.
    FPAC "fpac";
    /// Random numbers.
    RNG "rng";
    /// `WFET`, `WFIT`.
    WFXT "wfxt";
    /// Common short sequences: minimum, maximum, absolute value, bit counts.
    CSSC "cssc";
    /// `BC.cond`.
    HBC "hbc";
    /// Memory copy and set.
    MOPS "mops";
    /// `DGH`, a hint that nothing needs to be done about.
    DGH "dgh";
}

const CRYPTO: u64 = AES | SHA1 | SHA2;
/// Armv8.2 with what its first implementations have.
const V8_2: u64 = CRC32 | LSE | LRCPC | RDM | CRYPTO | FP16 | DOTPROD | DPB | SSBS;
const V1: u64 = V8_2
    | SHA512
    | SHA3
    | SM3
    | SM4
    | FHM
    | FCMA
    | JSCVT
    | BF16
    | I8MM
    | LRCPC2
    | LSE2
    | FLAGM
    | DIT
    | DPB2
    | DGH
    | PAUTH
    | PAUTH2
    | RNG;

/// Where the model's number stands in the feature bits.
const MODEL_SHIFT: u32 = 56;

const fn model(name: &'static str, description: &'static str, number: u64, features: u64) -> CpuModel {
    CpuModel { name, description, features: features | number << MODEL_SHIFT }
}

pub static MODELS: &[CpuModel] = &[
    model("max", "everything that is implemented", 0, EVERYTHING),
    model("cortex-a53", "Arm Cortex-A53", 1, CRC32 | CRYPTO),
    model("cortex-a57", "Arm Cortex-A57", 2, CRC32 | CRYPTO),
    model("cortex-a72", "Arm Cortex-A72", 3, CRC32 | CRYPTO),
    model("cortex-a76", "Arm Cortex-A76", 4, V8_2),
    model("neoverse-n1", "Arm Neoverse N1", 5, V8_2),
    model("neoverse-v1", "Arm Neoverse V1 without SVE", 6, V1),
];

/// MIDR_EL1 of each model.
const MIDR: [u64; 7] =
    [0x000f_0000, 0x410f_d034, 0x411f_d070, 0x410f_d083, 0x414f_d0b1, 0x413f_d0c1, 0x411f_d400];

/// MIDR_EL1.
pub const fn midr(features: u64) -> u64 {
    MIDR[(features >> MODEL_SHIFT) as usize % MIDR.len()]
}

/// The identification registers with a field that is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdRegister {
    Pfr0,
    Pfr1,
    Isar0,
    Isar1,
    Isar2,
    Mmfr0,
    Mmfr2,
}

/// Fields of the identification registers: register, lowest bit, value, and the features that must all
/// be there. Of two rows for one field the later counts. What builds on another feature is nothing without it.
static ID_FIELDS: &[(IdRegister, u32, u64, u64)] = &[
    (IdRegister::Pfr0, 0, 0x11, 0),
    (IdRegister::Pfr0, 16, 0x11, FP16),
    (IdRegister::Pfr0, 48, 1, DIT),
    (IdRegister::Pfr1, 0, 1, BTI),
    (IdRegister::Pfr1, 4, 2, SSBS),
    (IdRegister::Isar0, 4, 2, AES),
    (IdRegister::Isar0, 8, 1, SHA1),
    (IdRegister::Isar0, 12, 1, SHA2),
    (IdRegister::Isar0, 12, 2, SHA2 | SHA512),
    (IdRegister::Isar0, 16, 1, CRC32),
    (IdRegister::Isar0, 20, 2, LSE),
    (IdRegister::Isar0, 28, 1, RDM),
    (IdRegister::Isar0, 32, 1, SHA3),
    (IdRegister::Isar0, 36, 1, SM3),
    (IdRegister::Isar0, 40, 1, SM4),
    (IdRegister::Isar0, 44, 1, DOTPROD),
    (IdRegister::Isar0, 48, 1, FP16 | FHM),
    (IdRegister::Isar0, 52, 1, FLAGM),
    (IdRegister::Isar0, 52, 2, FLAGM | FLAGM2),
    (IdRegister::Isar0, 60, 1, RNG),
    (IdRegister::Isar1, 0, 1, DPB),
    (IdRegister::Isar1, 0, 2, DPB | DPB2),
    // The algorithm is our own: API and GPI.
    (IdRegister::Isar1, 8, 1, PAUTH),
    (IdRegister::Isar1, 8, 3, PAUTH | PAUTH2),
    (IdRegister::Isar1, 8, 4, PAUTH | PAUTH2 | FPAC),
    (IdRegister::Isar1, 28, 1, PAUTH),
    (IdRegister::Isar1, 12, 1, JSCVT),
    (IdRegister::Isar1, 16, 1, FCMA),
    (IdRegister::Isar1, 20, 1, LRCPC),
    (IdRegister::Isar1, 20, 2, LRCPC | LRCPC2),
    (IdRegister::Isar1, 32, 1, FRINTTS),
    (IdRegister::Isar1, 36, 1, SB),
    (IdRegister::Isar1, 44, 1, BF16),
    (IdRegister::Isar1, 48, 1, DGH),
    (IdRegister::Isar1, 52, 1, I8MM),
    (IdRegister::Isar2, 0, 2, WFXT),
    (IdRegister::Isar2, 16, 1, MOPS),
    (IdRegister::Isar2, 20, 1, HBC),
    (IdRegister::Isar2, 52, 1, CSSC),
    // No translation granule is shown: what the kernel lets user space see.
    (IdRegister::Mmfr0, 24, 0xff, 0),
    (IdRegister::Mmfr2, 32, 1, LSE2),
];

/// An identification register as the kernel shows it to user space.
pub fn id_register(register: IdRegister, features: u64) -> u64 {
    let fields = ID_FIELDS.iter().filter(|f| f.0 == register && f.3 & !features == 0);
    fields.fold(0, |bits, &(_, lsb, value, _)| bits & !(0xf << lsb) | value << lsb)
}

/// Where AT_HWCAP2's bits begin in [`HWCAPS`].
const HWCAP2: u32 = 64;

/// AT_HWCAP and AT_HWCAP2 bits (arch/arm64/include/uapi/asm/hwcap.h), their names in /proc/cpuinfo, and what
/// they need.
static HWCAPS: &[(u32, &str, u64)] = &[
    (0, "fp", 0),
    (1, "asimd", 0),
    (3, "aes", AES),
    (4, "pmull", AES),
    (5, "sha1", SHA1),
    (6, "sha2", SHA2),
    (7, "crc32", CRC32),
    (8, "atomics", LSE),
    (9, "fphp", FP16),
    (10, "asimdhp", FP16),
    (11, "cpuid", 0),
    (12, "asimdrdm", RDM),
    (13, "jscvt", JSCVT),
    (14, "fcma", FCMA),
    (15, "lrcpc", LRCPC),
    (16, "dcpop", DPB),
    (17, "sha3", SHA3),
    (18, "sm3", SM3),
    (19, "sm4", SM4),
    (20, "asimddp", DOTPROD),
    (21, "sha512", SHA2 | SHA512),
    (23, "asimdfhm", FP16 | FHM),
    (24, "dit", DIT),
    (25, "uscat", LSE2),
    (26, "ilrcpc", LRCPC | LRCPC2),
    (27, "flagm", FLAGM),
    (28, "ssbs", SSBS),
    (29, "sb", SB),
    (30, "paca", PAUTH),
    (31, "pacg", PAUTH),
    (HWCAP2, "dcpodp", DPB | DPB2),
    (HWCAP2 + 7, "flagm2", FLAGM | FLAGM2),
    (HWCAP2 + 8, "frint", FRINTTS),
    (HWCAP2 + 13, "i8mm", I8MM),
    (HWCAP2 + 14, "bf16", BF16),
    (HWCAP2 + 15, "dgh", DGH),
    (HWCAP2 + 16, "rng", RNG),
    (HWCAP2 + 17, "bti", BTI),
    (HWCAP2 + 31, "wfxt", WFXT),
    (HWCAP2 + 34, "cssc", CSSC),
    (HWCAP2 + 43, "mops", MOPS),
    (HWCAP2 + 44, "hbc", HBC),
];

/// The names in /proc/cpuinfo that these features grant.
pub fn hwcap_names(features: u64) -> impl Iterator<Item = &'static str> {
    HWCAPS.iter().filter(move |(_, _, needs)| needs & !features == 0).map(|(_, name, _)| *name)
}

/// AT_HWCAP and AT_HWCAP2.
pub fn hwcaps(features: u64) -> (u64, u64) {
    let granted = HWCAPS.iter().filter(|(_, _, needs)| needs & !features == 0);
    granted.fold((0, 0), |(first, second), &(bit, _, _)| match bit.checked_sub(HWCAP2) {
        None => (first | 1 << bit, second),
        Some(bit) => (first, second | 1 << bit),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_advertise_only_what_max_has() {
        let all = MODELS[0].features;
        assert!(MODELS.iter().all(|model| model.features << 8 >> 8 & !all == 0));
        assert!(FEATURES.iter().all(|(_, bit)| bit & all != 0));
    }

    #[test]
    fn a72_has_no_atomics() {
        let a72 = MODELS.iter().find(|m| m.name == "cortex-a72").unwrap().features;
        assert_eq!(id_register(IdRegister::Isar0, a72), 0x1_1120);
        assert!(hwcap_names(a72).all(|name| name != "atomics"));
    }

    #[test]
    fn a_grade_of_a_feature_replaces_the_lower_one() {
        assert_eq!(id_register(IdRegister::Isar1, LRCPC), 1 << 20);
        assert_eq!(id_register(IdRegister::Isar1, LRCPC | LRCPC2), 2 << 20);
        assert_eq!(hwcaps(FLAGM | FLAGM2), (0x803 | 1 << 27, 1 << 7));
    }
}
