//! EVE Online killmails: one JSON document becomes a row of `killmails_raw`, a row of
//! `participants` for the victim and each attacker, and a row of `killmail_items` for each item.
//!
//! Documents are those of ESI, of every envelope of zKillboard, and of EVE Ref's archives. One that
//! has a hash or a value and no body (zKillboard's lists have come so since 2020) becomes a row
//! without the rest, which the writer merges into the killmail that is stored. What it refuses: to
//! guess. A document with a fault is a reject as a whole; no row of it is kept.
//!
//! It is a [`RecordDecoder`], called by the JSON decoder for each record.

mod digest;
mod fault;
mod mail;
mod read;
mod rows;
#[cfg(test)]
mod tests;
mod value;

use super::DecodeError;
use super::json::{RecordDecoder, RecordFault, Taken, TakenRows};
use super::time::TimeParser;
use crate::mapping::{Mapping, TimeFormat, TimeRule, Zone};
use mail::Mail;
use read::Reader;
use rows::Rows;

/// Decodes killmails.
#[derive(Debug)]
pub struct Killmails {
    /// What times are kept, in microseconds from 1970 UTC: from this on.
    from_us: i64,
    /// And before this.
    to_us: i64,
    mail: Mail,
    times: TimeParser,
    rows: Rows,
}

impl Killmails {
    /// A decoder that skips killmails before `from_us`, and those at or after `to_us`, both in
    /// microseconds from 1970 UTC.
    pub fn new(from_us: Option<i64>, to_us: Option<i64>) -> Self {
        Self {
            from_us: from_us.unwrap_or(i64::MIN),
            to_us: to_us.unwrap_or(i64::MAX),
            mail: Mail::default(),
            times: TimeParser::new(&TimeRule::new(TimeFormat::Auto, Zone::UTC)),
            rows: Rows::new(),
        }
    }

    /// A decoder for a mapping's window of times. Columns are always those of the dataset.
    pub(super) fn of(mapping: &Mapping) -> Self {
        Self::new(mapping.from_us, mapping.to_us)
    }

    fn excludes(&self, time_us: Option<i64>) -> bool {
        time_us.is_some_and(|us| us < self.from_us || us >= self.to_us)
    }
}

impl RecordDecoder for Killmails {
    fn take(&mut self, record: &[u8]) -> Result<Taken, RecordFault> {
        let read = Reader::new(record, &mut self.mail, &mut self.times).read();
        let read = read.and_then(|()| one_final_blow(&self.mail));
        if let Err(fault) = read {
            let windowed = self.from_us > i64::MIN || self.to_us < i64::MAX;
            if windowed {
                let time_us = read::peek_time(record, &mut self.times);
                if self.excludes(time_us) {
                    return Ok(Taken::Skipped);
                }
            }
            return Err(fault);
        }
        if self.mail.idle || self.excludes(self.mail.time_us) {
            return Ok(Taken::Skipped);
        }
        let raw = std::str::from_utf8(record.trim_ascii())
            .map_err(|_| fault::whole("invalid_utf8", "the record is not valid UTF-8"))?;
        self.rows.push(&self.mail, raw);
        Ok(Taken::Row)
    }

    fn finish(&mut self) -> Result<TakenRows, DecodeError> {
        Ok(self.rows.finish()?)
    }
}

/// Where there are attackers, one of them made the kill.
fn one_final_blow(mail: &Mail) -> Result<(), RecordFault> {
    let blows = mail.attackers.iter().filter(|attacker| attacker.final_blow == Some(true)).count();
    if mail.attackers.is_empty() || blows == 1 {
        return Ok(());
    }
    let reason = format!("{blows} of {} attackers have the final blow", mail.attackers.len());
    Err(fault::at(b"final_blow", "one_final_blow", reason))
}
