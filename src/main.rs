//! The command line.

// A command line talks to people.
#![allow(clippy::print_stderr)]

mod cli;

use std::process::ExitCode;

use clap::Parser;
use fruitvec::error::{Error, Result};
use tokio::runtime::Runtime;

/// Turns photos of fruit into MobileNetV2 embeddings in Parquet, and fits a PCA to all of them.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
enum Command {
    /// Do the whole job on this machine: photos in, embeddings in Parquet, PCA out.
    Demo(cli::demo::Demo),
    /// Run the embedded S3 and embed every uploaded photo, until Ctrl-C.
    Serve(cli::serve::Serve),
    /// Synchronise the table with S3, compact it, and refit the PCA.
    Rebuild(cli::rebuild::Rebuild),
    /// Show how the table compares with S3. Changes nothing.
    Status(cli::status::Status),
    /// Refit the PCA to all current rows.
    Pca(cli::pca::Pca),
    /// Print the tasks of a stage, one per line.
    Plan(cli::batch::PlanCommand),
    /// Execute the tasks on standard input, and print their outcomes, one per line.
    Work(cli::batch::WorkCommand),
    /// Commit the outcomes on standard input, and print the result with the next stage as one line.
    Commit(cli::batch::CommitCommand),
    /// List, verify and download models.
    #[command(subcommand)]
    Models(cli::models::Models),
}

fn main() -> ExitCode {
    let command = Command::parse();
    let failed = |cause| Error::Internal(format!("the system refuses to start threads: {cause}"));
    let result = Runtime::new().map_err(failed).and_then(|runtime| {
        let result = runtime.block_on(run(command));
        // Otherwise a thread that a photo still occupies would keep the program from ending.
        runtime.shutdown_background();
        result
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> Result<()> {
    match command {
        Command::Demo(command) => command.run().await,
        Command::Serve(command) => command.run().await,
        Command::Rebuild(command) => command.run().await,
        Command::Status(command) => command.run().await,
        Command::Pca(command) => command.run().await,
        Command::Plan(command) => command.run().await,
        Command::Work(command) => command.run().await,
        Command::Commit(command) => command.run().await,
        Command::Models(command) => command.run(),
    }
}
