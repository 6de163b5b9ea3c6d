//! Loads a model where a panic, or a load without end, ends in an error.

use std::any::Any;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};

/// The longest time for a load. A network at the limits of work takes about ten seconds.
const DEADLINE: Duration = Duration::from_secs(120);
/// The stack of the thread that loads. tract recurses along the nodes of a network.
const STACK_BYTES: usize = 64 << 20;

/// Runs the load of a model on a thread of its own.
///
/// Checks before the load leave no model that is known to panic or to hang. This is for the others.
/// A thread that is left behind ends with the process, which can't start without its model anyway.
pub(super) fn guarded<T: Send + 'static>(
    card: &ModelCard,
    load: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    guarded_for(DEADLINE, card, load)
}

fn guarded_for<T: Send + 'static>(
    deadline: Duration,
    card: &ModelCard,
    load: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    let (sender, receiver) = channel();
    let thread = thread::Builder::new()
        .name("load-model".into())
        .stack_size(STACK_BYTES)
        // The receiver is gone after the deadline, and then nothing needs the model.
        .spawn(move || _ = sender.send(load()))
        .map_err(|cause| Error::Internal(format!("starting the thread that loads models: {cause}")))?;
    match receiver.recv_timeout(deadline) {
        Ok(loaded) => loaded,
        Err(RecvTimeoutError::Timeout) => Err(card.error(format!(
            "loading it did not end in {} seconds; use a smaller network",
            deadline.as_secs()
        ))),
        Err(RecvTimeoutError::Disconnected) => {
            let message = thread.join().err().map(|panic| panic_message(&*panic)).unwrap_or_default();
            Err(card.error(format!("loading it panicked: {message}; export it again with static shapes")))
        }
    }
}

fn panic_message(panic: &(dyn Any + Send)) -> String {
    // `panic!` with arguments carries a `String`; with a bare literal it carries a `&str`.
    let formatted = panic.downcast_ref::<String>().map(String::as_str);
    let message = formatted.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message");
    message.chars().take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contract::model_card::DEFAULT_MODEL;

    #[test]
    fn a_panic_is_an_error_of_the_model() {
        let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
        let error = guarded::<()>(&card, || panic!("index {} out of bounds", 7)).unwrap_err();
        assert!(matches!(&error, Error::Model { .. }), "{error}");
        assert!(error.to_string().contains("panicked: index 7 out of bounds; "), "{error}");
    }

    #[test]
    fn a_load_without_end_is_an_error_of_the_model() {
        let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
        // Ends only after the test: nothing is ever sent.
        let (_sender, receiver) = channel::<()>();
        let endless = move || receiver.recv().map_err(|_| Error::Internal("the test ended".into()));
        let error = guarded_for(Duration::ZERO, &card, endless).unwrap_err();
        assert!(error.to_string().contains("did not end in 0 seconds"), "{error}");
    }

    #[test]
    fn the_result_of_a_load_is_returned_unchanged() {
        let card = ModelCard::find(DEFAULT_MODEL, None).unwrap();
        assert_eq!(guarded(&card, || Ok(7)).unwrap(), 7);
        assert_eq!(
            guarded::<()>(&card, || Err(Error::Config("x".into()))).unwrap_err().to_string(),
            "configuration: x"
        );
    }
}
