//! Files: written beside their places and renamed, so that none is ever half there.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde_json::json;

use super::faults::{Entry, KEY_NAME};
use super::{Batchwork, Folder, GenerateRequest, Piece, shown};
use crate::command::{Answer, CommandError, LoadRequest};
use crate::error::Exit;
use crate::pipeline::{Cancel, watch_signals};
use crate::report::human;
use crate::report::list::{Cell, Grid};
use crate::report::progress::Snapshot;

/// How often the progress display is told how things stand.
const SHOW_EVERY: Duration = Duration::from_millis(100);
/// Threads that make files.
const THREADS_MAX: usize = 16;
/// Files named in a message.
const NAMED_MAX: usize = 3;

/// What is done so far.
#[derive(Debug, Default)]
pub struct Progressing {
    files: AtomicU64,
    rows: AtomicU64,
    bytes: AtomicU64,
}

/// Writes the files of a request, and tells `show` how things stand.
///
/// # Errors
/// When the spec cannot be met, files are there already, or one cannot be written. Those that were
/// written are whole and stay.
pub async fn run(
    request: &GenerateRequest,
    load: &LoadRequest,
    folder: &Folder,
    on_stopping: impl Fn() + Send + 'static,
    mut show: impl FnMut(&Snapshot),
) -> Result<Answer, CommandError> {
    let work = Arc::new(Batchwork::new(request, load)?);
    std::fs::create_dir_all(&folder.path).map_err(CommandError::file(&folder.path))?;
    not_there(&work, folder)?;
    let (cancel, done, began) =
        (Cancel::default(), Arc::new(Progressing::default()), Instant::now());
    let signals = tokio::spawn(watch_signals(cancel.clone(), on_stopping));
    let mut writing = {
        let (work, done, path) = (Arc::clone(&work), Arc::clone(&done), folder.path.clone());
        let (cancel, rate) = (cancel.clone(), request.rate);
        tokio::task::spawn_blocking(move || write_all(&work, &path, &done, &cancel, rate))
    };
    let snapshot = |finished| Snapshot {
        rows_read: done.rows.load(Relaxed),
        rows_written: done.rows.load(Relaxed),
        files_total: work.files.len() as u64,
        files_done: done.files.load(Relaxed),
        // The rows stand for the bytes: how many there will be is not known.
        bytes_total: work.generator.rows(),
        bytes_done: done.rows.load(Relaxed),
        elapsed: began.elapsed(),
        finished,
        ..Snapshot::default()
    };
    let ended = loop {
        tokio::select! {
            ended = &mut writing => break ended,
            () = tokio::time::sleep(SHOW_EVERY) => show(&snapshot(false)),
        }
    };
    signals.abort();
    show(&snapshot(true));
    ended.map_err(|error| CommandError::Refused(format!("a thread ended: {error}")))??;
    Ok(answer(&work, folder, &done, began.elapsed(), cancel.is_interrupted()))
}

fn answer(
    work: &Batchwork,
    folder: &Folder,
    done: &Progressing,
    elapsed: Duration,
    interrupted: bool,
) -> Answer {
    let (files, rows) = (done.files.load(Relaxed), done.rows.load(Relaxed));
    let (bytes, seconds) = (done.bytes.load(Relaxed), elapsed.as_secs_f64().max(1e-9));
    let rate = rows as f64 / seconds;
    let mut grid = Grid::new(["dataset", "files", "rows", "size", "rows/s"]).right(&[1, 2, 3, 4]);
    grid.push([
        work.dataset.name.into(),
        files.into(),
        rows.into(),
        Cell::shown(human::size(bytes), bytes),
        Cell::shown(human::rows_per_s(rate), rate),
    ]);
    let path = shown(&folder.path);
    let mut messages = work.messages.clone();
    messages.push(match interrupted {
        true => format!(
            "interrupted: {} of {} files are in {path}, each of them whole; the same command with \
             --yes makes all",
            files,
            work.files.len()
        ),
        false => format!("load them: tidegate backfill {path}"),
    });
    if !work.faults.is_empty() && !interrupted {
        messages.push(format!(
            "then hold the database to the answer key: tidegate verify data --answer-key \
             {path}/{KEY_NAME}"
        ));
    }
    let names: Vec<&str> = work.files.iter().map(|piece| piece.name.as_str()).collect();
    let json = json!({
        "command": "generate",
        "dataset": work.dataset.name,
        "rows": rows,
        "bytes": bytes,
        "files": if interrupted { json!(null) } else { json!(names) },
        "out": path,
        "elapsed_s": seconds,
        "rows_per_s": rate,
        "interrupted": interrupted,
    });
    Answer {
        exit: if interrupted { Exit::Interrupted } else { Exit::Done },
        grid: Some(grid),
        json: Some(json),
        text: None,
        messages,
    }
}

/// Refuses to touch files that are there.
fn not_there(work: &Batchwork, folder: &Folder) -> Result<(), CommandError> {
    if folder.replace {
        return Ok(());
    }
    let there = work.files.iter().filter(|piece| folder.path.join(&piece.name).exists());
    let names: Vec<&str> = there.map(|piece| piece.name.as_str()).collect();
    if names.is_empty() {
        return Ok(());
    }
    let shown = names[..names.len().min(NAMED_MAX)].join(", ");
    let more = match names.len().saturating_sub(NAMED_MAX) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    Err(CommandError::Refused(format!(
        "{} has {shown}{more} already: --yes replaces them, or choose another --out",
        folder.path.display()
    )))
}

/// Makes and writes all files, several at once.
fn write_all(
    work: &Batchwork,
    folder: &Path,
    done: &Progressing,
    cancel: &Cancel,
    rate: Option<u64>,
) -> Result<(), CommandError> {
    let cores = std::thread::available_parallelism().map_or(2, usize::from);
    let (next, failed) = (AtomicUsize::new(0), AtomicBool::new(false));
    let handed = AtomicU64::new(0);
    let failure = Mutex::new(None);
    let entries = Mutex::new(BTreeMap::new());
    let began = Instant::now();
    let one = || {
        while !cancel.is_set() && !failed.load(Relaxed) {
            let Some(piece) = work.files.get(next.fetch_add(1, Relaxed)) else { return };
            let rows = piece.len();
            let before = handed.fetch_add(rows, Relaxed);
            let due = rate.map(|rate| before as f64 / rate.max(1) as f64);
            if !wait_until(began, due, cancel) {
                return;
            }
            match write_one(work, folder, piece) {
                Ok((bytes, entry)) => {
                    let mut entries = entries.lock().unwrap_or_else(PoisonError::into_inner);
                    entries.extend(entry.map(|entry| (piece.name.clone(), entry)));
                    done.files.fetch_add(1, Relaxed);
                    done.rows.fetch_add(rows, Relaxed);
                    done.bytes.fetch_add(bytes, Relaxed);
                }
                Err(error) => {
                    failed.store(true, Relaxed);
                    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
                }
            }
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..cores.min(THREADS_MAX).min(work.files.len()) {
            scope.spawn(one);
        }
    });
    match failure.into_inner().unwrap_or_else(PoisonError::into_inner) {
        Some(error) => Err(error),
        // Without all files there is nothing to be held to it.
        None if work.faults.is_empty() || cancel.is_set() => Ok(()),
        None => {
            let entries = entries.into_inner().unwrap_or_else(PoisonError::into_inner);
            work.write_key(folder, &entries)
        }
    }
}

/// Waits until so many seconds are over; whether nobody asked to stop meanwhile.
fn wait_until(began: Instant, due_s: Option<f64>, cancel: &Cancel) -> bool {
    let due = Duration::from_secs_f64(due_s.unwrap_or(0.0));
    loop {
        let left = due.saturating_sub(began.elapsed());
        if cancel.is_set() {
            return false;
        }
        if left.is_zero() {
            return true;
        }
        std::thread::sleep(left.min(SHOW_EVERY));
    }
}

/// Gives the bytes that were written, and what must become of a file among which there are faults.
fn write_one(
    work: &Batchwork,
    folder: &Path,
    piece: &Piece,
) -> Result<(u64, Option<Entry>), CommandError> {
    let path = folder.join(&piece.name);
    let (bytes, entry) = match work.faults.is_empty() {
        true => (work.bytes(piece).map_err(CommandError::Refused)?, None),
        false => {
            let faulty = work.faulty(piece).map_err(CommandError::Refused)?;
            (faulty.0, Some(faulty.1))
        }
    };
    let place = path.parent().unwrap_or(folder);
    let write = || {
        std::fs::create_dir_all(place)?;
        let mut file = tempfile::Builder::new().prefix(".tidegate-").tempfile_in(place)?;
        file.write_all(&bytes)?;
        // Temporary files are for their owner alone; these are files like any other.
        let mut mode = file.as_file().metadata()?.permissions();
        std::os::unix::fs::PermissionsExt::set_mode(&mut mode, 0o644);
        file.as_file().set_permissions(mode)?;
        file.persist(&path).map_err(|error| error.error)
    };
    write().map_err(CommandError::file(&path))?;
    Ok((bytes.len() as u64, entry))
}
