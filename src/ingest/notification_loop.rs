//! Ingests notifications in one process, as SQS and its event source mapping do in the cloud.

use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use super::outcome::DeliveryOutcome;
use super::pipeline::Ingest;
use super::retry::ingest_with_retries;
use crate::contract::event::{self, Delivery};
use crate::error::Result;

/// The number of deliveries at which a batch is complete. The rows of one date become one part.
pub const BATCH: usize = 128;

/// The wait before a failed delivery is retried. It doubles with each further attempt.
pub const RETRY_BACKOFF: Duration = Duration::from_millis(100);

/// How long a batch waits for more notifications, like the batching window of an event source
/// mapping.
const WINDOW: Duration = Duration::from_millis(50);

/// Ingests notifications until `shutdown` completes and all earlier notifications are processed.
///
/// Calls `on_outcome` for each delivery. A delivery that fails at its last attempt is reported and
/// does not end the loop.
///
/// # Errors
/// The first error that retries cannot resolve, as for [`ingest_with_retries`], or
/// [`Error::Event`](crate::error::Error::Event) for a notification that does not parse.
pub async fn dispatch(
    mut notifications: UnboundedReceiver<String>,
    ingest: &Ingest,
    shutdown: impl Future<Output = ()>,
    mut on_outcome: impl FnMut(&Delivery, &DeliveryOutcome),
) -> Result<()> {
    let mut shutdown = pin!(shutdown);
    let mut draining = false;
    loop {
        let first = tokio::select! {
            first = notifications.recv() => first,
            () = &mut shutdown, if !draining => {
                // A closed channel still yields the notifications that were sent before.
                notifications.close();
                draining = true;
                continue;
            }
        };
        let Some(first) = first else { return Ok(()) };
        let batch = receive_batch(&first, &mut notifications, WINDOW).await?;
        ingest_with_retries(ingest, batch, RETRY_BACKOFF, |_, delivery, outcome| {
            on_outcome(delivery, &outcome)
        })
        .await?;
    }
}

/// Completes a batch with the notifications that arrive within `window`.
async fn receive_batch(
    first: &str,
    notifications: &mut UnboundedReceiver<String>,
    window: Duration,
) -> Result<Vec<Delivery>> {
    let mut batch = event::deliveries(first)?;
    let mut window = pin!(tokio::time::sleep(window));
    while batch.len() < BATCH {
        let next = tokio::select! {
            next = notifications.recv() => next,
            () = &mut window => None,
        };
        let Some(next) = next else { break };
        batch.extend(event::deliveries(&next)?);
    }
    Ok(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use tokio::sync::mpsc::unbounded_channel;

    /// Long enough that only a full batch or a closed channel ends a batch.
    const LONG: Duration = Duration::from_secs(60);

    fn notification(keys: &[&str]) -> String {
        let record = |key: &&str| {
            serde_json::json!({
                "eventVersion": "2.1", "eventSource": "aws:s3", "awsRegion": "eu-west-3",
                "eventTime": "2026-11-23T10:00:00.123Z", "eventName": "ObjectCreated:Put",
                "s3": {"s3SchemaVersion": "1.0", "bucket": {"name": "photos"}, "object": {"key": key, "size": 3}},
            })
        };
        serde_json::json!({"Records": keys.iter().map(record).collect::<Vec<_>>()}).to_string()
    }

    #[tokio::test]
    async fn notifications_that_arrive_together_become_one_batch() {
        let (sender, mut receiver) = unbounded_channel();
        ["b", "c"].iter().for_each(|key| sender.send(notification(&[key])).unwrap());
        drop(sender);
        let batch = receive_batch(&notification(&["a"]), &mut receiver, LONG).await.unwrap();
        assert_eq!(batch.iter().map(|delivery| delivery.key.as_str()).collect::<Vec<_>>(), ["a", "b", "c"]);
    }

    #[tokio::test]
    async fn a_batch_does_not_wait_longer_than_its_window() {
        let (_sender, mut receiver) = unbounded_channel();
        let window = Duration::from_millis(1);
        let batch = receive_batch(&notification(&["a"]), &mut receiver, window).await.unwrap();
        assert_eq!(batch.len(), 1);
    }

    #[tokio::test]
    async fn a_full_batch_leaves_the_rest_in_the_channel() {
        let (sender, mut receiver) = unbounded_channel();
        sender.send(notification(&["last"])).unwrap();
        let batch = receive_batch(&notification(&["a"; BATCH]), &mut receiver, LONG).await.unwrap();
        assert_eq!((batch.len(), receiver.len()), (BATCH, 1));
    }

    #[tokio::test]
    async fn a_notification_that_does_not_parse_is_an_error() {
        let (_sender, mut receiver) = unbounded_channel();
        let error = receive_batch("not json", &mut receiver, LONG).await.unwrap_err();
        assert!(matches!(error, Error::Event(_)), "{error}");
    }
}
