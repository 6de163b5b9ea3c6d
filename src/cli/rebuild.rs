//! `fruitvec rebuild`: a whole run on this machine.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use clap::Args;
use fruitvec::drive::{Step, drive, interrupted};
use fruitvec::error::Result;
use fruitvec::plan::Wishes;
use fruitvec::refit::Refitted;
use fruitvec::run::{Job, Run, Stage};
use indicatif::{ProgressBar, ProgressStyle};

use super::batch::{Wished, tell_committed, tell_planned};
use super::place::{Means, Place, worker};
use super::{ModelChoice, show_fit};

/// Make the table what S3 holds, compact it, and refit the PCA.
#[derive(Args)]
pub(crate) struct Rebuild {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    model: ModelChoice,
    #[command(flatten)]
    means: Means,
    #[command(flatten)]
    wished: Wished,
    /// Do only this: backfill (with compact), compact, or pca.
    #[arg(long, default_value = "rebuild")]
    job: Job,
}

impl Rebuild {
    pub(crate) async fn run(self) -> Result<()> {
        let wishes = self.wished.wishes()?;
        let reached = self.place.reach().await?;
        let run = reached.run(self.job, &self.model)?;
        say!("run         {}", run.id);
        if let Some(refitted) = rebuild(&run, self.means, &wishes).await? {
            show_fit(&refitted, |key| reached.place(key));
        }
        say!("record      {}", reached.place(&run.key("run.json")));
        Ok(())
    }
}

/// Does a run on this machine, and shows how far it is. Ends early, with an error, when a person asks for it.
pub(crate) async fn rebuild(run: &Run, means: Means, wishes: &Wishes) -> Result<Option<Refitted>> {
    let progress = Progress::default();
    let worker = worker(&run.store, &run.results_bucket, run.card.clone(), means, progress.heard())?;
    let mut hear = |step: Step<'_>| progress.show(&step);
    let done = tokio::select! {
        done = drive(run, &worker, wishes, &mut hear) => done,
        () = interrupt() => Err(interrupted()),
    };
    progress.bar.finish_and_clear();
    done
}

/// Waits for Ctrl-C. Every object is written whole or not at all, so that is safe at any time.
async fn interrupt() {
    // Without a handler there is nothing to wait for; then only a kill ends it.
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// The bar, and what it has no place for.
struct Progress {
    bar: ProgressBar,
    bytes: Arc<AtomicU64>,
    begun: Instant,
}

impl Default for Progress {
    fn default() -> Self {
        Self { bar: ProgressBar::hidden(), bytes: Arc::default(), begun: Instant::now() }
    }
}

impl Progress {
    /// What a worker tells of the photos that are done.
    fn heard(&self) -> impl Fn(u64, u64) + Send + Sync + 'static {
        let (bar, bytes, begun) = (self.bar.clone(), Arc::clone(&self.bytes), self.begun);
        move |photos, more| {
            let bytes = bytes.fetch_add(more, Ordering::Relaxed) + more;
            let rate = bytes as f64 / 1e6 / begun.elapsed().as_secs_f64().max(1e-3);
            bar.set_message(format!("{rate:.1} MB/s"));
            bar.inc(photos);
        }
    }

    fn show(&self, step: &Step<'_>) {
        match step {
            Step::Planned(planned) => {
                tell_planned(planned);
                let counts = &planned.counts;
                let photos = counts.get("missing") + counts.get("stale") + counts.get("retried");
                if planned.stage == Stage::Backfill && photos > 0 {
                    self.begin(photos, "{bar:40.green} {pos}/{len} photos  {per_sec}  {msg}  {eta} left");
                } else if planned.tasks > 0 {
                    self.begin(planned.tasks, "{bar:40.green} {pos}/{len} tasks  {eta} left");
                }
            }
            Step::Worked(outcome) if outcome.kind != "embed" => self.bar.inc(1),
            Step::Worked(_) => (),
            Step::Committed(committed) => {
                self.bar.set_draw_target(indicatif::ProgressDrawTarget::hidden());
                tell_committed(committed);
            }
        }
    }

    fn begin(&self, length: u64, template: &str) {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar.set_draw_target(indicatif::ProgressDrawTarget::stderr());
        self.bar.reset();
        self.bar.set_length(length);
        self.bar.set_style(style);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }
}
