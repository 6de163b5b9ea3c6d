//! Starts a transient EMR cluster for each scheduled job.
//!
//! At most one cluster runs at a time, and none is started when there is nothing to do.
//!
//! ```text
//! event ──▶ function ──▶ launcher ──▶ change_detection   is there anything to do? (S3 listings)
//!              │            ├───────▶ lease              may a cluster start? (one S3 object)
//!              │            ├───────▶ cluster_request    the RunJobFlow request (pure)
//!              │            └───────▶ emr                start, list, describe, terminate
//!              └─ sweeps, cluster and step state changes
//! ```

mod change_detection;
mod cluster;
mod cluster_request;
mod config;
mod emr;
mod error;
mod event;
mod executor;
mod function;
mod launch_request;
mod launcher;
mod lease;

pub use self::change_detection::{ChangeScan, ScanResult};
pub use self::cluster::{BOOTSTRAP_FAILURE, Cluster, ClusterFilter, Clusters, DEPLOYMENT_TAG, StartError};
pub use self::cluster_request::cluster_request;
pub use self::config::*;
pub use self::emr::Emr;
pub use self::error::{Error, Result};
pub use self::event::{ClusterChange, Event, StateChangeReason, StepChange};
pub use self::executor::{Executor, TASK_MIB, WorkerType};
pub use self::function::{Function, Invocation, Response};
pub use self::launch_request::{Launch, NAME_PREFIX, Parameter};
pub use self::launcher::{LaunchOutcome, Launcher};
pub use self::lease::{LEASE_KEY, Lease, LeaseFile, QueuedLaunch, StoredLease};
