//! The command line.

// Talking to a person is what a command line is for.
#![allow(clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

use clap::Parser;

/// Photos of fruit become MobileNetV2 embeddings in Parquet, and a PCA over all of them.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
enum Command {
    /// The whole job on this machine: photos in, embeddings in Parquet, PCA out.
    #[cfg(feature = "local")]
    Demo(cli::demo::Demo),
    /// Keep the embedded S3 up and embed whatever is put, until Ctrl-C.
    #[cfg(feature = "local")]
    Serve(cli::serve::Serve),
    /// Make the table what S3 holds, compact it, and refit the PCA.
    Rebuild(cli::rebuild::Rebuild),
    /// Show how the table stands beside S3; nothing is changed.
    Status(cli::status::Status),
    /// Refit the PCA over all current rows.
    Pca(cli::pca::Pca),
    /// Print what a stage of a run has to do, one task a line.
    Plan(cli::batch::Plan),
    /// Do the tasks on the standard input, and print what became of each.
    Work(cli::batch::Work),
    /// Make the result of a stage from the outcomes on the standard input.
    Commit(cli::batch::Commit),
    /// See, check and fetch the models.
    #[command(subcommand)]
    Models(cli::models::Models),
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Command::parse() {
        #[cfg(feature = "local")]
        Command::Demo(demo) => demo.run().await,
        #[cfg(feature = "local")]
        Command::Serve(serve) => serve.run().await,
        Command::Rebuild(rebuild) => rebuild.run().await,
        Command::Status(status) => status.run().await,
        Command::Pca(pca) => pca.run().await,
        Command::Plan(plan) => plan.run().await,
        Command::Work(work) => work.run().await,
        Command::Commit(commit) => commit.run().await,
        Command::Models(models) => models.run(),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
