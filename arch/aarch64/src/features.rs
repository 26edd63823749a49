//! CPU models, their features, and the identification registers that tell of them.
//!
//! One set of bits feeds decoding, the ID registers, AT_HWCAP and /proc/cpuinfo, so that a program can
//! never be told of an instruction that then raises SIGILL.

use guest::arch::CpuModel;

pub const CRC32: u64 = 1 << 0;
/// Atomics of Armv8.1.
pub const LSE: u64 = 1 << 1;
/// `LDAPR`.
pub const LRCPC: u64 = 1 << 2;
/// `SQRDMLAH`, `SQRDMLSH`.
pub const RDM: u64 = 1 << 3;
/// AES rounds and 64-bit polynomial products.
pub const AES: u64 = 1 << 4;
pub const SHA1: u64 = 1 << 5;
pub const SHA2: u64 = 1 << 6;

const CRYPTO: u64 = AES | SHA1 | SHA2;
const EVERYTHING: u64 = CRC32 | LSE | LRCPC | RDM | CRYPTO;

/// Where the model's number stands in the feature bits.
const MODEL_SHIFT: u32 = 56;

pub static MODELS: &[CpuModel] = &[
    CpuModel { name: "max", description: "everything that is implemented", features: EVERYTHING },
    CpuModel {
        name: "cortex-a53",
        description: "Arm Cortex-A53",
        features: CRC32 | CRYPTO | 1 << MODEL_SHIFT,
    },
    CpuModel {
        name: "cortex-a72",
        description: "Arm Cortex-A72",
        features: CRC32 | CRYPTO | 2 << MODEL_SHIFT,
    },
    CpuModel {
        name: "neoverse-n1",
        description: "Arm Neoverse N1",
        features: CRC32 | LSE | LRCPC | RDM | CRYPTO | 3 << MODEL_SHIFT,
    },
];

pub static FEATURES: &[(&str, u64)] = &[
    ("crc32", CRC32),
    ("lse", LSE),
    ("lrcpc", LRCPC),
    ("rdm", RDM),
    ("aes", AES),
    ("sha1", SHA1),
    ("sha2", SHA2),
];

/// MIDR_EL1.
pub const fn midr(features: u64) -> u64 {
    match features >> MODEL_SHIFT {
        1 => 0x410f_d034,
        2 => 0x410f_d083,
        3 => 0x413f_d0c1,
        _ => 0x000f_0000,
    }
}

/// One field of an identification register.
struct IdField {
    register: IdRegister,
    lsb: u32,
    value: u64,
    /// All of these must be there.
    needs: u64,
}

/// The identification registers with a field that is not zero.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum IdRegister {
    Pfr0,
    Isar0,
    Isar1,
    Mmfr0,
}

static ID_FIELDS: &[IdField] = &[
    IdField { register: IdRegister::Pfr0, lsb: 0, value: 0x11, needs: 0 },
    IdField { register: IdRegister::Isar0, lsb: 4, value: 2, needs: AES },
    IdField { register: IdRegister::Isar0, lsb: 8, value: 1, needs: SHA1 },
    IdField { register: IdRegister::Isar0, lsb: 12, value: 1, needs: SHA2 },
    IdField { register: IdRegister::Isar0, lsb: 16, value: 1, needs: CRC32 },
    IdField { register: IdRegister::Isar0, lsb: 20, value: 2, needs: LSE },
    IdField { register: IdRegister::Isar0, lsb: 28, value: 1, needs: RDM },
    IdField { register: IdRegister::Isar1, lsb: 20, value: 1, needs: LRCPC },
    // No translation granule is shown: what the kernel lets user space see.
    IdField { register: IdRegister::Mmfr0, lsb: 24, value: 0xff, needs: 0 },
];

/// An identification register as the kernel shows it to user space.
pub fn id_register(register: IdRegister, features: u64) -> u64 {
    let fields = ID_FIELDS.iter().filter(|f| f.register == register && f.needs & !features == 0);
    fields.fold(0, |bits, f| bits | f.value << f.lsb)
}

/// AT_HWCAP bits (arch/arm64/include/uapi/asm/hwcap.h), their names in /proc/cpuinfo, and what they need.
pub static HWCAPS: &[(u32, &str, u64)] = &[
    (0, "fp", 0),
    (1, "asimd", 0),
    (3, "aes", AES),
    (4, "pmull", AES),
    (5, "sha1", SHA1),
    (6, "sha2", SHA2),
    (7, "crc32", CRC32),
    (8, "atomics", LSE),
    (11, "cpuid", 0),
    (12, "asimdrdm", RDM),
    (15, "lrcpc", LRCPC),
];

/// The rows of [`HWCAPS`] that these features grant.
pub fn hwcaps(features: u64) -> impl Iterator<Item = &'static (u32, &'static str, u64)> {
    HWCAPS.iter().filter(move |(_, _, needs)| needs & !features == 0)
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
        assert!(hwcaps(a72).all(|(_, name, _)| *name != "atomics"));
    }
}
