//! Numbers, sizes, durations and foreign bytes as a person reads them. Parsing what a person
//! types is `cli/`'s work, not done here. Called by the other files of this room.

use std::time::Duration;

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// A number with a comma between thousands: `5,000,000`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A number and its noun: `1 file`, `2,000 files`. Nouns that only take an `s`.
pub fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// Bytes of data in powers of 1000: `374 MB`, `1.5 GB`.
pub fn size(bytes: u64) -> String {
    scaled(bytes as f64, 1000.0, &["B", "kB", "MB", "GB", "TB", "PB"])
}

/// Bytes of memory in powers of 1024: `210 MiB`.
pub fn memory(bytes: u64) -> String {
    scaled(bytes as f64, 1024.0, &["B", "KiB", "MiB", "GiB", "TiB", "PiB"])
}

/// Rows in a second: `406,504 rows/s`.
pub fn rows_per_s(rate: f64) -> String {
    format!("{} rows/s", count(finite(rate).round() as u64))
}

/// Bytes in a second, always in MB so that runs compare at a glance: `30.4 MB/s`.
pub fn mb_per_s(rate: f64) -> String {
    let rate = finite(rate) / 1e6;
    if rate >= 100.0 { format!("{rate:.0} MB/s") } else { format!("{rate:.1} MB/s") }
}

/// A duration with two units at most: `350 ms`, `4.2 s`, `1 min 05 s`, `2 h 03 min`, `3 d 04 h`.
pub fn duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.9995 {
        return format!("{} ms", (seconds * 1e3).round());
    }
    if seconds < 59.95 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round() as u64;
    let (minutes, hours) = (whole / 60, whole / 3600);
    match whole {
        0..3600 => format!("{minutes} min {:02} s", whole % 60),
        3600..86_400 => format!("{hours} h {:02} min", minutes % 60),
        _ => format!("{} d {:02} h", hours / 24, hours % 24),
    }
}

/// [`duration`] of seconds; anything that is no duration is zero.
pub fn seconds(seconds: f64) -> String {
    duration(Duration::try_from_secs_f64(seconds).unwrap_or_default())
}

/// Foreign text on one line: control characters are shown as escapes, so that a file's name or
/// content cannot steer the terminal.
pub fn one_line(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for character in text.chars() {
        if character.is_control() || is_invisible(character) {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line
}

/// Original bytes on one line, in at most `columns` columns: what is not UTF-8 is shown as
/// `\xff`, control characters as escapes; a longer value ends in `…` and its size.
pub fn original(bytes: &[u8], columns: usize) -> String {
    let mut line = String::new();
    // A character takes four bytes at most, so one that is cut here is never seen.
    let shown = &bytes[..bytes.len().min(columns.saturating_mul(4))];
    for part in shown.utf8_chunks() {
        line.push_str(&one_line(part.valid()));
        line.extend(part.invalid().iter().map(|byte| format!("\\x{byte:02x}")));
    }
    if shown.len() == bytes.len() && line.width() <= columns {
        return line;
    }
    let note = format!(" ({})", size(bytes.len() as u64));
    shorten(&line, columns.saturating_sub(note.len()).max(1), true) + &note
}

/// The text in at most `columns` columns, its end replaced by `…` if it is longer.
pub fn fit(text: &str, columns: usize) -> String {
    shorten(text, columns, false)
}

/// The text in at most `columns` columns, its beginning replaced by `…` if it is longer: of a
/// path the end tells more.
pub fn fit_end(text: &str, columns: usize) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let mut room = columns.saturating_sub(1);
    let mut start = text.len();
    for (at, character) in text.char_indices().rev() {
        let wide = character.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        start = at;
    }
    if columns == 0 { String::new() } else { format!("…{}", &text[start..]) }
}

/// Columns that the text takes on a terminal.
pub fn width(text: &str) -> usize {
    text.width()
}

fn shorten(text: &str, columns: usize, always: bool) -> String {
    if columns == 0 {
        return String::new();
    }
    if text.width() <= columns && !(always && text.width() == columns) {
        return if always { format!("{text}…") } else { text.to_owned() };
    }
    let mut room = columns - 1;
    let mut end = 0;
    for (at, character) in text.char_indices() {
        let wide = character.width().unwrap_or(0);
        if wide > room {
            break;
        }
        room -= wide;
        end = at + character.len_utf8();
    }
    format!("{}…", &text[..end])
}

/// Marks that reorder or hide text (bidirectional controls, zero-width characters).
fn is_invisible(character: char) -> bool {
    matches!(character, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

fn finite(number: f64) -> f64 {
    if number.is_finite() { number.max(0.0) } else { 0.0 }
}

fn scaled(number: f64, step: f64, units: &[&str]) -> String {
    let mut number = number;
    let mut unit = 0;
    // 999.5 would be printed as 1000.
    while number >= step - 0.5 && unit + 1 < units.len() {
        number /= step;
        unit += 1;
    }
    if unit == 0 || number >= 99.95 {
        format!("{number:.0} {}", units[unit])
    } else {
        format!("{number:.1} {}", units[unit])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_separated() {
        let shown = [0, 7, 999, 1000, 65_536, 5_000_000, u64::MAX].map(count);
        let expected =
            ["0", "7", "999", "1,000", "65,536", "5,000,000", "18,446,744,073,709,551,615"];
        assert_eq!(shown, expected);
        assert_eq!(plural(1, "file"), "1 file");
        assert_eq!(plural(0, "file"), "0 files");
    }

    #[test]
    fn sizes_take_the_unit_that_fits() {
        let shown = [0, 999, 1_000, 9_960, 374_000_000, 1_500_000_000].map(size);
        assert_eq!(shown, ["0 B", "999 B", "1.0 kB", "10.0 kB", "374 MB", "1.5 GB"]);
        assert_eq!(size(999_700), "1.0 MB", "never 1000 kB");
        assert_eq!(memory(256 << 20), "256 MiB");
        assert_eq!(memory(1_536), "1.5 KiB");
        assert!(size(u64::MAX).ends_with("PB"));
    }

    #[test]
    fn rates_of_nothing_are_zero() {
        assert_eq!(rows_per_s(f64::NAN), "0 rows/s");
        assert_eq!(rows_per_s(f64::INFINITY), "0 rows/s");
        assert_eq!(rows_per_s(406_503.6), "406,504 rows/s");
        assert_eq!(mb_per_s(30_400_000.0), "30.4 MB/s");
        assert_eq!(mb_per_s(1.234e8), "123 MB/s");
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let cases = [
            (0.0, "0 ms"),
            (0.35, "350 ms"),
            (0.9997, "1.0 s"),
            (4.21, "4.2 s"),
            (59.97, "1 min 00 s"),
            (65.0, "1 min 05 s"),
            (3599.6, "1 h 00 min"),
            (7_380.0, "2 h 03 min"),
            (273_600.0, "3 d 04 h"),
            (f64::NAN, "0 ms"),
            (-1.0, "0 ms"),
        ];
        for (given, expected) in cases {
            assert_eq!(seconds(given), expected, "{given}");
        }
    }

    #[test]
    fn original_bytes_cannot_steer_the_terminal() {
        assert_eq!(original(b"a,\x1b[31m,1", 80), "a,\\u{1b}[31m,1");
        assert_eq!(original(b"a\xff\x00b", 80), "a\\xff\\u{0}b");
        assert_eq!(one_line("a\u{202e}b\n"), "a\\u{202e}b\\n");
    }

    #[test]
    fn long_original_bytes_are_cut_and_say_so() {
        let long = vec![b'x'; 2_000];
        let shown = original(&long, 30);
        assert!(shown.starts_with("xxxx") && shown.ends_with("… (2.0 kB)"), "{shown}");
        assert!(width(&shown) <= 30, "{shown}");
        // Cut inside a character: no \x.. for what the source wrote well.
        let accents = format!("x{}", "é".repeat(200));
        assert!(!original(accents.as_bytes(), 31).contains("\\x"));
        assert_eq!(original(b"exact", 5), "exact");
    }

    #[test]
    fn texts_are_fitted_by_columns_not_bytes() {
        assert_eq!(fit("abcdef", 6), "abcdef");
        assert_eq!(fit("abcdef", 4), "abc…");
        assert_eq!(fit_end("/data/2024/btc.csv", 8), "…btc.csv");
        assert_eq!(fit_end("btc.csv", 8), "btc.csv");
        assert_eq!(width(&fit("日本語テキスト", 6)), 5, "a wide character is never halved");
        assert_eq!(fit("ab", 0), "");
        assert_eq!(fit_end("ab", 0), "");
    }
}
