//! Serves a data folder on a loopback port.

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use fruitvec_core::error::{Error, Result};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, JoinSet};

use crate::client::client;
use crate::credentials::Credentials;
use crate::http::operations::Operations;
use crate::storage::object_folder::ObjectFolder;

/// The folder of the server's own files in the data folder. A bucket name can't start with a dot.
const STATE_FOLDER: &str = ".fruitvec";
/// Time to wait for the folder lock of a server that is stopping.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);
/// Interval between attempts to lock the folder.
const LOCK_RETRY_INTERVAL: Duration = Duration::from_millis(10);
/// Pause after a failed accept. The usual cause is too many open files, which needs time to clear.
const ACCEPT_BACKOFF: Duration = Duration::from_millis(50);

/// A running S3 server on a data folder.
///
/// Dropping it stops the server: the port and all connections close. The folder stays locked until
/// the last pending write has finished.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    credentials: Credentials,
    credentials_file: PathBuf,
    objects: Arc<ObjectFolder>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server on a loopback port. Port 0 selects a free one.
    ///
    /// Creates the data folder if it does not exist.
    ///
    /// # Errors
    /// [`Error::Config`] if another server uses the folder or the port. [`Error::File`] if the
    /// folder can't be written.
    pub async fn start(data: &Path, port: u16) -> Result<Self> {
        let state = data.join(STATE_FOLDER);
        fs::create_dir_all(&state).map_err(Error::file(&state))?;
        // Locked first, so that two starting servers can't both create credentials.
        let folder_lock = lock(data, &state.join("lock")).await?;
        let credentials_file = state.join("credentials");
        let credentials = Credentials::load_or_create(&credentials_file)?;
        let objects = ObjectFolder::open(data, &state, folder_lock).map_err(Error::file(data))?;
        let objects = Arc::new(objects);
        // Loopback only, because the traffic is not encrypted.
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener =
            listener.map_err(|cause| Error::Config(format!("can't listen on port {port}: {cause}")))?;
        let address = listener.local_addr().map_err(|cause| Error::Config(cause.to_string()))?;
        let mut service = S3ServiceBuilder::new(Operations::new(Arc::clone(&objects)));
        service.set_auth(credentials.clone());
        let task = tokio::spawn(accept(listener, service.build()));
        Ok(Self { address, credentials, credentials_file, objects, task })
    }

    /// Returns the server's address: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns the credentials that sign requests.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Returns the path of the credentials file, which only its owner can read.
    ///
    /// The path is a valid `$AWS_SHARED_CREDENTIALS_FILE`.
    #[must_use]
    pub fn credentials_file(&self) -> &Path {
        &self.credentials_file
    }

    /// Subscribes to a bucket's notifications, from now on. The bucket need not exist yet.
    ///
    /// Each item is one document `{"Records": […]}`, as S3 sends it to a queue. The notifications
    /// of one key arrive in the order of its changes.
    #[must_use]
    pub fn subscribe(&self, bucket: &str) -> UnboundedReceiver<String> {
        self.objects.notifier.subscribe(bucket)
    }

    /// Returns an SDK client for this server.
    #[must_use]
    pub fn client(&self) -> Client {
        client(&self.endpoint(), &self.credentials)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Locks the folder for this process. The system releases the lock even if the process is killed.
async fn lock(data: &Path, path: &Path) -> Result<File> {
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(Error::file(path))?;
    let deadline = Instant::now() + LOCK_TIMEOUT;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(cause)) => return Err(Error::file(path)(cause)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                tokio::time::sleep(LOCK_RETRY_INTERVAL).await;
            }
            Err(TryLockError::WouldBlock) => {
                let reason = format!(
                    "another fruitvec serves this folder: {}; stop it, or use its endpoint",
                    data.display()
                );
                return Err(Error::Config(reason));
            }
        }
    }
}

/// Accepts connections until the task is aborted. This also closes the connections.
async fn accept(listener: TcpListener, service: S3Service) {
    // Dropping the set aborts its tasks.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, service.clone()))),
                Err(cause) => {
                    tracing::warn!(%cause, "failed to accept a connection");
                    tokio::time::sleep(ACCEPT_BACKOFF).await;
                }
            },
            // Reaps closed connections, which would otherwise accumulate in the set.
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, service: S3Service) {
    // Responses are small, and a client waits for each one. Nagle's algorithm would delay them.
    if let Err(cause) = stream.set_nodelay(true) {
        tracing::debug!(%cause, "failed to disable Nagle's algorithm");
    }
    let server = auto::Builder::new(TokioExecutor::new());
    if let Err(cause) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(cause, "a connection failed");
    }
}
