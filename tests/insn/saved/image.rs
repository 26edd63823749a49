//! The program's file.

use super::{FILLINGS, Guest, Program, STATES};
use std::path::{Path, PathBuf};
use std::process::Command;

/// Sequences that there is room for, and what each has.
pub const CAPACITY: usize = 256;
const SLOT: usize = 1024;

/// Where a sequence's code is.
pub const fn place<G: Guest>(number: usize) -> u64 {
    G::CODE + (number * SLOT) as u64
}

/// The program without sequences.
pub struct Template {
    bytes: Vec<u8>,
    /// In the file: where the code and the cases are.
    code: usize,
    cases: usize,
}

impl Template {
    /// Compiles it.
    pub fn build<G: Guest>() -> Self {
        let out = scratch(&format!("saved-template-{}", G::NAME));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/insn/saved");
        let cases = 64 + FILLINGS * G::DATA_LEN + CAPACITY * (G::HEAD + STATES * G::RECORD);
        let status = Command::new(G::COMPILER[0])
            .args(&G::COMPILER[1..])
            .args(["-O2", "-Wall", "-Wno-unused-parameter", "-fno-stack-protector", "-static", "-no-pie"])
            .args([format!("-DCAPACITY={CAPACITY}"), format!("-DSLOT_SIZE={SLOT}")])
            .args([format!("-DCASES_SIZE={cases}"), "-o".to_owned()])
            .arg(&out)
            .args([source.join("program.c"), source.join(G::ASSEMBLER)])
            .status()
            .unwrap();
        assert!(status.success(), "the program does not build");
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(&out).unwrap();
        let elf = elf::ElfBytes::<elf::endian::LittleEndian>::minimal_parse(&bytes).unwrap();
        let sections: Vec<_> = elf.section_headers().unwrap().iter().collect();
        let holds =
            |at: u64| move |s: &elf::section::SectionHeader| (s.sh_addr..s.sh_addr + s.sh_size).contains(&at);
        let code = sections.iter().find(|s| holds(G::CODE)(s)).unwrap();
        let code = (code.sh_offset + G::CODE - code.sh_addr) as usize;
        let cases = elf.section_header_by_name("inputs").unwrap().unwrap().sh_offset as usize;
        Self { bytes, code, cases }
    }
}

/// A path of this process's own.
pub fn scratch(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}-{}", std::process::id()))
}

/// A program's bytes.
#[derive(Clone)]
pub struct Image {
    pub bytes: Vec<u8>,
    code: usize,
}

impl Image {
    pub fn new<G: Guest>(template: &Template, program: &Program<G>) -> Self {
        let mut image = Self { bytes: template.bytes.clone(), code: template.code };
        let mut cases = Vec::new();
        cases.extend((program.pieces.len() as u64).to_le_bytes());
        cases.resize(64, 0);
        (0..FILLINGS).for_each(|number| cases.extend(G::filling(number)));
        for (number, (piece, shape)) in program.pieces.iter().enumerate() {
            let code = G::code(piece, place::<G>(number), shape);
            assert!(code.len() <= SLOT, "a sequence is too long: {}", code.len());
            image.code_of(number, code.len()).copy_from_slice(&code);
            let start = cases.len();
            let [eflags, fsw] = G::masks(piece);
            let filling = number % FILLINGS;
            let head = [place::<G>(number), shape.rounds, shape.inner, filling as u64, eflags, fsw];
            cases.extend(head.iter().flat_map(|word| word.to_le_bytes()));
            cases.resize(start + G::HEAD, 0);
            (0..STATES).for_each(|state| cases.extend(G::state(piece, state, (place::<G>(number), shape))));
        }
        image.bytes[template.cases..][..cases.len()].copy_from_slice(&cases);
        image
    }

    /// So many bytes of a sequence's code.
    pub fn code_of(&mut self, number: usize, len: usize) -> &mut [u8] {
        &mut self.bytes[self.code + number * SLOT..][..len]
    }
}
