//! Ingest, from deliveries to parts, against the embedded S3: in this process, as in `demo`, or in another, where its CPU time can be
//! told from ours.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use aws_sdk_s3::Client;
use fruitvec::embed::Embedder;
use fruitvec::event::{Change, Delivery};
use fruitvec::ingest::{Ingest, Outcome};
use fruitvec::local::{self, Credentials, Server};
use fruitvec::pixels::Limits;
use fruitvec::store::Store;
use time::OffsetDateTime;
use tokio::runtime::{Builder, Runtime};

use crate::{converse, embedder, nanoseconds};

/// Deliveries in a batch where no other number is asked for: as many as `demo` takes.
const BATCH: usize = 128;

/// Puts the photos, then answers `THREADS [BATCH]`: all of them are ingested, on so many threads, so many at a time, to a results
/// bucket that is new.
pub(crate) fn answer(model: &str, paths: &[PathBuf], data: &str, endpoint: Option<&&str>) {
    let embedder = embedder(model);
    let runtime = runtime();
    let (client, _server) = match endpoint {
        Some(endpoint) => (reached(Path::new(data), endpoint), None),
        None => {
            let server = runtime.block_on(Server::start(Path::new(data), 0)).unwrap();
            (server.client(), Some(server))
        }
    };
    let deliveries = runtime.block_on(put(&client, paths));
    let mut round = 0;
    converse(|asked| {
        let mut numbers = asked.split_whitespace().map(|number| number.parse().unwrap());
        let (threads, batch) = (numbers.next().unwrap(), numbers.next().unwrap_or(BATCH));
        round += 1;
        let results = format!("results-{round}");
        runtime.block_on(client.create_bucket().bucket(&results).send()).unwrap();
        let ingest = ingest(&client, &results, &embedder, threads);
        nanoseconds(|| runtime.block_on(all(&ingest, &deliveries, batch))).to_string()
    });
}

/// An S3 server that says where it is, and ends with its standard input.
pub(crate) fn serve(data: &str) {
    let runtime = runtime();
    let server = runtime.block_on(Server::start(Path::new(data), 0)).unwrap();
    println!("{}", server.endpoint());
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

fn runtime() -> Runtime {
    Builder::new_multi_thread().enable_all().build().unwrap()
}

/// A client of the server in the other process, which keeps its credentials in the folder of the data.
fn reached(data: &Path, endpoint: &str) -> Client {
    let file = std::fs::read_to_string(data.join(".fruitvec/credentials")).unwrap();
    let value = |name: &str| {
        let line = file.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim_start_matches([' ', '=']).to_owned()
    };
    let credentials = Credentials {
        access_key_id: value("aws_access_key_id"),
        secret_access_key: value("aws_secret_access_key"),
    };
    local::client(endpoint, &credentials)
}

async fn put(client: &Client, paths: &[PathBuf]) -> Vec<Delivery> {
    client.create_bucket().bucket("photos").send().await.unwrap();
    let store = Store::new(client.clone());
    let mut deliveries = Vec::new();
    for path in paths {
        let key = format!("photos{}", path.display());
        store.put("photos", &key, "image/jpeg", std::fs::read(path).unwrap()).await.unwrap();
        let at = OffsetDateTime::now_utc();
        deliveries.push(Delivery { bucket: "photos".into(), key, change: Change::Created, at });
    }
    deliveries
}

fn ingest(client: &Client, results: &str, embedder: &Arc<dyn Embedder>, threads: usize) -> Ingest {
    Ingest::new(Store::new(client.clone()), results, Arc::clone(embedder), Limits::default(), threads)
}

async fn all(ingest: &Ingest, deliveries: &[Delivery], batch: usize) {
    for batch in deliveries.chunks(batch) {
        for outcome in ingest.ingest(batch).await {
            assert!(matches!(outcome, Outcome::Embedded { already: false, .. }), "{outcome:?}");
        }
    }
}
