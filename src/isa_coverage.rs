//! `-isa-coverage FILE...`: which instructions of programs and libraries are not implemented.
//!
//! Executable sections are swept from start to end, so data among the code shows up too: as bytes that are no
//! instruction, or as a few odd ones. What counts is what the chosen CPU model would do with the bytes, that is
//! whether lifting them gives anything but an illegal instruction.

use crate::host::sys;
use elf::ElfBytes;
use elf::abi::{PF_X, PT_LOAD, SHF_EXECINSTR, SHT_PROGBITS};
use elf::endian::LittleEndian;
use guest::arch::{CodeReader, GuestArch, LiftConfig, LiftLimits, MAX_INSN_LEN};
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
    /// By mnemonic and extension.
    missing: BTreeMap<(String, String), u64>,
}

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

/// Sweeps each file and prints what is missing; the exit status: 1 where a file cannot be read.
pub fn run(arch: &dyn GuestArch, features: u64, files: &[CString]) -> i32 {
    let mut status = 0;
    for file in files {
        let name = OsStr::from_bytes(file.as_bytes());
        let text = match sweep_file(arch, features, name) {
            Ok(found) => report(&name.to_string_lossy(), &found),
            Err(error) => {
                status = 1;
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
        if insn.text.starts_with('.') {
            found.data += 1;
            continue;
        }
        found.instructions += 1;
        let Some(extension) = arch.extension(&window) else { continue };
        let mnemonic = insn.text.split_whitespace().next().unwrap_or_default().to_owned();
        *found.missing.entry((mnemonic, extension)).or_default() += 1;
    }
}

fn report(file: &str, found: &Findings) -> String {
    let total: u64 = found.missing.values().sum();
    let mut text = format!(
        "{file}: {} instructions, {total} not implemented, {} bytes that are no instruction\n",
        found.instructions, found.data
    );
    let mut ranked: Vec<_> = found.missing.iter().collect();
    ranked.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    for ((mnemonic, extension), count) in ranked {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{count:9} {mnemonic:<20} {extension}");
    }
    text
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
        let missing: Vec<_> = found.missing.into_iter().collect();
        assert_eq!(missing, [(("vaddps".to_owned(), "AVX512F".to_owned()), 1)]);
    }
}
