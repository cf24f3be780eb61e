//! Several tables a dataset: root and child rows go up and down the ladder together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use arrow::array::{ArrayRef, Float64Array, Int32Array, Int64Array, RecordBatch};

use tidegate::batch::{Batch, Child, Chunk, Original, Rejects};
use tidegate::count::{Counts, TableCounts};
use tidegate::dataset::ConflictPolicy;
use tidegate::db::ledger::PortionKey;
use tidegate::db::{Connection, Database, catalog, migration};
use tidegate::span::{RowPlace, Span};
use tidegate::write::{
    Job, Ladder, LadderCounters, Meeting, Outcome, RetryPolicy, Strategy, TableTarget, Target,
};

use crate::support::TestDb;

/// A root record: its key, its value, and the values of its children.
type Record = (i64, f64, Vec<f64>);

/// One root table with one child table, and a ladder to them.
struct Family<'a> {
    db: &'a TestDb<'static>,
    runtime: tokio::runtime::Runtime,
    ladder: Ladder,
    target: Target,
    window: u32,
}

async fn table(connection: &Connection, name: &str, root_key: Vec<usize>) -> TableTarget {
    let table = catalog::load_table(connection, Some("public"), name).await;
    let table = table.expect("the catalogue answers").expect("the table is there");
    TableTarget { columns: table.columns.clone(), table, root_key }
}

impl<'a> Family<'a> {
    fn new(db: &'a TestDb<'static>, policy: ConflictPolicy) -> Self {
        db.client().execute(
            "CREATE TABLE IF NOT EXISTS root (id bigint PRIMARY KEY, value double precision); \
             CREATE TABLE IF NOT EXISTS child (root_id bigint REFERENCES root, n integer, \
                 value double precision CONSTRAINT sane CHECK (value <> 4242), \
                 PRIMARY KEY (root_id, n))",
        );
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (ladder, target) = runtime.block_on(async {
            let database = Database::from_url(&db.url()).expect("a URL");
            let mut connection = database.connect().await.expect("a connection");
            let loads = migration::Extent::Loads;
            migration::up(&database, &mut connection, &["ledger"], loads, true)
                .await
                .expect("a ledger");
            let started = connection.server().await.expect("a server").started_at;
            let tables = vec![
                table(&connection, "root", Vec::new()).await,
                table(&connection, "child", vec![0]).await,
            ];
            let target = Target {
                tables,
                key: vec![0],
                meeting: Meeting::default(),
                policy,
                strategy: Strategy::Direct,
                time: None,
                meets_stored: AtomicBool::new(false),
                meets_few: AtomicBool::new(false),
                mostly_bad: AtomicBool::new(false),
            };
            let counters = Arc::new(LadderCounters::default());
            let retry = RetryPolicy { deadline: Duration::from_mins(1) };
            (Ladder::new(database, started, counters, retry), target)
        });
        let window: i64 = db.client().query_one("SELECT count(*) FROM tidegate.portion");
        let window = u32::try_from(window).expect("few portions");
        Self { db, runtime, ladder, target, window }
    }

    /// Writes records as one batch and gives the counts, also those by table.
    fn write(&mut self, records: &[Record]) -> (Counts, BTreeMap<String, TableCounts>) {
        let batch = batch(records, self.window);
        let key = PortionKey { set_id: 1, route: "*".to_owned(), window: self.window };
        let mut job = Job::new(&self.target, key, (1, 1), "family".into(), batch).expect("a job");
        let written = self.runtime.block_on(self.ladder.write(&self.target, &mut job));
        let Outcome::Committed(counts) = written.expect("the batch is written") else {
            panic!("the portion was not free");
        };
        let sql = format!(
            "SELECT t.key, t.value->>'inserted', t.value->>'updated', t.value->>'deleted' \
             FROM tidegate.portion, jsonb_each(tables) t WHERE window_no = {}",
            self.window
        );
        self.window += 1;
        let number = |text: &Option<String>| text.as_deref().and_then(|text| text.parse().ok());
        let entry = |row: &Vec<Option<String>>| {
            let count = |at: usize| number(&row[at]).expect("a count");
            let counts = TableCounts { inserted: count(1), updated: count(2), deleted: count(3) };
            (row[0].clone().expect("a name"), counts)
        };
        (counts, self.db.client().rows(&sql).iter().map(entry).collect())
    }

    /// Fails unless the tables hold these records and no others.
    fn holds(&self, records: &[Record]) {
        let client = self.db.client();
        let read = |sql: &str| -> Vec<String> {
            let rows = client.rows(sql);
            let mut rows: Vec<_> = rows.into_iter().flatten().flatten().collect();
            rows.sort_unstable();
            rows
        };
        let mut roots: Vec<_> =
            records.iter().map(|(id, value, _)| format!("{id}={value}")).collect();
        let mut children: Vec<_> = (records.iter())
            .flat_map(|(id, _, children)| {
                children.iter().enumerate().map(move |(n, value)| format!("{id}.{n}={value}"))
            })
            .collect();
        roots.sort_unstable();
        children.sort_unstable();
        let of_roots = "SELECT id || '=' || value FROM root";
        let of_children = "SELECT root_id || '.' || n || '=' || value FROM child";
        assert_eq!(read(of_roots), roots);
        assert_eq!(read(of_children), children);
    }
}

fn batch(records: &[Record], window: u32) -> Batch {
    let line = |record: &Record| format!("{record:?}\n");
    let text: String = records.iter().map(line).collect();
    let mut offset = 0;
    let places = (0..).zip(records).map(|(row, record)| {
        let len = u32::try_from(line(record).len()).expect("short");
        offset += len;
        RowPlace { row, line: row, offset: offset - len, len: len - 1 }
    });
    let places = places.collect();
    let ids: ArrayRef = Arc::new(Int64Array::from_iter_values(records.iter().map(|r| r.0)));
    let values: ArrayRef = Arc::new(Float64Array::from_iter_values(records.iter().map(|r| r.1)));
    let (mut root_of, mut root_ids) = (Vec::new(), Vec::new());
    let (mut numbers, mut child_values) = (Vec::new(), Vec::new());
    for (at, (id, _, children)) in (0..).zip(records) {
        for (n, value) in (0..).zip(children) {
            root_of.push(at);
            root_ids.push(*id);
            numbers.push(n);
            child_values.push(*value);
        }
    }
    let root_ids: ArrayRef = Arc::new(Int64Array::from(root_ids));
    let numbers: ArrayRef = Arc::new(Int32Array::from(numbers));
    let child_values: ArrayRef = Arc::new(Float64Array::from(child_values));
    let rows = [("root_id", root_ids), ("n", numbers), ("value", child_values)];
    let child = RecordBatch::try_from_iter(rows).expect("a batch");
    let (bytes, read) = (text.len() as u64, records.len() as u64);
    let span = Span { window, start: 0, end: bytes, first_row: 1, first_line: 1, lines: read };
    Batch {
        span,
        last: true,
        root: RecordBatch::try_from_iter([("id", ids), ("value", values)]).expect("a batch"),
        places,
        children: vec![Child { table: 1, rows: child, root_of }],
        rejects: Rejects::default(),
        skipped: 0,
        original: Original::Text(Arc::new(Chunk { bytes: text.into_bytes() })),
    }
}

/// Root `id` has `id % 4` children.
fn record(id: i64, value: f64) -> Record {
    (id, value, (0..id % 4).map(|n| n as f64 + value).collect())
}

fn table_counts(inserted: u64, updated: u64, deleted: u64) -> TableCounts {
    TableCounts { inserted, updated, deleted }
}

#[test]
fn roots_and_children_are_copied_together() {
    let db = TestDb::new("family copy");
    let mut family = Family::new(&db, ConflictPolicy::Skip);
    // Not in the order of the key, and with a key that comes twice: the later loses with its
    // children.
    let mut records: Vec<Record> = (1..=100).rev().map(|id| record(id, 1.0)).collect();
    records.push((7, 9.0, vec![8.0, 8.0, 8.0, 8.0]));
    let (counts, tables) = family.write(&records);
    records.pop();
    assert_eq!((counts.read, counts.inserted), (101, 100));
    assert_eq!((counts.duplicate, counts.conflicting), (1, 1));
    assert_eq!(tables["public.root"], table_counts(100, 0, 0));
    assert_eq!(tables["public.child"], table_counts(150, 0, 0));
    family.holds(&records);
    // Once more: nothing is new, and no child is inserted again.
    let (counts, tables) = family.write(&records);
    assert_eq!((counts.inserted, counts.duplicate, counts.conflicting), (0, 100, 0));
    assert_eq!(tables.get("public.child").map_or(0, |counts| counts.inserted), 0);
    family.holds(&records);
}

#[test]
fn an_updated_root_gets_its_children_anew() {
    let db = TestDb::new("family update");
    let mut family = Family::new(&db, ConflictPolicy::Update);
    family.write(&(1..=100).map(|id| record(id, 1.0)).collect::<Vec<_>>());
    // 51 to 59 as they are, 60 to 69 changed and with five children each, 101 to 150 new.
    let mut records: Vec<Record> = (51..=59).map(|id| record(id, 1.0)).collect();
    records.extend((60..=69).map(|id| (id, 2.0, vec![5.0; 5])));
    records.extend((101..=150).map(|id| record(id, 3.0)));
    let (counts, tables) = family.write(&records);
    assert_eq!((counts.inserted, counts.updated, counts.duplicate), (50, 10, 9));
    let old: u64 = (60..=69).map(|id| id % 4).sum();
    let new: u64 = (101..=150).map(|id| id % 4).sum();
    assert_eq!(tables["public.root"], table_counts(50, 10, 0));
    assert_eq!(tables["public.child"], table_counts(new + 50, 0, old));
    let kept = (1..=59).chain(70..=100).map(|id| record(id, 1.0));
    let all: Vec<Record> = kept.chain(records[9..].iter().cloned()).collect();
    family.holds(&all);
}

#[test]
fn a_bad_child_rejects_its_root_and_nothing_else() {
    for policy in [ConflictPolicy::Skip, ConflictPolicy::Update] {
        let db = TestDb::new("family bad");
        let mut family = Family::new(&db, policy);
        let stored: Vec<Record> = (1..=50).map(|id| record(id, 1.0)).collect();
        family.write(&stored);
        // 41 to 50 are stored, 48 with other values; 120 has a bad child.
        let mut records: Vec<Record> = (41..=200).map(|id| record(id, 1.0)).collect();
        records[7] = (48, 2.0, vec![6.0]);
        records[79] = (120, 1.0, vec![1.0, 4242.0, 2.0]);
        let (counts, _) = family.write(&records);
        let updated = u64::from(policy == ConflictPolicy::Update);
        assert_eq!((counts.inserted, counts.rejected), (149, 1), "{policy:?}");
        assert_eq!((counts.updated, counts.duplicate), (updated, 10 - updated), "{policy:?}");
        let rejects =
            db.client().rows("SELECT row_no, rule, convert_from(raw, 'UTF8') FROM tidegate.reject");
        let raw = format!("{:?}", records[79]);
        let expected = ["80".to_owned(), "check:sane".to_owned(), raw].map(Some);
        assert_eq!(rejects, [expected.to_vec()], "{policy:?}");
        let mut all: Vec<Record> = stored.into_iter().filter(|record| record.0 <= 40).collect();
        records.remove(79);
        if policy == ConflictPolicy::Skip {
            records[7] = record(48, 1.0);
        }
        all.extend(records);
        family.holds(&all);
    }
}

#[test]
fn a_bad_child_of_a_stored_root_leaves_what_is_stored() {
    let db = TestDb::new("family bad update");
    let mut family = Family::new(&db, ConflictPolicy::Update);
    let stored: Vec<Record> = (1..=50).map(|id| record(id, 1.0)).collect();
    family.write(&stored);
    let mut records: Vec<Record> = (1..=60).map(|id| record(id, 1.0)).collect();
    records[10] = (11, 2.0, vec![4242.0]);
    records[11] = (12, 2.0, vec![7.0, 8.0]);
    let (counts, tables) = family.write(&records);
    assert_eq!((counts.inserted, counts.updated, counts.rejected), (10, 1, 1));
    assert_eq!(counts.duplicate, 48);
    assert_eq!(tables["public.child"].deleted, 0, "12 had no children");
    records[10] = record(11, 1.0);
    family.holds(&records);
}
