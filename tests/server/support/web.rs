//! Servers on the loopback interface that files are fetched from: a web server with faults to
//! order, and an S3 API where one is installed.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What a web server does wrong.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Requests that are answered 503 before the others are answered.
    pub unavailable: usize,
    /// Bodies that end in the middle of the block, with the connection.
    pub cut: usize,
    /// Parts cannot be asked for.
    pub no_ranges: bool,
}

/// A web server of this process. It ends with the process.
#[derive(Debug, Clone)]
pub struct Web {
    port: u16,
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Bodies and their tags.
    files: HashMap<String, (Vec<u8>, u64)>,
    faults: Faults,
    requests: usize,
}

impl Web {
    /// Starts one.
    pub fn start(faults: Faults) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has ports");
        let port = listener.local_addr().expect("a bound port").port();
        let shared = Arc::new(Mutex::new(Shared { faults, ..Shared::default() }));
        let web = Self { port, shared };
        let server = web.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let server = server.clone();
                std::thread::spawn(move || while server.answer(&stream).is_some() {});
            }
        });
        web
    }

    /// Puts a file there, or another in its place.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let mut shared = self.shared.lock().expect("no panic while it is held");
        let tag = shared.files.len() as u64 + shared.requests as u64;
        shared.files.insert(path.to_owned(), (bytes.to_vec(), tag));
    }

    /// The URL of a file.
    pub fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// Requests so far.
    pub fn requests(&self) -> usize {
        self.shared.lock().expect("no panic while it is held").requests
    }

    /// Answers one request; none when the connection is done.
    fn answer(&self, stream: &TcpStream) -> Option<()> {
        let (path, headers) = request(stream)?;
        let path = path.split('?').next().unwrap_or_default().trim_start_matches('/').to_owned();
        let mut shared = self.shared.lock().expect("no panic while it is held");
        shared.requests += 1;
        if shared.faults.unavailable > 0 {
            shared.faults.unavailable -= 1;
            return reply(stream, "503 Service Unavailable", "", b"");
        }
        let Some((body, tag)) = shared.files.get(&path).cloned() else {
            return reply(stream, "404 Not Found", "", b"");
        };
        if headers.get("if-match").is_some_and(|wanted| *wanted != format!("\"{tag}\"")) {
            return reply(stream, "412 Precondition Failed", "", b"");
        }
        let range = headers.get("range").filter(|_| !shared.faults.no_ranges);
        let (status, part, range) = match range {
            Some(range) => {
                let (from, to) = range.trim_start_matches("bytes=").split_once('-')?;
                let from: usize = from.parse().ok()?;
                let to = to.parse().map_or(body.len(), |to: usize| body.len().min(to + 1));
                let shown = format!("Content-Range: bytes {from}-{}/{}\r\n", to - 1, body.len());
                ("206 Partial Content", &body[from..to], shown)
            }
            None => ("200 OK", &body[..], String::new()),
        };
        let extra = format!("ETag: \"{tag}\"\r\n{range}");
        if shared.faults.cut > 0 && part.len() > 100_000 {
            shared.faults.cut -= 1;
            let len = part.len();
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n{extra}\r\n");
            let mut stream = stream;
            stream.write_all(head.as_bytes()).ok()?;
            stream.write_all(&part[..len / 2]).ok()?;
            let _ = stream.shutdown(std::net::Shutdown::Both);
            return None;
        }
        drop(shared);
        reply(stream, status, &extra, part)
    }
}

/// The path and the headers of a request.
fn request(stream: &TcpStream) -> Option<(String, HashMap<String, String>)> {
    let mut lines = BufReader::new(stream).lines();
    let path = lines.next()?.ok()?.split(' ').nth(1)?.to_owned();
    let mut headers = HashMap::new();
    for line in lines {
        let line = line.ok()?;
        let Some((name, value)) = line.split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    Some((path, headers))
}

fn reply(mut stream: &TcpStream, status: &str, extra: &str, body: &[u8]) -> Option<()> {
    let len = body.len();
    let head = format!("HTTP/1.1 {status}\r\nContent-Length: {len}\r\n{extra}\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    stream.write_all(body).ok()
}

/// An S3 API, by the Python package moto.
#[derive(Debug)]
pub struct S3 {
    child: Child,
    port: u16,
}

impl S3 {
    /// Starts one, if `TIDEGATE_MOTO` or the folder that `scripts/test` fills has it; else says
    /// that it is not.
    #[expect(clippy::print_stderr, reason = "a test that proves nothing says so")]
    pub fn start() -> Option<Self> {
        let built = PathBuf::from(env!("CARGO_BIN_EXE_tidegate"));
        let tools =
            built.ancestors().nth(2).map(|target| target.join("tools/moto/bin/moto_server"));
        let server = std::env::var_os("TIDEGATE_MOTO").map(PathBuf::from).or(tools)?;
        if !server.exists() {
            eprintln!("not checked: {} is not there: S3", server.display());
            return None;
        }
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.expect("loopback has ports").port();
        let child = Command::new(&server)
            .args(["-H", "127.0.0.1", "-p", &port.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("moto_server starts");
        let s3 = Self { child, port };
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            std::thread::sleep(Duration::from_millis(50));
        }
        Some(s3)
    }

    /// The variables under which the program reaches it.
    pub fn env(&self) -> [(&'static str, String); 4] {
        [
            ("AWS_ENDPOINT_URL", format!("http://127.0.0.1:{}", self.port)),
            ("AWS_ACCESS_KEY_ID", "an-id".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "CANARY-secret-key".to_owned()),
            ("AWS_REGION", "us-east-1".to_owned()),
        ]
    }

    /// Makes a bucket (`bucket`), or puts an object there (`bucket/key`).
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).expect("it listens");
        let len = bytes.len();
        let head = format!(
            "PUT /{path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len}\r\n\
             Connection: close\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(bytes)).expect("it reads");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
