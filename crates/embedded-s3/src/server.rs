//! The embedded S3 on a loopback port.

use std::fs::{self, File, TryLockError};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use s3s::service::{S3Service, S3ServiceBuilder};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::task::{JoinHandle, JoinSet};

use super::client;
use super::credentials::Credentials;
use super::objects::Store;
use super::protocol::Protocol;
use crate::error::{Error, Result};

/// The folder below the data that is the server's own. No bucket's name begins with a dot.
const OWN_FOLDER: &str = ".fruitvec";
/// How long to wait for the lock of a server that is just stopping.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);
/// How long to wait when no connection can be accepted: too many files are open, most likely.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// A running S3 server on a folder. Dropped, it stops: the port is closed, connections end, the folder is free
/// once the last write that had begun is done.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    credentials: Credentials,
    credentials_file: PathBuf,
    store: Arc<Store>,
    task: JoinHandle<()>,
}

impl Server {
    /// Starts a server on this folder, which is made if it is not there, at a loopback port; 0 is a free one.
    ///
    /// # Errors
    /// [`Error::Config`] if another server has the folder or the port is taken; [`Error::File`] if the folder can't
    /// be written.
    pub async fn start(data: &Path, port: u16) -> Result<Self> {
        let own = data.join(OWN_FOLDER);
        fs::create_dir_all(&own).map_err(Error::file(&own))?;
        let only = lock(data, &own.join("lock")).await?;
        let credentials_file = own.join("credentials");
        let credentials = Credentials::load_or_make(&credentials_file)?;
        let store = Arc::new(Store::open(data, &own, only).map_err(Error::file(data))?);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await;
        let listener = listener.map_err(|cause| Error::Config(format!("port {port}: {cause}")))?;
        let address = listener.local_addr().map_err(|cause| Error::Config(cause.to_string()))?;
        let mut service = S3ServiceBuilder::new(Protocol::new(Arc::clone(&store)));
        service.set_auth(credentials.clone());
        let task = tokio::spawn(accept(listener, service.build()));
        Ok(Self { address, credentials, credentials_file, store, task })
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What requests to it are signed with.
    #[must_use]
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Where they are kept: a file for `$AWS_SHARED_CREDENTIALS_FILE`, readable by its owner only.
    #[must_use]
    pub fn credentials_file(&self) -> &Path {
        &self.credentials_file
    }

    /// The notifications of a bucket from now on, whether or not it exists yet. Each item is one document
    /// `{"Records": […]}` as S3 sends it to a queue; of one key they come in the order of its changes.
    #[must_use]
    pub fn subscribe(&self, bucket: &str) -> UnboundedReceiver<String> {
        self.store.notifier.subscribe(bucket)
    }

    /// A client of this server.
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

/// Locks the folder for this process. The system releases the lock when the process ends, however it ends.
async fn lock(data: &Path, path: &Path) -> Result<File> {
    let file =
        File::options().create(true).truncate(false).write(true).open(path).map_err(Error::file(path))?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(cause)) => return Err(Error::file(path)(cause)),
            Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            Err(TryLockError::WouldBlock) => {
                let reason = format!("another fruitvec serves this folder: {}", data.display());
                return Err(Error::Config(reason));
            }
        }
    }
}

/// Serves connections until it is aborted, which ends them too.
async fn accept(listener: TcpListener, service: S3Service) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => drop(connections.spawn(serve(stream, service.clone()))),
                Err(cause) => {
                    tracing::warn!(%cause, "no connection could be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, service: S3Service) {
    // Answers are small and waited for.
    if let Err(cause) = stream.set_nodelay(true) {
        tracing::debug!(%cause, "nodelay");
    }
    let server = auto::Builder::new(TokioExecutor::new());
    if let Err(cause) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(cause, "a connection broke");
    }
}
