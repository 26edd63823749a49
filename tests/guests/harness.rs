//! Running a guest and comparing it with the native run.

use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// No guest may take longer, on a busy machine and under the interpreter.
const TIME_LIMIT: Duration = Duration::from_secs(240);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Arch {
    X86_64,
    Aarch64,
}

impl Arch {
    pub fn emulator(self) -> &'static str {
        match self {
            Self::X86_64 => env!("CARGO_BIN_EXE_qemu-lua-x86_64"),
            Self::Aarch64 => env!("CARGO_BIN_EXE_qemu-lua-aarch64"),
        }
    }

    fn compiler(self) -> &'static str {
        match self {
            Self::X86_64 => "gcc",
            Self::Aarch64 => "aarch64-linux-gnu-gcc",
        }
    }
}

/// The AArch64 system root that scripts/test fetched.
pub fn sysroot() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/sysroot-aarch64");
    assert!(root.join(".packages").exists(), "no AArch64 packages: run scripts/test, which fetches them");
    root
}

/// How a program ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ended {
    /// Exit status, or 128 + signal.
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

/// The emulator's command line for a program of the guest's system.
pub fn guest_command(arch: Arch, options: &[&str], program: &str, args: &[&str]) -> Command {
    let mut command = Command::new(arch.emulator());
    command.args(options);
    match arch {
        Arch::X86_64 => command.arg(program),
        Arch::Aarch64 => {
            let root = sysroot();
            let inside = root.join(program.trim_start_matches('/'));
            // A test program of ours is static and lies outside the system root.
            let path = if inside.exists() { inside } else { PathBuf::from(program) };
            command.arg("-L").arg(root).arg(path)
        }
    };
    command.args(args);
    command
}

/// Starts a command in its own process group, with pipes and an environment that is the same everywhere.
pub fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("LC_ALL", "C")
        .env("TZ", "UTC")
        .env("HOME", "/nonexistent");
    command.spawn().unwrap()
}

/// Runs a command in its own process group, with a time limit that takes the whole group down.
pub fn run(mut command: Command, stdin: &str) -> Ended {
    let mut child = start(&mut command);
    let mut input = child.stdin.take().unwrap();
    let text = stdin.to_owned();
    let feeder = std::thread::spawn(move || drop(input.write_all(text.as_bytes())));
    let group = child.id() as i32;
    let watchdog = watch(group, TIME_LIMIT);
    let output = child.wait_with_output().unwrap();
    drop(watchdog);
    feeder.join().unwrap();
    let status = output.status.code().unwrap_or_else(|| 128 + output.status.signal().unwrap_or(0));
    Ended {
        status,
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Kills a process group when its time is up, unless dropped before.
pub struct Watchdog {
    alive: Option<std::sync::mpsc::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.alive.take();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

/// Gives a process group so much time.
pub fn watch(group: i32, limit: Duration) -> Watchdog {
    let (alive, gone) = std::sync::mpsc::channel::<()>();
    let thread = std::thread::spawn(move || {
        let start = Instant::now();
        if gone.recv_timeout(limit) == Err(std::sync::mpsc::RecvTimeoutError::Timeout) {
            eprintln!("time limit: process group {group} killed after {:?}", start.elapsed());
            Command::new("kill").args(["-KILL", "--", &format!("-{group}")]).status().unwrap();
        }
    });
    Watchdog { alive: Some(alive), thread: Some(thread) }
}

/// Runs a program natively and as a guest under the tier; both must end the same way.
pub fn same_as_native(arch: Arch, tier: &str, program: &str, args: &[&str], stdin: &str) {
    let mut native = Command::new(program);
    native.args(args);
    let expected = run(native, stdin);
    let got = run(guest_command(arch, &["-tier", tier], program, args), stdin);
    assert_eq!((got.status, &got.stdout), (expected.status, &expected.stdout), "stderr: {}", got.stderr);
}

/// A program of `tests/guests/programs`, compiled for the architecture (statically).
pub fn compiled(arch: Arch, name: &str) -> String {
    compiled_from(arch, "tests/guests/programs", name)
}

/// A program whose source is in `directory`, compiled for the architecture (statically).
pub fn compiled_from(arch: Arch, directory: &str, name: &str) -> String {
    compiled_with(arch, directory, name, &["-O2", "-Wall", "-static", "-pthread"])
}

/// The same with these options of the compiler; the same ones for all who want that program.
pub fn compiled_with(arch: Arch, directory: &str, name: &str, flags: &[&str]) -> String {
    static COMPILING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = COMPILING.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("{directory}/{name}.c"));
    let out = Path::new(env!("CARGO_TARGET_TMPDIR"))
        .join(format!("{}-{name}-{arch:?}", directory.replace('/', "-")));
    let fresh = |path: &Path| path.metadata().and_then(|m| m.modified()).ok();
    if fresh(&out) < fresh(&source) {
        let status = Command::new(arch.compiler())
            .args(flags)
            .arg("-o")
            .args([&out, &source])
            .arg("-lm")
            .status()
            .unwrap();
        assert!(status.success(), "{name} does not compile for {arch:?}");
    }
    out.to_string_lossy().into_owned()
}

/// Runs a compiled program as a guest; what it prints must be what its x86-64 build prints natively.
pub fn program_same_as_native(arch: Arch, tier: &str, name: &str, args: &[&str]) {
    let mut native = Command::new(compiled(Arch::X86_64, name));
    native.args(args);
    let expected = run(native, "");
    let got = run(guest_command(arch, &["-tier", tier], &compiled(arch, name), args), "");
    assert_eq!((got.status, &got.stdout), (expected.status, &expected.stdout), "stderr: {}", got.stderr);
}
