//! From a guest's system call number to what is done about it.

use super::path::Paths;
use super::table::kinds::{Kind, Param, Returns};
use super::table::{self, Done, How};
use super::thread::Thread;
use super::{process_memory, tags, written};
use crate::exec::offspring::{self, Report};
use crate::host::{kept, layout, sys};
use crate::mem::{Memory, space};
use guest::GuestAddr;
use once_cell::race::OnceBox;
use std::sync::OnceLock;

/// One number of the guest's table.
#[derive(Clone, Copy)]
pub struct Entry {
    pub name: &'static str,
    pub how: How,
    pub params: &'static [Param],
    pub returns: Returns,
    /// Which arguments are paths.
    pub paths: Paths,
    /// Whether the kernel may write to guest memory.
    writes: bool,
    /// The host's number for it, if the host has the call.
    pub host: Option<i64>,
    known: bool,
    /// How it is made without leaving the loop over translations, where it may be.
    pub direct: Option<Direct>,
}

/// A call that only the host kernel has a say in.
#[derive(Clone, Copy)]
pub struct Direct {
    /// Its number.
    pub host: i64,
    pub blocking: Blocking,
    /// Which arguments are descriptors: a bit for each.
    pub descriptors: u8,
    /// Whether the kernel may write to guest memory.
    pub writes: bool,
}

/// The guest's system calls by number. An entry is made when its call is made first: a process makes few of them.
pub struct Dispatch {
    names: &'static [(u32, &'static str)],
    /// Set without waiting, as a child of a thread that forks meanwhile would for ever.
    entries: Vec<OnceBox<Option<Entry>>>,
}

static DISPATCH: OnceLock<Dispatch> = OnceLock::new();

/// The host's number of a call: often the guest's.
fn host_number(name: &str, guests: u32) -> Option<i64> {
    let host = crate::guests::host_syscalls();
    let same = name_of(guests, host).is_some_and(|known| known == name);
    let found = || host.iter().find(|(_, known)| *known == name).map(|&(number, _)| number);
    if same { Some(guests) } else { found() }.map(i64::from)
}

/// The name of a number in a table, which is in the order of numbers.
fn name_of(number: u32, names: &[(u32, &'static str)]) -> Option<&'static str> {
    let index = names.binary_search_by_key(&number, |&(known, _)| known).ok()?;
    Some(names[index].1)
}

impl Entry {
    /// What a number means among `names`.
    fn of(number: usize, names: &[(u32, &'static str)]) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        let name = name_of(number, names)?;
        let row = table::row(name);
        let params = row.map_or(&[] as &[Param], |r| r.params);
        let mut entry = Self {
            name,
            how: row.map_or(How::Refuse(libc::ENOSYS), |r| r.how),
            params,
            returns: row.map_or(Returns::Number, |r| r.returns),
            paths: Paths::of(params),
            writes: params.iter().any(|p| p.kind.is_written() || matches!(p.kind, Kind::Out | Kind::OutVec)),
            host: host_number(name, number),
            known: row.is_some(),
            direct: None,
        };
        entry.direct = entry.made_directly();
        Some(entry)
    }

    fn made_directly(&self) -> Option<Direct> {
        let blocking = match self.how {
            How::Pass => Blocking::No,
            How::Block => Blocking::Yes,
            _ => return None,
        };
        if self.paths != Paths::NONE || self.params.iter().any(|param| tags::nests(param.kind)) {
            return None;
        }
        let descriptors = self
            .params
            .iter()
            .enumerate()
            .fold(0, |bits, (index, param)| bits | u8::from(param.kind.is_descriptor()) << index);
        Some(Direct { host: self.host?, blocking, descriptors, writes: self.writes })
    }
}

impl Dispatch {
    /// For a guest whose numbers are `names`, in order.
    #[must_use]
    pub fn new(names: &'static [(u32, &'static str)]) -> Self {
        let size = names.last().map_or(0, |&(number, _)| number as usize + 1);
        Self { names, entries: std::iter::repeat_with(OnceBox::new).take(size).collect() }
    }

    /// The table of the running guest.
    pub fn get(names: impl FnOnce() -> &'static [(u32, &'static str)]) -> &'static Self {
        DISPATCH.get_or_init(|| Self::new(names()))
    }

    /// The same, once it is there.
    #[must_use]
    pub fn running() -> Option<&'static Self> {
        DISPATCH.get()
    }

    /// The entry of a number. Numbers are 64-bit: those with bit 30 (x32) are not masked into a name.
    #[must_use]
    pub fn entry(&self, number: u64) -> Option<&Entry> {
        let number = usize::try_from(number).ok()?;
        let entry = || {
            if offspring::is_reporting() {
                offspring::report(Report::Call { number: number as u64 });
            }
            Box::new(Entry::of(number, self.names))
        };
        self.entries.get(number)?.get_or_init(entry).as_ref()
    }
}

/// Makes the call, without rules.
pub fn perform(thread: &mut Thread, number: u64, args: &[u64; 6]) -> Done {
    let Some(entry) = thread.process.dispatch.entry(number) else {
        crate::log::once(&format!("syscall {number}"), || {
            format!("unknown system call number {number}: ENOSYS")
        });
        return Done::errno(libc::ENOSYS);
    };
    if let Some(done) = entry.directly(args, &thread.vcpu.port) {
        return done;
    }
    if !entry.known {
        crate::log::once(entry.name, || {
            format!("system call {} ({number}) is not implemented: ENOSYS", entry.name)
        });
    }
    let args = &without_ours(entry, args);
    if crate::mem::ignores_top_byte() {
        let taken = thread.vcpu.env.arch.linux().takes_tagged_pointers(&thread.vcpu.state);
        if let Some(call) = tags::untagged(entry, args, taken) {
            let done = perform_entry(thread, entry, &call.args);
            call.finish();
            after(entry, args, done);
            return done;
        }
    }
    let done = perform_entry(thread, entry, args);
    after(entry, args, done);
    done
}

/// What the call's success means for us.
#[inline]
pub fn after(entry: &Entry, args: &[u64; 6], done: Done) {
    written::after(entry, args, done);
    if let (Returns::Descriptor, Done::Value(result)) = (entry.returns, done) {
        kept::keep_away_from(result);
    }
}

/// The arguments with no pointers into the emulator's memory: there is nothing, as far as the guest can tell.
fn without_ours(entry: &Entry, args: &[u64; 6]) -> [u64; 6] {
    /// Below the lowest mapping that a guest can have.
    const NOWHERE: u64 = 0x1000;
    let mut args = *args;
    if args.iter().any(|&arg| layout::is_ours(arg)) {
        for (arg, param) in args.iter_mut().zip(entry.params) {
            if layout::is_ours(*arg) && (param.kind.is_pointer() || matches!(param.kind, Kind::Place)) {
                *arg = NOWHERE;
            }
        }
    }
    args
}

fn perform_entry(thread: &mut Thread, entry: &Entry, args: &[u64; 6]) -> Done {
    match entry.how {
        How::Translate(handler) | How::Emulate(handler) => handler(thread, args),
        How::Refuse(errno) => Done::errno(errno),
        How::Pass => pass(thread, entry, args, Blocking::No),
        How::Block => match process_memory::transfer(entry, args) {
            Some(done) => done,
            None => pass(thread, entry, args, Blocking::Yes),
        },
        How::Alone => {
            thread.stand_alone();
            pass(thread, entry, args, Blocking::No)
        }
    }
}

/// Whether a call may block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Blocking {
    No,
    Yes,
}

/// Hands a call to the host kernel under its name there.
pub fn pass(thread: &Thread, entry: &Entry, args: &[u64; 6], blocking: Blocking) -> Done {
    let Some(number) = entry.host else {
        crate::log::once(entry.name, || format!("the host has no system call {}: ENOSYS", entry.name));
        return Done::errno(libc::ENOSYS);
    };
    if let Some(errno) = refused_descriptor(entry, args) {
        return Done::errno(errno);
    }
    let mut args = *args;
    release_outputs(entry, &args);
    let redirected = super::path::redirect(thread, entry.paths, &mut args);
    let result = match blocking {
        Blocking::No => sys::syscall(number, args),
        Blocking::Yes => sys::interruptible(number, args, &thread.vcpu.port.poll),
    };
    drop(redirected);
    Done::raw(result)
}

/// A call on one of the emulator's own descriptors is a call on a closed one.
fn refused_descriptor(entry: &Entry, args: &[u64; 6]) -> Option<i32> {
    let ours = entry
        .params
        .iter()
        .zip(args)
        .any(|(param, &arg)| param.kind.is_descriptor() && crate::host::files::is_ours(arg as i32));
    ours.then_some(libc::EBADF)
}

/// Before the kernel writes guest memory, translations of those pages go.
fn release_outputs(entry: &Entry, args: &[u64; 6]) {
    // Structures are smaller than this; arrays of many are released as they are.
    const STRUCTURE: u64 = 256;
    if !entry.writes || !space().has_protected_code() {
        return;
    }
    for (index, param) in entry.params.iter().enumerate() {
        let len = args.get(index + 1).copied().unwrap_or(0);
        match param.kind {
            kind if kind.is_filled() => space().before_kernel_write(args[index], len),
            Kind::OutVec => release_iovec(args[index], len),
            Kind::Each(_) | Kind::BothEach(_) | Kind::Polled => {
                space().before_kernel_write(args[index], len.saturating_mul(64).max(STRUCTURE))
            }
            kind if kind.is_written() => space().before_kernel_write(args[index], STRUCTURE),
            _ => {}
        }
    }
}

/// Releases what an iovec array names.
pub fn release_iovec(addr: u64, count: u64) {
    if !space().has_protected_code() {
        return;
    }
    for index in 0..count.min(1024) {
        let mut pair = [0; 16];
        if Memory.read_prefix(GuestAddr(addr + 16 * index), &mut pair) != pair.len() {
            return;
        }
        let word = |at: usize| u64::from_le_bytes([0, 1, 2, 3, 4, 5, 6, 7].map(|i| pair[at + i]));
        space().before_kernel_write(word(0), word(8));
    }
}
