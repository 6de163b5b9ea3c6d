//! The progress of a run on this machine, as lines and a bar.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fruitvec::batch::commit::Committed;
use fruitvec::batch::plan::Planned;
use fruitvec::batch::run_local::RunEvent;
use fruitvec::contract::run::{Counts, Stage};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows a run's progress on standard error.
pub(crate) struct ProgressDisplay {
    bar: ProgressBar,
    bytes: Arc<AtomicU64>,
    started: Instant,
}

impl Default for ProgressDisplay {
    fn default() -> Self {
        Self { bar: ProgressBar::hidden(), bytes: Arc::default(), started: Instant::now() }
    }
}

impl ProgressDisplay {
    /// Returns the callback for a worker. It takes the photos and bytes that were just embedded.
    pub(crate) fn on_photos(&self) -> impl Fn(u64, u64) + Send + Sync + 'static {
        let (bar, bytes, started) = (self.bar.clone(), Arc::clone(&self.bytes), self.started);
        move |photos, more| {
            let bytes = bytes.fetch_add(more, Ordering::Relaxed) + more;
            let rate = bytes as f64 / 1e6 / started.elapsed().as_secs_f64().max(1e-3);
            bar.set_message(format!("{rate:.1} MB/s"));
            bar.inc(photos);
        }
    }

    pub(crate) fn show(&self, event: &RunEvent<'_>) {
        match event {
            RunEvent::Planned(planned) => {
                show_planned(planned);
                let counts = &planned.counts;
                let photos = counts.get("missing") + counts.get("stale") + counts.get("retried");
                if planned.stage == Stage::Backfill && photos > 0 {
                    self.start_bar(photos, "{bar:40.green} {pos}/{len} photos  {per_sec}  {msg}  {eta} left");
                } else if planned.tasks > 0 {
                    self.start_bar(planned.tasks, "{bar:40.green} {pos}/{len} tasks  {eta} left");
                }
            }
            // Tasks that embed move the bar photo by photo.
            RunEvent::Worked(outcome) if outcome.kind == "embed" => (),
            RunEvent::Worked(_) => self.bar.inc(1),
            RunEvent::Committed(committed) => {
                self.bar.set_draw_target(ProgressDrawTarget::hidden());
                show_committed(committed);
            }
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }

    fn start_bar(&self, length: u64, template: &str) {
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        self.bar.set_draw_target(ProgressDrawTarget::stderr());
        self.bar.reset();
        self.bar.set_length(length);
        self.bar.set_style(style);
        self.bar.enable_steady_tick(Duration::from_millis(200));
    }
}

/// Prints the counts of a plan.
pub(crate) fn show_planned(planned: &Planned) {
    eprintln!("{:<9} {} tasks  {}", planned.stage.as_str(), planned.tasks, listed(&planned.counts));
}

/// Prints the result of a stage.
pub(crate) fn show_committed(committed: &Committed) {
    eprintln!("{:<9} done  {}", committed.stage.as_str(), listed(&committed.counts));
    for error in &committed.errors {
        eprintln!("{:<9} failed: {error}", committed.stage.as_str());
    }
}

fn listed(counts: &Counts) -> String {
    counts.iter().map(|(name, count)| format!("{name} {count}")).collect::<Vec<_>>().join(", ")
}
