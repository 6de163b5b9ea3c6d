//! One embedded S3, and an EMR that follows a test's script.

use std::collections::VecDeque;
use std::fs;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use aws_sdk_emr::operation::run_job_flow::builders::RunJobFlowInputBuilder;
use aws_sdk_emr::types::ClusterState;
use fruitvec_core::contract::model_card::DEFAULT_MODEL;
use fruitvec_core::s3::client::Store;
use fruitvec_embedded_s3::Server;
use fruitvec_launch::{
    Cluster, ClusterFilter, Clusters, Config, Error, Function, Invocation, LEASE_KEY, Lease, Response,
    Result, StartError,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use time::OffsetDateTime;

pub(crate) const PHOTOS: &str = "photos";
pub(crate) const RESULTS: &str = "results";
/// The timeout of the function.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);

/// The function with its S3 and EMR.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) emr: ScriptedEmr,
    pub(crate) config: Config,
    function: Arc<Function<ScriptedEmr>>,
    _server: Server,
    // Dropped last, because the server uses the folder.
    data: TempDir,
}

impl World {
    /// Starts with a photo and a part, so that every job has work.
    pub(crate) async fn start() -> Self {
        let world = Self::empty(&[]).await;
        world.put(PHOTOS, "photos/Kiwi/1.jpg").await;
        world.put(RESULTS, &part("2026-01-02", "a")).await;
        world
    }

    /// Starts with empty buckets and these settings.
    pub(crate) async fn empty(variables: &[(&str, &str)]) -> Self {
        let data = tempfile::tempdir().unwrap();
        let server = Server::start(data.path(), 0).await.unwrap();
        for bucket in [PHOTOS, RESULTS] {
            server.client().create_bucket().bucket(bucket).send().await.unwrap();
        }
        let (store, emr, config) = (Store::new(server.client()), ScriptedEmr::default(), config(variables));
        let function = Arc::new(Function::new(config.clone(), store.clone(), emr.clone()));
        Self { store, emr, config, function, _server: server, data }
    }

    /// Delivers an event.
    pub(crate) async fn invoke(&self, request_id: &str, event: Value) -> Result<Response> {
        self.invocation(request_id, event).await
    }

    /// Returns a delivery that a test can run concurrently, or drop to simulate a kill.
    pub(crate) fn invocation(
        &self,
        request_id: &str,
        event: Value,
    ) -> impl Future<Output = Result<Response>> + Send + use<> {
        let function = Arc::clone(&self.function);
        let invocation = Invocation { request_id: request_id.to_owned(), timeout: TIMEOUT };
        async move { function.handle(&event, &invocation).await }
    }

    /// Delivers an event, and returns the outcome as a keyword or the error type.
    pub(crate) async fn outcome(&self, request_id: &str, event: Value) -> String {
        outcome(&self.invoke(request_id, event).await)
    }

    pub(crate) async fn put(&self, bucket: &str, key: &str) {
        self.store.put(bucket, key, "application/octet-stream", key.to_owned()).await.unwrap();
    }

    pub(crate) async fn put_json(&self, key: &str, body: &Value) {
        self.store.put(RESULTS, key, "application/json", body.to_string()).await.unwrap();
    }

    /// Writes a small object directly to the file in which the embedded S3 stores it.
    pub(crate) fn file(&self, bucket: &str, key: &str, age: Duration) {
        let path = self.data.path().join(bucket).join(key);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, key).unwrap();
        self.age(bucket, key, age);
    }

    /// Sets the time since an object was written.
    pub(crate) fn age(&self, bucket: &str, key: &str, age: Duration) {
        let file = fs::File::options().write(true).open(self.data.path().join(bucket).join(key)).unwrap();
        file.set_modified(SystemTime::now() - age).unwrap();
    }

    /// Makes the lease so old that its last writer can't be running any more.
    pub(crate) fn age_lease(&self) {
        self.age(RESULTS, LEASE_KEY, TIMEOUT + Duration::from_secs(30));
    }

    pub(crate) async fn lease(&self) -> Lease {
        serde_json::from_slice(&self.store.get(RESULTS, LEASE_KEY).await.unwrap()).unwrap()
    }

    /// Returns the only running cluster, after checking that the lease names it.
    pub(crate) async fn the_one_cluster(&self) -> Cluster {
        let running = self.emr.running();
        assert_eq!(running.len(), 1, "{running:?}");
        assert_eq!(self.lease().await.cluster_id.as_deref(), Some(running[0].id.as_str()));
        running[0].clone()
    }
}

pub(crate) fn outcome(result: &Result<Response>) -> String {
    match result {
        Ok(response) => {
            let response = serde_json::to_value(response).unwrap();
            let launch = response.get("outcome").or_else(|| response.pointer("/launch/outcome"));
            launch.or(response.get("noted")).and_then(Value::as_str).unwrap().to_owned()
        }
        Err(error) => lambda_runtime::Diagnostic::from(cloned(error)).error_type,
    }
}

/// Copies an error of one of the kinds that these tests produce.
fn cloned(error: &Error) -> Error {
    match error {
        Error::Refused(reason) => Error::Refused(reason.clone()),
        Error::NotLaunched(reason) => Error::NotLaunched(reason.clone()),
        error => panic!("{error}"),
    }
}

fn config(variables: &[(&str, &str)]) -> Config {
    const REQUIRED: [(&str, &str); 6] = [
        (fruitvec_launch::PHOTOS_BUCKET, PHOTOS),
        (fruitvec_core::config::RESULTS_BUCKET, RESULTS),
        (fruitvec_launch::SUBNETS, "subnet-0a"),
        (fruitvec_launch::SERVICE_ROLE, "emr"),
        (fruitvec_launch::INSTANCE_PROFILE, "emr-machines"),
        (fruitvec_launch::LOG_URI, "s3://results/logs/"),
    ];
    let all: Vec<_> = variables.iter().chain(&REQUIRED).collect();
    Config::read(|name| all.iter().find(|(n, _)| *n == name).map(|(_, v)| (*v).to_owned())).unwrap()
}

/// Returns the key of a part.
pub(crate) fn part(date: &str, name: &str) -> String {
    format!("embeddings/model={DEFAULT_MODEL}/date={date}/{name}.parquet")
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

/// The course of a start.
pub(crate) enum Start {
    /// A cluster is started, and the response names it.
    Works,
    /// The same, after a pause.
    IsSlow(Duration),
    /// No cluster is started, and the response says so.
    IsRejected,
    /// A cluster is started, but the response is lost.
    LosesResponse,
    /// The request is lost, so that neither a cluster nor a response exists.
    NeverArrives,
    /// A cluster is started, and the function is killed before it learns of it.
    Hangs,
    /// A cluster is started, but in the same moment another launch writes the lease.
    Overtaken(Store, Box<Lease>),
}

/// An EMR in memory that follows a script.
#[derive(Clone, Default)]
pub(crate) struct ScriptedEmr(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    clusters: Vec<(Cluster, OffsetDateTime)>,
    script: VecDeque<Start>,
    starts: usize,
}

impl ScriptedEmr {
    /// Sets the course of the next start, which otherwise works.
    pub(crate) fn next_start(&self, start: Start) {
        self.0.lock().unwrap().script.push_back(start);
    }

    /// Returns the number of requests to start a cluster.
    pub(crate) fn starts(&self) -> usize {
        self.0.lock().unwrap().starts
    }

    pub(crate) fn running(&self) -> Vec<Cluster> {
        let state = self.0.lock().unwrap();
        state
            .clusters
            .iter()
            .map(|(cluster, _)| cluster)
            .filter(|cluster| !cluster.has_ended())
            .cloned()
            .collect()
    }

    /// Changes the state of a cluster.
    pub(crate) fn set_state(&self, id: &str, to: ClusterState, reason: &str) {
        let mut state = self.0.lock().unwrap();
        let (cluster, _) = state.clusters.iter_mut().find(|(cluster, _)| cluster.id == id).unwrap();
        (cluster.state, cluster.reason) = (to, reason.to_owned());
    }

    /// Adds a running cluster, and returns its id.
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

impl Clusters for ScriptedEmr {
    async fn start(&self, request: RunJobFlowInputBuilder) -> Result<String, StartError> {
        let start = {
            let mut state = self.0.lock().unwrap();
            state.starts += 1;
            state.script.pop_front().unwrap_or(Start::Works)
        };
        let add = || {
            let tags = request.get_tags().clone().unwrap_or_default();
            let tag = tags.iter().find(|tag| tag.key() == Some(fruitvec_launch::DEPLOYMENT_TAG)).unwrap();
            self.add(request.get_name().as_ref().unwrap(), tag.value().unwrap(), Duration::ZERO)
        };
        match start {
            Start::Works => Ok(add()),
            Start::IsSlow(pause) => {
                tokio::time::sleep(pause).await;
                Ok(add())
            }
            Start::IsRejected => Err(StartError::Rejected("no such subnet".into())),
            Start::NeverArrives => Err(StartError::Unknown("connection reset".into())),
            Start::LosesResponse => {
                add();
                Err(StartError::Unknown("timed out".into()))
            }
            Start::Hangs => {
                add();
                std::future::pending().await
            }
            Start::Overtaken(store, lease) => {
                let body = serde_json::to_vec(&lease).unwrap();
                store.put(RESULTS, LEASE_KEY, "application/json", body).await.unwrap();
                Ok(add())
            }
        }
    }

    async fn list(&self, filter: ClusterFilter) -> Result<Vec<Cluster>> {
        let state = self.0.lock().unwrap();
        let listed = state.clusters.iter().filter(|(cluster, created_at)| match filter {
            ClusterFilter::CreatedSince(time) => *created_at >= time,
            ClusterFilter::ActiveBefore(time) => {
                *created_at < time && !cluster.has_ended() && cluster.state != ClusterState::Terminating
            }
        });
        // A listing has no tags.
        Ok(listed.map(|(cluster, _)| Cluster { deployment: None, ..cluster.clone() }).collect())
    }

    async fn describe(&self, id: &str) -> Result<Option<Cluster>> {
        let state = self.0.lock().unwrap();
        Ok(state.clusters.iter().map(|(cluster, _)| cluster).find(|cluster| cluster.id == id).cloned())
    }

    async fn terminate(&self, id: &str) -> Result<()> {
        self.set_state(id, ClusterState::Terminating, "USER_REQUEST");
        Ok(())
    }
}
