//! Pages that code has been translated from.
//!
//! A page that the guest may write is write-protected while translations of it exist, at every address that it is mapped
//! at. Whoever is about to change it (a guest store, the kernel on the guest's behalf, a new mapping) releases it first: its
//! translations are dropped, then the page becomes writable again.

use std::collections::BTreeMap;
use std::ops::Range;

/// What must be dropped: pages by their start addresses.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Invalidated {
    pub pages: Vec<u64>,
}

/// Who drops translations.
pub trait CodeInvalidation: Sync + Send {
    /// Drops every translation that reads a byte of these pages. When it returns no thread will start
    /// one of them any more.
    fn invalidate(&self, pages: &Invalidated);
}

/// The pages with translations, and whether each is write-protected because of that.
#[derive(Default, Debug)]
pub struct CodePages {
    pages: BTreeMap<u64, Guard>,
    /// What was added last, if it is there still: new code comes page by page.
    last: Option<(u64, Guard)>,
}

/// How writes into a page with translations are noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Guard {
    /// The guest may not write it either.
    None,
    /// Write-protected by us.
    Protected,
    /// The same, but it has no translations itself: the memory is mapped at another address too, and has some there.
    Alias,
}

impl CodePages {
    #[must_use]
    pub const fn new() -> Self {
        Self { pages: BTreeMap::new(), last: None }
    }

    /// Notes that a translation of `page` is being made, or of an alias of it; what was noted before.
    pub fn add(&mut self, page: u64, guard: Guard) -> Option<Guard> {
        if self.last == Some((page, guard)) {
            return Some(guard);
        }
        self.last = Some((page, guard));
        self.pages.insert(page, guard)
    }

    #[must_use]
    pub fn contains(&self, page: u64) -> bool {
        self.pages.contains_key(&page)
    }

    /// The pages of the range that have translations.
    pub fn translated(&self, range: &Range<u64>) -> Vec<u64> {
        let pages = self.pages.range(range.clone()).filter(|(_, guard)| **guard != Guard::Alias);
        pages.map(|(&page, _)| page).collect()
    }

    /// Takes one page out.
    pub fn remove(&mut self, page: u64) -> Option<(u64, Guard)> {
        self.last = None;
        self.pages.remove(&page).map(|guard| (page, guard))
    }

    /// Whether any page of the range has translations, or is an alias of one that has.
    #[must_use]
    pub fn any_in(&self, range: &Range<u64>) -> bool {
        self.pages.range(range.clone()).next().is_some()
    }

    /// Takes the pages of the range out.
    pub fn take(&mut self, range: &Range<u64>) -> Vec<(u64, Guard)> {
        self.last = None;
        let found: Vec<_> = self.pages.range(range.clone()).map(|(&page, &guard)| (page, guard)).collect();
        for (page, _) in &found {
            self.pages.remove(page);
        }
        found
    }
}
