//! The index of a zip archive: members as its central directory lists them, with where their data
//! are. Checks what a reader must not trust: that members lie in the file and share no bytes.

use std::io::{self, BufRead, Read};

use super::SourceError;
use super::archive::{FOLDER, refuse_name};
use super::codec::Codec;
use super::meter::Limits;
use super::stored::StoredReader;
use crate::limit::{KIB, MEMBER_NAME_BYTES_MAX};

/// Whether these first bytes are those of a zip archive.
pub(super) fn is_zip(head: &[u8]) -> bool {
    head.starts_with(LOCAL) || head.starts_with(END) || head.starts_with(b"PK\x07\x08PK\x03\x04")
}

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END64: &[u8] = b"PK\x06\x06";
const LOCATOR64: &[u8] = b"PK\x06\x07";
const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: usize = 46;
const END_BYTES: usize = 22;

/// A member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ZipMember {
    /// Its name, as in the archive.
    pub name: String,
    /// Why it is not read, if it is not; [`FOLDER`] for folders.
    pub refused: Option<&'static str>,
    /// Why it cannot be read, although it should be.
    pub unreadable: Option<String>,
    /// How its data are compressed; none: stored.
    pub codec: Option<Codec>,
    /// Its data in the archive, in bytes.
    pub packed: u64,
    /// CRC-32 of its data.
    pub crc: u32,
    /// Its data decompressed, in bytes.
    pub len: u64,
    /// Where its local header starts in the file.
    header: u64,
}

/// Where the central directory is.
struct Directory {
    start: u64,
    end: u64,
    members: u64,
    /// Bytes in front of the archive, to which all offsets are relative.
    shift: u64,
}

/// Why an archive with these members is no archive for us, if it is a spreadsheet's workbook.
pub(super) fn refuse_workbook(members: &[ZipMember]) -> Option<&'static str> {
    const OF_WORKBOOKS: [&str; 3] = ["xl/workbook.xml", "xl/workbook.bin", "META-INF/manifest.xml"];
    let is_one = members.iter().any(|member| OF_WORKBOOKS.contains(&member.name.as_str()));
    is_one.then_some("it is a workbook of a spreadsheet: save the sheet as CSV, and load that")
}

/// Reads the index of the archive called `archive`, of `size` bytes.
///
/// # Errors
/// [`SourceError::Damaged`] or [`SourceError::Refused`], inside an I/O error.
pub(super) fn index(
    reader: &mut StoredReader,
    size: u64,
    archive: &str,
    limits: Limits,
) -> io::Result<Vec<ZipMember>> {
    let damaged = |offset, reason: &str| damaged(archive, offset, reason);
    let directory = find_directory(reader, size, archive)?;
    if directory.members > limits.members as u64 {
        return Err(refused(archive, &format!("it has more than {} members", limits.members)));
    }
    reader.seek(directory.start);
    let mut input = reader.take(directory.end - directory.start);
    let mut members = Vec::new();
    for _ in 0..directory.members {
        let at = directory.end - input.limit();
        let member = central(&mut input, directory.shift).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => damaged(at, "the directory ends too early"),
            io::ErrorKind::InvalidData => damaged(at, "this is no entry of the directory"),
            _ => error,
        })?;
        members.push(member);
    }
    let mut spans: Vec<(u64, u64)> = Vec::with_capacity(members.len());
    for member in &members {
        let end =
            member.header.checked_add(LOCAL_BYTES).and_then(|at| at.checked_add(member.packed));
        match end {
            Some(end) if end <= directory.start => spans.push((member.header, end)),
            _ => return Err(damaged(member.header, "a member reaches beyond the archive's data")),
        }
    }
    spans.sort_unstable();
    if let Some(pair) = spans.windows(2).find(|pair| pair[0].1 > pair[1].0) {
        return Err(damaged(
            pair[1].0,
            "two members share their bytes, as only decompression bombs do",
        ));
    }
    Ok(members)
}

/// The member's data start here, behind its local header.
///
/// # Errors
/// [`SourceError::Damaged`], inside an I/O error.
pub(super) fn data_start(
    reader: &mut StoredReader,
    member: &ZipMember,
    archive: &str,
) -> io::Result<u64> {
    reader.seek(member.header);
    let mut header = [0; LOCAL_BYTES as usize];
    reader.read_exact(&mut header)?;
    if !header.starts_with(LOCAL) {
        return Err(damaged(archive, member.header, "this is no header of a member"));
    }
    Ok(member.header
        + LOCAL_BYTES
        + u64::from(u16_at(&header, 26))
        + u64::from(u16_at(&header, 28)))
}

/// Reads one entry of the central directory.
fn central(input: &mut impl Read, shift: u64) -> io::Result<ZipMember> {
    let mut fixed = [0; CENTRAL_BYTES];
    input.read_exact(&mut fixed)?;
    if !fixed.starts_with(CENTRAL) {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let lengths = [28, 30, 32].map(|at| usize::from(u16_at(&fixed, at)));
    const { assert!(MEMBER_NAME_BYTES_MAX > u16::MAX as usize) };
    let mut variable = vec![0; lengths.iter().sum()];
    input.read_exact(&mut variable)?;
    let (name, rest) = variable.split_at(lengths[0]);
    let extra = &rest[..lengths[1]];
    let mut packed = u64::from(u32_at(&fixed, 20));
    let mut len = u64::from(u32_at(&fixed, 24));
    let mut header = u64::from(u32_at(&fixed, 42));
    // Sizes beyond 4 GiB are in an extra field, in this order and only where they are needed.
    let mut wide = extra_field(extra, 1).unwrap_or(&[]);
    for value in [&mut len, &mut packed, &mut header] {
        if *value == u64::from(u32::MAX) {
            let (next, rest) = wide.split_at_checked(8).ok_or(io::ErrorKind::InvalidData)?;
            (*value, wide) = (u64_at(next, 0), rest);
        }
    }
    let flags = u16_at(&fixed, 8);
    let name = member_name(name, flags & 0x800 != 0);
    let made_on_unix = fixed[5] == 3;
    let mode = u32_at(&fixed, 38) >> 16 & 0o170_000;
    let refused = match mode {
        _ if name.ends_with('/') => Some(FOLDER),
        0o120_000 if made_on_unix => Some("it is a symbolic link: links are not followed"),
        // What was packed from a pipe (`command | zip out.zip -`) keeps its kind beside its data.
        0o010_000 if made_on_unix && len == 0 => Some("it is a device"),
        0o020_000 | 0o060_000 | 0o140_000 if made_on_unix => Some("it is a device"),
        _ => refuse_name(&name),
    };
    let (codec, unreadable) = match u16_at(&fixed, 10) {
        _ if flags & 0x2041 != 0 => {
            (None, Some("it is encrypted: decrypt the archive first".into()))
        }
        0 => (None, None),
        8 => (Some(Codec::Deflate), None),
        12 => (Some(Codec::Bzip2), None),
        93 => (Some(Codec::Zstd), None),
        95 => (Some(Codec::Xz), None),
        other => {
            let what = if other == 9 { "deflate64".to_owned() } else { format!("method {other}") };
            (None, Some(format!("it is compressed by {what}, which is not read: pack it again")))
        }
    };
    let crc = u32_at(&fixed, 16);
    let header = header.checked_add(shift).ok_or(io::ErrorKind::InvalidData)?;
    Ok(ZipMember { name, refused, unreadable, codec, packed, crc, len, header })
}

/// UTF-8 where the flag says so, or where it is; else a code page whose letters do not matter.
fn member_name(name: &[u8], utf8: bool) -> String {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) if utf8 => String::from_utf8_lossy(name).into_owned(),
        Err(_) => {
            name.iter().map(|&byte| if byte < 0x80 { char::from(byte) } else { '_' }).collect()
        }
    }
}

fn extra_field(mut extra: &[u8], wanted: u16) -> Option<&[u8]> {
    while let Some((head, rest)) = extra.split_at_checked(4) {
        let (field, rest) = rest.split_at_checked(usize::from(u16_at(head, 2)))?;
        if u16_at(head, 0) == wanted {
            return Some(field);
        }
        extra = rest;
    }
    None
}

/// Finds the central directory by the record at the end of the file.
fn find_directory(reader: &mut StoredReader, size: u64, archive: &str) -> io::Result<Directory> {
    let tail_start = size.saturating_sub((END_BYTES + 64 * KIB) as u64);
    let tail = read_at(reader, tail_start, size)?;
    let found = (0..tail.len().saturating_sub(END_BYTES - 1)).rev().find(|&at| {
        let comment = tail.get(at + 20..at + 22).map_or(0, |bytes| usize::from(u16_at(bytes, 0)));
        tail[at..].starts_with(END) && at + END_BYTES + comment <= tail.len()
    });
    let Some(at) = found else {
        return Err(damaged(
            archive,
            size,
            "the directory at its end is missing: the archive is truncated; get it again",
        ));
    };
    let end = &tail[at..];
    let end_at = tail_start + at as u64;
    let rest = tail.len() - at - END_BYTES - usize::from(u16_at(end, 20));
    if tail[tail.len() - rest..].iter().any(|byte| *byte != 0) {
        return Err(damaged(archive, size - rest as u64, "bytes follow the archive's end"));
    }
    if u16_at(end, 4) != u16_at(end, 6) || !matches!(u16_at(end, 4), 0 | u16::MAX) {
        return Err(refused(archive, "it is one part of a split archive: join the parts first"));
    }
    let (mut members, mut bytes) = (u64::from(u16_at(end, 10)), u64::from(u32_at(end, 12)));
    let (mut start, mut records) = (u64::from(u32_at(end, 16)), end_at);
    if let Some(wide) = find_end64(reader, end_at, archive)? {
        (members, bytes, start) = (u64_at(&wide.1, 32), u64_at(&wide.1, 40), u64_at(&wide.1, 48));
        records = wide.0;
    }
    // The directory ends where the records begin; what is in front of the archive shifts it all.
    let real = records.checked_sub(bytes);
    let shift = real.and_then(|real| real.checked_sub(start));
    match (real, shift) {
        (Some(start), Some(shift)) => Ok(Directory { start, end: records, members, shift }),
        _ => Err(damaged(archive, end_at, "the directory is not where this record says")),
    }
}

/// The record of an archive with more or larger members than the old one can say, if there is one.
fn find_end64(
    reader: &mut StoredReader,
    end_at: u64,
    archive: &str,
) -> io::Result<Option<(u64, Vec<u8>)>> {
    let Some(locator_at) = end_at.checked_sub(20) else { return Ok(None) };
    let locator = read_at(reader, locator_at, end_at)?;
    if !locator.starts_with(LOCATOR64) {
        return Ok(None);
    }
    // It stands right before its locator, unless it has data of its own.
    for at in [Some(u64_at(&locator, 8)), locator_at.checked_sub(56)].into_iter().flatten() {
        let Some(end) = at.checked_add(56).filter(|&end| end <= locator_at) else { continue };
        let record = read_at(reader, at, end)?;
        if record.starts_with(END64) {
            return Ok(Some((at, record)));
        }
    }
    Err(damaged(archive, locator_at, "the record that this one points to is not there"))
}

fn read_at(reader: &mut StoredReader, start: u64, end: u64) -> io::Result<Vec<u8>> {
    reader.seek(start);
    let mut bytes = vec![0; (end - start) as usize];
    reader.read_exact(&mut bytes)?;
    Ok(bytes)
}

fn damaged(archive: &str, offset: u64, reason: &str) -> io::Error {
    let (name, reason) = (archive.to_owned(), reason.to_owned());
    SourceError::Damaged { name, what: "zip", offset, reason }.into_io()
}

fn refused(archive: &str, reason: &str) -> io::Error {
    SourceError::Refused { name: archive.to_owned(), reason: reason.to_owned() }.into_io()
}

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Compares a member's data with what the directory says of them, once they were read to the end.
pub(super) struct Checked<R> {
    inner: R,
    name: String,
    crc: crc32fast::Hasher,
    made: u64,
    expected: (u32, u64),
}

impl<R: BufRead> Checked<R> {
    /// `inner` must give the data of `member`, which is called `name` in errors.
    pub fn new(inner: R, member: &ZipMember, name: &str) -> Self {
        let (crc, expected) = (crc32fast::Hasher::new(), (member.crc, member.len));
        Self { inner, name: name.to_owned(), crc, made: 0, expected }
    }
}

impl<R: BufRead> Read for Checked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let len = self.inner.read(into)?;
        self.crc.update(&into[..len]);
        self.made += len as u64;
        let (crc, expected) = self.expected;
        let reason =
            if self.made > expected || (len == 0 && !into.is_empty() && self.made != expected) {
                format!("its directory says {expected} bytes, but there are others")
            } else if len == 0 && !into.is_empty() && self.crc.clone().finalize() != crc {
                "its checksum is another; get the archive again".to_owned()
            } else {
                return Ok(len);
            };
        let (name, offset) = (self.name.clone(), self.made);
        Err(SourceError::Damaged { name, what: "zip", offset, reason }.into_io())
    }
}
