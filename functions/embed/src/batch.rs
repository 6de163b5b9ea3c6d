//! The messages of a batch: in which order they are worked on, and which of them failed.

use std::cmp::Reverse;

use fruitvec::error::Error;
use fruitvec::event::{Delivery, Message};
use fruitvec::ingest::Outcome;

use crate::answer::ItemFailure;

/// Messages, the one received most often first: it was there when there was no time, so it is to have it now.
#[derive(Debug)]
pub(crate) struct Batch {
    ids: Vec<String>,
    /// The deliveries of all messages.
    pub(crate) deliveries: Vec<Delivery>,
    /// For each delivery, the place of its message in `ids`.
    messages: Vec<usize>,
    /// The messages that can't be read: their place in `ids`, and why.
    unread: Vec<(usize, Error)>,
}

impl Batch {
    pub(crate) fn of(mut messages: Vec<Message>) -> Self {
        messages.sort_by_key(|message| Reverse(message.receive_count));
        let (ids, deliveries, unread) = (Vec::with_capacity(messages.len()), Vec::new(), Vec::new());
        let mut batch = Self { ids, deliveries, messages: Vec::new(), unread };
        for (place, message) in messages.into_iter().enumerate() {
            match message.deliveries {
                Ok(deliveries) => {
                    batch.messages.extend(deliveries.iter().map(|_| place));
                    batch.deliveries.extend(deliveries);
                }
                Err(error) => batch.unread.push((place, error)),
            }
            batch.ids.push(message.id);
        }
        batch
    }

    /// The id of the message that brought a delivery.
    pub(crate) fn message_of(&self, delivery: usize) -> Option<&str> {
        self.messages.get(delivery).map(|&place| self.ids[place].as_str())
    }

    /// The messages that can't be read, by id.
    pub(crate) fn unread(&self) -> impl Iterator<Item = (&str, &Error)> {
        self.unread.iter().map(|(place, error)| (self.ids[*place].as_str(), error))
    }

    /// The messages that the queue must keep: those that can't be read, and those of which any delivery failed. Each is named once.
    pub(crate) fn failures(&self, outcomes: &[Outcome]) -> Vec<ItemFailure> {
        let mut failed = vec![false; self.ids.len()];
        self.unread.iter().for_each(|(place, _)| failed[*place] = true);
        for (&place, outcome) in self.messages.iter().zip(outcomes) {
            failed[place] |= matches!(outcome, Outcome::Failed(_));
        }
        let ids = self.ids.iter().zip(failed);
        ids.filter(|(_, failed)| *failed).map(|(id, _)| ItemFailure { id: id.clone() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use fruitvec::event::Change;
    use time::OffsetDateTime;

    use super::*;

    fn message(id: &str, receive_count: u32, keys: &[&str]) -> Message {
        let delivery = |key: &&str| Delivery {
            bucket: "photos".into(),
            key: (*key).into(),
            change: Change::Created,
            at: OffsetDateTime::UNIX_EPOCH,
        };
        Message { id: id.into(), receive_count, deliveries: Ok(keys.iter().map(delivery).collect()) }
    }

    fn failed() -> Outcome {
        Outcome::Failed(Arc::new(Error::OutOfTime("late".into())))
    }

    fn ids(failures: &[ItemFailure]) -> Vec<&str> {
        failures.iter().map(|failure| failure.id.as_str()).collect()
    }

    #[test]
    fn messages_received_most_often_go_first() {
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
        let failures = batch.failures(&[failed(), Outcome::Gone, failed(), Outcome::Removed]);
        assert_eq!(ids(&failures), ["one"]);
    }

    #[test]
    fn a_message_that_can_not_be_read_fails_alone() {
        let bad = Message {
            id: "bad".into(),
            receive_count: 2,
            deliveries: Err(Error::Event("not an event".into())),
        };
        let batch = Batch::of(vec![message("good", 1, &["a"]), bad]);
        assert_eq!(batch.unread().map(|(id, _)| id).collect::<Vec<_>>(), ["bad"]);
        assert_eq!(ids(&batch.failures(&[Outcome::Gone])), ["bad"]);
    }

    #[test]
    fn a_message_that_asks_for_nothing_succeeds() {
        let batch = Batch::of(vec![message("test event", 1, &[])]);
        assert!(batch.deliveries.is_empty() && batch.failures(&[]).is_empty());
    }
}
