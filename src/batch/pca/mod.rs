//! The PCA stages: sum moments, fit, project, publish.
//!
//! A moments task sums the current rows of some parts. Its commit merges the sums and fits the PCA.
//! A projection task projects the rows of some parts, and its commit publishes the fit.
//!
//! The merge has two levels, within a task and over all tasks. The number of tasks is bounded, so
//! that their moments never overwhelm the one process that commits.

mod commit;
mod error;
mod fit;
mod moments;
mod plan;
pub mod plot;
mod projection;
mod publish;
mod records;
mod sample;
mod work;

pub(crate) use self::commit::{commit_moments, commit_project};
pub use self::fit::{COMPONENTS, FitResult};
pub use self::plan::{plan_moments, plan_project};
pub use self::records::{FitOptions, PartList, PartSelection, Projection};
pub(crate) use self::work::{project, sum_moments};
