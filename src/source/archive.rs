//! Archives read as streams, member by member. Nothing is ever extracted: a member is a name and
//! bytes, and what is no regular file under a plain relative name is told with the reason why it
//! is passed over.
//!
//! [`TarMembers`] walks any tar stream in order, with memory for one header:
//!
//! ```
//! # fn main() -> std::io::Result<()> {
//! # let stream: &[u8] = &[0; 1024];
//! use std::io::Read;
//! let mut members = tidegate::source::archive::TarMembers::new(stream, "a.tar");
//! let mut document = Vec::new();
//! while let Some(member) = members.next_member()? {
//!     if member.refused.is_none() {
//!         document.clear();
//!         members.by_ref().take(1 << 20).read_to_end(&mut document)?;
//!         // member.name, document
//!     }
//! }
//! # Ok(())
//! # }
//! ```
//!
//! The stream may be a [`super::ContentReader`] over a compressed archive that was taken as one
//! content ([`super::Want::Archive`]).

use std::io::{self, Read};

use super::SourceError;
use super::stored::fill;
use crate::limit::MEMBER_NAME_BYTES_MAX;

/// Size of a header, and what data are padded to, in bytes.
const BLOCK: usize = 512;

/// A member of a tar stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name with folders, without a leading `./`; bytes that are no UTF-8 are replaced.
    pub name: String,
    /// Where its data start, in bytes from the start of the tar stream.
    pub offset: u64,
    /// Its data, in bytes.
    pub len: u64,
    /// Why it is not to be read; none: it is a regular file. A folder is refused by the empty
    /// reason [`FOLDER`].
    pub refused: Option<&'static str>,
}

/// The reason for which folders are passed over: none worth telling.
pub const FOLDER: &str = "";

/// Walks the members of a tar stream (ustar, GNU, PAX) in order. Reading gives the data of the
/// member that came last; what is not read of it is skipped.
#[derive(Debug)]
pub struct TarMembers<R> {
    input: R,
    archive: String,
    /// Bytes of the stream that were read.
    at: u64,
    /// Bytes of the member that were not read yet.
    left: u64,
    ended: bool,
}

/// What extended headers say of the member that follows them.
#[derive(Debug, Default)]
struct Extended {
    name: Option<String>,
    len: Option<u64>,
    sparse: bool,
}

impl<R: Read> TarMembers<R> {
    /// Walks `input`, which is the archive called `archive`; the name is for errors.
    pub fn new(input: R, archive: &str) -> Self {
        Self { input, archive: archive.to_owned(), at: 0, left: 0, ended: false }
    }

    /// The stream.
    pub(super) fn get_mut(&mut self) -> &mut R {
        &mut self.input
    }

    /// The stream, from where the walk stands.
    pub(super) fn into_inner(self) -> R {
        self.input
    }

    /// The next member; none at the archive's end.
    ///
    /// # Errors
    /// Those of the stream; [`SourceError::Damaged`], inside an [`io::Error`], if it is no tar
    /// archive, or ends before its end.
    pub fn next_member(&mut self) -> io::Result<Option<Member>> {
        let mut extended = Extended::default();
        while !self.ended {
            self.skip_rest()?;
            let start = self.at;
            let mut header = [0; BLOCK];
            self.block(&mut header)?;
            if header == [0; BLOCK] {
                self.end()?;
                break;
            }
            if !checksum_holds(&header) {
                return Err(self.damaged(start, "this is no header of a member"));
            }
            let len = number(&header[124..136])
                .ok_or_else(|| self.damaged(start, "the size in this header is no number"))?;
            match header[156] {
                b'L' => extended.name = Some(lossy(&self.data(start, len)?)),
                b'x' => {
                    let records = self.data(start, len)?;
                    self.pax(start, &records, &mut extended)?;
                }
                // Names of links, and what holds for all members: times, comments.
                b'K' | b'g' => drop(self.data(start, len)?),
                kind => return Ok(Some(self.member(&header, kind, len, extended))),
            }
        }
        Ok(None)
    }

    fn member(&mut self, header: &[u8], kind: u8, len: u64, extended: Extended) -> Member {
        let name = extended.name.unwrap_or_else(|| ustar_name(header));
        let name = name.strip_prefix("./").unwrap_or(&name).to_owned();
        // Links, devices and folders have no data, whatever their size says.
        let len = if (b'1'..=b'6').contains(&kind) { 0 } else { extended.len.unwrap_or(len) };
        let refused = match kind {
            b'0' | b'7' | 0 if extended.sparse => Some(SPARSE),
            b'0' | b'7' | 0 if name.ends_with('/') => Some(FOLDER),
            b'0' | b'7' | 0 => refuse_name(&name),
            b'1' => Some("it is a hard link: links are not followed"),
            b'2' => Some("it is a symbolic link: links are not followed"),
            b'3' | b'4' => Some("it is a device"),
            b'5' => Some(FOLDER),
            b'6' => Some("it is a named pipe"),
            b'S' => Some(SPARSE),
            _ => Some("it is of a kind that holds no file"),
        };
        self.left = len;
        Member { name, offset: self.at, len, refused }
    }

    /// The data of an extended header.
    fn data(&mut self, start: u64, len: u64) -> io::Result<Vec<u8>> {
        if len > MEMBER_NAME_BYTES_MAX as u64 {
            return Err(self.damaged(start, "the name in this header is longer than any name"));
        }
        self.left = len;
        let mut data = vec![0; len as usize];
        self.read_exact(&mut data)?;
        Ok(data)
    }

    /// Records of the form `length key=value`, each ended by a line feed.
    fn pax(&self, start: u64, records: &[u8], extended: &mut Extended) -> io::Result<()> {
        let bad = || self.damaged(start, "this extended header contradicts itself");
        let mut rest = records;
        while !rest.is_empty() && rest.iter().any(|byte| *byte != 0) {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let len: usize = decimal(&rest[..digits]).ok_or_else(bad)?;
            if len <= digits || len > rest.len() {
                return Err(bad());
            }
            let (record, after) = rest.split_at(len);
            let record = record[digits..].strip_prefix(b" ").ok_or_else(bad)?;
            let record = record.strip_suffix(b"\n").ok_or_else(bad)?;
            let equals = record.iter().position(|byte| *byte == b'=').ok_or_else(bad)?;
            let (key, value) = (&record[..equals], &record[equals + 1..]);
            match key {
                b"path" => extended.name = Some(lossy(value)),
                b"size" => extended.len = Some(decimal(value).ok_or_else(bad)?),
                key if key.starts_with(b"GNU.sparse") => extended.sparse = true,
                _ => {}
            }
            rest = after;
        }
        Ok(())
    }

    /// Everything behind the end marker must be padding.
    fn end(&mut self) -> io::Result<()> {
        self.ended = true;
        let mut block = [0; BLOCK];
        loop {
            let start = self.at;
            let len = fill(&mut self.input, &mut block)?;
            self.at += len as u64;
            if block[..len].iter().any(|byte| *byte != 0) {
                return Err(self.damaged(
                    start,
                    "bytes follow the archive's end: if archives were joined, load them apart",
                ));
            }
            if len < BLOCK {
                return Ok(());
            }
        }
    }

    fn block(&mut self, into: &mut [u8; BLOCK]) -> io::Result<()> {
        let len = fill(&mut self.input, into)?;
        self.at += len as u64;
        if len == BLOCK {
            return Ok(());
        }
        Err(self.truncated())
    }

    /// Reads over what is left of the member at hand and its padding.
    fn skip_rest(&mut self) -> io::Result<()> {
        let end = self.at + self.left;
        let padding = (BLOCK as u64 - end % BLOCK as u64) % BLOCK as u64;
        let wanted = self.left + padding;
        let skipped = io::copy(&mut self.input.by_ref().take(wanted), &mut io::sink())?;
        self.at += skipped;
        self.left = 0;
        if skipped == wanted { Ok(()) } else { Err(self.truncated()) }
    }

    fn truncated(&mut self) -> io::Error {
        self.ended = true;
        self.damaged(self.at, "the data end before the archive does: it is truncated; get it again")
    }

    fn damaged(&self, offset: u64, reason: &str) -> io::Error {
        let (name, reason) = (self.archive.clone(), reason.to_owned());
        SourceError::Damaged { name, what: "tar", offset, reason }.into_io()
    }
}

impl<R: Read> Read for TarMembers<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(into.len());
        if wanted == 0 {
            return Ok(0);
        }
        let len = self.input.read(&mut into[..wanted])?;
        if len == 0 {
            return Err(self.truncated());
        }
        self.at += len as u64;
        self.left -= len as u64;
        Ok(len)
    }
}

const SPARSE: &str = "it is a sparse file, which is not stored as it is";

/// Why a member of this name is not read, if it is not.
pub(super) fn refuse_name(name: &str) -> Option<&'static str> {
    let parts = || name.split(['/', '\\']);
    let drive = matches!(name.as_bytes(), [letter, b':', ..] if letter.is_ascii_alphabetic());
    if name.is_empty() {
        return Some("it has no name");
    }
    if name.starts_with(['/', '\\']) || drive {
        return Some("its path is absolute");
    }
    if parts().any(|part| part == "..") {
        return Some("its path leads out of the archive (..)");
    }
    parts()
        .any(|part| part.starts_with('.') && part != "." || part == "__MACOSX")
        .then_some("it is hidden")
}

/// Whether these first bytes are those of a tar archive: a header whose checksum holds, or the end
/// marker of one without members.
pub(super) fn is_tar(head: &[u8]) -> bool {
    match head.first_chunk::<BLOCK>() {
        Some(first) if *first == [0; BLOCK] => {
            head.len() >= 2 * BLOCK && head.iter().all(|byte| *byte == 0)
        }
        Some(first) => first[0] != 0 && checksum_holds(first),
        None => false,
    }
}

/// The sum of the header's bytes, its own field counted as spaces; some writers summed signed ones.
fn checksum_holds(header: &[u8; BLOCK]) -> bool {
    let Some(stored) = number(&header[148..156]) else { return false };
    let (mut unsigned, mut signed) = (0_u64, 0_i64);
    for (at, byte) in header.iter().enumerate() {
        let byte = if (148..156).contains(&at) { b' ' } else { *byte };
        unsigned += u64::from(byte);
        signed += i64::from(byte.cast_signed());
    }
    stored == unsigned || i64::try_from(stored) == Ok(signed)
}

/// An octal number, or a big-endian one whose first bit is set.
fn number(field: &[u8]) -> Option<u64> {
    if let [0x80, rest @ ..] = field {
        return rest
            .iter()
            .try_fold(0_u64, |number, byte| Some(number.checked_mul(256)? | u64::from(*byte)));
    }
    let text = field.split(|byte| *byte == 0).next().unwrap_or(&[]).trim_ascii();
    if text.is_empty() {
        return Some(0);
    }
    text.iter().try_fold(0_u64, |number, byte| match byte {
        b'0'..=b'7' => number.checked_mul(8)?.checked_add(u64::from(byte - b'0')),
        _ => None,
    })
}

fn decimal<T: std::str::FromStr>(digits: &[u8]) -> Option<T> {
    std::str::from_utf8(digits).ok()?.parse().ok()
}

fn ustar_name(header: &[u8]) -> String {
    let name = lossy(&header[..100]);
    let ustar = &header[257..263] == b"ustar\0";
    let prefix = if ustar { lossy(&header[345..500]) } else { String::new() };
    if prefix.is_empty() { name } else { format!("{prefix}/{name}") }
}

/// Text up to its first NUL.
fn lossy(bytes: &[u8]) -> String {
    let text = bytes.split(|byte| *byte == 0).next().unwrap_or(&[]);
    String::from_utf8_lossy(text).into_owned()
}
