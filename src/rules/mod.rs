//! The rule engine: Lua scripts that decide over system calls.
//!
//! What the emulator uses of it:
//!
//! * [`Rules::open`] once per program image: the directory, held as a descriptor, and what is in it.
//! * [`ThreadRules::new`] once per guest thread. For each system call [`ThreadRules::has_rule`] (a table
//!   look-up and one atomic load), and if so [`ThreadRules::call`], whose [`Outcome`] says what comes next.
//! * [`Rules::before_fork`] around a fork: the guard keeps all locks; [`ForkGuard::parent`] and
//!   [`ForkGuard::child`] end it. A fork may happen inside a rule.
//! * [`Rules::stop_background`] before `unshare`, `setns`, `set*id`, `capset` and the like;
//!   [`Rules::freeze`] before seccomp.
//! * [`Rules::may_rule`] for the vDSO, and [`Options::on_change`], called whenever its answers may have
//!   changed.
//! * [`ThreadRules::stop_cell`] for signal handlers: [`StopCell::request`] ends a rule that never returns.
//! * [`ThreadRules::flush_at_exit`] before the process ends outside a rule (inside one it is done already).
//!
//! The engine reaches a guest thread through [`RuleHost`] alone.

pub mod host;

mod background;
mod library;
mod log;
mod names;
mod scan;
pub(crate) mod source;
mod store;
mod thread;
mod watch;

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::fs::{Mode, OFlags, open};

use crate::host::hidden_fd::HiddenFd;
pub use crate::host::lua::{Spawn, StopCell};
pub use host::{CallEnd, RuleHost};
pub use log::LogSink;
pub use names::SyscallNames;
pub use thread::{Outcome, ThreadRules};

use background::{Background, Phase};
use source::Source;
use store::{Patience, Store};

/// When a changed script takes effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum ReloadMode {
    /// Within milliseconds; a background thread watches the directory.
    #[default]
    Watch,
    /// On the very next call; costs a `stat` per system call.
    Stat,
    /// Every call loads its script anew; locals do not live on.
    Always,
}

impl std::str::FromStr for ReloadMode {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "watch" => Ok(Self::Watch),
            "stat" => Ok(Self::Stat),
            "always" => Ok(Self::Always),
            _ => Err(()),
        }
    }
}

/// Why there are no rules.
#[derive(Debug, thiserror::Error)]
pub enum RulesError {
    #[error("cannot read the rule directory {path}: {error}")]
    Directory { path: PathBuf, error: io::Error },
}

/// Told that answers of [`Rules::may_rule`] may have changed.
pub type OnChange = Box<dyn Fn(&Rules) + Send + Sync>;

/// What rules are opened with.
pub struct Options {
    pub reload: ReloadMode,
    pub names: SyscallNames,
    pub log: LogSink,
    /// What each thread's machine may take, in bytes.
    pub memory_limit: usize,
    /// Called from any thread; of the rule engine it may call [`Rules::may_rule`] only.
    pub on_change: Option<OnChange>,
    /// Whether to speak of scripts that no system call's name is like: the first image of a process should, the
    /// ones that it executes need not.
    pub tell_unknown_names: bool,
    /// How background threads are started.
    pub spawn: Spawn,
}

impl Options {
    /// The defaults, for a guest with these names.
    #[must_use]
    pub fn new(names: SyscallNames, log: LogSink) -> Self {
        Self {
            reload: ReloadMode::Watch,
            names,
            log,
            memory_limit: 256 << 20,
            on_change: None,
            tell_unknown_names: true,
            spawn: crate::host::lua::spawn_quiet,
        }
    }
}

/// In [`Rules::generation`]: no watcher runs, so guest threads must look after the rules themselves.
const ATTENTION: u64 = 1 << 63;

/// What the scripts were at one time.
#[derive(Default)]
struct Snapshot {
    /// By system call number.
    rules: Vec<Option<Arc<Source>>>,
    files: std::collections::HashMap<String, Arc<Source>>,
}

/// The rules of a process.
pub struct Rules {
    directory: Arc<HiddenFd>,
    options: Options,
    /// Counts snapshots; with [`ATTENTION`].
    generation: AtomicU64,
    snapshot: Mutex<Arc<Snapshot>>,
    store: Mutex<Store>,
    background: Mutex<Background>,
    /// The watcher found that it cannot work here.
    unwatchable: AtomicBool,
}

/// A lock that is good even if a panic ended a holder: what is behind it is replaced as a whole.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Rules {
    /// Opens the rule directory at `path` and loads what is in it.
    pub fn open(path: &Path, options: Options) -> Result<Arc<Self>, RulesError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = open(path, flags, Mode::empty())
            .map_err(|error| RulesError::Directory { path: path.to_owned(), error: error.into() })?;
        Self::from_fd(directory, options)
            .map_err(|error| RulesError::Directory { path: path.to_owned(), error })
    }

    /// The same for a directory that an earlier image of this process held ([`Rules::directory_fd`]).
    pub fn from_fd(directory: OwnedFd, options: Options) -> io::Result<Arc<Self>> {
        let directory = Arc::new(HiddenFd::hide(directory));
        let rules = Arc::new(Self {
            store: Mutex::new(Store::new(Arc::clone(&directory))),
            background: Mutex::new(Background::new()),
            directory,
            options,
            generation: AtomicU64::new(ATTENTION | 1),
            unwatchable: AtomicBool::new(false),
            snapshot: Mutex::default(),
        });
        scan::walk(&rules.directory, &mut |_| {})?;
        rules.scan(Patience::None);
        if rules.options.tell_unknown_names {
            rules.tell_unknown_names();
        }
        Ok(rules)
    }

    fn tell_unknown_names(&self) {
        for path in lock(&self.store).paths() {
            let Some(name) = path.strip_suffix(".lua").filter(|name| !name.contains('/')) else { continue };
            if !self.options.names.is_known(name) {
                self.options.log.report(&format!("{path}: no system call has the name {name}"));
            }
        }
    }

    /// The descriptor of the rule directory.
    #[must_use]
    pub fn directory_fd(&self) -> RawFd {
        self.directory.as_fd().as_raw_fd()
    }

    /// Every descriptor that rules hold now, for whoever hides them from the guest.
    #[must_use]
    pub fn descriptors(&self) -> Vec<RawFd> {
        let mut fds = vec![self.directory_fd()];
        fds.extend(self.options.log.fd());
        fds.extend(lock(&self.background).stop_fd());
        fds
    }

    #[must_use]
    pub fn log(&self) -> &LogSink {
        &self.options.log
    }

    /// Whether a call of this number must be made as a real system call because a rule may want to see it:
    /// the vDSO's functions ask.
    #[must_use]
    pub fn may_rule(&self, number: u64) -> bool {
        let exact = self.options.reload != ReloadMode::Watch;
        exact
            || self.generation.load(Ordering::Acquire) & ATTENTION != 0
            || lock(&self.snapshot).rule(number).is_some()
    }

    /// Reads all scripts again and publishes what has changed.
    fn scan(&self, patience: Patience) {
        self.scan_with(patience, &mut |_| {});
    }

    fn scan_with(&self, patience: Patience, enter: &mut dyn FnMut(&str)) {
        let Ok(found) = scan::walk(&self.directory, enter) else { return };
        let mut store = lock(&self.store);
        let mut paths = store.paths();
        paths.extend(found.scripts);
        paths.sort_unstable();
        paths.dedup();
        let mut changed = false;
        for path in paths {
            changed |= store.refresh(&path, patience);
        }
        store.tell_patiently();
        self.tell(store);
        if changed {
            self.publish();
        }
    }

    /// Logs what the store has to say, without holding it.
    fn tell(&self, mut store: MutexGuard<'_, Store>) {
        let messages = store.take_messages();
        drop(store);
        for message in messages {
            self.options.log.report(&message);
        }
    }

    fn publish(&self) {
        // Held meanwhile, so that the last to publish has the newest.
        let mut current = lock(&self.snapshot);
        *current = Arc::new(Snapshot::of(&lock(&self.store), &self.options.names));
        drop(current);
        self.generation.fetch_add(1, Ordering::Release);
        self.changed();
    }

    fn changed(&self) {
        if let Some(on_change) = &self.options.on_change {
            on_change(self);
        }
    }

    /// Whether guest threads must look after the rules themselves.
    fn set_attention(&self, on: bool) {
        if on {
            self.generation.fetch_or(ATTENTION, Ordering::Release);
        } else {
            self.generation.fetch_and(!ATTENTION, Ordering::Release);
        }
        self.changed();
    }

    /// Ends the watcher, if one runs. Calls that come later start another.
    pub fn stop_background(&self) {
        drop(self.stopped_background());
    }

    /// The same; while the result lives, nobody starts another.
    fn stopped_background(&self) -> MutexGuard<'_, Background> {
        let mut background = lock(&self.background);
        if background.stop() {
            self.set_attention(true);
        }
        background
    }

    /// Ends the watcher for good; the rules stay as they are. For a process whose system calls are about to be
    /// filtered.
    pub fn freeze(&self) {
        let mut background = lock(&self.background);
        background.stop();
        background.phase = Phase::Frozen;
        self.set_attention(false);
    }

    /// Ends the watcher and holds every lock of the rule engine, so that a forked child finds them free.
    #[must_use]
    pub fn before_fork(&self) -> ForkGuard<'_> {
        ForkGuard {
            _background: self.stopped_background(),
            _snapshot: lock(&self.snapshot),
            _store: lock(&self.store),
            _log: self.options.log.freeze(),
            rules: self,
        }
    }
}

impl Snapshot {
    fn of(store: &Store, names: &SyscallNames) -> Self {
        let rule = |number| names.scripts(number).iter().find_map(|path| store.good(path)).cloned();
        Self {
            rules: (0..names.len() as u64).map(rule).collect(),
            files: store.sources().map(|source| (source.path.clone(), Arc::clone(source))).collect(),
        }
    }

    #[inline]
    fn rule(&self, number: u64) -> Option<&Arc<Source>> {
        self.rules.get(usize::try_from(number).ok()?)?.as_ref()
    }
}

/// Between [`Rules::before_fork`] and the fork's return; dropping it is [`ForkGuard::parent`].
pub struct ForkGuard<'a> {
    _background: MutexGuard<'a, Background>,
    _store: MutexGuard<'a, Store>,
    _snapshot: MutexGuard<'a, Arc<Snapshot>>,
    _log: log::Frozen<'a>,
    rules: &'a Rules,
}

impl ForkGuard<'_> {
    /// The fork has returned in the parent (or failed).
    pub fn parent(self) {}

    /// The fork has returned in the child, which has a copy of everything but the other threads. Not for a
    /// child that shares this memory (`CLONE_VM`): that needs a fresh [`ThreadRules`] and nothing else.
    pub fn child(self) {
        let rules = self.rules;
        drop(self);
        lock(&rules.background).after_fork_child();
        rules.options.log.after_fork_child();
    }
}
