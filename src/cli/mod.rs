//! The command line: flags as typed, resolved once into requests; answers printed; exit codes.
//! Results go to standard output, everything for people to standard error. Past this floor nobody
//! sees a flag, and below it nobody prints.

mod config;
mod examples;
mod flags;
mod generate;
mod load;
mod loadtest;
mod maintenance;
mod nightly;
mod output;
mod parse;
mod watch;

use clap::{CommandFactory, Parser};

use crate::command::{
    Access, CommandError, bench, doctor, embedded, gaps, inspect, migrate, plan, refresh, rejects,
    status, verify,
};
use crate::error::Exit;

use flags::{Cli, Verb};

/// Parses the process's arguments, runs the command, prints, and says how to exit.
pub fn main() -> Exit {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { Exit::Usage } else { Exit::Done };
        }
    };
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    match runtime {
        Ok(runtime) => {
            let exit = runtime.block_on(run(cli.verb));
            // Threads that wait for standard input or a lock must not keep the process.
            runtime.shutdown_background();
            exit
        }
        Err(error) => {
            output::error(&format!("cannot start: {error}"));
            Exit::Failed
        }
    }
}

async fn run(verb: Verb) -> Exit {
    match answer(verb).await {
        Ok(exit) => exit,
        Err(error) => {
            output::error(&error.to_string());
            error.exit()
        }
    }
}

async fn answer(verb: Verb) -> Result<Exit, CommandError> {
    let answer = match verb {
        Verb::Backfill { load, units } => return load::backfill(&load, units).await,
        Verb::Nightly { nightly } => return Box::pin(nightly::run(&nightly)).await,
        Verb::Plan { load, units, json } => {
            let request = load.request(units.flatten())?;
            let answer = plan::run(&request, units.is_some()).await?;
            return Ok(output::answer(&answer, json));
        }
        Verb::Generate(flags) => return generate::run(&flags).await,
        Verb::Gaps { ticker, interval, from, to, calendar, database, json } => {
            let interval = interval.as_deref().map(load::interval).transpose()?;
            load::in_order(from, to)?;
            let (access, from_us, to_us) = (database.access(), from, to);
            let request = gaps::GapsRequest { access, ticker, interval, from_us, to_us, calendar };
            (gaps::run(&request).await?, json)
        }
        Verb::Inspect { inputs, facts, write_layout, all, json } => {
            let (layout, facts) = (facts.layout(), facts.given()?);
            let request = inspect::InspectRequest { inputs, layout, facts, write_layout, all };
            (inspect::run(&request)?, json)
        }
        Verb::Status { watch: true, database, json, .. } => {
            return watch::watch(&database.access(), json).await;
        }
        Verb::Status { run, limit, database, json, .. } => {
            let request = status::StatusRequest { access: database.access(), run, limit };
            (status::run(&request).await?, json)
        }
        Verb::Rejects { action, database, json } => {
            (rejects::run(&action.request(database.access())).await?, json)
        }
        Verb::Migrate { action, domain, tables, yes, dry_run, database, json } => {
            let extent = if tables { migrate::Extent::Loads } else { migrate::Extent::All };
            let (access, action) = (database.access(), action.into());
            let request = migrate::MigrateRequest { access, action, domain, extent, yes, dry_run };
            (migrate::run(&request).await?, json)
        }
        Verb::Refresh { names, full, rebuild, database, json } => {
            let access = database.access();
            let request = refresh::RefreshRequest { access, names, full, rebuild };
            (refresh::run(&request).await?, json)
        }
        Verb::Verify { what, paths, answer_key, database, json } => {
            let what = what.map(Into::into);
            let access = database.access();
            let request = verify::VerifyRequest { access, what, paths, answer_key };
            (verify::run(&request).await?, json)
        }
        Verb::Bench { domain, names, seconds, baseline, database, json } => {
            let patience = std::time::Duration::from_secs(seconds);
            let access = database.access();
            let request = bench::BenchRequest { access, domain, names, patience, baseline };
            (bench::run(&request).await?, json)
        }
        Verb::Loadtest { flags, database, json } => {
            (loadtest::run(&flags, database.access()).await?, json)
        }
        Verb::Doctor { database, json } => {
            (doctor::run(&doctor::DoctorRequest { access: database.access() }).await?, json)
        }
        Verb::Db { action } => return db(action).await,
        Verb::Completions { shell } => {
            completions(shell);
            return Ok(Exit::Done);
        }
    };
    Ok(output::answer(&answer.0, answer.1))
}

fn completions(shell: clap_complete::Shell) {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tidegate", &mut script);
    output::result(&String::from_utf8_lossy(&script));
}

async fn db(action: flags::DbVerb) -> Result<Exit, CommandError> {
    let (request, json) = match action {
        flags::DbVerb::Psql { arguments } => {
            let mut command = embedded::psql(&arguments).await?;
            let status = command.status().map_err(|error| {
                CommandError::Refused(format!(
                    "cannot run psql: {error}; install PostgreSQL's client"
                ))
            })?;
            return Ok(if status.success() { Exit::Done } else { Exit::Failed });
        }
        flags::DbVerb::Start => (embedded::DbRequest::Start, false),
        flags::DbVerb::Stop => (embedded::DbRequest::Stop, false),
        flags::DbVerb::Status { json } => (embedded::DbRequest::Status, json),
        flags::DbVerb::Url => (embedded::DbRequest::Url, false),
        flags::DbVerb::Destroy { yes } => (embedded::DbRequest::Destroy { yes }, false),
    };
    Ok(output::answer(&embedded::run(&request).await?, json))
}

impl flags::DatabaseFlags {
    fn access(&self) -> Access {
        Access { url: self.database_url.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_of_every_command_go_together() {
        Cli::command().debug_assert();
        let parse = |line: &str| Cli::try_parse_from(line.split(' '));
        assert!(parse("tidegate plan data --units --json").is_ok());
        assert!(parse("tidegate backfill data --units 3-7").is_ok());
        assert!(parse("tidegate backfill").is_err());
    }
}
