//! Streams, archives and bombs, made here.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use super::archive::TarMembers;
use super::meter::Limits;
use super::walk::look_within;
use super::*;
use crate::limit::{BLOCK_BYTES, SAMPLE_BYTES};

mod archives;
mod contents;
mod streams;

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
