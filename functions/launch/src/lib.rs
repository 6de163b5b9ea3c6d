//! The schedule comes, and a transient EMR cluster does the job: never two at once, and none when there is nothing to do.
//!
//! ```text
//! event ──▶ function ──▶ launch ──▶ work            is there anything to do? (S3)
//!              │            ├────▶ claim, lease    may we? (S3: one object, conditional writes)
//!              │            ├────▶ specification   what a cluster is (pure)
//!              │            └────▶ emr             start, list, describe, terminate
//!              └─ sweep, ended clusters, failed steps
//! ```

#[path = "lease/acquire.rs"]
mod claim;
mod config;
mod emr;
mod error;
mod event;
mod executor;
mod function;
#[path = "launch_request.rs"]
mod job;
#[path = "launcher.rs"]
mod launch;
#[path = "lease/file.rs"]
mod lease;
#[path = "cluster_request.rs"]
mod specification;
#[path = "change_detection.rs"]
mod work;

pub use self::config::*;
pub use self::emr::{BOOTSTRAP_FAILURE, Cluster, Clusters, Emr, StartError, Which};
pub use self::error::{Error, Result};
pub use self::event::{ClusterChange, Event, Reason, StepChange};
pub use self::executor::{Executor, TASK_MIB, WorkerType};
pub use self::function::{Answer, Function, Invocation};
pub use self::job::{Launch, NAME_PREFIX, Parameter};
pub use self::launch::{Launcher, Outcome};
pub use self::lease::{Held, LEASE_KEY, Lease, LeaseFile, Waiting};
pub use self::specification::{DEPLOYMENT_TAG, specification};
pub use self::work::{Look, RUNS_PREFIX, Work};
