//! Leaving out files and objects that are unchanged since all that they hold was loaded, without
//! reading them: what the ledger's memos are asked, and what is noted after a load.

use std::collections::{BTreeMap, HashSet};
use std::time::Duration;

use super::backfill::Begun;
use super::plan::Planning;
use super::survey::Looked;
use super::{Access, CommandError, LayoutChoice, LoadRequest};
use crate::db::ledger::{self, Memo};
use crate::layout::edition;
use crate::limit::{ADMISSION_S, MEMOS_PAGE};
use crate::report::model::{FileReport, Report};
use crate::source::{Found, Version};

/// Files that are done and were not looked at.
#[derive(Debug, Default)]
pub(super) struct Spared {
    files: Vec<FileReport>,
    ignored: Vec<String>,
}

/// Takes the files out of `found` that are known to be done, in the ledger of the database.
pub(super) async fn spare(
    request: &LoadRequest,
    access: &Access,
    found: &mut Vec<Found>,
) -> Result<Spared, CommandError> {
    let mut spared = Spared::default();
    // Units are counted by looking into files.
    if request.reload || request.shard.is_some() || request.units.is_some() {
        return Ok(spared);
    }
    let of_file = |at: usize| {
        let file = found.get(at).filter(|file| file.spool.is_none())?;
        let version = Version::of(&file.location)?;
        Some((at, key(request, &file.name, &version).ok()?, version.says))
    };
    let asked: Vec<_> = (0..found.len()).filter_map(of_file).collect();
    if asked.is_empty() {
        return Ok(spared);
    }
    // A server without room for us now is waited for, as the load itself does.
    let patience = request.retry_deadline.min(Duration::from_secs(ADMISSION_S));
    let connection = access.database().await?.connect_within(patience, false).await?;
    if !ledger::has_memos(&connection).await? {
        return Ok(spared);
    }
    let mut done = HashSet::new();
    for page in asked.chunks(MEMOS_PAGE) {
        let wanted: Vec<_> = page.iter().map(|(_, key, says)| (*key, says.clone())).collect();
        let mut remembered = ledger::recall(&connection, &wanted).await?;
        for (at, key, _) in page {
            let Some(memo) = remembered.remove(key.as_slice()) else { continue };
            done.insert(*at);
            spared.ignored.extend(memo.ignored.into_iter().map(|(name, _)| name));
            spared.files.extend(memo.contents.into_iter().map(|content| FileReport {
                source: content.source,
                content_hash: Some(super::summary::hex(&content.hash)),
                layout: Some(content.layout),
                dataset: Some(content.dataset),
                sealed: true,
                load_id: Some(content.load),
                already_loaded: true,
                ..FileReport::default()
            }));
        }
    }
    let mut at = 0;
    found.retain(|_| {
        at += 1;
        !done.contains(&(at - 1))
    });
    Ok(spared)
}

impl Spared {
    /// What they hold: each with its source, layout and dataset.
    pub(super) fn files(&self) -> &[FileReport] {
        &self.files
    }

    /// What in them is no market data.
    pub(super) fn ignored(&self) -> &[String] {
        &self.ignored
    }

    /// The loads of what they hold.
    pub(super) fn loads(&self) -> Vec<i64> {
        self.files.iter().filter_map(|file| file.load_id).collect()
    }

    /// Adds what in them is no market data to a report.
    pub(super) fn report_ignored(self, report: &mut Report) {
        report.ignored.extend(self.ignored);
    }

    /// Adds them to a report.
    pub(super) fn report(self, report: &mut Report) {
        report.files.extend(self.files);
        report.ignored.extend(self.ignored);
    }
}

/// The files of a run whose contents are all loaded, as they are noted for the next.
pub(super) fn done(
    request: &LoadRequest,
    looked: &[Looked],
    planning: &Planning,
    begun: &Begun,
    report: &Report,
) -> Vec<Memo> {
    if request.shard.is_some() || request.units.is_some() {
        return Vec::new();
    }
    let mut loads: BTreeMap<usize, Vec<(i64, String)>> = BTreeMap::new();
    for (at, planned) in planning.loads.iter().enumerate() {
        // The report's first files are the plan's loads, in its order.
        let sealed = report.files.get(at).is_some_and(|file| file.sealed && file.error.is_none());
        let load = begun.get(&at).map(|load| load.id);
        let load = load.or_else(|| planned.found.as_ref().map(|found| found.id));
        if let Some(load) = load.filter(|_| sealed) {
            let of_file = loads.entry(planned.source.file).or_default();
            of_file.push((load, planned.source.name.to_string()));
        }
    }
    let memo = |(at, loads): (usize, Vec<(i64, String)>)| {
        let file = looked.get(at).filter(|file| file.sources == loads.len())?;
        let version = file.version.as_ref()?;
        Some(Memo {
            key: key(request, &file.name, version).ok()?,
            location: file.name.clone(),
            version: version.says.clone(),
            loads,
            ignored: file.ignored.clone(),
        })
    };
    loads.into_iter().filter_map(memo).collect()
}

/// A hash of where a file is, how it is called, and of everything in a request that decides what it
/// is loaded as.
fn key(request: &LoadRequest, name: &str, version: &Version) -> std::io::Result<[u8; 32]> {
    let mut hasher = blake3::Hasher::new();
    let mut field = |bytes: &[u8]| {
        hasher.update(&(bytes.len() as u64).to_le_bytes());
        hasher.update(bytes);
    };
    field(&version.address);
    field(name.as_bytes());
    field(&edition());
    match &request.layout {
        None => field(b""),
        Some(LayoutChoice::Named(name)) => field(name.as_bytes()),
        Some(LayoutChoice::File(path)) => field(&std::fs::read(path)?),
    }
    field(format!("{:?} {:?} {:?}", request.facts, request.table, request.window).as_bytes());
    Ok(*hasher.finalize().as_bytes())
}
