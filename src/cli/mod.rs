//! The command line: one command per file, and the arguments and output that commands share.

/// Prints a line. A reader that closes the pipe early, as `head` does, is not an error.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stdout(), $($words)*);
    }};
}

pub(crate) mod batch;
mod buckets;
pub(crate) mod demo;
mod embedded;
mod model_args;
mod model_download;
pub(crate) mod models;
pub(crate) mod pca;
mod plan_args;
mod progress;
pub(crate) mod rebuild;
pub(crate) mod serve;
mod show_fit;
pub(crate) mod status;
mod terminal;
mod worker_args;
