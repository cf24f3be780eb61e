use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::db::testing::{runtime, server_in, short_home};

async fn pid(embedded: &Embedded) -> u32 {
    embedded.status().await.unwrap().pid.unwrap()
}

async fn count(database: &Database) -> i64 {
    let connection = database.connect().await.unwrap();
    connection.query_typed_one("SELECT count(*) FROM t", &[]).await.unwrap().get(0)
}

#[test]
fn a_server_lives_from_start_to_destroy() {
    let home = short_home();
    let embedded = server_in(home.path());
    runtime().block_on(async {
        assert!(embedded.url().is_err() && embedded.psql_command().is_err());
        let status = embedded.status().await.unwrap();
        assert!(!status.running && status.pid.is_none() && status.version.is_none());

        let database = embedded.start().await.unwrap();
        assert!(database.is_embedded());
        let first = pid(&embedded).await;
        embedded.start().await.unwrap();
        assert_eq!(pid(&embedded).await, first, "a second start finds the first server");

        // Ours is not asked for: the leader of our session may live outside of our pid namespace.
        let server = rustix::process::Pid::from_raw(i32::try_from(first).unwrap());
        let session = rustix::process::getsid(server).unwrap();
        assert_eq!(Some(session), server, "the server leads a session of its own");

        let connection = database.connect().await.unwrap();
        let row = connection
            .query_typed_one(
                "SELECT current_database(), current_setting('fsync'), \
                 current_setting('synchronous_commit'), current_setting('data_checksums'), \
                 current_setting('listen_addresses'), current_setting('server_encoding')",
                &[],
            )
            .await
            .unwrap();
        let settings: Vec<&str> = (0..6).map(|at| row.get(at)).collect();
        assert_eq!(settings, [DATABASE, "on", "on", "on", "", "UTF8"]);
        let server = connection.server().await.unwrap();
        assert!(server.version_num >= 140_000 && server.started_at > 1e9);
        assert!(server.system_identifier.is_some() && server.timescaledb.is_none());

        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&embedded.password_path()), 0o600);
        assert_eq!(mode(&embedded.socket_dir()), 0o700);
        assert_eq!(mode(&embedded.data_dir()), 0o700);

        let status = embedded.status().await.unwrap();
        assert!(status.running && status.size_bytes > 1 << 20);
        assert!(!format!("{status:?}").contains(&embedded.password().unwrap()));
        let by_url = Database::from_url(&embedded.url().unwrap()).unwrap();
        by_url.connect().await.unwrap();
        let mut psql = embedded.psql_command().unwrap();
        let output = psql.args(["-XAtc", "SELECT 6 * 7"]).output().unwrap();
        assert_eq!(output.stdout, b"42\n");

        assert!(embedded.destroy(false).await.is_err());
        assert!(embedded.stop().await.unwrap());
        assert!(!embedded.stop().await.unwrap(), "stopped already");
        embedded.start().await.unwrap();
        assert!(embedded.destroy(true).await.unwrap());
        assert!(!embedded.root().exists() && !embedded.destroy(true).await.unwrap());
    });
}

#[test]
fn two_starts_at_once_share_one_server() {
    let home = short_home();
    let (one, two) = (server_in(home.path()), server_in(home.path()));
    runtime().block_on(async {
        let (first, second) = tokio::join!(one.start(), two.start());
        first.unwrap();
        second.unwrap();
        assert_eq!(pid(&one).await, pid(&two).await);
        one.destroy(true).await.unwrap();
    });
}

#[test]
fn a_killed_server_recovers_what_was_committed() {
    let home = short_home();
    let embedded = server_in(home.path());
    runtime().block_on(async {
        let database = embedded.start().await.unwrap();
        let connection = database.connect().await.unwrap();
        let fill = "CREATE TABLE t AS SELECT generate_series(1, 10000)";
        connection.batch_execute(fill).await.unwrap();
        let killed = pid(&embedded).await;
        let raw = rustix::process::Pid::from_raw(i32::try_from(killed).unwrap()).unwrap();
        rustix::process::kill_process(raw, rustix::process::Signal::KILL).unwrap();
        while process::postmaster(&embedded.data_dir()).is_some() {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        assert!(embedded.data_dir().join("postmaster.pid").exists(), "the pid file is stale");
        let database = embedded.start().await.unwrap();
        assert_ne!(pid(&embedded).await, killed);
        assert_eq!(count(&database).await, 10_000);
        embedded.destroy(true).await.unwrap();
    });
}

#[test]
fn a_stale_pid_file_that_names_somebody_else_is_no_server() {
    let home = short_home();
    let embedded = server_in(home.path());
    runtime().block_on(async {
        embedded.start().await.unwrap();
        embedded.stop().await.unwrap();
        let ours = std::process::id();
        fs::write(embedded.data_dir().join("postmaster.pid"), format!("{ours}\n")).unwrap();
        assert_eq!(embedded.status().await.unwrap().pid, None);
        assert!(!embedded.stop().await.unwrap(), "nobody else is stopped");
        fs::remove_file(embedded.data_dir().join("postmaster.pid")).unwrap();
        embedded.destroy(true).await.unwrap();
    });
}

#[test]
fn a_server_without_its_socket_is_replaced() {
    let home = short_home();
    let embedded = server_in(home.path());
    runtime().block_on(async {
        embedded.start().await.unwrap();
        let orphan = pid(&embedded).await;
        fs::remove_file(embedded.socket_dir().join(format!(".s.PGSQL.{PORT}"))).unwrap();
        embedded.start().await.unwrap();
        assert_ne!(pid(&embedded).await, orphan);
        embedded.destroy(true).await.unwrap();
    });
}

#[test]
fn a_failed_start_shows_the_log() {
    let home = short_home();
    let embedded = server_in(home.path());
    runtime().block_on(async {
        embedded.start().await.unwrap();
        embedded.stop().await.unwrap();
        let conf = embedded.data_dir().join("tidegate.conf");
        let good = fs::read_to_string(&conf).unwrap();
        fs::write(&conf, format!("{good}no_such_setting = 1\n")).unwrap();
        let error = embedded.start().await.unwrap_err().to_string();
        assert!(error.contains("no_such_setting"), "{error}");
        fs::write(&conf, good).unwrap();
        embedded.start().await.unwrap();
        embedded.destroy(true).await.unwrap();
    });
}

#[test]
fn an_interrupted_making_is_begun_again() {
    let home = short_home();
    let embedded = server_in(home.path());
    runtime().block_on(async {
        fs::create_dir_all(embedded.root().join("data.new/base")).unwrap();
        fs::write(embedded.password_path(), "old\n").unwrap();
        embedded.start().await.unwrap();
        assert_ne!(embedded.password().unwrap(), "old");
        embedded.destroy(true).await.unwrap();
    });
}

#[test]
fn a_long_home_gets_its_socket_elsewhere() {
    let home = short_home();
    let deep = home.path().join("d".repeat(80)).join("e e");
    let embedded = server_in(&deep);
    let socket_dir = embedded.socket_dir();
    assert!(socket_dir.starts_with("/tmp") && socket_dir.as_os_str().len() < SOCKET_DIR_BYTES_MAX);
    runtime().block_on(async {
        embedded.start().await.unwrap();
        embedded.destroy(true).await.unwrap();
        assert!(!socket_dir.exists());
    });
}

#[test]
fn what_is_not_ours_is_not_destroyed() {
    let home = short_home();
    let embedded = server_in(home.path());
    fs::create_dir_all(embedded.root().join("data")).unwrap();
    runtime().block_on(async {
        let error = embedded.destroy(true).await.unwrap_err().to_string();
        assert!(error.contains("delete it by hand"), "{error}");
    });
    assert!(embedded.root().join("data").exists());
}

#[test]
fn a_socket_folder_of_somebody_else_is_refused() {
    let home = short_home();
    let embedded = server_in(home.path());
    let run = embedded.socket_dir();
    fs::create_dir_all(&run).unwrap();
    fs::set_permissions(&run, fs::Permissions::from_mode(0o777)).unwrap();
    let error = runtime().block_on(embedded.start()).unwrap_err().to_string();
    assert!(error.contains("not a private folder"), "{error}");
}

/// A server that listens on loopback with TLS; killed when dropped.
struct TlsServer(std::process::Child);

impl Drop for TlsServer {
    fn drop(&mut self) {
        interrupt(&self.0);
        let _ = self.0.wait();
    }
}

fn interrupt(child: &std::process::Child) {
    process::interrupt(child.id()).unwrap();
}

/// Certificates by the `openssl` program: two authorities, a good certificate for `localhost`,
/// and one that is expired.
fn make_certificates(folder: &Path) -> bool {
    let openssl = |args: &str| {
        let run = Command::new("openssl").args(args.split(' ')).current_dir(folder).output();
        run.is_ok_and(|output| output.status.success())
    };
    let names = "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n";
    fs::write(folder.join("names"), names).unwrap();
    let curve = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes";
    ["ca", "other"].iter().all(|name| {
        openssl(&format!("req -x509 {curve} -keyout {name}.key -out {name}.crt -subj /CN={name}"))
    }) && [("good", "-days 2"), ("old", "-not_before 20200101000000Z -not_after 20200102000000Z")]
        .iter()
        .all(|(name, age)| {
            let request = format!("req {curve} -keyout {name}.key -out {name}.csr -subj /CN=x");
            let sign = format!(
                "x509 -req -in {name}.csr -CA ca.crt -CAkey ca.key -CAcreateserial \
                 -extfile names -out {name}.crt"
            );
            // Older versions of openssl only take days, which may be negative for `ca` alone.
            openssl(&request)
                && (openssl(&format!("{sign} {age}"))
                    || *name == "old" && openssl(&format!("{sign} -days -1")))
        })
}

fn start_with_tls(embedded: &Embedded, certificate: &str, port: u16) -> TlsServer {
    let programs = embedded.prepare().unwrap();
    let files = embedded.home.join("tls");
    let setting = |name: &str, ending: &str| {
        format!("{name}={}", files.join(format!("{certificate}.{ending}")).display())
    };
    let mut command = embedded.owner.command(&programs.program("postgres"), &embedded.root());
    command.arg("-D").arg(embedded.data_dir());
    let tls = if certificate.is_empty() { "ssl=off" } else { "ssl=on" };
    command.args(["-c", "listen_addresses=127.0.0.1", "-c", &format!("port={port}"), "-c", tls]);
    if !certificate.is_empty() {
        command.args(["-c", &setting("ssl_cert_file", "crt")]);
        command.args(["-c", &setting("ssl_key_file", "key")]);
    }
    command.args(["-c", "unix_socket_directories="]);
    TlsServer(command.stderr(std::process::Stdio::null()).spawn().unwrap())
}

/// Connects to the TLS server; waits until it is there.
async fn connect_by_tls(embedded: &Embedded, port: u16, rest: &str) -> Result<bool, DbError> {
    let password = embedded.password().unwrap();
    let url = format!("user={USER} password={password} dbname=postgres port={port} {rest}");
    let database = Database::from_url(&url)?;
    let begun = Instant::now();
    loop {
        match database.connect().await {
            Ok(connection) => {
                let sql = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
                return Ok(connection.query_typed_one(sql, &[]).await?.get(0));
            }
            Err(error) if error.class() == Class::Reconnect && begun.elapsed() < READY_DEADLINE => {
                tokio::time::sleep(LOOK_AGAIN).await;
            }
            Err(error) => return Err(error),
        }
    }
}

#[test]
#[expect(clippy::print_stderr, reason = "a test that cannot run says so")]
fn sslmode_means_what_it_means_in_libpq() {
    let home = short_home();
    let embedded = server_in(home.path());
    let files = home.path().join("tls");
    fs::create_dir(&files).unwrap();
    if !make_certificates(&files) {
        eprintln!("not run: no openssl program that makes certificates");
        return;
    }
    for entry in fs::read_dir(&files).unwrap() {
        let path = entry.unwrap().path();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        embedded.owner.own(&path).unwrap();
    }
    let port = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().port()
    };
    let root = |name: &str| format!("sslrootcert={}", files.join(name).display());
    let (ca, other) = (root("ca.crt"), root("other.crt"));
    // Server's certificate, rest of the URL, whether TLS is used; None: refused.
    let cases = [
        ("good", "host=localhost".to_owned(), Some(true)),
        ("good", "host=127.0.0.1 sslmode=disable".to_owned(), Some(false)),
        ("good", "host=127.0.0.1 sslmode=require".to_owned(), Some(true)),
        ("good", format!("host=127.0.0.1 sslmode=require {other}"), None),
        ("good", format!("host=127.0.0.1 sslmode=verify-ca {ca}"), Some(true)),
        ("good", format!("host=127.0.0.1 sslmode=verify-ca {other}"), None),
        ("good", format!("host=localhost sslmode=verify-full {ca}"), Some(true)),
        ("good", format!("host=127.0.0.1 sslmode=verify-full {ca}"), None),
        ("good", format!("host=localhost sslmode=verify-full {other}"), None),
        ("good", "host=localhost sslmode=verify-full sslrootcert=system".to_owned(), None),
        ("old", "host=localhost sslmode=require".to_owned(), Some(true)),
        ("old", format!("host=localhost sslmode=verify-ca {ca}"), None),
        ("old", format!("host=localhost sslmode=verify-full {ca}"), None),
        ("", "host=localhost".to_owned(), Some(false)),
        ("", "host=localhost sslmode=require".to_owned(), None),
        ("", format!("host=localhost sslmode=verify-full {ca}"), None),
    ];
    runtime().block_on(async {
        embedded.start().await.unwrap();
        embedded.stop().await.unwrap();
        for certificate in ["good", "old", ""] {
            let _server = start_with_tls(&embedded, certificate, port);
            // Waits until it listens.
            let _ = connect_by_tls(&embedded, port, "host=127.0.0.1 sslmode=disable").await;
            for (_, rest, expected) in cases.iter().filter(|case| case.0 == certificate) {
                let outcome = connect_by_tls(&embedded, port, rest).await;
                match (&outcome, expected) {
                    (Ok(encrypted), Some(expected)) => assert_eq!(encrypted, expected, "{rest}"),
                    (Err(error), None) => {
                        assert_eq!(error.class(), Class::Stop, "{rest}: {error}");
                        let advice = error.to_string().contains("sslmode=disable in the URL");
                        assert_eq!(advice, certificate.is_empty(), "{rest}: {error}");
                    }
                    _ => panic!("{certificate:?} {rest}: {outcome:?}"),
                }
            }
        }
        embedded.destroy(true).await.unwrap();
    });
}
