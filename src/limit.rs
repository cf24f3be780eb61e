//! Every bound of the program, named with its unit, in one place; relations between bounds are
//! asserted at compile time. Nothing here is a setting: settings start from these values.

/// One kibibyte, in bytes.
pub const KIB: usize = 1 << 10;
/// One mebibyte, in bytes.
pub const MIB: usize = 1 << 20;

/// Text is cut into chunks at the first record end at or after each multiple of this. Part of the
/// cut rule that is stored with a load: never change it without a new rule name.
pub const CHUNK_BYTES: usize = 4 * MIB;
/// Rows in one Parquet batch. Part of the cut rule, as [`CHUNK_BYTES`].
pub const BATCH_ROWS: usize = 65_536;
/// The longest record that is decoded; a longer one is one reject.
pub const RECORD_BYTES_MAX: usize = 16 * MIB;
/// The longest word (a symbol, an interval) that is loaded: two of them fit into an index.
pub const WORD_BYTES_MAX: usize = 1_000;
/// Original bytes kept with a reject; beyond that only the byte range.
pub const REJECT_RAW_BYTES_MAX: usize = MIB;
/// Different reasons that the rejects of one batch keep; more are told without their values.
pub const REJECT_REASONS_MAX: usize = 10_000;
/// Fields in one record; a record with more is a reject.
pub const FIELDS_MAX: usize = 4_096;
/// Values inside each other that a JSON record may have; a record with more is a reject.
pub const JSON_DEPTH_MAX: usize = 128;
/// A file is checksummed in blocks of this size while it is hashed, and each block is compared
/// when it is read again.
pub const BLOCK_BYTES: usize = 4 * MIB;

/// The default of `--memory`: what chunks and the batches made of them may take, in bytes.
pub const MEMORY_BYTES_DEFAULT: usize = 96 * MIB;
/// The least that `--memory` accepts, in bytes.
pub const MEMORY_BYTES_MIN: usize = 32 * MIB;
/// A chunk's lease covers the chunk and the batch decoded from it: this many times its bytes.
pub const CHUNK_LEASE_FACTOR: usize = 3;
/// Lines of a chunk that its lease covers; of shorter lines, which are more, each one costs
/// [`LINE_LEASE_BYTES`].
pub const CHUNK_LEASE_LINES: usize = CHUNK_BYTES / 32;
/// What a line beyond [`CHUNK_LEASE_LINES`] may cost, as a row or as a reject, in bytes.
pub const LINE_LEASE_BYTES: usize = 48;
/// Lease of one Parquet unit: its pages, and the batches that it may have in flight, in bytes.
pub const PARQUET_UNIT_LEASE_BYTES: usize = 24 * MIB;
/// Bytes of one batch of an Arrow file, packed or not: it is held as a whole.
pub const ARROW_BATCH_BYTES_MAX: u64 = 128 * MIB as u64;
/// Bytes of the header of a message in an Arrow file.
pub const ARROW_HEADER_BYTES_MAX: usize = 16 * MIB;
/// Columns that a Parquet batch may have in flight before its reader waits.
pub const UNIT_BATCHES_QUEUED_MAX: usize = 1;
/// Units that are handed out and not yet drained.
pub const UNITS_QUEUED_MAX: usize = 4;

/// While rows are scattered, one in so many bytes of `--memory` is what is gathered before it is
/// sorted; as much is being sorted, as much again goes into sorting it, the rest is for chunks.
pub const SORT_BUFFER_SHARE: usize = 6;
/// Rows from which on loads into a keyed table are sorted first; fewer are written as they come.
pub const SCATTER_ROWS_MIN: u64 = 500_000;
/// Rows in a block of a run: a merge holds about two blocks of each run.
pub const SPILL_BLOCK_ROWS: usize = 2_048;
/// Runs that are merged at once; a window of a load has no more.
pub const SPILL_RUNS_MAX: usize = 128;
/// Bytes on disk from which on a window of a scattered load ends.
pub const SPILL_BYTES_MAX: u64 = 16 << 30;
/// Rows from which on a fresh partition is filled apart and attached; fewer are not worth it.
pub const EXCHANGE_ROWS_MIN: u64 = 100_000;
/// Routes of a window that are exchanged at most: every one takes locks until its commit.
pub const EXCHANGES_MAX: usize = 500;
/// Rows of merged batches on their way into an exchange.
pub const EXCHANGE_FEED_ROWS: usize = 16_384;
/// Words (symbols, intervals) of one column that a scattered load keeps in memory, in bytes.
pub const SPILL_WORD_BYTES_MAX: usize = 16 * MIB;
/// Rows of one part of a route that is written batch by batch.
pub const ROUTE_PART_ROWS: usize = 65_536;

/// Bytes in one COPY message. A message is encoded, copied into the connection's buffer and sent:
/// several of this size fit a core's own cache.
pub const COPY_MESSAGE_BYTES: usize = 64 * KIB;
/// Rows in one batched INSERT of the ladder's second rung.
pub const INSERT_ROWS: usize = 5_000;
/// Writers that `--writers` accepts.
pub const WRITERS_MAX: usize = 64;
/// A transaction that makes partitions makes at most this many.
pub const PARTITIONS_PER_TRANSACTION_MAX: usize = 500;
/// A load never makes more partitions than this.
pub const PARTITIONS_PER_LOAD_MAX: usize = 1_000;
/// Tickers that are kept in memory, by symbol; older ones are asked for again.
pub const TICKERS_CACHED_MAX: usize = 200_000;

/// Bytes of a file that `inspect` reads unless it is told to read all; of an archive's members
/// together, too.
pub const INSPECT_BYTES_MAX: u64 = 256 * MIB as u64;
/// Rows of a Parquet file that `inspect` reads unless it is told to read all.
pub const INSPECT_ROWS_MAX: u64 = 4_000_000;
/// Bytes at the head of a file that recognition looks at.
pub const SAMPLE_BYTES: usize = 64 * KIB;
/// Records at the head of a file that recognition tries to decode.
pub const SAMPLE_RECORDS: usize = 20;

/// What a file may become when it is decompressed: this many times its stored size. Text of bars
/// is packed 5 to 50 times; only a bomb, or a file of one repeated line, is beyond.
pub const DECOMPRESSED_RATIO_MAX: u64 = 200;
/// Decompressed bytes that are no bomb, whatever the ratio.
pub const DECOMPRESSED_FREE_BYTES: u64 = 64 * MIB as u64;
/// What a file may become when it is decompressed, whatever its size, in bytes.
pub const DECOMPRESSED_BYTES_MAX: u64 = 4 << 40;
/// Archives inside one another: a member of an archive in an archive is read, one deeper is not.
pub const ARCHIVES_NESTED_MAX: usize = 2;
/// Compressions directly around one another: `.gz.gz` is read, one more is not.
pub const CODECS_NESTED_MAX: usize = 2;
/// Members of one archive.
pub const ARCHIVE_MEMBERS_MAX: usize = 100_000;
/// Longest name of a member, in bytes, and longest extended header of a tar member.
pub const MEMBER_NAME_BYTES_MAX: usize = 64 * KIB;
/// Memory that xz data may ask for, in bytes: `xz -9` needs 65 MiB.
pub const XZ_MEMORY_BYTES_MAX: u64 = 96 * MIB as u64;
/// Windows of zstd data may be so large, as a power of two: `zstd --long` needs 27.
pub const ZSTD_WINDOW_LOG_MAX: u32 = 27;

/// Threads that look at files before they are loaded: the decompressors of two large ones fit in
/// memory.
pub const SURVEY_THREADS_MAX: usize = 2;
/// Threads that hash one plain file, a block of [`BLOCK_BYTES`] each.
pub const HASH_THREADS_MAX: usize = 4;
/// Threads that decompress the blocks of all bzip2 streams.
pub const BUNZIP_THREADS_MAX: usize = 4;
/// Compressed bytes of a bzip2 block, at most: 900,000 codes of up to 20 bits.
pub const BUNZIP_BLOCK_BYTES_MAX: usize = 4 * MIB;
/// Decompressed bytes of a bzip2 block that are kept in memory: most have 900,000, those of one
/// repeated byte 46 millions.
pub const BUNZIP_OUTPUT_BYTES_MAX: usize = 4 * MIB;

/// What may be kept in temporary files at once, in bytes: standard input, and members that are not
/// read as streams.
pub const SPOOL_BYTES_MAX: u64 = 64 << 30;
/// Free bytes that temporary files leave on their disk.
pub const SPOOL_RESERVE_BYTES: u64 = 1 << 30;

/// What copies of decompressed sources may take on disk, in bytes; and never more than half of what
/// a load may spill.
pub const KEPT_BYTES_MAX: u64 = 4 << 30;
/// A block of such a copy, in bytes.
pub const KEPT_BLOCK_BYTES: usize = 256 * KIB;
/// No copy is begun of what would not fit if it became this many times its stored size.
pub const KEPT_RATIO: u64 = 4;

/// Seconds for which a file must have been left alone before its times tell that it is unchanged.
pub const SETTLED_S: i64 = 2;
/// Files that are asked for at once whether they are done and unchanged.
pub const MEMOS_PAGE: usize = 5_000;

/// Objects that one URL may stand for.
pub const OBJECTS_LISTED_MAX: usize = 1_000_000;
/// Seconds in which a store must take a connection.
pub const REMOTE_CONNECT_S: u64 = 10;
/// Seconds after which an answer of a store that says nothing more is given up and asked for again.
pub const REMOTE_STALL_S: u64 = 30;
/// Bytes of a store's error that are looked at.
pub const REMOTE_ERROR_BYTES_MAX: usize = 64 * KIB;

/// Bytes of one part of a file that is put into a store.
pub const REMOTE_PART_BYTES: usize = 8 * MIB;
/// Parts of it that are under way at once.
pub const REMOTE_PARTS_IN_FLIGHT: usize = 2;

/// Rows of a row group of an archive: what one unit of reading it again has.
pub const ARCHIVE_GROUP_ROWS: usize = 2 * BATCH_ROWS;
/// Bytes that a row group may take before it is written, however few its rows.
pub const ARCHIVE_GROUP_BYTES: usize = 32 * MIB;
/// Bytes of rows on their way into an archive.
pub const ARCHIVE_BATCH_BYTES: usize = 8 * MIB;

/// Tickers, and gaps, that one statement of `gaps` returns.
pub const GAPS_PAGE_ROWS: usize = 5_000;
/// Gaps of one series that `gaps` keeps and lists in its JSON; more are counted.
pub const GAPS_KEPT_MAX: usize = 1_000;
/// Gaps that `gaps` shows to people.
pub const GAPS_SHOWN_MAX: usize = 20;

/// Bytes of a file of totals that `nightly` compares tables with.
pub const MANIFEST_BYTES_MAX: usize = 64 * MIB;
/// Seconds of silence after which a nightly run counts as dead, unless its configuration says so.
pub const LEASE_STALE_S: u64 = 120;
/// Days before today that `nightly` looks back, unless a source says so.
pub const LOOK_BACK_DAYS: u16 = 7;
/// Seconds that `bench` spends on the runs of one query, unless it is told otherwise.
pub const BENCH_SECONDS: u64 = 3;
/// Runs of one query of `bench` at most.
pub const BENCH_RUNS_MAX: usize = 2_000;
/// Runs of one query of `bench` at least, however slow it is.
pub const BENCH_RUNS_MIN: usize = 3;
/// Sets of values that `bench` asks one query with, in turn.
pub const BENCH_VALUES_MAX: usize = 20;
/// Plans of one query that `bench` looks at: the sixth is the first that may be kept for all
/// values.
pub const BENCH_PLANS: usize = 7;
/// Rows from which on `bench` holds a plan against what it should be: small tables are best read as
/// a whole.
pub const BENCH_PLAN_ROWS_MIN: i64 = 50_000;

/// The default of `loadtest --duration`, in seconds, and with `--ramp`.
pub const LOADTEST_SECONDS: u64 = 60;
/// See [`LOADTEST_SECONDS`].
pub const LOADTEST_RAMP_SECONDS: u64 = 600;
/// The default of `loadtest --rows`: rows that a load test writes at most.
pub const LOADTEST_ROWS: u64 = 5_000_000;
/// The longest latency that is told apart, in microseconds: a minute.
pub const LOADTEST_LATENCY_US_MAX: u64 = 60_000_000;
/// Rows that a load test writes before it picks values to ask with, at most.
pub const LOADTEST_FIRST_ROWS: u64 = 5_000;

/// Seconds that a command waits to be let in by a server that takes nobody at the moment.
pub const ADMISSION_S: u64 = 60;
/// Pieces in which a batch is copied that may meet stored keys: more cost more savepoints, fewer
/// cost more rows staged.
pub const COPY_PIECES_MAX: usize = 8;
/// Rows of such a piece at least.
pub const COPY_PIECE_ROWS_MIN: usize = 500;

/// Backoff between retries: first wait, in milliseconds.
pub const BACKOFF_FIRST_MS: u64 = 100;
/// Backoff between retries: longest wait, in milliseconds.
pub const BACKOFF_LAST_MS: u64 = 30_000;
/// The default of `--retry-deadline`, in seconds.
pub const RETRY_DEADLINE_S: u64 = 15 * 60;
/// `lock_timeout` of a batch's transaction, in milliseconds.
pub const LOCK_TIMEOUT_MS: u64 = 60_000;
/// `lock_timeout` while a partition is attached or a table's indexes are taken off, in
/// milliseconds: others that wait for the table queue behind it so long.
pub const ATTACH_LOCK_TIMEOUT_MS: u64 = 2_000;

/// Points that a report's timeline has at most.
pub const TIMELINE_POINTS_MAX: usize = 300;
/// Time between two samples of a run's figures, until the timeline is full, in milliseconds.
pub const TIMELINE_STEP_MS: u64 = 200;
/// Time between two publications of a running load's figures, in milliseconds; a load that is over
/// before has none.
pub const LIVE_EVERY_MS: u64 = 1_000;
/// Seconds that publishing may take before it is given up for the moment.
pub const LIVE_PATIENCE_S: u64 = 3;
/// Seconds of silence after which a load that should be running is called lost.
pub const LIVE_SILENT_S: u64 = 15;
/// Seconds of silence after which it is forgotten.
pub const LIVE_FORGOTTEN_S: u64 = 3_600;
/// Time between two looks of a polite load at what others suffer, in milliseconds.
pub const POLITE_LOOK_MS: u64 = 1_000;
/// Seconds that a replica may be behind before a polite load waits.
pub const POLITE_LAG_S: u64 = 10;
/// Bytes of WAL that a replica may have to replay before a polite load waits.
pub const POLITE_LAG_BYTES: u64 = 512 * MIB as u64;
/// WAL since the last checkpoint, in percent of `max_wal_size`, from which a polite load waits for
/// the checkpoint that the server has begun by then.
pub const POLITE_WAL_PERCENT: u64 = 80;
/// Seconds for which a polite load waits in a row for sessions that wait for its locks; what that
/// does not cure, it does not wait for.
pub const POLITE_LOCKS_HOLD_S: u64 = 30;
/// Free bytes on the disk of the server's data below which a polite load waits.
pub const POLITE_DISK_FREE_BYTES: u64 = 2 << 30;
/// Milliseconds that counting for a report's map may take, a table.
pub const COVERAGE_MS: u64 = 20_000;
/// Cells that are counted for it at most, a table.
pub const COVERAGE_CELLS_MAX: usize = 200_000;
/// Rows of such a map; of more series several share a row.
pub const COVERAGE_ROWS_MAX: usize = 48;
/// Earlier runs that a report is compared with.
pub const EARLIER_RUNS_MAX: u32 = 20;
/// Files that an HTML report lists; the rest are in the JSON.
pub const HTML_FILES_MAX: usize = 2_000;
/// Bytes of an earlier metrics file that are looked at for what a failing run keeps of it.
pub const PROM_BYTES_MAX: u64 = MIB as u64;

/// Passes over a load's missing spans before it is given up (each follows a server restart or a
/// portion that another process held).
pub const PASSES_MAX: usize = 1_000;

const _: () = assert!(MEMORY_BYTES_MIN >= CHUNK_BYTES * CHUNK_LEASE_FACTOR);
const _: () = assert!(MEMORY_BYTES_MIN / SORT_BUFFER_SHARE * 3 >= CHUNK_BYTES * CHUNK_LEASE_FACTOR);
const _: () = assert!(MEMORY_BYTES_MIN >= PARQUET_UNIT_LEASE_BYTES);
const _: () = assert!(INSPECT_BYTES_MAX > 2 * RECORD_BYTES_MAX as u64);
const _: () = assert!(RECORD_BYTES_MAX >= CHUNK_BYTES);
const _: () = assert!(BLOCK_BYTES.is_multiple_of(KEPT_BLOCK_BYTES));
const _: () = assert!(PARTITIONS_PER_TRANSACTION_MAX <= PARTITIONS_PER_LOAD_MAX);
