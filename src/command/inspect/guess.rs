//! The outer shape of a text that no layout knows: delimiter, quote, preamble, header, from its
//! first bytes. A guess, said as one.

use super::profile::{has_decimal_commas, is_number, is_timelike};
use crate::limit::FIELDS_MAX;
use crate::mapping::TextShape;

/// Records that are looked at.
const RECORDS_MAX: usize = 100;
/// Preamble lines that a header may stand under.
const PREAMBLE_MAX: usize = 20;

/// Delimiters, likely ones first.
const DELIMITERS: [u8; 8] = [b',', b';', b'\t', b'|', b'^', b'~', b':', b' '];

/// What a text looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Guess {
    pub delimiter: u8,
    pub quote: u8,
    /// Lines before the header, or before the first record where there is none.
    pub preamble: usize,
    /// The header's names.
    pub header: Option<Vec<String>>,
    /// Physical lines before the first record.
    pub head_lines: usize,
    pub header_bytes: Vec<u8>,
    /// Fields of a record.
    pub fields: usize,
    /// Whether a comma stands before the fraction of numbers.
    pub comma: bool,
}

impl Guess {
    /// The shape by which the file is read to look at its columns.
    pub fn shape(&self) -> TextShape {
        TextShape {
            delimiter: self.delimiter,
            quote: self.quote,
            head_lines: self.head_lines,
            header: self.header.clone(),
            header_bytes: self.header_bytes.clone(),
            fields_min: self.fields,
            fields_max: self.fields,
            nulls: Vec::new(),
        }
    }
}

/// Lines with their fields under one delimiter.
struct Cut {
    delimiter: u8,
    rows: Vec<Vec<String>>,
    fields: usize,
    score: f64,
}

/// Guesses from the first bytes of a text; `whole` says that they are all. `None`: it is not made
/// of fields.
pub(super) fn guess(head: &[u8], whole: bool) -> Option<Guess> {
    let head = head.strip_prefix(b"\xef\xbb\xbf").unwrap_or(head);
    let end = if whole { head.len() } else { memchr::memrchr(b'\n', head)? + 1 };
    let lines: Vec<&[u8]> = head[..end]
        .split(|&byte| byte == b'\n')
        .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
        .collect();
    let quote = likely_quote(&lines);
    let cuts = DELIMITERS.iter().filter_map(|&delimiter| cut(&lines, delimiter, quote));
    let best = cuts.max_by(|a, b| a.score.total_cmp(&b.score))?;
    let same = |row: &Vec<String>| row.len() == best.fields;
    let first = best.rows.iter().position(same)?;
    if first > PREAMBLE_MAX {
        return None;
    }
    let is_header = looks_like_header(&best.rows[first..], best.fields);
    let header = is_header.then(|| best.rows[first].clone());
    let header_bytes = if is_header { lines[first].to_vec() } else { Vec::new() };
    Some(Guess {
        delimiter: best.delimiter,
        quote,
        preamble: first,
        head_lines: first + usize::from(is_header),
        header,
        header_bytes,
        fields: best.fields,
        comma: has_decimal_commas(best.rows.iter().skip(first).flatten(), best.delimiter),
    })
}

/// `'` where fields begin with it and none with `"`.
fn likely_quote(lines: &[&[u8]]) -> u8 {
    let begins = |quote: u8| {
        let opened = |line: &&&[u8]| {
            let quoted = |pair: &[u8]| DELIMITERS.contains(&pair[0]) && pair[1] == quote;
            line.first() == Some(&quote) || line.windows(2).any(quoted)
        };
        lines.iter().take(RECORDS_MAX).filter(opened).count()
    };
    if begins(b'\'') > 1 && begins(b'"') == 0 { b'\'' } else { b'"' }
}

/// The lines under one delimiter, if they come out even. A record that spans lines spoils a few.
fn cut(lines: &[&[u8]], delimiter: u8, quote: u8) -> Option<Cut> {
    let rows: Vec<Vec<String>> =
        lines.iter().take(RECORDS_MAX).map(|line| split(line, delimiter, quote)).collect();
    let filled = || rows.iter().filter(|row| row.len() > 1 || !row[0].is_empty());
    let with = |count: usize| filled().filter(|row| row.len() == count).count();
    let fields = filled().map(Vec::len).max_by_key(|&count| (with(count), count))?;
    let total = filled().count();
    if !(2..=FIELDS_MAX).contains(&fields) || with(fields) * 10 < total * 6 {
        return None;
    }
    let share = with(fields) as f64 / total as f64;
    let worth = |cell: &String| match cell.as_str() {
        "" => 0.1,
        cell if is_number(cell) || is_timelike(cell) => 1.0,
        // Other delimiters inside say that this one is not it.
        cell if cell.bytes().any(|byte| byte != b' ' && DELIMITERS.contains(&byte)) => -0.5,
        _ => 0.3,
    };
    let rows_of = filled().filter(|row| row.len() == fields);
    let worths: f64 = rows_of.map(|row| row.iter().map(worth).sum::<f64>()).sum();
    let score = share * worths / with(fields) as f64;
    Some(Cut { delimiter, rows, fields, score })
}

/// A line's fields, trimmed, without quotes.
fn split(line: &[u8], delimiter: u8, quote: u8) -> Vec<String> {
    let mut reader = csv::ReaderBuilder::new()
        .delimiter(delimiter)
        .quote(quote)
        .has_headers(false)
        .flexible(true)
        .from_reader(line);
    let mut record = csv::ByteRecord::new();
    match reader.read_byte_record(&mut record) {
        Ok(true) => {
            record.iter().map(|field| String::from_utf8_lossy(field).trim().to_owned()).collect()
        }
        _ => vec![String::new()],
    }
}

/// The first of these rows names fields: no number and no time in it, while others have them.
fn looks_like_header(rows: &[Vec<String>], fields: usize) -> bool {
    let value = |cell: &String| is_number(cell) || is_timelike(cell);
    let Some((first, others)) = rows.split_first() else { return false };
    let same: Vec<&Vec<String>> = others.iter().filter(|row| row.len() == fields).collect();
    let values = |row: &[String]| row.iter().filter(|cell| value(cell)).count();
    if same.is_empty() {
        return values(first) == 0;
    }
    let usual = same.iter().map(|row| values(row)).sum::<usize>() / same.len();
    values(first) == 0 && usual > 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_guessed() {
        let shape = |text: &str| {
            guess(text.as_bytes(), true)
                .map(|g| (char::from(g.delimiter), g.fields, g.preamble, g.header.is_some()))
        };
        let german =
            "Kurse der Woche\n\nTag;Anfang;Schluss\n02.01.2024;1,5;1,6\n03.01.2024;1,6;2\n";
        assert_eq!(shape(german), Some((';', 3, 2, true)));
        assert_eq!(shape("20240102,1,2\n20240103,2,3\n"), Some((',', 3, 0, false)));
        assert_eq!(shape("a\tb\n1\t2\n3\t4\n"), Some(('\t', 2, 0, true)));
        assert_eq!(shape("t|p\n2024-01-02 10:00:00|1,000.5\n"), Some(('|', 2, 0, true)));
        assert_eq!(shape("'a','b'\n'1','2,5'\n'3','4'\n'5','6'"), Some((',', 2, 0, true)));
        assert_eq!(shape("no fields at all here\n"), Some((' ', 5, 0, true)));
        assert_eq!(shape("word\nword\n"), None);
        assert_eq!(shape(""), None);
    }

    #[test]
    fn a_line_that_the_sample_cuts_off_is_left_out() {
        assert_eq!(guess(b"a,b\n1,2\n3,4,5,6", false).map(|guess| guess.fields), Some(2));
        assert_eq!(guess(b"a,b", false), None);
    }
}
