//! What forked children run that their parent does not: the parent finds or makes it before it forks again.
//!
//! A shell's children all go through the same code to execute a program, which the shell itself never runs. Each of them
//! would find that code, or translate it, and copy every page of our tables that it is noted in. So children report
//! what is new to them, in memory that they share with their parent; the parent prepares it once.

use crate::host::shared;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// What may be reported, by all descendants together.
const MOST: usize = 8192;
/// Links are reported no more when there are so many: one that the parent cannot make is reported by each child.
const MOST_WITH_LINKS: usize = 4096;
/// Words of a report: a block's address, or a slot's number with [`LINK`], or a call's with [`CALL`]; control state; where a
/// slot leads.
const WORDS: usize = 3;
const LINK: u64 = 1 << 63;
const CALL: u64 = 1 << 62;

/// What is new to a child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Report {
    /// A block that its thread had not run before.
    Block { pc: u64, control: u64 },
    /// Where a slot leads that parent and child have.
    Link { slot: u32, pc: u64, control: u64 },
    /// A system call that its process had not made before.
    Call { number: u64 },
}

impl Report {
    fn words(self) -> [u64; WORDS] {
        match self {
            Self::Block { pc, control } => [pc, control, 0],
            Self::Link { slot, pc, control } => [LINK | u64::from(slot), control, pc],
            Self::Call { number } => [CALL | number, 0, 0],
        }
    }

    /// `None` where a child was killed before it had said what.
    fn of([what, control, pc]: [u64; WORDS]) -> Option<Self> {
        match what {
            0 => None,
            slot if slot & LINK != 0 => Some(Self::Link { slot: slot as u32, pc, control }),
            call if call & CALL != 0 => Some(Self::Call { number: call & !CALL }),
            pc => Some(Self::Block { pc, control }),
        }
    }
}

/// How many were reported, then the words of each.
static REPORTS: OnceLock<Option<&'static [AtomicU64]>> = OnceLock::new();
/// How many reports this process has seen.
static SEEN: AtomicUsize = AtomicUsize::new(0);
/// Whether this process was forked.
static REPORTING: AtomicBool = AtomicBool::new(false);
/// The slots below are the same in all of the family.
static SLOTS: AtomicUsize = AtomicUsize::new(usize::MAX);

/// Before a fork: gives what children have reported since the last one.
pub fn each_new(mut prepare: impl FnMut(Report)) {
    let Some(words) = REPORTS.get_or_init(|| shared::words(1 + WORDS * MOST)) else { return };
    let reported = (words[0].load(Ordering::Acquire) as usize).min(MOST);
    for index in SEEN.swap(reported, Ordering::Relaxed)..reported {
        let first = 1 + WORDS * index;
        let report = [0, 1, 2].map(|word| words[first + word].load(Ordering::Acquire));
        if let Some(report) = Report::of(report) {
            prepare(report);
        }
    }
}

/// In a forked child, when so many slots have been given out.
pub fn born(slots: usize) {
    SLOTS.fetch_min(slots, Ordering::Relaxed);
    REPORTING.store(true, Ordering::Relaxed);
}

/// Whether what is new to this process is to be reported.
pub fn is_reporting() -> bool {
    REPORTING.load(Ordering::Relaxed)
}

/// Whether a slot is the same for parent and child.
pub fn is_common(slot: u32) -> bool {
    (slot as usize) < SLOTS.load(Ordering::Relaxed)
}

/// Reports to the parent.
pub fn report(report: Report) {
    let Some(Some(words)) = REPORTS.get() else { return };
    let is_link = matches!(report, Report::Link { .. });
    if is_link && words[0].load(Ordering::Relaxed) as usize >= MOST_WITH_LINKS {
        return;
    }
    let index = words[0].fetch_add(1, Ordering::AcqRel) as usize;
    if index < MOST {
        // What says that the rest is there comes last.
        for (word, value) in report.words().into_iter().enumerate().rev() {
            words[1 + WORDS * index + word].store(value, Ordering::Release);
        }
    } else {
        REPORTING.store(false, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_given_once() {
        let news = || {
            let mut news = Vec::new();
            each_new(|report| news.push(report));
            news
        };
        let block = |pc, control| Report::Block { pc, control };
        let link = Report::Link { slot: 5, pc: 0x3000, control: 7 };
        assert_eq!(news(), []);
        report(block(0x1000, 7));
        report(link);
        report(block(0x2000, 0));
        report(Report::Call { number: 231 });
        assert_eq!(news(), [block(0x1000, 7), link, block(0x2000, 0), Report::Call { number: 231 }]);
        assert_eq!(news(), []);
        (0..MOST as u64 + 10).for_each(|pc| report(block(pc + 1, 0)));
        assert_eq!((news().len(), is_reporting()), (MOST - 4, false));
    }
}
