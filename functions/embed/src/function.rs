//! The function: built once, then invoked again and again.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use fruitvec::config::Config;
use fruitvec::embed;
use fruitvec::error::{Disposition, Error, Result};
use fruitvec::event::{self, Delivery, Invocation, Message};
use fruitvec::ingest::{Ingest, Outcome};
use fruitvec::model::ModelCard;
use fruitvec::store::Store;
use lambda_runtime::LambdaEvent;
use serde_json::value::RawValue;

use crate::answer::Answer;
use crate::batch::Batch;
use crate::failure::Failure;
use crate::models;
use crate::report::Report;

/// What all invocations share.
pub struct Function {
    ingest: Ingest,
    /// What starting took, until the first invocation has told it.
    init: Mutex<Option<Duration>>,
}

impl Function {
    /// Reads the settings, and loads, optimises and probes the model, which all takes place before the first event is asked for. `start`
    /// is when the program began.
    ///
    /// # Errors
    /// [`Error::Config`] and [`Error::Model`] say what is missing or wrong.
    pub async fn start(variable: impl Fn(&str) -> Option<String>, start: Instant) -> Result<Self> {
        let config = Config::read(&variable)?;
        let folder = models::folder(config.models_dir, &variable);
        let card = ModelCard::find(&config.model, folder.as_deref())?;
        let embedder = embed::load_with(&card, folder.as_deref(), config.engine)?;
        let store = Store::from_environment().await;
        let ingest = Ingest::new(store, config.results_bucket, embedder, config.limits, config.threads);
        Ok(Self { ingest, init: Mutex::new(Some(start.elapsed())) })
    }

    /// Does what an event asks for, whole; see the README of `events/` for what it may be.
    ///
    /// # Errors
    /// A [`Failure`] acknowledges nothing.
    pub async fn handle(&self, event: LambdaEvent<Box<RawValue>>) -> Result<Answer, Failure> {
        let end = end(event.context.deadline());
        let init = self.init.lock().unwrap_or_else(PoisonError::into_inner).take();
        let mut report = Report::new(init);
        let invocation = event::invocation(event.payload.get());
        let answer = match invocation.map_err(|error| Failure::Event(Arc::new(error))) {
            Ok(Invocation::Messages(messages)) => self.messages(messages, end, &mut report).await,
            Ok(Invocation::Deliveries(deliveries)) => self.deliveries(&deliveries, end, &mut report).await,
            Err(failure) => Err(failure),
        };
        report.print();
        answer
    }

    /// Each message fails alone; only what nothing will cure fails them all.
    async fn messages(
        &self,
        messages: Vec<Message>,
        end: Instant,
        report: &mut Report,
    ) -> Result<Answer, Failure> {
        let batch = Batch::of(messages);
        let outcomes = self.ingest.ingest_until(&batch.deliveries, end).await;
        for (place, (delivery, outcome)) in batch.deliveries.iter().zip(&outcomes).enumerate() {
            report.delivery(delivery, batch.message_of(place), outcome);
        }
        batch.unread().for_each(|(message, error)| report.unread(message, error));
        match fatal(&outcomes) {
            Some(error) => Err(Failure::Fatal(error)),
            None => Ok(Answer::Batch { failures: batch.failures(&outcomes) }),
        }
    }

    /// There is no answer that says which part of an event failed, so all of it does; what is done already is then found done.
    async fn deliveries(
        &self,
        deliveries: &[Delivery],
        end: Instant,
        report: &mut Report,
    ) -> Result<Answer, Failure> {
        let outcomes = self.ingest.ingest_until(deliveries, end).await;
        deliveries
            .iter()
            .zip(&outcomes)
            .for_each(|(delivery, outcome)| report.delivery(delivery, None, outcome));
        if let Some(error) = fatal(&outcomes) {
            return Err(Failure::Fatal(error));
        }
        let failed: Vec<_> = failed(&outcomes).collect();
        match failed.first() {
            Some(first) => Err(Failure::Retry(failed.len(), Arc::clone(first))),
            None => Ok(Answer::Outcomes(report.outcomes().clone())),
        }
    }
}

fn failed(outcomes: &[Outcome]) -> impl Iterator<Item = &Arc<Error>> {
    outcomes.iter().filter_map(|outcome| match outcome {
        Outcome::Failed(error) => Some(error),
        _ => None,
    })
}

fn fatal(outcomes: &[Outcome]) -> Option<Arc<Error>> {
    failed(outcomes).find(|error| error.disposition() == Disposition::Fatal).cloned()
}

/// When an invocation ends, on the clock that measures; Lambda tells it on the one of the wall.
fn end(deadline: SystemTime) -> Instant {
    let now = Instant::now();
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    now.checked_add(left).unwrap_or(now)
}
