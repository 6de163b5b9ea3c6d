//! `fruitvec serve`: the embedded S3, with every uploaded photo embedded.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use fruitvec::contract::event::{Change, Delivery};
use fruitvec::contract::photo::PhotoId;
use fruitvec::error::Result;
use fruitvec::ingest::DeliveryOutcome;
use fruitvec::ingest::ingest_with_retries;
use fruitvec::ingest::notification_loop::{BATCH, RETRY_BACKOFF, dispatch};
use fruitvec::s3::Store;
use fruitvec::table::Snapshot;
use fruitvec_embedded_s3::Server;
use time::OffsetDateTime;

use super::embedded::{PHOTOS, RESULTS, start_with_ingest};
use super::model_args::{EngineArgs, ModelArgs};
use super::terminal::{ctrl_c_before_finishing, escape_control};

/// Run the embedded S3 and embed every uploaded photo, until Ctrl-C.
#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    engine: EngineArgs,
    /// The folder that holds the buckets.
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: PathBuf,
    /// The port on 127.0.0.1. 0 takes a free one.
    #[arg(long, default_value_t = 9090)]
    port: u16,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<()> {
        let (server, store, ingest) =
            start_with_ingest(&self.model, self.engine, &self.data, self.port).await?;
        let notifications = server.subscribe(PHOTOS);
        // Installed before the catch-up, so that Ctrl-C lets its current batch finish, too.
        let interrupted = tokio::spawn(ctrl_c_before_finishing());
        self.print_endpoint(&server);
        let missed = missed_photos(&store, &ingest.card().id).await?;
        for batch in missed.chunks(BATCH) {
            if interrupted.is_finished() {
                break;
            }
            let on_outcome = |_, delivery: &Delivery, outcome| show(delivery, &outcome);
            ingest_with_retries(&ingest, batch.to_vec(), RETRY_BACKOFF, on_outcome).await?;
        }
        dispatch(notifications, &ingest, async { _ = interrupted.await }, show).await?;
        say!("stopped");
        Ok(())
    }

    fn print_endpoint(&self, server: &Server) {
        say!("S3 on {}, data in {}\n", server.endpoint(), self.data.display());
        say!("  export AWS_ENDPOINT_URL={} AWS_REGION=eu-west-3", server.endpoint());
        say!("  export AWS_SHARED_CREDENTIALS_FILE={}", server.credentials_file().display());
        say!("  aws s3 cp kiwi.jpg s3://{PHOTOS}/photos/Kiwi/\n\nCtrl-C stops.");
    }
}

/// Returns the photos that were uploaded while no server was running.
async fn missed_photos(store: &Store, model: &str) -> Result<Vec<Delivery>> {
    let mut known = HashSet::new();
    Snapshot::take_each(store, RESULTS, model, |photo, _| _ = known.insert(photo)).await?;
    let mut missed = Vec::new();
    let at = OffsetDateTime::now_utc();
    store
        .list(PHOTOS, "", |object| {
            if !known.contains(&PhotoId::of(PHOTOS, &object.key, &object.etag)) {
                let (bucket, key) = (PHOTOS.into(), object.key);
                missed.push(Delivery { bucket, key, change: Change::Created, at, attempts: 1 });
            }
            Ok(())
        })
        .await?;
    Ok(missed)
}

fn show(delivery: &Delivery, outcome: &DeliveryOutcome) {
    let key = escape_control(&delivery.key);
    match outcome {
        DeliveryOutcome::Embedded { timings, .. } => {
            say!("embedded  {key}  {:.1} ms", timings.embed.as_secs_f64() * 1e3);
        }
        DeliveryOutcome::Rejected { rejection, .. } => say!("rejected  {key}  {rejection}"),
        DeliveryOutcome::Gone => say!("gone      {key}"),
        DeliveryOutcome::Removed => say!("removed   {key}"),
        DeliveryOutcome::StillThere => say!("kept      {key}  S3 still holds a photo"),
        DeliveryOutcome::Ignored => say!("ignored   {key}"),
        DeliveryOutcome::Failed(error) => eprintln!("failed    {key}  {error}"),
    }
}
