//! The scripts below the rule directory, as they were last seen to be good.
//!
//! Editors truncate and write, so a script is caught half-written sooner or later: what is empty or does not
//! parse never replaces a version that did. A timestamp alone does not tell versions apart either: the kernel's
//! file clock has ticks of up to 10 ms, so a file that changed a moment ago is read again.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;

use super::source::Source;
use crate::host::hidden_fd::HiddenFd;
use crate::host::lua::check_syntax;

/// Longer than a tick of the file clock.
const SETTLED: Duration = Duration::from_millis(40);
/// Later than this is no difference of ticks.
const AHEAD: Duration = Duration::from_secs(2);
/// How long a broken file may take to become whole before we speak of it.
const PATIENCE: Duration = Duration::from_millis(60);
/// Larger files are no scripts.
const MAX_SIZE: u64 = 16 << 20;

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// What tells one state of a file from another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, u64),
    changed: (i64, u64),
}

impl Stamp {
    #[allow(clippy::unnecessary_cast)] // the widths differ between hosts
    fn of(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            size: stat.st_size as u64,
            modified: (stat.st_mtime as i64, stat.st_mtime_nsec as u64),
            changed: (stat.st_ctime as i64, stat.st_ctime_nsec as u64),
        }
    }

    /// Whether a later change would show: the last one is older than a tick.
    fn is_settled(&self, now: Duration) -> bool {
        let changed = Duration::new(u64::try_from(self.changed.0).unwrap_or(0), self.changed.1 as u32);
        let modified = Duration::new(u64::try_from(self.modified.0).unwrap_or(0), self.modified.1 as u32);
        let last = changed.max(modified);
        // A date far ahead is somebody else's clock, and says nothing either way.
        last + SETTLED < now || last > now + AHEAD
    }
}

/// When a file that does not parse is spoken of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// At once.
    None,
    /// If it stays so: somebody may be writing it.
    Some,
}

struct Broken {
    message: String,
    since: Instant,
    told: bool,
}

#[derive(Default)]
struct Entry {
    stamp: Option<Stamp>,
    settled: bool,
    good: Option<Arc<Source>>,
    broken: Option<Broken>,
}

/// What was seen of every script that was asked for.
pub(super) struct Store {
    directory: Arc<HiddenFd>,
    entries: HashMap<String, Entry>,
    /// Lines to be logged when no lock is held any more.
    messages: Vec<String>,
}

enum Content {
    Absent,
    Text(Vec<u8>),
    Failed(String),
}

impl Store {
    pub(super) fn new(directory: Arc<HiddenFd>) -> Self {
        Self { directory, entries: HashMap::new(), messages: Vec::new() }
    }

    /// Every script seen, good or not.
    pub(super) fn paths(&self) -> Vec<String> {
        self.entries.keys().cloned().collect()
    }

    pub(super) fn good(&self, path: &str) -> Option<&Arc<Source>> {
        self.entries.get(path)?.good.as_ref()
    }

    pub(super) fn sources(&self) -> impl Iterator<Item = &Arc<Source>> {
        self.entries.values().filter_map(|entry| entry.good.as_ref())
    }

    pub(super) fn take_messages(&mut self) -> Vec<String> {
        std::mem::take(&mut self.messages)
    }

    /// The script was seen not to be there.
    pub(super) fn forget(&mut self, path: &str) {
        self.entries.remove(path);
    }

    /// Looks at the script again; whether its good version is another now.
    pub(super) fn refresh(&mut self, path: &str, patience: Patience) -> bool {
        let stat = match statat(self.directory.as_fd(), path, AtFlags::empty()) {
            Ok(stat) if FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile => stat,
            Ok(_) | Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return self.remove(path),
            Err(error) => {
                self.fail(path, format!("{path}: {}", io::Error::from(error)), patience);
                return false;
            }
        };
        let stamp = Stamp::of(&stat);
        if self.entries.get(path).is_some_and(|entry| entry.settled && entry.stamp == Some(stamp)) {
            return false;
        }
        self.read_again(path, patience)
    }

    fn read_again(&mut self, path: &str, patience: Patience) -> bool {
        // Before the reading: what is changed meanwhile is read again.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (stamp, content) = read(&self.directory, path);
        let text = match content {
            Content::Absent => return self.remove(path),
            Content::Failed(message) => {
                self.fail(path, message, patience);
                return false;
            }
            Content::Text(text) => text,
        };
        let entry = self.entries.entry(path.to_owned()).or_default();
        entry.settled = stamp.is_some_and(|stamp| stamp.is_settled(now));
        entry.stamp = stamp;
        self.take(path, text, patience)
    }

    /// Takes a text that was read; whether it is a new good version.
    fn take(&mut self, path: &str, text: Vec<u8>, patience: Patience) -> bool {
        let entry = self.entries.entry(path.to_owned()).or_default();
        if entry.good.as_ref().is_some_and(|good| good.text == text) {
            entry.broken = None;
            return false;
        }
        if text.iter().all(u8::is_ascii_whitespace) {
            // Nothing to say: it is being written, or it was put there for later.
            entry.broken = None;
            return false;
        }
        if let Err(message) = check_syntax(path, &text) {
            self.fail(path, message, patience);
            return false;
        }
        entry.broken = None;
        let id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        let before = entry.good.take();
        entry.good = Some(Arc::new(Source::new(id, path.to_owned(), text, before)));
        true
    }

    fn remove(&mut self, path: &str) -> bool {
        self.entries.remove(path).is_some_and(|entry| entry.good.is_some())
    }

    fn fail(&mut self, path: &str, message: String, patience: Patience) {
        let entry = self.entries.entry(path.to_owned()).or_default();
        let patient = patience == Patience::Some && entry.good.is_some();
        let broken = match entry.broken.take() {
            Some(broken) if broken.message == message => broken,
            _ => Broken { message, since: Instant::now(), told: false },
        };
        entry.broken = Some(broken);
        if !patient {
            self.tell_broken(Duration::ZERO);
        }
    }

    /// Speaks of files that have been broken for long enough; how long until the next will have been.
    pub(super) fn tell_patiently(&mut self) -> Option<Duration> {
        self.tell_broken(PATIENCE)
    }

    fn tell_broken(&mut self, patience: Duration) -> Option<Duration> {
        let mut next: Option<Duration> = None;
        for broken in self.entries.values_mut().filter_map(|entry| entry.broken.as_mut()).filter(|b| !b.told)
        {
            let age = broken.since.elapsed();
            if age >= patience {
                broken.told = true;
                self.messages.push(broken.message.clone());
            } else {
                let rest = patience - age;
                next = Some(next.map_or(rest, |next| next.min(rest)));
            }
        }
        next
    }

    /// Whether some file may have changed without showing it, so that it must be looked at again soon.
    pub(super) fn is_unsettled(&self) -> bool {
        self.entries.values().any(|entry| entry.stamp.is_some() && !entry.settled)
    }
}

fn read(directory: &impl AsFd, path: &str) -> (Option<Stamp>, Content) {
    match try_read(directory, path) {
        Ok((stamp, text)) => (Some(stamp), Content::Text(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => (None, Content::Absent),
        Err(error) => (None, Content::Failed(format!("{path}: {error}"))),
    }
}

fn try_read(directory: &impl AsFd, path: &str) -> io::Result<(Stamp, Vec<u8>)> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let fd = openat(directory, path, flags, Mode::empty())?;
    let stat = fstat(&fd)?;
    let stamp = Stamp::of(&stat);
    if stamp.size > MAX_SIZE {
        return Err(io::Error::other("too large for a script"));
    }
    let mut text = Vec::with_capacity(usize::try_from(stamp.size).unwrap_or(0) + 1);
    while rustix::io::read(&fd, rustix::buffer::spare_capacity(&mut text))? > 0 {
        text.reserve(4096);
    }
    Ok((stamp, text))
}

/// Whether a script is there at all.
pub(super) fn exists(directory: &impl AsFd, path: &str) -> bool {
    statat(directory, path, AtFlags::empty()).is_ok()
}
