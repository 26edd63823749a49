//! The code of binaries, and how much of it is looked at.

use elf::ElfBytes;
use elf::abi::{SHF_EXECINSTR, SHT_PROGBITS};
use elf::endian::LittleEndian;
use std::collections::HashMap;
use std::hash::Hash;
use std::path::Path;

/// The executable sections of each file that is there and of the machine.
pub fn code(machine: u16, defaults: &[String]) -> Vec<Vec<u8>> {
    let named = std::env::var("CROSS_CHECK_FILES").ok();
    let files: Vec<String> =
        named.map_or_else(|| defaults.to_vec(), |text| text.split(':').map(str::to_owned).collect());
    let sections =
        files.iter().filter(|file| Path::new(file).exists()).flat_map(|file| sections(machine, file));
    sections.collect()
}

fn sections(machine: u16, path: &str) -> Vec<Vec<u8>> {
    let contents = std::fs::read(path).unwrap();
    let file = ElfBytes::<LittleEndian>::minimal_parse(&contents).unwrap();
    if file.ehdr.e_machine != machine {
        return Vec::new();
    }
    let headers = file.section_headers().unwrap().iter();
    headers
        .filter(|header| header.sh_type == SHT_PROGBITS && header.sh_flags & u64::from(SHF_EXECINSTR) != 0)
        .map(|header| file.section_data(&header).unwrap().0.to_vec())
        .collect()
}

/// Lets so many of each form pass.
pub struct Quota<K> {
    each: u32,
    seen: HashMap<K, u32>,
}

impl<K: Hash + Eq> Quota<K> {
    pub fn new() -> Self {
        let each = std::env::var("CROSS_CHECK_EACH").map_or(40, |text| text.parse().unwrap());
        Self { each, seen: HashMap::new() }
    }

    pub fn admits(&mut self, form: K) -> bool {
        let count = self.seen.entry(form).or_default();
        *count += 1;
        *count <= self.each
    }

    pub fn forms(&self) -> usize {
        self.seen.len()
    }
}
