//! Stands in for `remote` where the program is built without the feature `remote`: every URL is
//! refused, so no object ever is.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use super::stored::Stored;
use super::{Found, SourceError, Spooler};
use crate::read_at::ReadAt;

/// An object of a store; there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Object {}

impl Object {
    /// Its URL.
    pub fn name(&self) -> &str {
        match *self {}
    }

    pub(super) fn address(&self) -> String {
        match *self {}
    }

    pub(super) fn version(&self) -> Option<(String, String)> {
        match *self {}
    }
}

/// Refuses.
#[derive(Debug, Clone)]
pub struct Remotes;

impl Remotes {
    /// Takes what the real one takes.
    pub fn new(_: Duration) -> Self {
        Self
    }

    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn put(&self, url: &str, _: &std::path::Path) -> Result<(), SourceError> {
        Err(refused(url, "this program was built without the feature `remote`: name a folder"))
    }

    /// Refuses.
    ///
    /// # Errors
    /// Always.
    pub fn remove(&self, url: &str) -> Result<(), SourceError> {
        Err(refused(url, "this program was built without the feature `remote`"))
    }

    pub(super) fn find(&self, url: &str, _: &Spooler) -> Result<Vec<Found>, SourceError> {
        let reason = "this program was built without the feature `remote` and reads files and \
                      standard input only: pipe it in: curl ... | tidegate backfill - ...";
        Err(refused(url, reason))
    }
}

fn refused(url: &str, reason: &str) -> SourceError {
    let url = url.split(['?', '#']).next().unwrap_or_default().to_owned();
    SourceError::Remote { url, reason: reason.to_owned() }
}

#[derive(Debug)]
pub(super) struct Ahead(Object);

impl Ahead {
    pub fn new(object: Object) -> Self {
        Self(object)
    }

    pub fn size(&self) -> u64 {
        match self.0 {}
    }

    pub fn read_block(&mut self, _: u64, _: &mut [u8]) -> io::Result<usize> {
        match self.0 {}
    }
}

#[derive(Debug)]
pub(super) struct Cached(Object);

impl Cached {
    pub fn new(object: Object, _: Option<Arc<Stored>>) -> Result<Self, SourceError> {
        Ok(Self(object))
    }
}

impl ReadAt for Cached {
    fn size(&self) -> u64 {
        match self.0 {}
    }

    fn read_at(&self, _: &mut [u8], _: u64) -> io::Result<usize> {
        match self.0 {}
    }

    fn check(&self) -> io::Result<()> {
        match self.0 {}
    }
}
