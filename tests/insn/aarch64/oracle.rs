//! qemu-aarch64 as the oracle: a small program in it runs code from states that come through a pipe.

use crate::case::{Case, Registers};
use arch_aarch64::features::{CSSC, DPB, DPB2, HBC, LSE2, MOPS, WFXT};
use std::io::{BufWriter, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};

pub const RECORD: usize = 816;
/// Words of code that a group may have.
pub const LONGEST: usize = 64;
/// A model with everything that ours has, as far as the emulator knows it.
const CPU: &str = "max,sve=off,sme=off";
const OLD_CPU: &str = "max,sve=off";

/// The emulator: `INSN_QEMU` names a newer one.
fn emulator() -> String {
    std::env::var("INSN_QEMU").unwrap_or_else(|_| "qemu-aarch64".to_owned())
}

/// The emulator with that model.
pub fn command() -> Command {
    let mut command = Command::new(emulator());
    command.args(["-cpu", if is_old() { OLD_CPU } else { CPU }]);
    command
}

/// Features that this version of the emulator does not have.
pub fn lacking() -> u64 {
    let old = LSE2 | HBC | MOPS | WFXT | DPB | DPB2;
    CSSC | if is_old() { old } else { 0 }
}

/// What version 7 is wrong about, and why.
const OLD_ERRORS: [(&str, &str); 3] = [
    // FCVTZS (vector, fixed-point): V[d, esize], one 16-bit element and zeros above; it extends the sign over 32 bits.
    ("FCVTZS, FCVTZU (scalar, fixed-point, half)", "the upper half of the word"),
    // AArch64.UnalignedAccessFaults: an access with acquire semantics is checked, without FEAT_LSE2 for any misalignment.
    ("LDAPR", "alignment is not checked"),
    // FPToFixedJS: Z is 0 where "value == 0.0 && !IsZero(op<51:0>)", as for a denormal that was flushed.
    ("FJCVTZS", "Z after a flushed operand"),
];

/// Whether the emulator is right about the encoding.
pub fn is_right(name: &str) -> bool {
    !is_old() || OLD_ERRORS.iter().all(|(wrong, _)| name != *wrong)
}

/// Whether it is version 7.
pub fn is_old() -> bool {
    static OLD: OnceLock<bool> = OnceLock::new();
    *OLD.get_or_init(|| {
        let output = Command::new(emulator()).arg("--version").output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let major = text.split_once("version ").and_then(|(_, v)| v.split('.').next()?.parse().ok());
        let major: u32 = major.unwrap_or_else(|| panic!("what version is this? {text}"));
        major < 9
    })
}

/// Code, and states to run it from.
#[derive(Clone, Debug)]
pub struct Group {
    pub words: Vec<u32>,
    pub states: Vec<Registers>,
    /// Whether memory is as it should be before, and told of after.
    pub touches_memory: bool,
    /// What the oracle is to run instead: the same without keys, which are random. The register that is signed
    /// differs.
    pub instead: Option<(Vec<u32>, usize)>,
}

/// The emulator with the program, waiting for groups.
pub struct Oracle {
    child: Child,
    requests: Option<Sender<Vec<u8>>>,
    output: ChildStdout,
}

impl Oracle {
    pub fn start() -> Self {
        let mut child =
            command().arg(program()).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (mut input, output) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let (requests, waiting) = channel::<Vec<u8>>();
        std::thread::spawn(move || {
            let _ = waiting.iter().try_for_each(|request| {
                let mut to = BufWriter::with_capacity(1 << 18, &mut input);
                to.write_all(&request).and_then(|()| to.flush())
            });
        });
        Self { child, requests: Some(requests), output }
    }

    /// Hands over a group; its answer comes in its turn.
    pub fn ask(&self, group: &Group) {
        let mut code = [0u32; LONGEST];
        let words = group.instead.as_ref().map_or(&group.words, |(words, _)| words);
        code[..words.len()].copy_from_slice(words);
        let head = [group.words.len() as u32, group.states.len() as u32, u32::from(group.touches_memory), 0];
        let mut request: Vec<u8> = head.into_iter().chain(code).flat_map(u32::to_le_bytes).collect();
        group.states.iter().for_each(|state| encode(state, &mut request));
        if let Some(requests) = &self.requests {
            // Where the program has died, its answers are missed.
            let _ = requests.send(request);
        }
    }

    /// The states after the runs of the group that was asked for first among those unanswered.
    pub fn answer(&mut self, group: &Group) -> Vec<Registers> {
        let mut records = vec![0; RECORD * group.states.len()];
        self.output.read_exact(&mut records).unwrap_or_else(|e| {
            panic!("the oracle died of {:x?}, or of what was before it: {e}", group.words)
        });
        records.chunks_exact(RECORD).map(decode).collect()
    }

    pub fn run(&mut self, group: &Group) -> Vec<Registers> {
        self.ask(group);
        self.answer(group)
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        self.requests = None;
        let _ = self.child.wait();
    }
}

/// Runs the cases; the given state after is replaced by what came of them.
pub fn run(cases: &[(String, Case)]) -> Vec<(String, Case)> {
    let mut oracle = Oracle::start();
    let one = |(name, case): &(String, Case)| {
        let group = case.group();
        let after = oracle.run(&group).remove(0);
        (name.clone(), Case { after, ..case.clone() })
    };
    cases.iter().map(one).collect()
}

/// The program, built once.
fn program() -> &'static Path {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    PROGRAM.get_or_init(|| {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("insn_aarch64_oracle_{}", std::process::id()));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/insn/aarch64/oracle");
        let status = Command::new("aarch64-linux-gnu-gcc")
            .args(["-O2", "-fno-stack-protector", "-static", "-Wl,--section-start=stub=0x10000000"])
            .args(["-Wl,--no-warn-rwx-segments", "-o"])
            .arg(&program)
            .args([source.join("oracle.c"), source.join("run_one.S")])
            .status()
            .unwrap();
        assert!(status.success(), "the oracle does not build");
        program
    })
}

pub fn encode(r: &Registers, to: &mut Vec<u8>) {
    let words = r.x.iter().copied().chain([r.sp, r.nzcv, r.fpcr, r.fpsr, 0, 0, 0]);
    words.for_each(|word| to.extend(word.to_le_bytes()));
    r.v.iter().for_each(|v| to.extend(v.to_le_bytes()));
}

pub fn decode(record: &[u8]) -> Registers {
    let word = |n: usize| u64::from_le_bytes(record[8 * n..8 * n + 8].try_into().unwrap());
    let vector = |n: usize| u128::from_le_bytes(record[304 + 16 * n..][..16].try_into().unwrap());
    Registers {
        x: std::array::from_fn(word),
        sp: word(31),
        nzcv: word(32),
        fpcr: word(33),
        fpsr: word(34),
        v: std::array::from_fn(vector),
        status: word(36),
        memory: word(37),
    }
}
