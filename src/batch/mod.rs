//! A batch run over all photos, in stages of three phases: plan, work, commit.
//!
//! *Plan* lists the work of a stage as [`task`]s. *Work* executes tasks anywhere and in any order,
//! and turns each into an [`outcome`]. *Commit* merges the outcomes into one result, and names the
//! next stage. The phases exchange files under `runs/<run id>/`, so each may be a separate process.
//!
//! The layers, lowest first. A layer imports only layers listed before it.
//!
//! ```text
//! task, outcome, results, run, grouping
//! backfill, compact, pca                  the stages
//! plan, work, commit                      the phases
//! run_local                               a whole run in one process
//! ```

pub mod backfill;
pub mod commit;
pub mod compact;
mod grouping;
pub mod outcome;
pub mod pca;
pub mod plan;
mod results;
pub mod run;
pub mod run_local;
pub mod task;
pub mod work;
