//! The way to the server: how long it takes, whose clock is right, and what stands in between.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::db::{Connection, Database, DbError, Doing as _};
use crate::report::human;

use super::super::finding::{Finding, Level};

/// Round trips that are measured; the fastest counts.
const SAMPLES: usize = 5;
/// Beyond these a batch waits for the network rather than for the server.
const ROUND_TRIP_ADVICE: Duration = Duration::from_millis(5);
const ROUND_TRIP_WARNING: Duration = Duration::from_millis(50);
/// Clocks that differ by more.
const CLOCK_ADVICE_S: f64 = 5.0;
const CLOCK_WARNING_S: f64 = 60.0;
/// A session that is this much older than our connection was opened by somebody else.
const SESSION_AGE_S: f64 = 2.0;
/// Where PgBouncer listens unless told otherwise.
const POOLER_PORT: &str = ":6432";

/// An open connection and how long it took.
pub(super) struct Link {
    pub connection: Connection,
    begun: Instant,
    took: Duration,
}

/// One question to the server, with the client's own clock around it.
struct Sample {
    round_trip: Duration,
    /// The server's clock less the client's, in seconds.
    clock_ahead_s: f64,
    backend: i32,
    session_age_s: f64,
    /// Since the connection was begun, on the client's clock.
    connected_s: f64,
}

pub(super) async fn connect(database: &Database) -> Result<Link, DbError> {
    let begun = Instant::now();
    let connection = database.connect().await?;
    Ok(Link { connection, begun, took: begun.elapsed() })
}

pub(super) async fn check(database: &Database, link: &Link) -> Result<Vec<Finding>, DbError> {
    let first = sample(link).await?;
    let mut best = None;
    for _ in 0..SAMPLES {
        let next = sample(link).await?;
        if best.as_ref().is_none_or(|best: &Sample| next.round_trip < best.round_trip) {
            best = Some(next);
        }
    }
    let best = best.as_ref().unwrap_or(&first);
    let embedded = if database.is_embedded() { " (embedded)" } else { "" };
    let found =
        format!("{}{embedded}, open after {}", database.display(), human::duration(link.took));
    Ok(vec![
        Finding::ok("connection", found),
        round_trip(best.round_trip),
        pooler(&first, second_backend(database).await, database.display().contains(POOLER_PORT)),
        clock(best.clock_ahead_s),
    ])
}

async fn sample(link: &Link) -> Result<Sample, DbError> {
    const SQL: &str = "\
SELECT extract(epoch FROM clock_timestamp())::float8, pg_backend_pid(),
       coalesce(extract(epoch FROM clock_timestamp() - max(backend_start)), 0)::float8
FROM pg_stat_activity WHERE pid = pg_backend_pid()";
    let (begun, now) = (Instant::now(), SystemTime::now());
    let row = link.connection.query_typed_one(SQL, &[]).await.doing("asking for the time")?;
    let round_trip = begun.elapsed();
    let middle = now.duration_since(UNIX_EPOCH).unwrap_or_default() + round_trip / 2;
    Ok(Sample {
        round_trip,
        clock_ahead_s: row.try_get::<_, f64>(0)? - middle.as_secs_f64(),
        backend: row.try_get(1)?,
        session_age_s: row.try_get(2)?,
        connected_s: link.begun.elapsed().as_secs_f64(),
    })
}

/// The server process behind a second connection.
async fn second_backend(database: &Database) -> Option<i32> {
    let other = database.connect().await.ok()?;
    let row = other.query_typed_one("SELECT pg_backend_pid()", &[]).await.ok()?;
    row.try_get(0).ok()
}

fn round_trip(time: Duration) -> Finding {
    let found = format!("{:.2} ms", time.as_secs_f64() * 1e3);
    let level = match time {
        time if time > ROUND_TRIP_WARNING => Level::Warning,
        time if time > ROUND_TRIP_ADVICE => Level::Advice,
        _ => return Finding::ok("round trip", found),
    };
    Finding::advise(
        level,
        "round trip",
        found,
        "run the loader nearer to the server, or give it more --writers",
        "each batch takes several round trips, and its writer waits for them",
    )
}

fn pooler(first: &Sample, second_backend: Option<i32>, pooler_port: bool) -> Finding {
    let shared = second_backend == Some(first.backend);
    let reused = first.session_age_s > first.connected_s + SESSION_AGE_S;
    let found = match (shared, reused, pooler_port) {
        (true, ..) => "in transaction mode: two connections share one server session",
        (_, true, _) => "there is one: the session is older than the connection",
        (_, _, true) => "perhaps: the port is PgBouncer's",
        _ => return Finding::ok("pooler", "none seen"),
    };
    Finding::advise(
        Level::Advice,
        "pooler",
        found,
        "connect to the server itself for large loads, or give the pool more server connections \
         than --writers",
        "loads work behind a pooler, but each writer takes one of its server connections",
    )
}

fn clock(ahead_s: f64) -> Finding {
    let side = if ahead_s < 0.0 { "behind" } else { "ahead" };
    let found = format!("the server's clock is {} {side}", human::seconds(ahead_s.abs()));
    let level = match ahead_s.abs() {
        off if off > CLOCK_WARNING_S => Level::Warning,
        off if off > CLOCK_ADVICE_S => Level::Advice,
        _ => return Finding::ok("clock", "agrees with this machine's"),
    };
    Finding::advise(
        level,
        "clock",
        found,
        "let both machines take their time from NTP",
        "times in the ledger are the server's, times in reports and logs are this machine's",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(session_age_s: f64) -> Sample {
        Sample {
            round_trip: Duration::ZERO,
            clock_ahead_s: 0.0,
            backend: 7,
            session_age_s,
            connected_s: 0.1,
        }
    }

    #[test]
    fn poolers_are_told_by_their_sessions() {
        assert_eq!(pooler(&sample(0.1), Some(8), false).level, Level::Ok);
        assert_eq!(pooler(&sample(0.1), None, false).level, Level::Ok);
        assert!(pooler(&sample(0.1), Some(7), false).found.contains("transaction mode"));
        assert!(pooler(&sample(60.0), Some(8), false).found.contains("older"));
        assert!(pooler(&sample(0.1), Some(8), true).found.contains("PgBouncer"));
    }

    #[test]
    fn clocks_and_distance_are_judged() {
        assert_eq!(clock(0.3).level, Level::Ok);
        assert_eq!(clock(-10.0).found, "the server's clock is 10.0 s behind");
        assert_eq!(clock(3_600.0).level, Level::Warning);
        assert_eq!(round_trip(Duration::from_micros(80)).found, "0.08 ms");
        assert_eq!(round_trip(Duration::from_millis(20)).level, Level::Advice);
        assert_eq!(round_trip(Duration::from_millis(200)).level, Level::Warning);
    }
}
