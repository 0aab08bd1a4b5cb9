//! A running endpoint: how it is set up, started, filled, inspected and stopped.
//! Not here: how requests are answered (`server`, `s3`, `sts`).
//! Called by the demo and by tests.

use std::collections::HashSet;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use s3s::service::S3ServiceBuilder;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::access::{AccessKey, Authority, Gate, Role, Secrets, User};
use crate::content::Spool;
use crate::fault::{Fault, Faults, InjectedFault};
use crate::requests::{Request, RequestLog};
use crate::s3::Service;
use crate::server::{self, Server};
use crate::store::{Attributes, Object, Store};
use crate::sts::TokenService;

/// What goes wrong when an endpoint is set up or filled from inside the process.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// Why not.
        source: std::io::Error,
    },
    /// A file or folder cannot be read or written.
    #[error("cannot use {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no bucket of this name.
    #[error("there is no bucket named {bucket}")]
    NoSuchBucket {
        /// The name asked for.
        bucket: String,
    },
    /// A policy document cannot be understood.
    #[error("cannot read the policy: {reason}")]
    Policy {
        /// What is wrong with it.
        reason: String,
    },
}

/// A bucket and its settings. A name alone is a private bucket in `us-east-1` without versioning.
#[derive(Debug, Clone)]
pub struct Bucket {
    pub(crate) name: String,
    pub(crate) region: String,
    pub(crate) public: bool,
    pub(crate) versioned: bool,
}

impl Bucket {
    /// A private bucket in `us-east-1` without versioning.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), region: "us-east-1".to_owned(), public: false, versioned: false }
    }

    /// The region that requests must be signed for.
    #[must_use]
    pub fn region(mut self, region: impl Into<String>) -> Self {
        self.region = region.into();
        self
    }

    /// Everybody may list and read, without a signature.
    #[must_use]
    pub fn public(mut self) -> Self {
        self.public = true;
        self
    }

    /// The bucket keeps versions: answers carry `x-amz-version-id`, deletes leave a marker.
    #[must_use]
    pub fn versioned(mut self) -> Self {
        self.versioned = true;
        self
    }
}

impl From<&str> for Bucket {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// Settings of an [`Endpoint`] that is not started yet.
#[derive(Debug)]
#[must_use = "an endpoint does nothing until it is started"]
pub struct EndpointBuilder {
    address: SocketAddr,
    buckets: Vec<Bucket>,
    users: Vec<User>,
    roles: Vec<Role>,
    spool: Spool,
    page_size: usize,
}

impl EndpointBuilder {
    /// Adds a bucket.
    pub fn bucket(mut self, bucket: impl Into<Bucket>) -> Self {
        self.buckets.push(bucket.into());
        self
    }

    /// Adds a user. Without any, the endpoint makes one with a random key who may do everything.
    pub fn user(mut self, user: User) -> Self {
        self.users.push(user);
        self
    }

    /// Adds a role that `AssumeRole` hands out credentials for.
    pub fn role(mut self, role: Role) -> Self {
        self.roles.push(role);
        self
    }

    /// The address to listen on; without it a free port of the loopback interface.
    pub fn listen(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Keeps what is uploaded in files of this folder rather than in memory. They go away with the endpoint.
    pub fn spool_to(mut self, folder: impl Into<PathBuf>) -> Self {
        self.spool = Spool::Folder(folder.into());
        self
    }

    /// The most keys that one page of a listing holds; 1000 without it, as in S3.
    pub fn page_size(mut self, keys: usize) -> Self {
        self.page_size = keys;
        self
    }

    /// Starts the endpoint on the current Tokio runtime.
    ///
    /// # Errors
    /// [`EndpointError::Listen`] where the address is taken.
    pub async fn start(mut self) -> Result<Endpoint, EndpointError> {
        if self.users.is_empty() {
            self.users.push(User::random());
        }
        let listening = async {
            let listener = TcpListener::bind(self.address).await?;
            let address = listener.local_addr()?;
            Ok((listener, address))
        };
        let (listener, address) =
            listening.await.map_err(|source| EndpointError::Listen { address: self.address, source })?;

        let access_key = self.users[0].key.clone();
        let store = Arc::new(Store::new(self.buckets, self.spool));
        let authority = Arc::new(Authority::new(self.users, self.roles));
        let mut service = S3ServiceBuilder::new(Service { store: Arc::clone(&store), page_size: self.page_size });
        service.set_auth(Secrets(Arc::clone(&authority)));
        service.set_access(Gate { authority: Arc::clone(&authority), store: Arc::clone(&store) });
        service.set_route(TokenService(Arc::clone(&authority)));
        let server =
            Arc::new(Server { service: service.build(), store, log: RequestLog::default(), faults: Faults::default() });
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(server::run(Arc::clone(&server), listener, stopped));
        Ok(Endpoint { url: format!("http://{address}"), access_key, authority, server, task, stop })
    }
}

/// An S3 and STS endpoint that runs inside this process until it is dropped.
pub struct Endpoint {
    url: String,
    access_key: AccessKey,
    authority: Arc<Authority>,
    server: Arc<Server>,
    task: JoinHandle<()>,
    /// The server runs as long as this is there.
    stop: oneshot::Sender<()>,
}

impl std::fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Endpoint").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Endpoint {
    /// An endpoint on a free loopback port, without buckets, that keeps everything in memory.
    pub fn builder() -> EndpointBuilder {
        EndpointBuilder {
            address: (Ipv4Addr::LOCALHOST, 0).into(),
            buckets: Vec::new(),
            users: Vec::new(),
            roles: Vec::new(),
            spool: Spool::Memory,
            page_size: 1000,
        }
    }

    /// Where S3 and STS listen, such as `http://127.0.0.1:40123`. Buckets are addressed by path.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// The access key of the first user.
    pub fn access_key(&self) -> &AccessKey {
        &self.access_key
    }

    /// Puts an object; returns its ETag without quotes.
    ///
    /// # Errors
    /// Where there is no such bucket, or the spool folder cannot be written.
    pub fn put(&self, bucket: &str, key: &str, bytes: impl Into<Bytes>) -> Result<String, EndpointError> {
        let received = self.server.store.spool.keep(bytes.into())?;
        self.insert(bucket, key, Object::new(received, Attributes::default()))
    }

    /// Puts a file as an object, served by range from where it is: the file must stay as it is until it is put again.
    /// Its ETag comes from path, size and modification time. Returns it without quotes.
    ///
    /// # Errors
    /// Where there is no such bucket or file.
    pub fn put_file(&self, bucket: &str, key: &str, path: impl AsRef<Path>) -> Result<String, EndpointError> {
        let path = path.as_ref();
        let object = Object::file(path).map_err(|source| EndpointError::File { path: path.to_owned(), source })?;
        self.insert(bucket, key, object)
    }

    /// Puts every file below a folder as [`put_file`](Self::put_file) does, under `prefix` and its path below the
    /// folder. Returns how many there were.
    ///
    /// # Errors
    /// Where there is no such bucket, or the folder cannot be read.
    pub fn upload_dir(&self, bucket: &str, prefix: &str, folder: impl AsRef<Path>) -> Result<usize, EndpointError> {
        let mut count = 0;
        let mut folders = vec![(folder.as_ref().to_owned(), prefix.trim_end_matches('/').to_owned())];
        while let Some((folder, prefix)) = folders.pop() {
            let failed = |source| EndpointError::File { path: folder.clone(), source };
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let name = entry.file_name().to_string_lossy().into_owned();
                let key = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
                if entry.path().is_dir() {
                    folders.push((entry.path(), key));
                } else {
                    self.put_file(bucket, &key, entry.path())?;
                    count += 1;
                }
            }
        }
        Ok(count)
    }

    /// The bytes of an object; `None` where there is no such key.
    ///
    /// # Errors
    /// Where there is no such bucket, or the object's file has gone.
    pub fn get(&self, bucket: &str, key: &str) -> Result<Option<Bytes>, EndpointError> {
        let object = self.server.store.with(bucket, |state| state.latest(key).map(|(_, object)| Arc::clone(object)))?;
        let Some(object) = object else { return Ok(None) };
        let read = object.content.read_all();
        read.map(Some).map_err(|source| EndpointError::File { path: PathBuf::from(key), source })
    }

    /// Deletes an object; returns whether there was one.
    ///
    /// # Errors
    /// Where there is no such bucket.
    pub fn delete(&self, bucket: &str, key: &str) -> Result<bool, EndpointError> {
        self.server.store.with(bucket, |state| {
            let present = state.latest(key).is_some();
            state.delete(key);
            present
        })
    }

    /// The keys of a bucket in order.
    ///
    /// # Errors
    /// Where there is no such bucket.
    pub fn keys(&self, bucket: &str) -> Result<Vec<String>, EndpointError> {
        self.server.store.with(bucket, |state| state.scan("", "").map(|(key, _)| key.to_owned()).collect())
    }

    /// The keys of multipart uploads that are neither completed nor aborted.
    ///
    /// # Errors
    /// Where there is no such bucket.
    pub fn unfinished_uploads(&self, bucket: &str) -> Result<Vec<String>, EndpointError> {
        let keys = |uploads: HashSet<&String>| uploads.into_iter().cloned().collect();
        self.server.store.with(bucket, |state| keys(state.uploads.values().map(|upload| &upload.key).collect()))
    }

    /// Every request since the start or the last [`clear_requests`](Self::clear_requests), in order of arrival.
    pub fn requests(&self) -> Vec<Request> {
        self.server.log.all()
    }

    /// Forgets the requests so far.
    pub fn clear_requests(&self) {
        self.server.log.clear();
    }

    /// Lets something go wrong on purpose.
    pub fn inject(&self, fault: Fault) -> InjectedFault {
        self.server.faults.inject(fault)
    }

    /// Ends all faults.
    pub fn clear_faults(&self) {
        self.server.faults.clear();
    }

    /// Hands out temporary credentials of a user, as `GetSessionToken` does; `None` where there is no such user.
    pub fn open_session(&self, access_key_id: &str, lifetime: Duration) -> Option<AccessKey> {
        self.authority.open_user_session(access_key_id, lifetime).map(|session| session.key)
    }

    /// Ends all temporary credentials handed out so far: from now on they get `ExpiredToken`.
    pub fn expire_sessions(&self) {
        self.authority.expire_sessions();
    }

    /// Stops listening, closes every connection and waits until that is done. Dropping the endpoint does the same
    /// without waiting.
    pub async fn shutdown(self) {
        drop(self.stop);
        if let Err(error) = self.task.await {
            tracing::warn!(%error, "the endpoint ended in disorder");
        }
    }

    fn insert(&self, bucket: &str, key: &str, object: Object) -> Result<String, EndpointError> {
        let etag = object.etag.clone();
        self.server.store.with(bucket, |state| state.insert(key, object))?;
        Ok(etag)
    }
}
