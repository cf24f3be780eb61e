//! The cutter of tar archives whose members are records, a document each: it walks the archive's
//! own bytes, from header to header. What stands between documents is no record. It needs no
//! names, unpacks nothing, and reads nothing: links, folders and devices have no data, and what is
//! said about the next member's name or times is passed over.
//!
//! A chunk ends at the first member's end at or after a multiple of the chunk size, so it may be
//! entered wherever one ended.

use super::chunk::{RangeFault, RecordRange};
use crate::decode::Cut;
use crate::decode::cut::bom_len;
use crate::limit::{MIB, RECORD_BYTES_MAX};

/// Size of a header, and what data are padded to, in bytes.
const BLOCK: usize = 512;
/// Bytes of an extended header at most; longer ones are taken for damage.
const EXTENDED_BYTES_MAX: u64 = MIB as u64;

/// The walk. Positions count from the chunk's first byte.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// Where the next header is.
    at: usize,
    /// The archive's end mark, or damage, was met: nothing that follows is a member.
    ended: bool,
    /// Bytes of a member that was too long which are still to come.
    dropping: u64,
}

/// What a header says.
enum Header {
    /// The end mark.
    End,
    /// A file with so many bytes.
    File(u64),
    /// Something else that takes so many bytes.
    Other(u64),
    /// Not a header.
    Bad,
}

impl Members {
    /// Looks for the end of a chunk, which is at or after `target`, and adds the members that it
    /// meets to `found`.
    pub fn cut(
        &mut self,
        bytes: &[u8],
        eof: bool,
        target: usize,
        found: &mut Vec<RecordRange>,
    ) -> Cut {
        while !self.ended && self.at < target {
            let Some(header) = bytes.get(self.at..self.at + BLOCK) else {
                if !eof {
                    return Cut::NeedMore;
                }
                return self.cut_off(bytes, found);
            };
            let data = self.at + BLOCK;
            match read(header) {
                Header::End => self.ended = true,
                Header::Bad => {
                    found.push(range(self.at, BLOCK, Some(RangeFault::BadMember)));
                    self.ended = true;
                }
                Header::File(len) if len > RECORD_BYTES_MAX as u64 => {
                    let kept = data + RECORD_BYTES_MAX + 1;
                    if bytes.len() < kept {
                        return if eof { self.cut_off(bytes, found) } else { Cut::NeedMore };
                    }
                    found.push(range(data, RECORD_BYTES_MAX + 1, None));
                    self.dropping = padded(len) - (RECORD_BYTES_MAX as u64 + 1);
                    self.at = 0;
                    return Cut::TooLong(kept);
                }
                Header::File(len) | Header::Other(len) => {
                    let next = data + padded(len) as usize;
                    if bytes.len() < next {
                        return if eof { self.cut_off(bytes, found) } else { Cut::NeedMore };
                    }
                    if is_file(header) {
                        let mark = bom_len(&bytes[data..data + len as usize]);
                        found.push(range(data + mark, len as usize - mark, None));
                    }
                    self.at = next;
                }
            }
        }
        let end = if self.ended { target.max(self.at) } else { self.at };
        if self.ended && bytes.len() < end {
            return if eof { Cut::End(bytes.len()) } else { Cut::NeedMore };
        }
        self.at = 0;
        Cut::End(end)
    }

    /// The archive ends inside a member, or without its end mark, which some writers leave out.
    fn cut_off(&mut self, bytes: &[u8], found: &mut Vec<RecordRange>) -> Cut {
        let left = bytes.len() - self.at.min(bytes.len());
        if left > 0 {
            let len = left.min(RECORD_BYTES_MAX);
            found.push(range(self.at, len, Some(RangeFault::CutOff)));
        }
        (self.at, self.ended) = (0, true);
        Cut::End(bytes.len())
    }

    /// After [`Cut::TooLong`]: how many of `bytes` still belong to that member; `None`: all.
    pub fn drop_rest(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.dropping <= bytes.len() as u64 {
            return Some(std::mem::take(&mut self.dropping) as usize);
        }
        self.dropping -= bytes.len() as u64;
        None
    }
}

fn range(start: usize, len: usize, fault: Option<RangeFault>) -> RecordRange {
    RecordRange { start: start as u32, len: len as u32, fault }
}

fn padded(len: u64) -> u64 {
    len.div_ceil(BLOCK as u64).saturating_mul(BLOCK as u64)
}

fn is_file(header: &[u8]) -> bool {
    let name = header[..100].split(|byte| *byte == 0).next().unwrap_or_default();
    matches!(header[156], b'0' | b'7' | 0) && !name.ends_with(b"/") && !is_of_finder(name)
}

/// Whether macOS added it to what its user packed.
fn is_of_finder(name: &[u8]) -> bool {
    name.split(|byte| *byte == b'/')
        .any(|part| part.starts_with(b"._") || part == b".DS_Store" || part == b"__MACOSX")
}

/// Reads a header of 512 bytes.
fn read(header: &[u8]) -> Header {
    if header.iter().all(|byte| *byte == 0) {
        return Header::End;
    }
    let sum = |bytes: &[u8]| bytes.iter().map(|byte| u64::from(*byte)).sum::<u64>();
    // The checksum itself counts as eight spaces.
    let expected = sum(&header[..148]) + 8 * 32 + sum(&header[156..]);
    if number(&header[148..156]) != Some(expected) {
        return Header::Bad;
    }
    let Some(len) = number(&header[124..136]) else { return Header::Bad };
    match header[156] {
        b'1'..=b'6' => Header::Other(0),
        b'0' | b'7' | 0 => Header::File(len),
        _ if len <= EXTENDED_BYTES_MAX => Header::Other(len),
        _ => Header::Bad,
    }
}

/// A number in octal digits or, with the first bit set, in binary.
fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let start = u64::from(first & 0x7f);
        return rest
            .iter()
            .try_fold(start, |value, byte| Some(value.checked_mul(256)? | u64::from(*byte)));
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode::count_json_records;
    use crate::mapping::{JsonRecords, JsonShape};

    /// A header for a member of this kind and size.
    fn header(name: &str, kind: u8, len: usize) -> Vec<u8> {
        let mut header = vec![0; BLOCK];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[124..135].copy_from_slice(format!("{len:011o}").as_bytes());
        header[148..156].copy_from_slice(b"        ");
        header[156] = kind;
        let sum: u64 = header.iter().map(|byte| u64::from(*byte)).sum();
        header[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        header
    }

    fn member(name: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = header(name, b'0', data.len());
        bytes.extend_from_slice(data);
        bytes.resize(bytes.len().next_multiple_of(BLOCK), 0);
        bytes
    }

    /// All chunks of an archive that is read piece by piece: their ends, records and faults.
    fn chunks(
        tar: &[u8],
        chunk: usize,
        step: usize,
        start: usize,
    ) -> Vec<(usize, Vec<RecordRange>)> {
        let (mut walk, mut start, mut all) = (Members::default(), start, Vec::new());
        while start < tar.len() {
            let (mut len, mut found) = (0, Vec::new());
            loop {
                len = (len + step).min(tar.len() - start);
                let target = chunk - start % chunk;
                let eof = start + len == tar.len();
                match walk.cut(&tar[start..start + len], eof, target, &mut found) {
                    Cut::NeedMore => assert!(!eof),
                    Cut::End(end) => {
                        start += end;
                        break;
                    }
                    Cut::TooLong(_) => panic!("nothing is long"),
                }
            }
            all.push((start, found));
        }
        all
    }

    /// Records by the independent count.
    fn counted(tar: &[u8]) -> Option<u64> {
        let shape = JsonShape {
            records: JsonRecords::Members,
            fields: Vec::new(),
            elements: None,
            nulls: Vec::new(),
        };
        count_json_records(tar, &shape).unwrap()
    }

    fn archive() -> Vec<u8> {
        let mut tar = header("killmails/", b'5', 0);
        for at in 0..40_usize {
            tar.extend(member(&format!("killmails/{at}.json"), "x".repeat(at * 37).as_bytes()));
            if at == 7 {
                tar.extend(header("link", b'2', 99));
                let long = member("././@LongLink", b"a name\0");
                tar.extend(header("././@LongLink", b'L', 7));
                tar.extend(&long[BLOCK..]);
            }
        }
        tar.resize(tar.len() + 20 * BLOCK, 0);
        tar
    }

    #[test]
    fn members_are_found_however_the_bytes_come() {
        let tar = archive();
        let whole = chunks(&tar, 4096, tar.len(), 0);
        let lens: Vec<u32> = whole.iter().flat_map(|(_, found)| found).map(|r| r.len).collect();
        assert_eq!(lens, (0..40).map(|at| at * 37).collect::<Vec<_>>());
        assert!(whole.iter().all(|(_, found)| found.iter().all(|record| record.fault.is_none())));
        for step in [1, 511, 512, 700, 5000] {
            assert_eq!(chunks(&tar, 4096, step, 0), whole, "{step}");
        }
        for (at, (end, _)) in whole.iter().enumerate() {
            assert_eq!(chunks(&tar, 4096, 600, *end), whole[at + 1..], "from {end}");
        }
        assert_eq!(counted(&tar), Some(40));
    }

    #[test]
    fn what_a_mac_adds_is_no_record_and_a_byte_order_mark_is_none_of_it() {
        let mut tar = member("k/._1.json", b"\0\x05\x16\x07");
        for (name, data) in [
            ("k/1.json", &b"\xef\xbb\xbf{}"[..]),
            ("__MACOSX/k/2.json", b"junk"),
            ("k/.DS_Store", b"junk"),
            ("./.hidden/3.json", b"{}"),
        ] {
            tar.extend(member(name, data));
        }
        let found: Vec<(u32, u32)> = (chunks(&tar, 4096, tar.len(), 0).iter())
            .flat_map(|(_, found)| found)
            .map(|record| (record.start % 512, record.len))
            .collect();
        assert_eq!(found, [(3, 2), (0, 2)]);
        assert_eq!(counted(&tar), Some(2));
    }

    #[test]
    fn an_archive_that_breaks_off_or_is_damaged_is_one_reject() {
        let tar = archive();
        let records = |tar: &[u8]| -> Vec<Option<RangeFault>> {
            let chunks = chunks(tar, 4096, 1000, 0);
            chunks.iter().flat_map(|(_, found)| found).map(|record| record.fault).collect()
        };
        let cut = records(&tar[..BLOCK * 5 + 9]);
        assert_eq!(cut.last(), Some(&Some(RangeFault::CutOff)));
        let mut damaged = tar;
        damaged[BLOCK * 2 + 3] ^= 1;
        let damaged = records(&damaged);
        assert_eq!(damaged, [None, Some(RangeFault::BadMember)]);
        // Without an end mark.
        let plain = member("a", b"{}");
        assert_eq!(records(&plain), [None]);
    }

    #[test]
    fn a_member_that_is_too_long_is_dropped() {
        let len = RECORD_BYTES_MAX + 5 * BLOCK + 1;
        let mut tar = header("long", b'0', len);
        tar.resize(BLOCK + len.next_multiple_of(BLOCK), b'x');
        let end = tar.len();
        tar.extend(member("next", b"{}"));
        let (mut walk, mut found) = (Members::default(), Vec::new());
        let target = 4 * MIB;
        let Cut::TooLong(kept) = walk.cut(&tar, true, target, &mut found) else {
            panic!("it is too long")
        };
        assert_eq!((found[0].start, found[0].len as usize), (512, RECORD_BYTES_MAX + 1));
        assert_eq!(walk.drop_rest(&tar[kept..kept + 100]), None);
        assert_eq!(walk.drop_rest(&tar[kept + 100..]), Some(end - kept - 100));
        found.clear();
        assert_eq!(walk.cut(&tar[end..], true, target, &mut found), Cut::End(tar.len() - end));
        assert_eq!(found.len(), 1);
    }
}
