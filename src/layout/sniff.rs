//! The first bytes of files that are no delimited text, and what to do with each.

use super::error::RecogniseError;
use super::example;
use super::recognise::SampleHead;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// `bytes` without a UTF-8 byte order mark.
pub(super) fn without_bom(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(BOM).unwrap_or(bytes)
}

/// First bytes, name of the format, and the command that decompresses to standard output. A load
/// looks into most of these before it comes here.
const COMPRESSED: &[(&[u8], &str, &str)] = &[
    (b"\x1f\x8b", "gzip", "gunzip -c"),
    (b"PK\x03\x04", "zip", "unzip -p"),
    (b"PK\x05\x06", "an empty zip archive", "unzip -p"),
    (b"\x28\xb5\x2f\xfd", "zstd", "zstd -dc"),
    (b"\xfd7zXZ\x00", "xz", "xz -dc"),
    (b"BZh", "bzip2", "bzip2 -dc"),
    (b"\x04\x22\x4d\x18", "lz4", "lz4 -dc"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "7z x -so"),
    (b"Rar!\x1a\x07", "rar", "unrar p -inul"),
    (b"\x1f\x9d", "compress", "uncompress -c"),
    (b"LZIP", "lzip", "lzip -dc"),
    (b"\xff\x06\0\0sNaPpY", "snappy", "snzip -dc"),
];

/// What is foreign but can be shown.
const READABLE: [&str; 5] = [HTML, XML, JSON, STOOQ_LIMIT, STOOQ_NOTHING];
const HTML: &str = "it is an HTML page";
const XML: &str = "it is XML";
const JSON: &str = "it is JSON";
const STOOQ_LIMIT: &str = "it says that Stooq's daily limit was reached";
const STOOQ_NOTHING: &str = "it says that Stooq has no data";

/// The first line that is not blank, as it is shown.
fn first_words(bytes: &[u8]) -> String {
    example::first_line(SampleHead::Text { bytes, whole: true })
}

/// Refuses what is empty, compressed, or known to be no delimited text. `bytes` still have their
/// byte order mark.
pub(super) fn refuse_foreign(name: &str, bytes: &[u8]) -> Result<(), RecogniseError> {
    if without_bom(bytes).iter().all(u8::is_ascii_whitespace) {
        return Err(RecogniseError::Empty { name: name.to_owned() });
    }
    if let Some((_, what, tool)) = COMPRESSED.iter().find(|(first, ..)| bytes.starts_with(first)) {
        return Err(RecogniseError::Compressed {
            name: name.to_owned(),
            what,
            command: format!("{tool} {} | tidegate backfill - ...", shell_word(name)),
        });
    }
    let Some((what, advice)) = foreign(bytes).or_else(|| stooq_answer(bytes)) else {
        return Ok(());
    };
    Err(RecogniseError::Foreign {
        name: name.to_owned(),
        what: what.to_owned(),
        advice: advice.replace("FILE", &shell_word(name)),
        first_line: if READABLE.contains(&what) { first_words(bytes) } else { String::new() },
    })
}

fn foreign(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    const CONVERT: &str =
        "convert it first: iconv -f UTF-16 -t UTF-8 FILE | tidegate backfill - ...";
    const VENDOR: &str = "a vendor may have sent an error page: open it and download it again";
    if bytes.starts_with(b"\xff\xfe\0\0") || bytes.starts_with(b"\0\0\xfe\xff") {
        return Some((
            "it is UTF-32",
            "convert it first: iconv -f UTF-32 -t UTF-8 FILE | tidegate backfill - ...",
        ));
    }
    if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        return Some(("it is UTF-16", CONVERT));
    }
    if let Some(encoding) = utf16_without_mark(bytes) {
        return Some(encoding);
    }
    for (first, what, advice) in [
        (
            &b"PAR1"[..],
            "it is Parquet that was read as text",
            "give it a name that ends in .parquet",
        ),
        (
            b"\xd4\xc3\xb2\xa1",
            "it is a capture of packets (pcap), as IEX gives away its history (HIST)",
            "quotes and trades of such captures are not read: ask a vendor for CSV",
        ),
        (
            b"\x0a\x0d\x0d\x0a",
            "it is a capture of packets (pcapng), as IEX gives away its history (HIST)",
            "quotes and trades of such captures are not read: ask a vendor for CSV",
        ),
        (b"%PDF-", "it is a PDF", "ask the vendor for CSV or Parquet"),
        (b"SQLite format 3\0", "it is an SQLite database", "export its table as CSV"),
        (b"\xd0\xcf\x11\xe0", "it is an old Excel workbook", "save it as CSV"),
        (
            b"DBN",
            "it is Databento's binary encoding (DBN)",
            "ask Databento for CSV, or convert it first: dbn FILE --csv > FILE.csv",
        ),
        (b"FEA1", "it is a Feather file of the first version", "save it as Parquet or CSV"),
        (b"\x89HDF", "it is HDF5", "save its table as Parquet or CSV"),
        (
            b"\x5d\0\0",
            "it is LZMA without a container, as Dukascopy's .bi5 ticks are",
            "export candles as CSV instead",
        ),
        (b"\x7fELF", "it is a program", "name a data file"),
    ] {
        if bytes.starts_with(first) {
            return Some((what, advice));
        }
    }
    let text = without_bom(bytes).trim_ascii_start();
    if !text.contains(&b'\n') && text.trim_ascii_end().contains(&b'\r') {
        return Some((
            "its lines end with CR alone, as old Macs wrote them",
            "convert it first: tr '\\r' '\\n' < FILE | tidegate backfill - ...",
        ));
    }
    let start = text[..text.len().min(16)].to_ascii_lowercase();
    if [&b"<!doctype"[..], b"<html", b"<head", b"<body"].iter().any(|tag| start.starts_with(tag)) {
        return Some((HTML, VENDOR));
    }
    if start.starts_with(b"<?xml") {
        return Some((XML, VENDOR));
    }
    None
}

/// What Stooq answers instead of data, in English and in Polish.
fn stooq_answer(text: &[u8]) -> Option<(&'static str, &'static str)> {
    const LIMITS: [&[u8]; 2] = [b"Exceeded the daily hits limit", b"Przekroczony dzienny limit"];
    const NOTHING: [&[u8]; 2] = [b"No data", b"Brak danych"];
    let text = without_bom(text).trim_ascii_start();
    if LIMITS.iter().any(|words| text.starts_with(words)) {
        return Some((STOOQ_LIMIT, "download it again on another day"));
    }
    NOTHING.contains(&text.trim_ascii_end()).then_some((
        STOOQ_NOTHING,
        "look at the symbol and the dates that were asked for, and download it again",
    ))
}

/// `{`, or a `[` that opens a list of values. A header may begin with `[QUOTE_DATE]`.
pub(super) fn is_json(bytes: &[u8]) -> bool {
    match without_bom(bytes).trim_ascii_start().split_first() {
        Some((b'{', _)) => true,
        Some((b'[', rest)) => rest
            .trim_ascii_start()
            .first()
            .is_some_and(|byte| matches!(byte, b'{' | b'[' | b'"' | b'-' | b']' | b'0'..=b'9')),
        _ => false,
    }
}

/// Latin text in UTF-16 has a NUL in every second byte.
fn utf16_without_mark(bytes: &[u8]) -> Option<(&'static str, &'static str)> {
    let head = &bytes[..bytes.len().min(64) & !1];
    let nuls = |first: usize| head.iter().skip(first).step_by(2).filter(|b| **b == 0).count();
    let pairs = head.len() / 2;
    if pairs < 4 {
        return None;
    }
    if nuls(1) == pairs && nuls(0) == 0 {
        return Some((
            "it is UTF-16",
            "convert it first: iconv -f UTF-16LE -t UTF-8 FILE | tidegate backfill - ...",
        ));
    }
    (nuls(0) == pairs && nuls(1) == 0).then_some((
        "it is UTF-16",
        "convert it first: iconv -f UTF-16BE -t UTF-8 FILE | tidegate backfill - ...",
    ))
}

/// The name as one word of a shell command.
fn shell_word(name: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-/+=:@".contains(c);
    if !name.is_empty() && name.chars().all(plain) && !name.starts_with('-') {
        return name.to_owned();
    }
    format!("'{}'", name.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, bytes: &[u8]) -> String {
        refuse_foreign(name, bytes).map_or_else(|error| error.to_string(), |()| "text".to_owned())
    }

    #[test]
    fn compressed_files_name_their_tool() {
        assert_eq!(
            message("it's (1).7z", b"7z\xbc\xaf\x27\x1c"),
            "it's (1).7z is compressed (7z): decompress it first: \
             7z x -so 'it'\\''s (1).7z' | tidegate backfill - ..."
        );
        for first in ["\u{28}", "BZh91AY"] {
            assert_eq!(message("x", first.as_bytes()) == "text", !first.starts_with("BZh"));
        }
        assert!(message("x", b"\x1f\x8b\x08\0").contains("gunzip -c x"));
        assert!(message("x", b"\x28\xb5\x2f\xfd").contains("zstd -dc x"));
        assert!(message("x", b"Rar!\x1a\x07\x01\0").contains("unrar p -inul x"));
        assert!(message("x", b"\x1f\x9d\x90").contains("uncompress -c x"));
        assert_eq!(message("x", b"LZI,1"), "text");
    }

    #[test]
    fn utf16_names_iconv() {
        let wide: Vec<u8> = "Date,Open".encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert!(message("x", &wide).contains("iconv -f UTF-16LE -t UTF-8 x"));
        assert_eq!(
            message("x", &[b"\xff\xfe", wide.as_slice()].concat()),
            "x is no delimited text: it is UTF-16; convert it first: \
             iconv -f UTF-16 -t UTF-8 x | tidegate backfill - ..."
        );
        assert!(message("x", b"\xff\xfe\0\0t\0\0\0").contains("iconv -f UTF-32"));
        assert_eq!(message("x", b"a,b\0c,d\ne,f,g,h"), "text");
    }

    #[test]
    fn pages_and_documents_are_refused() {
        assert!(message("x", b"\xef\xbb\xbf \n<!DOCTYPE html>").contains("an HTML page"));
        for json in [&b"{\"Information\": \"limit\"}"[..], b"\xef\xbb\xbf [{\"a\":1}]", b"[-1]"] {
            assert!(is_json(json));
            assert_eq!(message("x", json), "text");
        }
        assert!(!is_json(b"[QUOTE_DATE], [STRIKE]"));
        assert!(message("x", b"ts,open\r1,2\r").contains("tr '\\r' '\\n' < x"));
        assert_eq!(message("x", b"ts,open\r"), "text");
        assert!(message("x", b"%PDF-1.7").contains("a PDF"));
        assert!(message("x", b"Exceeded the daily hits limit").contains("limit was reached"));
        assert!(message("x", b"No data\r\n").contains("Stooq has no data"));
        assert_eq!(message("x", b"No data,at all"), "text");
        assert_eq!(message("x", b"<DATE>\t<OPEN>"), "text");
        assert_eq!(message("x", b"[QUOTE_DATE], [STRIKE]"), "text");
    }

    #[test]
    fn nothing_is_its_own_kind() {
        for nothing in [&b""[..], b"\xef\xbb\xbf", b"\r\n\n"] {
            assert_eq!(
                refuse_foreign("x", nothing),
                Err(RecogniseError::Empty { name: "x".to_owned() })
            );
        }
    }
}
