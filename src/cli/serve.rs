//! `fruitvec serve`: the embedded S3, embedding whatever is put.

use std::collections::HashSet;
use std::path::PathBuf;

use clap::Args;
use fruitvec::error::Result;
use fruitvec::event::{Change, Delivery};
use fruitvec::ingest::Outcome;
use fruitvec::local::{Server, dispatch};
use fruitvec::photo::PhotoId;
use fruitvec::snapshot::Snapshot;
use fruitvec::store::Store;
use time::OffsetDateTime;

use super::{EngineChoice, ModelChoice, PHOTOS, RESULTS, local_ingest, shown};

/// Keep the embedded S3 up and embed whatever is put, until Ctrl-C.
#[derive(Args)]
pub(crate) struct Serve {
    #[command(flatten)]
    model: ModelChoice,
    #[command(flatten)]
    engine: EngineChoice,
    /// The folder that holds the buckets.
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: PathBuf,
    /// The port on 127.0.0.1; 0 takes one that is free.
    #[arg(long, default_value_t = 9090)]
    port: u16,
}

impl Serve {
    pub(crate) async fn run(self) -> Result<()> {
        let (server, store, ingest) = local_ingest(&self.model, self.engine, &self.data, self.port).await?;
        let notifications = server.subscribe(PHOTOS);
        // Heard from the start: during the catching-up, too, Ctrl-C lets the batch be finished.
        let interrupted = tokio::spawn(async {
            // Without a handler there is nothing to wait for; then only a kill ends the server.
            if tokio::signal::ctrl_c().await.is_err() {
                std::future::pending::<()>().await;
            }
        });
        self.greet(&server);
        let missed = missed(&store, &ingest.card().id).await?;
        for batch in missed.chunks(dispatch::BATCH) {
            if interrupted.is_finished() {
                break;
            }
            dispatch::deliver(batch.to_vec(), &ingest, &mut show).await?;
        }
        dispatch::dispatch(notifications, &ingest, async { _ = interrupted.await }, show).await?;
        say!("stopped");
        Ok(())
    }

    fn greet(&self, server: &Server) {
        say!("S3 on {}, data in {}\n", server.endpoint(), self.data.display());
        say!("  export AWS_ENDPOINT_URL={} AWS_REGION=eu-west-3", server.endpoint());
        say!("  export AWS_SHARED_CREDENTIALS_FILE={}", server.credentials_file().display());
        say!("  aws s3 cp kiwi.jpg s3://{PHOTOS}/photos/Kiwi/\n\nCtrl-C stops.");
    }
}

/// What was put while nobody listened.
async fn missed(store: &Store, model: &str) -> Result<Vec<Delivery>> {
    let mut known = HashSet::new();
    Snapshot::take_each(store, RESULTS, model, |photo, _| _ = known.insert(photo)).await?;
    let mut missed = Vec::new();
    let at = OffsetDateTime::now_utc();
    store
        .list(PHOTOS, "", |object| {
            if !known.contains(&PhotoId::of(PHOTOS, &object.key, &object.etag)) {
                missed.push(Delivery { bucket: PHOTOS.into(), key: object.key, change: Change::Created, at });
            }
            Ok(())
        })
        .await?;
    Ok(missed)
}

fn show(delivery: &Delivery, outcome: &Outcome) {
    let key = shown(&delivery.key);
    match outcome {
        Outcome::Embedded { took, .. } => {
            say!("embedded  {key}  {:.1} ms", took.embed.as_secs_f64() * 1e3)
        }
        Outcome::Rejected { rejection, .. } => say!("rejected  {key}  {rejection}"),
        Outcome::Gone => say!("gone      {key}"),
        Outcome::Removed => say!("removed   {key}"),
        Outcome::StillThere => say!("kept      {key}  there is still a photo"),
        Outcome::Ignored => say!("ignored   {key}"),
        Outcome::Failed(error) => eprintln!("failed    {key}  {error}"),
    }
}
