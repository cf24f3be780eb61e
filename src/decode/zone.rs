//! Days of the calendar, and local times turned into UTC.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, Offset, TimeZone};

use super::time::TimeFault;
use crate::mapping::{Clocks, Zone};

/// Seconds of a day.
pub(super) const DAY_S: i64 = 86_400;

/// Days from 1970-01-01 to a day of the proleptic Gregorian calendar.
///
/// # Errors
/// `OutOfRange` for a day that does not exist or a year outside 1 to 9999.
#[inline]
pub(super) fn days_from_civil(year: i32, month: u8, day: u8) -> Result<i64, TimeFault> {
    const LENGTHS: [u8; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if !(1..=9999).contains(&year) || !(1..=12).contains(&month) || day == 0 {
        return Err(TimeFault::OutOfRange);
    }
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let length = LENGTHS[usize::from(month) - 1] + u8::from(leap && month == 2);
    if day > length {
        return Err(TimeFault::OutOfRange);
    }
    // Years that begin in March put the leap day at their end.
    let year = i64::from(year) - i64::from(month <= 2);
    let month = (i64::from(month) + 9) % 12;
    let day_of_year = (153 * month + 2) / 5 + i64::from(day) - 1;
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    Ok(era * 146_097 + year * 365 + year / 4 - year / 100 + day_of_year - 719_468)
}

/// Turns local seconds into UTC seconds, and remembers the stretch of local time around the last
/// answer in which the offset is one and certain, so that most rows cost two comparisons.
#[derive(Debug)]
pub(super) struct ZoneClock {
    zone: Zone,
    /// Local seconds `[from, to)` that the offset holds for.
    from: i64,
    to: i64,
    offset: i64,
}

impl ZoneClock {
    pub fn new(zone: &Zone) -> Self {
        let (from, to, offset) = match zone {
            Zone::Fixed(offset) => (i64::MIN, i64::MAX, i64::from(*offset)),
            Zone::Named(..) => (0, 0, 0),
        };
        Self { zone: zone.clone(), from, to, offset }
    }

    /// UTC seconds of a local time, both counted from 1970-01-01 00:00.
    ///
    /// # Errors
    /// `DstGap` or `DstOverlap` if the zone's clocks skipped or repeated that time, and nothing
    /// says which instant it is.
    #[inline]
    pub fn utc_of(&mut self, local_s: i64) -> Result<i64, TimeFault> {
        if (self.from..self.to).contains(&local_s) {
            return Ok(local_s - self.offset);
        }
        self.look_up(local_s)
    }

    #[cold]
    fn look_up(&mut self, local_s: i64) -> Result<i64, TimeFault> {
        let Zone::Named(zone, clocks) = &self.zone else { return Ok(local_s - self.offset) };
        let local = local_datetime(local_s).ok_or(TimeFault::OutOfRange)?;
        let offset = match zone.to_ambiguous_timestamp(local).offset() {
            AmbiguousOffset::Unambiguous { offset } => i64::from(offset.seconds()),
            AmbiguousOffset::Gap { before, after } => {
                let offset = chosen(*clocks, after, before).ok_or(TimeFault::DstGap)?;
                return Ok(local_s - i64::from(offset.seconds()));
            }
            AmbiguousOffset::Fold { before, after } => {
                let offset = chosen(*clocks, before, after).ok_or(TimeFault::DstOverlap)?;
                return Ok(local_s - i64::from(offset.seconds()));
            }
        };
        let utc_s = local_s - offset;
        if let Some((from, to)) = certain_stretch(zone, utc_s, offset) {
            (self.from, self.to, self.offset) = (from, to, offset);
        }
        Ok(utc_s)
    }

    /// Seconds that clocks are ahead of UTC at an instant.
    pub fn offset_at(&self, utc_s: i64) -> i64 {
        match &self.zone {
            Zone::Fixed(offset) => i64::from(*offset),
            Zone::Named(zone, _) => Timestamp::from_second(utc_s)
                .map_or(0, |instant| i64::from(zone.to_offset(instant).seconds())),
        }
    }
}

/// The offset that gives the earlier or the later instant, if one is to be taken.
fn chosen(clocks: Clocks, earlier: Offset, later: Offset) -> Option<Offset> {
    match clocks {
        Clocks::Refuse => None,
        Clocks::Earlier => Some(earlier),
        Clocks::Later => Some(later),
    }
}

fn local_datetime(local_s: i64) -> Option<DateTime> {
    let instant = Timestamp::from_second(local_s).ok()?;
    Some(TimeZone::UTC.to_datetime(instant))
}

/// The local seconds `[from, to)` around an instant in which `offset` is the only answer: from the
/// transition before it to the one after it, less what these skip or repeat.
fn certain_stretch(zone: &TimeZone, utc_s: i64, offset: i64) -> Option<(i64, i64)> {
    let instant = Timestamp::from_second(utc_s).ok()?;
    let just_after = Timestamp::from_second(utc_s + 1).ok()?;
    let from = match zone.preceding(just_after).next() {
        None => i64::MIN,
        Some(transition) => {
            let at = transition.timestamp();
            let before = Timestamp::from_second(at.as_second() - 1).ok()?;
            let before = i64::from(zone.to_offset(before).seconds());
            at.as_second() + offset.max(before)
        }
    };
    let to = match zone.following(instant).next() {
        None => i64::MAX,
        Some(transition) => {
            let after = i64::from(transition.offset().seconds());
            transition.timestamp().as_second() + offset.min(after)
        }
    };
    Some((from, to))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn days_are_those_of_another_calendar() {
        let first = jiff::civil::date(1970, 1, 1);
        for year in [1, 4, 100, 400, 1582, 1900, 1969, 1970, 2000, 2023, 2024, 2100, 9999] {
            for month in 1..=12_u8 {
                for day in 0..=32_u8 {
                    let want = jiff::civil::Date::new(year, month as i8, day as i8).ok();
                    let want = want.map(|date| i64::from((date - first).get_days()));
                    assert_eq!(days_from_civil(i32::from(year), month, day).ok(), want);
                }
            }
        }
        assert!(days_from_civil(0, 1, 1).is_err() && days_from_civil(10_000, 1, 1).is_err());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]

        /// Random walks, so that cached answers are used; each must be what a fresh look-up gives.
        #[test]
        fn the_cache_changes_no_answer(
            start in -2_500_000_000_i64..5_000_000_000,
            steps in prop::collection::vec(-9_000_000_i64..9_000_000, 1..40),
            name in prop::sample::select(vec![
                "America/New_York", "Europe/Amsterdam", "Australia/Lord_Howe", "Asia/Kolkata",
                "Etc/GMT+5", "Africa/Casablanca", "America/St_Johns", "Europe/Athens@earlier",
                "America/New_York@later",
            ]),
        ) {
            let zone = Zone::parse(name).unwrap();
            let mut clock = ZoneClock::new(&zone);
            let mut local = start;
            for step in steps {
                local += step;
                prop_assert_eq!(clock.utc_of(local), ZoneClock::new(&zone).utc_of(local));
            }
        }
    }

    #[test]
    fn a_stated_policy_chooses_between_two_instants() {
        use jiff::tz::Disambiguation;
        for (word, other) in
            [("earlier", Disambiguation::Earlier), ("later", Disambiguation::Later)]
        {
            let mut clock = ZoneClock::new(&Zone::parse(&format!("Europe/Athens@{word}")).unwrap());
            let zone = TimeZone::get("Europe/Athens").unwrap();
            // Around the last Sundays of March and October 2024.
            for start in [1_711_843_200_i64, 1_729_987_200] {
                for local in (start - 40_000..start + 40_000).step_by(600) {
                    let datetime = local_datetime(local).unwrap();
                    let want = zone.to_ambiguous_timestamp(datetime).disambiguate(other);
                    assert_eq!(clock.utc_of(local), Ok(want.unwrap().as_second()), "{word}");
                }
            }
        }
    }

    #[test]
    fn every_second_around_a_transition_is_right() {
        for name in ["America/New_York", "Australia/Lord_Howe"] {
            let zone = Zone::parse(name).unwrap();
            let Zone::Named(named, _) = &zone else { panic!("a named zone") };
            let start = Timestamp::from_second(1_700_000_000).unwrap();
            for transition in named.following(start).take(2) {
                let at = transition.timestamp().as_second();
                // There and back, so that what is remembered is used from both sides.
                let mut clock = ZoneClock::new(&zone);
                let mut kinds = [0; 3];
                let ahead: Vec<i64> = (at - 60_000..at + 60_000).step_by(300).collect();
                for local in ahead.iter().chain(ahead.iter().rev()).copied() {
                    let answer = clock.utc_of(local);
                    assert_eq!(answer, ZoneClock::new(&zone).utc_of(local));
                    match answer {
                        Ok(utc) => {
                            assert_eq!(utc + clock.offset_at(utc), local);
                            kinds[0] += 1;
                        }
                        Err(TimeFault::DstGap) => kinds[1] += 1,
                        Err(_) => kinds[2] += 1,
                    }
                }
                assert!(kinds[0] > 0 && kinds[1] + kinds[2] > 0, "{name}: {kinds:?}");
            }
        }
    }
}
