//! Reports as files: the form is the ending of the name, and a file is replaced whole or not at
//! all. The one place where reports are written, for every command that has one.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::model::{Report, ReportError};
use super::{html, prom};
use crate::limit::PROM_BYTES_MAX;

/// What a report may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReportForm {
    /// For programs.
    Json,
    /// For people: a page that needs nothing beside it.
    Html,
    /// For Prometheus, by node-exporter's textfile collector.
    Prom,
}

/// A report that was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportFile {
    /// Where.
    pub path: PathBuf,
    /// In what form.
    pub form: ReportForm,
}

impl ReportFile {
    /// The form by the ending of the name.
    ///
    /// # Errors
    /// [`ReportError::Ending`] if there is no such form.
    pub fn new(path: impl Into<PathBuf>) -> Result<Self, ReportError> {
        let path = path.into();
        let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
        let form = match ending.to_ascii_lowercase().as_str() {
            "json" => ReportForm::Json,
            "html" => ReportForm::Html,
            "prom" => ReportForm::Prom,
            _ => return Err(ReportError::Ending { path }),
        };
        Ok(Self { path, form })
    }

    /// Those of several names, in their order.
    ///
    /// # Errors
    /// The first name without a form.
    pub fn all<P: Into<PathBuf>>(
        paths: impl IntoIterator<Item = P>,
    ) -> Result<Vec<Self>, ReportError> {
        paths.into_iter().map(Self::new).collect()
    }

    /// Whether its folder is there.
    ///
    /// # Errors
    /// [`ReportError::Folder`] if it is not.
    pub fn look_for_folder(&self) -> Result<(), ReportError> {
        match folder_of(&self.path).is_dir() {
            true => Ok(()),
            false => Err(ReportError::Folder { path: self.path.clone() }),
        }
    }

    /// The file's name without its ending: what tells the metrics of one job from another's.
    pub fn stem(&self) -> String {
        self.path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Writes the report, whole or not at all: a reader never sees half of one. A path that is a
    /// device or a pipe is written to directly.
    ///
    /// # Errors
    /// If the file or its folder cannot be written.
    pub fn write(&self, report: &Report) -> Result<(), ReportError> {
        let text = match self.form {
            ReportForm::Json => report.to_json()?,
            ReportForm::Html => html::page(report)?,
            ReportForm::Prom => prom::text(report, &self.stem(), &self.before()),
        };
        replace_file(&self.path, text.as_bytes())
            .map_err(|cause| ReportError::Write { path: self.path.clone(), cause })
    }

    /// What is in the file now, if it can be read: a run that never reached the ledger keeps the
    /// time of the last success.
    fn before(&self) -> String {
        let mut text = String::new();
        let regular = fs::metadata(&self.path).is_ok_and(|found| found.is_file());
        if let Some(file) = regular.then(|| File::open(&self.path).ok()).flatten() {
            let _ = file.take(PROM_BYTES_MAX).read_to_string(&mut text);
        }
        text
    }
}

/// Whether an HTML report is among them: it shows what costs a query or two.
pub fn wants_html(files: &[ReportFile]) -> bool {
    files.iter().any(|file| file.form == ReportForm::Html)
}

/// The name of the job that these files report on: that of the first metrics file.
pub fn job(files: &[ReportFile]) -> Option<String> {
    files.iter().find(|file| file.form == ReportForm::Prom).map(ReportFile::stem)
}

/// Writes a report to all of the files. One that cannot be written keeps no other from it.
///
/// # Errors
/// The first failure.
pub fn write_all(report: &Report, files: &[ReportFile]) -> Result<(), ReportError> {
    let failures = files.iter().map(|file| file.write(report)).filter_map(Result::err);
    // All are tried before the first failure is told.
    match failures.collect::<Vec<_>>().into_iter().next() {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn replace_file(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| !found.is_file() && !found.is_dir()) {
        return fs::OpenOptions::new().write(true).open(path)?.write_all(content);
    }
    // A link stays a link: what it points to is replaced.
    let target = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let folder = folder_of(&target);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".tidegate-report-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As any new file: a temporary one would be readable by its owner alone.
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    file.persist(&target).map_err(|failed| failed.error)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::super::model::tests::sample;
    use super::*;
    use serde_json::Value;

    fn write(path: &Path) -> Result<(), ReportError> {
        ReportFile::new(path).unwrap().write(&sample())
    }

    #[test]
    fn the_ending_says_the_form() {
        let form = |name: &str| ReportFile::new(name).map(|file| file.form).ok();
        assert_eq!(form("a/r.json"), Some(ReportForm::Json));
        assert_eq!(form("r.HTML"), Some(ReportForm::Html));
        assert_eq!(form("r.prom"), Some(ReportForm::Prom));
        for name in ["r", "json", ".json", "r.json.gz", "r.htm", "-"] {
            let said = ReportFile::new(name).unwrap_err().to_string();
            assert!(said.contains(".json, .html or .prom"), "{said}");
        }
        let files = ReportFile::all(["a.html", "nightly bars.prom", "b.prom"]).unwrap();
        assert_eq!(job(&files).as_deref(), Some("nightly bars"));
        assert!(wants_html(&files) && !wants_html(&files[1..]));
    }

    #[test]
    fn one_file_that_cannot_be_written_keeps_no_other_from_it() {
        let folder = tempfile::tempdir().unwrap();
        let bad = folder.path().join("none/r.json");
        let good = folder.path().join("r.html");
        let files = ReportFile::all([&bad, &good]).unwrap();
        assert!(write_all(&sample(), &files).is_err());
        assert!(good.is_file());
    }

    #[test]
    fn a_report_replaces_the_old_one_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("r.json");
        fs::write(&path, "old").unwrap();
        write(&path).unwrap();
        let written: Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
        assert_eq!(written["run_id"], "r1");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "no temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn a_report_follows_links_and_writes_to_devices() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real.json"), folder.path().join("link.json"));
        fs::write(&real, "old").unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        write(&link).unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().starts_with('{'));
        let device = ReportFile { path: "/dev/null".into(), form: ReportForm::Json };
        device.write(&sample()).unwrap();
        assert!(!fs::metadata("/dev/null").unwrap().is_file());
    }

    #[test]
    fn a_report_that_cannot_be_written_says_where_and_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let error = write(&folder.path().join("none/r.json")).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("none/r.json") && said.contains("--report"), "{said}");
    }
}
