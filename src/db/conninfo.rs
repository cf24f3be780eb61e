//! Connection parameters as libpq reads them: URLs, `key=value` strings, `PG*` variables, service
//! and password files. Pure text work; it opens no socket. `connect.rs` calls it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::DbError;

/// Parameter names and values, by libpq's names.
pub(super) type Params = BTreeMap<String, String>;

/// Where environment variables come from.
pub(super) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Every parameter that is known, with its environment variable if it has one. Those that mean
/// nothing here (GSSAPI, client encoding) are accepted, because they stand in people's URLs.
const KNOWN: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("dbname", "PGDATABASE"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("passfile", "PGPASSFILE"),
    ("service", "PGSERVICE"),
    ("options", "PGOPTIONS"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
    ("sslcert", "PGSSLCERT"),
    ("sslkey", "PGSSLKEY"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("target_session_attrs", "PGTARGETSESSIONATTRS"),
    ("channel_binding", "PGCHANNELBINDING"),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS"),
    ("application_name", ""),
    ("fallback_application_name", ""),
    ("client_encoding", ""),
    ("gssencmode", ""),
    ("krbsrvname", ""),
    ("gsslib", ""),
    ("sslcompression", ""),
    ("sslnegotiation", ""),
    ("sslsni", ""),
    ("requirepeer", ""),
    ("keepalives", ""),
    ("keepalives_idle", ""),
    ("keepalives_interval", ""),
    ("keepalives_count", ""),
    ("tcp_user_timeout", ""),
];

/// The variables that name a server; without any of them the environment names none.
const NAMING: &[&str] = &["PGHOST", "PGHOSTADDR", "PGPORT", "PGDATABASE", "PGUSER", "PGSERVICE"];

/// Whether the environment names a server.
pub(super) fn env_names_server(env: Env<'_>) -> bool {
    NAMING.iter().any(|name| env(name).is_some_and(|value| !value.is_empty()))
}

/// Reads a URL or a `key=value` string. Errors never repeat a value: it may be a password.
pub(super) fn parse(text: &str) -> Result<Params, DbError> {
    let text = text.trim();
    let rest = ["postgres://", "postgresql://"].iter().find_map(|s| text.strip_prefix(s));
    let params = match rest {
        Some(rest) => parse_url(rest)?,
        None if text.contains("://") && !text.contains(' ') => {
            return Err(config("a database URL starts with postgres:// or postgresql://"));
        }
        None => parse_pairs(text)?,
    };
    for key in params.keys() {
        if !KNOWN.iter().any(|(known, _)| known == key) {
            return Err(config(format!("unknown connection parameter {key:?}")));
        }
    }
    Ok(params)
}

/// Adds what the service file and the environment say about parameters that are not given.
pub(super) fn complete(params: &mut Params, env: Env<'_>) -> Result<(), DbError> {
    let service = params.get("service").cloned().or_else(|| env("PGSERVICE"));
    if let Some(service) = service.filter(|service| !service.is_empty()) {
        for (key, value) in read_service(&service, env)? {
            params.entry(key).or_insert(value);
        }
    }
    for (key, variable) in KNOWN.iter().filter(|(_, variable)| !variable.is_empty()) {
        if let Some(value) = env(variable).filter(|value| !value.is_empty()) {
            params.entry((*key).to_owned()).or_insert(value);
        }
    }
    Ok(())
}

fn config(message: impl Into<String>) -> DbError {
    DbError::Config(message.into())
}

/// `[user[:password]@][host[:port][,...]][/dbname][?key=value&...]`
fn parse_url(rest: &str) -> Result<Params, DbError> {
    let mut params = Params::new();
    let (rest, query) = rest.split_once('?').map_or((rest, ""), |(a, b)| (a, b));
    let (authority, dbname) = rest.split_once('/').map_or((rest, ""), |(a, b)| (a, b));
    let hosts = match authority.rsplit_once('@') {
        Some((login, hosts)) => {
            let (user, password) = login.split_once(':').map_or((login, ""), |(a, b)| (a, b));
            set(&mut params, "user", decode(user)?);
            set(&mut params, "password", decode(password)?);
            hosts
        }
        None => authority,
    };
    let (mut names, mut ports) = (Vec::new(), Vec::new());
    for host in hosts.split(',') {
        let (name, port) = split_port(host)?;
        names.push(decode(name)?);
        ports.push(port.to_owned());
    }
    if names.iter().any(|name| !name.is_empty()) {
        set(&mut params, "host", names.join(","));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        set(&mut params, "port", ports.join(","));
    }
    set(&mut params, "dbname", decode(dbname)?);
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(config("a parameter after ? in the database URL has no ="));
        };
        let (key, value) = (decode(key)?, decode(value)?);
        match key.as_str() {
            "ssl" if value == "true" => set(&mut params, "sslmode", "require".to_owned()),
            _ => set(&mut params, &key, value),
        }
    }
    Ok(params)
}

fn set(params: &mut Params, key: &str, value: String) {
    if !value.is_empty() {
        params.insert(key.to_owned(), value);
    }
}

/// `host:port`, `[::1]:port`; either part may be missing.
fn split_port(host: &str) -> Result<(&str, &str), DbError> {
    if let Some(rest) = host.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return Err(config("an IPv6 address in the database URL has no closing ]"));
        };
        return match after.strip_prefix(':') {
            Some(port) => Ok((address, port)),
            None if after.is_empty() => Ok((address, "")),
            None => Err(config("after ] in the database URL only :port may follow")),
        };
    }
    Ok(host.rsplit_once(':').unwrap_or((host, "")))
}

/// Percent-decoding.
fn decode(text: &str) -> Result<String, DbError> {
    let bad = || config("the database URL has a bad %xx escape; write a percent sign as %25");
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        if first == b'%' {
            let hex = after.get(..2).and_then(|hex| std::str::from_utf8(hex).ok());
            let hex = hex.filter(|hex| hex.bytes().all(|b| b.is_ascii_hexdigit()));
            let byte = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()).ok_or_else(bad)?;
            if byte == 0 {
                return Err(bad());
            }
            bytes.push(byte);
            rest = &after[2..];
        } else {
            bytes.push(first);
            rest = after;
        }
    }
    String::from_utf8(bytes).map_err(|_| bad())
}

/// Percent-encoding of everything that is not plain in every part of a URL.
pub(super) fn encode(text: &str) -> String {
    use std::fmt::Write as _;
    let mut out = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
    out
}

/// `key=value key = 'quoted \' value'`
fn parse_pairs(text: &str) -> Result<Params, DbError> {
    let mut params = Params::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let Some((key, after)) = rest.split_once('=') else {
            return Err(config(
                "a connection string is postgres://user@host/database or key=value pairs",
            ));
        };
        let key = key.trim();
        if key.is_empty() || key.contains(char::is_whitespace) {
            return Err(config("a connection string has a word without = and a value"));
        }
        let (value, after) = take_value(after.trim_start())?;
        set(&mut params, key, value);
        rest = after.trim_start();
    }
    Ok(params)
}

/// One value, quoted or not, and what follows it.
fn take_value(text: &str) -> Result<(String, &str), DbError> {
    let quoted = text.starts_with('\'');
    let mut value = String::new();
    let mut chars = text.char_indices().skip(usize::from(quoted));
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' if quoted => return Ok((value, &text[at + 1..])),
            '\\' => {
                if let Some((_, escaped)) = chars.next() {
                    value.push(escaped);
                }
            }
            c if !quoted && c.is_whitespace() => return Ok((value, &text[at..])),
            c => value.push(c),
        }
    }
    if quoted {
        return Err(config("a connection string has a value without its closing quote"));
    }
    Ok((value, ""))
}

/// The section of `~/.pg_service.conf` (or `PGSERVICEFILE`, or the system's) with this name.
fn read_service(name: &str, env: Env<'_>) -> Result<Params, DbError> {
    let files = [
        env("PGSERVICEFILE").map(PathBuf::from),
        env("HOME").map(|home| Path::new(&home).join(".pg_service.conf")),
        Some(
            env("PGSYSCONFDIR")
                .map_or_else(|| PathBuf::from("/etc/postgresql-common"), PathBuf::from)
                .join("pg_service.conf"),
        ),
    ];
    for file in files.into_iter().flatten() {
        let Ok(text) = std::fs::read_to_string(&file) else { continue };
        if let Some(params) = service_section(&text, name) {
            return Ok(params);
        }
    }
    Err(config(format!("service {name:?} is in no service file; see PGSERVICEFILE")))
}

fn service_section(text: &str, name: &str) -> Option<Params> {
    let mut inside = false;
    let mut params = None;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with('#')) {
        if let Some(section) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            inside = section == name;
            if inside {
                params = Some(Params::new());
            }
        } else if let (true, Some((key, value)), Some(params)) =
            (inside, line.split_once('='), params.as_mut())
        {
            set(params, key.trim(), value.trim().to_owned());
        }
    }
    params
}

/// What the password file says, or why it was not read.
pub(super) enum PassFile {
    /// A password for this server.
    Found(String),
    /// No line for this server, or no file.
    Nothing,
    /// Others may read the file, so it counts for nothing, as in libpq.
    Exposed(PathBuf),
}

/// Looks a password up in `passfile`, `PGPASSFILE` or `~/.pgpass`.
pub(super) fn pass_file(
    params: &Params,
    hosts: &[String],
    port: u16,
    dbname: &str,
    user: &str,
    env: Env<'_>,
) -> PassFile {
    use std::os::unix::fs::MetadataExt;
    let file = params
        .get("passfile")
        .map(PathBuf::from)
        .or_else(|| env("HOME").map(|home| Path::new(&home).join(".pgpass")));
    let Some(file) = file else { return PassFile::Nothing };
    let Ok(meta) = std::fs::metadata(&file) else { return PassFile::Nothing };
    if meta.is_file() && meta.mode() & 0o077 != 0 {
        return PassFile::Exposed(file);
    }
    let Ok(text) = std::fs::read_to_string(&file) else { return PassFile::Nothing };
    let port = port.to_string();
    hosts
        .iter()
        .find_map(|host| text.lines().find_map(|line| pass_line(line, [host, &port, dbname, user])))
        .map_or(PassFile::Nothing, PassFile::Found)
}

/// The password of a line `host:port:database:user:password` that matches.
fn pass_line(line: &str, wanted: [&str; 4]) -> Option<String> {
    if line.starts_with('#') {
        return None;
    }
    let mut fields = vec![String::new()];
    let mut chars = line.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => fields.last_mut()?.extend(chars.next()),
            ':' if fields.len() < 5 => fields.push(String::new()),
            c => fields.last_mut()?.push(c),
        }
    }
    let password = fields.get(4)?.clone();
    let fits = fields.iter().zip(wanted).all(|(field, want)| field == "*" || field == want);
    (fits && !password.is_empty()).then_some(password)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn get<'a>(params: &'a Params, key: &str) -> &'a str {
        params.get(key).map_or("", String::as_str)
    }

    #[test]
    fn urls_are_read() {
        let params =
            parse("postgresql://me:p%40ss:w@h1:5433,[::1]:5434/db%2F1?sslmode=verify-full")
                .unwrap();
        assert_eq!(get(&params, "user"), "me");
        assert_eq!(get(&params, "password"), "p@ss:w");
        assert_eq!(get(&params, "host"), "h1,::1");
        assert_eq!(get(&params, "port"), "5433,5434");
        assert_eq!(get(&params, "dbname"), "db/1");
        assert_eq!(get(&params, "sslmode"), "verify-full");
        let socket = parse("postgres://u@%2Fvar%2Frun/d").unwrap();
        assert_eq!(get(&socket, "host"), "/var/run");
        let socket = parse("postgres:///d?host=/var/run&port=5").unwrap();
        assert_eq!((get(&socket, "host"), get(&socket, "port")), ("/var/run", "5"));
    }

    #[test]
    fn pairs_are_read() {
        let params = parse(r"host=a dbname = 'my db' password='it\'s \\' port=1").unwrap();
        assert_eq!(get(&params, "dbname"), "my db");
        assert_eq!(get(&params, "password"), r"it's \");
        assert_eq!(get(&params, "port"), "1");
    }

    #[test]
    fn errors_do_not_show_values() {
        for text in [
            "postgres://u:canary%zz@h/d",
            "host=h password='canary",
            "canary",
            "postgres://u:canary@h/d?canary",
            "mysql://u:canary@h/d",
            "postgres://u:canary@[::1/d",
        ] {
            let error = parse(text).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
        let error = parse("host=h sslmod=require").unwrap_err().to_string();
        assert!(error.contains("sslmod"), "{error}");
    }

    #[test]
    fn the_environment_fills_what_is_missing() {
        let env = |name: &str| match name {
            "PGHOST" => Some("envhost".to_owned()),
            "PGUSER" => Some("envuser".to_owned()),
            _ => None,
        };
        let mut params = parse("postgres://urlhost/d").unwrap();
        complete(&mut params, &env).unwrap();
        assert_eq!((get(&params, "host"), get(&params, "user")), ("urlhost", "envuser"));
        assert!(env_names_server(&env) && !env_names_server(&|_| None));
        assert!(!env_names_server(&|name| (name == "PGPASSWORD").then(|| "x".to_owned())));
    }

    #[test]
    fn service_sections_are_read() {
        let text = "# c\n[a]\nhost=1\n\n[b]\nhost=2\nport=3\n";
        let params = service_section(text, "b").unwrap();
        assert_eq!((get(&params, "host"), get(&params, "port")), ("2", "3"));
        assert!(service_section(text, "c").is_none());
    }

    #[test]
    fn password_lines_match() {
        let wanted = ["h", "5432", "d", "u"];
        assert_eq!(pass_line(r"h:5432:d:u:se\:cret", wanted), Some("se:cret".to_owned()));
        assert_eq!(pass_line("*:*:*:u:x:y", wanted), Some("x:y".to_owned()));
        assert_eq!(pass_line("other:*:*:*:x", wanted), None);
        assert_eq!(pass_line("#h:5432:d:u:x", wanted), None);
        assert_eq!(pass_line("h:5432:d", wanted), None);
    }
}
