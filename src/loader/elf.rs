//! ELF headers, parsed from bytes that may be hostile.
//!
//! Parsing is the `elf` crate's; what is checked here is what the kernel checks before it maps anything.

use super::LoadError;
use elf::abi;
use elf::endian::LittleEndian;
use elf::file::{FileHeader, parse_ident};
use elf::parse::ParsingTable;
use elf::segment::{ProgramHeader, SegmentTable};

/// The header of every ELF64 file.
pub const HEADER_SIZE: usize = 64;
const PHDR_SIZE: usize = 56;
/// The kernel refuses more (64 KiB of them).
const MAX_PHDRS: usize = 65536 / PHDR_SIZE;
/// First address behind user space.
const TASK_SIZE: u64 = crate::mem::GUEST_TOP;

/// A file opened for loading: reads at offsets, for at most what is there.
pub trait ReadAt {
    /// Reads up to `out.len()` bytes at `offset`; how many there were.
    fn read_at(&self, offset: u64, out: &mut [u8]) -> usize;
}

/// A validated program header table.
#[derive(Clone, Debug)]
pub struct Program {
    pub kind: u16,
    pub entry: u64,
    pub phoff: u64,
    pub loads: Vec<ProgramHeader>,
    pub interpreter: Option<ProgramHeader>,
    pub phdr_segment: Option<u64>,
    /// `PT_GNU_PROPERTY`
    pub properties: Option<ProgramHeader>,
    pub phnum: u64,
    pub executable_stack: bool,
}

impl Program {
    /// Lowest and highest address of the load segments, as the file has them.
    #[must_use]
    pub fn span(&self) -> (u64, u64) {
        let start = self.loads.iter().map(|p| p.p_vaddr & !0xfff).min().unwrap_or(0);
        let end = self.loads.iter().map(|p| p.p_vaddr + p.p_memsz).max().unwrap_or(0);
        (start, end)
    }

    /// What the kernel calls code and data, as the file has them: (start, end) each.
    #[must_use]
    pub fn code_and_data(&self) -> ((u64, u64), (u64, u64)) {
        let file_end = |p: &ProgramHeader| p.p_vaddr + p.p_filesz;
        let start = self.loads.iter().map(|p| p.p_vaddr).min().unwrap_or(0);
        let executable = self.loads.iter().filter(|p| p.p_flags & abi::PF_X != 0);
        let data = self.loads.iter().map(|p| p.p_vaddr).max().unwrap_or(0);
        let end = self.loads.iter().map(file_end).max().unwrap_or(0);
        ((start, executable.map(file_end).max().unwrap_or(start)), (data, end))
    }

    #[must_use]
    pub const fn is_position_independent(&self) -> bool {
        self.kind == abi::ET_DYN
    }
}

/// Reads and checks the headers of the ELF file at `path`.
pub fn parse(path: &str, file: &dyn ReadAt, machine: u16, arch: &'static str) -> Result<Program, LoadError> {
    let mut header = [0; HEADER_SIZE];
    let got = file.read_at(0, &mut header);
    let header = parse_header(path, &header[..got], machine, arch)?;
    let count = usize::from(header.e_phnum);
    if usize::from(header.e_phentsize) != PHDR_SIZE || count == 0 || count > MAX_PHDRS {
        return Err(malformed(path, "program header table"));
    }
    let mut table = vec![0; count * PHDR_SIZE];
    if file.read_at(header.e_phoff, &mut table) != table.len() {
        return Err(LoadError::Truncated { path: path.to_owned(), what: "program headers" });
    }
    let headers: SegmentTable<'_, LittleEndian> =
        ParsingTable::new(LittleEndian, elf::file::Class::ELF64, &table);
    collect(path, &header, headers.iter())
}

fn malformed(path: &str, what: &'static str) -> LoadError {
    LoadError::Malformed { path: path.to_owned(), what }
}

fn parse_header(
    path: &str,
    bytes: &[u8],
    machine: u16,
    want: &'static str,
) -> Result<FileHeader<LittleEndian>, LoadError> {
    let owned = || path.to_owned();
    if bytes.len() < 4 || bytes[..4] != abi::ELFMAGIC {
        return Err(LoadError::NotElf { path: owned() });
    }
    if bytes.len() < HEADER_SIZE {
        return Err(LoadError::Truncated { path: owned(), what: "file header" });
    }
    match (bytes[abi::EI_CLASS], bytes[abi::EI_DATA]) {
        (abi::ELFCLASS32, _) => return Err(LoadError::WrongClass { path: owned() }),
        (_, abi::ELFDATA2MSB) => return Err(LoadError::WrongByteOrder { path: owned() }),
        (abi::ELFCLASS64, abi::ELFDATA2LSB) => {}
        _ => return Err(malformed(path, "identification")),
    }
    let ident = parse_ident::<LittleEndian>(bytes).map_err(|_| malformed(path, "identification"))?;
    let header = FileHeader::parse_tail(ident, &bytes[abi::EI_NIDENT..])
        .map_err(|_| malformed(path, "file header"))?;
    if header.e_machine != machine {
        return Err(LoadError::WrongMachine { path: owned(), machine: header.e_machine, want });
    }
    if !matches!(header.e_type, abi::ET_EXEC | abi::ET_DYN) {
        return Err(LoadError::WrongType { path: owned(), kind: header.e_type });
    }
    Ok(header)
}

fn collect(
    path: &str,
    header: &FileHeader<LittleEndian>,
    headers: impl Iterator<Item = ProgramHeader>,
) -> Result<Program, LoadError> {
    let mut program = Program {
        kind: header.e_type,
        entry: header.e_entry,
        phoff: header.e_phoff,
        loads: Vec::new(),
        interpreter: None,
        phdr_segment: None,
        properties: None,
        phnum: u64::from(header.e_phnum),
        executable_stack: false,
    };
    for segment in headers {
        match segment.p_type {
            abi::PT_LOAD => {
                check_load(path, &segment)?;
                program.loads.push(segment);
            }
            abi::PT_INTERP if program.interpreter.is_none() => program.interpreter = Some(segment),
            abi::PT_GNU_PROPERTY => program.properties = Some(segment),
            abi::PT_PHDR => program.phdr_segment = Some(segment.p_vaddr),
            abi::PT_GNU_STACK => program.executable_stack = segment.p_flags & abi::PF_X != 0,
            _ => {}
        }
    }
    if program.loads.is_empty() {
        return Err(malformed(path, "nothing to load"));
    }
    if program.loads.windows(2).any(|w| w[1].p_vaddr < w[0].p_vaddr.saturating_add(w[0].p_memsz)) {
        return Err(malformed(path, "segments overlap or are out of order"));
    }
    Ok(program)
}

fn check_load(path: &str, segment: &ProgramHeader) -> Result<(), LoadError> {
    let end = segment.p_vaddr.checked_add(segment.p_memsz);
    let file_end = segment.p_offset.checked_add(segment.p_filesz);
    if segment.p_filesz > segment.p_memsz {
        return Err(malformed(path, "segment larger in the file than in memory"));
    }
    if end.is_none_or(|end| end > TASK_SIZE) || file_end.is_none_or(|end| end > i64::MAX as u64) {
        return Err(malformed(path, "segment outside the address space"));
    }
    if segment.p_filesz != 0 && segment.p_vaddr % 4096 != segment.p_offset % 4096 {
        return Err(malformed(path, "segment offset and address disagree"));
    }
    Ok(())
}

/// The note of properties, where there is one of sane length.
pub fn properties(file: &dyn ReadAt, program: &Program) -> Vec<u8> {
    let Some(segment) = program.properties.filter(|p| p.p_filesz <= 1024) else { return Vec::new() };
    let mut note = vec![0; segment.p_filesz as usize];
    let got = file.read_at(segment.p_offset, &mut note);
    note.truncate(got);
    note
}

/// The first addresses of an interpreter path, which must be NUL-terminated and of sane length.
pub fn interpreter_path(path: &str, file: &dyn ReadAt, segment: &ProgramHeader) -> Result<String, LoadError> {
    if segment.p_filesz < 2 || segment.p_filesz > libc::PATH_MAX as u64 {
        return Err(malformed(path, "interpreter path"));
    }
    let mut bytes = vec![0; segment.p_filesz as usize];
    if file.read_at(segment.p_offset, &mut bytes) != bytes.len() {
        return Err(LoadError::Truncated { path: path.to_owned(), what: "interpreter path" });
    }
    match bytes.pop() {
        Some(0) => {}
        _ => return Err(malformed(path, "interpreter path")),
    }
    let cut = bytes.iter().position(|&b| b == 0).unwrap_or(bytes.len());
    String::from_utf8(bytes[..cut].to_vec()).map_err(|_| malformed(path, "interpreter path"))
}
