//! CPU models: feature bits, what CPUID says of them, and which instructions they allow.
//!
//! Software chooses its code by CPUID, so nothing is advertised that does not work. One row of the table
//! ties together a feature's name, its CPUID bit and the instructions that need it.

use guest::arch::CpuModel;
use iced_x86::{CpuidFeature, Instruction};

/// The CPUID word that a feature bit stands in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Word {
    Leaf1Edx,
    Leaf1Ecx,
    Leaf7Ebx,
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
const MAX: u64 =
    V2 | feature::MOVBE | feature::RDTSCP | feature::FSGSBASE | feature::ERMS | feature::PREFETCHW;

/// Models that `-cpu` accepts.
pub(crate) static MODELS: &[CpuModel] = &[
    CpuModel { name: "max", description: "everything that is implemented", features: MAX },
    CpuModel {
        name: "qemu64",
        description: "the baseline with SSE3 and CMPXCHG16B",
        features: V1 | feature::SSE3 | feature::CX16 | feature::LAHF,
    },
    CpuModel {
        name: "Nehalem",
        description: "Intel Core i7 9xx (2008): SSE4.2, POPCNT",
        features: V2 | feature::RDTSCP,
    },
    CpuModel { name: "x86-64-v1", description: "the psABI's baseline: SSE2", features: V1 },
    CpuModel { name: "x86-64-v2", description: "the psABI's second level: SSE4.2, POPCNT", features: V2 },
];

/// Whether a model with these features has the instruction.
pub(crate) fn allows(features: u64, insn: &Instruction) -> bool {
    let needs = insn.cpuid_features();
    FEATURES.iter().all(|f| {
        let needed = f.needed_by.is_some_and(|needed| needs.contains(&needed));
        !needed || features & f.flag != 0
    })
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
    let [vendor0, vendor1, vendor2] = [*b"Genu", *b"ineI", *b"ntel"].map(u32::from_le_bytes);
    match leaf {
        0 => [0xb, vendor0, vendor2, vendor1],
        1 => {
            let ebx = CLFLUSH_LINE | 1 << 16 | cpu << 24;
            [SIGNATURE, ebx, word(features, Word::Leaf1Ecx) | 1 << 31, leaf1_edx(features)]
        }
        // Cache descriptors: "see leaf 4".
        2 => [0x0000_ff01, 0, 0, 0],
        4 => cache(subleaf),
        7 if subleaf == 0 => [0, word(features, Word::Leaf7Ebx), 0, 0],
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
    let named = FEATURES.iter().filter(|f| features & f.flag != 0).map(|f| match f.name {
        "sse3" => "pni",
        "sse4.1" => "sse4_1",
        "sse4.2" => "sse4_2",
        "lahf-lm" => "lahf_lm",
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
    fn feature_flags_are_distinct() {
        let all = FEATURES.iter().fold(0, |all, f| {
            assert_eq!(all & f.flag, 0, "{}", f.name);
            all | f.flag
        });
        assert_eq!(all, MAX);
    }
}
