//! Streams, archives and bombs, made here.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::archive::TarMembers;
use super::meter::Limits;
use super::walk::look_within;
use super::*;
use crate::limit::{BLOCK_BYTES, SAMPLE_BYTES};

const CODECS: [Codec; 6] =
    [Codec::Gzip, Codec::Zstd, Codec::Bzip2, Codec::Xz, Codec::Lz4, Codec::Brotli];

/// One stream of a format.
fn pack(codec: Codec, bytes: &[u8]) -> Vec<u8> {
    let level = flate2::Compression::default();
    let written = match codec {
        Codec::Gzip => {
            let mut to = flate2::write::GzEncoder::new(Vec::new(), level);
            to.write_all(bytes).and_then(|()| to.finish())
        }
        Codec::Deflate => {
            let mut to = flate2::write::DeflateEncoder::new(Vec::new(), level);
            to.write_all(bytes).and_then(|()| to.finish())
        }
        Codec::Bzip2 => {
            let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
            to.write_all(bytes).and_then(|()| to.finish())
        }
        Codec::Zstd => zstd::stream::Encoder::new(Vec::new(), 3).and_then(|mut to| {
            to.include_checksum(true)?;
            to.write_all(bytes)?;
            to.finish()
        }),
        Codec::Xz => {
            let mut to = liblzma::write::XzEncoder::new(Vec::new(), 1);
            to.write_all(bytes).and_then(|()| to.finish())
        }
        Codec::Lz4 => {
            let info = lz4_flex::frame::FrameInfo::new().content_checksum(true);
            let mut to = lz4_flex::frame::FrameEncoder::with_frame_info(info, Vec::new());
            to.write_all(bytes).map(|()| to.finish().unwrap())
        }
        Codec::Brotli => Ok(brotli(bytes)),
        Codec::Utf16 { low_first } => Ok(wide(&String::from_utf8_lossy(bytes), low_first)),
    };
    written.unwrap()
}

/// UTF-16 with its mark.
fn wide(text: &str, low_first: bool) -> Vec<u8> {
    let units = "\u{feff}".encode_utf16().chain(text.encode_utf16());
    units.flat_map(|u| if low_first { u.to_le_bytes() } else { u.to_be_bytes() }).collect()
}

/// Brotli of uncompressed blocks: a window of 16 bits, blocks of up to 64 KiB, an empty last one.
fn brotli(bytes: &[u8]) -> Vec<u8> {
    let (mut made, mut bits, mut count) = (Vec::new(), 0_u64, 0);
    let mut put = |made: &mut Vec<u8>, value: u64, width: u32, align: bool| {
        bits |= value << count;
        count += width;
        while count >= 8 || (align && count > 0) {
            made.push(bits as u8);
            bits >>= 8;
            count = count.saturating_sub(8);
        }
    };
    put(&mut made, 0, 1, false);
    for block in bytes.chunks(1 << 16) {
        put(&mut made, 0, 1, false);
        put(&mut made, 0, 2, false);
        put(&mut made, block.len() as u64 - 1, 16, false);
        put(&mut made, 1, 1, true);
        made.extend_from_slice(block);
    }
    put(&mut made, 3, 2, true);
    made
}

fn unpack(codec: Codec, packed: &[u8]) -> Result<Vec<u8>, SourceError> {
    let mut made = Vec::new();
    let mut decoder = codec::Decoder::new(codec, Box::new(packed), ("a.csv", 0), None);
    match decoder.read_to_end(&mut made) {
        Ok(_) => Ok(made),
        Err(error) => Err(SourceError::of(&Path::new("a.csv").into(), error)),
    }
}

/// Bytes that compress, but not to nothing.
fn text(len: usize) -> Vec<u8> {
    (0_u64..).flat_map(|n| format!("{n},{}\n", n * n % 977).into_bytes()).take(len).collect()
}

#[test]
fn every_format_gives_back_what_was_packed() {
    let text = text(300_000);
    for codec in CODECS.into_iter().chain([Codec::Deflate]) {
        for part in [&text[..], &text[..1], b""] {
            let packed = pack(codec, part);
            assert!(unpack(codec, &packed).unwrap() == part, "{codec:?} {}", part.len());
            let sniffed = Codec::of(&packed, "a.br");
            assert!(sniffed == Some(codec) || codec == Codec::Deflate, "{codec:?}");
        }
        assert_eq!(unpack(codec, b"").unwrap(), b"", "{codec:?}: no byte is no data");
    }
    assert_eq!(Codec::of(b"ts,open\n", "a.gz"), None, "an ending alone says nothing");
    assert_eq!(Codec::of(b"BZh9 is no ticker", ""), None);
}

#[test]
fn streams_one_after_another_are_one() {
    let (first, second) = (text(70_000), text(20));
    for codec in CODECS {
        let mut packed = pack(codec, &first);
        packed.extend(pack(codec, b""));
        packed.extend(pack(codec, &second));
        let both = unpack(codec, &packed);
        if codec == Codec::Brotli {
            assert!(both.is_err(), "brotli has no such thing");
            continue;
        }
        assert!(both.unwrap() == [&first[..], &second].concat(), "{codec:?}");
    }
    for codec in [Codec::Zstd, Codec::Lz4] {
        let mut packed = b"\x51\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        packed.extend(pack(codec, &second));
        packed.extend(b"\x50\x2a\x4d\x18\0\0\0\0");
        assert_eq!(unpack(codec, &packed).unwrap(), second, "{codec:?}: frames to skip");
        assert!(unpack(codec, &packed[..10]).is_err());
    }
}

#[test]
fn what_follows_the_last_stream_is_padding_or_an_error() {
    for codec in CODECS {
        let packed = pack(codec, &text(5_000));
        let padded = [&packed[..], &[0; 700]].concat();
        assert!(unpack(codec, &padded).is_ok(), "{codec:?}");
        for garbage in [&b"garbage"[..], b"\0\0x", b"\x1f"] {
            let error = unpack(codec, &[&packed[..], garbage].concat()).unwrap_err();
            let SourceError::Damaged { name, what, offset, reason } = error else { panic!() };
            let zeros = garbage.iter().take_while(|byte| **byte == 0).count();
            assert_eq!((name.as_str(), what), ("a.csv", codec.name()));
            assert_eq!(offset, (packed.len() + zeros) as u64, "{codec:?}");
            assert!(reason.contains("follow"), "{reason}");
        }
    }
}

#[test]
fn a_truncated_stream_is_an_error_wherever_it_ends() {
    for codec in CODECS {
        let packed = pack(codec, &text(150_000));
        let all = (1..packed.len()).filter(|at| *at < 60 || packed.len() - at < 60);
        for len in all.chain((60..packed.len()).step_by(9_970)) {
            let error = unpack(codec, &packed[..len]).map(|made| made.len()).unwrap_err();
            let SourceError::Damaged { offset, reason, .. } = error else { panic!() };
            assert!(reason.contains("truncated"), "{codec:?} {len}: {reason}");
            assert!(offset <= len as u64, "{codec:?}");
        }
    }
}

#[test]
fn a_damaged_stream_is_an_error_or_harmless() {
    let text = text(20_000);
    // Brotli has no checksum, and here not even codes that could be wrong.
    for codec in &CODECS[..5] {
        let packed = pack(*codec, &text);
        let mut errors = 0;
        for at in (0..packed.len()).step_by(7) {
            let mut damaged = packed.clone();
            damaged[at] ^= 0x14;
            match unpack(*codec, &damaged) {
                Ok(made) => assert!(made == text, "{codec:?} {at}"),
                Err(error) => {
                    assert!(error.to_string().contains("at byte"), "{error}");
                    errors += 1;
                }
            }
        }
        assert!(errors > packed.len() / 8, "{codec:?}: {errors} of {}", packed.len());
    }
}

/// What a walk came upon: wanted contents as `(name, path name, bytes)`, and what was said.
#[derive(Default)]
struct Heard {
    contents: Vec<(String, String, Vec<u8>)>,
    kept: Vec<Content>,
    ignored: Vec<(String, String)>,
    failed: Vec<(String, String)>,
    /// Take the tar stream around this as a whole.
    whole: Option<&'static str>,
}

impl Visitor for Heard {
    type Known = String;

    fn look(&mut self, seen: &Seen<'_>) -> Want<String> {
        assert!(seen.head.len() <= SAMPLE_BYTES);
        if self.whole.is_some_and(|name| seen.name.ends_with(name)) {
            assert!(seen.in_tar);
            return Want::Archive(seen.name.to_owned());
        }
        if seen.head.starts_with(b"not") {
            return Want::No;
        }
        Want::This(seen.path_name.to_owned())
    }

    fn take(&mut self, known: String, content: Content) {
        let mut reader =
            ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        assert_eq!(content.fingerprint.bytes, bytes.len() as u64);
        assert_eq!(content.fingerprint.hash, *blake3::hash(&bytes).as_bytes());
        self.contents.push((content.name.clone(), known, bytes));
        self.kept.push(content);
    }

    fn ignored(&mut self, name: String, why: String) {
        self.ignored.push((name, why));
    }

    fn failed(&mut self, name: String, why: String) {
        self.failed.push((name, why));
    }
}

struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn look(&self, name: &str, bytes: &[u8]) -> (Heard, Result<(), SourceError>) {
        self.look_for(Heard::default(), name, bytes)
    }

    fn look_for(
        &self,
        mut heard: Heard,
        name: &str,
        bytes: &[u8],
    ) -> (Heard, Result<(), SourceError>) {
        let path = self.file(name, bytes);
        let outcome = look_into(&path.as_path().into(), name, &Spooler::default(), &mut heard);
        (heard, outcome)
    }

    /// Looks with copies kept, up to `max` bytes; how many they take once the file is looked at.
    fn look_keeping(&self, name: &str, bytes: &[u8], max: u64) -> (Heard, u64) {
        let (path, mut heard) = (self.file(name, bytes), Heard::default());
        let spooler = Spooler::default().keeping(self.0.path().to_owned(), max);
        look_into(&path.as_path().into(), name, &spooler, &mut heard).unwrap();
        (heard, spooler.kept_bytes())
    }
}

/// All bytes of a content.
fn read(content: &Content) -> Result<Vec<u8>, SourceError> {
    let mut reader = ContentReader::open(&content.location, content.fingerprint.clone(), 0)?;
    let mut bytes = Vec::new();
    while reader.read_more(&mut bytes, usize::MAX)? > 0 {}
    Ok(bytes)
}

fn names(heard: &Heard) -> Vec<&str> {
    heard.contents.iter().map(|(name, ..)| name.as_str()).collect()
}

fn zip_of(members: &[(&str, &[u8], ::zip::CompressionMethod)]) -> Vec<u8> {
    let mut writer = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    for (name, bytes, method) in members {
        let options = ::zip::write::SimpleFileOptions::default().compression_method(*method);
        writer.start_file(*name, options).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

fn tar_of(members: &[(&str, &[u8])]) -> Vec<u8> {
    let mut builder = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        builder.append_data(&mut header, name, *bytes).unwrap();
    }
    builder.into_inner().unwrap()
}

const STORED: ::zip::CompressionMethod = ::zip::CompressionMethod::Stored;
const DEFLATED: ::zip::CompressionMethod = ::zip::CompressionMethod::Deflated;

#[test]
fn a_content_is_the_same_however_it_is_packed() {
    let (folder, text) = (Folder::new(), text(BLOCK_BYTES + 77_777));
    let mut forms = vec![("a.csv".to_owned(), text.clone())];
    for codec in CODECS {
        forms.push((format!("a.csv.{}", ending(codec)), pack(codec, &text)));
    }
    for low_first in [true, false] {
        let wide = pack(Codec::Utf16 { low_first }, &text);
        forms.push(("a.csv.GZ".to_owned(), pack(Codec::Gzip, &wide)));
        forms.push(("a.csv".to_owned(), wide));
    }
    let tar = tar_of(&[("x/readme", b"not this"), ("x/a.csv", &text)]);
    forms.push(("a.tar.gz".to_owned(), pack(Codec::Gzip, &tar)));
    forms.push(("a.tar".to_owned(), tar));
    for (method, at) in [STORED, DEFLATED, ::zip::CompressionMethod::Zstd].into_iter().zip(0..) {
        forms.push((format!("a{at}.zip"), zip_of(&[("x/a.csv", &text, method)])));
    }
    for (name, bytes) in forms {
        let (heard, outcome) = folder.look(&name, &bytes);
        outcome.unwrap();
        is_content(&folder, (&name, &heard), &text);
        let (heard, kept) = folder.look_keeping(&name, &bytes, u64::MAX / 2);
        is_content(&folder, (&name, &heard), &text);
        // Of UTF-16 inside gzip there are the bytes, not the text, so that they are not kept.
        let slow = [".gz", ".bz2", ".xz", ".br", "1.zip"].iter().any(|end| name.ends_with(end));
        assert_eq!(kept > 0, slow, "{name}");
        // What was kept is at hand whatever becomes of the stored bytes, if nobody sees it.
        let path = heard.kept[0].location.file().unwrap();
        overwrite(path, &vec![0; bytes.len()], true);
        match read(&heard.kept[0]) {
            Ok(read) => assert!(slow && read == text, "{name}"),
            Err(error) => assert!(!slow && matches!(error, SourceError::Changed { .. }), "{name}"),
        }
    }
}

/// Writes over a file; in secret, it looks as it did before.
fn overwrite(path: &Path, bytes: &[u8], in_secret: bool) {
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    std::fs::write(path, bytes).unwrap();
    let after = if in_secret { before } else { before + std::time::Duration::from_secs(1) };
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(after).unwrap();
}

fn is_content(folder: &Folder, (name, heard): (&str, &Heard), text: &[u8]) {
    assert_eq!(heard.contents.len(), 1, "{name}");
    let (found, path_name, read) = &heard.contents[0];
    assert!(read == text, "{name}");
    assert!(path_name.ends_with("a.csv"), "{path_name}");
    assert_eq!(found.contains('!'), !name.starts_with("a.csv"));
    let content = &heard.kept[0];
    let print = || content.fingerprint.clone();
    for offset in [0, 4_000_000, text.len()] {
        let mut reader = ContentReader::open(&content.location, print(), 0).unwrap();
        let mut part = Vec::new();
        assert_eq!(reader.read_more(&mut part, 10).unwrap(), 10);
        reader.seek(offset as u64);
        part.clear();
        while reader.read_more(&mut part, 300_000).unwrap() > 0 {}
        assert!(part == text[offset..], "{name} from {offset}");
        assert!(reader.at_end());
        reader.seek(5);
        part.clear();
        reader.read_more(&mut part, 3).unwrap();
        assert_eq!(part, text[5..8], "{name}: back again");
    }
    let again = find_again(
        &folder.0.path().join(found).display().to_string(),
        &print().hash,
        &Remotes::new(std::time::Duration::ZERO),
        &Spooler::default(),
    );
    assert_eq!(again.unwrap().fingerprint, print(), "{name}");
}

fn ending(codec: Codec) -> &'static str {
    match codec {
        Codec::Gzip => "gz",
        Codec::Zstd => "zst",
        Codec::Bzip2 => "bz2",
        Codec::Xz => "xz",
        Codec::Lz4 => "lz4",
        Codec::Brotli | Codec::Deflate => "br",
        Codec::Utf16 { .. } => "txt",
    }
}

#[test]
fn a_packed_file_that_changes_is_noticed_before_its_bytes_are_used() {
    let folder = Folder::new();
    let numbers = 0..2 * BLOCK_BYTES as u64;
    let noise: Vec<u8> =
        numbers.map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let (heard, _) = folder.look("a.zst", &pack(Codec::Zstd, &noise));
    let content = &heard.kept[0];
    let mut bytes = std::fs::read(content.location.file().unwrap()).unwrap();
    bytes[40] ^= 1;
    std::fs::write(content.location.file().unwrap(), &bytes).unwrap();
    let mut reader =
        ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
    let error = reader.read_more(&mut Vec::new(), 10).unwrap_err();
    assert!(matches!(error, SourceError::Changed { offset: 0, .. }), "{error}");
}

#[test]
fn a_copy_is_left_as_soon_as_its_file_looks_different() {
    let (folder, text) = (Folder::new(), text(2 * BLOCK_BYTES));
    let packed = pack(Codec::Gzip, &text);
    let (heard, kept) = folder.look_keeping("a.csv.gz", &packed, u64::MAX / 2);
    assert_eq!(kept, text.len() as u64);
    let content = &heard.kept[0];
    let path = content.location.file().unwrap();
    // Touched only: the stored bytes are read, and are what they were.
    overwrite(path, &packed, false);
    assert!(read(content).unwrap() == text);
    let mut reader =
        ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
    overwrite(path, &pack(Codec::Gzip, &text[7..]), false);
    let error = reader.read_more(&mut Vec::new(), 10).unwrap_err();
    assert!(matches!(error, SourceError::Changed { offset: 0, .. }), "{error}");

    // Changed while the copy is being read: noticed before the next block is handed out.
    let (heard, _) = folder.look_keeping("b.csv.gz", &packed, u64::MAX / 2);
    let content = &heard.kept[0];
    let mut reader =
        ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
    assert!(reader.read_more(&mut Vec::new(), 10).unwrap() > 0);
    let other = pack(Codec::Gzip, &text[7..]);
    overwrite(content.location.file().unwrap(), &other, false);
    reader.seek(BLOCK_BYTES as u64);
    let error = reader.read_more(&mut Vec::new(), 10).unwrap_err();
    assert!(matches!(error, SourceError::Changed { offset: 0, .. }), "{error}");
}

#[test]
fn without_room_for_a_copy_a_source_is_decompressed_again() {
    let (folder, text) = (Folder::new(), text(BLOCK_BYTES));
    let packed = pack(Codec::Bzip2, &text);
    // Less than is expected of it, and less than it turns out to be.
    for max in [packed.len() as u64, text.len() as u64 - 1] {
        let (heard, kept) = folder.look_keeping("a.csv.bz2", &packed, max);
        assert_eq!(kept, 0, "what was begun is given back");
        assert!(read(&heard.kept[0]).unwrap() == text);
    }
    let nowhere = folder.0.path().join("nowhere");
    let (path, mut heard) = (folder.file("b.csv.bz2", &packed), Heard::default());
    let spooler = Spooler::default().keeping(nowhere, u64::MAX / 2);
    look_into(&path.as_path().into(), "b.csv.bz2", &spooler, &mut heard).unwrap();
    assert_eq!(spooler.kept_bytes(), 0);
    assert!(read(&heard.kept[0]).unwrap() == text);
}

#[test]
fn members_of_one_stream_are_read_in_one_pass() {
    let folder = Folder::new();
    let parts: Vec<Vec<u8>> = (1..6).map(|n| text(n * 9_999)).collect();
    let named = ["1", "2", "3", "4", "5"];
    let members: Vec<_> = named.into_iter().zip(parts.iter().map(Vec::as_slice)).collect();
    let packed = pack(Codec::Xz, &tar_of(&members));
    members_follow(&folder.look("a.tar.xz", &packed).0, &parts);
    members_follow(&folder.look_keeping("b.tar.xz", &packed, u64::MAX / 2).0, &parts);
}

fn members_follow(heard: &Heard, parts: &[Vec<u8>]) {
    let mut reader: Option<ContentReader> = None;
    for at in [0, 2, 3, 1, 4] {
        let content = &heard.kept[at];
        let print = content.fingerprint.clone();
        let mut next = match reader.take() {
            Some(reader) => reader.follow(&content.location, print, 0).unwrap(),
            None => ContentReader::open(&content.location, print, 0).unwrap(),
        };
        let mut bytes = Vec::new();
        // The last bytes are left for the one that follows to skip.
        (&mut next).take(9_000).read_to_end(&mut bytes).unwrap();
        assert!(bytes == parts[at][..9_000], "{at}");
        reader = Some(next);
    }
}

#[test]
fn members_have_names_and_reasons() {
    let folder = Folder::new();
    let long = format!("{}/{}.csv", "folder".repeat(20), "name".repeat(30));
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind: tar::EntryType, name: &str, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        let field = &mut header.as_old_mut().name;
        if name.len() <= field.len() {
            field[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, data).unwrap();
        } else {
            builder.append_data(&mut header, name, data).unwrap();
        }
    };
    add(tar::EntryType::Directory, "d/", b"");
    add(tar::EntryType::Regular, "d/a.csv", b"1\n");
    add(tar::EntryType::Regular, &long, b"2\n");
    add(tar::EntryType::Regular, "/etc/passwd", b"x");
    add(tar::EntryType::Regular, "d/../../x", b"x");
    add(tar::EntryType::Symlink, "link", b"");
    add(tar::EntryType::Link, "hard", b"");
    add(tar::EntryType::Char, "device", b"");
    add(tar::EntryType::Fifo, "pipe", b"");
    add(tar::EntryType::Regular, "d/.hidden", b"x");
    add(tar::EntryType::Regular, "d/empty.csv", b"");
    add(tar::EntryType::Regular, "readme", b"not market data");
    let (heard, outcome) = folder.look("a.tar", &builder.into_inner().unwrap());
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.tar!d/a.csv", &format!("a.tar!{long}"), "a.tar!d/empty.csv"]);
    let ignored: Vec<_> = heard.ignored.iter().map(|(name, _)| name.as_str()).collect();
    let wanted = ["/etc/passwd", "d/../../x", "link", "hard", "device", "pipe", "d/.hidden"];
    assert_eq!(ignored, wanted.map(|name| format!("a.tar!{name}")));
    assert!(heard.ignored[1].1.contains("leads out"), "{:?}", heard.ignored);
    assert_eq!(heard.failed, []);
}

#[test]
fn pax_headers_name_members_and_their_sizes() {
    let mut builder = tar::Builder::new(Vec::new());
    let name = format!("{}.csv", "é".repeat(120));
    let fields = [("path", name.as_bytes()), ("size", &b"4"[..]), ("mtime", b"1.5")];
    builder.append_pax_extensions(fields).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(4);
    header.set_cksum();
    builder.append(&header, &b"abc\n"[..]).unwrap();
    let stream = builder.into_inner().unwrap();
    let mut members = TarMembers::new(stream.as_slice(), "a.tar");
    let member = members.next_member().unwrap().unwrap();
    assert_eq!((member.name, member.len, member.refused), (name, 4, None));
    let mut data = String::new();
    members.read_to_string(&mut data).unwrap();
    assert_eq!(data, "abc\n");
    assert_eq!(members.next_member().unwrap(), None);
    assert_eq!(members.next_member().unwrap(), None);
}

#[test]
fn many_small_members_are_walked_one_by_one() {
    let documents: Vec<(String, String)> =
        (0..3_000).map(|n| (format!("k/{n}.json"), format!("{{\"id\":{n}}}"))).collect();
    let members: Vec<_> =
        documents.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let tar = tar_of(&members);
    let folder = Folder::new();
    let heard = Heard { whole: Some("k/0.json"), ..Heard::default() };
    let (heard, outcome) = folder.look_for(heard, "a.tar.bz2", &pack(Codec::Bzip2, &tar));
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.tar.bz2"]);
    assert!(heard.contents[0].2 == tar);
    let content = &heard.kept[0];
    let stream = ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
    let mut walk = TarMembers::new(stream, &content.name);
    for (name, text) in &documents {
        let member = walk.next_member().unwrap().unwrap();
        assert_eq!(&member.name, name);
        let mut data = String::new();
        if member.offset % 3 > 0 {
            walk.read_to_string(&mut data).unwrap();
            assert_eq!(&data, text);
        }
    }
    assert_eq!(walk.next_member().unwrap(), None);
}

#[test]
fn a_tar_stream_ends_with_its_mark_or_is_damaged() {
    let folder = Folder::new();
    let tar = tar_of(&[("1", b"one\n"), ("2", &[b'x'; 2_000])]);
    for len in [1_024, 1_030, 1_536, 3_000, tar.len() - 1_024] {
        let (heard, outcome) = folder.look("a.tar", &tar[..len]);
        assert_eq!(names(&heard)[..1], ["a.tar!1"], "what is whole is whole");
        assert!(outcome.unwrap_err().to_string().contains("truncated"), "{len}");
    }
    let (_, outcome) = folder.look("a.tar", &[&tar[..], &tar[..]].concat());
    assert!(outcome.unwrap_err().to_string().contains("joined"));
    let mut damaged = tar;
    damaged[1_024 + 130] ^= 1;
    let (_, outcome) = folder.look("a.tar", &damaged);
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("a.tar: bad tar data at byte 1024"), "{error}");
    assert!(folder.look("none.tar", &[0; 10_240]).1.is_ok());
}

#[test]
fn a_member_that_is_damaged_does_not_take_the_others_with_it() {
    let folder = Folder::new();
    let mut gz = pack(Codec::Gzip, &text(9_000));
    gz.truncate(gz.len() - 3);
    let tar = tar_of(&[("1", b"one\n"), ("2.gz", &gz), ("3", b"three\n")]);
    let (heard, outcome) = folder.look("a.tar", &tar);
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.tar!1", "a.tar!3"]);
    assert!(heard.failed[0].1.contains("a.tar!2.gz: bad gzip data"), "{:?}", heard.failed);

    let mut zip =
        zip_of(&[("1", b"one\n", STORED), ("2", b"two\n", STORED), ("3", b"3", DEFLATED)]);
    let at = zip.windows(4).position(|bytes| bytes == b"two\n").unwrap();
    zip[at] = b'T';
    let (heard, outcome) = folder.look("a.zip", &zip);
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.zip!1", "a.zip!3"]);
    assert!(heard.failed[0].1.contains("checksum"), "{:?}", heard.failed);
}

#[test]
fn a_zip_archive_is_read_by_its_directory() {
    let folder = Folder::new();
    let members: [(&str, &[u8], _); 5] = [
        ("d/a.csv", b"1\n", DEFLATED),
        ("../out.csv", b"2\n", DEFLATED),
        ("__MACOSX/d/._a.csv", b"3\n", STORED),
        ("empty.csv", b"", DEFLATED),
        ("no_line_end.csv", b"4", STORED),
    ];
    let zip = zip_of(&members);
    let (heard, outcome) = folder.look("a.zip", &zip);
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.zip!d/a.csv", "a.zip!empty.csv", "a.zip!no_line_end.csv"]);
    assert_eq!(heard.ignored.len(), 2, "{:?}", heard.ignored);
    assert_eq!(heard.contents[0].1, "a.zip/d/a.csv");
    for len in [30, zip.len() / 2, zip.len() - 1] {
        let error = folder.look("a.zip", &zip[..len]).1.unwrap_err().to_string();
        assert!(error.contains("truncated"), "{len}: {error}");
    }
    // A comment, and something in front of the archive that a directory's offsets do not know.
    let end = zip.len() - 2;
    let commented = [&zip[..end], b"\x05\0hello"].concat();
    assert_eq!(folder.look("c.zip", &commented).0.contents.len(), 3);
    let error = folder.look("g.zip", &[&zip[..], b"garbage"].concat()).1.unwrap_err();
    assert!(error.to_string().contains("follow"), "{error}");
    assert!(folder.look("none.zip", &zip_of(&[])).1.is_ok());
}

#[test]
fn zip_archives_of_the_large_kind_are_read() {
    let folder = Folder::new();
    let mut writer = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default().large_file(true);
    writer.start_file("a.csv", options).unwrap();
    writer.write_all(b"1\n").unwrap();
    for n in 0..66_000 {
        writer.start_file(format!("{n}"), options.compression_method(STORED)).unwrap();
        writer.write_all(b"not").unwrap();
    }
    let zip = writer.finish().unwrap().into_inner();
    let (heard, outcome) = folder.look("a.zip", &zip);
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.zip!a.csv"]);
}

#[test]
fn members_that_share_bytes_or_lie_outside_are_refused() {
    let folder = Folder::new();
    let zip = zip_of(&[("1", b"one\n", STORED), ("2", b"two\n", STORED)]);
    let entries: Vec<usize> =
        zip.windows(4).enumerate().filter(|(_, w)| w == b"PK\x01\x02").map(|(at, _)| at).collect();
    let mut shared = zip.clone();
    shared[entries[1] + 42..entries[1] + 46].copy_from_slice(&0_u32.to_le_bytes());
    let error = folder.look("a.zip", &shared).1.unwrap_err().to_string();
    assert!(error.contains("share"), "{error}");
    let mut outside = zip.clone();
    outside[entries[1] + 20..entries[1] + 24].copy_from_slice(&9_999_u32.to_le_bytes());
    let error = folder.look("a.zip", &outside).1.unwrap_err().to_string();
    assert!(error.contains("beyond"), "{error}");
    let mut encrypted = zip;
    encrypted[entries[0] + 8] |= 1;
    let (heard, _) = folder.look("a.zip", &encrypted);
    assert!(heard.failed[0].1.contains("encrypted"), "{:?}", heard.failed);
}

#[test]
fn damaged_archives_never_panic() {
    let folder = Folder::new();
    let inner = pack(Codec::Gzip, &text(3_000));
    let zip = zip_of(&[("1", &text(800), DEFLATED), ("2.gz", &inner, STORED)]);
    let tar = tar_of(&[("1", &text(800)), ("2.gz", &inner)]);
    for archive in [zip, tar] {
        for at in 0..archive.len() {
            let mut damaged = archive.clone();
            damaged[at] = damaged[at].wrapping_add(0x81);
            let _ = folder.look("a", &damaged);
        }
    }
}

#[test]
fn archives_inside_one_another_end_at_the_second() {
    let folder = Folder::new();
    let text = text(3_000);
    let csv_gz = pack(Codec::Gzip, &text);
    let tar = pack(Codec::Zstd, &tar_of(&[("b/c.csv.gz", &csv_gz)]));
    let zip = zip_of(&[("a.tar.zst", &tar, DEFLATED)]);
    let (heard, outcome) = folder.look("o.zip", &zip);
    outcome.unwrap();
    assert_eq!(names(&heard), ["o.zip!a.tar.zst!b/c.csv.gz"]);
    assert_eq!(heard.contents[0].1, "o.zip/a.tar/b/c.csv");
    assert!(heard.contents[0].2 == text);
    let in_tar = tar_of(&[("i.zip", &zip_of(&[("c.csv", &text, DEFLATED)]))]);
    let (heard, _) = folder.look("o.tar", &in_tar);
    assert_eq!(names(&heard), ["o.tar!i.zip!c.csv"]);
    assert!(heard.contents[0].2 == text);
    for deeper in [tar_of(&[("x.zip", &zip)]), zip_of(&[("x.tar", &in_tar, STORED)])] {
        let (heard, outcome) = folder.look("deep", &deeper);
        outcome.unwrap();
        assert_eq!(names(&heard), [""; 0]);
        assert!(heard.failed[0].1.contains("too deep"), "{:?}", heard.failed);
    }
    let twice = pack(Codec::Gzip, &csv_gz);
    assert!(folder.look("c.csv.gz.gz", &twice).0.contents[0].2 == text);
    let error = folder.look("c", &pack(Codec::Xz, &twice)).1.unwrap_err().to_string();
    assert!(error.contains("too many times"), "{error}");
}

#[test]
fn a_bomb_is_stopped_at_what_its_size_allows() {
    let folder = Folder::new();
    let zeros = vec![b'0'; 3_000_000];
    let limits = Limits { ratio: 50, free_bytes: 10_000, bytes: 1 << 30, members: 10 };
    let look = |name: &str, bytes: &[u8], limits| {
        let path = folder.file(name, bytes);
        let mut heard = Heard::default();
        let outcome =
            look_within(&path.as_path().into(), name, &Spooler::default(), &mut heard, limits);
        assert_eq!(names(&heard), [""; 0], "{name}");
        outcome
    };
    let gz = pack(Codec::Gzip, &zeros);
    let nested = pack(Codec::Bzip2, &gz);
    let of_gz = zip_of(&[("a.gz", &gz, STORED)]);
    let of_tar = zip_of(&[("a.tar.gz", &pack(Codec::Gzip, &tar_of(&[("a", &zeros)])), STORED)]);
    let plain = zip_of(&[("a", &zeros, DEFLATED)]);
    for (name, bomb) in [
        ("a.gz", gz),
        ("a.gz.bz2", nested),
        ("g.zip", of_gz),
        ("t.zip", of_tar),
        ("p.zip", plain),
        ("a.xz", pack(Codec::Xz, &zeros)),
        ("a.zst", pack(Codec::Zstd, &zeros)),
        ("a.lz4", pack(Codec::Lz4, &zeros)),
    ] {
        let error = look(name, &bomb, limits).unwrap_err();
        assert!(matches!(error, SourceError::Bomb { .. }), "{name}: {error}");
        assert!(error.to_string().starts_with(name), "{error}");
        look(name, &bomb, Limits { bytes: 5_000, ratio: 1_000_000, ..limits }).unwrap_err();
    }
    let many: Vec<(String, &[u8])> = (0..11).map(|n| (n.to_string(), &b"not"[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, data)| (name.as_str(), *data)).collect();
    let error = look("m.tar", &tar_of(&many), limits).unwrap_err().to_string();
    assert!(error.contains("more than 10 members"), "{error}");
    let many: Vec<_> = many.into_iter().map(|(name, data)| (name, data, STORED)).collect();
    let error = look("m.zip", &zip_of(&many), limits).unwrap_err().to_string();
    assert!(error.contains("more than 10 members"), "{error}");
}
