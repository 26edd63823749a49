//! Which script rules which system call.

use std::collections::HashSet;

/// The name tables, as the rule engine needs them.
pub struct SyscallNames {
    by_number: Vec<Vec<String>>,
    known: HashSet<&'static str>,
}

/// Numbers above this have no rules: no table reaches so far.
const MAX_NUMBER: u64 = 4096;

impl SyscallNames {
    /// `own` is the guest's table (several names may share a number), `elsewhere` what other
    /// architectures call theirs: scripts of those names are no mistake.
    #[must_use]
    pub fn new(own: &[(u64, &'static str)], elsewhere: &[&'static str]) -> Self {
        let mut names = Self {
            by_number: Vec::new(),
            known: own.iter().map(|&(_, name)| name).chain(elsewhere.iter().copied()).collect(),
        };
        for &(number, name) in own.iter().filter(|(number, _)| *number <= MAX_NUMBER) {
            let Ok(number) = usize::try_from(number) else { continue };
            if names.by_number.len() <= number {
                names.by_number.resize(number + 1, Vec::new());
            }
            names.by_number[number].push(format!("{name}.lua"));
        }
        names
    }

    /// The scripts that would rule `number`, the first that exists wins.
    #[inline]
    pub(super) fn scripts(&self, number: u64) -> &[String] {
        usize::try_from(number).ok().and_then(|n| self.by_number.get(n)).map_or(&[], Vec::as_slice)
    }

    /// How many numbers there are.
    pub(super) fn len(&self) -> usize {
        self.by_number.len()
    }

    pub(super) fn is_known(&self, name: &str) -> bool {
        self.known.contains(name)
    }
}
