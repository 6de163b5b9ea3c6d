//! `fruitvec status`: compares the table with S3, and changes nothing.

use clap::Args;
use fruitvec::batch::backfill::{Comparison, Retry, count};
use fruitvec::batch::compact::{CompactOptions, rewrites};
use fruitvec::contract::run::{Counts, Job};
use fruitvec::error::Result;
use fruitvec::s3::newest_fit;
use time::OffsetDateTime;

use super::buckets::BucketArgs;
use super::model_args::ModelArgs;

/// Show how the table compares with S3. Changes nothing.
#[derive(Args)]
pub(crate) struct Status {
    #[command(flatten)]
    buckets: BucketArgs,
    #[command(flatten)]
    model: ModelArgs,
}

impl Status {
    pub(crate) async fn run(self) -> Result<()> {
        let buckets = self.buckets.open().await?;
        let run = buckets.start_run(Job::Backfill, &self.model)?;
        let retry = Retry::Nothing;
        let mut comparison = Comparison::begin(&run, &retry).await?;
        let mut counts = Counts::default();
        while let Some(difference) = comparison.next().await? {
            count(&difference, &mut counts);
        }
        let snapshot = comparison.finish()?;
        say!("photos      {}", counts.get("photos_listed"));
        say!("current     {}", counts.get("rows"));
        say!("rejected    {}", counts.get("rejects"));
        snapshot.rejected.iter().for_each(|(code, count)| say!("              {code}: {count}"));
        say!("missing     {}", counts.get("missing"));
        say!("stale       {}", counts.get("stale") + counts.get("restored"));
        say!("gone        {}", counts.get("gone"));
        let now = OffsetDateTime::now_utc();
        let groups = rewrites(&snapshot, &CompactOptions::default(), now.date());
        say!("parts       {}", snapshot.parts.len());
        say!("to compact  {}", groups.iter().map(Vec::len).sum::<usize>());
        match newest_fit(&run.store, &run.results_bucket, &run.card.id).await? {
            Some(record) => {
                let age = (now - record.taken_at).as_seconds_f64() / 3600.0;
                say!("fit         {} of {} photos, {age:.1} hours old", record.fit, record.rows);
            }
            None => say!("fit         none"),
        }
        Ok(())
    }
}
