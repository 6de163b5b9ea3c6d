//! Whether there is anything to do for a cluster, as far as a bounded look can tell.
//!
//! A look lists, and never reads photos or parts. It stops at the first thing that a cluster is needed for; where it would have to list
//! more than it may, it can't tell, and then a cluster is launched: needless work costs little, work not done is a fault.

use fruitvec::commit::RunRecord;
use fruitvec::error::Error as LibraryError;
use fruitvec::partition::{Part, REMOVALS_PREFIX, embeddings_prefix, format_date, rejects_prefix};
use fruitvec::refit::newest;
use fruitvec::run::{Job, VERSION};
use fruitvec::store::{Listed, Store};
use time::{Date, Duration, OffsetDateTime};

use crate::config::Config;
use crate::error::Result;
use crate::job::Launch;

/// What a look comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Work {
    /// There is something to do: what was seen.
    Something(String),
    /// There is nothing to do: how that is known.
    Nothing(String),
    /// There is too much to look at.
    Unknown,
}

/// Below it lie the folders of the runs.
pub const RUNS_PREFIX: &str = "runs/";
/// S3 dates objects in whole seconds, and clocks differ: what is so little older counts as newer.
const BLUR: Duration = Duration::seconds(5);
/// Runs whose record is looked for, from the newest on: one that failed has none.
const RUNS: usize = 10;

/// One look. It is used up by looking.
#[derive(Debug)]
pub struct Look<'a> {
    store: &'a Store,
    config: &'a Config,
    pages: u32,
    today: Date,
}

/// What was seen below a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Seen {
    /// Objects, as far as they were listed.
    count: u64,
    /// Something newer than wanted was among them: no more were listed.
    changed: bool,
    /// All of them were listed.
    complete: bool,
}

impl<'a> Look<'a> {
    /// A look of as many pages as the settings allow.
    #[must_use]
    pub fn new(store: &'a Store, config: &'a Config) -> Self {
        Self { store, config, pages: config.look_pages, today: OffsetDateTime::now_utc().date() }
    }

    /// Whether there is anything to do for this launch. Who gives parameters has a reason that no listing shows, so then any photo or
    /// part is something to do.
    ///
    /// # Errors
    /// Of S3, or of a record that does not hold what it should.
    pub async fn at(mut self, launch: &Launch) -> Result<Work> {
        let asked = !launch.parameters.is_empty();
        match launch.job {
            Job::Backfill => self.backfill(asked).await,
            Job::Compact => {
                let run = if asked { None } else { self.newest_run().await? };
                self.compact(run.as_ref()).await
            }
            Job::Pca => self.pca(asked).await,
            Job::Rebuild => match self.backfill(asked).await? {
                Work::Nothing(first) => match self.pca(asked).await? {
                    Work::Nothing(second) => Ok(Work::Nothing(format!("{first}; {second}"))),
                    work => Ok(work),
                },
                work => Ok(work),
            },
        }
    }

    async fn backfill(&mut self, asked: bool) -> Result<Work> {
        let run = if asked { None } else { self.newest_run().await? };
        let photos =
            self.seen(&self.config.photos_bucket, "", run.as_ref().map(|run| run.started_at), |_| ()).await?;
        if let Some(work) = photos.work("a photo") {
            return Ok(work);
        }
        if let Some(run) = run.as_ref().filter(|run| run.photos_listed != photos.count) {
            return Ok(Work::Something(format!(
                "{} photos, {} in {}",
                photos.count, run.photos_listed, run.run
            )));
        }
        self.compact(run.as_ref()).await
    }

    /// Whether parts are to be written anew, or there are other parts, rejects or removals than this run left.
    async fn compact(&mut self, run: Option<&RunRecord>) -> Result<Work> {
        let results_bucket = &self.config.results_bucket;
        let mut days = Days { today: self.today, last: None, crowded: None };
        // What is not younger than its end is its own, or was made while it ran.
        let since = run.map(|run| run.finished_at);
        let model = &self.config.model;
        let parts =
            self.seen(results_bucket, &embeddings_prefix(model), since, |part| days.note(part)).await?;
        if let Some(work) = parts.work("a part") {
            return Ok(work);
        }
        if let Some(day) = days.crowded {
            return Ok(Work::Something(format!("several parts of {}", format_date(day))));
        }
        let Some(run) = run else { return Ok(Work::Nothing("there is neither a photo nor a part".into())) };
        match self.verdicts(since).await? {
            Some(work) => Ok(work),
            None => Ok(Work::Nothing(format!("nothing has changed since {}", run.run))),
        }
    }

    async fn pca(&mut self, asked: bool) -> Result<Work> {
        let (bucket, model) = (&self.config.results_bucket, &self.config.model);
        let fit = if asked { None } else { newest(self.store, bucket, model).await? };
        let since = fit.as_ref().map(|fit| fit.taken_at);
        let prefix = embeddings_prefix(&self.config.model);
        let parts = self.seen(&self.config.results_bucket, &prefix, since, |_| ()).await?;
        if let Some(work) = parts.work("a part") {
            return Ok(work);
        }
        let fit = match fit {
            Some(fit) if parts.count > 0 => fit,
            _ => return Ok(Work::Nothing("there are no parts".into())),
        };
        match self.verdicts(since).await? {
            Some(work) => Ok(work),
            None => Ok(Work::Nothing(format!("nothing has changed since the fit {}", fit.fit))),
        }
    }

    /// What has come to rejects and removals.
    async fn verdicts(&mut self, since: Option<OffsetDateTime>) -> Result<Option<Work>> {
        let bucket = &self.config.results_bucket;
        let rejects = self.seen(bucket, &rejects_prefix(&self.config.model), since, |_| ()).await?;
        if let Some(work) = rejects.work("a reject") {
            return Ok(Some(work));
        }
        Ok(self.seen(bucket, REMOVALS_PREFIX, since, |_| ()).await?.work("a removal"))
    }

    /// Lists what lies below a prefix, up to the first object that is newer than `since`: any one, where that is none.
    async fn seen(
        &mut self,
        bucket: &str,
        prefix: &str,
        since: Option<OffsetDateTime>,
        mut each: impl FnMut(&Listed),
    ) -> Result<Seen> {
        let mut seen = Seen::default();
        let mut token = None;
        while self.take_page() {
            let page = self.store.page(bucket, prefix, false, token).await?;
            for object in page.objects.iter().filter(|object| !is_folder(object)) {
                seen.count += 1;
                seen.changed |= since.is_none_or(|since| object.last_modified > since - BLUR);
                each(object);
            }
            token = page.next;
            seen.complete = token.is_none();
            if seen.complete || seen.changed {
                break;
            }
        }
        Ok(seen)
    }

    /// The newest run that embedded with this model and came to its end. A rebuild is a backfill too.
    async fn newest_run(&mut self) -> Result<Option<RunRecord>> {
        let bucket = &self.config.results_bucket;
        let mut folders = Vec::new();
        let mut token = None;
        while self.take_page() {
            let page = self.store.page(bucket, RUNS_PREFIX, true, token).await?;
            folders.extend(page.folders);
            token = page.next;
            if token.is_none() {
                break;
            }
        }
        folders.retain(|folder| folder.ends_with("-backfill/") || folder.ends_with("-rebuild/"));
        // They begin with their time.
        folders.sort_unstable_by(|a, b| b.cmp(a));
        for folder in folders.iter().take(RUNS) {
            match self.store.get(bucket, &format!("{folder}run.json")).await {
                // One of a later version is as good as none: a cluster is launched.
                Ok(bytes) => match serde_json::from_slice::<RunRecord>(&bytes) {
                    Ok(run) if run.version == VERSION && run.model == self.config.model => {
                        return Ok(Some(run));
                    }
                    Ok(_) => (),
                    Err(cause) => tracing::warn!(folder, %cause, "its run.json can't be read"),
                },
                Err(LibraryError::Gone { .. }) => (),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    fn take_page(&mut self) -> bool {
        let left = self.pages.checked_sub(1);
        self.pages = left.unwrap_or(0);
        left.is_some()
    }
}

impl Seen {
    /// What it alone decides.
    fn work(self, what: &str) -> Option<Work> {
        match self {
            Self { changed: true, .. } => Some(Work::Something(format!("{what} is new"))),
            Self { complete: false, .. } => Some(Work::Unknown),
            _ => None,
        }
    }
}

/// Days with several parts, as the listing goes by: there compaction has work. Today fills up still.
struct Days {
    today: Date,
    last: Option<Date>,
    crowded: Option<Date>,
}

impl Days {
    fn note(&mut self, object: &Listed) {
        let Some(day) = Part::of_embeddings_key(&object.key).map(|part| part.partition.date) else { return };
        if self.last == Some(day) && day < self.today {
            self.crowded = self.crowded.or(Some(day));
        }
        self.last = Some(day);
    }
}

/// What consoles make to show a folder: no photo.
fn is_folder(object: &Listed) -> bool {
    object.size_bytes == 0 && object.key.ends_with('/')
}
