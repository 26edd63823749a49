//! Descriptors of the emulator's own: where they stand, and that they get out of the guest's way.
//!
//! They stand above what most programs reach, and not at the top of a high limit, because each fork copies the table of
//! descriptors up to the highest. When the guest's numbers come near, those that are held for the process's life move up,
//! so that the guest finds no hole. Whoever uses one looks its number up ([`Kept::with`]); while somebody does, the
//! old number stays open. Nothing moves while a process that borrows our memory lives: in its table they stand where they
//! stood. With rules, whose own descriptors stay where they are, all stand at the top from the start.

use super::sys;
use std::sync::atomic::{AtomicBool, AtomicI32, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

const MAX_OURS: usize = 32;
/// How far our descriptors lie from each other at most, as long as nobody is in the way.
pub const SPREAD: u32 = 2 * MAX_OURS as u32;
/// Numbers of the guest that are no further below ours are near. One call gives it at most 253 (`SCM_MAX_FD`).
const NEAR: i32 = 256;
/// The tables of descriptors that we stand at the top of: this size, and each four times larger.
const FIRST_TABLE: i64 = 1024;
/// The highest table that we go to before we must.
const HIGH_TABLE: i64 = 1 << 16;

static OURS: [AtomicI32; MAX_OURS] = [const { AtomicI32::new(-1) }; MAX_OURS];
/// Bits of [`OURS`] whose owners look the number up.
static MOVABLE: AtomicU32 = AtomicU32::new(0);
/// The lowest number our descriptors have, once one has been moved; `i32::MAX` before.
static LOWEST: AtomicI32 = AtomicI32::new(i32::MAX);
/// Where we look for places, if the limit allows it.
static BASE: AtomicI32 = AtomicI32::new(FIRST_TABLE as i32 - SPREAD as i32);
/// How many threads use a number that they have looked up.
static IN_USE: AtomicU32 = AtomicU32::new(0);
/// How many processes borrow our memory.
static BORROWERS: AtomicU32 = AtomicU32::new(0);
/// Our table of descriptors is another process's too, or a thread has one of its own.
static FIXED: AtomicBool = AtomicBool::new(false);
/// Held by who moves descriptors, and by who copies or lends them: the numbers that are to be closed once nobody uses them.
static MOVING: Mutex<Vec<i32>> = Mutex::new(Vec::new());

fn moving() -> MutexGuard<'static, Vec<i32>> {
    MOVING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A descriptor held for the process's life, wherever it stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept(usize);

impl Kept {
    /// Takes over a descriptor that nobody knows by its number; `None` if there are too many.
    #[must_use]
    pub fn new(fd: i32) -> Option<Self> {
        let slot = keep(fd)?;
        MOVABLE.fetch_or(1 << slot, Ordering::SeqCst);
        Some(Self(slot))
    }

    /// One whose owner knows its number.
    #[must_use]
    pub fn where_it_is(fd: i32) -> Option<Self> {
        keep(fd).map(Self)
    }

    /// Calls `f` with the number, which stays what it is meanwhile.
    pub fn with<T>(self, f: impl FnOnce(i32) -> T) -> T {
        in_place(|| f(self.number()))
    }

    /// The number that it has now.
    #[must_use]
    pub fn number(self) -> i32 {
        OURS[self.0].load(Ordering::SeqCst)
    }
}

/// Calls `f`, during which numbers that it looks up stay good. (A process that borrows our memory may end in `f`, and
/// need not be counted, because nothing moves.)
pub fn in_place<T>(f: impl FnOnce() -> T) -> T {
    let counts = super::spawn::owns_memory();
    IN_USE.fetch_add(u32::from(counts), Ordering::SeqCst);
    let result = f();
    IN_USE.fetch_sub(u32::from(counts), Ordering::SeqCst);
    result
}

/// Whether the descriptor is one of ours.
#[inline]
#[must_use]
pub fn is_ours(fd: i32) -> bool {
    fd >= LOWEST.load(Ordering::Relaxed) && OURS.iter().any(|slot| slot.load(Ordering::Relaxed) == fd)
}

/// Declares a descriptor ours: the guest can neither close nor use it. `None` if there are too many.
pub fn keep(fd: i32) -> Option<usize> {
    let free = |slot: &AtomicI32| slot.compare_exchange(-1, fd, Ordering::SeqCst, Ordering::Relaxed).is_ok();
    let slot = OURS.iter().position(free);
    LOWEST.fetch_min(fd, Ordering::SeqCst);
    slot
}

/// Takes the declaration back.
pub fn release(fd: i32) {
    for (index, slot) in OURS.iter().enumerate() {
        if slot.load(Ordering::Relaxed) == fd {
            MOVABLE.fetch_and(!(1 << index), Ordering::Relaxed);
            let _ = slot.compare_exchange(fd, -1, Ordering::Relaxed, Ordering::Relaxed);
        }
    }
}

/// Numbers of the descriptors that are ours.
pub fn ours() -> Vec<i32> {
    OURS.iter().map(|slot| slot.load(Ordering::SeqCst)).filter(|&fd| fd >= 0).collect()
}

fn limit() -> i64 {
    let mut limit = libc::rlimit { rlim_cur: FIRST_TABLE as u64, rlim_max: FIRST_TABLE as u64 };
    let args = [0, u64::from(libc::RLIMIT_NOFILE), 0, &raw mut limit as u64, 0, 0];
    sys::syscall(libc::SYS_prlimit64, args);
    i64::try_from(limit.rlim_cur).unwrap_or(i64::MAX).min(i64::from(i32::MAX))
}

/// The place for us in the smallest table that is not below `least` and above `number`, as far as `limit` allows.
fn place_above(number: i32, least: i64, limit: i64) -> i32 {
    let mut table = FIRST_TABLE;
    while (table < least || table - i64::from(SPREAD) <= i64::from(number)) && table < limit {
        table *= 4;
    }
    (table.min(limit) as i32 - SPREAD as i32).max(3)
}

/// Where our descriptors start to be looked for.
#[must_use]
pub fn high_base() -> i32 {
    let top = (limit() as i32).saturating_sub(SPREAD as i32);
    BASE.load(Ordering::Relaxed).min(top).max(3)
}

/// From now on we stand near the top of what the limit allows.
pub fn stand_at_top() {
    BASE.store(place_above(0, HIGH_TABLE, limit()), Ordering::Relaxed);
}

/// Moves a descriptor up, close-on-exec. Where there is no room it stays.
#[must_use]
pub fn move_high(fd: i32) -> i32 {
    match duplicate_above(fd, high_base()) {
        Some(high) => {
            close(fd);
            high
        }
        None => fd,
    }
}

/// Takes over a descriptor of the image before this one: it stays where it stood, if it stood high, and others go there.
#[must_use]
pub fn adopt(fd: i32) -> i32 {
    let limit = limit();
    if fd < high_base() || i64::from(fd) >= limit {
        return move_high(fd);
    }
    let (mut base, first) = (place_above(0, 0, limit), fd - SPREAD as i32);
    while base <= first {
        base = place_above(base, 0, limit);
    }
    BASE.fetch_max(base.min(fd), Ordering::Relaxed);
    sys::syscall(libc::SYS_fcntl, [fd as u64, libc::F_SETFD as u64, libc::FD_CLOEXEC as u64, 0, 0, 0]);
    fd
}

fn duplicate_above(fd: i32, least: i32) -> Option<i32> {
    let args = [fd as u64, libc::F_DUPFD_CLOEXEC as u64, least as u64, 0, 0, 0];
    sys::check(sys::syscall(libc::SYS_fcntl, args)).ok().map(|fd| fd as i32)
}

fn close(fd: i32) {
    sys::syscall(libc::SYS_close, [fd as u64, 0, 0, 0, 0, 0]);
}

/// Whether a descriptor of the guest with this number would be near ours.
#[inline]
#[must_use]
pub fn is_near(number: i64) -> bool {
    let lowest = i64::from(LOWEST.load(Ordering::Relaxed));
    (lowest - i64::from(NEAR)..lowest + i64::from(SPREAD)).contains(&number)
}

/// After a call that gave `result`, which may be a descriptor: moves if it is, and near ours.
#[inline]
pub fn keep_away_from(result: i64) {
    if is_near(result) {
        keep_away_from_one(result);
    }
}

#[cold]
fn keep_away_from_one(result: i64) {
    if sys::syscall(libc::SYS_fcntl, [result as u64, libc::F_GETFD as u64, 0, 0, 0, 0]) >= 0 {
        give_way(result as i32);
    }
}

/// The same after a call that gave an unknown number of descriptors.
pub fn keep_away_from_new() {
    keep_away_from(i64::from(LOWEST.load(Ordering::Relaxed)) - i64::from(NEAR));
}

/// Moves what can move to where it is not in the way of a guest whose numbers have reached `number`.
pub fn give_way(number: i32) {
    let fixed = || BORROWERS.load(Ordering::SeqCst) > 0 || FIXED.load(Ordering::SeqCst);
    if fixed() {
        return;
    }
    let mut left = moving();
    if fixed() {
        return;
    }
    let base = place_above(number.saturating_add(NEAR), 0, limit());
    // Where the limit allows no higher place, another one among ours will do.
    if base > BASE.fetch_max(base, Ordering::Relaxed) || is_ours(number) {
        left.extend(move_all(base));
    }
    if IN_USE.load(Ordering::SeqCst) == 0 {
        for fd in left.drain(..) {
            close(fd);
            release(fd);
        }
    }
    find_lowest();
}

/// Gives what can move a second number from `base` on, which is its number now; the old ones are ours until they are closed.
fn move_all(base: i32) -> Vec<i32> {
    let movable = MOVABLE.load(Ordering::SeqCst);
    let mut left = Vec::new();
    for (_, slot) in OURS.iter().enumerate().filter(|(index, _)| movable >> index & 1 == 1) {
        let old = slot.load(Ordering::SeqCst);
        // Where the guest has all that the limit allows there, somewhere below.
        if let Some(new) = duplicate_above(old, base).or_else(|| duplicate_above(old, base / 2)) {
            keep(old);
            slot.store(new, Ordering::SeqCst);
            left.push(old);
        }
    }
    left
}

fn find_lowest() {
    let lowest = || ours().into_iter().min().unwrap_or(i32::MAX);
    LOWEST.store(lowest(), Ordering::SeqCst);
    // One that was declared ours in between.
    LOWEST.fetch_min(lowest(), Ordering::SeqCst);
}

/// Calls `f` while nothing moves: for fork.
pub fn with_locked<T>(f: impl FnOnce() -> T) -> T {
    let _moving = moving();
    f()
}

/// In a forked child, which has a table of its own.
pub fn forked() {
    for count in [&IN_USE, &BORROWERS] {
        count.store(0, Ordering::SeqCst);
    }
    FIXED.store(false, Ordering::SeqCst);
}

/// Calls `f`, which makes a process that borrows our memory and comes back when it no longer does.
pub fn lent<T>(f: impl FnOnce() -> T) -> T {
    let add = |one: u32| {
        let _moving = moving();
        BORROWERS.fetch_add(one, Ordering::SeqCst);
    };
    add(1);
    let result = f();
    add(u32::MAX);
    result
}

/// From now on nothing moves: our numbers are in more than one process, or a thread has a table of its own.
pub fn fix() {
    let _moving = moving();
    FIXED.store(true, Ordering::SeqCst);
}
