//! The house rules, each a function from source files to findings.

use std::collections::{BTreeMap, BTreeSet};

use crate::token::{Kind, Parted, Path, Token, closing, part, paths, tokens};

/// Columns of a line, at most.
pub const COLUMNS_MAX: usize = 100;
/// Lines of a function, at most.
pub const FUNCTION_LINES_MAX: usize = 70;
/// Lines of a file without its tests, at most.
pub const FILE_LINES_MAX: usize = 500;
/// Lines of `src/main.rs`, at most.
pub const MAIN_LINES_MAX: usize = 40;

/// The floors, the lowest first. A floor imports only from those below it; rooms on one floor are
/// strangers to each other.
pub const FLOORS: &[&[&str]] = &[
    &["limit", "span", "count", "error", "json", "month", "read_at"],
    &["dataset", "batch", "mapping", "column", "calendar"],
    &["source", "layout", "decode", "check", "encode", "spill", "generate", "report"],
    &["db"],
    &["write"],
    &["pipeline"],
    &["command"],
    &["cli"],
    &["main"],
];

/// A path that only some folders may name.
struct Reserved {
    path: &'static [&'static str],
    folders: &'static [&'static str],
    why: &'static str,
}

const THREADS: &[&str] = &[
    "src/pipeline/",
    "src/command/",
    "src/db/connect",
    "src/db/embedded",
    // Threads that only compute: they see neither plan nor database.
    "src/source/bunzip",
    "src/source/hash",
];
const THREADS_WHY: &str = "threads, tasks and channels live in pipeline/ and command/";
const DATABASE: &[&str] = &["src/db/"];
const DATABASE_WHY: &str = "only db/ opens connections to PostgreSQL";

const RESERVED: &[Reserved] = &[
    Reserved { path: &["thread", "spawn"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["thread", "scope"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["thread", "Builder"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["thread", "*"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["tokio", "spawn"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["tokio", "*"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["task", "spawn"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["task", "spawn_blocking"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["task", "JoinSet"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["crossbeam_channel"], folders: THREADS, why: THREADS_WHY },
    Reserved { path: &["tokio_postgres", "connect"], folders: DATABASE, why: DATABASE_WHY },
    Reserved { path: &["tokio_postgres", "Config"], folders: DATABASE, why: DATABASE_WHY },
    Reserved { path: &["tokio_postgres", "config"], folders: DATABASE, why: DATABASE_WHY },
    Reserved { path: &["tokio_postgres", "*"], folders: DATABASE, why: DATABASE_WHY },
    Reserved { path: &["net", "TcpStream"], folders: DATABASE, why: DATABASE_WHY },
    Reserved { path: &["net", "UnixStream"], folders: DATABASE, why: DATABASE_WHY },
];

/// Macros that stand nowhere, tests included.
const UNFINISHED: &[&str] = &["dbg", "todo", "unimplemented"];
/// Macros that stand only where output is made.
const PRINTING: &[&str] = &["print", "println", "eprint", "eprintln"];

/// A rule that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    pub file: String,
    pub line: usize,
    pub rule: &'static str,
    /// What broke it: a room, a function, a path. An exception names it.
    pub subject: String,
    pub message: String,
}

/// A source file.
pub struct File {
    /// Its path from the package's root, with `/`.
    pub path: String,
    pub text: String,
    pub parted: Parted,
}

impl File {
    pub fn new(path: &str, text: &str) -> Self {
        let parted = part(&tokens(text));
        Self { path: path.to_owned(), text: text.to_owned(), parted }
    }

    fn find(&self, line: usize, rule: &'static str, subject: &str, message: String) -> Finding {
        Finding { file: self.path.clone(), line, rule, subject: subject.to_owned(), message }
    }

    fn is_source(&self) -> bool {
        self.path.starts_with("src/")
    }

    /// The room that the file is in, if it is in one.
    fn room(&self) -> Option<&str> {
        let inside = self.path.strip_prefix("src/")?;
        let room = inside.split('/').next()?;
        Some(room.strip_suffix(".rs").unwrap_or(room)).filter(|room| *room != "lib")
    }

    /// How many modules the file's own is below the crate's root.
    fn depth(&self) -> usize {
        let inside = self.path.trim_start_matches("src/").trim_end_matches(".rs");
        inside.trim_end_matches("/mod").split('/').count()
    }
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

/// Imports go down, never sideways or up.
pub fn floors(file: &File) -> Vec<Finding> {
    let Some(room) = file.room() else { return Vec::new() };
    let Some(own) = floor(room) else {
        let message = format!("{room} is on no floor: add it to FLOORS in tests/tidy/rule.rs");
        return vec![file.find(1, "floors", room, message)];
    };
    let mut found = Vec::new();
    for path in paths(&file.parted.production) {
        let first = path.segments[0].as_str();
        let climbs = path.segments.iter().take_while(|segment| *segment == "super").count();
        if climbs >= file.depth() && climbs > 0 {
            let message = format!("{} leaves its room: say crate::", path.segments.join("::"));
            found.push(file.find(path.line, "floors", "super", message));
        }
        let root = if room == "main" { "tidegate" } else { "crate" };
        if first == root {
            found.extend(import(file, room, own, &path));
        }
    }
    found
}

fn import(file: &File, room: &str, own: usize, path: &Path) -> Option<Finding> {
    let target = path.segments[1].as_str();
    if target == room {
        return None;
    }
    let message = match floor(target) {
        Some(there) if there < own => return None,
        Some(there) if there == own => {
            format!("{room} names its neighbour {target}: rooms on one floor are strangers")
        }
        Some(there) => format!("{room} (floor {own}) names {target} (floor {there}): import down"),
        None => format!("{target} is on no floor: name a room of FLOORS"),
    };
    Some(file.find(path.line, "floors", target, message))
}

/// The lowest floor knows the standard library alone.
pub fn std_only(file: &File, dependencies: &BTreeSet<String>) -> Vec<Finding> {
    if file.room().and_then(floor) != Some(0) {
        return Vec::new();
    }
    let paths = paths(&file.parted.production);
    let foreign = paths.iter().filter(|path| dependencies.contains(&path.segments[0]));
    foreign
        .map(|path| {
            let name = &path.segments[0];
            let message = format!("{name} on floor 0, which knows std only: move this up a floor");
            file.find(path.line, "std only", name, message)
        })
        .collect()
}

/// Sockets, threads, tasks and channels stay in the folders made for them.
pub fn reserved(file: &File) -> Vec<Finding> {
    if !file.is_source() {
        return Vec::new();
    }
    let mut found = Vec::new();
    for path in paths(&file.parted.production) {
        for rule in RESERVED.iter().filter(|rule| path.has(rule.path)) {
            if !rule.folders.iter().any(|folder| file.path.starts_with(folder)) {
                let name = path.segments.join("::");
                let message = format!("{name} here: {}", rule.why);
                found.push(file.find(path.line, "reserved", &name, message));
            }
        }
    }
    found
}

/// Nothing unfinished anywhere; nothing printed below the command line.
pub fn macros(file: &File) -> Vec<Finding> {
    let Parted { production, tests, .. } = &file.parted;
    let prints = !file.is_source()
        || file.path.starts_with("src/cli/")
        || ["src/main.rs", "src/cli.rs"].contains(&file.path.as_str());
    let unfinished = called(production, UNFINISHED).chain(called(tests, UNFINISHED));
    let mut found: Vec<Finding> = unfinished
        .map(|token| {
            let message = format!("{}! is for drafts: finish it or remove it", token.text);
            file.find(token.line, "unfinished", &token.text, message)
        })
        .collect();
    if !prints {
        found.extend(called(production, PRINTING).map(|token| {
            let message = format!("{}! outside cli/: return it in a report", token.text);
            file.find(token.line, "printing", &token.text, message)
        }));
    }
    found
}

fn called<'t>(tokens: &'t [Token], names: &'t [&str]) -> impl Iterator<Item = &'t Token> {
    tokens.windows(2).filter_map(move |pair| {
        let calls = pair[0].kind == Kind::Word && pair[1].is("!");
        (calls && names.contains(&pair[0].text.as_str())).then_some(&pair[0])
    })
}

/// No line is too wide.
pub fn widths(file: &File) -> Vec<Finding> {
    let wide = |line: &str| line.chars().count() > COLUMNS_MAX;
    let lines = file.text.lines().enumerate().filter(|(_, line)| wide(line));
    lines
        .map(|(at, line)| {
            let columns = line.chars().count();
            let message = format!("{columns} columns, at most {COLUMNS_MAX}: break the line");
            file.find(at + 1, "width", "line", message)
        })
        .collect()
}

/// No function is too long.
pub fn functions(file: &File) -> Vec<Finding> {
    if file.path.starts_with("tests/") {
        return Vec::new();
    }
    let tokens = &file.parted.production;
    let mut found = Vec::new();
    for at in 0..tokens.len().saturating_sub(1) {
        if !tokens[at].is("fn") || tokens[at + 1].kind != Kind::Word {
            continue;
        }
        let Some(open) = body(tokens, at) else { continue };
        let lines = tokens[closing(tokens, open)].line - tokens[at].line + 1;
        if lines > FUNCTION_LINES_MAX {
            let name = &tokens[at + 1].text;
            let message =
                format!("{name} has {lines} lines, at most {FUNCTION_LINES_MAX}: part it");
            found.push(file.find(tokens[at].line, "function length", name, message));
        }
    }
    found
}

/// The brace that opens the body of the function at `at`; `None` for one without a body.
fn body(tokens: &[Token], at: usize) -> Option<usize> {
    let mut at = at;
    while at < tokens.len() {
        match tokens[at].text.as_str() {
            _ if tokens[at].kind != Kind::Mark => at += 1,
            "{" => return Some(at),
            ";" => return None,
            "(" | "[" => at = closing(tokens, at) + 1,
            _ => at += 1,
        }
    }
    None
}

/// No file is too long.
pub fn lengths(file: &File) -> Vec<Finding> {
    let lines = file.text.lines().count();
    let (lines, max, subject) = match file.path.as_str() {
        "src/main.rs" => (lines, MAIN_LINES_MAX, "main"),
        path if path.starts_with("tests/") => return Vec::new(),
        _ => (lines - file.parted.test_lines.min(lines), FILE_LINES_MAX, "file"),
    };
    if lines <= max {
        return Vec::new();
    }
    let message = format!("{lines} lines without tests, at most {max}: part it by subject");
    vec![file.find(1, "file length", subject, message)]
}

/// A child module that a file names.
struct Named {
    path: String,
    test: bool,
}

/// The files that the `mod` items of `file` may mean.
fn children(file: &File, is_root: bool) -> Vec<Named> {
    let (folder, name) = file.path.rsplit_once('/').unwrap_or(("", &file.path));
    let owns_folder = is_root || name == "mod.rs";
    let inside = if owns_folder {
        folder.to_owned()
    } else {
        format!("{folder}/{}", name.trim_end_matches(".rs"))
    };
    let mut found = Vec::new();
    for (tokens, test) in [(&file.parted.production, false), (&file.parted.tests, true)] {
        for (at, window) in tokens.windows(3).enumerate() {
            if !(window[0].is("mod") && window[1].kind == Kind::Word && window[2].is(";")) {
                continue;
            }
            let name = &window[1].text;
            match given_path(&tokens[..at]) {
                Some(path) => found.push(Named { path: format!("{folder}/{path}"), test }),
                None => found.extend(
                    [format!("{inside}/{name}.rs"), format!("{inside}/{name}/mod.rs")]
                        .map(|path| Named { path, test }),
                ),
            }
        }
    }
    found
}

/// The path in `#[path = "..."]` right before a `mod`.
fn given_path(before: &[Token]) -> Option<&str> {
    let before = match before.last() {
        Some(token) if token.is("pub") => &before[..before.len() - 1],
        _ => before,
    };
    match before {
        [.., path, equals, value, close]
            if path.is("path") && equals.is("=") && close.is("]") && value.kind == Kind::Text =>
        {
            Some(&value.text)
        }
        _ => None,
    }
}

/// What `mod` items reach from the crates' roots.
pub struct Reach {
    /// Files that nothing names.
    pub dead: Vec<Finding>,
    /// Files that only tests name.
    pub tests: BTreeSet<String>,
}

/// Follows the `mod` items from the roots.
pub fn reach(files: &[File], roots: &BTreeSet<String>) -> Reach {
    let by_path: BTreeMap<&str, &File> =
        files.iter().map(|file| (file.path.as_str(), file)).collect();
    let mut seen: BTreeMap<String, bool> = BTreeMap::new();
    let mut open: Vec<Named> =
        roots.iter().map(|path| Named { path: path.clone(), test: false }).collect();
    while let Some(Named { path, test }) = open.pop() {
        let Some(file) = by_path.get(path.as_str()) else { continue };
        // A file named by production code is production code, whatever else names it.
        if seen.get(&path).is_some_and(|seen_as_test| !seen_as_test || test) {
            continue;
        }
        seen.insert(path.clone(), test);
        let next = children(file, roots.contains(&path));
        open.extend(next.into_iter().map(|child| Named { test: test || child.test, ..child }));
    }
    let dead = files.iter().filter(|file| !seen.contains_key(&file.path));
    let dead = dead.map(|file| {
        let message = "no mod and no target of Cargo.toml names this file".to_owned();
        file.find(1, "dead file", &file.path, message)
    });
    let dead = dead.collect();
    Reach {
        dead,
        tests: seen.into_iter().filter(|(_, test)| *test).map(|(path, _)| path).collect(),
    }
}

/// An exception to a rule. It must stay needed.
pub struct Exception {
    pub file: &'static str,
    pub rule: &'static str,
    pub subject: &'static str,
    pub reason: &'static str,
}

/// Takes the exceptions out of the findings, and adds one for each that nothing needs.
pub fn ratchet(found: Vec<Finding>, exceptions: &[Exception]) -> Vec<Finding> {
    let excuses = |exception: &Exception, finding: &Finding| {
        exception.file == finding.file
            && exception.rule == finding.rule
            && exception.subject == finding.subject
    };
    let unneeded = exceptions.iter().filter(|exception| {
        exception.reason.is_empty() || !found.iter().any(|finding| excuses(exception, finding))
    });
    let mut left: Vec<Finding> = unneeded
        .map(|exception| Finding {
            file: exception.file.to_owned(),
            line: 1,
            rule: "ratchet",
            subject: exception.subject.to_owned(),
            message: format!(
                "the exception for {} ({}) is not needed or has no reason: remove it",
                exception.subject, exception.rule
            ),
        })
        .collect();
    left.extend(
        found
            .into_iter()
            .filter(|finding| !exceptions.iter().any(|exception| excuses(exception, finding))),
    );
    left
}
