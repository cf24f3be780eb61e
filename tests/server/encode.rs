//! The encoder against the server itself: values of every pair of types that can be sent, COPYed
//! in binary form and read back as text.

#![expect(clippy::unwrap_used, reason = "a test stops where something fails")]

use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, Date32Array, DictionaryArray, Float64Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{Field, Int32Type, Schema};
use bytes::{Bytes, BytesMut};
use futures_util::SinkExt as _;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use tidegate::column::{PgType, TargetColumn};
use tidegate::encode::Encoder;
use tokio_postgres::Client;
use tokio_postgres::types::Type;

const ROWS: usize = 3_000;

/// One column of the table: what is sent, how it is read, and what must come back.
struct Case {
    pg_type: PgType,
    ddl: &'static str,
    values: ArrayRef,
    /// SQL over the column `v` that gives text.
    read: &'static str,
    expected: Vec<Option<String>>,
}

/// Random values with NULLs among them, the `edges` first.
fn some<T: Clone + std::fmt::Debug>(
    runner: &mut TestRunner,
    edges: &[T],
    strategy: impl Strategy<Value = T>,
) -> Vec<Option<T>> {
    let strategy = proptest::option::weighted(0.9, strategy);
    let random = (edges.len()..ROWS).map(|_| strategy.new_tree(runner).unwrap().current());
    edges.iter().cloned().map(Some).chain(random).collect()
}

fn texts<T>(values: &[Option<T>], text: impl Fn(&T) -> String) -> Vec<Option<String>> {
    values.iter().map(|value| value.as_ref().map(&text)).collect()
}

fn floats(runner: &mut TestRunner) -> Vec<Case> {
    use proptest::num::f64::{NEGATIVE, NORMAL, POSITIVE, SUBNORMAL, ZERO};
    let any = POSITIVE | NEGATIVE | NORMAL | SUBNORMAL | ZERO;
    let edges = [0.0, -0.0, f64::MAX, f64::MIN_POSITIVE, 0.1 + 0.2, 1e22, 1e-5, 5e-324];
    let doubles = some(runner, &edges, any);
    let price = (0..1_000_000_000_000_i64, 0..9_i32)
        .prop_map(|(units, decimals)| format!("{units}e-{decimals}").parse::<f64>().unwrap());
    let prices = some(runner, &[0.0, -0.0, 12.34], price);
    let narrow = some(runner, &[0.1, -3.0e38], -1.0e9..1.0e9);
    let whole = some(runner, &[-0.0, 9.0e15], -1.0e15..1.0e15);
    let whole: Vec<Option<f64>> = whole.into_iter().map(|v| v.map(f64::round)).collect();
    // The server shows -0 as a double, and 0 as a numeric.
    let plain = |value: &f64| format!("{}", if *value == 0.0 { 0.0 } else { *value });
    let array = |values: &[Option<f64>]| Arc::new(Float64Array::from(values.to_vec())) as ArrayRef;
    let bits = "encode(float8send(v), 'hex')";
    vec![
        Case {
            pg_type: PgType::Float8,
            ddl: "double precision",
            values: array(&doubles),
            read: bits,
            expected: texts(&doubles, |value| format!("{:016x}", value.to_bits())),
        },
        Case {
            pg_type: PgType::Numeric(None),
            ddl: "numeric",
            values: array(&doubles),
            read: "v::text",
            expected: texts(&doubles, plain),
        },
        Case {
            pg_type: PgType::Numeric(None),
            ddl: "numeric",
            values: array(&prices),
            read: "v::text",
            expected: texts(&prices, plain),
        },
        Case {
            pg_type: PgType::Text(None),
            ddl: "text",
            values: array(&prices),
            read: "v",
            expected: texts(&prices, f64::to_string),
        },
        Case {
            pg_type: PgType::Float4,
            ddl: "real",
            values: array(&narrow),
            read: "encode(float4send(v), 'hex')",
            expected: texts(&narrow, |value| format!("{:08x}", (*value as f32).to_bits())),
        },
        Case {
            pg_type: PgType::Int8,
            ddl: "bigint",
            values: array(&whole),
            read: "v::text",
            expected: texts(&whole, |value| (*value as i64).to_string()),
        },
    ]
}

fn integers(runner: &mut TestRunner) -> Vec<Case> {
    let edges = [0, 1, -1, 10_000, 9_999, 100_000_000, i64::MAX, i64::MIN];
    let longs = some(runner, &edges, any::<i64>());
    let ints = some(runner, &[i32::MAX, i32::MIN], any::<i32>());
    let shorts =
        some(runner, &[i16::MAX.into(), i16::MIN.into()], any::<i16>().prop_map(i64::from));
    let exact = some(runner, &[1 << 53, -(1 << 53)], -(1_i64 << 53)..(1 << 53));
    let array = |values: &[Option<i64>]| Arc::new(Int64Array::from(values.to_vec())) as ArrayRef;
    let int_array: ArrayRef = Arc::new(Int32Array::from(ints.clone()));
    let case =
        |pg_type, ddl, values, expected| Case { pg_type, ddl, values, read: "v::text", expected };
    let (long_texts, int_texts) = (texts(&longs, i64::to_string), texts(&ints, i32::to_string));
    vec![
        case(PgType::Int8, "bigint", array(&longs), long_texts.clone()),
        case(PgType::Numeric(None), "numeric", array(&longs), long_texts.clone()),
        case(PgType::Text(Some(20)), "varchar(20)", array(&longs), long_texts),
        case(PgType::Int2, "smallint", array(&shorts), texts(&shorts, i64::to_string)),
        case(PgType::Int4, "integer", int_array.clone(), int_texts.clone()),
        case(PgType::Int8, "bigint", int_array.clone(), int_texts.clone()),
        case(PgType::Numeric(Some((10, 0))), "numeric(10)", int_array, int_texts),
        Case {
            pg_type: PgType::Float8,
            ddl: "double precision",
            values: array(&exact),
            read: "encode(float8send(v), 'hex')",
            expected: texts(&exact, |value| format!("{:016x}", (*value as f64).to_bits())),
        },
    ]
}

/// Decimal literals, and what the server makes of the same text.
async fn literals(client: &Client, runner: &mut TestRunner) -> Vec<Case> {
    let literal = "[+-]?([0-9]{1,30}(\\.[0-9]{0,30})?|\\.[0-9]{1,30})([eE][+-]?[0-9]{1,2})?";
    let edges = ["0", "-0", "-0.00", "1", "3.00", "10000", "0.0001", "-12.34", "1e-05", "1e+05"];
    let edges = edges.map(str::to_owned);
    let any = some(runner, &edges, proptest::string::string_regex(literal).unwrap());
    let price = some(
        runner,
        &edges,
        proptest::string::string_regex("-?[0-9]{1,9}\\.[0-9]{2}0{0,3}").unwrap(),
    );
    let array =
        |values: &[Option<String>]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let price_edge = Some("1e-05".to_owned());
    let price: Vec<Option<String>> = price.into_iter().filter(|v| *v != price_edge).collect();
    let price: Vec<Option<String>> = price.iter().cycle().take(ROWS).cloned().collect();
    let cast = async |values: &[Option<String>], ddl: &str| -> Vec<Option<String>> {
        let sql =
            format!("SELECT t::{ddl}::text FROM unnest($1) WITH ORDINALITY AS u(t, n) ORDER BY n");
        let rows = client.query_typed(&sql, &[(&values, Type::TEXT_ARRAY)]).await.unwrap();
        rows.iter().map(|row| row.get(0)).collect()
    };
    let fixed = "numeric(14,4)";
    vec![
        Case {
            pg_type: PgType::Numeric(None),
            ddl: "numeric",
            values: array(&any),
            read: "v::text",
            expected: cast(&any, "numeric").await,
        },
        Case {
            pg_type: PgType::Numeric(Some((14, 4))),
            ddl: fixed,
            values: array(&price),
            read: "v::text",
            expected: cast(&price, fixed).await,
        },
        Case {
            pg_type: PgType::Float8,
            ddl: "double precision",
            values: array(&any),
            read: "v::text",
            expected: cast(&any, "double precision").await,
        },
        Case {
            pg_type: PgType::Float4,
            ddl: "real",
            values: array(&price),
            read: "v::text",
            expected: cast(&price, "real").await,
        },
    ]
}

fn words(runner: &mut TestRunner) -> Vec<Case> {
    let edges = ["".to_owned(), "ä€𝄞".to_owned(), "\t\n\\.".to_owned()];
    let long = some(runner, &edges, proptest::string::string_regex("[^\\x00]{0,40}").unwrap());
    let few = some(runner, &edges, proptest::string::string_regex("[A-C]{1,2}").unwrap());
    let dictionary: DictionaryArray<Int32Type> = few.iter().map(Option::as_deref).collect();
    let bools = some(runner, &[true, false], any::<bool>());
    let case = |pg_type, ddl, values: ArrayRef, expected| Case {
        pg_type,
        ddl,
        values,
        read: "v::text",
        expected,
    };
    let text: ArrayRef = Arc::new(StringArray::from(long.clone()));
    let flags: ArrayRef = Arc::new(BooleanArray::from(bools.clone()));
    vec![
        case(PgType::Text(None), "text", text.clone(), long.clone()),
        case(PgType::Text(Some(40)), "varchar(40)", text, long),
        case(PgType::Text(Some(4)), "varchar(4)", Arc::new(dictionary), few),
        case(PgType::Bool, "boolean", flags.clone(), texts(&bools, bool::to_string)),
        case(PgType::Text(None), "text", flags, texts(&bools, bool::to_string)),
    ]
}

/// JSON values, kept as they were written by `json` and as values by `jsonb`, and UUIDs.
async fn documents(client: &Client, runner: &mut TestRunner) -> Vec<Case> {
    let edges = [
        "null",
        "-0.0e1",
        " [1, \"\\u00e9\\ud83d\\ude00\\n\"] ",
        "{\"a\": {\"b\": [[], {}, true]}, \"a\": 1.50}",
        "\"\"",
    ];
    let edges = edges.map(str::to_owned);
    let leaf = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        "[^\\x00]{0,12}".prop_map(serde_json::Value::from),
        Just(serde_json::Value::Null),
    ];
    let tree = leaf.prop_recursive(3, 12, 4, |inner| {
        let list = proptest::collection::vec(inner.clone(), 0..4);
        let object = proptest::collection::vec(("[^\\x00]{0,6}", inner), 0..4);
        prop_oneof![
            list.prop_map(serde_json::Value::from),
            object.prop_map(|pairs| serde_json::Value::Object(pairs.into_iter().collect())),
        ]
    });
    let json = some(runner, &edges, tree.prop_map(|value| value.to_string()));
    let uuids = some(runner, &[0, u128::MAX], any::<u128>());
    let spelled = texts(&uuids, |uuid| match uuid % 3 {
        0 => format!("{uuid:032x}"),
        1 => format!("{{{uuid:032X}}}"),
        _ => hyphens(*uuid),
    });
    let array =
        |values: &[Option<String>]| Arc::new(StringArray::from(values.to_vec())) as ArrayRef;
    let sql = "SELECT t::jsonb::text FROM unnest($1) WITH ORDINALITY AS u(t, n) ORDER BY n";
    let rows = client.query_typed(sql, &[(&json, Type::TEXT_ARRAY)]).await.unwrap();
    let case =
        |pg_type, ddl, values, expected| Case { pg_type, ddl, values, read: "v::text", expected };
    vec![
        case(PgType::Json, "json", array(&json), json.clone()),
        case(PgType::Jsonb, "jsonb", array(&json), rows.iter().map(|row| row.get(0)).collect()),
        case(PgType::Uuid, "uuid", array(&spelled), texts(&uuids, |uuid| hyphens(*uuid))),
    ]
}

/// A UUID as the server prints it.
fn hyphens(uuid: u128) -> String {
    let digits = format!("{uuid:032x}");
    let parts = [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]];
    parts.join("-")
}

/// What is said to be no JSON, no `jsonb` or no UUID is what the server refuses, and nothing else.
async fn refused_documents(client: &Client) {
    let deep = "[".repeat(1_000) + &"]".repeat(1_000);
    let texts = [
        "",
        "{}",
        "{",
        "[1,]",
        "nul",
        "01",
        "1.",
        "-",
        "+1",
        "\"a",
        "\"\\x\"",
        "\"\\u00g0\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"a\tb\"",
        "{a:1}",
        "{\"a\" 1}",
        "{\"a\":1,}",
        "1 2",
        "[1}",
        "NaN",
        "'a'",
        "\u{a0}1",
        "\u{feff}1",
        deep.as_str(),
        "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a1",
        "a0-eebc999c0b4ef8bb6d6bb9bd380a11",
        "{a0eebc999c0b4ef8bb6d6bb9bd380a11}",
        " a0eebc999c0b4ef8bb6d6bb9bd380a11",
        "a0eebc999c0b4ef8bb6d6bb9bd380a11-",
    ];
    for (pg_type, ddl) in [(PgType::Json, "json"), (PgType::Jsonb, "jsonb"), (PgType::Uuid, "uuid")]
    {
        for text in texts {
            let values: ArrayRef = Arc::new(StringArray::from(vec![text]));
            let schema = Schema::new(vec![Field::new("v", values.data_type().clone(), true)]);
            let case =
                Case { pg_type, ddl, values: Arc::clone(&values), read: "", expected: vec![] };
            let batch = RecordBatch::try_new(Arc::new(schema), vec![values]).unwrap();
            let encoder = Encoder::new(&batch.schema(), &[target(0, &case)]).unwrap();
            let fits = encoder.faults(&batch).unwrap().is_empty();
            let sql = format!("SELECT $1::text::{ddl}::text");
            let taken = client.query_typed(&sql, &[(&text, Type::TEXT)]).await.is_ok();
            assert_eq!(fits, taken, "{text:?} as {ddl}");
        }
    }
}

fn times(runner: &mut TestRunner) -> Vec<Case> {
    const DAY_US: i64 = 86_400_000_000;
    let first = -210_866_803_200_000_000;
    // Beyond this, `extract` itself rounds.
    let last = 9_000_000_000_000_000_000;
    let times = some(runner, &[0, -1, 946_684_800_000_000, first, last], first..last);
    let days = some(runner, &[0, -1, 10_957, -2_440_588], -2_440_588..100_000_000);
    let array: ArrayRef =
        Arc::new(TimestampMicrosecondArray::from(times.clone()).with_timezone("UTC"));
    let day_array: ArrayRef = Arc::new(Date32Array::from(days.clone()));
    let case = |pg_type, ddl, values: &ArrayRef, read, expected| Case {
        pg_type,
        ddl,
        values: Arc::clone(values),
        read,
        expected,
    };
    let epoch = "(extract(epoch FROM v) * 1000000)::bigint::text";
    let day = "(v - date '1970-01-01')::text";
    let time_texts = texts(&times, i64::to_string);
    let day_texts = texts(&days, i32::to_string);
    let midnights = texts(&days, |day| (i64::from(*day) * DAY_US).to_string());
    vec![
        case(PgType::Timestamptz, "timestamptz", &array, epoch, time_texts.clone()),
        case(PgType::Timestamp, "timestamp", &array, epoch, time_texts),
        case(
            PgType::Date,
            "date",
            &array,
            day,
            texts(&times, |us| us.div_euclid(DAY_US).to_string()),
        ),
        case(PgType::Date, "date", &day_array, day, day_texts),
        case(PgType::Timestamptz, "timestamptz", &day_array, epoch, midnights.clone()),
        case(PgType::Timestamp, "timestamp", &day_array, epoch, midnights),
    ]
}

fn target(at: usize, case: &Case) -> TargetColumn {
    TargetColumn {
        name: format!("c{at}"),
        pg_type: Some(case.pg_type),
        type_name: case.ddl.to_owned(),
        not_null: false,
        has_default: false,
        generated: false,
    }
}

/// Sends every case as a column of one table, in another order than the batch's, and reads each
/// back.
async fn round_trip(client: &Client) {
    let mut runner = TestRunner::default();
    let mut cases = floats(&mut runner);
    cases.extend(integers(&mut runner));
    cases.extend(literals(client, &mut runner).await);
    cases.extend(words(&mut runner));
    cases.extend(times(&mut runner));
    cases.extend(documents(client, &mut runner).await);

    let ddl: Vec<String> =
        cases.iter().enumerate().map(|(at, case)| format!("c{at} {}", case.ddl)).collect();
    let ddl = format!("CREATE TEMP TABLE encode_case (pos integer, {})", ddl.join(", "));
    client.batch_execute(&ddl).await.unwrap();

    let fields = cases
        .iter()
        .enumerate()
        .map(|(at, case)| Field::new(format!("c{at}"), case.values.data_type().clone(), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let columns = cases.iter().map(|case| Arc::clone(&case.values)).collect();
    let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
    let targets: Vec<TargetColumn> =
        cases.iter().enumerate().map(|(at, case)| target(at, case)).collect();
    let encoder = Encoder::new(&schema, &targets).unwrap().with_position();
    assert_eq!(encoder.faults(&batch).unwrap(), []);

    let order = Just((0..ROWS as u32).collect::<Vec<_>>()).prop_shuffle();
    let order = order.new_tree(&mut runner).unwrap().current();
    copy(client, &encoder, &batch, &order).await;

    for (at, case) in cases.iter().enumerate() {
        let sql = format!(
            "SELECT {} FROM (SELECT pos, c{at} AS v FROM encode_case) AS t ORDER BY pos",
            case.read
        );
        let rows = client.query_typed(&sql, &[]).await.unwrap();
        assert_eq!(rows.len(), ROWS);
        for (row, expected) in rows.iter().zip(&case.expected) {
            let found: Option<String> = row.get(0);
            let arrow = case.values.data_type();
            assert_eq!(found, *expected, "column c{at}: {arrow} as {}", case.ddl);
        }
    }
    client.batch_execute("DROP TABLE encode_case").await.unwrap();
    limits(client, &mut runner).await;
    refused_documents(client).await;
}

async fn copy(client: &Client, encoder: &Encoder, batch: &RecordBatch, order: &[u32]) {
    let sink = client.copy_in::<_, Bytes>("COPY encode_case FROM STDIN (FORMAT binary)");
    let mut sink = Box::pin(sink.await.unwrap());
    let mut out = BytesMut::new();
    encoder.header(&mut out);
    let mut rows = encoder.bind(batch).unwrap();
    let mut rest = order;
    while !rest.is_empty() {
        let count = rows.message(rest, 64 * 1024, &mut out).unwrap();
        rest = &rest[count..];
        sink.send(out.split().freeze()).await.unwrap();
    }
    encoder.trailer(&mut out);
    sink.send(out.freeze()).await.unwrap();
    assert_eq!(sink.as_mut().finish().await.unwrap(), order.len() as u64);
}

/// Faults of `numeric(p,s)` are found exactly where the server would refuse or round.
async fn limits(client: &Client, runner: &mut TestRunner) {
    let pattern = "-?[0-9]{1,5}(\\.[0-9]{0,4})?(e-?[0-3])?";
    let values = some(runner, &[], proptest::string::string_regex(pattern).unwrap());
    let values: Vec<String> = values.into_iter().flatten().collect();
    let array: ArrayRef = Arc::new(StringArray::from(values.clone()));
    let schema = Schema::new(vec![Field::new("v", array.data_type().clone(), true)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::clone(&array)]).unwrap();
    for (precision, scale) in [(5_u16, 2_i16), (4, 0), (3, 3), (3, -2), (2, 4)] {
        let sql = "SELECT abs(t::numeric) < 10::numeric ^ ($2 - $3) \
                   AND round(t::numeric, $3) = t::numeric \
                   FROM unnest($1) WITH ORDINALITY AS u(t, n) ORDER BY n";
        let (p, s) = (i32::from(precision), i32::from(scale));
        let types: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
            [(&values, Type::TEXT_ARRAY), (&p, Type::INT4), (&s, Type::INT4)];
        let rows = client.query_typed(sql, &types).await.unwrap();
        let case = Case {
            pg_type: PgType::Numeric(Some((precision, scale))),
            ddl: "numeric",
            values: Arc::clone(&array),
            read: "",
            expected: vec![],
        };
        let encoder = Encoder::new(&batch.schema(), &[target(0, &case)]).unwrap();
        let faults = encoder.faults(&batch).unwrap();
        for (at, row) in rows.iter().enumerate() {
            let fits = !faults.iter().any(|fault| fault.row as usize == at);
            let expected: bool = row.get(0);
            assert_eq!(fits, expected, "{} as numeric({precision},{scale})", values[at]);
        }
    }
}

#[test]
fn values_come_back_as_they_were_sent() {
    let db = crate::support::TestDb::new("encoder");
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let url = db.url();
        let (client, connection) =
            tokio_postgres::connect(&url, tokio_postgres::NoTls).await.unwrap();
        let driver = tokio::spawn(connection);
        round_trip(&client).await;
        drop(client);
        driver.await.unwrap().unwrap();
    });
}
