//! `fruitvec status`: how the table stands beside S3. It reads and changes nothing.

use clap::Args;
use fruitvec::backfill::{Comparison, Retry, count};
use fruitvec::compact::{Aims, rewrites};
use fruitvec::error::Result;
use fruitvec::outcome::Counts;
use fruitvec::refit;
use fruitvec::run::{Job, Run, RunId};
use time::OffsetDateTime;

use super::ModelChoice;
use super::place::Place;

/// Show how the table stands beside S3; nothing is changed.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    model: ModelChoice,
}

impl Status {
    pub(crate) async fn run(self) -> Result<()> {
        let reached = self.place.reach().await?;
        let run = Run {
            id: RunId::now(Job::Backfill)?,
            job: Job::Backfill,
            store: reached.store.clone(),
            photos_bucket: reached.photos.clone(),
            results_bucket: reached.results.clone(),
            card: self.model.card()?,
        };
        let retry = Retry::Nothing;
        let mut comparison = Comparison::begin(&run, &retry).await?;
        let mut counts = Counts::default();
        while let Some(compared) = comparison.next().await? {
            count(&compared, &mut counts);
        }
        let snapshot = comparison.finish()?;
        say!("photos      {}", counts.get("photos_listed"));
        say!("current     {}", counts.get("rows"));
        say!("rejected    {}", counts.get("rejects"));
        snapshot.rejected.iter().for_each(|(code, count)| say!("              {code}: {count}"));
        say!("missing     {}", counts.get("missing"));
        say!("stale       {}", counts.get("stale") + counts.get("restored"));
        say!("gone        {}", counts.get("gone"));
        let to_compact = rewrites(&snapshot, &Aims::default(), OffsetDateTime::now_utc().date())
            .iter()
            .map(Vec::len)
            .sum::<usize>();
        say!("parts       {}", snapshot.parts.len());
        say!("to compact  {to_compact}");
        match refit::newest(&run.store, &run.results_bucket, &run.card.id).await? {
            Some(record) => {
                let age = (OffsetDateTime::now_utc() - record.taken_at).as_seconds_f64() / 3600.0;
                say!("fit         {} of {} photos, {age:.1} hours old", record.fit, record.rows);
            }
            None => say!("fit         none"),
        }
        Ok(())
    }
}
