//! The Lambda function `embed`: events of S3 become rows, rejects and removals, by the library's
//! [`Ingest`](fruitvec::ingest::Ingest).
//!
//! ```text
//! event ──▶ function ──▶ batch ──▶ ingest (library) ──▶ batch ──▶ answer
//!                                        └──▶ report: a log line a photo, a metrics line an invocation
//! ```
//!
//! Settings are those of [`fruitvec::config`]; where the model lies is [`models`]. Events are those of the folder `events/`, whose
//! README plays each of them.
//!
//! What is promised:
//!
//! * Nothing is acknowledged that is not durably in S3. A message of a queue that failed is named in the answer; an event that came
//!   directly fails as a whole.
//! * One bad message or photo costs no other.
//! * An invocation ends before Lambda ends it. What there was no time for is handed back, and goes first when it comes again.

#[path = "response.rs"]
mod answer;
mod batch;
mod failure;
mod function;
pub mod models;
mod report;

pub use answer::Answer;
pub use failure::Failure;
pub use function::Function;
