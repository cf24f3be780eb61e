//! Requests to stores: TLS as everywhere in this program, errors sorted into those that may pass
//! and those that will not, and tries again until a deadline.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::{Duration, Instant};

use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService,
};
use object_store::{ClientConfigKey, ClientOptions, HeaderValue};
use rand::RngExt as _;
use tokio::runtime::Handle;

use super::url::Url;
use crate::limit::{
    BACKOFF_FIRST_MS, BACKOFF_LAST_MS, REMOTE_CONNECT_S, REMOTE_ERROR_BYTES_MAX, REMOTE_STALL_S,
};
use crate::source::SourceError;

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fault {
    /// The server's answer: HTTP status, and the error's code if it says one.
    Status(u16, Option<String>),
    /// A part was asked for, and the server gives only the whole.
    NoRanges,
    /// The object is another than when it was found.
    Changed,
    /// No answer, or half of one.
    Lost(String),
    /// It cannot work.
    Setup(String),
    /// It cannot work as the environment has it.
    Settings(String),
    /// Nobody says who asks.
    NoCredentials,
}

impl Fault {
    /// Whether the same request may succeed later.
    pub fn may_pass(&self) -> bool {
        match self {
            Fault::Lost(_) => true,
            Fault::Status(status, _) => matches!(status, 408 | 429 | 500..),
            _ => false,
        }
    }

    /// What an error of the library means.
    pub fn of(error: &object_store::Error) -> Self {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        let mut lost = None;
        while let Some(inner) = cause {
            if let Some(Answer(fault)) = inner.downcast_ref() {
                return fault.clone();
            }
            if let Some(tls) = inner.downcast_ref::<rustls::Error>() {
                return Fault::Setup(format!("TLS fails: {tls}"));
            }
            if inner.downcast_ref().is_some_and(reqwest::Error::is_builder) {
                return Fault::Settings(innermost(inner));
            }
            if inner.is::<HttpError>() || inner.is::<std::io::Error>() {
                lost = Some(inner);
            }
            cause = inner.source();
        }
        match lost {
            // The innermost cause says what happened; those around it show the whole URL.
            Some(inner) => Fault::Lost(innermost(inner)),
            None => Fault::Setup(innermost(error)),
        }
    }

    /// As an error about `shown`, a URL.
    pub fn about(self, shown: &str, url: &Url) -> SourceError {
        let reason = match self {
            Fault::Changed => return SourceError::Changed { name: shown.to_owned(), offset: 0 },
            Fault::Status(404 | 410, Some(code))
                if matches!(code.as_str(), "NoSuchBucket" | "ContainerNotFound") =>
            {
                "there is no such bucket: check the name, and the endpoint if one is set".to_owned()
            }
            Fault::Status(404 | 410, _) => {
                let reason = "there is no such object: check the URL, and end it in / for all that \
                              is below it";
                return SourceError::Absent { url: shown.to_owned(), reason: reason.to_owned() };
            }
            Fault::Status(status @ (401 | 403), code) => {
                format!("access is denied ({status}{}): {}", with_code(code), url.credentials())
            }
            Fault::Status(status @ 300..=399, code) => format!(
                "it is elsewhere ({status}{}): set AWS_REGION to the bucket's region",
                with_code(code)
            ),
            Fault::Status(status, code) => {
                format!("the server answers {status}{}; try again later", with_code(code))
            }
            Fault::NoRanges => "the server gives only the whole of it".to_owned(),
            Fault::Lost(why) => {
                format!("no answer: {why}; check the address and the network, then try again")
            }
            Fault::Setup(why) => why,
            Fault::Settings(why) => format!("{why}: {}", url.settings()),
            Fault::NoCredentials => format!("there are no credentials: {}", url.credentials()),
        };
        SourceError::Remote { url: shown.to_owned(), reason }
    }
}

fn with_code(code: Option<String>) -> String {
    code.map(|code| format!(" {code}")).unwrap_or_default()
}

fn innermost(error: &(dyn Error + 'static)) -> String {
    let mut last = error;
    while let Some(cause) = last.source() {
        last = cause;
    }
    last.to_string()
}

/// Carries a fault through the library's errors.
#[derive(Debug)]
struct Answer(Fault);

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

impl Error for Answer {}

/// Makes clients; all of a run share one for TLS, and one that may do without.
#[derive(Debug, Clone, Default)]
pub(super) struct Connector {
    clients: Arc<[OnceLock<reqwest::Client>; 2]>,
    /// Objects that are stored compressed are given as they are stored.
    takes_gzip: bool,
}

impl Connector {
    /// For a store that unpacks what it gives, unless it is told that gzip is fine.
    pub fn taking_gzip(&self) -> Self {
        Self { takes_gzip: true, ..self.clone() }
    }
}

impl HttpConnector for Connector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let plain = options.get_config_value(&ClientConfigKey::AllowHttp);
        let plain = plain.as_deref() == Some("true");
        let slot = &self.clients[usize::from(plain)];
        let client = match slot.get() {
            Some(client) => client.clone(),
            None => {
                let made = client(plain)
                    .map_err(|source| object_store::Error::Generic { store: "TLS", source })?;
                slot.get_or_init(|| made).clone()
            }
        };
        Ok(HttpClient::new(Service { client, takes_gzip: self.takes_gzip }))
    }
}

fn client(plain: bool) -> Result<reqwest::Client, Box<dyn Error + Send + Sync>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let client = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .https_only(!plain)
        .connect_timeout(Duration::from_secs(REMOTE_CONNECT_S))
        .read_timeout(Duration::from_secs(REMOTE_STALL_S))
        .user_agent(concat!("tidegate/", env!("CARGO_PKG_VERSION")));
    Ok(client.build()?)
}

#[derive(Debug)]
struct Service {
    client: reqwest::Client,
    takes_gzip: bool,
}

type Called<'f> = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'f>>;

impl HttpService for Service {
    fn call<'s, 'f>(&'s self, mut request: HttpRequest) -> Called<'f>
    where
        's: 'f,
        Self: 'f,
    {
        Box::pin(async move {
            let ranged = request.headers().contains_key("range");
            let encoding = if self.takes_gzip { "gzip" } else { "identity" };
            let encoding = HeaderValue::from_static(encoding);
            request.headers_mut().insert("accept-encoding", encoding);
            let host = request.uri().host().unwrap_or_default();
            // Where machines of a cloud ask who they are.
            let asks_who = host.starts_with("169.254.") || host.starts_with("metadata");
            let answer = self.client.call(request).await;
            let response = match answer {
                Err(_) if asks_who => return Err(fault(Fault::NoCredentials)),
                answer => answer?,
            };
            let status = response.status();
            if status.is_success() && !(ranged && status.as_u16() == 200) {
                return Ok(response);
            }
            if status.is_success() || status.as_u16() == 416 {
                return Err(fault(Fault::NoRanges));
            }
            if status.as_u16() == 412 {
                return Err(fault(Fault::Changed));
            }
            let code = error_code(response).await;
            Err(fault(Fault::Status(status.as_u16(), code)))
        })
    }
}

fn fault(fault: Fault) -> HttpError {
    HttpError::new(HttpErrorKind::Decode, Answer(fault))
}

/// The `<Code>` of a store's error. The rest of it may hold what is secret.
async fn error_code(response: HttpResponse) -> Option<String> {
    use futures_util::StreamExt as _;
    let mut parts = response.into_body().bytes_stream();
    let mut body = Vec::new();
    while body.len() < REMOTE_ERROR_BYTES_MAX {
        body.extend_from_slice(&parts.next().await?.ok()?);
        let text = String::from_utf8_lossy(&body);
        let Some((_, rest)) = text.split_once("<Code>") else { continue };
        let Some((code, _)) = rest.split_once("</Code>") else { continue };
        let is_plain = code.len() < 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
        return is_plain.then(|| code.to_owned());
    }
    None
}

/// Runs requests on the runtime of the program, while the thread that asks waits.
#[derive(Debug, Clone)]
pub(super) struct Runner {
    handle: Handle,
    /// How long a request is tried.
    deadline: Duration,
}

/// A request under way. Dropped, it is given up.
#[derive(Debug)]
pub(super) struct Running<T> {
    answer: mpsc::Receiver<Result<T, Fault>>,
    task: tokio::task::AbortHandle,
}

impl<T> Drop for Running<T> {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl<T> Running<T> {
    /// Waits for its end.
    pub fn wait(&self) -> Result<T, Fault> {
        let lost = || Fault::Lost("the request was given up".to_owned());
        self.answer.recv().unwrap_or_else(|_| Err(lost()))
    }
}

impl Runner {
    pub fn new(handle: Handle, deadline: Duration) -> Self {
        Self { handle, deadline }
    }

    /// Begins a request, which is tried again while its faults may pass and there is time.
    pub fn start<T, F>(&self, attempt: impl Fn() -> F + Send + 'static) -> Running<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        let (tell, answer) = mpsc::sync_channel(1);
        let deadline = Instant::now() + self.deadline;
        let task = self.handle.spawn(async move {
            let mut wait = BACKOFF_FIRST_MS;
            let outcome = loop {
                let fault = match attempt().await {
                    Err(fault) if fault.may_pass() => fault,
                    outcome => break outcome,
                };
                if Instant::now() >= deadline {
                    break Err(fault);
                }
                let jitter = rand::rng().random_range(wait / 2..=wait);
                tokio::time::sleep(Duration::from_millis(jitter)).await;
                wait = (wait * 2).min(BACKOFF_LAST_MS);
            };
            // Whoever asked may be gone.
            let _ = tell.send(outcome);
        });
        Running { answer, task: task.abort_handle() }
    }

    /// Does a request.
    pub fn run<T, F>(&self, attempt: impl Fn() -> F + Send + 'static) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, Fault>> + Send + 'static,
    {
        self.start(attempt).wait()
    }
}
