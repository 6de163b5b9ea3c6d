//! The Lambda function `embed`: loads everything, then requests the first event.

use std::time::Instant;

use fruitvec::config::from_environment;
use fruitvec_embed::Function;
use lambda_runtime::{Error, run, service_fn, tracing};

// One thread is enough for the network, because photos are decoded and embedded on other threads.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let start = Instant::now();
    tracing::init_default_subscriber();
    let function = Function::start(from_environment, start)
        .await
        .inspect_err(|error| tracing::error!(%error, "embed can't start"))?;
    run(service_fn(|event| function.handle(event))).await
}
