//! A second header in a text, as files that were put together have, whose columns are not those of
//! the first: what follows would be read into the wrong columns. Called by `text`.

use memchr::memmem::Finder;
use memchr::{memchr, memchr_iter, memrchr};

use super::DecodeError;
use super::fault::shown;
use super::number::trim;
use super::record::{Dialect, Fields, content_end};
use crate::limit::FIELDS_MAX;
use crate::mapping::{FieldSource, MappedColumn};

/// Finds headers other than a source's own.
#[derive(Debug)]
pub(super) struct OtherHeader {
    names: Vec<Vec<u8>>,
    /// Positions of the fields that are read.
    read: Vec<usize>,
    /// For the longest name among these: a line without it is no such header.
    finder: Finder<'static>,
    dialect: Dialect,
}

impl OtherHeader {
    /// For a source with this header. `None`: its columns are not found by name.
    pub fn new(header: &[Vec<u8>], columns: &[MappedColumn], dialect: Dialect) -> Option<Self> {
        let names: Vec<Vec<u8>> = header.iter().map(folded).collect();
        let read: Vec<usize> = (columns.iter())
            .flat_map(|column| match column.source {
                FieldSource::Field(at) => vec![at],
                FieldSource::Joined(date, time) => vec![date, time],
                FieldSource::Constant(_) => Vec::new(),
            })
            .filter(|at| *at < names.len())
            .collect();
        let longest = read.iter().map(|at| trim(&header[*at])).max_by_key(|name| name.len())?;
        let finder = Finder::new(longest).into_owned();
        (!longest.is_empty()).then_some(Self { names, read, finder, dialect })
    }

    /// An error if there is one in `bytes`, which begin with a line.
    pub fn refuse(&self, bytes: &[u8]) -> Result<(), DecodeError> {
        let mut behind = 0;
        for hit in self.finder.find_iter(bytes) {
            if hit < behind || !self.is_field(bytes, hit) {
                continue;
            }
            let start = memrchr(b'\n', &bytes[..hit]).map_or(0, |at| at + 1);
            behind = memchr(b'\n', &bytes[hit..]).map_or(bytes.len(), |at| hit + at);
            let line = &bytes[start..content_end(bytes, start, behind)];
            if self.is_other(line) {
                return Err(DecodeError::OtherHeader {
                    line: memchr_iter(b'\n', &bytes[..start]).count() as u64 + 1,
                    header: shown(line),
                });
            }
        }
        Ok(())
    }

    /// Whether what was found at `hit` may be all of a field.
    fn is_field(&self, bytes: &[u8], hit: usize) -> bool {
        let edge = |byte: Option<&u8>| {
            byte.is_none_or(|byte| {
                matches!(byte, b'\n' | b'\r' | b' ')
                    || *byte == self.dialect.delimiter
                    || *byte == self.dialect.quote
            })
        };
        let end = hit + self.finder.needle().len();
        edge(hit.checked_sub(1).and_then(|at| bytes.get(at))) && edge(bytes.get(end))
    }

    /// Whether most of the names stand in a line, and one of them where another that is read
    /// should.
    fn is_other(&self, line: &[u8]) -> bool {
        let mut fields = Fields::default();
        fields.split_quoted(line, self.dialect, FIELDS_MAX);
        let view = fields.take_unquoted();
        let found: Vec<Vec<u8>> =
            (0..fields.len()).filter_map(|at| fields.get(&view, at).map(folded)).collect();
        let is_value = |field: &Vec<u8>| field.first().is_some_and(u8::is_ascii_digit);
        // A record that was cut off, and the header of the next file, are no header.
        if !found.first().is_some_and(|name| self.names.contains(name))
            && found.iter().any(is_value)
        {
            return false;
        }
        let known = self.names.iter().filter(|name| found.contains(name)).count();
        let moved = |at: &usize| {
            let name = found.get(*at);
            name.is_some_and(|name| *name != self.names[*at] && self.names.contains(name))
        };
        known >= 2 && known * 2 >= self.names.len() && self.read.iter().any(moved)
    }
}

fn folded(name: impl AsRef<[u8]>) -> Vec<u8> {
    trim(name.as_ref()).to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mapping::ValueKind;

    /// The line that is refused in `text`, whose header is that of bars.
    fn refused(text: &str) -> Option<u64> {
        let header =
            ["symbol", "ts", "open", "close", "volume", "note"].map(|n| n.as_bytes().to_vec());
        let column = |at: usize| MappedColumn {
            name: format!("c{at}"),
            source: FieldSource::Field(at),
            kind: ValueKind::Float,
            required: true,
            time: None,
            rewrite: None,
        };
        let columns: Vec<MappedColumn> = (0..5).map(column).collect();
        let dialect = Dialect { delimiter: b',', quote: b'"' };
        match OtherHeader::new(&header, &columns, dialect).unwrap().refuse(text.as_bytes()) {
            Ok(()) => None,
            Err(DecodeError::OtherHeader { line, .. }) => Some(line),
            Err(error) => panic!("{error}"),
        }
    }

    #[test]
    fn a_header_whose_columns_stand_elsewhere_is_refused() {
        let row = "A,2024-01-02,1,2,3,x\n";
        let at_line_3 = |header: &str| refused(&format!("{row}{row}{header}\n{row}"));
        for header in [
            "symbol,ts,close,open,volume,note",
            "ts,symbol,open,close,volume,note",
            "Symbol,TS,Close,Open,Volume,Note\r",
            "\"symbol\",\"ts\",\"open\",\"high\",\"close\",\"volume\"",
            "symbol, ts, close, volume",
        ] {
            let lower = header.replace("Volume", "volume").replace("Symbol", "symbol");
            assert_eq!(at_line_3(&lower), Some(3), "{header}");
        }
        for header in [
            "symbol,ts,open,close,volume,note",
            "Symbol, TS, Open, Close, volume, Other",
            "symbol,ts,open,close,volume",
            "symbol,ts,open,close,volume,note,more",
            "symbol,ts,open,adj_close,volume,note",
            "A,2024-01-02,1,2,3,xsymbol,ts,open,close,volume,note",
            "A,2024symbol,ts,open,close,volume,note",
            // No header: a record with a word of it.
            "symbol,2024-01-02,1,2,3,volume",
            "the volume,of,a,symbol,is,more",
            "",
        ] {
            assert_eq!(at_line_3(header), None, "{header}");
        }
        assert_eq!(refused("volume,symbol,ts,open,close"), Some(1));
        assert_eq!(refused(""), None);
    }
}
