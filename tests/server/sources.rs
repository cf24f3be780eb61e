//! Compressed files and archives: the same rows in every form, one content, and what is broken,
//! hostile or cut short.

use std::io::{Cursor, Write};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::Signal;

use crate::support::{
    BARS, Bars, Program, TestDb, adds_up, backfill, equations, except_all, file, file_entry, load,
    same_rows, totals,
};

/// Two chunks of text, so that a form is cut and read on.
const ROWS: Bars = Bars { rows: 90_000, symbols: 3, seed: 5 };

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    to.write_all(bytes).and_then(|()| to.finish()).expect("memory takes all")
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    zstd::stream::encode_all(bytes, 1).expect("memory takes all")
}

/// Compressed by bzip2.
pub fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
    to.write_all(bytes).and_then(|()| to.finish()).expect("memory takes all")
}

fn xz(bytes: &[u8]) -> Vec<u8> {
    let mut to = liblzma::write::XzEncoder::new(Vec::new(), 0);
    to.write_all(bytes).and_then(|()| to.finish()).expect("memory takes all")
}

fn lz4(bytes: &[u8]) -> Vec<u8> {
    let mut to = lz4_flex::frame::FrameEncoder::new(Vec::new());
    to.write_all(bytes).expect("memory takes all");
    to.finish().expect("memory takes all")
}

/// A tar archive of these members.
pub fn tar(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // Not `append_data`, which refuses the names that are tried here.
        header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        builder.append(&header, *bytes).expect("memory takes all");
    }
    builder.into_inner().expect("memory takes all")
}

fn zip(members: &[(&str, &[u8])], method: zip::CompressionMethod) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(method);
    for (name, bytes) in members {
        writer.start_file(*name, options).expect("a name");
        writer.write_all(bytes).expect("memory takes all");
    }
    writer.finish().expect("memory takes all").into_inner()
}

const README: &[u8] = b"These are bars. Enjoy them.\n";

/// Every form of a file of bars, by the name that it gets.
fn forms(csv: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let members: [(&str, &[u8]); 2] = [("readme.txt", README), ("d/bars.csv", csv)];
    let tar = tar(&members);
    vec![
        ("bars.csv.gz", gzip(csv)),
        ("bars.csv.zst", zstd(csv)),
        ("bars.csv.bz2", bzip2(csv)),
        ("bars.csv.xz", xz(csv)),
        ("bars.csv.lz4", lz4(csv)),
        // Told by its bytes, whatever it is called.
        ("bars.csv", gzip(csv)),
        ("stored.zip", zip(&members, zip::CompressionMethod::Stored)),
        ("deflated.zip", zip(&members, zip::CompressionMethod::Deflated)),
        ("bars.tar.gz", gzip(&tar)),
        ("bars.tar.zst", zstd(&tar)),
        ("bars.tar.bz2", bzip2(&tar)),
        ("bars.tar", tar),
    ]
}

#[test]
fn every_form_of_a_file_gives_the_same_rows_and_is_one_content() {
    let (plain, csv) = (TestDb::new("plain form"), ROWS.csv());
    let first = load(&plain, [file(&plain, "plain.csv", &csv)], 0);
    let hash = file_entry(&first, "plain.csv")["content_hash"].clone();
    for (name, bytes) in forms(csv.as_bytes()) {
        let db = TestDb::new(name);
        let path = file(&db, name, &bytes);
        let outcome = load(&db, [path.as_os_str(), "--verify".as_ref()], 0);
        assert_eq!(totals(&outcome), [ROWS.rows, ROWS.rows, 0, 0, 0, 0, 0], "{name}");
        same_rows(&db, &plain, BARS);
        let archive = name.contains(".tar") || name.ends_with(".zip");
        let shown = if archive { format!("{name}!d/bars.csv") } else { name.to_owned() };
        let entry = file_entry(&outcome, &shown);
        assert_eq!(entry["sealed"], true);
        assert_eq!(entry["content_hash"], hash, "{name}");
        let ignored = outcome.report()["ignored"].as_array().unwrap();
        let readme = ignored.iter().any(|name| name.as_str().unwrap().ends_with("!readme.txt"));
        assert_eq!(readme, archive, "{name}");
        // Where the plain file was loaded, there is nothing new in any form.
        let again = load(&plain, [path], 0);
        assert_eq!(totals(&again), [0; 7], "{name}");
        assert_eq!(file_entry(&again, &shown)["already_loaded"], true, "{name}");
    }
}

#[test]
fn all_forms_at_once_are_loaded_once() {
    let db = TestDb::new("all forms");
    let csv = Bars { rows: 500, ..ROWS }.csv();
    for (name, bytes) in forms(csv.as_bytes()) {
        file(&db, &format!("in/{name}"), bytes);
    }
    let outcome = load(&db, [db.home().join("in")], 0);
    assert_eq!(totals(&outcome), [500, 500, 0, 0, 0, 0, 0]);
    assert!(outcome.stderr.contains("same content"), "{}", outcome.stderr);
}

#[test]
fn a_pipe_is_read_once_whatever_it_is_called() {
    let db = TestDb::new("pipe");
    let text = Bars { rows: 500, ..ROWS }.csv();
    let path = db.home().join("bars.csv.gz");
    let made = std::process::Command::new("mkfifo").arg(&path).status().expect("mkfifo");
    assert!(made.success());
    let writer = {
        let (path, packed) = (path.clone(), gzip(text.as_bytes()));
        std::thread::spawn(move || std::fs::write(path, packed))
    };
    let outcome = load(&db, [&path], 0);
    writer.join().unwrap().unwrap();
    assert_eq!(file_entry(&outcome, "bars.csv.gz")["inserted"], 500);
}

#[test]
fn standard_input_may_be_compressed() {
    let db = TestDb::new("compressed input");
    let csv = Bars { rows: 700, ..ROWS }.csv();
    let input = file(&db, "input", gzip(csv.as_bytes()));
    let outcome = backfill(&db, ["-"]).stdin(&input).run().expect_code(0);
    adds_up(&db, &outcome);
    assert_eq!(outcome.total("inserted"), 700);
    // A program that failed before it wrote anything is no load of nothing.
    let nothing = file(&db, "nothing", "");
    let outcome = backfill(&db, ["-"]).stdin(&nothing).run().expect_code(1);
    assert!(outcome.stderr.contains("- is empty"), "{}", outcome.stderr);
}

#[test]
fn members_of_an_archive_are_sources_of_their_own() {
    let db = TestDb::new("members");
    let bars = |symbols, seed| Bars { rows: 3_000, symbols, seed }.csv();
    let (one, two) = (bars(2, 1), bars(5, 2));
    // The same keys as the first with other values: the first in the archive's order stays.
    let rival = bars(2, 3);
    let no_line_end = one.trim_end().as_bytes();
    let broken = gzip(two.as_bytes());
    let archive = tar(&[
        ("a/one.csv", no_line_end),
        ("empty.csv", b""),
        ("a/rival.csv", rival.as_bytes()),
        ("two.csv.gz", &gzip(two.as_bytes())),
        ("broken.csv.gz", &broken[..broken.len() / 2]),
        ("../out.csv", one.as_bytes()),
        ("page.html", b"<!doctype html><p>Daily limit</p>"),
    ]);
    let path = file(&db, "m.tar.gz", gzip(&archive));
    let plan = Program::new(&db).args(["plan", "--json"]).arg(&path).run().expect_code(1);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let units = plan["units"].as_array().unwrap();
    let sources: Vec<&str> = units.iter().map(|unit| unit["source"].as_str().unwrap()).collect();
    let shown = ["a/one.csv", "a/rival.csv", "two.csv.gz"];
    let shown = shown.map(|member| format!("{}!{member}", path.display()));
    assert_eq!(sources, shown);
    let outcome = load(&db, [&path], 1);
    let read = |name: &str| file_entry(&outcome, name)["read"].as_u64().unwrap();
    assert_eq!(read("m.tar.gz!a/one.csv"), 3_000);
    assert_eq!(read("m.tar.gz!two.csv.gz"), 3_000);
    let rival = file_entry(&outcome, "!a/rival.csv");
    assert_eq!((rival["duplicate"].as_u64(), rival["sealed"].as_bool()), (Some(3_000), Some(true)));
    let error = file_entry(&outcome, "!broken.csv.gz")["error"].as_str().unwrap().to_owned();
    assert!(error.contains("truncated") && error.contains("at byte"), "{error}");
    let ignored = outcome.report()["ignored"].to_string();
    for name in ["!empty.csv", "!../out.csv", "!page.html"] {
        assert!(ignored.contains(name), "{ignored}");
    }
    assert!(!db.home().join("../out.csv").exists());
    let parts: Vec<u64> = (0..2)
        .map(|part| {
            let db = TestDb::new("shard");
            let shard = format!("{part}/2");
            let args = [path.as_os_str(), "--shard".as_ref(), shard.as_ref()];
            backfill(&db, args).run().total("read")
        })
        .collect();
    assert_eq!(parts.iter().sum::<u64>(), 9_000, "every member is in one shard: {parts:?}");
    assert!(parts.iter().all(|part| *part > 0), "{parts:?}");
}

#[test]
fn parquet_is_read_from_an_archive() {
    let db = TestDb::new("packed parquet");
    let bytes = std::fs::read(crate::support::fixture("bars/LINKUSDT_1h.parquet")).unwrap();
    let packed = zip(&[("d/LINKUSDT_1h.parquet", &bytes)], zip::CompressionMethod::Deflated);
    let path = file(&db, "p.zip", packed);
    let first = load(&db, [path.as_os_str(), "--verify".as_ref()], 0);
    assert!(first.total("inserted") > 0);
    assert_eq!(file_entry(&first, "p.zip!d/LINKUSDT_1h.parquet")["sealed"], true);
    let plain = load(&db, [crate::support::fixture("bars/LINKUSDT_1h.parquet")], 0);
    assert_eq!(plain.total("read"), 0, "the same content");
    let gz = file(&db, "LINKUSDT_1h.parquet.gz", gzip(&bytes));
    assert_eq!(load(&db, [gz], 0).total("read"), 0);
}

#[test]
fn what_is_broken_is_named_with_its_byte_and_its_neighbours_load() {
    let db = TestDb::new("broken archives");
    let csv = Bars { rows: 2_000, ..ROWS }.csv();
    let gz = gzip(csv.as_bytes());
    let mut corrupt = gz.clone();
    corrupt[gz.len() / 2] ^= 0xff;
    let zipped = zip(&[("bars.csv", csv.as_bytes())], zip::CompressionMethod::Deflated);
    let broken = [
        ("truncated.csv.gz", gz[..gz.len() - 9].to_vec(), "truncated"),
        ("garbage.csv.gz", [&gz[..], b"garbage"].concat(), "follow"),
        ("corrupt.csv.gz", corrupt, "bad gzip data at byte"),
        ("truncated.csv.zst", zstd(csv.as_bytes())[..3_000].to_vec(), "truncated"),
        ("truncated.zip", zipped[..zipped.len() - 30].to_vec(), "truncated"),
    ];
    for (name, bytes, says) in &broken {
        let path = file(&db, &format!("in/{name}"), bytes);
        let outcome = load(&db, [path], 1);
        let error = file_entry(&outcome, name)["error"].as_str().unwrap();
        assert!(error.contains(says) && error.contains(name), "{error}");
        assert!(outcome.stderr.contains("at byte"), "{}", outcome.stderr);
    }
    file(&db, "in/padded.csv.gz", [&gz[..], &[0; 512]].concat());
    file(&db, "in/nothing.csv.gz", b"");
    file(&db, "in/empty.csv.gz", gzip(b""));
    let outcome = load(&db, [db.home().join("in")], 1);
    assert_eq!(totals(&outcome), [2_000, 2_000, 0, 0, 0, 0, 0]);
    assert_eq!(outcome.report()["ignored"].as_array().unwrap().len(), 2);
}

#[test]
fn a_bomb_is_refused_and_takes_little_memory() {
    let db = TestDb::new("bomb");
    let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let header = format!("{}\n", Bars::HEADER);
    to.write_all(header.as_bytes()).expect("memory takes all");
    let line = vec![b'1'; 1 << 20];
    (0..600).for_each(|_| to.write_all(&line).expect("memory takes all"));
    let bomb = to.finish().expect("memory takes all");
    // One line of 3 GiB, of as many streams one after another.
    let mut part = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    part.write_all(&vec![b'1'; 64 << 20]).expect("memory takes all");
    let part = part.finish().expect("memory takes all");
    let line = [gzip(header.as_bytes()), part.repeat(48)].concat();
    assert!(line.len() < 4 << 20, "{}", line.len());
    let inner = zip(&[("one.csv.gz", &bomb)], zip::CompressionMethod::Deflated);
    for (name, bytes) in [
        ("one.csv.gz", bomb.clone()),
        ("line.csv.gz", line),
        ("two.gz.gz", gzip(&bomb)),
        ("member.zip", inner.clone()),
        ("deep.zip", zip(&[("inner.zip", &inner)], zip::CompressionMethod::Deflated)),
        ("bomb.csv.bz2", bzip2(&vec![b'1'; 200 << 20])),
    ] {
        let mut running = backfill(&db, [file(&db, name, &bytes)]).spawn();
        let mut peak = 0;
        while running.is_running() {
            peak = peak.max(running.peak_memory().unwrap_or(0));
            std::thread::sleep(Duration::from_millis(5));
        }
        let outcome = running.wait().expect_code(1);
        adds_up(&db, &outcome);
        assert!(outcome.stderr.contains("bomb"), "{name}: {}", outcome.stderr);
        assert_eq!(outcome.total("read"), 0, "{name}");
        let told = outcome.report()["peak_memory_bytes"].as_u64().unwrap();
        assert!(told.max(peak) < 256 << 20, "{name}: {told} {peak}");
    }
}

#[test]
fn a_compressed_load_is_killed_and_resumed_in_any_form() {
    const TABLES: &str = "CREATE TABLE calm (symbol text, \"interval\" text, ts timestamptz, \
         open double precision, high double precision, low double precision, \
         close double precision, volume double precision, \
         PRIMARY KEY (symbol, \"interval\", ts)); CREATE TABLE bars (LIKE calm INCLUDING ALL)";
    let db = TestDb::new("killed gzip");
    db.client().execute(TABLES);
    let csv = Bars { rows: 330_000, symbols: 7, seed: 11 }.csv();
    let into = |table: &str, path: &PathBuf| {
        let args = ["--writers", "2", "--memory", "32MiB", "--table", table];
        backfill(&db, args).arg(path)
    };
    let plain = file(&db, "bars.csv", &csv);
    let _ = into("public.calm", &plain).run().expect_code(0);
    let portions = "SELECT count(*) FROM tidegate.portion";
    let whole = db.client().query_one::<i64>(portions);
    assert!(whole >= 5, "{whole}");
    let forms = [
        file(&db, "bars.csv.gz", gzip(csv.as_bytes())),
        file(&db, "bars.tar.bz2", bzip2(&tar(&[("bars.csv", csv.as_bytes())]))),
        file(&db, "bars.zip", zip(&[("b.csv", csv.as_bytes())], zip::CompressionMethod::Deflated)),
    ];
    let mut kills = 0;
    // Each run goes on where the one before was killed, from another form of the same content.
    for path in &forms {
        let before = db.client().query_one::<i64>(portions);
        let mut running = into("public.bars", path).args(["--max-rows-per-sec", "150000"]).spawn();
        while running.is_running() && db.client().query_one::<i64>(portions) == before {
            std::thread::sleep(Duration::from_millis(10));
        }
        running.signal(Signal::KILL);
        kills += usize::from(running.wait().signal == Some(9));
    }
    assert!(kills >= 2, "{kills}");
    let last = into("public.bars", &plain).run().expect_code(0);
    assert!(last.total("read") < 330_000, "it was resumed, not begun again");
    equations(&db);
    except_all(&db, "bars", "calm");
    assert_eq!(db.client().query_one::<i64>(portions), 2 * whole);
}

#[test]
fn a_compressed_file_that_changes_while_it_is_loaded_is_noticed() {
    let db = TestDb::new("changed gzip");
    let bars = Bars { rows: 330_000, symbols: 7, seed: 11 };
    // Not compressed at all, so that it has many blocks that are read one after another.
    let gzip = |csv: String| {
        let mut to = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::none());
        to.write_all(csv.as_bytes()).and_then(|()| to.finish()).expect("memory takes all")
    };
    let path = file(&db, "bars.csv.gz", gzip(bars.csv()));
    let other = gzip(Bars { seed: 12, ..bars }.csv());
    let slow = ["--writers", "2", "--memory", "32MiB", "--max-rows-per-sec", "60000"];
    let mut running = backfill(&db, slow).arg(&path).spawn();
    let portions = "SELECT count(*) FROM tidegate.portion";
    let begun = |db: &TestDb<'_>| {
        let made = "SELECT to_regclass('tidegate.portion') IS NOT NULL";
        db.client().query_one::<bool>(made) && db.client().query_one::<i64>(portions) > 0
    };
    while running.is_running() && !begun(&db) {
        std::thread::sleep(Duration::from_millis(10));
    }
    std::fs::write(&path, other).expect("the file is ours");
    let outcome = running.wait().expect_code(1);
    assert!(outcome.stderr.contains("changed while"), "{}", outcome.stderr);
    adds_up(&db, &outcome);
    assert_eq!(file_entry(&outcome, "bars.csv.gz")["sealed"], false);
}
