//! Names of guest addresses, from the symbol tables of the files that are mapped there.
//!
//! The mapping table knows which file a mapping is of, the kernel under which path it was opened. A file is read when
//! one of its addresses is asked for first.

use crate::host::files::OwnedFile;
use crate::host::layout;
use crate::mem::{Backing, space};
use elf::abi;
use elf::endian::LittleEndian;
use elf::{ElfStream, ParseError};
use guest::GuestAddr;
use std::collections::HashMap;
use std::io::{self, Read, Seek, SeekFrom};

/// The files that were asked about, by device and inode.
#[derive(Default)]
pub struct Names(HashMap<(u64, u64), File>);

/// What is known of a file.
struct File {
    /// The last part of its path.
    name: String,
    /// Where its parts belong: offset, length, address.
    segments: Vec<(u64, u64, u64)>,
    /// Functions in the order of their addresses.
    functions: Vec<Function>,
}

struct Function {
    start: u64,
    size: u64,
    name: String,
}

impl Names {
    /// `function+0xOFFSET`, `file+0xOFFSET` where no function is known, else `guest 0xADDRESS`.
    pub fn of(&mut self, pc: GuestAddr) -> String {
        let unnamed = || format!("guest {pc}");
        let Some((start, mapping)) = space().mapping(pc) else { return unnamed() };
        let Backing::File { device, inode, offset } = mapping.backing else { return unnamed() };
        let identity = (device, inode);
        let file = self.0.entry(identity).or_insert_with(|| File::at(pc, identity));
        file.name_of(offset + (pc.raw() - start)).unwrap_or_else(unnamed)
    }
}

impl File {
    /// The file that is mapped at `pc`.
    fn at(pc: GuestAddr, identity: (u64, u64)) -> Self {
        let path = layout::path_at(pc.raw()).unwrap_or_default();
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let mut file = Self { name, segments: Vec::new(), functions: Vec::new() };
        // What lies there now need not be what is mapped.
        let same = |opened: &OwnedFile| opened.status().is_some_and(|s| (s.device, s.inode) == identity);
        if let Some(opened) = OwnedFile::open(&path).ok().filter(same) {
            // What cannot be read has no names.
            let _ = file.read(opened);
        }
        file
    }

    fn read(&mut self, opened: OwnedFile) -> Result<(), ParseError> {
        let mut elf = ElfStream::<LittleEndian, _>::open_stream(Reader { file: opened, at: 0 })?;
        let loads = elf.segments().iter().filter(|segment| segment.p_type == abi::PT_LOAD);
        self.segments = loads.map(|load| (load.p_offset, load.p_filesz, load.p_vaddr)).collect();
        if let Some((symbols, names)) = elf.symbol_table()? {
            self.add(symbols.iter(), |at| names.get(at).unwrap_or_default().to_owned());
        }
        if let Some((symbols, names)) = elf.dynamic_symbol_table()? {
            self.add(symbols.iter(), |at| names.get(at).unwrap_or_default().to_owned());
        }
        self.functions.sort_by(|a, b| (a.start, &a.name).cmp(&(b.start, &b.name)));
        self.functions.dedup_by_key(|function| function.start);
        Ok(())
    }

    fn add(&mut self, symbols: impl Iterator<Item = elf::symbol::Symbol>, name: impl Fn(usize) -> String) {
        let functions = symbols.filter(|symbol| {
            matches!(symbol.st_symtype(), abi::STT_FUNC | abi::STT_GNU_IFUNC) && !symbol.is_undefined()
        });
        self.functions.extend(functions.map(|symbol| Function {
            start: symbol.st_value,
            size: symbol.st_size,
            name: name(symbol.st_name as usize),
        }));
    }

    /// The name of what stands at an offset in the file.
    fn name_of(&self, offset: u64) -> Option<String> {
        let at = |&&(start, len, _): &&(u64, u64, u64)| offset.checked_sub(start).is_some_and(|at| at < len);
        let address = self.segments.iter().find(at).map(|(start, _, address)| offset - start + address);
        if let Some(named) = address.and_then(|address| self.function_at(address)) {
            return Some(named);
        }
        (!self.name.is_empty()).then(|| format!("{}+{:#x}", self.name, address.unwrap_or(offset)))
    }

    fn function_at(&self, address: u64) -> Option<String> {
        let behind = self.functions.partition_point(|function| function.start <= address);
        let function = &self.functions[behind.checked_sub(1)?];
        let inside = address - function.start;
        match inside {
            0 => Some(function.name.clone()),
            // Functions written in assembly may have no size.
            _ if function.size != 0 && inside >= function.size => None,
            _ => Some(format!("{}+{inside:#x}", function.name)),
        }
    }
}

/// A file, to be read from here and there.
struct Reader {
    file: OwnedFile,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(self.at, out);
        self.at += got as u64;
        Ok(got)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (base, by) = match to {
            SeekFrom::Start(at) => (at, 0),
            SeekFrom::Current(by) => (self.at, by),
            SeekFrom::End(by) => (self.file.status().map_or(0, |status| status.size), by),
        };
        let before = || io::Error::from(io::ErrorKind::InvalidInput);
        self.at = base.checked_add_signed(by).ok_or_else(before)?;
        Ok(self.at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file() -> File {
        let function = |start, size, name: &str| Function { start, size, name: name.to_owned() };
        let functions = vec![function(0x401000, 0x20, "first"), function(0x401040, 0, "in_assembly")];
        File { name: "program".to_owned(), segments: vec![(0x1000, 0x1000, 0x401000)], functions }
    }

    #[test]
    fn an_address_is_named_by_the_function_that_it_is_in() {
        let named = |offset: u64| file().name_of(offset).unwrap();
        assert_eq!(named(0x1000), "first");
        assert_eq!(named(0x101c), "first+0x1c");
        assert_eq!(named(0x1044), "in_assembly+0x4");
    }

    #[test]
    fn what_no_function_has_is_named_by_the_file() {
        assert_eq!(file().name_of(0x1020).unwrap(), "program+0x401020");
        assert_eq!(file().name_of(0x10).unwrap(), "program+0x10");
        assert_eq!(File { name: String::new(), ..file() }.name_of(0x1020), None);
    }

    #[test]
    fn functions_are_read_from_a_program() {
        let path = std::env::current_exe().unwrap();
        let mut own = File { name: String::new(), segments: Vec::new(), functions: Vec::new() };
        own.read(OwnedFile::open(path.to_str().unwrap()).unwrap()).unwrap();
        let main = own.functions.iter().find(|function| function.name == "main").unwrap();
        assert_eq!(own.function_at(main.start).as_deref(), Some("main"));
    }
}
