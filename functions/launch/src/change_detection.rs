//! Detects whether a launch has anything to do, by a bounded number of S3 listings.
//!
//! The scan never reads photos or parts. It stops at the first change that needs a cluster. When it
//! would exceed its page limit, the cluster is launched: unneeded work costs little, while skipped
//! work is a bug.

use fruitvec_core::contract::layout::{
    Part, REMOVALS_PREFIX, embeddings_prefix, format_date, rejects_prefix,
};
use fruitvec_core::contract::run::{Job, RunRecord, VERSION};
use fruitvec_core::error::Error as CoreError;
use fruitvec_core::s3::client::{ObjectMeta, Store};
use fruitvec_core::s3::newest_fit;
use time::{Date, Duration, OffsetDateTime};

use crate::config::Config;
use crate::error::Result;
use crate::launch_request::Launch;

/// The result of a scan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScanResult {
    /// There is something to do, for this reason.
    Work(String),
    /// There is nothing to do, for this reason.
    NoWork(String),
    /// The page limit was reached before either was certain.
    Unknown,
}

const RUNS_PREFIX: &str = "runs/";
/// How much older than a run an object may seem and still count as newer.
///
/// S3 rounds to whole seconds, and the clocks of S3 and the run differ slightly.
const CLOCK_SKEW: Duration = Duration::seconds(5);
/// How many of the newest runs are searched for a record. A failed run has none.
const MAX_RUNS: usize = 10;

/// Scans S3 for changes since the last run or fit.
#[derive(Debug)]
pub struct ChangeScan<'a> {
    store: &'a Store,
    config: &'a Config,
    pages_left: u32,
    today: Date,
}

/// The result of listing a prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct PrefixScan {
    /// The number of objects listed.
    count: u64,
    /// Whether a newer object was found, which stops the listing.
    changed: bool,
    /// Whether the whole prefix was listed.
    complete: bool,
}

impl<'a> ChangeScan<'a> {
    /// Creates a scan with the page limit of the settings.
    #[must_use]
    pub fn new(store: &'a Store, config: &'a Config) -> Self {
        Self { store, config, pages_left: config.max_listed_pages, today: OffsetDateTime::now_utc().date() }
    }

    /// Scans for work for a launch.
    ///
    /// # Errors
    /// [`crate::Error::Core`] when S3 fails or a record is invalid.
    pub async fn run(mut self, launch: &Launch) -> Result<ScanResult> {
        // Parameters express a reason that no listing shows. Then any photo or part counts as work.
        let unconditional = !launch.parameters.is_empty();
        match launch.job {
            Job::Backfill => self.backfill(unconditional).await,
            Job::Compact => {
                let run = if unconditional { None } else { self.newest_run().await? };
                self.compact(run.as_ref()).await
            }
            Job::Pca => self.pca(unconditional).await,
            Job::Rebuild => match self.backfill(unconditional).await? {
                ScanResult::NoWork(first) => match self.pca(unconditional).await? {
                    ScanResult::NoWork(second) => Ok(ScanResult::NoWork(format!("{first}; {second}"))),
                    result => Ok(result),
                },
                result => Ok(result),
            },
        }
    }

    async fn backfill(&mut self, unconditional: bool) -> Result<ScanResult> {
        let run = if unconditional { None } else { self.newest_run().await? };
        let since = run.as_ref().map(|run| run.started_at);
        let photos = self.scan_prefix(&self.config.photos_bucket, "", since, |_| ()).await?;
        if let Some(result) = photos.result("a photo") {
            return Ok(result);
        }
        // Without a newer photo, a different count means that photos were deleted.
        if let Some(run) = run.as_ref().filter(|run| run.photos_listed != photos.count) {
            return Ok(ScanResult::Work(format!(
                "{} photos now, {} listed by {}",
                photos.count, run.photos_listed, run.run
            )));
        }
        self.compact(run.as_ref()).await
    }

    /// Checks for days to compact, and for parts, rejects or removals that are newer than the run.
    async fn compact(&mut self, run: Option<&RunRecord>) -> Result<ScanResult> {
        let results_bucket = &self.config.results_bucket;
        let mut days = DayScan { today: self.today, last: None, scattered: None };
        // Objects written before the run finished are its own, or were written while it ran.
        let since = run.map(|run| run.finished_at);
        let prefix = embeddings_prefix(&self.config.model);
        let parts = self.scan_prefix(results_bucket, &prefix, since, |part| days.add(part)).await?;
        if let Some(result) = parts.result("a part") {
            return Ok(result);
        }
        if let Some(day) = days.scattered {
            return Ok(ScanResult::Work(format!("several parts of {}", format_date(day))));
        }
        let Some(run) = run else {
            return Ok(ScanResult::NoWork("there are neither photos nor parts".into()));
        };
        match self.rejects_or_removals_changed(since).await? {
            Some(result) => Ok(result),
            None => Ok(ScanResult::NoWork(format!("nothing has changed since {}", run.run))),
        }
    }

    async fn pca(&mut self, unconditional: bool) -> Result<ScanResult> {
        let (bucket, model) = (&self.config.results_bucket, &self.config.model);
        let fit = if unconditional { None } else { newest_fit(self.store, bucket, model).await? };
        let since = fit.as_ref().map(|fit| fit.taken_at);
        let parts = self.scan_prefix(bucket, &embeddings_prefix(model), since, |_| ()).await?;
        if let Some(result) = parts.result("a part") {
            return Ok(result);
        }
        let fit = match fit {
            Some(fit) if parts.count > 0 => fit,
            _ => return Ok(ScanResult::NoWork("there are no parts".into())),
        };
        match self.rejects_or_removals_changed(since).await? {
            Some(result) => Ok(result),
            None => Ok(ScanResult::NoWork(format!("nothing has changed since the fit {}", fit.fit))),
        }
    }

    async fn rejects_or_removals_changed(
        &mut self,
        since: Option<OffsetDateTime>,
    ) -> Result<Option<ScanResult>> {
        let bucket = &self.config.results_bucket;
        let rejects = self.scan_prefix(bucket, &rejects_prefix(&self.config.model), since, |_| ()).await?;
        if let Some(result) = rejects.result("a reject") {
            return Ok(Some(result));
        }
        Ok(self.scan_prefix(bucket, REMOVALS_PREFIX, since, |_| ()).await?.result("a removal"))
    }

    /// Lists a prefix until an object is newer than `since`. With `None`, every object counts as
    /// newer.
    async fn scan_prefix(
        &mut self,
        bucket: &str,
        prefix: &str,
        since: Option<OffsetDateTime>,
        mut each: impl FnMut(&ObjectMeta),
    ) -> Result<PrefixScan> {
        let mut scan = PrefixScan::default();
        let mut token = None;
        while self.take_page() {
            let page = self.store.page(bucket, prefix, false, token).await?;
            for object in page.objects.iter().filter(|object| !is_folder(object)) {
                scan.count += 1;
                scan.changed |= since.is_none_or(|since| object.last_modified > since - CLOCK_SKEW);
                each(object);
            }
            token = page.next;
            scan.complete = token.is_none();
            if scan.complete || scan.changed {
                break;
            }
        }
        Ok(scan)
    }

    /// Returns the newest finished run that embedded photos with this model.
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
        // A rebuild includes a backfill.
        folders.retain(|folder| folder.ends_with("-backfill/") || folder.ends_with("-rebuild/"));
        // Newest first, because a run's id starts with its time.
        folders.sort_unstable_by(|a, b| b.cmp(a));
        for folder in folders.iter().take(MAX_RUNS) {
            match self.store.get_json::<RunRecord>(bucket, &format!("{folder}run.json")).await {
                Ok(Some(run)) if run.version == VERSION && run.model == self.config.model => {
                    return Ok(Some(run));
                }
                // An unfinished run, another model, or a record of a later version. Ignoring such a
                // record is safe: without any record, a cluster is launched.
                Ok(_) => (),
                Err(cause @ CoreError::Schema { .. }) => {
                    tracing::warn!(folder, %cause, "run.json is invalid and was ignored");
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(None)
    }

    /// Uses up one page of the limit. Returns `false` when none is left.
    fn take_page(&mut self) -> bool {
        let left = self.pages_left.checked_sub(1);
        self.pages_left = left.unwrap_or(0);
        left.is_some()
    }
}

impl PrefixScan {
    /// Returns the result if this prefix alone decides it.
    fn result(self, newest: &str) -> Option<ScanResult> {
        match self {
            Self { changed: true, .. } => Some(ScanResult::Work(format!("{newest} is new"))),
            Self { complete: false, .. } => Some(ScanResult::Unknown),
            _ => None,
        }
    }
}

/// Finds the first day with several parts, which compaction would merge.
struct DayScan {
    today: Date,
    last: Option<Date>,
    scattered: Option<Date>,
}

impl DayScan {
    /// Adds the next object of the listing, which is sorted by day.
    fn add(&mut self, object: &ObjectMeta) {
        let Some(day) = Part::of_embeddings_key(&object.key).map(|part| part.partition.date) else { return };
        // Today still receives parts, so compacting it would soon have to be repeated.
        if self.last == Some(day) && day < self.today {
            self.scattered = self.scattered.or(Some(day));
        }
        self.last = Some(day);
    }
}

/// Returns whether the object is the placeholder that a console creates for a folder.
fn is_folder(object: &ObjectMeta) -> bool {
    object.size_bytes == 0 && object.key.ends_with('/')
}
