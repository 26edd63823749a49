//! Mapping an ELF image into the guest, as binfmt_elf does it.

use super::elf::{self, Program, ReadAt};
use super::{LoadError, Loaded};
use crate::host::files::OwnedFile;
use crate::mem::{MapRequest, Memory, space};
use ::elf::abi;
use ::elf::segment::ProgramHeader;
use guest::arch::GuestArch;
use guest::{GuestAddr, GuestMemory};

const PAGE: u64 = 4096;

/// A program ready to be mapped: file, headers, and its interpreter's.
pub struct Prepared {
    path: String,
    file: OwnedFile,
    program: Program,
    interpreter: Option<(String, OwnedFile, Program)>,
}

/// Opens and checks `path` (already known to be ELF) and its interpreter, mapping nothing: after this only
/// the mapping itself can fail. `resolve` gives the host path of an interpreter (the sysroot's).
pub fn prepare(
    arch: &'static dyn GuestArch,
    path: &str,
    file: OwnedFile,
    resolve: &dyn Fn(&str) -> String,
) -> Result<Prepared, LoadError> {
    let program = elf::parse(path, &file, arch.elf_machine(), arch.name())?;
    let interpreter = match &program.interpreter {
        None => None,
        Some(segment) => {
            let wanted = elf::interpreter_path(path, &file, segment)?;
            let missing = || LoadError::NoInterpreter { program: path.to_owned(), path: wanted.clone() };
            let found = resolve(&wanted);
            let file = OwnedFile::open(&found).map_err(|_| missing())?;
            let program = elf::parse(&found, &file, arch.elf_machine(), arch.name())?;
            Some((found, file, program))
        }
    };
    Ok(Prepared { path: path.to_owned(), file, program, interpreter })
}

/// Maps the program and its interpreter. `guard`: asks for a guard on executable segments, for one of these notes of
/// properties; the kernel does so for the interpreter, or the program that has none: the others are the interpreter's
/// business (arch_elf_adjust_prot).
pub fn map(prepared: &Prepared, guard: &dyn Fn(&[u8]) -> i32) -> Result<Loaded, LoadError> {
    let program = &prepared.program;
    let own = match &prepared.interpreter {
        None => guard(&elf::properties(&prepared.file, program)),
        Some(_) => 0,
    };
    let bias = map_image(&prepared.path, &prepared.file, program, space().program_base(), own)?;
    let (_, end) = program.span();
    let entry = program.entry.wrapping_add(bias);
    let (code, data) = program.code_and_data();
    let moved = |(start, end): (u64, u64)| (start.wrapping_add(bias), end.wrapping_add(bias));
    let mut loaded = Loaded {
        start: GuestAddr(entry),
        entry,
        phdr: phdr_address(program).wrapping_add(bias),
        phnum: program.phnum,
        interpreter_base: 0,
        image_end: end.wrapping_add(bias),
        code: moved(code),
        data: moved(data),
        executable_stack: program.executable_stack,
    };
    if let Some((path, file, interpreter)) = &prepared.interpreter {
        let own = guard(&elf::properties(file, interpreter));
        let bias = map_image(path, file, interpreter, 0, own)?;
        loaded.interpreter_base = bias;
        loaded.start = GuestAddr(interpreter.entry.wrapping_add(bias));
    }
    Ok(loaded)
}

/// Where the program headers are in memory: in the segment that holds their file offset.
fn phdr_address(program: &Program) -> u64 {
    let holds = |p: &&ProgramHeader| p.p_offset <= program.phoff && program.phoff < p.p_offset + p.p_filesz;
    match program.loads.iter().find(holds) {
        Some(p) => program.phoff - p.p_offset + p.p_vaddr,
        None => program.phdr_segment.unwrap_or(0),
    }
}

/// Maps all segments; the difference between addresses in memory and in the file.
fn map_image(
    path: &str,
    file: &OwnedFile,
    program: &Program,
    base: u64,
    guard: i32,
) -> Result<u64, LoadError> {
    let (start, end) = program.span();
    let bias = if program.is_position_independent() {
        reserve(path, end - start, base, alignment(program))?.wrapping_sub(start)
    } else {
        0
    };
    for segment in &program.loads {
        map_segment(path, file, segment, bias, guard)?;
    }
    Ok(bias)
}

/// The largest alignment that a segment asks for, if it is a power of two.
fn alignment(program: &Program) -> u64 {
    let asked = program.loads.iter().map(|p| p.p_align).filter(|a| a.is_power_of_two());
    asked.max().unwrap_or(PAGE).clamp(PAGE, 1 << 30)
}

/// Reserves room for an image whose address is free; the address.
fn reserve(path: &str, len: u64, base: u64, align: u64) -> Result<u64, LoadError> {
    let fail = |addr, errno| LoadError::Map { path: path.to_owned(), addr, errno };
    let padded = len.checked_add(align - PAGE).ok_or_else(|| fail(base, libc::ENOMEM))?;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    let hint = base.next_multiple_of(align);
    let request = MapRequest { addr: hint, len: padded, prot: libc::PROT_NONE, flags, fd: -1, offset: 0 };
    let place = space().mmap(&request).map_err(|errno| fail(base, errno))?;
    let aligned = place.next_multiple_of(align);
    // The image takes the last aligned place, so that what is above it stays dense.
    let _ = space().munmap(place, padded);
    let request = MapRequest { addr: aligned, len, flags: flags | libc::MAP_FIXED_NOREPLACE, ..request };
    space().mmap(&request).map_err(|errno| fail(aligned, errno))
}

fn segment_prot(flags: u32) -> i32 {
    let bit = |flag, prot| if flags & flag != 0 { prot } else { 0 };
    bit(abi::PF_R, libc::PROT_READ) | bit(abi::PF_W, libc::PROT_WRITE) | bit(abi::PF_X, libc::PROT_EXEC)
}

fn map_segment(
    path: &str,
    file: &OwnedFile,
    segment: &ProgramHeader,
    bias: u64,
    guard: i32,
) -> Result<(), LoadError> {
    let start = segment.p_vaddr.wrapping_add(bias);
    let fail = |errno| LoadError::Map { path: path.to_owned(), addr: start, errno };
    let prot = segment_prot(segment.p_flags);
    let prot = if prot & libc::PROT_EXEC != 0 { prot | guard } else { prot };
    let page = start & !(PAGE - 1);
    let file_end = start + segment.p_filesz;
    let memory_end = start + segment.p_memsz;
    let fixed = libc::MAP_PRIVATE | libc::MAP_FIXED;
    if segment.p_filesz != 0 {
        let offset = segment.p_offset - (start - page);
        let request =
            MapRequest { addr: page, len: file_end - page, prot, flags: fixed, fd: file.raw(), offset };
        space().mmap(&request).map_err(fail)?;
    }
    let zero_pages = if segment.p_filesz == 0 { page } else { file_end.next_multiple_of(PAGE) };
    if memory_end > zero_pages {
        let flags = fixed | libc::MAP_ANONYMOUS;
        let request =
            MapRequest { addr: zero_pages, len: memory_end - zero_pages, prot, flags, fd: -1, offset: 0 };
        space().mmap(&request).map_err(fail)?;
    }
    if segment.p_memsz > segment.p_filesz && prot & libc::PROT_WRITE != 0 {
        // To the end of the page, beyond the segment's: ld.so's first allocations lie there.
        let tail = zero_pages.saturating_sub(file_end);
        // A file that ends before its last page leaves nothing to clear there; the kernel ignores that too.
        let _ = Memory.write(GuestAddr(file_end), &vec![0; tail as usize]);
    }
    Ok(())
}

impl ReadAt for OwnedFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> usize {
        OwnedFile::read_at(self, offset, out)
    }
}
