//! Plain aligned tables: what `status`, `rejects list`, `plan` and `doctor` print, and the table
//! of files at the end of a load. A table is rendered to a given width, or to JSON with typed
//! values. It knows nothing of what its cells mean; colour is used only when asked.

use serde_json::{Map, Value};

use super::human;

/// Columns between two columns of a table.
const GAP: usize = 2;
/// A column is never made narrower than this to fit a terminal.
const COLUMN_WIDTH_MIN: usize = 8;

/// How a cell stands out when colour is wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Style {
    /// It does not.
    #[default]
    Plain,
    /// A heading.
    Bold,
    /// Of little interest.
    Dim,
    /// Good.
    Green,
    /// Worth a look.
    Yellow,
    /// Wrong.
    Red,
}

impl Style {
    /// The text in this style; unchanged without colour or when there is nothing to see.
    pub fn paint(self, text: &str, colour: bool) -> String {
        let code = match self {
            Style::Plain => return text.to_owned(),
            Style::Bold => 1,
            Style::Dim => 2,
            Style::Green => 32,
            Style::Yellow => 33,
            Style::Red => 31,
        };
        if !colour || text.trim().is_empty() {
            return text.to_owned();
        }
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Content {
    /// Nothing: empty, and `null` in JSON.
    Missing,
    /// Text; control characters in it are shown as escapes.
    Text(String),
    /// A number, shown with thousands separators.
    Count(u64),
    /// A value shown in one form and given to machines in another: a size, a duration.
    Shown {
        /// For people.
        text: String,
        /// For machines.
        value: Value,
    },
}

/// One cell.
#[derive(Debug, Clone, PartialEq)]
pub struct Cell {
    /// What it holds.
    pub content: Content,
    /// How it stands out.
    pub style: Style,
}

impl Cell {
    /// An empty cell.
    pub fn missing() -> Self {
        Self { content: Content::Missing, style: Style::Plain }
    }

    /// A cell that shows `text` to people and `value` to machines.
    pub fn shown(text: impl Into<String>, value: impl Into<Value>) -> Self {
        Self {
            content: Content::Shown { text: text.into(), value: value.into() },
            style: Style::Plain,
        }
    }

    /// The cell in another style.
    #[must_use]
    pub fn styled(mut self, style: Style) -> Self {
        self.style = style;
        self
    }

    fn text(&self) -> String {
        match &self.content {
            Content::Missing => String::new(),
            Content::Text(text) | Content::Shown { text, .. } => human::one_line(text),
            Content::Count(number) => human::count(*number),
        }
    }

    fn value(&self) -> Value {
        match &self.content {
            Content::Missing => Value::Null,
            Content::Text(text) => text.as_str().into(),
            Content::Count(number) => (*number).into(),
            Content::Shown { value, .. } => value.clone(),
        }
    }
}

impl From<String> for Cell {
    fn from(text: String) -> Self {
        Self { content: Content::Text(text), style: Style::Plain }
    }
}

impl From<&str> for Cell {
    fn from(text: &str) -> Self {
        text.to_owned().into()
    }
}

impl From<u64> for Cell {
    fn from(number: u64) -> Self {
        Self { content: Content::Count(number), style: Style::Plain }
    }
}

impl<T: Into<Cell>> From<Option<T>> for Cell {
    fn from(value: Option<T>) -> Self {
        value.map_or_else(Cell::missing, Into::into)
    }
}

/// How a column is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
    /// Left, and shortened at its beginning.
    Path,
}

/// A table: headers, and rows of as many cells.
#[derive(Debug, Clone)]
pub struct Grid {
    headers: Vec<String>,
    aligns: Vec<Align>,
    rows: Vec<Vec<Cell>>,
}

impl Grid {
    /// A table with these headers and no rows; all columns are aligned left.
    pub fn new<S: Into<String>>(headers: impl IntoIterator<Item = S>) -> Self {
        let headers: Vec<String> = headers.into_iter().map(Into::into).collect();
        Self { aligns: vec![Align::Left; headers.len()], headers, rows: Vec::new() }
    }

    /// Aligns these columns (from 0) to the right: numbers.
    #[must_use]
    pub fn right(self, columns: &[usize]) -> Self {
        self.align(columns, Align::Right)
    }

    /// Shortens these columns (from 0) at their beginning rather than their end: paths.
    #[must_use]
    pub fn paths(self, columns: &[usize]) -> Self {
        self.align(columns, Align::Path)
    }

    fn align(mut self, columns: &[usize], align: Align) -> Self {
        for &column in columns {
            if let Some(slot) = self.aligns.get_mut(column) {
                *slot = align;
            }
        }
        self
    }

    /// Adds a row. Missing cells are empty, cells beyond the headers are left out.
    pub fn push(&mut self, row: impl IntoIterator<Item = Cell>) {
        let mut row: Vec<Cell> = row.into_iter().collect();
        row.resize(self.headers.len(), Cell::missing());
        self.rows.push(row);
    }

    /// Rows in the table.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether the table has no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The table in at most `width` columns (0: no limit), each line ended by a newline. The
    /// widest columns are shortened first; a table whose every column is narrow stays wider.
    pub fn render(&self, width: usize, colour: bool) -> String {
        let texts: Vec<Vec<String>> =
            self.rows.iter().map(|row| row.iter().map(Cell::text).collect()).collect();
        let widths = self.widths(&texts, width);
        let mut out = String::new();
        let heads = self.headers.iter().map(|head| (head.as_str(), Style::Bold));
        self.line(&mut out, &widths, heads, colour);
        for (row, texts) in self.rows.iter().zip(&texts) {
            let cells = row.iter().zip(texts).map(|(cell, text)| (text.as_str(), cell.style));
            self.line(&mut out, &widths, cells, colour);
        }
        out
    }

    /// The rows as a list of objects whose keys are the headers, spaces replaced by `_`.
    pub fn to_json(&self) -> Value {
        let key = |head: &String| head.to_lowercase().replace(' ', "_");
        let object = |row: &Vec<Cell>| {
            let pairs = self.headers.iter().zip(row);
            Value::Object(
                pairs.map(|(head, cell)| (key(head), cell.value())).collect::<Map<_, _>>(),
            )
        };
        self.rows.iter().map(object).collect()
    }

    fn widths(&self, texts: &[Vec<String>], limit: usize) -> Vec<usize> {
        let mut widths: Vec<usize> = self.headers.iter().map(|head| human::width(head)).collect();
        for row in texts {
            for (width, text) in widths.iter_mut().zip(row) {
                *width = (*width).max(human::width(text));
            }
        }
        let gaps = GAP * widths.len().saturating_sub(1);
        let mut excess = match limit {
            0 => 0,
            _ => (widths.iter().sum::<usize>() + gaps).saturating_sub(limit),
        };
        while excess > 0 {
            // Numbers are never shortened: half a number is a wrong number.
            let widest = (0..widths.len())
                .filter(|&at| self.aligns[at] != Align::Right && widths[at] > COLUMN_WIDTH_MIN)
                .max_by_key(|&at| widths[at]);
            let Some(widest) = widest else { break };
            widths[widest] -= 1;
            excess -= 1;
        }
        widths
    }

    fn line<'a>(
        &self,
        out: &mut String,
        widths: &[usize],
        cells: impl Iterator<Item = (&'a str, Style)>,
        colour: bool,
    ) {
        let start = out.len();
        for (at, (text, style)) in cells.enumerate() {
            let (align, width) = (self.aligns[at], widths[at]);
            let text = match align {
                Align::Path => human::fit_end(text, width),
                Align::Left | Align::Right => human::fit(text, width),
            };
            let padding = " ".repeat(width.saturating_sub(human::width(&text)));
            if at > 0 {
                out.push_str(&" ".repeat(GAP));
            }
            let painted = style.paint(&text, colour);
            match align {
                Align::Right => out.extend([padding, painted]),
                Align::Left | Align::Path => out.extend([painted, padding]),
            }
        }
        let end = out[start..].trim_end().len();
        out.truncate(start + end);
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn grid() -> Grid {
        let mut grid = Grid::new(["Source", "Read", "State"]).right(&[1]).paths(&[0]);
        grid.push(["/data/archive/2024/btc.csv".into(), 5_000_000_u64.into(), "sealed".into()]);
        grid.push(["b.csv".into(), 7_u64.into(), Cell::missing()]);
        grid
    }

    #[test]
    fn columns_line_up() {
        let expected = "\
Source                           Read  State
/data/archive/2024/btc.csv  5,000,000  sealed
b.csv                               7
";
        assert_eq!(grid().render(0, false), expected);
    }

    #[test]
    fn a_narrow_terminal_shortens_texts_but_no_numbers() {
        let expected = "\
Source            Read  State
…24/btc.csv  5,000,000  sealed
b.csv                7
";
        assert_eq!(grid().render(30, false), expected);
        assert!(grid().render(5, false).contains("5,000,000"));
    }

    #[test]
    fn colour_is_only_there_when_asked() {
        let mut grid = Grid::new(["State"]);
        grid.push([Cell::from("bad").styled(Style::Red)]);
        assert_eq!(grid.render(0, false), "State\nbad\n");
        assert_eq!(grid.render(0, true), "\u{1b}[1mState\u{1b}[0m\n\u{1b}[31mbad\u{1b}[0m\n");
    }

    #[test]
    fn foreign_text_is_escaped_and_rows_are_made_even() {
        let mut grid = Grid::new(["A", "B"]);
        grid.push([Cell::from("x\n\u{1b}[2J")]);
        assert_eq!(grid.render(0, false), "A             B\nx\\n\\u{1b}[2J\n");
        assert_eq!(grid.len(), 1);
    }

    #[test]
    fn machines_get_values() {
        let mut grid = Grid::new(["Run id", "Size", "Rows", "End"]);
        grid.push([
            "r1".into(),
            Cell::shown("1.5 kB", 1_500),
            1_000_u64.into(),
            None::<&str>.into(),
        ]);
        let expected = json!([{"run_id": "r1", "size": 1_500, "rows": 1_000, "end": null}]);
        assert_eq!(grid.to_json(), expected);
    }
}
