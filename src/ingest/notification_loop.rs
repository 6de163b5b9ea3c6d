//! Notifications to ingest: what SQS and its event source mapping do in the cloud, in one process.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;

use crate::error::{Disposition, Error, Result};
use crate::event::{self, Delivery};
use crate::ingest::{Ingest, Outcome};

/// Deliveries in a batch at most: their rows become one part.
pub const BATCH: usize = 128;
/// How long a batch waits for more, as a queue's batch window does.
const WINDOW: Duration = Duration::from_millis(50);
/// How often a delivery is tried before it is given up.
const TRIES: u32 = 4;

/// Ingests what the notifications tell until `until` is done and nothing is left, and tells `hear` each outcome.
///
/// # Errors
/// The first [`Disposition::Fatal`] error: then nothing will work. What passes is tried again, then told as a failure.
pub async fn dispatch(
    mut notifications: UnboundedReceiver<String>,
    ingest: &Ingest,
    until: impl Future<Output = ()>,
    mut hear: impl FnMut(&Delivery, &Outcome),
) -> Result<()> {
    let mut until = pin!(until);
    let mut ending = false;
    loop {
        let first = tokio::select! {
            first = notifications.recv() => first,
            () = &mut until, if !ending => {
                // What was sent before is still received.
                notifications.close();
                ending = true;
                continue;
            }
        };
        let Some(first) = first else { return Ok(()) };
        let batch = batch(first, &mut notifications).await?;
        deliver(batch, ingest, &mut hear).await?;
    }
}

/// Ingests deliveries, trying again what may pass.
///
/// # Errors
/// As [`dispatch`].
pub async fn deliver(
    mut batch: Vec<Delivery>,
    ingest: &Ingest,
    hear: &mut impl FnMut(&Delivery, &Outcome),
) -> Result<()> {
    for tried in 1..=TRIES {
        let outcomes = ingest.ingest(&batch).await;
        let mut again = Vec::new();
        for (delivery, outcome) in batch.into_iter().zip(outcomes) {
            match &outcome {
                Outcome::Failed(error) if error.disposition() == Disposition::Fatal => {
                    return Err(Error::Fatal(Arc::clone(error)));
                }
                Outcome::Failed(_) if tried < TRIES => again.push(delivery),
                _ => hear(&delivery, &outcome),
            }
        }
        if again.is_empty() {
            break;
        }
        tokio::time::sleep(WINDOW * 2u32.pow(tried)).await;
        batch = again;
    }
    Ok(())
}

async fn batch(first: String, notifications: &mut UnboundedReceiver<String>) -> Result<Vec<Delivery>> {
    let mut batch = event::deliveries(&first)?;
    let window = tokio::time::sleep(WINDOW);
    let mut window = pin!(window);
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
