//! The function, built once per process and then invoked for each event.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fruitvec::contract::event::{self, Delivery, Invocation, Message};
use fruitvec::contract::model_card::ModelCard;
use fruitvec::embed;
use fruitvec::error::{Disposition, Error, Result};
use fruitvec::ingest::Config;
use fruitvec::ingest::{DeliveryOutcome, Ingest};
use fruitvec::s3::client::Store;
use lambda_runtime::LambdaEvent;
use serde_json::value::RawValue;

use crate::batch::Batch;
use crate::failure::Failure;
use crate::models;
use crate::report::InvocationReport;
use crate::response::Response;

/// The state that all invocations share.
pub struct Function {
    ingest: Ingest,
    /// The duration of the start, until the first invocation reports it.
    init: Mutex<Option<Duration>>,
}

impl Function {
    /// Reads the settings, then loads, optimises and probes the model.
    ///
    /// All of this happens before the first event is requested. `start` is the time at which the
    /// program started.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Model`] name the setting or the file that is missing or
    /// invalid.
    pub async fn start(variable: impl Fn(&str) -> Option<String>, start: Instant) -> Result<Self> {
        let config = Config::read(&variable)?;
        let folder = models::folder(config.models_dir, &variable);
        let card = ModelCard::find(&config.model, folder.as_deref())?;
        let embedder = embed::load_with(&card, folder.as_deref(), config.engine)?;
        let store = Store::from_environment().await;
        let ingest = Ingest::new(store, config.results_bucket, embedder, config.limits, config.threads);
        Ok(Self { ingest, init: Mutex::new(Some(start.elapsed())) })
    }

    /// Returns whether a thread still works on a photo whose time is over.
    ///
    /// It shares the CPU with every later photo, so this instance should end.
    #[must_use]
    pub fn has_abandoned_threads(&self) -> bool {
        self.ingest.abandoned_threads() > 0
    }

    /// Handles an event. The README of `events/` lists the supported events.
    ///
    /// # Errors
    /// A [`Failure`] acknowledges nothing.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Response, Failure> {
        let deadline = instant_of(event.context.deadline());
        // A poisoned lock still contains a valid duration.
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut report = InvocationReport::new(init);
        let invocation = event::invocation(event.payload.get());
        let response = match invocation.map_err(|error| Failure::Event(Arc::new(error))) {
            Ok(Invocation::Messages(messages)) => self.messages(messages, deadline, &mut report).await,
            Ok(Invocation::Deliveries(deliveries)) => {
                self.deliveries(deliveries, deadline, &mut report).await
            }
            Err(failure) => Err(failure),
        };
        // The metrics of a failed invocation count, too.
        report.print();
        response
    }

    /// Ingests a batch, in which each message fails alone. A fatal error fails the whole batch.
    async fn messages(
        &self,
        messages: Vec<Message>,
        deadline: Instant,
        report: &mut InvocationReport,
    ) -> Result<Response, Failure> {
        let batch = Batch::of(messages);
        let outcomes = self.ingest.ingest_until(&batch.deliveries, deadline).await;
        for (index, (delivery, outcome)) in batch.deliveries.iter().zip(&outcomes).enumerate() {
            report.delivery(delivery, batch.message_of(index), outcome);
        }
        batch.invalid().for_each(|(message, error)| report.invalid_message(message, error));
        // A fatal error acknowledges nothing, because every later message would fail the same way.
        match fatal(&outcomes) {
            Some(error) => Err(Failure::Fatal(error)),
            None => Ok(Response::Batch { failures: batch.failures(&outcomes) }),
        }
    }

    /// Ingests a direct event, which fails as a whole.
    async fn deliveries(
        &self,
        mut deliveries: Vec<Delivery>,
        deadline: Instant,
        report: &mut InvocationReport,
    ) -> Result<Response, Failure> {
        // A retry by Lambda does not say that it is one, so every attempt counts as the last.
        deliveries.iter_mut().for_each(|delivery| delivery.attempts = u32::MAX);
        let outcomes = self.ingest.ingest_until(&deliveries, deadline).await;
        deliveries
            .iter()
            .zip(&outcomes)
            .for_each(|(delivery, outcome)| report.delivery(delivery, None, outcome));
        if let Some(error) = fatal(&outcomes) {
            return Err(Failure::Fatal(error));
        }
        // Lambda knows no partial failure of a direct event. Its retry finds the finished photos
        // done.
        let failed: Vec<_> = failed(&outcomes).collect();
        match failed.first() {
            Some(first) => Err(Failure::Retry(failed.len(), Arc::clone(first))),
            None => Ok(Response::Outcomes(report.outcomes().clone())),
        }
    }
}

fn failed(outcomes: &[DeliveryOutcome]) -> impl Iterator<Item = &Arc<Error>> {
    outcomes.iter().filter_map(|outcome| match outcome {
        DeliveryOutcome::Failed(error) => Some(error),
        _ => None,
    })
}

fn fatal(outcomes: &[DeliveryOutcome]) -> Option<Arc<Error>> {
    failed(outcomes).find(|error| error.disposition() == Disposition::Fatal).cloned()
}

/// Converts Lambda's deadline from the wall clock to the monotonic clock.
fn instant_of(deadline: SystemTime) -> Instant {
    // A deadline in the past becomes the present, which `Deadline` treats as no deadline.
    let now = Instant::now();
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    now.checked_add(left).unwrap_or(now)
}
