//! Bad input to the loader: clear errors, right exit statuses, and 20,000 mutated files without a crash.
#![allow(clippy::unwrap_used)] // a test's own failures

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::RwLock;
use std::time::{Duration, Instant};

const EMULATOR: &str = env!("CARGO_BIN_EXE_qemu-lua-x86_64");
/// Mutated files; each must be dealt with within `LIMIT`.
const FILES: u64 = 20_000;
const LIMIT: Duration = Duration::from_secs(5);

fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("loader-{name}-{}", std::process::id()));
    let _ = fs::remove_file(&path);
    path
}

/// What the build says of the image's place is what the layout says.
#[test]
fn the_emulator_is_linked_to_its_place() {
    let image = fs::read(EMULATOR).unwrap();
    let (header, _) = image.as_chunks::<8>();
    let word = |at: usize| u64::from_le_bytes(header[at / 8]);
    const LOAD: u32 = 1;
    let program_headers = (word(32) as usize..).step_by(56);
    let first = program_headers.take(16).find(|&at| word(at) as u32 == LOAD).unwrap();
    assert_eq!(word(first + 16), qemu_lua::host::layout::IMAGE);
}

fn program(arch: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/demo/demo-{arch}"))).unwrap()
}

/// Held for writing while a program is written, and for reading while a process starts: a child that another
/// thread starts has the file open for writing until it executes, and the file is busy that long (execve(2),
/// ETXTBSY).
static WRITTEN: RwLock<()> = RwLock::new(());

fn write_executable(path: &Path, bytes: &[u8]) {
    let _alone = WRITTEN.write().unwrap();
    fs::write(path, bytes).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// The emulator, started with `path`; what it says is in pipes.
fn start(path: &Path) -> Child {
    let mut command = Command::new(EMULATOR);
    command.arg(path).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let _no_writer = WRITTEN.read().unwrap();
    command.spawn().unwrap()
}

fn run(path: &Path) -> Output {
    start(path).wait_with_output().unwrap()
}

/// The one line and the status that this file gets.
fn refused(name: &str, bytes: &[u8]) -> (String, i32) {
    let path = scratch(name);
    write_executable(&path, bytes);
    let output = run(&path);
    fs::remove_file(&path).unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    (text, output.status.code().unwrap())
}

#[test]
fn a_missing_program_is_127() {
    let output = run(Path::new("/nonexistent/program"));
    assert_eq!(output.status.code(), Some(127));
    assert_eq!(
        String::from_utf8_lossy(&output.stderr),
        "qemu-lua: /nonexistent/program: No such file or directory\n"
    );
}

#[test]
fn a_directory_or_a_file_without_x_is_126() {
    assert_eq!(run(Path::new("/")).status.code(), Some(126));
    let path = scratch("plain");
    fs::write(&path, program("x86_64")).unwrap();
    let output = run(&path);
    fs::remove_file(&path).unwrap();
    assert_eq!(output.status.code(), Some(126));
}

#[test]
fn files_that_are_no_program_say_what_they_are() {
    let good = program("x86_64");
    let changed = |at: usize, value: u8| {
        let mut bytes = good.clone();
        bytes[at] = value;
        bytes
    };
    for (name, bytes, words) in [
        ("empty", vec![], "not an ELF file"),
        ("text", b"hello\n".to_vec(), "not an ELF file"),
        ("class", changed(4, 1), "32-bit"),
        ("order", changed(5, 2), "big-endian"),
        ("machine", program("aarch64"), "built for aarch64"),
        ("type", changed(16, 1), "not a program"),
        ("headers", changed(54, 7), "malformed"),
        ("short", good[..40].to_vec(), "truncated"),
    ] {
        let (text, status) = refused(name, &bytes);
        assert!(text.contains(words), "{name}: {text}");
        assert_eq!(status, 126, "{name}");
    }
}

#[test]
fn a_missing_interpreter_is_named() {
    let mut bytes = fs::read("/bin/true").unwrap();
    let at = bytes.windows(11).position(|w| w == b"/lib64/ld-l").unwrap();
    bytes[at + 1] = b'X';
    let (text, _) = refused("interpreter", &bytes);
    assert!(text.contains("/Xib64/ld-linux-x86-64.so.2 is missing"), "{text}");
}

/// SplitMix64: the same files in every run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// A file with one to four changes in its headers, or cut off somewhere.
fn mutated(good: &[u8], seed: u64) -> Vec<u8> {
    const TELLING: [u64; 10] =
        [0, 1, 0x7f, 0xff, 0x1000, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 47, u64::MAX];
    let mut random = Random(seed);
    let mut bytes = good.to_vec();
    if random.below(8) == 0 {
        bytes.truncate(random.below(bytes.len() as u64) as usize);
        return bytes;
    }
    let headers = 64 + 56 * u64::from(good[56]);
    for _ in 0..=random.below(4) {
        let at = random.below(headers) as usize;
        if random.below(2) == 0 {
            bytes[at] = random.next() as u8;
        } else {
            let value = TELLING[random.below(10) as usize].wrapping_sub(random.below(3)).to_le_bytes();
            let at = at & !7;
            bytes[at..at + 8].copy_from_slice(&value);
        }
    }
    bytes
}

/// Runs one mutated file; what is wrong about it, if anything.
fn complaint(path: &Path, seed: u64) -> Option<String> {
    let begun = Instant::now();
    let mut child = start(path);
    while child.try_wait().unwrap().is_none() {
        if begun.elapsed() > LIMIT {
            child.kill().unwrap();
            child.wait().unwrap();
            return Some(format!("seed {seed}: still running after {LIMIT:?}"));
        }
        std::thread::sleep(Duration::from_micros(300));
    }
    let output = child.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    let crashed =
        text.contains("internal error") || text.contains("panicked") || output.status.signal() == Some(6);
    crashed.then(|| format!("seed {seed}: {:?} {text}", output.status))
}

#[test]
fn mutated_files_never_crash_the_loader() {
    let good = program("x86_64");
    std::thread::scope(|scope| {
        for worker in 0..2 {
            let good = &good;
            scope.spawn(move || {
                let path = scratch(&format!("mutated{worker}"));
                for seed in (worker..FILES).step_by(2) {
                    let _ = fs::remove_file(&path);
                    write_executable(&path, &mutated(good, seed));
                    if let Some(complaint) = complaint(&path, seed) {
                        panic!("{complaint}");
                    }
                }
                fs::remove_file(&path).unwrap();
            });
        }
    });
}
