//! The Lambda function `upload`: builds the settings and the client once, then serves each event.

use fruitvec_core::config::from_environment;
use fruitvec_upload::{Config, Event, Presigner, respond};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn, tracing};
use time::OffsetDateTime;

// One thread is enough: presigning is a short computation without any I/O.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config =
        Config::read(from_environment).inspect_err(|error| tracing::error!(%error, "upload can't start"))?;
    let presigner = &Presigner::from_environment(config).await;
    run(service_fn(|event: LambdaEvent<Event>| async move {
        respond(presigner, &event.payload, OffsetDateTime::now_utc())
            .await
            .map_err(|error| Diagnostic { error_type: "Fatal".to_owned(), error_message: error.to_string() })
    }))
    .await
}
