//! A target server, resolved once, and connections to it. Sessions are left as the server made
//! them (no start-up options, no session-level SET), so that they work behind a pooler in
//! transaction mode. Every room that speaks to the database comes through here.

use std::fmt;
use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, TargetSessionAttrs};
use tokio_postgres::{Client, Config, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::connection::Connection;
use super::conninfo::{self, Env, Params, PassFile};
use super::error::DbError;
use super::tls;
use crate::error::Class;
use crate::limit::BACKOFF_FIRST_MS;

/// The name under which our sessions show in `pg_stat_activity`.
pub const APPLICATION_NAME: &str = "tidegate";

/// A connection attempt to one host takes at most this long unless the URL says otherwise.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A peer that answers nothing for this long is gone.
const SILENCE_MAX: Duration = Duration::from_secs(30);

/// A resolved target server. Cheap to clone. Never prints its password.
#[derive(Clone)]
pub struct Database {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    display: String,
    note: Option<String>,
    embedded: bool,
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database")
            .field("server", &self.display)
            .field("embedded", &self.embedded)
            .finish_non_exhaustive()
    }
}

impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.display)
    }
}

impl Database {
    /// Reads a `postgres://` URL or a `key=value` string; what it leaves out comes from the `PG*`
    /// variables, service and password files, as in libpq. Unlike libpq, remote hosts default to
    /// `sslmode=require`.
    ///
    /// # Errors
    /// [`DbError::Config`] for what cannot be understood or files that cannot be used. It never
    /// repeats a value.
    pub fn from_url(url: &str) -> Result<Self, DbError> {
        Self::resolve(conninfo::parse(url)?, &|name| std::env::var(name).ok())
    }

    /// The server that the standard `PG*` variables name; `None` if they name none.
    ///
    /// # Errors
    /// As [`Database::from_url`].
    pub fn from_env() -> Result<Option<Self>, DbError> {
        let env = |name: &str| std::env::var(name).ok();
        if !conninfo::env_names_server(&env) {
            return Ok(None);
        }
        Self::resolve(Params::new(), &env).map(Some)
    }

    /// The embedded server's database behind a socket in `socket_dir`.
    pub(super) fn embedded(
        socket_dir: &Path,
        port: u16,
        user: &str,
        password: &str,
        dbname: &str,
    ) -> Self {
        let mut config = base_config();
        config.host_path(socket_dir).port(port).user(user).password(password).dbname(dbname);
        config.connect_timeout(CONNECT_TIMEOUT);
        let display = display(&[socket_dir.display().to_string()], &[port], user, dbname);
        Self { config, tls: None, display, note: None, embedded: true }
    }

    fn resolve(mut params: Params, env: Env<'_>) -> Result<Self, DbError> {
        conninfo::complete(&mut params, env)?;
        let ports = parse_ports(params.get("port").map_or("", String::as_str))?;
        let addresses = parse_addresses(params.get("hostaddr").map_or("", String::as_str))?;
        let hosts = match params.get("host") {
            Some(hosts) => hosts.split(',').map(|h| host_or_default(h, ports[0])).collect(),
            None if addresses.is_empty() => vec![host_or_default("", ports[0])],
            None => addresses.iter().map(IpAddr::to_string).collect(),
        };
        if !addresses.is_empty() && addresses.len() != hosts.len() {
            return Err(config_error("host and hostaddr name different numbers of servers"));
        }
        if ports.len() != 1 && ports.len() != hosts.len() {
            return Err(config_error("port must be one number, or one for each host"));
        }
        let user = params.get("user").cloned().or_else(|| os_user(env));
        let user = user.ok_or_else(|| config_error("give a user: in the URL or in PGUSER"))?;
        let dbname = params.get("dbname").cloned().unwrap_or_else(|| user.clone());

        let mut config = base_config();
        config.user(&user).dbname(&dbname);
        for host in &hosts {
            config.host(host);
        }
        for &address in &addresses {
            config.hostaddr(address);
        }
        for &port in &ports {
            config.port(port);
        }
        apply_options(&mut config, &params)?;
        let note = apply_password(&mut config, &params, &hosts, (&dbname, &user), env);
        let tls = apply_tls(&mut config, &params, &hosts, &addresses, env)?;
        let display = display(&hosts, &ports, &user, &dbname);
        Ok(Self { config, tls, display, note, embedded: false })
    }

    /// The server's URL without its password, for messages.
    pub fn display(&self) -> &str {
        &self.display
    }

    /// Whether this is the embedded server.
    pub fn is_embedded(&self) -> bool {
        self.embedded
    }

    /// The same server, another database of it.
    #[must_use]
    pub fn with_database(&self, dbname: &str) -> Self {
        let mut other = self.clone();
        if let Some(old) = self.config.get_dbname() {
            let old = format!("/{}", conninfo::encode(old));
            let (base, query) =
                self.display.split_once('?').map_or((&*self.display, None), |(a, b)| (a, Some(b)));
            let base = base.strip_suffix(&old).unwrap_or(base);
            other.display = format!("{base}/{}", conninfo::encode(dbname));
            if let Some(query) = query {
                other.display.push('?');
                other.display.push_str(query);
            }
        }
        other.config.dbname(dbname);
        other
    }

    /// Opens a connection and starts the task that drives it. Needs a tokio runtime.
    ///
    /// # Errors
    /// [`DbError::Connect`] and [`DbError::ConnectTimeout`], with what to do about them.
    pub async fn connect(&self) -> Result<Connection, DbError> {
        let each = self.config.get_connect_timeout().copied().unwrap_or(CONNECT_TIMEOUT);
        let hosts = self.config.get_hosts().len().max(self.config.get_hostaddrs().len()).max(1);
        let total = each.saturating_mul(u32::try_from(hosts).unwrap_or(u32::MAX));
        let opened = tokio::time::timeout(total, self.open()).await;
        match opened {
            Ok(Ok(client)) => Ok(Connection { client }),
            Ok(Err(source)) => Err(DbError::Connect { target: self.target(), source }),
            Err(_) => {
                Err(DbError::ConnectTimeout { target: self.target(), seconds: total.as_secs() })
            }
        }
    }

    /// [`Database::connect`], but a server that answers that it takes nobody at the moment (too
    /// many connections, starting up) is asked again for as long as `patience`. `known`: the server
    /// was there before, so one that does not answer is waited for too.
    ///
    /// # Errors
    /// The last one of [`Database::connect`].
    pub async fn connect_within(
        &self,
        patience: Duration,
        known: bool,
    ) -> Result<Connection, DbError> {
        let began = Instant::now();
        let mut pause = Duration::from_millis(BACKOFF_FIRST_MS);
        loop {
            let error = match self.connect().await {
                Ok(connection) => return Ok(connection),
                Err(error) => error,
            };
            let may_pass =
                error.class() == Class::Reconnect && (known || error.sqlstate().is_some());
            if !may_pass || began.elapsed() >= patience {
                return Err(error);
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
    }

    fn target(&self) -> String {
        match &self.note {
            Some(note) => format!("{} ({note})", self.display),
            None => self.display.clone(),
        }
    }

    async fn open(&self) -> Result<Client, tokio_postgres::Error> {
        // The driver ends when the client is dropped or the connection is lost; what it returns
        // then, the client's calls report too.
        Ok(match &self.tls {
            Some(tls) => {
                let (client, driver) = self.config.connect(tls.clone()).await?;
                tokio::spawn(driver);
                client
            }
            None => {
                let (client, driver) = self.config.connect(NoTls).await?;
                tokio::spawn(driver);
                client
            }
        })
    }
}

fn config_error(message: impl Into<String>) -> DbError {
    DbError::Config(message.into())
}

fn base_config() -> Config {
    let mut config = Config::new();
    config
        .application_name(APPLICATION_NAME)
        .keepalives(true)
        .keepalives_idle(SILENCE_MAX / 3)
        .keepalives_interval(SILENCE_MAX / 3)
        .keepalives_retries(2)
        .tcp_user_timeout(SILENCE_MAX);
    config
}

fn parse_ports(text: &str) -> Result<Vec<u16>, DbError> {
    text.split(',')
        .map(|port| match port.trim() {
            "" => Ok(5432),
            port => port
                .parse()
                .ok()
                .filter(|&port| port != 0)
                .ok_or_else(|| config_error(format!("port {port:?} is not 1 to 65535"))),
        })
        .collect()
}

fn parse_addresses(text: &str) -> Result<Vec<IpAddr>, DbError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    text.split(',')
        .map(|address| {
            address
                .trim()
                .parse()
                .map_err(|_| config_error(format!("hostaddr {address:?} is not an IP address")))
        })
        .collect()
}

/// An empty host means the local server: its socket where distributions put it, else loopback.
fn host_or_default(host: &str, port: u16) -> String {
    if !host.is_empty() {
        return host.to_owned();
    }
    ["/var/run/postgresql", "/run/postgresql", "/tmp"]
        .into_iter()
        .find(|dir| Path::new(dir).join(format!(".s.PGSQL.{port}")).exists())
        .unwrap_or("localhost")
        .to_owned()
}

fn os_user(env: Env<'_>) -> Option<String> {
    let uid = rustix::process::geteuid().as_raw().to_string();
    let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    passwd
        .lines()
        .map(|line| line.split(':').collect::<Vec<_>>())
        .find(|fields| fields.get(2) == Some(&uid.as_str()))
        .and_then(|fields| fields.first().map(|name| (*name).to_owned()))
        .or_else(|| env("USER"))
        .or_else(|| env("LOGNAME"))
        .filter(|name| !name.is_empty())
}

fn apply_options(config: &mut Config, params: &Params) -> Result<(), DbError> {
    let unknown = |key: &str, value: &str| {
        Err(config_error(format!("connection parameter {key} cannot be {value:?}")))
    };
    let mut timeout = CONNECT_TIMEOUT;
    for (key, value) in params {
        match (key.as_str(), value.as_str()) {
            ("connect_timeout", seconds) => match seconds.trim().parse::<u64>() {
                Ok(0) => {}
                // libpq takes 1 for 2 as well.
                Ok(seconds) => timeout = Duration::from_secs(seconds.max(2)),
                Err(_) => return unknown(key, seconds),
            },
            // Only when the user asks for it: a pooler may refuse start-up options.
            ("options", options) => {
                config.options(options);
            }
            ("target_session_attrs", "any" | "prefer-standby") => {}
            ("target_session_attrs", "read-write" | "primary") => {
                config.target_session_attrs(TargetSessionAttrs::ReadWrite);
            }
            ("channel_binding", "disable") => {
                config.channel_binding(ChannelBinding::Disable);
            }
            ("channel_binding", "prefer") => {
                config.channel_binding(ChannelBinding::Prefer);
            }
            ("channel_binding", "require") => {
                config.channel_binding(ChannelBinding::Require);
            }
            ("load_balance_hosts", "disable") => {}
            ("load_balance_hosts", "random") => {
                config.load_balance_hosts(LoadBalanceHosts::Random);
            }
            ("target_session_attrs" | "channel_binding" | "load_balance_hosts", other) => {
                return unknown(key, other);
            }
            _ => {}
        }
    }
    config.connect_timeout(timeout);
    Ok(())
}

/// Sets the password, if there is one; else may say why a password file was not read.
fn apply_password(
    config: &mut Config,
    params: &Params,
    hosts: &[String],
    (dbname, user): (&str, &str),
    env: Env<'_>,
) -> Option<String> {
    if let Some(password) = params.get("password") {
        config.password(password);
        return None;
    }
    let mut names = hosts.to_vec();
    if hosts.iter().any(|host| host.starts_with('/')) {
        names.push("localhost".to_owned());
    }
    let port = config.get_ports().first().copied().unwrap_or(5432);
    match conninfo::pass_file(params, &names, port, dbname, user, env) {
        PassFile::Found(password) => {
            config.password(password);
            None
        }
        PassFile::Nothing => None,
        PassFile::Exposed(file) => {
            Some(format!("{} was not read: others may read it, chmod 0600", file.display()))
        }
    }
}

fn is_local(host: &str) -> bool {
    host.starts_with('/')
        || host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Sets the TLS mode and makes the connector for it.
fn apply_tls(
    config: &mut Config,
    params: &Params,
    hosts: &[String],
    addresses: &[IpAddr],
    env: Env<'_>,
) -> Result<Option<MakeRustlsConnect>, DbError> {
    if hosts.iter().all(|host| host.starts_with('/')) {
        // A socket has no TLS, whatever sslmode says.
        config.ssl_mode(tls::Mode::Disable.client_mode());
        return Ok(None);
    }
    let home = env("HOME").unwrap_or_default();
    let default_root = format!("{home}/.postgresql/root.crt");
    let root = match params.get("sslrootcert") {
        Some(root) => Some(root.as_str()),
        None => Path::new(&default_root).exists().then_some(default_root.as_str()),
    };
    let local =
        hosts.iter().all(|host| is_local(host)) && addresses.iter().all(IpAddr::is_loopback);
    let mode = match params.get("sslmode") {
        Some(mode) => tls::Mode::parse(mode)?,
        None if root == Some("system") => tls::Mode::VerifyFull,
        None if local => tls::Mode::Prefer,
        None => tls::Mode::Require,
    };
    let client = match (params.get("sslcert"), params.get("sslkey")) {
        (Some(cert), Some(key)) => Some((cert.as_str(), key.as_str())),
        (None, None) => None,
        _ => return Err(config_error("sslcert and sslkey go together")),
    };
    config.ssl_mode(mode.client_mode());
    let built = tls::client_config(mode, tls::Files { root, client })?;
    Ok(built.map(MakeRustlsConnect::new))
}

/// `postgresql://user@host:port/dbname`, sockets as a parameter, never a password.
fn display(hosts: &[String], ports: &[u16], user: &str, dbname: &str) -> String {
    let (user, dbname) = (conninfo::encode(user), conninfo::encode(dbname));
    let port = |at: usize| ports.get(at).or(ports.first()).copied().unwrap_or(5432);
    if let [host] = hosts
        && host.starts_with('/')
    {
        let host = conninfo::encode(host).replace("%2F", "/");
        return format!("postgresql://{user}@/{dbname}?host={host}&port={}", port(0));
    }
    let hosts: Vec<String> = hosts
        .iter()
        .enumerate()
        .map(|(at, host)| {
            let host =
                if host.contains(':') { format!("[{host}]") } else { conninfo::encode(host) };
            format!("{host}:{}", port(at))
        })
        .collect();
    format!("postgresql://{user}@{}/{dbname}", hosts.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio_postgres::config::SslMode;

    fn resolve(url: &str) -> Database {
        Database::resolve(conninfo::parse(url).unwrap(), &|_| None).unwrap()
    }

    #[test]
    fn a_password_is_never_shown() {
        let database = resolve("postgres://me:canary@example.org/d");
        assert_eq!(database.display(), "postgresql://me@example.org:5432/d");
        for text in [format!("{database}"), format!("{database:?}"), format!("{database:#?}")] {
            assert!(!text.contains("canary"), "{text}");
        }
        assert_eq!(database.config.get_password(), Some(&b"canary"[..]));
    }

    #[test]
    fn remote_hosts_are_encrypted_by_default() {
        let mode = |url: &str| resolve(url).config.get_ssl_mode();
        assert_eq!(mode("postgres://u@example.org/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@localhost/d"), SslMode::Prefer);
        assert_eq!(mode("postgres://u@127.0.0.1/d"), SslMode::Prefer);
        assert_eq!(mode("postgres://u@[::1]/d"), SslMode::Prefer);
        assert_eq!(mode("postgres://u@localhost,example.org/d"), SslMode::Require);
        assert_eq!(mode("postgres://u@example.org/d?sslmode=disable"), SslMode::Disable);
        assert_eq!(mode("postgres://u@%2Frun/d?sslmode=require"), SslMode::Disable);
        assert!(Database::from_url("postgres://u@h/d?sslmode=maybe").is_err());
        assert!(Database::from_url("postgres://u@h/d?sslrootcert=/nonexistent").is_err());
    }

    #[test]
    fn displays_are_urls() {
        assert_eq!(
            resolve("host=/run/x port=5433 user=a dbname='my db'").display(),
            "postgresql://a@/my%20db?host=/run/x&port=5433"
        );
        assert_eq!(
            resolve("host=a,::1 port=1,2 user=u dbname=d").display(),
            "postgresql://u@a:1,[::1]:2/d"
        );
        let other = resolve("host=/run/x user=a dbname=d").with_database("e/f");
        assert_eq!(other.display(), "postgresql://a@/e%2Ff?host=/run/x&port=5432");
        assert_eq!(other.config.get_dbname(), Some("e/f"));
    }

    #[test]
    fn sessions_are_named_and_notice_silence() {
        let config = resolve("postgres://u@h/d?application_name=x").config;
        assert_eq!(config.get_application_name(), Some("tidegate"));
        assert_eq!(config.get_tcp_user_timeout(), Some(&Duration::from_secs(30)));
        assert_eq!(config.get_connect_timeout(), Some(&Duration::from_secs(10)));
        assert_eq!(config.get_options(), None);
    }

    #[test]
    fn nonsense_is_refused() {
        for url in [
            "postgres://u@h:0/d",
            "postgres://u@h:99999/d",
            "host=h hostaddr=x user=u",
            "host=a,b port=1,2,3 user=u",
            "host=h user=u connect_timeout=soon",
            "host=h user=u sslcert=/x",
        ] {
            assert!(Database::from_url(url).is_err(), "{url}");
        }
    }
}
