//! CPU models: feature bits, what CPUID says of them, and which instructions they allow.
//!
//! Software chooses its code by CPUID, so nothing is advertised that does not work. One row of the table
//! ties together a feature's name, its CPUID bit and the instructions that need it.

use crate::helpers::area_size;
use crate::state::component;
use guest::arch::CpuModel;
use iced_x86::{CpuidFeature, Instruction, Mnemonic};

/// The CPUID word that a feature bit stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Leaf1Edx,
    Leaf1Ecx,
    Leaf7Ebx,
    Leaf7Ecx,
    Leaf7Edx,
    Leaf7Sub1Eax,
    LeafDSub1Eax,
    ExtendedEdx,
    ExtendedEcx,
}

struct Feature {
    name: &'static str,
    flag: u64,
    word: Word,
    bit: u32,
    /// As iced-x86 tags the instructions, if there are any.
    needed_by: Option<CpuidFeature>,
}

macro_rules! features {
    ($($index:literal $ident:ident $name:literal $word:ident[$bit:literal] $needed:expr;)*) => {
        /// Feature bits, as models hold them.
        pub mod feature {
            $( pub const $ident: u64 = 1 << $index; )*
        }

        const FEATURES: &[Feature] = &[
            $( Feature { name: $name, flag: feature::$ident, word: Word::$word, bit: $bit, needed_by: $needed } ),*
        ];

        /// Names for `-cpu model,+name`.
        pub(crate) static FEATURE_NAMES: &[(&str, u64)] = &[$( ($name, feature::$ident) ),*];
    };
}

features! {
    0 CX16 "cx16" Leaf1Ecx[13] Some(CpuidFeature::CMPXCHG16B);
    1 LAHF "lahf-lm" ExtendedEcx[0] None;
    2 POPCNT "popcnt" Leaf1Ecx[23] Some(CpuidFeature::POPCNT);
    3 SSE3 "sse3" Leaf1Ecx[0] Some(CpuidFeature::SSE3);
    4 SSSE3 "ssse3" Leaf1Ecx[9] Some(CpuidFeature::SSSE3);
    5 SSE41 "sse4.1" Leaf1Ecx[19] Some(CpuidFeature::SSE4_1);
    6 SSE42 "sse4.2" Leaf1Ecx[20] Some(CpuidFeature::SSE4_2);
    7 MOVBE "movbe" Leaf1Ecx[22] Some(CpuidFeature::MOVBE);
    8 RDTSCP "rdtscp" ExtendedEdx[27] Some(CpuidFeature::RDTSCP);
    9 FSGSBASE "fsgsbase" Leaf7Ebx[0] Some(CpuidFeature::FSGSBASE);
    10 ERMS "erms" Leaf7Ebx[9] None;
    11 PREFETCHW "3dnowprefetch" ExtendedEcx[8] None;
    12 XSAVE "xsave" Leaf1Ecx[26] Some(CpuidFeature::XSAVE);
    13 AVX "avx" Leaf1Ecx[28] Some(CpuidFeature::AVX);
    14 AVX2 "avx2" Leaf7Ebx[5] Some(CpuidFeature::AVX2);
    15 FMA "fma" Leaf1Ecx[12] Some(CpuidFeature::FMA);
    16 F16C "f16c" Leaf1Ecx[29] Some(CpuidFeature::F16C);
    17 BMI1 "bmi1" Leaf7Ebx[3] Some(CpuidFeature::BMI1);
    18 BMI2 "bmi2" Leaf7Ebx[8] Some(CpuidFeature::BMI2);
    19 LZCNT "lzcnt" ExtendedEcx[5] Some(CpuidFeature::LZCNT);
    20 ADX "adx" Leaf7Ebx[19] Some(CpuidFeature::ADX);
    21 AES "aes" Leaf1Ecx[25] Some(CpuidFeature::AES);
    22 PCLMULQDQ "pclmulqdq" Leaf1Ecx[1] Some(CpuidFeature::PCLMULQDQ);
    23 SHA "sha-ni" Leaf7Ebx[29] Some(CpuidFeature::SHA);
    24 GFNI "gfni" Leaf7Ecx[8] Some(CpuidFeature::GFNI);
    25 VAES "vaes" Leaf7Ecx[9] Some(CpuidFeature::VAES);
    26 VPCLMULQDQ "vpclmulqdq" Leaf7Ecx[10] Some(CpuidFeature::VPCLMULQDQ);
    27 AVX_VNNI "avx-vnni" Leaf7Sub1Eax[4] Some(CpuidFeature::AVX_VNNI);
    28 RDRAND "rdrand" Leaf1Ecx[30] Some(CpuidFeature::RDRAND);
    29 RDSEED "rdseed" Leaf7Ebx[18] Some(CpuidFeature::RDSEED);
    30 RDPID "rdpid" Leaf7Ecx[22] Some(CpuidFeature::RDPID);
    31 XSAVEOPT "xsaveopt" LeafDSub1Eax[0] Some(CpuidFeature::XSAVEOPT);
    32 XSAVEC "xsavec" LeafDSub1Eax[1] Some(CpuidFeature::XSAVEC);
    33 XGETBV1 "xgetbv1" LeafDSub1Eax[2] None;
    34 CLFLUSHOPT "clflushopt" Leaf7Ebx[23] Some(CpuidFeature::CLFLUSHOPT);
    35 CLWB "clwb" Leaf7Ebx[24] Some(CpuidFeature::CLWB);
    36 FSRM "fsrm" Leaf7Edx[4] None;
}

const V1: u64 = 0;
const V2: u64 = V1
    | feature::CX16
    | feature::LAHF
    | feature::POPCNT
    | feature::SSE3
    | feature::SSSE3
    | feature::SSE41
    | feature::SSE42;
const V3: u64 = V2
    | feature::MOVBE
    | feature::XSAVE
    | feature::AVX
    | feature::AVX2
    | feature::FMA
    | feature::F16C
    | feature::BMI1
    | feature::BMI2
    | feature::LZCNT;
const NEHALEM: u64 = V2 | feature::RDTSCP;
const HASWELL: u64 = V3
    | NEHALEM
    | feature::AES
    | feature::PCLMULQDQ
    | feature::RDRAND
    | feature::XSAVEOPT
    | feature::FSGSBASE
    | feature::ERMS;
const MAX: u64 = HASWELL
    | feature::PREFETCHW
    | feature::ADX
    | feature::SHA
    | feature::GFNI
    | feature::VAES
    | feature::VPCLMULQDQ
    | feature::AVX_VNNI
    | feature::RDSEED
    | feature::RDPID
    | feature::XSAVEC
    | feature::XGETBV1
    | feature::CLFLUSHOPT
    | feature::CLWB
    | feature::FSRM;
/// What needs the YMM registers, and with them the operating system's XSAVE support.
const NEED_AVX: u64 =
    feature::AVX2 | feature::FMA | feature::F16C | feature::VAES | feature::VPCLMULQDQ | feature::AVX_VNNI;

/// What needs XSAVE.
const NEED_XSAVE: u64 = feature::AVX | feature::XSAVEOPT | feature::XSAVEC | feature::XGETBV1;

/// What features rest on.
pub(crate) fn needs(features: u64) -> u64 {
    let avx = if features & NEED_AVX != 0 { feature::AVX } else { 0 };
    let xsave = if (features | avx) & NEED_XSAVE != 0 { feature::XSAVE } else { 0 };
    avx | xsave
}

/// The features that are left when one that others rest on was switched off.
fn effective(features: u64) -> u64 {
    let features = if features & feature::XSAVE == 0 { features & !NEED_XSAVE } else { features };
    if features & feature::AVX == 0 { features & !NEED_AVX } else { features }
}

/// XCR0: the extended-state components of such a processor.
pub(crate) fn components(features: u64) -> u64 {
    let features = effective(features);
    match (features & feature::XSAVE != 0, features & feature::AVX != 0) {
        (false, _) => 0,
        (true, false) => component::X87 | component::SSE,
        (true, true) => component::ALL,
    }
}

/// Models that `-cpu` accepts.
pub(crate) static MODELS: &[CpuModel] = &[
    CpuModel { name: "max", description: "everything that is implemented", features: MAX },
    CpuModel {
        name: "qemu64",
        description: "the baseline with SSE3 and CMPXCHG16B",
        features: V1 | feature::SSE3 | feature::CX16 | feature::LAHF,
    },
    CpuModel { name: "Nehalem", description: "Intel Core i7 9xx (2008): SSE4.2, POPCNT", features: NEHALEM },
    CpuModel { name: "Haswell", description: "Intel Core (2013): AVX2, FMA, BMI, AES", features: HASWELL },
    CpuModel { name: "x86-64-v1", description: "the psABI's baseline: SSE2", features: V1 },
    CpuModel { name: "x86-64-v2", description: "the psABI's second level: SSE4.2, POPCNT", features: V2 },
    CpuModel { name: "x86-64-v3", description: "the psABI's third level: AVX2, FMA, BMI", features: V3 },
];

/// Whether a model with these features has the instruction.
pub fn allows(features: u64, insn: &Instruction) -> bool {
    // On processors without them, their prefix is ignored.
    if matches!(insn.mnemonic(), Mnemonic::Tzcnt | Mnemonic::Lzcnt) {
        return true;
    }
    let features = effective(features);
    if matches!(insn.mnemonic(), Mnemonic::Lahf | Mnemonic::Sahf) {
        return features & feature::LAHF != 0;
    }
    insn.cpuid_features().iter().all(|&needed| {
        let flags = NEEDED[needed as usize];
        features & flags == flags
    })
}

/// The flags of ours that an instruction with this feature needs.
static NEEDED: [u64; 256] = {
    let mut flags = [0; 256];
    let mut at = 0;
    while at < FEATURES.len() {
        if let Some(needed) = FEATURES[at].needed_by {
            flags[needed as usize] |= FEATURES[at].flag;
        }
        at += 1;
    }
    flags
};

/// What every 64-bit processor has. (SYSENTER enters the kernel as a 32-bit program does, and is left out with those.)
const BASE: &[CpuidFeature] = &[
    CpuidFeature::INTEL8086,
    CpuidFeature::INTEL186,
    CpuidFeature::INTEL286,
    CpuidFeature::INTEL386,
    CpuidFeature::INTEL486,
    CpuidFeature::X64,
    CpuidFeature::CET_IBT,
    CpuidFeature::CLFSH,
    CpuidFeature::CMOV,
    CpuidFeature::CPUID,
    CpuidFeature::CX8,
    CpuidFeature::FPU,
    CpuidFeature::FPU287,
    CpuidFeature::FPU387,
    CpuidFeature::FXSR,
    CpuidFeature::MMX,
    CpuidFeature::MSR,
    CpuidFeature::MULTIBYTENOP,
    CpuidFeature::PAUSE,
    CpuidFeature::PREFETCHW,
    CpuidFeature::RDPMC,
    CpuidFeature::SSE,
    CpuidFeature::SSE2,
    CpuidFeature::SYSCALL,
    CpuidFeature::TSC,
];

/// Whether a processor with these features claims to have all that the instruction needs.
pub(crate) fn advertises(features: u64, insn: &Instruction) -> bool {
    let features = effective(features);
    let has = |needed: &CpuidFeature| {
        BASE.contains(needed)
            || FEATURES.iter().any(|f| f.needed_by == Some(*needed) && features & f.flag != 0)
    };
    insn.cpuid_features().iter().all(has)
}

impl Word {
    /// The leaf, the subleaf and which of eax, ebx, ecx, edx it is.
    const fn place(self) -> (u32, u32, usize) {
        match self {
            Self::Leaf1Edx => (1, 0, 3),
            Self::Leaf1Ecx => (1, 0, 2),
            Self::Leaf7Ebx => (7, 0, 1),
            Self::Leaf7Ecx => (7, 0, 2),
            Self::Leaf7Edx => (7, 0, 3),
            Self::Leaf7Sub1Eax => (7, 1, 0),
            Self::LeafDSub1Eax => (0xd, 1, 0),
            Self::ExtendedEdx => (0x8000_0001, 0, 3),
            Self::ExtendedEcx => (0x8000_0001, 0, 2),
        }
    }
}

/// The features that a processor has, by its answers to CPUID (leaf, subleaf).
pub fn features_of(cpuid: impl Fn(u32, u32) -> [u32; 4]) -> u64 {
    let (last, last_extended) = (cpuid(0, 0)[0], cpuid(0x8000_0000, 0)[0]);
    let has = |f: &&Feature| {
        let (leaf, subleaf, register) = f.word.place();
        let exists = leaf <= if leaf >= 0x8000_0000 { last_extended } else { last };
        exists && cpuid(leaf, subleaf)[register] >> f.bit & 1 != 0
    };
    FEATURES.iter().filter(has).fold(0, |features, f| features | f.flag)
}

/// CPUID.1:EDX of every model: FPU, TSC, MSR, PAE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT, PSE36, CLFSH,
/// MMX, FXSR, SSE, SSE2 and the page-size bits. glibc refuses to start without any of them.
const LEAF1_EDX: u32 = 0x078b_fbff;
/// CPUID.80000001:EDX: SYSCALL, NX, LM and what is repeated from leaf 1.
const EXTENDED_EDX: u32 = 1 << 11 | 1 << 20 | 1 << 29;
/// Family 6, model 15, stepping 11: what qemu's 64-bit models say by default.
const SIGNATURE: u32 = 0x0000_06fb;
const CLFLUSH_LINE: u32 = 8 << 8;
const BRAND: &[u8; 48] = b"qemu-lua virtual CPU\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

fn word(features: u64, word: Word) -> u32 {
    let set = |f: &&Feature| f.word == word && features & f.flag != 0;
    FEATURES.iter().filter(set).map(|f| 1 << f.bit).sum()
}

/// CPUID.1:EDX, which is AT_HWCAP.
pub(crate) fn leaf1_edx(features: u64) -> u32 {
    LEAF1_EDX | word(features, Word::Leaf1Edx)
}

/// eax, ebx, ecx, edx of a CPUID leaf; leaves that do not exist are 0.
pub(crate) fn cpuid(features: u64, cpu: u32, leaf: u32, subleaf: u32) -> [u32; 4] {
    let features = effective(features);
    let xsave = features & feature::XSAVE != 0;
    let [vendor0, vendor1, vendor2] = [*b"Genu", *b"ineI", *b"ntel"].map(u32::from_le_bytes);
    match leaf {
        0 => [if xsave { 0xd } else { 0xb }, vendor0, vendor2, vendor1],
        1 => {
            let ebx = CLFLUSH_LINE | 1 << 16 | cpu << 24;
            // The operating system saves what XSAVE can save; and there is a hypervisor.
            let ecx = word(features, Word::Leaf1Ecx) | u32::from(xsave) << 27 | 1 << 31;
            [SIGNATURE, ebx, ecx, leaf1_edx(features)]
        }
        // Cache descriptors: "see leaf 4".
        2 => [0x0000_ff01, 0, 0, 0],
        4 => cache(subleaf),
        7 if subleaf == 0 => {
            let [ebx, ecx, edx] = [Word::Leaf7Ebx, Word::Leaf7Ecx, Word::Leaf7Edx].map(|w| word(features, w));
            [1, ebx, ecx, edx]
        }
        7 if subleaf == 1 => [word(features, Word::Leaf7Sub1Eax), 0, 0, 0],
        0xd if xsave => extended_state(features, subleaf),
        0xb => [0, 0, subleaf & 0xff, cpu],
        0x4000_0000 => [0x4000_0000, 0, 0, 0],
        0x8000_0000 => [0x8000_0008, 0, 0, 0],
        0x8000_0001 => {
            let edx = EXTENDED_EDX | word(features, Word::ExtendedEdx);
            [SIGNATURE, 0, word(features, Word::ExtendedEcx), edx]
        }
        0x8000_0002..=0x8000_0004 => brand(leaf - 0x8000_0002),
        // L2: 64-byte lines, 8 ways, 1 MiB.
        0x8000_0006 => [0, 0, 1024 << 16 | 6 << 12 | 64, 0],
        // The time stamp counter runs evenly.
        0x8000_0007 => [0, 0, 0, 1 << 8],
        // 46 physical, 48 virtual address bits.
        0x8000_0008 => [48 << 8 | 46, 0, 0, 0],
        _ => [0; 4],
    }
}

/// Leaf 0xd: the components of the XSAVE area, its size, and which instructions save it.
fn extended_state(features: u64, subleaf: u32) -> [u32; 4] {
    let components = components(features);
    let size = area_size(components) as u32;
    match subleaf {
        0 => [components as u32, size, size, 0],
        1 => [word(features, Word::LeafDSub1Eax), size, 0, 0],
        2 if components & component::AVX != 0 => [256, 576, 0, 0],
        _ => [0; 4],
    }
}

/// Leaf 4: kind (1 data, 2 code, 3 both), level, ways and sets of 64-byte lines.
fn cache(subleaf: u32) -> [u32; 4] {
    let describe = |kind: u32, level: u32, ways: u32, sets: u32| {
        [kind | level << 5 | 1 << 8, (ways - 1) << 22 | 63, sets - 1, 0]
    };
    match subleaf {
        0 => describe(1, 1, 8, 64),
        1 => describe(2, 1, 8, 64),
        2 => describe(3, 2, 16, 1024),
        3 => describe(3, 3, 16, 16384),
        _ => [0; 4],
    }
}

fn brand(part: u32) -> [u32; 4] {
    let bytes = &BRAND[part as usize * 16..][..16];
    std::array::from_fn(|i| u32::from_le_bytes(std::array::from_fn(|k| bytes[4 * i + k])))
}

/// The names that Linux gives the advertised bits, as in /proc/cpuinfo.
pub(crate) fn kernel_flags(features: u64) -> String {
    let base = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush mmx fxsr sse sse2 \
                syscall nx lm constant_tsc nopl cpuid hypervisor";
    let features = effective(features);
    let named = FEATURES.iter().filter(|f| features & f.flag != 0).map(|f| match f.name {
        "sse3" => "pni",
        "sse4.1" => "sse4_1",
        "sse4.2" => "sse4_2",
        "lahf-lm" => "lahf_lm",
        "sha-ni" => "sha_ni",
        "lzcnt" => "abm",
        "avx-vnni" => "avx_vnni",
        other => other,
    });
    named.fold(base.to_owned(), |text, name| text + " " + name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_level_says_so() {
        let [_, _, ecx, edx] = cpuid(V2, 0, 1, 0);
        assert_eq!(ecx & (1 << 20 | 1 << 23 | 1 << 13), 1 << 20 | 1 << 23 | 1 << 13);
        assert_eq!(edx & (1 << 26 | 1 << 25), 1 << 26 | 1 << 25);
        assert_eq!(ecx & (1 << 28 | 1 << 27), 0, "no AVX, no OSXSAVE");
    }

    #[test]
    fn what_a_model_says_is_what_it_has() {
        for model in MODELS {
            assert_eq!(
                features_of(|leaf, subleaf| cpuid(model.features, 0, leaf, subleaf)),
                model.features,
                "{}",
                model.name
            );
        }
    }

    #[test]
    fn a_feature_that_is_added_brings_what_it_rests_on() {
        let asked = V1 | feature::AVX2 | needs(feature::AVX2);
        assert_eq!(effective(asked), asked);
        assert_eq!(asked & !V1, feature::AVX2 | feature::AVX | feature::XSAVE);
    }

    #[test]
    fn feature_flags_are_distinct() {
        let all = FEATURES.iter().fold(0, |all, f| {
            assert_eq!(all & f.flag, 0, "{}", f.name);
            all | f.flag
        });
        assert_eq!(all, MAX);
    }
}
