//! Objects of stores (S3, Google Cloud Storage, Azure, web servers): which ones a URL stands for,
//! and their bytes by ranges. Writes nothing but archives (`put`). Credentials come from the
//! environment, as each store's own tools take them, and are never shown. Called by `find` and
//! `location`.
//!
//! A web server that gives only the whole of a file is read once, into a temporary file.

mod client;
mod object;
mod put;
mod url;

use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Buf, Bytes};
use futures_util::stream::BoxStream;
use futures_util::{StreamExt, TryStreamExt};
use object_store::aws::AmazonS3Builder;
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::http::HttpBuilder;
use object_store::path::Path;
use object_store::{ClientConfigKey, ClientOptions, ObjectMeta, ObjectStore, RetryConfig};
use tokio::runtime::Handle;

use self::client::{Connector, Fault, Runner};
use self::object::{Meta, Target};
use self::url::{Scheme, Url, is_loopback};
use super::{Found, Location, SourceError, Spooler};
use crate::limit::{ADMISSION_S, BACKOFF_FIRST_MS, BACKOFF_LAST_MS, KIB, OBJECTS_LISTED_MAX};

pub use self::object::Object;
pub(super) use self::object::{Ahead, Cached};

/// Reaches stores. Requests run on the runtime in which this was made.
#[derive(Debug, Clone)]
pub struct Remotes {
    handle: Option<Handle>,
    /// How long a read is tried.
    deadline: Duration,
    connector: Connector,
}

impl Remotes {
    /// Tries reads that fail for `retry_deadline`; what a URL stands for is asked for a minute at
    /// most.
    pub fn new(retry_deadline: Duration) -> Self {
        let (handle, connector) = (Handle::try_current().ok(), Connector::default());
        Self { handle, deadline: retry_deadline, connector }
    }

    fn runner(&self, deadline: Duration) -> Result<Runner, Fault> {
        let handle = self.handle.clone();
        let handle = handle.ok_or_else(|| Fault::Setup("URLs are not read here".to_owned()))?;
        Ok(Runner::new(handle, deadline))
    }

    /// What the URL `argument` stands for.
    ///
    /// # Errors
    /// When it stands for nothing, or the store does not let us see.
    pub(super) fn find(
        &self,
        argument: &str,
        spooler: &Spooler,
    ) -> Result<Vec<Found>, SourceError> {
        let url = Url::parse(argument)?;
        let shown = url.shown();
        let about = |fault: Fault| fault.about(&shown, &url);
        let (store, path) = self.store(&url).map_err(about)?;
        let patience = self.deadline.min(Duration::from_secs(ADMISSION_S));
        let asking = self.runner(patience).map_err(about)?;
        if let Some((folder, pattern)) = url.several() {
            return self.list(&url, &store, &asking, (folder, pattern));
        }
        let target = Target { store, path };
        let probe = target.clone();
        let probed = asking.run(move || {
            let target = probe.clone();
            // The first bytes: some signed URLs may be read, but not asked about.
            async move { Ok(Meta::of(&target.get(Some(0..KIB as u64), None).await?.meta)) }
        });
        match probed {
            Ok(meta) => {
                let runner = self.runner(self.deadline).map_err(about)?;
                let object = Object::new(shown.clone(), url.clone(), target, meta, runner);
                Ok(vec![found(Location::Object(object), true)])
            }
            Err(Fault::NoRanges) => {
                let spool = self.spool(&url, &target, spooler)?;
                let (location, name) = (spool.location(), shown);
                Ok(vec![Found { location, name, named: true, spool: Some(spool) }])
            }
            Err(fault) => Err(about(fault)),
        }
    }

    fn list(
        &self,
        url: &Url,
        store: &Arc<dyn ObjectStore>,
        asking: &Runner,
        (folder, pattern): (&str, Option<&str>),
    ) -> Result<Vec<Found>, SourceError> {
        let shown = url.shown();
        let refused = |reason: String| SourceError::Remote { url: shown.clone(), reason };
        let about = |fault: Fault| fault.about(&shown, url);
        let pattern = pattern.map(glob::Pattern::new).transpose();
        let pattern = pattern.map_err(|error| refused(format!("not a glob: {}", error.msg)))?;
        let below = key_path(folder).map_err(about)?;
        let listing = Arc::clone(store);
        let listed = asking.run(move || {
            let (store, below) = (Arc::clone(&listing), below.clone());
            async move {
                let listed = store.list(Some(&below)).take(OBJECTS_LISTED_MAX + 1);
                let listed: Result<Vec<ObjectMeta>, _> = listed.try_collect().await;
                listed.map_err(|error| Fault::of(&error))
            }
        });
        let mut listed = listed.map_err(about)?;
        if listed.len() > OBJECTS_LISTED_MAX {
            let max = OBJECTS_LISTED_MAX;
            return Err(refused(format!("it stands for more than {max} objects: name a part")));
        }
        listed.sort_by(|a, b| a.location.cmp(&b.location));
        let runner = self.runner(self.deadline).map_err(about)?;
        let mut all = Vec::new();
        // Consoles make an empty object of a folder's name, which stands for no file.
        let is_folder = |meta: &ObjectMeta| {
            let key = meta.location.as_ref();
            let below = |other: &ObjectMeta| {
                let rest = other.location.as_ref().strip_prefix(key);
                rest.is_some_and(|rest| rest.starts_with('/'))
            };
            meta.size == 0 && (key == folder || listed.iter().any(below))
        };
        for meta in listed.iter().filter(|meta| !is_folder(meta)) {
            let key = meta.location.as_ref();
            let inside = key.strip_prefix(folder).unwrap_or(key);
            let hidden = inside.split('/').any(|part| part.starts_with('.'));
            if hidden || !pattern.as_ref().is_none_or(|it| it.matches_with(key, GLOB)) {
                continue;
            }
            let target = Target { store: Arc::clone(store), path: meta.location.clone() };
            let (shown, url) = (url.sibling(key), url.clone());
            let object = Object::new(shown, url, target, Meta::of(meta), runner.clone());
            all.push(found(Location::Object(object), false));
        }
        if all.is_empty() {
            let reason = "nothing is there: check bucket, folder and pattern".to_owned();
            return Err(SourceError::Absent { url: shown, reason });
        }
        Ok(all)
    }

    /// Copies the whole of what is behind a URL to a temporary file.
    fn spool(
        &self,
        url: &Url,
        target: &Target,
        spooler: &Spooler,
    ) -> Result<super::Spool, SourceError> {
        let shown = url.shown();
        let about = |fault: Fault| fault.about(&shown, url);
        let runner = self.runner(self.deadline).map_err(about)?;
        let once = self.runner(Duration::ZERO).map_err(about)?;
        let until = Instant::now() + self.deadline;
        let mut wait = BACKOFF_FIRST_MS;
        loop {
            let whole = target.clone();
            let answer = runner.run(move || {
                let target = whole.clone();
                async move { target.get(None, None).await }
            });
            let answer = answer.map_err(about)?;
            let left = answer.meta.size;
            let parts = Some(answer.into_stream());
            let (ready, runner) = (Bytes::new(), once.clone());
            let mut body = Body { parts, ready, left, runner, fault: None };
            match spooler.remote(&mut body, &shown) {
                Ok(spool) => return Ok(spool),
                Err(error) => match body.fault {
                    // Such a server cannot be asked for the rest: from the start again.
                    Some(fault) if fault.may_pass() && Instant::now() < until => {
                        std::thread::sleep(Duration::from_millis(wait));
                        wait = (wait * 2).min(BACKOFF_LAST_MS);
                    }
                    Some(fault) => return Err(about(fault)),
                    None => return Err(error),
                },
            }
        }
    }

    /// The store of a URL, and the object's path in it.
    fn store(&self, url: &Url) -> Result<(Arc<dyn ObjectStore>, Path), Fault> {
        let failed = |error: object_store::Error| match Fault::of(&error) {
            Fault::Setup(why) => Fault::Settings(why),
            fault => fault,
        };
        let retry = RetryConfig { max_retries: 0, ..RetryConfig::default() };
        let (connector, path) = (self.connector.clone(), key_path(&url.key));
        Ok(match url.scheme {
            Scheme::Http(tls) => {
                // The key is part of the address, as it stands: nothing in it is coded again.
                let address = format!("{}/{}", url.base, url.key);
                let store = HttpBuilder::new()
                    .with_url(address)
                    .with_client_options(ClientOptions::new().with_allow_http(!tls))
                    .with_retry(retry)
                    .with_http_connector(connector);
                (Arc::new(store.build().map_err(failed)?), Path::default())
            }
            Scheme::S3 => {
                let mut builder = AmazonS3Builder::from_env().with_bucket_name(&url.authority);
                if is_here(&["AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT"]) {
                    builder = builder.with_allow_http(true);
                }
                let store = builder.with_retry(retry).with_http_connector(connector);
                (Arc::new(store.build().map_err(failed)?), path?)
            }
            Scheme::Gs => {
                let builder = GoogleCloudStorageBuilder::from_env();
                let mut builder = builder.with_bucket_name(&url.authority).with_retry(retry);
                if is_here(&["GOOGLE_BASE_URL"]) {
                    builder = builder.with_config(GoogleConfigKey::Client(PLAIN), "true");
                }
                let store = builder.with_http_connector(connector.taking_gzip());
                (Arc::new(store.build().map_err(failed)?), path?)
            }
            Scheme::Azure => {
                let mut builder = MicrosoftAzureBuilder::from_env().with_url(&url.base);
                if is_here(&["AZURE_STORAGE_ENDPOINT", "AZURE_ENDPOINT"]) {
                    builder = builder.with_allow_http(true);
                }
                let store = builder.with_retry(retry).with_http_connector(connector);
                (Arc::new(store.build().map_err(failed)?), path?)
            }
        })
    }
}

const GLOB: glob::MatchOptions = glob::MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

fn found(location: Location, named: bool) -> Found {
    Found { name: location.to_string(), location, named, spool: None }
}

fn key_path(key: &str) -> Result<Path, Fault> {
    Path::parse(key).map_err(|error| Fault::Setup(format!("no name of an object: {error}")))
}

/// Lets a server do without TLS.
const PLAIN: ClientConfigKey = ClientConfigKey::AllowHttp;

/// Whether one of these variables names a server of this machine, which may do without TLS.
fn is_here(variables: &[&str]) -> bool {
    variables.iter().any(|name| {
        let value = std::env::var(name).unwrap_or_default();
        let host = value.strip_prefix("http://").unwrap_or_default();
        is_loopback(host.split('/').next().unwrap_or_default())
    })
}

/// The body of an answer, read as it comes.
struct Body {
    parts: Option<BoxStream<'static, object_store::Result<Bytes>>>,
    ready: Bytes,
    /// Bytes that are still to come.
    left: u64,
    /// Tries once: the rest of an answer cannot be asked for again.
    runner: Runner,
    fault: Option<Fault>,
}

impl Body {
    fn fail(&mut self, fault: Fault) -> io::Error {
        self.fault = Some(fault);
        io::ErrorKind::ConnectionAborted.into()
    }
}

impl Read for Body {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() {
            let Some(parts) = self.parts.take() else { return Ok(0) };
            let parts = std::sync::Mutex::new(Some(parts));
            let next = self.runner.run(move || {
                let parts = parts.lock().ok().and_then(|mut parts| parts.take());
                async move {
                    let Some(mut parts) = parts else { return Ok(None) };
                    let part = parts.try_next().await.map_err(|error| Fault::of(&error))?;
                    Ok(part.map(|part| (parts, part)))
                }
            });
            match next {
                Ok(Some((parts, part))) => {
                    self.left = self.left.saturating_sub(part.len() as u64);
                    (self.parts, self.ready) = (Some(parts), part);
                }
                Ok(None) if self.left == 0 => return Ok(0),
                Ok(None) => return Err(self.fail(Fault::Lost("the answer is too short".into()))),
                Err(fault) => return Err(self.fail(fault)),
            }
        }
        let len = self.ready.len().min(into.len());
        self.ready.copy_to_slice(&mut into[..len]);
        Ok(len)
    }
}
