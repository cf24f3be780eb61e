//! Records as text: CSV with the canonical header, and NDJSON. Each row can be had by itself.

use super::records::{Records, Values};

const DAY_US: i64 = 86_400_000_000;

/// The header line of a canonical CSV file.
pub fn csv_header(records: &Records, into: &mut Vec<u8>) {
    into.extend_from_slice(records.names.join(",").as_bytes());
    into.push(b'\n');
}

/// Appends one record as a line of CSV. No value that is made here needs quotes but titles.
pub fn csv_row(records: &Records, row: usize, into: &mut Vec<u8>) {
    for (at, column) in records.columns.iter().enumerate() {
        if at > 0 {
            into.push(b',');
        }
        match column.text(row) {
            Some(text) if text.contains(['"', ',', '\n', '\r']) => {
                into.push(b'"');
                into.extend_from_slice(text.replace('"', "\"\"").as_bytes());
                into.push(b'"');
            }
            Some(text) => into.extend_from_slice(text.as_bytes()),
            None => plain(column, row, into),
        }
    }
    into.push(b'\n');
}

/// Appends one record as a line of JSON, without what has no value. A record that is a document is
/// that document.
pub fn json_row(records: &Records, row: usize, into: &mut Vec<u8>) {
    if let [document] = records.columns.as_slice()
        && records.names == ["document"]
    {
        into.extend_from_slice(document.text(row).unwrap_or_default().as_bytes());
        into.push(b'\n');
        return;
    }
    let mut before = b'{';
    for (name, column) in records.names.iter().zip(&records.columns) {
        let text = column.text(row);
        if text.is_none() && column.number(row).is_none() {
            continue;
        }
        into.push(before);
        before = b',';
        into.push(b'"');
        into.extend_from_slice(name.as_bytes());
        into.extend_from_slice(b"\":");
        match (text, column) {
            (Some(text), _) => json_text(text, into),
            (None, Values::Times(_) | Values::Days(_)) => {
                into.push(b'"');
                plain(column, row, into);
                into.push(b'"');
            }
            (None, _) => plain(column, row, into),
        }
    }
    into.extend_from_slice(if before == b'{' { b"{}\n" } else { b"}\n" });
}

/// Appends a text as JSON.
pub fn json_text(text: &str, into: &mut Vec<u8>) {
    into.push(b'"');
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => into.extend_from_slice(&[b'\\', byte]),
            0..0x20 => {
                into.extend_from_slice(b"\\u00");
                into.extend(
                    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[digit as usize]),
                );
            }
            _ => into.push(byte),
        }
    }
    into.push(b'"');
}

/// Appends what is no text; nothing where there is no value.
pub fn plain(column: &Values, row: usize, into: &mut Vec<u8>) {
    let Some(value) = column.number(row) else { return };
    match column {
        Values::Numbers { places, .. } => number(value, *places, into),
        Values::Times(_) => time(value, into),
        Values::Days(_) => day(value, into),
        Values::Flags(_) => into.extend_from_slice(if value == 0 { b"false" } else { b"true" }),
        Values::Words { .. } | Values::Text { .. } => {}
    }
}

/// The numbers from 00 to 99, two digits each.
const PAIRS: [u8; 200] = {
    let mut pairs = [0; 200];
    let mut number = 0;
    while number < 100 {
        pairs[number * 2] = b'0' + (number / 10) as u8;
        pairs[number * 2 + 1] = b'0' + (number % 10) as u8;
        number += 1;
    }
    pairs
};

/// The two digits of a number below 100.
fn pair(number: u64) -> [u8; 2] {
    let at = (number % 100) as usize * 2;
    [PAIRS[at], PAIRS[at + 1]]
}

/// Appends `units` of 10^-places, which are 40 at most, without zeros that say nothing.
pub fn number(units: i64, places: u32, into: &mut Vec<u8>) {
    let (mut value, mut places) = (units.unsigned_abs(), places);
    // Most prices end with many zeros, and a division costs as much by 10,000 as by 10.
    for (zeros, power) in [(4, 10_000), (4, 10_000), (2, 100), (1, 10)] {
        if places >= zeros && value.is_multiple_of(power) {
            (value, places) = (value / power, places - zeros);
        }
    }
    while places > 0 && value.is_multiple_of(10) {
        (value, places) = (value / 10, places - 1);
    }
    // A sign, 20 digits, a point, and zeros before the digits where `places` are more.
    let mut text = [b'0'; 64];
    let end = text.len();
    let mut at = end;
    while value >= 10 {
        at -= 2;
        text[at..at + 2].copy_from_slice(&pair(value));
        value /= 100;
    }
    if value > 0 {
        at -= 1;
        text[at] = b'0' + value as u8;
    }
    let places = places as usize;
    // A digit stands before the point.
    at = at.min(end - 1 - places);
    if places > 0 {
        let point = end - places;
        text.copy_within(at..point, at - 1);
        at -= 1;
        text[point - 1] = b'.';
    }
    if units < 0 {
        at -= 1;
        text[at] = b'-';
    }
    into.extend_from_slice(&text[at..]);
}

/// Appends a time as RFC 3339 in UTC: seconds, and microseconds where there are any.
pub fn time(us: i64, into: &mut Vec<u8>) {
    day(us.div_euclid(DAY_US), into);
    let of_day = us.rem_euclid(DAY_US) as u64;
    let (seconds, micros) = (of_day / 1_000_000, of_day % 1_000_000);
    let mut text = *b"T00:00:00.000000Z";
    text[1..3].copy_from_slice(&pair(seconds / 3_600));
    text[4..6].copy_from_slice(&pair(seconds / 60 % 60));
    text[7..9].copy_from_slice(&pair(seconds % 60));
    if micros == 0 {
        text[9] = b'Z';
        into.extend_from_slice(&text[..10]);
        return;
    }
    text[10..12].copy_from_slice(&pair(micros / 10_000));
    text[12..14].copy_from_slice(&pair(micros / 100));
    text[14..16].copy_from_slice(&pair(micros));
    into.extend_from_slice(&text);
}

/// Appends a day, as `2024-01-31`.
pub fn day(days: i64, into: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    let mut text = *b"0000-00-00";
    text[0..2].copy_from_slice(&pair(year as u64 / 100));
    text[2..4].copy_from_slice(&pair(year as u64));
    text[5..7].copy_from_slice(&pair(month as u64));
    text[8..10].copy_from_slice(&pair(day as u64));
    into.extend_from_slice(&text);
}

/// Year, month and day of a day from 1970 on, by the Gregorian calendar: eras of 400 years that
/// begin in March, so that the leap day is the last of a year.
pub fn civil(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (year + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(write: impl FnOnce(&mut Vec<u8>)) -> String {
        let mut bytes = Vec::new();
        write(&mut bytes);
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn numbers_are_exact_and_short() {
        let cases = [
            (12_345, 2, "123.45"),
            (12_300, 2, "123"),
            (-5, 3, "-0.005"),
            (0, 8, "0"),
            (100, 0, "100"),
            (i64::MAX, 8, "92233720368.54775807"),
            (i64::MIN + 1, 0, "-9223372036854775807"),
            (1_000_000_000_000, 8, "10000"),
            (-10_000_000_000, 9, "-10"),
            (123_000, 8, "0.00123"),
            (7, 30, "0.000000000000000000000000000007"),
        ];
        for (units, places, wanted) in cases {
            assert_eq!(text(|into| number(units, places, into)), wanted);
        }
    }

    #[test]
    fn numbers_read_back_as_what_they_were() {
        let mut random = super::super::random::Random::of(&[9]);
        for _ in 0..20_000 {
            let places = random.below(19) as u32;
            let zeros = 10_i64.pow(random.below(9) as u32);
            let units = (random.bits() as i64 >> random.below(63)) / zeros * zeros;
            let text = text(|into| number(units, places, into));
            let (whole, part) = text.split_once('.').unwrap_or((&text, ""));
            let digits = whole.trim_start_matches('-');
            assert!(!digits.is_empty() && (digits == "0" || !digits.starts_with('0')), "{text}");
            assert!(!part.ends_with('0') && !text.ends_with('.'), "{text}");
            let scaled = format!("{whole}{part:0<places$}", places = places as usize);
            assert_eq!(scaled.parse::<i64>().unwrap(), units, "{text} of {units} at {places}");
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (us, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_164_799_000_001, "2024-02-28T23:59:59.000001Z"),
            (-1_000_000, "1969-12-31T23:59:59Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (1_735_689_599_987_654, "2024-12-31T23:59:59.987654Z"),
        ] {
            assert_eq!(text(|into| time(us, into)), wanted);
        }
    }

    #[test]
    fn text_that_needs_it_is_quoted() {
        let dataset = crate::dataset::by_name("games").unwrap();
        let mut records = Records::new(dataset, &[]);
        for column in &mut records.columns {
            match column {
                Values::Text { .. } => column.push_text(|text| text.push_str("a\"b,c")),
                other => other.push(super::super::records::NONE),
            }
        }
        assert!(text(|into| csv_row(&records, 0, into)).starts_with("\"a\"\"b,c\","));
        assert_eq!(text(|into| json_row(&records, 0, into)), "{\"game_id\":\"a\\\"b,c\"}\n");
    }
}
