//! Deliveries to outcomes: the heart of the system, the same in a Lambda, on Spark and on a laptop.
//!
//! Nothing is acknowledged before it is durably in S3: an outcome other than [`Outcome::Failed`] means that the row, reject or
//! removal is written. Delivery is at least once and in any order; doing all of this twice, or at once, does no harm.
//! One bad photo never costs its batch, and no slow one does: see `deadline`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::StreamExt;
use time::{Date, OffsetDateTime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::apart::{apart, wait};
use crate::deadline::{Deadline, Pace};
use crate::embed::Embedder;
use crate::error::{Disposition, Error, Result};
use crate::event::{Change, Delivery};
use crate::memory::{Memory, permits};
use crate::model::{ModelCard, ModelInput};
use crate::partition::{Part, Partition};
use crate::photo::Photo;
use crate::pixels::{self, Limits, Square};
use crate::reject::{Reject, RejectCode, Rejection};
use crate::removal::Removal;
use crate::store::{Put, Store};
use crate::table::{self, Row};

/// Photos on their way at once: more than are embedded at once, for S3 takes its time.
const IN_FLIGHT: usize = 16;

/// What became of a delivery.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// The row is in the part.
    Embedded {
        /// The photo.
        photo: Photo,
        /// Where its row is.
        part: Part,
        /// Whether the part was there before: the batch was delivered twice.
        already: bool,
        /// Where the time went.
        took: Took,
    },
    /// The photo can't be embedded; the reject is written.
    Rejected {
        /// The photo.
        photo: Photo,
        /// Why.
        rejection: Rejection,
        /// Where the time went, as far as it came.
        took: Took,
    },
    /// The photo was deleted before we came.
    Gone,
    /// The key is gone; the removal is written.
    Removed,
    /// Something was removed at the key, but there is still a photo: an old version went, or a delete marker was undone.
    StillThere,
    /// Not a photo: an empty key that stands for a folder.
    Ignored,
    /// Nothing is written; [`Error::disposition`] says whether to try again.
    Failed(Arc<Error>),
}

/// How long each stage of one photo took. What it waited for its turn is not counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Took {
    /// From the request to the last byte.
    pub fetch: Duration,
    /// Bytes to square.
    pub decode: Duration,
    /// Square to embedding.
    pub embed: Duration,
    /// Rows to the part that is written, which photos of one day share; of a reject, its writing.
    pub write: Duration,
}

/// Everything that ingesting needs. Built once, before the first event; shared by all batches.
pub struct Ingest {
    store: Store,
    results_bucket: String,
    embedder: Arc<dyn Embedder>,
    limits: Limits,
    made_by: String,
    /// As many photos are embedded at once.
    threads: Arc<Semaphore>,
    /// As many are embedded or wait for that on a thread.
    turns: Arc<Semaphore>,
    memory: Memory,
    pace: Pace,
}

/// What a delivery came to before anything of the batch is written.
enum Step {
    Row(Box<Row>, Took),
    Done(Outcome),
}

impl Ingest {
    /// Embeds on at most `threads` threads and writes to `results_bucket`.
    #[must_use]
    pub fn new(
        store: Store,
        results_bucket: impl Into<String>,
        embedder: Arc<dyn Embedder>,
        limits: Limits,
        threads: usize,
    ) -> Self {
        let made_by = format!("fruitvec {} {}", env!("CARGO_PKG_VERSION"), embedder.engine());
        let side = embedder.card().input.side;
        Self {
            store,
            results_bucket: results_bucket.into(),
            embedder,
            limits,
            made_by,
            threads: Arc::new(Semaphore::new(threads.max(1))),
            turns: Arc::new(Semaphore::new(2 * threads.max(1))),
            memory: Memory::new(&limits, side),
            pace: Pace::new(),
        }
    }

    /// The card of the model that embeds.
    #[must_use]
    pub fn card(&self) -> &ModelCard {
        self.embedder.card()
    }

    /// One outcome for each delivery, in their order. The rows of one day become one part; they are all held until then, so
    /// a batch is some hundreds of deliveries, not thousands.
    pub async fn ingest(&self, deliveries: &[Delivery]) -> Vec<Outcome> {
        self.ingest_within(deliveries, &Deadline::none(&self.pace)).await
    }

    /// [`Ingest::ingest`] that is over before `end`: what there is no time for fails with [`Error::OutOfTime`].
    pub async fn ingest_until(&self, deliveries: &[Delivery], end: Instant) -> Vec<Outcome> {
        self.ingest_within(deliveries, &Deadline::at(&self.pace, end)).await
    }

    async fn ingest_within(&self, deliveries: &[Delivery], deadline: &Deadline<'_>) -> Vec<Outcome> {
        let unique = Unique::of(deliveries);
        let steps = futures::stream::iter(unique.deliveries.iter().enumerate())
            .map(async |(index, delivery)| (index, self.step(delivery, deadline).await))
            .buffer_unordered(IN_FLIGHT)
            .collect::<Vec<_>>()
            .await;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; unique.deliveries.len()];
        let mut days: BTreeMap<_, Vec<(usize, Row, Took)>> = BTreeMap::new();
        for (index, step) in steps {
            match step {
                Step::Row(row, took) => {
                    days.entry(row.photo.date()).or_default().push((index, *row, took));
                }
                Step::Done(outcome) => outcomes[index] = Some(outcome),
            }
        }
        let parts = days.into_iter().map(|(date, rows)| self.write(date, rows, deadline));
        for (index, outcome) in futures::future::join_all(parts).await.into_iter().flatten() {
            outcomes[index] = Some(outcome);
        }
        unique.spread(&outcomes)
    }

    async fn step(&self, delivery: &Delivery, deadline: &Deadline<'_>) -> Step {
        let work = async {
            deadline.begin()?;
            match delivery.change {
                Change::Created => self.photo(delivery, deadline).await,
                Change::Removed => self.removal(delivery).await.map(Step::Done),
            }
        };
        deadline.photo(work).await.unwrap_or_else(|error| {
            Step::Done(match error.disposition() {
                Disposition::Gone => Outcome::Gone,
                _ => Outcome::Failed(Arc::new(error)),
            })
        })
    }

    /// A photo's row, or its reject, written.
    async fn photo(&self, delivery: &Delivery, deadline: &Deadline<'_>) -> Result<Step> {
        let mut took = Took::default();
        let opened = match timed(&mut took.fetch, self.store.open(&delivery.bucket, &delivery.key)).await {
            Err(Error::Reject(rejection)) => {
                let photo = self.store.head(&delivery.bucket, &delivery.key).await.map_err(one_object)?;
                return self.reject(photo, rejection, took).await;
            }
            opened => opened.map_err(one_object)?,
        };
        let photo = opened.photo.clone();
        // The console makes folders of empty objects whose keys end in a slash.
        if photo.size_bytes == 0 && photo.key.ends_with('/') {
            return Ok(Step::Done(Outcome::Ignored));
        }
        if let Err(rejection) = self.limits.check_bytes(photo.size_bytes) {
            return self.reject(photo, rejection, took).await;
        }
        let body = self.memory.body(photo.size_bytes).await?;
        let bytes = timed(&mut took.fetch, opened.read()).await?;
        let embedded = self.embedded(bytes, body, deadline, &mut took).await;
        if !matches!(embedded, Err(Error::OutOfTime(_))) {
            self.pace.photo_took(took.fetch + took.decode + took.embed);
        }
        match embedded {
            Ok((embedding, (width, height))) => {
                let embedded_at = OffsetDateTime::now_utc();
                let made_by = self.made_by.clone();
                let row = Row { photo, width, height, embedding, embedded_at, made_by };
                Ok(Step::Row(Box::new(row), took))
            }
            Err(Error::Reject(rejection)) => self.reject(photo, rejection, took).await,
            Err(error) => Err(error),
        }
    }

    /// Embedding, width and height of a picture. The arithmetic runs on threads that may block, and may panic.
    async fn embedded(
        &self,
        bytes: Bytes,
        body: OwnedSemaphorePermit,
        deadline: &Deadline<'_>,
        took: &mut Took,
    ) -> Result<Embedded> {
        // For each photo that is embedded one more waits on a thread of its own, and goes on in the moment that the other is done.
        let _turn = permits(&self.turns, 1).await?;
        deadline.begin()?;
        let wanted = Arc::new(());
        let (still, threads) = (Arc::downgrade(&wanted), Arc::clone(&self.threads));
        let work = Arithmetic {
            embedder: Arc::clone(&self.embedder),
            limits: self.limits,
            memory: self.memory.clone(),
            took: *took,
        };
        let work = unpanicked(move || {
            let _thread = wait(permits(&threads, 1))?;
            match still.strong_count() {
                0 => Err(Error::OutOfTime("nobody waits for it any more".into())),
                _ => Ok(work.embedded(bytes, body)),
            }
        });
        let embedded;
        (embedded, *took) = work.await?;
        drop(wanted);
        embedded
    }

    async fn reject(&self, photo: Photo, rejection: Rejection, mut took: Took) -> Result<Step> {
        let reject = Reject::new(photo.clone(), rejection.clone(), &self.made_by);
        let record = reject.record(&self.store, &self.results_bucket, &self.card().id);
        timed(&mut took.write, record).await?;
        Ok(Step::Done(Outcome::Rejected { photo, rejection, took }))
    }

    /// A removal event does not say what is left at the key, so S3 is asked.
    async fn removal(&self, delivery: &Delivery) -> Result<Outcome> {
        match self.store.head(&delivery.bucket, &delivery.key).await {
            Ok(present) => {
                Removal::retract(&self.store, &self.results_bucket, &present).await?;
                return Ok(Outcome::StillThere);
            }
            Err(Error::Gone { .. }) => (),
            Err(error) => return Err(one_object(error)),
        }
        let (bucket, key) = (delivery.bucket.clone(), delivery.key.clone());
        let removal = Removal { bucket, key, up_to: delivery.at, spares: None };
        removal.record(&self.store, &self.results_bucket).await?;
        Ok(Outcome::Removed)
    }

    /// Writes the rows of one day as one part.
    async fn write(
        &self,
        date: Date,
        rows: Vec<(usize, Row, Took)>,
        deadline: &Deadline<'_>,
    ) -> Vec<(usize, Outcome)> {
        let photos: Vec<_> =
            rows.iter().map(|(index, row, took)| (*index, row.photo.clone(), *took)).collect();
        let mut write = Duration::ZERO;
        let put = self.put(date, rows.into_iter().map(|(_, row, _)| row).collect());
        let written = timed(&mut write, deadline.part(put)).await.map_err(Arc::new);
        self.pace.write_took(write);
        photos
            .into_iter()
            .map(|(index, photo, took)| match &written {
                Ok((part, put)) => {
                    let (already, took) = (*put == Put::Exists, Took { write, ..took });
                    (index, Outcome::Embedded { photo, part: part.clone(), already, took })
                }
                Err(error) => (index, Outcome::Failed(Arc::clone(error))),
            })
            .collect()
    }

    async fn put(&self, date: Date, mut rows: Vec<Row>) -> Result<(Part, Put)> {
        let partition = Partition { model: self.card().id.clone(), date };
        let part = Part { partition, name: table::part_name(&rows) };
        let card = self.card().clone();
        let bytes = apart(move || table::encode(&mut rows, &card)).await?;
        let key = part.embeddings_key();
        let put = self.store.put_if_absent(&self.results_bucket, &key, table::MEDIA_TYPE, bytes).await?;
        Ok((part, put))
    }
}

/// The embedding of a picture, and its width and height.
type Embedded = (Vec<f32>, (u32, u32));

/// What is done with a picture on one thread, and how long it took.
struct Arithmetic {
    embedder: Arc<dyn Embedder>,
    limits: Limits,
    memory: Memory,
    took: Took,
}

impl Arithmetic {
    fn embedded(mut self, bytes: Bytes, body: OwnedSemaphorePermit) -> (Result<Embedded>, Took) {
        let embedded = self.decoded(bytes, body).and_then(|(square, size)| {
            let start = Instant::now();
            let embedding = self.embedder.embed(&square);
            self.took.embed += start.elapsed();
            Ok((embedding?, size))
        });
        (embedded, self.took)
    }

    /// The square, and the picture's width and height. When it is made, the budget has its shares back.
    fn decoded(&mut self, bytes: Bytes, body: OwnedSemaphorePermit) -> Result<(Square, (u32, u32))> {
        let &ModelInput { side, fit, filter, .. } = &self.embedder.card().input;
        let start = Instant::now();
        let pending = pixels::inspect(bytes, &self.limits);
        self.took.decode += start.elapsed();
        let pending = pending?;
        let size = (pending.header().width, pending.header().height);
        let room = wait(self.memory.pixels(pending.memory(side, fit)))?;
        let start = Instant::now();
        let square = pending.square(side, fit, filter);
        self.took.decode += start.elapsed();
        drop((pending, body, room));
        Ok((square?, size))
    }
}

/// Runs a step on a thread that may block; its panic is the photo's rejection.
async fn unpanicked<T: Send + 'static>(step: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(step).await.unwrap_or_else(|ended| {
        if !ended.is_panic() {
            return Err(Error::Internal(format!("embedding it was broken off: {ended}")));
        }
        let message = format!("embedding it panicked: {ended}; export the picture again");
        Err(Rejection::new(RejectCode::Panicked, message).into())
    })
}

/// What the work gives; how long it took is added to `spent`, whether it succeeds or not.
async fn timed<T>(spent: &mut Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let start = Instant::now();
    let made = work.await;
    *spent += start.elapsed();
    made
}

/// Whatever S3 answers about one photo (its key was taken away, its bucket is another's) says nothing of the others: it is tried
/// again until the queue gives it up, and never ends the batch.
fn one_object(error: Error) -> Error {
    match error {
        Error::S3 { verb, bucket, key, cause, .. } => Error::S3 { verb, bucket, key, cause, passing: true },
        error => error,
    }
}

/// The deliveries of a batch, each thing to do once: queues deliver twice.
struct Unique {
    deliveries: Vec<Delivery>,
    /// For each delivery of the batch, its place in `deliveries`.
    places: Vec<usize>,
}

impl Unique {
    fn of(batch: &[Delivery]) -> Self {
        let mut unique = Self { deliveries: Vec::new(), places: Vec::with_capacity(batch.len()) };
        let mut known = HashMap::new();
        for delivery in batch {
            let next = unique.deliveries.len();
            let place = *known.entry((&delivery.bucket, &delivery.key, delivery.change)).or_insert(next);
            if place == next {
                unique.deliveries.push(delivery.clone());
            }
            // Of several removals of a key the latest reaches furthest.
            let at = &mut unique.deliveries[place].at;
            *at = delivery.at.max(*at);
            unique.places.push(place);
        }
        unique
    }

    fn spread(&self, outcomes: &[Option<Outcome>]) -> Vec<Outcome> {
        let lost = || Outcome::Failed(Arc::new(Error::Internal("a delivery was lost".into())));
        self.places.iter().map(|&place| outcomes[place].clone().unwrap_or_else(lost)).collect()
    }
}
