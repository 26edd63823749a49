//! The watcher: sees changes below the rule directory as they happen.
//!
//! Events only say when to look; what has changed is found by looking at the files, so that nothing hangs
//! on the order or completeness of events. Where there are none (network file systems, no inotify instance left,
//! a file written through a mapping) the look comes by the clock.

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::fstatfs;
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};

use super::store::Patience;
use super::{Rules, lock, scan};
use crate::host::hidden_fd::HiddenFd;
use crate::host::lua::become_private;

/// With events, for what they do not tell.
const RARELY: Duration = Duration::from_millis(800);
/// Without.
const OFTEN: Duration = Duration::from_millis(100);
/// File systems whose changes may come from elsewhere: NFS, SMB, CIFS, SMB2, FUSE, 9P, Ceph, AFS.
const REMOTE: [u64; 8] =
    [0x6969, 0x517b, 0xff53_4d42, 0xfe53_4d42, 0x6573_5546, 0x0102_1997, 0x00c3_6400, 0x5346_414f];

/// The watcher's thread; ends when `stop` becomes readable.
pub(super) fn run(rules: &Arc<Rules>, stop: &HiddenFd) {
    let mut keep = vec![rules.directory_fd(), stop.as_raw_fd()];
    keep.extend(rules.options.log.fd());
    if !become_private(&keep, rules.directory_fd()) {
        // In the guest's descriptor table it would be seen: the calls go on looking by themselves.
        rules.unwatchable.store(true, Ordering::Relaxed);
        return;
    }
    let watcher = Watcher { rules, events: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok() };
    watcher.look();
    rules.watcher_is_ready();
    while !watcher.wait(stop) {
        watcher.look();
    }
}

struct Watcher<'a> {
    rules: &'a Arc<Rules>,
    events: Option<OwnedFd>,
}

impl Watcher<'_> {
    /// Reads what there is, watching each directory before it is read.
    fn look(&self) {
        self.rules.scan_with(Patience::Some, &mut |path| self.add(path));
    }

    fn add(&self, path: &str) {
        let flags = WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF;
        if let Some(events) = &self.events {
            // The directory is this thread's working directory. A failure shows as a late change only.
            let _ = inotify::add_watch(events, path, flags);
        }
    }

    fn timeout(&self) -> Duration {
        let mut store = lock(&self.rules.store);
        let patient = store.tell_patiently();
        let unsettled = store.is_unsettled().then_some(Duration::from_millis(50));
        self.rules.tell(store);
        let regular = if self.events.is_some() && !self.is_remote() { RARELY } else { OFTEN };
        [patient, unsettled].into_iter().flatten().fold(regular, Duration::min)
    }

    fn is_remote(&self) -> bool {
        #[allow(clippy::cast_sign_loss)] // a magic number
        fstatfs(self.rules.directory.as_fd())
            .is_ok_and(|fs| REMOTE.contains(&(fs.f_type as u64 & 0xffff_ffff)))
    }

    /// Waits until it is worth looking; true when it is time to end.
    fn wait(&self, stop: &HiddenFd) -> bool {
        loop {
            let timeout = self.timeout();
            let mut fds = vec![PollFd::new(stop, PollFlags::IN)];
            fds.extend(self.events.as_ref().map(|events| PollFd::new(events, PollFlags::IN)));
            let limit = Timespec { tv_sec: 0, tv_nsec: i64::from(timeout.subsec_nanos()) };
            let ready = poll(&mut fds, Some(&limit)).unwrap_or(0);
            if fds[0].revents().contains(PollFlags::IN) {
                return true;
            }
            if ready == 0 || self.drain() {
                return false;
            }
        }
    }

    /// Takes all events there are; whether one of them can matter.
    fn drain(&self) -> bool {
        let Some(events) = &self.events else { return true };
        let mut buffer = [MaybeUninit::uninit(); 4096];
        let mut reader = Reader::new(events, &mut buffer);
        let mut matters = false;
        while let Ok(event) = reader.next() {
            let name = event.file_name().and_then(|name| name.to_str().ok());
            let is_directory = event.events().contains(ReadFlags::ISDIR);
            // A rule that writes its own notes beside itself must not keep us busy.
            matters |= is_directory || name.is_none_or(scan::is_script);
        }
        matters
    }
}
