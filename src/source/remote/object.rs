//! An object: what it must be, and its bytes by ranges. Every answer is compared with what was
//! found first, so one that is replaced meanwhile is never read half old and half new.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use object_store::path::Path;
use object_store::{GetOptions, GetRange, GetResult, ObjectMeta, ObjectStore};

use super::client::{Fault, Runner, Running};
use super::url::Url;
use crate::limit::{BLOCK_BYTES, SPOOL_RESERVE_BYTES};
use crate::read_at::ReadAt;
use crate::source::SourceError;
use crate::source::stored::Stored;

/// Variables that say which server holds a bucket.
const SERVERS: [&str; 6] = [
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ACCOUNT_NAME",
    "AZURE_STORAGE_ENDPOINT",
    "GOOGLE_BASE_URL",
];

/// An object of a store.
#[derive(Debug, Clone)]
pub struct Object(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Its URL, for people.
    shown: String,
    url: Url,
    target: Target,
    meta: Meta,
    runner: Runner,
}

/// Where requests for it go.
#[derive(Debug, Clone)]
pub(super) struct Target {
    pub store: Arc<dyn ObjectStore>,
    pub path: Path,
}

/// What every answer must say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Meta {
    pub bytes: u64,
    pub etag: Option<String>,
    /// Counts where there is no tag.
    modified: Option<i64>,
}

impl Meta {
    pub fn of(meta: &ObjectMeta) -> Self {
        let etag = meta.e_tag.as_deref().filter(|etag| !etag.is_empty()).map(in_quotes);
        let modified = etag.is_none().then(|| meta.last_modified.timestamp());
        Self { bytes: meta.size, etag, modified }
    }
}

/// A tag as headers have it: lists of Azure leave its quotes out.
fn in_quotes(etag: &str) -> String {
    match etag.starts_with('"') || etag.starts_with("W/") {
        true => etag.to_owned(),
        false => format!("\"{etag}\""),
    }
}

impl Target {
    /// Asks for `range`, or for everything; `known` is what it must be.
    pub async fn get(
        &self,
        range: Option<Range<u64>>,
        known: Option<&Meta>,
    ) -> Result<GetResult, Fault> {
        let etag = known.and_then(|known| known.etag.clone());
        let options = GetOptions {
            range: range.map(GetRange::Bounded),
            // By its rules a weak tag matches nothing; it is compared below all the same.
            if_match: etag.filter(|etag| !etag.starts_with("W/")),
            ..GetOptions::default()
        };
        let answer = self.store.get_opts(&self.path, options).await;
        let answer = answer.map_err(|error| Fault::of(&error))?;
        match known {
            Some(known) if Meta::of(&answer.meta) != *known => Err(Fault::Changed),
            _ => Ok(answer),
        }
    }
}

impl PartialEq for Object {
    fn eq(&self, other: &Self) -> bool {
        self.0.url == other.0.url && self.0.shown == other.0.shown && self.0.meta == other.0.meta
    }
}

impl Eq for Object {}

impl Object {
    pub(super) fn new(shown: String, url: Url, target: Target, meta: Meta, runner: Runner) -> Self {
        Self(Arc::new(Inner { shown, url, target, meta, runner }))
    }

    /// Its URL, without what may be secret in it.
    pub fn name(&self) -> &str {
        &self.0.shown
    }

    /// Its URL as it is, which tells it from others.
    pub(in crate::source) fn address(&self) -> String {
        let (url, path) = (&self.0.url, self.0.target.path.as_ref());
        // The address of what is behind a web server is all in its store.
        let key = if path.is_empty() { &url.key } else { path };
        format!("{}/{key}", url.base)
    }

    /// Everything that tells it from other objects, hashed where it may be secret, and what it is
    /// now. `None`: its store gives it no tag that stands for its bytes.
    pub(in crate::source) fn version(&self) -> Option<(String, String)> {
        let etag = self.0.meta.etag.as_ref().filter(|etag| !etag.starts_with("W/"))?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(self.address().as_bytes());
        // The same bucket and key may be another server's.
        for name in SERVERS {
            hasher.update(b"\0");
            hasher.update(std::env::var(name).unwrap_or_default().as_bytes());
        }
        let address = format!("{} {}", self.0.shown, hasher.finalize().to_hex());
        Some((address, format!("{} bytes, ETag {etag}", self.size())))
    }

    fn size(&self) -> u64 {
        self.0.meta.bytes
    }

    fn start(&self, range: Range<u64>) -> Running<Bytes> {
        let inner = Arc::clone(&self.0);
        self.0.runner.start(move || {
            let (inner, range) = (Arc::clone(&inner), range.clone());
            async move {
                let answer = inner.target.get(Some(range.clone()), Some(&inner.meta)).await?;
                let bytes = answer.bytes().await.map_err(|error| Fault::of(&error))?;
                if bytes.len() as u64 != range.end - range.start {
                    return Err(Fault::Lost("the answer is too short".to_owned()));
                }
                Ok(bytes)
            }
        })
    }

    fn error(&self, fault: Fault) -> SourceError {
        fault.about(&self.0.shown, &self.0.url)
    }
}

/// Reads an object block by block, one block ahead as long as blocks follow one another.
#[derive(Debug)]
pub(in crate::source) struct Ahead {
    object: Object,
    next: Option<(Range<u64>, Running<Bytes>)>,
    /// Where the last block ended.
    end: u64,
}

impl Ahead {
    pub fn new(object: Object) -> Self {
        Self { object, next: None, end: u64::MAX }
    }

    pub fn size(&self) -> u64 {
        self.object.size()
    }

    /// Reads from `start` on until the buffer is full or the object ends.
    pub fn read_block(&mut self, start: u64, into: &mut [u8]) -> io::Result<usize> {
        let size = self.size();
        let range = |start: u64, len: usize| start..size.min(start + len as u64);
        let wanted = range(start, into.len());
        if wanted.is_empty() {
            return Ok(0);
        }
        let running = match self.next.take() {
            Some((range, running)) if range == wanted => running,
            _ => self.object.start(wanted.clone()),
        };
        let then = range(wanted.end, into.len());
        if self.end == start && !then.is_empty() {
            self.next = Some((then.clone(), self.object.start(then)));
        }
        self.end = wanted.end;
        let bytes = running.wait().map_err(|fault| self.object.error(fault).into_io())?;
        into[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }
}

/// An object read from any offset: blocks are fetched when they are asked for first, and kept in a
/// temporary file without a name as long as there is room for it.
#[derive(Debug)]
pub(in crate::source) struct Cached {
    object: Object,
    /// What its blocks must be.
    stored: Option<Arc<Stored>>,
    file: File,
    kept: Mutex<Vec<bool>>,
    /// Why a read failed: formats' readers do not hand on the causes of their errors.
    failed: Mutex<Option<(Fault, u64)>>,
}

impl Cached {
    pub fn new(object: Object, stored: Option<Arc<Stored>>) -> Result<Self, SourceError> {
        let folder = std::env::temp_dir();
        let file = tempfile::tempfile_in(&folder);
        let file = file.map_err(|cause| SourceError::io(&folder.as_path().into(), cause))?;
        let blocks = object.size().div_ceil(BLOCK_BYTES as u64) as usize;
        let (kept, failed) = (Mutex::new(vec![false; blocks]), Mutex::default());
        Ok(Self { object, stored, file, kept, failed })
    }

    fn fetch(&self, number: u64, into: &mut [u8], skip: usize) -> io::Result<usize> {
        let start = number * BLOCK_BYTES as u64;
        let end = self.object.size().min(start + BLOCK_BYTES as u64);
        let fetched = self.object.start(start..end).wait().and_then(|bytes| {
            let holds = self.stored.as_ref().is_none_or(|stored| stored.holds(number, &bytes));
            if holds { Ok(bytes) } else { Err(Fault::Changed) }
        });
        let bytes = fetched.map_err(|fault| {
            let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
            failed.get_or_insert((fault.clone(), start));
            self.object.error(fault).into_io()
        })?;
        let disk = rustix::fs::fstatvfs(&self.file)?;
        if disk.f_bavail.saturating_mul(disk.f_frsize) > SPOOL_RESERVE_BYTES {
            self.file.write_all_at(&bytes, start)?;
            let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
            kept[number as usize] = true;
        }
        let bytes = bytes.get(skip..).unwrap_or_default();
        let len = bytes.len().min(into.len());
        into[..len].copy_from_slice(&bytes[..len]);
        Ok(len)
    }
}

impl ReadAt for Cached {
    fn size(&self) -> u64 {
        self.object.size()
    }

    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        if offset >= self.size() || into.is_empty() {
            return Ok(0);
        }
        let number = offset / BLOCK_BYTES as u64;
        let skip = (offset - number * BLOCK_BYTES as u64) as usize;
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner)[number as usize];
        if !kept {
            return self.fetch(number, into, skip);
        }
        let len = into.len().min(BLOCK_BYTES - skip);
        FileExt::read_at(&self.file, &mut into[..len], offset)
    }

    fn check(&self) -> io::Result<()> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        match &*failed {
            Some((Fault::Changed, offset)) => {
                let name = self.object.name().to_owned();
                Err(SourceError::Changed { name, offset: *offset }.into_io())
            }
            Some((fault, _)) => Err(self.object.error(fault.clone()).into_io()),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_the_same_in_a_list_and_in_an_answer() {
        let of = |etag: &str| {
            Meta::of(&ObjectMeta {
                location: Path::from("bars.csv"),
                last_modified: Default::default(),
                size: 7,
                e_tag: Some(etag.to_owned()),
                version: None,
            })
        };
        assert_eq!(of("0x8DC"), of("\"0x8DC\""), "as Azure writes it");
        assert_eq!(of("0x8DC").etag.as_deref(), Some("\"0x8DC\""), "as If-Match wants it");
        assert_ne!(of("0x8DC"), of("0x8DD"));
        assert_ne!(of("W/\"0x8DC\""), of("0x8DC"), "a weak tag is another");
        assert_eq!(of("").etag, None);
    }
}
