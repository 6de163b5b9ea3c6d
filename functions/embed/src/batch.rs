//! Orders the messages of an SQS batch, and finds those that failed.

use std::cmp::Reverse;

use fruitvec::contract::event::{Delivery, Message};
use fruitvec::error::Error;
use fruitvec::ingest::DeliveryOutcome;

use crate::response::ItemFailure;

/// The messages of a batch, most often received first.
#[derive(Debug)]
pub(crate) struct Batch {
    ids: Vec<String>,
    /// The deliveries of all messages.
    pub(crate) deliveries: Vec<Delivery>,
    /// For each delivery, the index of its message in `ids`.
    messages: Vec<usize>,
    /// The messages that are not events, each as its index in `ids` and the error.
    invalid: Vec<(usize, Error)>,
}

impl Batch {
    pub(crate) fn of(mut messages: Vec<Message>) -> Self {
        // An earlier invocation probably ran out of time for a message that was received often, so
        // it goes first now. The sort is stable: all others keep their order.
        messages.sort_by_key(|message| Reverse(message.receive_count));
        let (ids, deliveries, invalid) = (Vec::with_capacity(messages.len()), Vec::new(), Vec::new());
        let mut batch = Self { ids, deliveries, messages: Vec::new(), invalid };
        for (index, message) in messages.into_iter().enumerate() {
            match message.deliveries {
                Ok(deliveries) => {
                    batch.messages.extend(deliveries.iter().map(|_| index));
                    batch.deliveries.extend(deliveries);
                }
                // Recorded instead of returned, so that the other messages are still processed.
                Err(error) => batch.invalid.push((index, error)),
            }
            batch.ids.push(message.id);
        }
        batch
    }

    /// Returns the id of the message that contains a delivery.
    pub(crate) fn message_of(&self, delivery: usize) -> Option<&str> {
        self.messages.get(delivery).map(|&index| self.ids[index].as_str())
    }

    /// Returns the messages that are not events, by id.
    pub(crate) fn invalid(&self) -> impl Iterator<Item = (&str, &Error)> {
        self.invalid.iter().map(|(index, error)| (self.ids[*index].as_str(), error))
    }

    /// Returns the messages that SQS must deliver again, each once.
    ///
    /// These are the invalid messages and those with at least one failed delivery.
    pub(crate) fn failures(&self, outcomes: &[DeliveryOutcome]) -> Vec<ItemFailure> {
        // Flags instead of ids, because a message with several failures must be listed only once.
        let mut failed = vec![false; self.ids.len()];
        self.invalid.iter().for_each(|(index, _)| failed[*index] = true);
        for (&index, outcome) in self.messages.iter().zip(outcomes) {
            failed[index] |= matches!(outcome, DeliveryOutcome::Failed(_));
        }
        let ids = self.ids.iter().zip(failed);
        ids.filter(|(_, failed)| *failed).map(|(id, _)| ItemFailure { id: id.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fruitvec::contract::event::Change;
    use time::OffsetDateTime;

    use super::*;

    fn message(id: &str, receive_count: u32, keys: &[&str]) -> Message {
        let delivery = |key: &&str| Delivery {
            bucket: "photos".into(),
            key: (*key).into(),
            change: Change::Created,
            at: OffsetDateTime::UNIX_EPOCH,
            attempts: 1,
        };
        Message { id: id.into(), receive_count, deliveries: Ok(keys.iter().map(delivery).collect()) }
    }

    fn failed() -> DeliveryOutcome {
        DeliveryOutcome::Failed(Arc::new(Error::OutOfTime("late".into())))
    }

    fn ids(failures: &[ItemFailure]) -> Vec<&str> {
        failures.iter().map(|failure| failure.id.as_str()).collect()
    }

    #[test]
    fn messages_received_most_often_come_first() {
        let batch = Batch::of(vec![
            message("new", 1, &["a"]),
            message("old", 9, &["b", "c"]),
            message("newer", 1, &["d"]),
        ]);
        let keys: Vec<_> = batch.deliveries.iter().map(|delivery| delivery.key.as_str()).collect();
        assert_eq!(keys, ["b", "c", "a", "d"]);
        assert_eq!((batch.message_of(1), batch.message_of(3)), (Some("old"), Some("newer")));
    }

    #[test]
    fn a_message_fails_once_when_any_of_its_deliveries_fails() {
        let batch = Batch::of(vec![message("one", 1, &["a", "b", "c"]), message("two", 1, &["d"])]);
        let failures = batch.failures(&[failed(), DeliveryOutcome::Gone, failed(), DeliveryOutcome::Removed]);
        assert_eq!(ids(&failures), ["one"]);
    }

    #[test]
    fn an_invalid_message_fails_alone() {
        let bad = Message {
            id: "bad".into(),
            receive_count: 2,
            deliveries: Err(Error::Event("not an event".into())),
        };
        let batch = Batch::of(vec![message("good", 1, &["a"]), bad]);
        assert_eq!(batch.invalid().map(|(id, _)| id).collect::<Vec<_>>(), ["bad"]);
        assert_eq!(ids(&batch.failures(&[DeliveryOutcome::Gone])), ["bad"]);
    }

    #[test]
    fn a_message_without_deliveries_succeeds() {
        let batch = Batch::of(vec![message("test event", 1, &[])]);
        assert!(batch.deliveries.is_empty() && batch.failures(&[]).is_empty());
    }
}
