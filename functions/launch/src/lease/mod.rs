//! The lease: which launch may start a cluster, and which cluster is running.

mod acquire;
mod file;
mod record;

pub(crate) use self::acquire::{Acquired, Acquirer};
pub use self::file::{LEASE_KEY, LeaseFile, StoredLease};
pub use self::record::{Lease, QueuedLaunch};
