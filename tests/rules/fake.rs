//! A guest thread made of a byte array, and a rule directory that goes away with its test.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use guest::GuestAddr;
use guest::regs::{Register, RegisterTable, Storage};
use guest::state::{ARCH_BASE, GuestState, PC, vector_slot};
use qemu_lua::rules::{
    CallEnd, LogSink, Options, Outcome, ReloadMode, RuleHost, Rules, SyscallNames, ThreadRules,
};

pub const READ: u64 = 0;
pub const WRITE: u64 = 1;
pub const GETPID: u64 = 39;
pub const EXIT_GROUP: u64 = 231;
pub const NAMES: &[(u64, &str)] =
    &[(READ, "read"), (WRITE, "write"), (GETPID, "getpid"), (EXIT_GROUP, "exit_group")];

/// Where the fake memory begins and how long it is.
pub const BASE: u64 = 0x1_0000;
pub const SIZE: usize = 0x4000;

static REGISTERS: [Register; 5] = [
    Register { num: 0, name: "rax", feature: "core", size: 8, storage: Storage::Slot(ARCH_BASE) },
    Register { num: 7, name: "rsp", feature: "core", size: 8, storage: Storage::Slot(ARCH_BASE.plus(8)) },
    Register { num: 16, name: "rip", feature: "core", size: 8, storage: Storage::Slot(PC) },
    Register {
        num: 17,
        name: "eflags",
        feature: "core",
        size: 4,
        storage: Storage::Slot(ARCH_BASE.plus(16)),
    },
    Register { num: 40, name: "xmm0", feature: "sse", size: 16, storage: Storage::Slot(vector_slot(0)) },
];

type Kernel = Box<dyn FnMut(u64, [u64; 8]) -> CallEnd>;

pub struct FakeThread {
    pub memory: Vec<u8>,
    pub calls: Vec<(u64, [u64; 8])>,
    pub state: GuestState,
    pub kernel: Kernel,
}

impl FakeThread {
    /// Every call returns 1000 plus its number.
    pub fn new() -> Self {
        let kernel = |number: u64, _| CallEnd::Returned(1000 + number.cast_signed());
        Self {
            memory: vec![0; SIZE],
            calls: Vec::new(),
            state: GuestState::default(),
            kernel: Box::new(kernel),
        }
    }

    fn range(&self, addr: GuestAddr, len: usize) -> std::ops::Range<usize> {
        let start = usize::try_from(addr.0.wrapping_sub(BASE)).unwrap_or(usize::MAX).min(SIZE);
        start..start.saturating_add(len).min(SIZE)
    }
}

impl RuleHost for FakeThread {
    fn read(&self, addr: GuestAddr, out: &mut [u8]) -> usize {
        let range = self.range(addr, out.len());
        out[..range.len()].copy_from_slice(&self.memory[range.clone()]);
        range.len()
    }

    fn write(&mut self, addr: GuestAddr, data: &[u8]) -> usize {
        let range = self.range(addr, data.len());
        self.memory[range.clone()].copy_from_slice(&data[..range.len()]);
        range.len()
    }

    fn syscall(&mut self, number: u64, args: [u64; 8]) -> CallEnd {
        self.calls.push((number, args));
        (self.kernel)(number, args)
    }

    fn register_table(&self) -> RegisterTable {
        RegisterTable { registers: &REGISTERS, pc: "rip", sp: "rsp" }
    }

    fn state(&mut self) -> &mut GuestState {
        &mut self.state
    }

    fn guest_to_host(&self, addr: GuestAddr) -> usize {
        addr.0 as usize + 0x10_0000
    }

    fn host_to_guest(&self, addr: usize) -> Option<GuestAddr> {
        let guest = (addr as u64).wrapping_sub(0x10_0000);
        (BASE..BASE + SIZE as u64).contains(&guest).then_some(GuestAddr(guest))
    }
}

/// A rule directory with a log beside it.
pub struct Directory {
    root: PathBuf,
}

impl Directory {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("rules-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let root = std::env::temp_dir().join(name);
        fs::create_dir_all(root.join("rules")).unwrap();
        Self { root }
    }

    pub fn with(files: &[(&str, &str)]) -> Self {
        let directory = Self::new();
        files.iter().for_each(|(name, text)| directory.put(name, text));
        directory
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join("rules").join(name)
    }

    pub fn outside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Truncates and writes, as an editor does.
    pub fn put(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    pub fn replace(&self, name: &str, text: &str) {
        let new = self.outside("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.path(name)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub fn log_path(&self) -> PathBuf {
        self.root.join("log")
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    pub fn log_lines(&self) -> Vec<String> {
        self.log().lines().map(str::to_owned).collect()
    }

    pub fn options(&self) -> Options {
        let names = SyscallNames::new(NAMES, &["openat2_elsewhere"]);
        Options::new(names, LogSink::file(&self.log_path()).unwrap())
    }

    pub fn open(&self, reload: ReloadMode) -> Arc<Rules> {
        let options = Options { reload, ..self.options() };
        Rules::open(Path::new(&self.path("")), options).unwrap()
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A guest thread under rules.
pub struct Guest {
    pub host: FakeThread,
    pub thread: ThreadRules,
}

impl Guest {
    pub fn new(rules: &Arc<Rules>) -> Self {
        Self { host: FakeThread::new(), thread: ThreadRules::new(rules) }
    }

    /// What the engine does for a system call; the outcome, [`Outcome::Original`] without a rule.
    pub fn call(&mut self, number: u64, args: [u64; 8]) -> Outcome {
        if self.thread.has_rule(number) {
            self.thread.call(&mut self.host, number, args)
        } else {
            Outcome::Original
        }
    }

    pub fn write(&mut self) -> Outcome {
        self.call(WRITE, [1, BASE, 5, 0, 0, 0, 0, 0])
    }
}

/// Runs `body` (the inside of a `do_syscall`) once, as the rule of write.
pub fn run(body: &str) -> (Outcome, Guest, Directory) {
    run_with(body, |_| {})
}

pub fn run_with(body: &str, prepare: impl FnOnce(&mut FakeThread)) -> (Outcome, Guest, Directory) {
    let script = format!("function do_syscall(num, a1, a2, a3, a4, a5, a6, a7, a8)\n{body}\nend");
    let directory = Directory::with(&[("write.lua", &script)]);
    let mut guest = Guest::new(&directory.open(ReloadMode::Watch));
    prepare(&mut guest.host);
    let outcome = guest.write();
    (outcome, guest, directory)
}

/// Runs Lua assertions; panics with the log if one fails.
pub fn check(body: &str, prepare: impl FnOnce(&mut FakeThread)) -> Guest {
    let (outcome, guest, directory) = run_with(&format!("{body}\ndo return 7 end"), prepare);
    assert_eq!(outcome, Outcome::Result(7), "{}", directory.log());
    guest
}

/// Waits until `condition` holds, for a bounded time.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !condition() {
        assert!(Instant::now() < deadline, "never happened: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}
