//! Files that are put into stores, and removed from them: archives. Everything else only reads.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::TryStreamExt;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt, WriteMultipart};

use super::Remotes;
use super::client::Fault;
use super::url::{Scheme, Url};
use crate::limit::{MIB, REMOTE_PART_BYTES, REMOTE_PARTS_IN_FLIGHT};
use crate::source::SourceError;

impl Remotes {
    /// Puts a file where `url` says, in parts, then reads it back and compares it. An object of
    /// that name is replaced; nothing is seen of one that was not finished.
    ///
    /// # Errors
    /// [`SourceError::Remote`] when the URL is none of a store, or the store does not take it or
    /// gives back something else.
    pub fn put(&self, url: &str, file: &Path) -> Result<(), SourceError> {
        let (url, store, key) = self.object(url)?;
        let shown = url.shown();
        let about = |fault: Fault| fault.about(&shown, &url);
        let file = file.to_owned();
        let runner = self.runner(self.deadline).map_err(about)?;
        let put = runner.run(move || put_one(Arc::clone(&store), key.clone(), file.clone()));
        put.map_err(about)
    }

    /// Removes the object that `url` names; it is no error if it is gone.
    ///
    /// # Errors
    /// [`SourceError::Remote`].
    pub fn remove(&self, url: &str) -> Result<(), SourceError> {
        let (url, store, key) = self.object(url)?;
        let shown = url.shown();
        let about = |fault: Fault| fault.about(&shown, &url);
        let runner = self.runner(self.deadline).map_err(about)?;
        let removed = runner.run(move || {
            let (store, key) = (Arc::clone(&store), key.clone());
            async move { store.delete(&key).await.map_err(|error| Fault::of(&error)) }
        });
        match removed {
            Ok(()) | Err(Fault::Status(404 | 410, _)) => Ok(()),
            Err(fault) => Err(about(fault)),
        }
    }

    fn object(&self, url: &str) -> Result<(Url, Arc<dyn ObjectStore>, Key), SourceError> {
        let url = Url::parse(url)?;
        let shown = url.shown();
        if matches!(url.scheme, Scheme::Http(_)) || url.key.is_empty() {
            let reason = "files are put into s3, gs and az stores, under a name".to_owned();
            return Err(SourceError::Remote { url: shown, reason });
        }
        let (store, key) = self.store(&url).map_err(|fault| fault.about(&shown, &url))?;
        Ok((url, store, key))
    }
}

async fn put_one(store: Arc<dyn ObjectStore>, key: Key, path: PathBuf) -> Result<(), Fault> {
    let failed = |error: object_store::Error| Fault::of(&error);
    let local = |error: io::Error| Fault::Setup(format!("{}: {error}", path.display()));
    let mut file = File::open(&path).map_err(local)?;
    let upload = store.put_multipart(&key).await.map_err(failed)?;
    let mut upload = WriteMultipart::new_with_chunk_size(upload, REMOTE_PART_BYTES);
    let mut buffer = vec![0; MIB];
    let mut hash = blake3::Hasher::new();
    loop {
        let len = match file.read(&mut buffer) {
            Ok(0) => break,
            Ok(len) => len,
            Err(error) => {
                // What was sent of it is given up; the store forgets it.
                let _ = upload.abort().await;
                return Err(local(error));
            }
        };
        hash.update(&buffer[..len]);
        if let Err(error) = upload.wait_for_capacity(REMOTE_PARTS_IN_FLIGHT).await {
            let _ = upload.abort().await;
            return Err(failed(error));
        }
        upload.write(&buffer[..len]);
    }
    upload.finish().await.map_err(failed)?;
    let mut parts = store.get(&key).await.map_err(failed)?.into_stream();
    let mut back = blake3::Hasher::new();
    while let Some(part) = parts.try_next().await.map_err(failed)? {
        back.update(&part);
    }
    match back.finalize() == hash.finalize() {
        true => Ok(()),
        false => Err(Fault::Lost("what was put there came back as something else".to_owned())),
    }
}
