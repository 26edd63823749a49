//! `-isa-coverage FILE...`: which instructions of programs and libraries are not implemented.
//!
//! Executable sections are swept from start to end, so data among the code shows up too: as bytes that are no
//! instruction, or as a few odd ones. What counts is what the chosen CPU model would do with the bytes, that is
//! whether lifting them gives anything but an illegal instruction. An instruction that is not there is either
//! *missing* (the model says that it has it, and the program may well execute it) or *not advertised* (a program that
//! asks the CPU before, as libraries do, never executes it).

use crate::host::sys;
use elf::ElfBytes;
use elf::abi::{PF_X, PT_LOAD, SHF_EXECINSTR, SHT_PROGBITS};
use elf::endian::LittleEndian;
use guest::arch::{Absence, CodeReader, GuestArch, LiftConfig, LiftLimits, MAX_INSN_LEN};
use guest::ir::Terminator;
use guest::{GuestAddr, Trap};
use std::collections::BTreeMap;
use std::ffi::{CString, OsStr};
use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;

/// A section's code, at its own address.
struct Section<'a> {
    addr: u64,
    bytes: &'a [u8],
}

impl CodeReader for Section<'_> {
    fn bytes_at(&mut self, pc: GuestAddr) -> &[u8] {
        let at = pc.raw().wrapping_sub(self.addr);
        usize::try_from(at).ok().and_then(|at| self.bytes.get(at..)).unwrap_or(&[])
    }
}

/// What a sweep has found.
#[derive(Default)]
struct Findings {
    instructions: u64,
    /// Bytes that are no instruction.
    data: u64,
    missing: Counts,
    not_advertised: Counts,
}

/// By mnemonic and extension.
type Counts = BTreeMap<(String, String), u64>;

/// Exit statuses.
const ALL_THERE: i32 = 0;
const SOME_MISSING: i32 = 1;
const UNREADABLE: i32 = 2;

/// A file that cannot be swept.
#[derive(Debug, thiserror::Error)]
enum CoverageError {
    #[error("{0}")]
    Read(#[from] std::io::Error),
    #[error("not an ELF file: {0}")]
    Parse(#[from] elf::ParseError),
    #[error("not a file of this architecture (machine {0:#06x})")]
    Machine(u16),
}

/// Sweeps each file and prints what is not there. The exit status is 1 if an instruction is missing that the model
/// advertises, and 2 if a file cannot be read.
pub fn run(arch: &dyn GuestArch, features: u64, files: &[CString]) -> i32 {
    let mut status = ALL_THERE;
    for file in files {
        let name = OsStr::from_bytes(file.as_bytes());
        let text = match sweep_file(arch, features, name) {
            Ok(found) => {
                status = status.max(if found.missing.is_empty() { ALL_THERE } else { SOME_MISSING });
                report(&name.to_string_lossy(), &found)
            }
            Err(error) => {
                status = UNREADABLE;
                format!("{}: {error}\n", name.to_string_lossy())
            }
        };
        sys::syscall(libc::SYS_write, [1, text.as_ptr() as u64, text.len() as u64, 0, 0, 0]);
    }
    status
}

fn sweep_file(arch: &dyn GuestArch, features: u64, name: &OsStr) -> Result<Findings, CoverageError> {
    let contents = std::fs::read(name)?;
    let file = ElfBytes::<LittleEndian>::minimal_parse(&contents)?;
    if file.ehdr.e_machine != arch.elf_machine() {
        return Err(CoverageError::Machine(file.ehdr.e_machine));
    }
    let mut found = Findings::default();
    for section in executable(&file)? {
        sweep(arch, features, section, &mut found);
    }
    Ok(found)
}

/// The executable sections, or segments where there is no table of sections.
fn executable<'a>(file: &ElfBytes<'a, LittleEndian>) -> Result<Vec<Section<'a>>, CoverageError> {
    let mut out = Vec::new();
    for header in file.section_headers().into_iter().flat_map(|table| table.iter()) {
        if header.sh_type == SHT_PROGBITS && header.sh_flags & u64::from(SHF_EXECINSTR) != 0 {
            let (bytes, _) = file.section_data(&header)?;
            out.push(Section { addr: header.sh_addr, bytes });
        }
    }
    if out.is_empty() {
        for header in file.segments().into_iter().flat_map(|table| table.iter()) {
            if header.p_type == PT_LOAD && header.p_flags & PF_X != 0 {
                out.push(Section { addr: header.p_vaddr, bytes: file.segment_data(&header)? });
            }
        }
    }
    Ok(out)
}

fn sweep(arch: &dyn GuestArch, features: u64, mut section: Section<'_>, found: &mut Findings) {
    let config = LiftConfig { features, control: 0 };
    let end = section.addr + section.bytes.len() as u64;
    let mut pc = section.addr;
    while pc < end {
        let here = GuestAddr(pc);
        let bytes = section.bytes_at(here);
        let window = bytes[..bytes.len().min(MAX_INSN_LEN)].to_vec();
        let block = arch.lift(&config, LiftLimits { max_insns: 1 }, &mut section, here);
        if !matches!(block.terminator, Terminator::Trap { trap: Trap::Illegal, .. }) {
            found.instructions += 1;
            pc += block.code_len().max(1);
            continue;
        }
        let insn = arch.disassemble(here, &window);
        pc += insn.len as u64;
        let (list, extension) = match arch.absence(features, &window) {
            Absence::NoInstruction => {
                found.data += insn.len as u64;
                continue;
            }
            Absence::NotAdvertised(extension) => (&mut found.not_advertised, extension),
            Absence::Missing(extension) => (&mut found.missing, extension),
        };
        found.instructions += 1;
        let mnemonic = insn.text.split_whitespace().next().unwrap_or_default().to_owned();
        *list.entry((mnemonic, extension)).or_default() += 1;
    }
}

fn report(file: &str, found: &Findings) -> String {
    let (missing, others) = (sum(&found.missing), sum(&found.not_advertised));
    let mut text = format!(
        "{file}: {} instructions, {missing} missing, {others} of extensions not advertised, {} bytes that are no instruction\n",
        found.instructions, found.data
    );
    list(&mut text, "missing", &found.missing);
    list(&mut text, "not advertised", &found.not_advertised);
    text
}

fn sum(counts: &Counts) -> u64 {
    counts.values().sum()
}

/// A line for each, the most frequent first.
fn list(text: &mut String, title: &str, counts: &Counts) {
    let mut ranked: Vec<_> = counts.iter().collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for ((mnemonic, extension), count) in ranked {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{count:9} {title}: {mnemonic:<20} {extension}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_counted_and_the_rest_is_not() {
        let arch = crate::guests::by_name("x86_64").unwrap();
        // nop; vaddps zmm0, zmm1, zmm2; add eax, ebx
        let code = [0x90, 0x62, 0xf1, 0x74, 0x48, 0x58, 0xc2, 0x01, 0xd8];
        let mut found = Findings::default();
        sweep(arch, arch.cpu_models()[0].features, Section { addr: 0x1000, bytes: &code }, &mut found);
        assert_eq!((found.instructions, found.data), (3, 0));
        assert_eq!(found.missing, Counts::new());
        let others: Vec<_> = found.not_advertised.into_iter().collect();
        assert_eq!(others, [(("vaddps".to_owned(), "AVX512F".to_owned()), 1)]);
    }

    #[test]
    fn a_model_of_less_does_not_advertise_the_rest() {
        let arch = crate::guests::by_name("x86_64").unwrap();
        // vaddps ymm0, ymm1, ymm2; ud2
        let code = [0xc5, 0xf4, 0x58, 0xc2, 0x0f, 0x0b];
        for (model, others) in [("x86-64-v2", 1), ("x86-64-v3", 0)] {
            let features = arch.cpu_models().iter().find(|m| m.name == model).unwrap().features;
            let mut found = Findings::default();
            sweep(arch, features, Section { addr: 0, bytes: &code }, &mut found);
            assert_eq!((found.instructions, found.data, sum(&found.missing)), (1, 2, 0), "{model}");
            assert_eq!(sum(&found.not_advertised), others, "{model}");
        }
    }
}
