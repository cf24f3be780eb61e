//! Decompression of streams: gzip, zstd, bzip2, xz, LZ4 frames, brotli, and bare deflate for zip
//! members; and UTF-16, which becomes UTF-8 by the same way. A file may hold several streams of its
//! format one after another; they are read one by one, so that what follows the last one is looked
//! at here, in one way for all formats: the end, or zero bytes up to the end, else it is an error
//! that says where.

use std::io::{self, BufRead, Read};

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};

use super::SourceError;
use super::bunzip::Bunzip;
use super::input::{HEAD_BYTES, Input};
use super::meter::Meter;
use super::stored::read_buffered;
use super::utf16::{self, Units};
use crate::limit::{KIB, XZ_MEMORY_BYTES_MAX, ZSTD_WINDOW_LOG_MAX};

/// A compression format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
    /// bzip2.
    Bzip2,
    /// The .xz container.
    Xz,
    /// The LZ4 frame format.
    Lz4,
    /// RFC 7932; it has no magic bytes, so only a name that ends in `.br` tells it.
    Brotli,
    /// RFC 1951 without a container: members of zip archives.
    Deflate,
    /// Text in UTF-16 with a byte order mark, the low bytes first or not.
    Utf16 {
        /// Whether the low byte of each unit comes first.
        low_first: bool,
    },
}

const GZIP: &[u8] = b"\x1f\x8b\x08";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
const XZ: &[u8] = b"\xfd7zXZ\x00";
const LZ4: &[u8] = b"\x04\x22\x4d\x18";
/// The last three of the four bytes with which a skippable frame of zstd or LZ4 begins.
const SKIPPABLE: &[u8] = b"\x2a\x4d\x18";

impl Codec {
    /// The format whose stream these first bytes begin. `name` decides only for brotli.
    pub fn of(head: &[u8], name: &str) -> Option<Self> {
        [Self::Gzip, Self::Zstd, Self::Bzip2, Self::Xz, Self::Lz4]
            .into_iter()
            .find(|codec| codec.begins(head))
            .or_else(|| utf16::begins(head).map(|low_first| Self::Utf16 { low_first }))
            .or_else(|| {
                let named = !head.is_empty() && name.to_ascii_lowercase().ends_with(".br");
                named.then_some(Self::Brotli)
            })
    }

    /// Whether a stream of this format begins so.
    fn begins(self, head: &[u8]) -> bool {
        match self {
            Self::Gzip => head.starts_with(GZIP),
            Self::Zstd => head.starts_with(ZSTD) || is_skippable(head),
            Self::Bzip2 => Bunzip::begins(head),
            Self::Xz => head.starts_with(XZ),
            Self::Lz4 => head.starts_with(LZ4) || is_skippable(head),
            Self::Brotli | Self::Deflate | Self::Utf16 { .. } => false,
        }
    }

    /// Its name, for people.
    pub fn name(self) -> &'static str {
        match self {
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Lz4 => "lz4",
            Self::Brotli => "brotli",
            Self::Deflate => "deflate",
            Self::Utf16 { .. } => "UTF-16",
        }
    }

    /// Whether decompressing costs more than writing the result to a disk and reading it back.
    pub(super) fn is_slow(self) -> bool {
        match self {
            Self::Gzip | Self::Deflate | Self::Bzip2 | Self::Xz | Self::Brotli => true,
            Self::Zstd | Self::Lz4 | Self::Utf16 { .. } => false,
        }
    }

    /// `name` without the ending that says that it is compressed.
    pub fn strip(name: &str) -> &str {
        const ENDINGS: [&str; 9] =
            [".gz", ".gzip", ".zst", ".zstd", ".bz2", ".bz", ".xz", ".lz4", ".br"];
        let found = ENDINGS.iter().find_map(|ending| {
            let at = name.len().checked_sub(ending.len()).filter(|&at| at > 0)?;
            let tail = name.get(at..)?;
            tail.eq_ignore_ascii_case(ending).then(|| &name[..at])
        });
        found.unwrap_or(name)
    }
}

fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, rest @ ..] if rest.starts_with(SKIPPABLE))
}

/// Decompressed bytes that are made at once.
const OUTPUT_BYTES: usize = 256 * KIB;

/// The decompressed bytes of a stream. Holds the format's window and buffers, which are bounded.
pub(super) struct Decoder<'a> {
    codec: Codec,
    /// What is compressed, for errors.
    name: String,
    /// Byte of the file, or of the member, at which the compressed bytes begin; for errors.
    base: u64,
    state: State<'a>,
    meter: Option<Meter>,
    buffer: Vec<u8>,
    /// Bytes of the buffer that were consumed.
    used: usize,
}

const TRUNCATED: &str =
    "the data end before their format does: the file is truncated; get it again";

enum State<'a> {
    /// Before the first stream (`true`) or after one.
    Between(Input<'a>, bool),
    Within(Box<Running<'a>>),
    Ended,
}

impl<'a> Decoder<'a> {
    /// Decompresses `input`. `base` is the byte of the file called `name` at which it begins.
    pub fn new(
        codec: Codec,
        input: Box<dyn BufRead + 'a>,
        (name, base): (&str, u64),
        meter: Option<Meter>,
    ) -> Self {
        let input = Input::new(input);
        let (state, name) = (State::Between(input, true), name.to_owned());
        Self { codec, name, base, state, meter, buffer: Vec::new(), used: 0 }
    }

    /// The next decompressed bytes; 0 at the end. After an error it is at its end.
    fn decode(&mut self, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::Ended => return Ok(0),
                State::Between(mut input, first) => {
                    match after(self.codec, &mut input, first) {
                        Ok(Next::Stream) => {}
                        Ok(Next::End) => return Ok(0),
                        Ok(Next::Garbage) => {
                            let reason = "bytes follow the last stream that belong to none; cut \
                                          them off, or get the file again";
                            return Err(self.damaged(input.read, reason));
                        }
                        Err(error) => return Err(self.failed(input.read, false, error)),
                    }
                    let at = input.read;
                    match Running::new(self.codec, input) {
                        Ok(running) => self.state = State::Within(Box::new(running)),
                        Err(error) => return Err(self.failed(at, false, error)),
                    }
                }
                State::Within(mut running) => {
                    let read = running.read(into);
                    let (at, starved) = (running.at(), running.is_starved());
                    match read {
                        // This decoder takes an end between two blocks for the end of its frame.
                        Ok(0) if starved && self.codec == Codec::Lz4 => {
                            return Err(self.damaged(at, TRUNCATED));
                        }
                        Ok(0) => self.state = State::Between(running.into_input(), false),
                        Ok(len) => {
                            self.state = State::Within(running);
                            return Ok(len);
                        }
                        Err(error) => return Err(self.failed(at, starved, error)),
                    }
                }
            }
        }
    }

    /// An error met at byte `at` of the input. One from below passes as it is.
    fn failed(&self, at: u64, starved: bool, error: io::Error) -> io::Error {
        if SourceError::is_in(&error) {
            return error;
        }
        if starved || error.kind() == io::ErrorKind::UnexpectedEof {
            return self.damaged(at, TRUNCATED);
        }
        self.damaged(at, &format!("{error}; get the file again"))
    }

    fn damaged(&self, at: u64, reason: &str) -> io::Error {
        let (name, what, offset) = (self.name.clone(), self.codec.name(), self.base + at);
        SourceError::Damaged { name, what, offset, reason: reason.to_owned() }.into_io()
    }
}

impl BufRead for Decoder<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.used == self.buffer.len() {
            let mut buffer = std::mem::take(&mut self.buffer);
            buffer.resize(OUTPUT_BYTES, 0);
            let decoded = self.decode(&mut buffer);
            buffer.truncate(*decoded.as_ref().unwrap_or(&0));
            (self.buffer, self.used) = (buffer, 0);
            let len = decoded?;
            if let Some(meter) = &self.meter {
                meter.count(len as u64).map_err(SourceError::into_io)?;
            }
        }
        Ok(&self.buffer[self.used..])
    }

    fn consume(&mut self, amount: usize) {
        self.used += amount;
    }
}

impl Read for Decoder<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}

enum Next {
    Stream,
    End,
    Garbage,
}

/// What follows in the input: another stream of the format, the end, or something else, at which
/// the input then stands. An input without a byte is a legal way to say nothing.
fn after(codec: Codec, input: &mut Input<'_>, first: bool) -> io::Result<Next> {
    if first {
        return Ok(if input.fill_buf()?.is_empty() { Next::End } else { Next::Stream });
    }
    let mut padded = false;
    loop {
        let bytes = input.fill_buf()?;
        if bytes.is_empty() {
            return Ok(Next::End);
        }
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        if zeros > 0 {
            input.consume(zeros);
            padded = true;
            continue;
        }
        // Only .xz files may go on after padding.
        if padded && codec != Codec::Xz {
            return Ok(Next::Garbage);
        }
        let mut head = [0; HEAD_BYTES];
        let len = input.peek(&mut head)?;
        return Ok(if codec.begins(&head[..len]) { Next::Stream } else { Next::Garbage });
    }
}

/// One stream that is being decompressed.
enum Running<'a> {
    Gzip(flate2::bufread::GzDecoder<Input<'a>>),
    Deflate(flate2::bufread::DeflateDecoder<Input<'a>>),
    Zstd(zstd::stream::read::Decoder<'static, Input<'a>>),
    Bzip2(Bunzip<'a>),
    Xz(liblzma::bufread::XzDecoder<Input<'a>>),
    Lz4(lz4_flex::frame::FrameDecoder<Input<'a>>),
    Brotli(Brotli<'a>),
    Utf16(Units, Input<'a>),
    /// A skippable frame: its bytes, header included.
    Skippable(Input<'a>, u64),
}

impl<'a> Running<'a> {
    fn new(codec: Codec, mut input: Input<'a>) -> io::Result<Self> {
        Ok(match codec {
            Codec::Gzip => Self::Gzip(flate2::bufread::GzDecoder::new(input)),
            Codec::Deflate => Self::Deflate(flate2::bufread::DeflateDecoder::new(input)),
            Codec::Bzip2 => Self::Bzip2(Bunzip::new(input)),
            Codec::Brotli => Self::Brotli(Brotli::new(input)),
            Codec::Utf16 { low_first } => Self::Utf16(Units::new(low_first), input),
            Codec::Xz => {
                let stream = liblzma::stream::Stream::new_stream_decoder(XZ_MEMORY_BYTES_MAX, 0)?;
                Self::Xz(liblzma::bufread::XzDecoder::new_stream(input, stream))
            }
            Codec::Zstd | Codec::Lz4 => {
                let mut head = [0; HEAD_BYTES];
                let len = input.peek(&mut head)?;
                if is_skippable(&head[..len]) {
                    let Some(size) = head[..len].get(4..8) else {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    };
                    let size = size.iter().rev().fold(0, |size, byte| size << 8 | u64::from(*byte));
                    return Ok(Self::Skippable(input, 8 + size));
                }
                if codec == Codec::Lz4 {
                    return Ok(Self::Lz4(lz4_flex::frame::FrameDecoder::new(input)));
                }
                let mut decoder = zstd::stream::read::Decoder::with_buffer(input)?.single_frame();
                decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
                Self::Zstd(decoder)
            }
        })
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(decoder) => decoder.read(into),
            Self::Deflate(decoder) => decoder.read(into),
            Self::Zstd(decoder) => decoder.read(into),
            Self::Bzip2(decoder) => decoder.read(into),
            Self::Xz(decoder) => decoder.read(into),
            Self::Lz4(decoder) => decoder.read(into),
            Self::Brotli(decoder) => decoder.read(into),
            Self::Utf16(units, input) => units.read(input, into),
            Self::Skippable(input, left) => {
                let skipped = io::copy(&mut input.by_ref().take(*left), &mut io::sink())?;
                *left -= skipped;
                if *left > 0 { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(0) }
            }
        }
    }

    /// Where in the input the data are at fault, if they are.
    fn at(&self) -> u64 {
        match self {
            // It reads ahead.
            Self::Bzip2(decoder) => decoder.at(),
            _ => self.input().read,
        }
    }

    /// Whether an error means that there is not enough input.
    fn is_starved(&self) -> bool {
        // One that reads ahead is at its input's end before its output is; it says which it is.
        !matches!(self, Self::Bzip2(_)) && self.input().starved
    }

    fn input(&self) -> &Input<'a> {
        match self {
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Deflate(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
            Self::Bzip2(decoder) => decoder.get_ref(),
            Self::Xz(decoder) => decoder.get_ref(),
            Self::Lz4(decoder) => decoder.get_ref(),
            Self::Brotli(decoder) => &decoder.input,
            Self::Utf16(_, input) | Self::Skippable(input, _) => input,
        }
    }

    fn into_input(self) -> Input<'a> {
        match self {
            Self::Gzip(decoder) => decoder.into_inner(),
            Self::Deflate(decoder) => decoder.into_inner(),
            Self::Zstd(decoder) => decoder.finish(),
            Self::Bzip2(decoder) => decoder.into_inner(),
            Self::Xz(decoder) => decoder.into_inner(),
            Self::Lz4(decoder) => decoder.into_inner(),
            Self::Brotli(decoder) => decoder.input,
            Self::Utf16(_, input) | Self::Skippable(input, _) => input,
        }
    }
}

/// A brotli stream. The crate's own reader keeps bytes of its input to itself, so what follows the
/// stream could not be seen.
struct Brotli<'a> {
    input: Input<'a>,
    state: Box<BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>>,
    total: usize,
}

impl<'a> Brotli<'a> {
    fn new(input: Input<'a>) -> Self {
        let alloc = StandardAlloc::default;
        // Windows of up to 16 MiB: "strict" is without the larger ones that no browser reads.
        let state = Box::new(BrotliState::new_strict(alloc(), alloc(), alloc()));
        Self { input, state, total: 0 }
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let (mut room, mut written) = (into.len(), 0);
        loop {
            let bytes = self.input.fill_buf()?;
            let (mut left, mut used) = (bytes.len(), 0);
            let result = BrotliDecompressStream(
                &mut left,
                &mut used,
                bytes,
                &mut room,
                &mut written,
                into,
                &mut self.total,
                &mut self.state,
            );
            let ended = bytes.is_empty();
            self.input.consume(used);
            match result {
                BrotliResult::ResultSuccess => return Ok(written),
                _ if written > 0 => return Ok(written),
                BrotliResult::NeedsMoreInput if ended => {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
                BrotliResult::NeedsMoreInput | BrotliResult::NeedsMoreOutput => {}
                BrotliResult::ResultFailure => {
                    return Err(io::Error::other("the brotli data contradict themselves"));
                }
            }
        }
    }
}
