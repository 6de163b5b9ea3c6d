//! The Lambda function `launch`: builds the settings and the clients once, then handles each event.

use fruitvec_launch::{Function, Invocation};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde_json::Value;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::tracing::init_default_subscriber();
    let function = Function::from_environment().await?;
    let function = &function;
    lambda_runtime::run(service_fn(|event: LambdaEvent<Value>| async move {
        function.handle(&event.payload, &Invocation::from(&event.context)).await
    }))
    .await
}
