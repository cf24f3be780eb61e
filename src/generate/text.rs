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

/// Appends `units` of 10^-places without zeros that say nothing.
pub fn number(units: i64, places: u32, into: &mut Vec<u8>) {
    let (mut value, mut places) = (units.unsigned_abs(), places);
    while places > 0 && value.is_multiple_of(10) {
        (value, places) = (value / 10, places - 1);
    }
    if units < 0 {
        into.push(b'-');
    }
    let mut digits = [0; 24];
    let mut at = digits.len();
    let mut written = 0;
    loop {
        if written == places && places > 0 {
            at -= 1;
            digits[at] = b'.';
        }
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        written += 1;
        if value == 0 && written > places {
            break;
        }
    }
    into.extend_from_slice(&digits[at..]);
}

/// Appends a time as RFC 3339 in UTC: seconds, and microseconds where there are any.
pub fn time(us: i64, into: &mut Vec<u8>) {
    day(us.div_euclid(DAY_US), into);
    let of_day = us.rem_euclid(DAY_US);
    let seconds = of_day / 1_000_000;
    into.push(b'T');
    two(seconds / 3_600, into);
    into.push(b':');
    two(seconds / 60 % 60, into);
    into.push(b':');
    two(seconds % 60, into);
    let micros = of_day % 1_000_000;
    if micros > 0 {
        into.push(b'.');
        two(micros / 10_000, into);
        two(micros / 100 % 100, into);
        two(micros % 100, into);
    }
    into.push(b'Z');
}

/// Appends a day, as `2024-01-31`.
pub fn day(days: i64, into: &mut Vec<u8>) {
    let (year, month, day) = civil(days);
    two(year / 100, into);
    two(year % 100, into);
    into.push(b'-');
    two(month, into);
    into.push(b'-');
    two(day, into);
}

fn two(number: i64, into: &mut Vec<u8>) {
    into.extend([b'0' + (number / 10 % 10) as u8, b'0' + (number % 10) as u8]);
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
        ];
        for (units, places, wanted) in cases {
            assert_eq!(text(|into| number(units, places, into)), wanted);
        }
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (us, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_709_164_799_000_001, "2024-02-28T23:59:59.000001Z"),
            (-1_000_000, "1969-12-31T23:59:59Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
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
