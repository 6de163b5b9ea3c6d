//! The Lambda function `embed`: everything is built before the first event is asked for.

use std::time::Instant;

use fruitvec::config::from_environment;
use fruitvec_embed::Function;
use lambda_runtime::{Error, run, service_fn, tracing};

// One thread for the network is enough; pictures have threads of their own.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let start = Instant::now();
    tracing::init_default_subscriber();
    let function = Function::start(from_environment, start)
        .await
        .inspect_err(|error| tracing::error!(%error, "embed can't start"))?;
    run(service_fn(|event| function.handle(event))).await
}
