//! `nightly --dry-run`: what would be loaded, written nowhere.

use serde_json::json;

use super::look::look;
use super::{NightlyRequest, SourceRequest, check, dates, lock};
use crate::command::plan::{Standing, plan};
use crate::command::survey::{self, Survey};
use crate::command::{Answer, CommandError, LoadRequest, memo};
use crate::db::Connection;
use crate::error::Exit;
use crate::report::human;
use crate::report::list::{Cell, Grid, Style};
use crate::source::Spooler;

/// Says what a run would load, file by file, and writes nothing.
///
/// # Errors
/// A database that cannot be reached, a calendar that is none.
pub async fn dry_run(request: &NightlyRequest) -> Result<Answer, CommandError> {
    check(request)?;
    let (_, connection) = request.access.connect().await?;
    let sql = "SELECT to_regclass('tidegate.lease') IS NOT NULL";
    let has_lock: bool = connection.query_typed_one(sql, &[]).await?.get(0);
    let mut preview = Preview {
        request,
        connection: &connection,
        grid: Grid::new(["Source", "File", "Layout", "Dataset", "State"]),
        answer: Answer::done(),
        sources: Vec::new(),
    };
    if has_lock && let Some(busy) = lock::held(&connection).await? {
        preview.answer.messages.push(busy);
    }
    for source in &request.sources {
        if let Err(error) = Box::pin(preview.source(source)).await {
            preview.failed(&source.name, "", &error.to_string());
        }
    }
    let mut answer = preview.answer;
    answer.json = Some(json!({
        "config": request.config,
        "today": request.today.to_string(),
        "sources": preview.sources,
        "files": preview.grid.to_json(),
    }));
    answer.grid = Some(preview.grid);
    Ok(answer)
}

struct Preview<'a> {
    request: &'a NightlyRequest,
    connection: &'a Connection,
    grid: Grid,
    answer: Answer,
    sources: Vec<serde_json::Value>,
}

impl Preview<'_> {
    async fn source(&mut self, source: &SourceRequest) -> Result<(), CommandError> {
        let days = dates::window(self.request.today, source.days);
        let spooler = Spooler::default();
        let looked = look(source, &days, &spooler);
        for (path, why) in &looked.failed {
            self.failed(&source.name, path, why);
        }
        let request = LoadRequest { access: self.request.access.clone(), ..source.load.clone() };
        let mut open: Vec<_> = looked.files.iter().map(|file| file.found.clone()).collect();
        let _ = memo::spare(&request, &request.access, &mut open).await?;
        let unchanged = (looked.files.len() - open.len()) as u64;
        let mut survey = Survey::default();
        for file in &open {
            match survey::look(&request, std::slice::from_ref(file), &spooler) {
                Ok(one) => survey.extend(one),
                Err(error) => survey.failed.push((file.name.clone(), error.to_string())),
            }
        }
        let planning = plan(&request, survey, self.connection).await?;
        let mut to_load = 0_u64;
        for planned in &planning.loads {
            let (state, style) = match &planned.standing {
                Standing::New => ("to be loaded".to_owned(), Style::Green),
                Standing::Resumable { .. } => ("to be resumed".to_owned(), Style::Green),
                Standing::Done => ("loaded before".to_owned(), Style::Plain),
                Standing::Blocked(why) => (why.clone(), Style::Red),
            };
            to_load += u64::from(style == Style::Green);
            if style == Style::Red {
                self.answer.exit = self.answer.exit.worse(Exit::Failed);
            }
            self.grid.push([
                source.name.as_str().into(),
                (*planned.source.name).into(),
                planned.source.recognised.layout.as_str().into(),
                planned.content.dataset.as_str().into(),
                Cell::from(state.as_str()).styled(style),
            ]);
        }
        for (name, why) in &planning.failed {
            self.failed(&source.name, name, why);
        }
        let absent: Vec<String> = looked.absent.keys().map(ToString::to_string).collect();
        self.answer.messages.push(format!(
            "{}: {} to be loaded, {} unchanged{}",
            source.name,
            human::plural(to_load, "file"),
            human::count(unchanged),
            match absent.len() {
                0 => String::new(),
                n => format!(", nothing there of {}", human::plural(n as u64, "day")),
            }
        ));
        self.sources.push(json!({
            "name": source.name,
            "to_load": to_load,
            "unchanged": unchanged,
            "absent_days": absent,
            "ignored": planning.ignored.iter().map(|(name, _)| name).collect::<Vec<_>>(),
        }));
        Ok(())
    }

    fn failed(&mut self, source: &str, file: &str, why: &str) {
        self.answer.exit = self.answer.exit.worse(Exit::Failed);
        self.grid.push([
            source.into(),
            file.into(),
            "".into(),
            "".into(),
            Cell::from(human::one_line(&why.replace('\n', " ")).as_str()).styled(Style::Red),
        ]);
    }
}
