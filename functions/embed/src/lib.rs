//! The Lambda function `embed` turns S3 events into rows, rejects and removals.
//!
//! ```text
//! event ──▶ function ──▶ batch ──▶ ingest (library) ──▶ batch ──▶ response
//!                                        └──▶ report: a log line per photo, metrics per invocation
//! ```
//!
//! The work itself is done by [`Ingest`](fruitvec::ingest::Ingest). The settings are those of
//! [`fruitvec::config`], and [`models`] locates the model. The folder `events/` has an example of
//! each supported event.
//!
//! The function guarantees:
//!
//! * Nothing is acknowledged before it is durably stored in S3. Failed SQS messages go into
//!   `batchItemFailures`; a direct event fails as a whole.
//! * A bad message or photo affects no other.
//! * An invocation finishes before its timeout. The photos it had no time for are redelivered, and
//!   then come first.

mod batch;
mod failure;
mod function;
pub mod models;
mod report;
mod response;

pub use failure::Failure;
pub use function::Function;
pub use response::Response;
