//! The Lambda function `embed`: loads everything, then requests the first event.

use std::time::Instant;

use fruitvec::config::from_environment;
use fruitvec_embed::Function;
use lambda_runtime::layers::TracingLayer;
use lambda_runtime::tower::util::MapResultLayer;
use lambda_runtime::{Error, Runtime, service_fn, tracing};

// One thread is enough for the network, because photos are decoded and embedded on other threads.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let start = Instant::now();
    tracing::init_default_subscriber();
    let function = Function::start(from_environment, start)
        .await
        .inspect_err(|error| tracing::error!(%error, "embed can't start"))?;
    let end_if_occupied = |posted| {
        // The response is posted. Lambda starts a new instance for the next event, whose photos
        // then have the CPU for themselves.
        if function.has_abandoned_threads() {
            tracing::error!("this instance ends, because a photo still occupies a thread");
            std::process::exit(1);
        }
        posted
    };
    Runtime::new(service_fn(|event| function.handle(event)))
        .layer(TracingLayer::new())
        .layer(MapResultLayer::new(end_if_occupied))
        .run()
        .await
}
