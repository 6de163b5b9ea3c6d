//! One embedded S3, and an EMR that does what a test wants.

use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_emr::operation::run_job_flow::builders::RunJobFlowInputBuilder;
use aws_sdk_emr::types::ClusterState;
use fruitvec::local::Server;
use fruitvec::store::Store;
use fruitvec_launch::{
    Answer, Cluster, Clusters, Config, Error, Function, Invocation, LEASE_KEY, Lease, Result, StartError,
    Which,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

pub(crate) const PHOTOS: &str = "photos";
pub(crate) const RESULTS: &str = "results";
/// The timeout that the function has.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// Everything around the function.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) emr: Fake,
    pub(crate) config: Config,
    function: Arc<Function<Fake>>,
    _server: Server,
    // Last: the folder outlives the server.
    data: TempDir,
}

impl World {
    /// With a photo and a part, so that every job has something to do.
    pub(crate) async fn start() -> Self {
        let world = Self::empty(&[]).await;
        world.put(PHOTOS, "photos/Kiwi/1.jpg").await;
        world.put(RESULTS, &part("2026-01-02", "a")).await;
        world
    }

    /// With nothing in its buckets, and these settings.
    pub(crate) async fn empty(variables: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), 0).await.unwrap();
        for bucket in [PHOTOS, RESULTS] {
            server.client().create_bucket().bucket(bucket).send().await.unwrap();
        }
        let (store, emr, config) = (Store::new(server.client()), Fake::default(), config(variables));
        let function = Arc::new(Function::new(config.clone(), store.clone(), emr.clone()));
        Self { store, emr, config, function, _server: server, data }
    }

    /// One delivery of an event.
    pub(crate) async fn invoke(&self, request_id: &str, event: Value) -> Result<Answer> {
        self.invocation(request_id, event).await
    }

    /// The same, that a test can run beside others, or drop half way as a kill does.
    pub(crate) fn invocation(
        &self,
        request_id: &str,
        event: Value,
    ) -> impl Future<Output = Result<Answer>> + Send + use<> {
        let function = Arc::clone(&self.function);
        let invocation = Invocation { request_id: request_id.to_owned(), longest: TIMEOUT };
        async move { function.handle(&event, &invocation).await }
    }

    /// What the answer to a delivery says, in a word: its outcome, or the kind of its error.
    pub(crate) async fn outcome(&self, request_id: &str, event: Value) -> String {
        outcome(&self.invoke(request_id, event).await)
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str) {
        self.store.put(bucket, key, "application/octet-stream", key.to_owned()).await.unwrap();
    }

    pub(crate) async fn put_json(&self, key: &str, body: &Value) {
        self.store.put(RESULTS, key, "application/json", body.to_string()).await.unwrap();
    }

    /// A small object, put by hand: the embedded S3 has a file for each.
    pub(crate) fn file(&self, bucket: &str, key: &str, age: Duration) {
        let path = self.data.path().join(bucket).join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, key).unwrap();
        self.age(bucket, key, age);
    }

    /// Lets S3 say that an object was written so long ago.
    pub(crate) fn age(&self, bucket: &str, key: &str, age: Duration) {
        let file = fs::File::options().write(true).open(self.data.path().join(bucket).join(key)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    /// Lets the lease be so old that who wrote it last must be gone.
    pub(crate) fn age_lease(&self) {
        self.age(RESULTS, LEASE_KEY, TIMEOUT + Duration::from_secs(30));
    }

    pub(crate) async fn lease(&self) -> Lease {
        serde_json::from_slice(&self.store.get(RESULTS, LEASE_KEY).await.unwrap()).unwrap()
    }

    /// The one living cluster, and that the lease names it.
    pub(crate) async fn the_one_cluster(&self) -> Cluster {
        let living = self.emr.living();
        assert_eq!(living.len(), 1, "{living:?}");
        assert_eq!(self.lease().await.cluster_id.as_deref(), Some(living[0].id.as_str()));
        living[0].clone()
    }
}

pub(crate) fn outcome(answer: &Result<Answer>) -> String {
    match answer {
        Ok(answer) => {
            let answer = serde_json::to_value(answer).unwrap();
            let word =
                answer.get("outcome").or_else(|| answer.pointer("/launch/outcome")).or(answer.get("noted"));
            word.and_then(Value::as_str).unwrap().to_owned()
        }
        Err(error) => lambda_runtime::Diagnostic::from(again(error)).error_type,
    }
}

/// The kinds that these tests meet.
fn again(error: &Error) -> Error {
    match error {
        Error::Refused(why) => Error::Refused(why.clone()),
        Error::Start(why) => Error::Start(why.clone()),
        error => panic!("{error}"),
    }
}

fn config(variables: &[(&str, &str)]) -> Config {
    const LEAST: [(&str, &str); 6] = [
        (fruitvec_launch::PHOTOS_BUCKET, PHOTOS),
        (fruitvec::config::RESULTS_BUCKET, RESULTS),
        (fruitvec_launch::SUBNETS, "subnet-0a"),
        (fruitvec_launch::SERVICE_ROLE, "emr"),
        (fruitvec_launch::INSTANCE_PROFILE, "emr-machines"),
        (fruitvec_launch::LOG_URI, "s3://results/logs/"),
    ];
    let all: Vec<_> = variables.iter().chain(&LEAST).collect();
    Config::read(|name| all.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).unwrap()
}

/// The key of a part.
pub(crate) fn part(date: &str, name: &str) -> String {
    format!("embeddings/model={}/date={date}/{name}.parquet", fruitvec::model::DEFAULT_MODEL)
}

pub(crate) fn backfill() -> Value {
    json!({"job": "backfill", "scheduled_time": "2026-11-24T03:00:00Z"})
}

pub(crate) fn pca() -> Value {
    json!({"job": "pca", "scheduled_time": "2026-11-24T04:00:00Z"})
}

pub(crate) fn sweep() -> Value {
    json!({"job": "sweep", "scheduled_time": "2026-11-24T03:15:00Z"})
}

/// How a start goes.
pub(crate) enum Start {
    /// There is a cluster, and the answer says so.
    Works,
    /// The same, after a while.
    Slowly(Duration),
    /// There is none, and the answer says so.
    Refuses,
    /// There is a cluster, but the answer is lost.
    LosesReply,
    /// There is none, and no answer.
    NeverArrives,
    /// There is a cluster, and the function is killed before it knows.
    Hangs,
    /// There is a cluster, but meanwhile somebody writes another lease.
    Overtaken(Store, Box<Lease>),
}

/// An EMR in memory.
#[derive(Clone, Default)]
pub(crate) struct Fake(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    clusters: Vec<(Cluster, OffsetDateTime)>,
    script: VecDeque<Start>,
    starts: usize,
}

impl Fake {
    /// How the next start goes; without it starts work.
    pub(crate) fn next(&self, start: Start) {
        self.0.lock().unwrap().script.push_back(start);
    }

    /// How often it was asked for a cluster.
    pub(crate) fn starts(&self) -> usize {
        self.0.lock().unwrap().starts
    }

    pub(crate) fn living(&self) -> Vec<Cluster> {
        let state = self.0.lock().unwrap();
        state
            .clusters
            .iter()
            .map(|(cluster, _)| cluster)
            .filter(|cluster| !cluster.has_ended())
            .cloned()
            .collect()
    }

    /// Lets a cluster come to a state.
    pub(crate) fn turn(&self, id: &str, to: ClusterState, reason: &str) {
        let mut state = self.0.lock().unwrap();
        let (cluster, _) = state.clusters.iter_mut().find(|(cluster, _)| cluster.id == id).unwrap();
        (cluster.state, cluster.reason) = (to, reason.to_owned());
    }

    /// A cluster that is just there.
    pub(crate) fn add(&self, name: &str, deployment: &str, age: Duration) -> String {
        let mut state = self.0.lock().unwrap();
        let id = format!("j-{}", state.clusters.len() + 1);
        let cluster = Cluster {
            id: id.clone(),
            name: name.to_owned(),
            state: ClusterState::Running,
            reason: String::new(),
            deployment: Some(deployment.to_owned()),
        };
        state.clusters.push((cluster, OffsetDateTime::now_utc() - age));
        id
    }
}

impl Clusters for Fake {
    async fn start(&self, specification: RunJobFlowInputBuilder) -> Result<String, StartError> {
        let start = {
            let mut state = self.0.lock().unwrap();
            state.starts += 1;
            state.script.pop_front().unwrap_or(Start::Works)
        };
        let made = || {
            let tags = specification.get_tags().clone().unwrap_or_default();
            let tag = tags.iter().find(|tag| tag.key() == Some(fruitvec_launch::DEPLOYMENT_TAG)).unwrap();
            self.add(specification.get_name().as_ref().unwrap(), tag.value().unwrap(), Duration::ZERO)
        };
        match start {
            Start::Works => Ok(made()),
            Start::Slowly(pause) => {
                tokio::time::sleep(pause).await;
                Ok(made())
            }
            Start::Refuses => Err(StartError::Refused("no such subnet".into())),
            Start::NeverArrives => Err(StartError::Unknown("connection reset".into())),
            Start::LosesReply => {
                made();
                Err(StartError::Unknown("timed out".into()))
            }
            Start::Hangs => {
                made();
                std::future::pending().await
            }
            Start::Overtaken(store, lease) => {
                let body = serde_json::to_vec(&lease).unwrap();
                store.put(RESULTS, LEASE_KEY, "application/json", body).await.unwrap();
                Ok(made())
            }
        }
    }

    async fn list(&self, which: Which) -> Result<Vec<Cluster>> {
        let state = self.0.lock().unwrap();
        let wanted = state.clusters.iter().filter(|(cluster, created_at)| match which {
            Which::Since(time) => *created_at >= time,
            Which::LivingBefore(time) => {
                *created_at < time && !cluster.has_ended() && cluster.state != ClusterState::Terminating
            }
        });
        // A list has no tags.
        Ok(wanted.map(|(cluster, _)| Cluster { deployment: None, ..cluster.clone() }).collect())
    }

    async fn describe(&self, id: &str) -> Result<Option<Cluster>> {
        let state = self.0.lock().unwrap();
        Ok(state.clusters.iter().map(|(cluster, _)| cluster).find(|cluster| cluster.id == id).cloned())
    }

    async fn terminate(&self, id: &str) -> Result<()> {
        self.turn(id, ClusterState::Terminating, "USER_REQUEST");
        Ok(())
    }
}
