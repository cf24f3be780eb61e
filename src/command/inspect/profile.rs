//! What the columns of a text hold that no layout knows, over the whole file: spellings of nothing,
//! numbers with their range, times with their form, words, and which numbers are never below which
//! others. What is kept does not grow with the file.

use std::collections::BTreeMap;

use arrow::array::{Array, AsArray, StringArray};

use super::read::Piece;
use crate::decode::{TimeParser, amount, parse_float};
use crate::mapping::{TimeFormat, TimeRule, Zone};

/// Different words of a column that are remembered.
const WORDS_MAX: usize = 64;
/// Rows by which time forms that do not fit are dropped.
const TRIED_ROWS: u64 = 1_000;
/// Rows in which numbers are compared with each other.
const COMPARED_ROWS: u64 = 200_000;
/// Columns that are looked at; more have no chance to be bars.
pub(super) const COLUMNS_MAX: usize = 64;
/// Columns of numbers that are compared with each other.
const COMPARED_MAX: usize = 24;

/// The longest spelling of nothing, in bytes.
const NOTHING_BYTES_MAX: usize = 9;
/// Spellings of nothing that are known, in lower case.
const NOTHING: [&str; 14] = [
    "null",
    "nan",
    "n/a",
    "na",
    "#n/a",
    "#na",
    "none",
    "nil",
    "-",
    "--",
    ".",
    "\\n",
    "missing",
    "undefined",
];

/// Days, as people write them.
const DAYS: [&str; 24] = [
    "%Y%m%d",
    "%Y.%m.%d",
    "%Y/%m/%d",
    "%Y-%m-%d",
    "%d.%m.%Y",
    "%d/%m/%Y",
    "%m/%d/%Y",
    "%d-%m-%Y",
    "%m-%d-%Y",
    "%d.%m.%y",
    "%d/%m/%y",
    "%m/%d/%y",
    "%d-%m-%y",
    "%m-%d-%y",
    "%d-%b-%Y",
    "%d-%b-%y",
    "%d %b %Y",
    "%d %b %y",
    "%b %d %Y",
    "%b %d, %Y",
    "%Y-%b-%d",
    "%Y %b %d",
    "%Y年%m月%d日",
    "%Y년 %m월 %d일",
];
/// Times of day.
pub(super) const CLOCKS: [&str; 9] = [
    "%H:%M",
    "%H:%M:%S",
    "%H:%M:%S.%f",
    "%H%M%S",
    "%H%M",
    "%I:%M %p",
    "%I:%M:%S %p",
    "%I:%M%p",
    "%H.%M",
];

/// Whether this is a number as one language or another writes it.
pub(super) fn is_number(text: &str) -> bool {
    parse_float(text.as_bytes()).is_ok()
        || amount_of(text, false).or(amount_of(text, true)).is_some()
}

/// A number as people write it, by whether a comma stands before its fraction.
fn amount_of(text: &str, comma: bool) -> Option<f64> {
    let mut plain = Vec::new();
    amount(text.as_bytes(), comma, &mut plain).ok()?;
    parse_float(&plain).ok()
}

/// Whether a comma stands before the fraction of a text's numbers. Values that can be read in one
/// way alone tell; where there is none, spreadsheets put a comma only where none separates fields.
pub(super) fn has_decimal_commas<'a>(
    cells: impl Iterator<Item = &'a String>,
    delimiter: u8,
) -> bool {
    let (mut commas, mut points, mut either) = (0, 0, 0);
    for cell in cells.filter(|cell| cell.contains([',', '.']) && !is_timelike_day(cell)) {
        match (amount_of(cell, true).is_some(), amount_of(cell, false).is_some()) {
            (true, false) => commas += 1,
            (false, true) => points += 1,
            (true, true) => either += usize::from(cell.contains(',')),
            (false, false) => {}
        }
    }
    commas > points || commas == points && either > 0 && delimiter != b','
}

/// Digits in three groups with points between them: a day, and no number.
fn is_timelike_day(text: &str) -> bool {
    text.split('.').count() == 3
}

/// Whether this may be a time or a day: digits with the usual signs between them.
pub(super) fn is_timelike(text: &str) -> bool {
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let signs = text.bytes().filter(|b| matches!(b, b'-' | b':' | b'/' | b'.')).count();
    let rest = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-:/. +".contains(&b));
    rest && digits >= 4 && signs >= 1 && digits * 2 > text.len()
}

/// Which part of a time a form is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// A point in time.
    Instant,
    /// A day without a time of day.
    Day,
    /// A time of day.
    Clock,
}

/// A form in which a column's times may be written.
#[derive(Debug)]
pub(super) struct TimeForm {
    /// As a layout says it.
    pub text: String,
    pub part: Part,
    /// Whether times of this form tell their zone.
    pub zoned: bool,
    parser: TimeParser,
    pub read: u64,
    pub failed: u64,
    before: Option<i64>,
    /// Steps back in time, and the sum of all steps: the right form has less of both.
    pub backwards: u64,
    pub forwards: u64,
    pub travel_us: f64,
    /// Steps with how often each was taken.
    steps: BTreeMap<i64, u64>,
    buffer: Vec<u8>,
}

impl TimeForm {
    fn new(text: &str, part: Part, zoned: bool) -> Option<Self> {
        let pattern = match part {
            Part::Clock => format!("%Y-%m-%d {text}"),
            Part::Instant | Part::Day => text.to_owned(),
        };
        let rule = TimeRule::new(TimeFormat::parse(&pattern).ok()?, Zone::UTC);
        Some(Self {
            text: text.to_owned(),
            part,
            zoned,
            parser: TimeParser::new(&rule),
            read: 0,
            failed: 0,
            before: None,
            backwards: 0,
            forwards: 0,
            travel_us: 0.0,
            steps: BTreeMap::new(),
            buffer: Vec::new(),
        })
    }

    fn take(&mut self, value: &str) {
        let parsed = if self.part == Part::Clock {
            self.buffer.clear();
            self.buffer.extend_from_slice(b"2000-01-01 ");
            self.buffer.extend_from_slice(value.as_bytes());
            self.parser.parse(&self.buffer)
        } else {
            self.parser.parse(value.as_bytes())
        };
        let Ok(ts) = parsed else {
            self.failed += 1;
            return;
        };
        self.read += 1;
        let Some(before) = self.before.replace(ts) else { return };
        let step = ts.saturating_sub(before);
        self.travel_us += step.unsigned_abs() as f64;
        self.backwards += u64::from(step < 0);
        self.forwards += u64::from(step > 0);
        if step != 0 && (self.steps.len() < WORDS_MAX || self.steps.contains_key(&step.abs())) {
            *self.steps.entry(step.abs()).or_default() += 1;
        }
    }

    /// Whether this order of day and month is unusual beside such numbers: with decimal points, or
    /// halves of the day, the month comes first.
    fn is_unusual(&self, comma: bool) -> bool {
        let month_first = self.text.find("%m") < self.text.find("%d");
        let expected = self.text.contains("%p") || !comma;
        let told = self.text.contains("%m") && !self.text.starts_with("%Y");
        told && month_first != expected
    }

    /// The step that most records take, if a third of them do.
    pub fn usual_step(&self) -> Option<i64> {
        let (step, count) = self.steps.iter().max_by_key(|(step, count)| (*count, -**step))?;
        (*count * 3 >= self.forwards + self.backwards).then_some(*step)
    }
}

/// Every form that is tried.
fn forms() -> Vec<TimeForm> {
    let mut forms = vec![
        TimeForm::new("epoch", Part::Instant, true),
        TimeForm::new("auto", Part::Instant, false),
    ];
    for day in DAYS {
        forms.push(TimeForm::new(day, Part::Day, false));
        for clock in CLOCKS {
            for between in [" ", "T", "", ", ", "-"] {
                let text = format!("{day}{between}{clock}");
                forms.push(TimeForm::new(&text, Part::Instant, false));
            }
        }
    }
    forms.extend(CLOCKS.map(|clock| TimeForm::new(clock, Part::Clock, false)));
    forms.into_iter().flatten().collect()
}

/// One column.
#[derive(Debug)]
pub(super) struct Column {
    pub name: String,
    pub rows: u64,
    pub empty: u64,
    /// Spellings of nothing, as they are written.
    pub nothing: BTreeMap<String, u64>,
    pub numbers: u64,
    /// Numbers that are not written plainly: with groups of digits, a currency's sign, a letter
    /// for thousands or millions, a percent sign.
    pub amounts: u64,
    /// Numbers with a decimal comma.
    pub commas: u64,
    comma: bool,
    pub whole: u64,
    pub least: f64,
    pub most: f64,
    pub zeros: u64,
    /// Time forms that still fit.
    pub forms: Vec<TimeForm>,
    /// Different words, until there are too many.
    pub words: BTreeMap<String, u64>,
    pub many_words: bool,
    pub example: String,
}

impl Column {
    fn new(name: String, comma: bool) -> Self {
        Self {
            name,
            comma,
            amounts: 0,
            rows: 0,
            empty: 0,
            nothing: BTreeMap::new(),
            numbers: 0,
            commas: 0,
            whole: 0,
            least: f64::INFINITY,
            most: f64::NEG_INFINITY,
            zeros: 0,
            forms: forms(),
            words: BTreeMap::new(),
            many_words: false,
            example: String::new(),
        }
    }

    /// Values that are there.
    pub fn filled(&self) -> u64 {
        self.rows - self.empty - self.nothing.values().sum::<u64>()
    }

    /// Whether almost all values are numbers.
    pub fn is_numeric(&self) -> bool {
        self.filled() > 0 && self.numbers * 100 >= self.filled() * 95
    }

    /// Takes a value and gives its number, if it is one.
    fn take(&mut self, value: &str) -> Option<f64> {
        self.rows += 1;
        let value = value.trim();
        if value.is_empty() {
            self.empty += 1;
            return None;
        }
        if value.len() <= NOTHING_BYTES_MAX && NOTHING.contains(&value.to_lowercase().as_str()) {
            *self.nothing.entry(value.to_owned()).or_default() += 1;
            return None;
        }
        if self.example.is_empty() {
            self.example = value.chars().take(40).collect();
        }
        if self.filled() == TRIED_ROWS {
            self.forms.retain(|form| form.failed * 50 < form.read);
        }
        self.forms.iter_mut().for_each(|form| form.take(value));
        if self.filled() == 20 {
            self.forms.retain(|form| form.read > 0);
        }
        if !self.many_words {
            *self.words.entry(value.to_owned()).or_default() += 1;
            if self.words.len() > WORDS_MAX {
                self.many_words = true;
                self.words.clear();
            }
        }
        self.number(value)
    }

    fn number(&mut self, value: &str) -> Option<f64> {
        let plain = match self.comma {
            true if value.contains('.') => None,
            true => parse_float(value.replacen(',', ".", 1).as_bytes()).ok(),
            false => parse_float(value.as_bytes()).ok(),
        };
        let number = match plain {
            Some(number) => number,
            None => {
                let number = amount_of(value, self.comma)?;
                self.amounts += 1;
                number
            }
        };
        self.commas += u64::from(self.comma && value.contains(','));
        self.numbers += 1;
        self.whole += u64::from(number.fract() == 0.0);
        self.zeros += u64::from(number == 0.0);
        self.least = self.least.min(number);
        self.most = self.most.max(number);
        Some(number)
    }

    /// Time forms that read almost every value, best first: fewer failures, then steadier in time.
    fn settle(&mut self) {
        let comma = self.comma;
        self.forms.retain(|form| form.read > 0 && form.failed * 50 <= form.read);
        self.forms.sort_by(|a, b| {
            let turns = |form: &TimeForm| form.backwards.min(form.forwards);
            (a.failed, turns(a))
                .cmp(&(b.failed, turns(b)))
                .then(a.travel_us.total_cmp(&b.travel_us))
                .then(a.is_unusual(comma).cmp(&b.is_unusual(comma)))
        });
    }
}

/// How two columns of numbers compare, row by row.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pair {
    /// Rows with both.
    pub rows: u64,
    /// Rows in which the first is below the second.
    pub below: u64,
    /// Rows in which they are within a third of each other.
    pub near: u64,
    /// How far the second of the next row is from the first of this one, summed up.
    pub leap: f64,
}

/// All columns of a text.
#[derive(Debug)]
pub(super) struct Profile {
    pub columns: Vec<Column>,
    pub rows: u64,
    pub rejected: u64,
    pub first_reject: Option<(u64, String)>,
    /// Whether the text was read to its end.
    pub whole: bool,
    /// By position of the first and the second column.
    pairs: BTreeMap<(usize, usize), Pair>,
    before: Vec<Option<f64>>,
    /// The first few records.
    pub sample: Vec<Vec<String>>,
}

impl Profile {
    /// With `comma`, a comma stands before the fraction of numbers.
    pub fn new(names: Vec<String>, comma: bool) -> Self {
        let before = vec![None; names.len()];
        let names = names.into_iter().take(COLUMNS_MAX);
        Self {
            columns: names.map(|name| Column::new(name, comma)).collect(),
            rows: 0,
            rejected: 0,
            first_reject: None,
            whole: true,
            pairs: BTreeMap::new(),
            before,
            sample: Vec::new(),
        }
    }

    /// Takes a batch whose columns are all text.
    pub fn add(&mut self, piece: &Piece) {
        let batch = &piece.decoded.root;
        let arrays: Vec<&StringArray> =
            batch.columns().iter().filter_map(|column| column.as_string_opt::<i32>()).collect();
        for row in 0..batch.num_rows() {
            let mut numbers = Vec::with_capacity(arrays.len());
            for (column, array) in self.columns.iter_mut().zip(&arrays) {
                let value = if array.is_null(row) { "" } else { array.value(row) };
                numbers.push(column.take(value));
            }
            if self.rows < COMPARED_ROWS {
                self.compare(&numbers);
            }
            self.before = numbers;
            self.rows += 1;
            if self.sample.len() < 5 {
                let value = |array: &&StringArray| match array.is_null(row) {
                    true => String::new(),
                    false => array.value(row).to_owned(),
                };
                self.sample.push(arrays.iter().map(value).collect());
            }
        }
        self.rejected += piece.decoded.rejects.len() as u64;
        if self.first_reject.is_none()
            && let Some(reject) = piece.decoded.rejects.iter(&piece.original).next()
        {
            let line = piece.first_line + u64::from(reject.line);
            self.first_reject = Some((line, reject.reason));
        }
    }

    fn compare(&mut self, numbers: &[Option<f64>]) {
        let compared: Vec<(usize, f64)> = numbers
            .iter()
            .enumerate()
            .filter_map(|(at, number)| Some((at, (*number)?)))
            .take(COMPARED_MAX)
            .collect();
        for &(one, a) in &compared {
            for &(two, b) in &compared {
                if one == two {
                    continue;
                }
                let pair = self.pairs.entry((one, two)).or_default();
                pair.rows += 1;
                pair.below += u64::from(a < b);
                pair.near += u64::from(a > 0.0 && b > 0.0 && a < b * 1.5 && b < a * 1.5);
                if let Some(before) = self.before.get(one).copied().flatten() {
                    // A jump from one ticker to the next must not outweigh all else.
                    pair.leap += ((b - before).abs() / before.abs().max(1e-12)).min(0.1);
                }
            }
        }
    }

    /// Call after the last batch.
    pub fn settle(&mut self) {
        self.columns.iter_mut().for_each(Column::settle);
    }

    /// How column `one` compares with column `two`.
    pub fn pair(&self, one: usize, two: usize) -> Pair {
        self.pairs.get(&(one, two)).copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(values: &[&str]) -> Column {
        column_with(values, false)
    }

    fn column_with(values: &[&str], comma: bool) -> Column {
        let mut column = Column::new("x".to_owned(), comma);
        values.iter().for_each(|value| {
            column.take(value);
        });
        column.settle();
        column
    }

    fn form(values: &[&str]) -> Option<String> {
        column(values).forms.first().map(|form| form.text.clone())
    }

    #[test]
    fn forms_of_times_are_told_apart() {
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(form(&["02.01.2024 10:00", "03.01.2024 11:30"]), text("%d.%m.%Y %H:%M"));
        assert_eq!(form(&["2024-01-02", "2024-01-03"]), text("auto"));
        assert_eq!(form(&["1704153600", "1704157200"]), text("epoch"));
        assert_eq!(form(&["20240102 093000", "20240102 093100"]), text("%Y%m%d %H%M%S"));
        assert_eq!(form(&["9:30 AM", "12:05 PM"]), text("%I:%M %p"));
        assert_eq!(form(&["1.5", "2.5"]), None);
        // Day and month are told by the steps between them.
        let days = ["01/02/2024", "01/03/2024", "01/04/2024", "01/05/2024"];
        assert_eq!(form(&days), text("%m/%d/%Y"));
        let months = ["01/02/2024", "02/02/2024", "03/02/2024"];
        assert_eq!(form(&months), text("%d/%m/%Y"));
        assert_eq!(form(&["01/13/2024", "01/12/2024"]), text("%m/%d/%Y"));
    }

    #[test]
    fn numbers_and_nothing_are_counted() {
        let column = column_with(&["1,5", "n/a", "", "2", "1,25", "x"], true);
        assert_eq!((column.rows, column.empty, column.filled()), (6, 1, 4));
        assert_eq!((column.numbers, column.commas, column.whole), (3, 2, 1));
        assert_eq!((column.least, column.most), (1.25, 2.0));
        assert_eq!(column.nothing.keys().collect::<Vec<_>>(), ["n/a"]);
        let column = self::column(&["$1,234.50", "12%", "1.2M", "7"]);
        assert_eq!((column.numbers, column.amounts, column.commas), (4, 3, 0));
        assert_eq!((column.least, column.most), (7.0, 1.2e6));
    }

    #[test]
    fn commas_are_told_from_groups() {
        let says = |cells: &[&str], delimiter| {
            let cells: Vec<String> = cells.iter().map(|cell| (*cell).to_owned()).collect();
            has_decimal_commas(cells.iter(), delimiter)
        };
        assert!(says(&["1,5", "1,25"], b';') && says(&["1.234,5"], b',') && says(&["1,234"], b';'));
        assert!(!says(&["1,234.5", "1,234"], b';') && !says(&["1,234"], b','));
        assert!(!says(&["1.5", "02.01.2024"], b';') && !says(&["x", "7"], b';'));
    }
}
