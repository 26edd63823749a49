//! One version of one script.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// The text of a script that parses. Two sources are the same version if their `id` is the same.
#[derive(Debug)]
pub struct Source {
    /// Unique in this process.
    pub id: u64,
    /// Relative to the rule directory.
    pub path: String,
    pub text: Vec<u8>,
    /// It has been loaded: it defines a rule, not just something that parses.
    proven: AtomicBool,
    /// The last version before this one that was.
    previous: Option<Arc<Source>>,
}

impl Source {
    pub(super) fn new(id: u64, path: String, text: Vec<u8>, before: Option<Arc<Self>>) -> Self {
        let previous =
            before.and_then(|before| if before.is_proven() { Some(before) } else { before.previous() });
        Self { id, path, text, proven: AtomicBool::new(false), previous }
    }

    pub(super) fn prove(&self) {
        self.proven.store(true, Ordering::Relaxed);
    }

    fn is_proven(&self) -> bool {
        self.proven.load(Ordering::Relaxed)
    }

    /// What to run if this version turns out to define nothing.
    pub(super) fn previous(&self) -> Option<Arc<Self>> {
        self.previous.clone()
    }
}
