//! Cells that spreadsheets leave alone. A program that opens a CSV file takes a cell that starts
//! like a formula for one; an apostrophe in front makes it text, and is taken away again when the
//! file is replayed.

use std::borrow::Cow;

/// What a cell may not start with: beginnings of formulas, and the mark itself, which could not be
/// told from ours else.
const FORMULA_STARTS: &[u8] = b"=+-@\t\r'";
const MARK: u8 = b'\'';

/// The bytes as a cell.
pub(super) fn escape(bytes: &[u8]) -> Cow<'_, [u8]> {
    match bytes.first() {
        Some(first) if FORMULA_STARTS.contains(first) => {
            let mut cell = Vec::with_capacity(bytes.len() + 1);
            cell.push(MARK);
            cell.extend_from_slice(bytes);
            cell.into()
        }
        _ => bytes.into(),
    }
}

/// The bytes that a cell was made of.
pub(super) fn unescape(cell: &[u8]) -> &[u8] {
    match cell {
        [MARK, rest @ ..] => rest,
        _ => cell,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_come_back_as_they_were_and_are_no_formulas() {
        let texts: [&[u8]; 12] = [
            b"", b"A,1", b"=1+1", b"+1", b"-1", b"@x", b"\tx", b"\rx", b"'x", b"''", b"\0=",
            b"\xff",
        ];
        for bytes in texts {
            let cell = escape(bytes);
            assert_eq!(unescape(&cell), bytes);
            assert!(cell.first().is_none_or(|first| !b"=+-@\t\r".contains(first)), "{cell:?}");
        }
        assert_eq!(&*escape(b"A,=1"), b"A,=1");
    }
}
