//! The heads of a Parquet file's dictionaries. The library makes room for as many values as one
//! says before it reads any, so a damaged one of a few bytes asks for more memory than there is.
//! Heads are structures of Thrift's compact protocol, as parquet.thrift names them.

use parquet::file::metadata::ColumnChunkMetaData;

use super::file::SharedFile;

/// A dictionary page's head is some tens of bytes.
const HEAD_BYTES_MAX: usize = 256;
/// Structures and lists inside of one another.
const DEPTH_MAX: usize = 8;

/// Fields of `PageHeader`, and of the `DictionaryPageHeader` in it.
const UNCOMPRESSED_PAGE_SIZE: i16 = 2;
const DICTIONARY_PAGE_HEADER: i16 = 7;
const NUM_VALUES: i16 = 1;

/// Why a chunk cannot be read, if its dictionary says to have more values than its bytes could be.
pub(super) fn fault(file: &SharedFile, chunk: &ColumnChunkMetaData) -> Option<String> {
    // Some writers do not say where it is: it comes first.
    let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
    let start = u64::try_from(start).ok()?;
    let head = file.head(start, HEAD_BYTES_MAX)?;
    // What cannot be read here is left to the library, which says what is wrong.
    let (values, bytes) = Thrift { bytes: &head }.dictionary()?;
    let column = chunk.column_path().string();
    // Values have four bytes at least, texts a length; only those of a fixed length may be shorter.
    (u64::from(values) > u64::from(bytes))
        .then(|| format!("the dictionary of {column} says {values} values in {bytes} bytes"))
}

/// Reads the compact protocol; whatever does not fit is `None`.
struct Thrift<'a> {
    bytes: &'a [u8],
}

impl Thrift<'_> {
    /// How many values a page's head says that its dictionary has, and in how many bytes.
    fn dictionary(&mut self) -> Option<(u32, u32)> {
        let (mut bytes, mut values) = (None, None);
        let mut id = 0;
        while let Some((field, kind)) = self.field(id)? {
            id = field;
            match (field, kind) {
                (UNCOMPRESSED_PAGE_SIZE, I32) => bytes = u32::try_from(self.integer()?).ok(),
                (DICTIONARY_PAGE_HEADER, STRUCT) => {
                    let mut inner = 0;
                    while let Some((field, kind)) = self.field(inner)? {
                        inner = field;
                        match (field, kind) {
                            (NUM_VALUES, I32) => values = u32::try_from(self.integer()?).ok(),
                            _ => self.skip(kind, DEPTH_MAX)?,
                        }
                    }
                }
                _ => self.skip(kind, DEPTH_MAX)?,
            }
        }
        values.zip(bytes)
    }

    /// Number and type of the field after `before`. `Some(None)`: the structure ends.
    fn field(&mut self, before: i16) -> Option<Option<(i16, u8)>> {
        let head = self.byte()?;
        if head == 0 {
            return Some(None);
        }
        let id = match i16::from(head >> 4) {
            0 => i16::try_from(self.integer()?).ok()?,
            more => before.checked_add(more)?,
        };
        Some(Some((id, head & 15)))
    }

    fn byte(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    /// A number of seven bits a byte, the lowest first.
    fn number(&mut self) -> Option<u64> {
        let mut number = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }

    /// A number whose lowest bit is its sign.
    fn integer(&mut self) -> Option<i64> {
        let number = self.number()?;
        Some((number >> 1) as i64 ^ -((number & 1) as i64))
    }

    fn pass(&mut self, bytes: u64) -> Option<()> {
        self.bytes = self.bytes.get(usize::try_from(bytes).ok()?..)?;
        Some(())
    }

    fn skip(&mut self, kind: u8, depth: usize) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        match kind {
            TRUE | FALSE => Some(()),
            BYTE => self.pass(1),
            I16 | I32 | I64 => self.number().map(|_| ()),
            DOUBLE => self.pass(8),
            BINARY => {
                let len = self.number()?;
                self.pass(len)
            }
            LIST | SET => {
                let head = self.byte()?;
                let len = match head >> 4 {
                    15 => self.number()?,
                    len => u64::from(len),
                };
                // In a list, truth values have a byte each.
                let kind = if matches!(head & 15, TRUE | FALSE) { BYTE } else { head & 15 };
                (0..len).try_for_each(|_| self.skip(kind, depth))
            }
            STRUCT => {
                while let Some((_, kind)) = self.field(0)? {
                    self.skip(kind, depth)?;
                }
                Some(())
            }
            _ => None,
        }
    }
}

/// Types of the compact protocol.
const TRUE: u8 = 1;
const FALSE: u8 = 2;
const BYTE: u8 = 3;
const I16: u8 = 4;
const I32: u8 = 5;
const I64: u8 = 6;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const STRUCT: u8 = 12;

#[cfg(test)]
mod tests {
    use super::*;

    fn dictionary(bytes: &[u8]) -> Option<(u32, u32)> {
        Thrift { bytes }.dictionary()
    }

    #[test]
    fn heads_of_dictionaries_are_read() {
        // Type 2, 40 bytes and 42 compressed; its dictionary: 5 values, plain.
        let head = [0x15, 4, 0x15, 80, 0x15, 84, 0x4c, 0x15, 10, 0x15, 4, 0, 0];
        assert_eq!(dictionary(&head), Some((5, 40)));
        // A field that no head has, a list of two doubles, does not hide it.
        let mut longer = vec![0x15, 4, 0x15, 80, 0x15, 84];
        longer.extend([0x09, 0x50, 0x27]);
        longer.extend([0; 16]);
        longer.extend([0x0c, 14, 0x15, 10, 0x15, 4, 0, 0]);
        assert_eq!(dictionary(&longer), Some((5, 40)));
        for len in 0..head.len() {
            assert_eq!(dictionary(&head[..len]), None, "cut at {len}");
        }
        let data_page = [0x15, 0, 0x15, 80, 0x15, 84, 0x2c, 0x15, 10, 0x15, 0, 0, 0];
        assert_eq!(dictionary(&data_page), None);
        let endless = [0x15, 4, 0xe9, 0xf7, 0xff, 0xff, 0xff, 0xff, 0x0f, 1, 2, 3];
        assert_eq!(dictionary(&endless), None, "more values than there are bytes");
        let nested = [0x1c; 64];
        assert_eq!(dictionary(&nested), None, "structures without an end");
    }
}
