//! The Lambda function `upload`: settings and client are built once, then each event is answered.

use fruitvec::config::from_environment;
use fruitvec_upload::{Config, Event, Uploads, answer};
use lambda_runtime::{Diagnostic, Error, LambdaEvent, run, service_fn, tracing};
use time::OffsetDateTime;

// One thread is enough: a signature is arithmetic, and quick.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    tracing::init_default_subscriber();
    let config =
        Config::read(from_environment).inspect_err(|error| tracing::error!(%error, "upload can't start"))?;
    let uploads = &Uploads::from_environment(config).await;
    run(service_fn(|event: LambdaEvent<Event>| async move {
        answer(uploads, &event.payload, OffsetDateTime::now_utc())
            .await
            .map_err(|error| Diagnostic { error_type: "Fatal".to_owned(), error_message: error.to_string() })
    }))
    .await
}
