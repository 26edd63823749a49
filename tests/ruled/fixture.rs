//! A guest under rules of its own: a directory of scripts, a log, and ways to run programs with them.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::harness::{self, Arch, Ended, guest_command};

/// Whatever is waited for must have come by then, on a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits for a condition.
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "never: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A program of this suite, compiled for the architecture.
pub fn compiled(arch: Arch, name: &str) -> String {
    harness::compiled_from(arch, "tests/ruled/programs", name)
}

/// Rules and their log, in a directory that goes away with it.
pub struct Ruled {
    pub arch: Arch,
    root: PathBuf,
    options: Vec<String>,
}

impl Ruled {
    pub fn new(arch: Arch, scripts: &[(&str, &str)]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ruled-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        fs::create_dir_all(root.join("rules")).unwrap();
        let ruled = Self { arch, root, options: Vec::new() };
        scripts.iter().for_each(|(name, text)| ruled.put(name, text));
        ruled
    }

    pub fn with(mut self, options: &[&str]) -> Self {
        self.options.extend(options.iter().map(|&o| o.to_owned()));
        self
    }

    /// A path beside the rules.
    pub fn beside(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn script(&self, name: &str) -> PathBuf {
        self.root.join("rules").join(name)
    }

    pub fn put(&self, name: &str, text: &str) {
        let path = self.script(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// Puts a new file in the old one's place.
    pub fn replace(&self, name: &str, text: &str) {
        let new = self.root.join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.script(name)).unwrap();
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.script(name)).unwrap();
    }

    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.root.join("log")).unwrap_or_default()).into_owned()
    }

    pub fn log_lines(&self) -> Vec<String> {
        self.log().lines().map(str::to_owned).collect()
    }

    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let (rules, log) = (self.root.join("rules"), self.root.join("log"));
        let (rules, log) = (rules.to_string_lossy(), log.to_string_lossy());
        let mut options = vec!["--rules", &*rules, "--rules-log", &*log];
        options.extend(self.options.iter().map(String::as_str));
        guest_command(self.arch, &options, program, args)
    }

    /// Runs a program of the guest's system.
    pub fn run(&self, program: &str, args: &[&str]) -> Ended {
        harness::run(self.command(program, args), "")
    }

    /// Runs steps of `programs/step.c`; what they said. It must end well.
    pub fn steps(&self, steps: &[&str]) -> String {
        let ended = self.run(&compiled(self.arch, "step"), steps);
        assert_eq!(ended.status, 0, "{ended:?}\n{}", self.log());
        assert_eq!(ended.stderr, "", "{}", self.log());
        ended.stdout
    }

    /// Starts `programs/step.c`, to be driven line by line.
    pub fn session(&self) -> Session {
        Session::start(self.command(&compiled(self.arch, "step"), &[]))
    }
}

impl Drop for Ruled {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.root);
    }
}

/// A running `programs/step.c`.
pub struct Session {
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
    watchdog: Option<harness::Watchdog>,
}

impl Session {
    pub fn start(mut command: Command) -> Self {
        let mut child = harness::start(&mut command);
        let output = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = channel();
        std::thread::spawn(move || output.lines().map_while(Result::ok).all(|line| send.send(line).is_ok()));
        let watchdog = harness::watch(child.id() as i32, 3 * PATIENCE);
        let input = child.stdin.take();
        Self { child, input, lines, watchdog: Some(watchdog) }
    }

    pub fn id(&self) -> i32 {
        self.child.id() as i32
    }

    /// Gives the guest something to do.
    pub fn send(&mut self, line: &str) {
        self.input.as_mut().unwrap().write_all(format!("{line}\n").as_bytes()).unwrap();
    }

    /// The next line that the guest says.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(PATIENCE).expect("the guest says nothing")
    }

    pub fn ask(&mut self, line: &str) -> String {
        self.send(line);
        self.line()
    }

    /// How long it takes until the guest's answer is the expected one.
    pub fn until(&mut self, line: &str, expected: &str) -> Duration {
        let start = Instant::now();
        eventually(expected, || self.ask(line) == expected);
        start.elapsed()
    }

    pub fn signal(&self, signal: &str) {
        let status =
            Command::new("kill").args([format!("-{signal}"), self.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Its exit status, or 128 + signal; it must end by itself.
    pub fn ended(mut self) -> i32 {
        drop(self.input.take());
        let mut status = None;
        eventually("the guest's end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let status = status.unwrap();
        status.code().unwrap_or_else(|| 128 + status.signal().unwrap())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Its children too: the group, unless it has ended and its id may be another's.
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = Command::new("kill").args(["-KILL", "--", &format!("-{}", self.id())]).status();
        }
        let _ = self.child.wait();
        self.watchdog.take();
    }
}
