//! Mutual exclusion per key.

use std::hash::{BuildHasher, RandomState};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Number of locks that all keys share. Keys that hash to the same lock only wait for each other.
const LOCKS: usize = 256;

/// A fixed set of locks, one of which guards each key.
#[derive(Debug)]
pub(crate) struct KeyLocks {
    locks: Vec<Mutex<()>>,
    hasher: RandomState,
}

impl KeyLocks {
    pub(crate) fn new() -> Self {
        let locks = std::iter::repeat_with(Mutex::default).take(LOCKS).collect();
        Self { locks, hasher: RandomState::new() }
    }

    /// Locks the key whose object has this path.
    pub(crate) fn lock(&self, path: &Path) -> MutexGuard<'_, ()> {
        let index = self.hasher.hash_one(path) % LOCKS as u64;
        // The lock guards no data, so a panic of another holder leaves nothing inconsistent.
        self.locks[index as usize].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
