//! Removes duplicate deliveries from a batch.

use std::collections::HashMap;
use std::sync::Arc;

use super::outcome::DeliveryOutcome;
use crate::contract::event::Delivery;
use crate::error::Error;

/// A batch of which each key and kind of change is processed once, because queues deliver at least
/// once.
pub(super) struct DedupedBatch {
    /// The distinct deliveries, in the order of their first occurrence.
    pub(super) deliveries: Vec<Delivery>,
    /// For each delivery of the batch, its index in `deliveries`.
    indices: Vec<usize>,
}

impl DedupedBatch {
    pub(super) fn new(batch: &[Delivery]) -> Self {
        let mut deduped = Self { deliveries: Vec::new(), indices: Vec::with_capacity(batch.len()) };
        let mut known = HashMap::new();
        for delivery in batch {
            let next = deduped.deliveries.len();
            let index = *known.entry((&delivery.bucket, &delivery.key, delivery.change)).or_insert(next);
            if index == next {
                deduped.deliveries.push(delivery.clone());
            }
            // A removal hides rows up to its time, so the latest one covers the others.
            let at = &mut deduped.deliveries[index].at;
            *at = delivery.at.max(*at);
            let attempts = &mut deduped.deliveries[index].attempts;
            *attempts = delivery.attempts.max(*attempts);
            deduped.indices.push(index);
        }
        deduped
    }

    /// Returns an outcome for each delivery of the batch, given those of the distinct deliveries.
    pub(super) fn spread(&self, outcomes: &[Option<DeliveryOutcome>]) -> Vec<DeliveryOutcome> {
        let lost = || {
            let error = Error::Internal("a delivery of the batch has no outcome".into());
            DeliveryOutcome::Failed(Arc::new(error))
        };
        self.indices.iter().map(|&index| outcomes[index].clone().unwrap_or_else(lost)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::event::Change;
    use time::OffsetDateTime;

    fn delivery(key: &str, change: Change, second: i64) -> Delivery {
        let at = OffsetDateTime::from_unix_timestamp(second).unwrap();
        Delivery { bucket: "photos".into(), key: key.into(), change, at, attempts: 1 }
    }

    fn created(key: &str) -> Delivery {
        delivery(key, Change::Created, 1)
    }

    #[test]
    fn a_duplicate_is_processed_once() {
        let batch = DedupedBatch::new(&[created("a"), created("b"), created("a")]);
        assert_eq!(batch.deliveries, [created("a"), created("b")]);
    }

    #[test]
    fn equal_keys_of_different_buckets_are_not_duplicates() {
        let other = Delivery { bucket: "other".into(), ..created("a") };
        assert_eq!(DedupedBatch::new(&[created("a"), other]).deliveries.len(), 2);
    }

    #[test]
    fn a_creation_and_a_removal_of_a_key_are_both_processed() {
        let batch = [created("a"), delivery("a", Change::Removed, 1)];
        assert_eq!(DedupedBatch::new(&batch).deliveries, batch);
    }

    #[test]
    fn the_latest_removal_of_a_key_is_kept() {
        let removed = |second| delivery("a", Change::Removed, second);
        let batch = DedupedBatch::new(&[removed(5), removed(9), removed(7)]);
        assert_eq!(batch.deliveries, [removed(9)]);
    }

    #[test]
    fn duplicates_share_an_outcome() {
        let batch = DedupedBatch::new(&[created("a"), created("b"), created("a")]);
        let outcomes = batch.spread(&[Some(DeliveryOutcome::Gone), Some(DeliveryOutcome::Ignored)]);
        assert!(matches!(
            outcomes[..],
            [DeliveryOutcome::Gone, DeliveryOutcome::Ignored, DeliveryOutcome::Gone]
        ));
    }

    #[test]
    fn a_delivery_without_an_outcome_fails() {
        let outcomes = DedupedBatch::new(&[created("a")]).spread(&[None]);
        assert!(matches!(&outcomes[..], [DeliveryOutcome::Failed(_)]));
    }
}
