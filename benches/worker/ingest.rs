//! Ingest of whole batches against the embedded S3.
//!
//! The server runs in this process, as in `demo`, or in another process, which separates its CPU
//! time from that of ingest.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_s3::Client;
use fruitvec::contract::event::{Change, Delivery};
use fruitvec::contract::limits::Limits;
use fruitvec::embed::Embedder;
use fruitvec::ingest::{DeliveryOutcome, Ingest};
use fruitvec::s3::Store;
use fruitvec_embedded_s3::{Credentials, Server, client};
use time::OffsetDateTime;
use tokio::runtime::{Builder, Runtime};

use crate::{answer_lines, embedder, nanoseconds};

/// The default number of deliveries in a batch, as in `demo`.
const BATCH: usize = 128;

/// Puts the photos, then answers lines of `THREADS [BATCH]`. For each line, it ingests all photos
/// into a new results bucket.
pub(crate) fn answer(model: &str, paths: &[PathBuf], data: &str, endpoint: Option<&&str>) {
    let embedder = embedder(model);
    let runtime = runtime();
    let (client, _server) = match endpoint {
        Some(endpoint) => (client_of(Path::new(data), endpoint), None),
        None => {
            let server = runtime.block_on(Server::start(Path::new(data), 0)).unwrap();
            (server.client(), Some(server))
        }
    };
    let deliveries = runtime.block_on(put(&client, paths));
    let mut round = 0;
    answer_lines(|line| {
        let mut numbers = line.split_whitespace().map(|number| number.parse().unwrap());
        let (threads, batch) = (numbers.next().unwrap(), numbers.next().unwrap_or(BATCH));
        round += 1;
        let results = format!("results-{round}");
        runtime.block_on(client.create_bucket().bucket(&results).send()).unwrap();
        let ingest = ingest(&client, &results, &embedder, threads);
        nanoseconds(|| runtime.block_on(ingest_all(&ingest, &deliveries, batch))).to_string()
    });
}

/// Runs an S3 server until standard input ends. Prints its endpoint first.
pub(crate) fn serve(data: &str) {
    let runtime = runtime();
    let server = runtime.block_on(Server::start(Path::new(data), 0)).unwrap();
    println!("{}", server.endpoint());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// A client of the server in the other process, whose credentials are in its data folder.
fn client_of(data: &Path, endpoint: &str) -> Client {
    let file = std::fs::read_to_string(data.join(".fruitvec/credentials")).unwrap();
    let value = |name: &str| {
        let line = file.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches([' ', '=']).to_owned()
    };
    let credentials = Credentials {
        access_key_id: value("aws_access_key_id"),
        secret_access_key: value("aws_secret_access_key"),
    };
    client(endpoint, &credentials)
}

/// Puts the photos. Returns their deliveries.
async fn put(client: &Client, paths: &[PathBuf]) -> Vec<Delivery> {
    client.create_bucket().bucket("photos").send().await.unwrap();
    let store = Store::new(client.clone());
    let mut deliveries = Vec::new();
    for path in paths {
        let key = format!("photos{}", path.display());
        store.put("photos", &key, "image/jpeg", std::fs::read(path).unwrap()).await.unwrap();
        let at = OffsetDateTime::now_utc();
        deliveries.push(Delivery { bucket: "photos".into(), key, change: Change::Created, at, attempts: 1 });
    }
    deliveries
}

fn ingest(client: &Client, results: &str, embedder: &Arc<dyn Embedder>, threads: usize) -> Ingest {
    Ingest::new(Store::new(client.clone()), results, Arc::clone(embedder), Limits::default(), threads)
}

async fn ingest_all(ingest: &Ingest, deliveries: &[Delivery], batch: usize) {
    for batch in deliveries.chunks(batch) {
        for outcome in ingest.ingest(batch).await {
            assert!(matches!(outcome, DeliveryOutcome::Embedded { already: false, .. }), "{outcome:?}");
        }
    }
}
