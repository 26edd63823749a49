//! What forked children run that their parent does not: the parent finds or makes it before it forks again.
//!
//! A shell's children all go through the same code to execute a program, which the shell itself never runs. Each of them
//! would find that code, or translate it, and copy every page of our tables that it is noted in. So children report
//! what is new to them, in memory that they share with their parent; the parent prepares it once.

use crate::host::shared;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

/// Blocks that may be reported, by all descendants together.
const MOST: usize = 8192;

/// How many were reported, then the address and control state of each.
static REPORTS: OnceLock<Option<&'static [AtomicU64]>> = OnceLock::new();
/// How many reports this process has seen.
static SEEN: AtomicUsize = AtomicUsize::new(0);
/// Whether this process was forked.
static REPORTING: AtomicBool = AtomicBool::new(false);

/// Before a fork: gives each block that children have reported since the last one.
pub fn each_new(mut prepare: impl FnMut(u64, u64)) {
    let Some(words) = REPORTS.get_or_init(|| shared::words(1 + 2 * MOST)) else { return };
    let reported = (words[0].load(Ordering::Acquire) as usize).min(MOST);
    for index in SEEN.swap(reported, Ordering::Relaxed)..reported {
        let [pc, control] = [1, 2].map(|word| words[2 * index + word].load(Ordering::Acquire));
        // A child may have been killed before it had said which.
        if pc != 0 {
            prepare(pc, control);
        }
    }
}

/// In a forked child.
pub fn born() {
    REPORTING.store(true, Ordering::Relaxed);
}

/// Whether what is new to this process is to be reported.
pub fn is_reporting() -> bool {
    REPORTING.load(Ordering::Relaxed)
}

/// Reports a block that this process had not run before.
pub fn report(pc: u64, control: u64) {
    let Some(Some(words)) = REPORTS.get() else { return };
    let index = words[0].fetch_add(1, Ordering::AcqRel) as usize;
    if index < MOST {
        words[2 * index + 2].store(control, Ordering::Release);
        words[2 * index + 1].store(pc, Ordering::Release);
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
            each_new(|pc, control| news.push((pc, control)));
            news
        };
        assert_eq!(news(), []);
        report(0x1000, 7);
        report(0x2000, 0);
        assert_eq!(news(), [(0x1000, 7), (0x2000, 0)]);
        assert_eq!(news(), []);
        (0..MOST as u64 + 10).for_each(|pc| report(pc + 1, 0));
        assert_eq!((news().len(), is_reporting()), (MOST - 2, false));
    }
}
