//! What a source is known by, where its bytes are, and reading them: from any offset, forward,
//! through however many layers they are packed in. Bytes on disk are compared with what was
//! recorded when the source was looked at, before anything made of them is handed out.

use std::io::{self, BufRead, Read};
use std::sync::Arc;

use super::SourceError;
use super::codec::{Codec, Decoder};
use super::keep::{Kept, KeptReader};
use super::location::Location;
use super::stored::{Recorder, Stored, StoredReader, read_buffered};

/// What a source's content is known by: hash and size of its bytes as they are decoded, so that a
/// file is the same content plain, compressed, and as a member of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fingerprint {
    /// BLAKE3 of all bytes, decompressed.
    pub hash: [u8; 32],
    /// Their number.
    pub bytes: u64,
    /// Where they are.
    place: Place,
    /// What the file that holds them must be.
    stored: Arc<Stored>,
    /// What its layers decode to, where that was kept.
    kept: KeptCopy,
}

/// A copy says nothing of what a content is: it counts for nothing where two are compared.
#[derive(Debug, Clone, Default)]
struct KeptCopy(Option<Arc<Kept>>);

impl PartialEq for KeptCopy {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for KeptCopy {}

impl Fingerprint {
    pub(super) fn new(hash: [u8; 32], bytes: u64, place: Place, stored: Arc<Stored>) -> Self {
        Self { hash, bytes, place, stored, kept: KeptCopy::default() }
    }

    /// With a copy of what its layers decode to, if that holds all of it.
    pub(super) fn with_copy(self, kept: Option<Arc<Kept>>) -> Self {
        let end = self.place.start.saturating_add(self.bytes);
        Self { kept: KeptCopy(kept.filter(|kept| kept.bytes() >= end)), ..self }
    }

    pub(super) fn place(&self) -> &Place {
        &self.place
    }

    pub(super) fn stored(&self) -> &Arc<Stored> {
        &self.stored
    }
}

/// Where in a file a content is: it starts at byte `start` of what its layers decode to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// From the file inwards; none: the bytes are those of the file.
    pub layers: Arc<[Layer]>,
    /// The content's first byte.
    pub start: u64,
}

/// Compressed bytes within the layer below.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layer {
    /// Where they start.
    pub start: u64,
    /// How many there are; [`u64::MAX`]: to the end.
    pub len: u64,
    /// How they are compressed.
    pub codec: Codec,
}

impl Place {
    /// A place at the start of what is compressed at this place, in `len` bytes.
    pub fn inside(&self, codec: Codec, len: u64) -> Self {
        let layer = Layer { start: self.start, len, codec };
        Self { layers: self.layers.iter().copied().chain([layer]).collect(), start: 0 }
    }

    /// A place in the same layers.
    pub fn at(&self, start: u64) -> Self {
        Self { layers: Arc::clone(&self.layers), start }
    }
}

/// Reads a plain file once and fingerprints it.
///
/// # Errors
/// When the file cannot be read, or is written to meanwhile.
pub fn fingerprint(location: &Location) -> Result<Fingerprint, SourceError> {
    let mut recorder = Recorder::open(location)?;
    let hashed = match recorder.hash_large() {
        Some(hashed) => hashed,
        None => hash_all(&mut recorder),
    };
    let (hash, bytes) = hashed.map_err(|cause| match cause.kind() {
        io::ErrorKind::UnexpectedEof => SourceError::changed(location, 0),
        _ => SourceError::of(location, cause),
    })?;
    Ok(Fingerprint::new(hash, bytes, Place::default(), Arc::new(recorder.finish()?)))
}

/// Hash and number of the bytes that are left.
pub(super) fn hash_all(input: &mut dyn BufRead) -> io::Result<([u8; 32], u64)> {
    hash_rest(blake3::Hasher::new(), input)
}

/// Hash of what `hash` was made of so far and of the bytes that are left, and the number of these.
pub(super) fn hash_rest(
    mut hash: blake3::Hasher,
    input: &mut dyn BufRead,
) -> io::Result<([u8; 32], u64)> {
    let mut bytes = 0;
    loop {
        let part = input.fill_buf()?;
        if part.is_empty() {
            return Ok((*hash.finalize().as_bytes(), bytes));
        }
        hash.update(part);
        let len = part.len();
        bytes += len as u64;
        input.consume(len);
    }
}

/// Reads a fingerprinted content. Seeking is free where nothing is compressed, or a copy was kept;
/// else what lies before the offset is decompressed and thrown away.
pub struct ContentReader {
    location: Location,
    fingerprint: Fingerprint,
    /// The innermost layer, and the byte of it that comes next.
    inner: Inner,
    /// Bytes of the content before the one that is wanted next.
    offset: u64,
}

enum Inner {
    Plain(StoredReader),
    Kept(KeptReader),
    Packed { reader: Box<dyn BufRead>, position: u64 },
}

impl std::fmt::Debug for ContentReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut shown = f.debug_struct("ContentReader");
        shown.field("location", &self.location).field("at", &self.offset).finish()
    }
}

impl ContentReader {
    /// Opens the content of what is at `location` at its byte `offset`.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn open(
        location: &Location,
        fingerprint: Fingerprint,
        offset: u64,
    ) -> Result<Self, SourceError> {
        let inner = open(location, &fingerprint)?;
        Ok(Self { location: location.clone(), fingerprint, inner, offset })
    }

    /// Opens another content, or another part of this one, at its byte `offset`. If that lies ahead
    /// in the same decompressed stream, reading goes on from here: all members of a compressed
    /// archive take one pass.
    ///
    /// # Errors
    /// When the file cannot be opened.
    pub fn follow(
        self,
        location: &Location,
        fingerprint: Fingerprint,
        offset: u64,
    ) -> Result<Self, SourceError> {
        let (old, new) = (&self.fingerprint, &fingerprint);
        let same = self.location == *location
            && old.place.layers == new.place.layers
            && (Arc::ptr_eq(&old.stored, &new.stored) || old.stored == new.stored);
        match self.inner {
            Inner::Packed { position, .. } if same && position <= new.place.start + offset => {
                Ok(Self { fingerprint, offset, ..self })
            }
            Inner::Kept(ref reader)
                if same && new.kept.0.as_ref().is_some_and(|kept| reader.is_of(kept)) =>
            {
                Ok(Self { fingerprint, offset, ..self })
            }
            _ => Self::open(location, fingerprint, offset),
        }
    }

    /// Goes to byte `offset`.
    pub fn seek(&mut self, offset: u64) {
        self.offset = offset;
    }

    /// Whether every byte was handed out.
    pub fn at_end(&self) -> bool {
        self.offset >= self.fingerprint.bytes
    }

    /// Appends bytes from the current offset, at most `max` and as many as come at once. Returns
    /// how many; 0 at the end of the content.
    ///
    /// # Errors
    /// When the file cannot be read or is not what was fingerprinted.
    pub fn read_more(&mut self, into: &mut Vec<u8>, max: usize) -> Result<usize, SourceError> {
        let copied = self.fill_buf().map(|bytes| {
            let len = bytes.len().min(max);
            into.extend_from_slice(&bytes[..len]);
            len
        });
        let len = copied.map_err(|cause| SourceError::of(&self.location, cause))?;
        self.consume(len);
        Ok(len)
    }

    /// Brings the innermost layer to the offset that is wanted.
    fn catch_up(&mut self) -> io::Result<()> {
        let wanted = self.fingerprint.place.start + self.offset;
        let at = match &mut self.inner {
            Inner::Plain(reader) => {
                reader.seek(wanted);
                return Ok(());
            }
            Inner::Kept(reader) => {
                reader.seek(wanted);
                if reader.fill_buf()?.is_some() {
                    return Ok(());
                }
                // The file was touched at least: its bytes decide.
                self.fingerprint.kept = KeptCopy::default();
                u64::MAX
            }
            Inner::Packed { position, .. } => *position,
        };
        if at > wanted {
            self.inner = open(&self.location, &self.fingerprint).map_err(SourceError::into_io)?;
        }
        if let Inner::Packed { reader, position } = &mut self.inner {
            *position += io::copy(&mut reader.take(wanted - *position), &mut io::sink())?;
            if *position != wanted {
                return Err(too_short(&self.location));
            }
        }
        Ok(())
    }
}

/// The stored bytes are those that were recorded, yet they decode to less.
fn too_short(location: &Location) -> io::Error {
    SourceError::changed(location, 0).into_io()
}

fn open(location: &Location, fingerprint: &Fingerprint) -> Result<Inner, SourceError> {
    if let Some(kept) = &fingerprint.kept.0 {
        return Ok(Inner::Kept(KeptReader::open(location, &fingerprint.stored, kept)?));
    }
    let mut stored = StoredReader::open(location, Arc::clone(&fingerprint.stored))?;
    let Some((first, others)) = fingerprint.place.layers.split_first() else {
        return Ok(Inner::Plain(stored));
    };
    let name = location.to_string();
    stored.seek(first.start);
    let below: Box<dyn BufRead> = Box::new(stored.take(first.len));
    let mut reader: Box<dyn BufRead> =
        Box::new(Decoder::new(first.codec, below, (&name, first.start), None));
    for layer in others {
        let skipped = io::copy(&mut reader.by_ref().take(layer.start), &mut io::sink());
        skipped.map_err(|cause| SourceError::of(location, cause))?;
        let below: Box<dyn BufRead> = Box::new(reader.take(layer.len));
        reader = Box::new(Decoder::new(layer.codec, below, (&name, layer.start), None));
    }
    Ok(Inner::Packed { reader, position: 0 })
}

impl BufRead for ContentReader {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        let left = self.fingerprint.bytes.saturating_sub(self.offset);
        if left == 0 && !matches!(self.inner, Inner::Plain(_)) {
            return Ok(&[]);
        }
        self.catch_up()?;
        let whole = self.fingerprint.place == Place::default();
        let left = usize::try_from(left).unwrap_or(usize::MAX);
        let bytes = match &mut self.inner {
            // Asked at its end, a plain file says whether it grew.
            Inner::Plain(_) if left == 0 && !whole => return Ok(&[]),
            Inner::Plain(reader) => reader.fill_buf()?,
            Inner::Kept(reader) => reader.fill_buf()?.unwrap_or_default(),
            Inner::Packed { reader, .. } => reader.fill_buf()?,
        };
        if bytes.is_empty() && left > 0 {
            return Err(too_short(&self.location));
        }
        Ok(&bytes[..bytes.len().min(left)])
    }

    fn consume(&mut self, amount: usize) {
        self.offset += amount as u64;
        match &mut self.inner {
            Inner::Plain(reader) => reader.consume(amount),
            Inner::Kept(reader) => reader.consume(amount),
            Inner::Packed { reader, position } => {
                reader.consume(amount);
                *position += amount as u64;
            }
        }
    }
}

impl Read for ContentReader {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        read_buffered(self, into)
    }
}
