//! Arm's own list of encodings, and which of them no model advertises: what a word is that has no row.

use super::{Row, TABLES, decode};
use crate::decode::Insn;
use crate::features;
use guest::arch::Absence;
use std::sync::LazyLock;

/// One of Arm's encodings.
pub struct Arm {
    pub class: &'static str,
    pub name: &'static str,
    pub mask: u32,
    pub value: u32,
    /// The fixed bits without those that only should be so.
    firm: u32,
}

pub fn arm() -> &'static [Arm] {
    static LIST: LazyLock<Vec<Arm>> =
        LazyLock::new(|| include_str!("arm_encodings.tsv").lines().filter_map(Arm::parse).collect());
    &LIST
}

impl Arm {
    /// A line of the list; none for a comment.
    fn parse(line: &'static str) -> Option<Self> {
        let mut fields = line.split('\t');
        let (class, name) = (fields.next()?, fields.next()?);
        let mut hex = || u32::from_str_radix(fields.next()?, 16).ok();
        let (mask, value, should) = (hex()?, hex()?, hex()?);
        Some(Self { class, name, mask, value, firm: mask & !should })
    }

    /// Whether the word is one of it, bits that should be so or not.
    pub fn covers(&self, word: u32) -> bool {
        (word ^ self.value) & self.firm == 0
    }

    /// Whether the row is one of it.
    const fn has(&self, row: &Row) -> bool {
        (row.pattern.value ^ self.value) & row.pattern.mask & self.mask == 0
    }

    /// The last part of the class.
    fn group(&self) -> &'static str {
        self.class.rsplit('/').next().unwrap_or(self.class)
    }

    /// What an encoding that is not ours belongs to.
    fn extension(&self) -> &'static str {
        let starts = |names: &[&str]| names.iter().any(|start| self.name.starts_with(start));
        match self.group() {
            "ldsttags" | "memset_go" | "addsub_immtags" => "MTE",
            _ if starts(&["SETG", "STGP", "SUBP", "IRG", "GMI"]) => "MTE",
            "systemmove" | "systeminstrs" | "systemresult" => "system registers and instructions",
            "exception" => "not for programs",
            _ if starts(&["ERET", "DRPS"]) => "not for programs",
            _ => "newer than Armv8.8",
        }
    }
}

/// Classes of what no model advertises: memory tagging, guarded control stacks, translation hardening, what
/// came with Armv8.9 and Armv9.4 and later; and what EL0 may not execute.
const OTHER_CLASSES: &[&str] = &[
    "memop_128",
    "memop_unpriv",
    "ldsttags",
    "memset_go",
    "compfault_regs",
    "compfault_imm",
    "compbranch_regs",
    "compbranch_regs2",
    "compbranch_imm",
    "ldiappstilp",
    "ldapstl_simd",
    "rcwcomswappr",
    "rcwcomswap",
    "ldstexclr_unpriv",
    "ldapstl_writeback",
    "comswappr_unpriv",
    "comswap_unpriv",
    "ldst_gcs",
    "addsub_pt",
    "dp_1src_imm",
    "addsub_immtags",
    "testfault",
    "tchange_reg",
    "tchange_imm",
    "systemresult",
    "systemmovepr",
    "systeminstrs",
    "miscbranch",
    "perm_undef",
    "syspairinstrs",
    "extendedhints",
];

/// The same by the start of the name, where the class has others too.
const OTHER_NAMES: &[&str] = &[
    "RCW",
    "ST64B",
    "LD64B",
    "LDA64B",
    "STL64B",
    "LDF",
    "STF",
    "LDBF",
    "STBF",
    "SETG",
    "FMAXINM",
    "FMININM",
    "FMAXMG",
    "FMINMG",
    "FCMT",
    "FDOT",
    "FMMLA",
    "FMLALL",
    "FMLALB",
    "FMLALT",
    "F1CVTL",
    "F2CVTL",
    "BF1CVTL",
    "BF2CVTL",
    "FAMAX",
    "FAMIN",
    "FSCALE",
    "LUTI",
    "STGP",
    "STTP",
    "LDTP",
    "STTNP",
    "LDTNP",
    "SUBP",
    "IRG",
    "GMI",
    "MADDPT",
    "MSUBPT",
    "STL1",
    "LDAP1",
    "PACN",
    "PACIA171615",
    "PACIB171615",
    "AUTIA171615",
    "AUTIB171615",
    "AUTIASPPCR",
    "AUTIBSPPCR",
    "PACIASPPC",
    "PACIBSPPC",
    "RETABSPPCR",
    "ERET",
    "TEXIT",
    "DRPS",
    "FCVTN_asimdsame2",
];

pub fn is_ours(arm: &Arm) -> bool {
    let class = arm.group();
    // Conversions between a vector register's lane and one of another size.
    let between_sizes = class == "float2int" && arm.name.contains("_sisd_");
    let other_call = class == "exception" && !arm.name.starts_with("SVC");
    !OTHER_CLASSES.contains(&class)
        && !OTHER_NAMES.iter().any(|start| arm.name.starts_with(start))
        && !between_sizes
        && !other_call
        // System registers: only some are there.
        && class != "systemmove"
}

/// Why `word`, which lifts to an illegal instruction, is not there.
pub fn absence(word: u32, with: u64) -> Absence {
    if let Some(row) = decode(word) {
        return lacking(row.needs(Insn(word)) & !with);
    }
    match (word >> 25 & 0xf, word >> 31) {
        (0b0010, _) => return Absence::NotAdvertised("SVE".to_owned()),
        (0b0000, 1) => return Absence::NotAdvertised("SME".to_owned()),
        _ => {}
    }
    let mut named = arm().iter().filter(|a| a.group() != "perm_undef" && a.covers(word));
    match named.next() {
        Some(arm) if !is_ours(arm) => Absence::NotAdvertised(arm.extension().to_owned()),
        // A combination of fields that the encoding leaves out.
        Some(arm) if TABLES.iter().copied().flatten().any(|row| arm.has(row)) => Absence::NoInstruction,
        Some(arm) => Absence::Missing(arm.name.to_owned()),
        None => Absence::NoInstruction,
    }
}

/// The verdict on an instruction whose row needs these features that the model has not.
fn lacking(needs: u64) -> Absence {
    let names = features::FEATURES.iter().filter(|(_, bit)| needs & bit != 0).map(|(name, _)| *name);
    match names.collect::<Vec<_>>().join(" ") {
        // Illegal by what its fields say.
        names if names.is_empty() => Absence::NoInstruction,
        names => Absence::NotAdvertised(names),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_there_says_why() {
        let all = u64::MAX;
        let not = |name: &str| Absence::NotAdvertised(name.to_owned());
        // add z0.d, z0.d, z1.d; addha za0.s, p0/m, p0/m, z0.s; stg x0, [x0]; hlt #0; bcax, udf #0
        assert_eq!(absence(0x04e1_0000, all), not("SVE"));
        assert_eq!(absence(0xc090_0000, all), not("SME"));
        assert_eq!(absence(0xd920_0800, all), not("MTE"));
        assert_eq!(absence(0xd440_0000, all), not("not for programs"));
        assert_eq!(absence(0xce20_0000, all & !features::SHA3), not("sha3"));
        assert_eq!(absence(0, all), Absence::NoInstruction);
        // and w0, w0, #... with N set
        assert_eq!(absence(0x1240_0000, all), Absence::NoInstruction);
    }
}
