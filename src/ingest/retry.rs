//! Ingests deliveries with retries, where no queue redelivers failed ones.

use std::sync::Arc;
use std::time::Duration;

use super::outcome::DeliveryOutcome;
use super::pipeline::Ingest;
use crate::contract::event::Delivery;
use crate::error::{Disposition, Error, Result};

/// Attempts per delivery before its failure is reported.
const MAX_ATTEMPTS: u32 = 4;

/// Ingests deliveries, and retries those that failed with an error that may pass.
///
/// Calls `on_outcome` once per delivery, with its index, as soon as its outcome is final. Waits
/// `backoff` before the second attempt, and twice as long before each further one.
///
/// # Errors
/// The first [`Disposition::Fatal`] error: every later delivery would fail the same way.
pub async fn ingest_with_retries(
    ingest: &Ingest,
    deliveries: Vec<Delivery>,
    backoff: Duration,
    on_outcome: impl FnMut(usize, &Delivery, DeliveryOutcome),
) -> Result<()> {
    retry_failed(async |pending| ingest.ingest(pending).await, deliveries, backoff, on_outcome).await
}

/// Like [`ingest_with_retries`], with any function that returns one outcome per delivery.
async fn retry_failed(
    ingest: impl AsyncFn(&[Delivery]) -> Vec<DeliveryOutcome>,
    deliveries: Vec<Delivery>,
    backoff: Duration,
    mut on_outcome: impl FnMut(usize, &Delivery, DeliveryOutcome),
) -> Result<()> {
    let (mut indices, mut pending): (Vec<usize>, Vec<Delivery>) = deliveries.into_iter().enumerate().unzip();
    for attempt in 1..=MAX_ATTEMPTS {
        let outcomes = ingest(&pending).await;
        let (mut failed_indices, mut failed) = (Vec::new(), Vec::new());
        for ((index, mut delivery), outcome) in indices.into_iter().zip(pending).zip(outcomes) {
            match outcome {
                DeliveryOutcome::Failed(error) if error.disposition() == Disposition::Fatal => {
                    return Err(Error::Fatal(Arc::clone(&error)));
                }
                DeliveryOutcome::Failed(_) if attempt < MAX_ATTEMPTS => {
                    failed_indices.push(index);
                    delivery.attempts += 1;
                    failed.push(delivery);
                }
                outcome => on_outcome(index, &delivery, outcome),
            }
        }
        if failed.is_empty() {
            break;
        }
        (indices, pending) = (failed_indices, failed);
        tokio::time::sleep(backoff * 2_u32.pow(attempt - 1)).await;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::event::Change;
    use std::cell::RefCell;
    use std::collections::BTreeMap;
    use time::OffsetDateTime;

    fn delivery(key: &str) -> Delivery {
        let (bucket, at) = ("photos".into(), OffsetDateTime::UNIX_EPOCH);
        Delivery { bucket, key: key.into(), change: Change::Created, at, attempts: 1 }
    }

    /// An ingest whose deliveries fail as often as the map says for their key, with a transient
    /// error, and then succeed. It records the keys of each attempt.
    struct Flaky {
        failures: RefCell<BTreeMap<&'static str, u32>>,
        attempts: RefCell<Vec<Vec<String>>>,
    }

    impl Flaky {
        fn new(failures: &[(&'static str, u32)]) -> Self {
            let failures = RefCell::new(failures.iter().copied().collect());
            Self { failures, attempts: RefCell::default() }
        }

        fn ingest(&self, deliveries: &[Delivery]) -> Vec<DeliveryOutcome> {
            self.attempts.borrow_mut().push(deliveries.iter().map(|delivery| delivery.key.clone()).collect());
            deliveries.iter().map(|delivery| self.outcome(delivery)).collect()
        }

        fn outcome(&self, delivery: &Delivery) -> DeliveryOutcome {
            match self.failures.borrow_mut().get_mut(delivery.key.as_str()) {
                Some(left) if *left > 0 => {
                    *left -= 1;
                    DeliveryOutcome::Failed(Arc::new(Error::OutOfTime("slow".into())))
                }
                _ => DeliveryOutcome::Removed,
            }
        }

        /// Ingests the deliveries. Returns each reported index, and whether it succeeded.
        async fn run(&self, keys: &[&str]) -> Vec<(usize, bool)> {
            let deliveries = keys.iter().map(|key| delivery(key)).collect();
            let mut reported = Vec::new();
            let report = |index, delivery: &Delivery, outcome| {
                assert_eq!(delivery.key, keys[index]);
                reported.push((index, matches!(outcome, DeliveryOutcome::Removed)));
            };
            let ingest = async |pending: &[Delivery]| self.ingest(pending);
            retry_failed(ingest, deliveries, Duration::from_nanos(1), report).await.unwrap();
            reported
        }
    }

    #[tokio::test]
    async fn only_failed_deliveries_are_retried() {
        let flaky = Flaky::new(&[("b", 1), ("d", 2)]);
        let reported = flaky.run(&["a", "b", "c", "d"]).await;
        assert_eq!(reported, [(0, true), (2, true), (1, true), (3, true)]);
        assert_eq!(*flaky.attempts.borrow(), [vec!["a", "b", "c", "d"], vec!["b", "d"], vec!["d"]]);
    }

    #[tokio::test]
    async fn a_failure_is_reported_after_the_last_attempt() {
        let flaky = Flaky::new(&[("a", MAX_ATTEMPTS), ("b", MAX_ATTEMPTS - 1)]);
        assert_eq!(flaky.run(&["a", "b"]).await, [(0, false), (1, true)]);
        assert_eq!(flaky.attempts.borrow().len(), MAX_ATTEMPTS as usize);
    }

    #[tokio::test]
    async fn nothing_is_retried_without_failures() {
        let flaky = Flaky::new(&[]);
        assert_eq!(flaky.run(&["a"]).await, [(0, true)]);
        assert_eq!(flaky.attempts.borrow().len(), 1);
    }

    #[tokio::test]
    async fn a_fatal_error_ends_all_work() {
        let ingest = async |pending: &[Delivery]| {
            let fatal = || DeliveryOutcome::Failed(Arc::new(Error::Config("not set".into())));
            pending.iter().map(|_| fatal()).collect()
        };
        let deliveries = vec![delivery("a"), delivery("b")];
        let error = retry_failed(ingest, deliveries, Duration::ZERO, |_, _, _| panic!("not final")).await;
        assert!(matches!(error, Err(Error::Fatal(_))), "{error:?}");
    }
}
