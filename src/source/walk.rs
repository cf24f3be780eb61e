//! Looking into a file: what it holds, through compression and archives, in one pass over its
//! bytes. A visitor says of each content whether it is wanted; only those are read to their ends
//! and fingerprinted. Plain text never touches the disk again; a member whose format is made of
//! seeks, and a zip inside something else, goes through a temporary file.
//!
//! Refused, each by name: archives nested too deep, links, devices, paths that lead out of the
//! archive, more data than any real file holds.

use std::io::{self, BufRead, BufReader, Cursor, Read as _};
use std::sync::Arc;

use super::archive::{FOLDER, TarMembers, is_tar};
use super::codec::{Codec, Decoder};
use super::content::{Fingerprint, Place, fingerprint, hash_all, hash_rest};
use super::keep::Keeping;
use super::location::Location;
use super::meter::{Limits, Meter};
use super::pending::{Hashing, Pending};
use super::spool::{Spool, Spooler};
use super::stored::{Recorder, Stored, StoredReader, first_bytes};
use super::{SourceError, zip};
use crate::limit::{ARCHIVES_NESTED_MAX, CODECS_NESTED_MAX, KIB, SAMPLE_BYTES};
use crate::mapping::is_columnar;

/// Bytes that are read at once from a member.
const MEMBER_BUFFER_BYTES: usize = 256 * KIB;

/// A content that was come upon.
#[derive(Debug, Clone, Copy)]
pub struct Seen<'a> {
    /// For people: the file's name, and `!` before each member's name: `a.zip!b/c.csv`.
    pub name: &'a str,
    /// The name as a path that facts may be read from: without endings of compression, and with
    /// archives as folders: `a.zip/b/c.csv`.
    pub path_name: &'a str,
    /// Its first bytes, decompressed: up to [`SAMPLE_BYTES`].
    pub head: &'a [u8],
    /// Whether they are all.
    pub whole: bool,
    /// The content as a file or an object of its own, where it is one. Formats made of seeks
    /// (Parquet, Arrow) always have it.
    pub location: Option<&'a Location>,
    /// Whether it is a member of a tar stream, which may be taken whole: [`Want::Archive`].
    pub in_tar: bool,
}

/// What is wanted of a content that was seen.
#[derive(Debug)]
pub enum Want<K> {
    /// Nothing.
    No,
    /// It is one to load, and this is what is known of it.
    This(K),
    /// The tar stream around it is one to load as a whole, to be walked by
    /// [`super::archive::TarMembers`]: its members are records, not sources. Possible until a
    /// member of the stream was wanted by itself.
    Archive(K),
}

/// A content that is to be loaded.
#[derive(Debug)]
pub struct Content {
    /// As [`Seen::name`].
    pub name: String,
    /// The file or object that holds it.
    pub location: Location,
    /// What it is known by, and how it is read again.
    pub fingerprint: Fingerprint,
    /// Keeps that file, if it is a temporary one.
    pub spool: Option<Spool>,
}

/// Who looks at what is in a file.
pub trait Visitor {
    /// What is known of a content that is wanted.
    type Known;

    /// Is a content wanted? Called in the order of the file; members that are no regular files,
    /// or that stand under names that no archive should have, are not asked for.
    fn look(&mut self, seen: &Seen<'_>) -> Want<Self::Known>;

    /// A content that was wanted, once the file was read as far as it goes; in the same order.
    fn take(&mut self, known: Self::Known, content: Content);

    /// Bytes of a compressed content or of a member that are looked at: of a longer one this many
    /// are hashed, and can be read again. All of them, where something is to be loaded.
    fn enough(&self) -> u64 {
        u64::MAX
    }

    /// A member that is passed over, and why.
    fn ignored(&mut self, name: String, why: String);

    /// A member that cannot be read, and why. The others go on.
    fn failed(&mut self, name: String, why: String);
}

/// Looks into what is at `location`, which is called `name`.
///
/// # Errors
/// What keeps the file from being read to its end. What was whole before the fault is still given
/// to the visitor, if the file is the same on disk.
pub fn look_into<V: Visitor>(
    location: &Location,
    name: &str,
    spooler: &Spooler,
    visitor: &mut V,
) -> Result<(), SourceError> {
    look_within(location, name, spooler, visitor, Limits::default())
}

pub(super) fn look_within<V: Visitor>(
    location: &Location,
    name: &str,
    spooler: &Spooler,
    visitor: &mut V,
    limits: Limits,
) -> Result<(), SourceError> {
    let (head, size) = first_bytes(location)?;
    if !zip::is_zip(&head) && !is_tar(&head) && Codec::of(&head, name).is_none() {
        return look_at_plain(location, name, &head, size, visitor);
    }
    let meter = Meter::new(name, size, limits);
    let mut walk = Walk { location, visitor, spooler, limits, meter, size, pending: Vec::new() };
    let spot = Spot {
        name,
        path_name: name.to_owned(),
        place: Place::default(),
        len: u64::MAX,
        codecs: 0,
        archives: 0,
        home: None,
        in_tar: false,
    };
    let mut recorder = Recorder::open(location)?;
    if zip::is_zip(&head) {
        let stored = Arc::new(recorder.finish()?);
        let home = Home { location: location.clone(), stored, spool: None };
        let outcome = walk.zip(&home, &spot);
        walk.deliver(None);
        return outcome.map_err(|cause| SourceError::of(location, cause));
    }
    let outcome = walk.stream(&mut recorder, &spot).map(|_| ());
    if !walk.pending.is_empty() {
        walk.deliver(Some(&Arc::new(recorder.finish()?)));
    }
    outcome.map_err(|cause| SourceError::of(location, cause))
}

/// A file that is neither compressed nor an archive is not read further unless it is wanted.
fn look_at_plain<V: Visitor>(
    location: &Location,
    name: &str,
    head: &[u8],
    size: u64,
    visitor: &mut V,
) -> Result<(), SourceError> {
    let whole = size == head.len() as u64;
    let seen = Seen { name, path_name: name, head, whole, location: Some(location), in_tar: false };
    if let Want::This(known) = visitor.look(&seen) {
        let fingerprint = fingerprint(location)?;
        let (name, location) = (name.to_owned(), location.clone());
        visitor.take(known, Content { name, location, fingerprint, spool: None });
    }
    Ok(())
}

struct Walk<'v, V: Visitor> {
    location: &'v Location,
    visitor: &'v mut V,
    spooler: &'v Spooler,
    limits: Limits,
    meter: Meter,
    /// Bytes of the file.
    size: u64,
    /// Contents that are wanted: those of the file itself wait for its checksums.
    pending: Vec<(V::Known, Pending)>,
}

/// What is known of the tar stream around something, if that is wanted as a whole.
type Looked<V> = io::Result<Option<<V as Visitor>::Known>>;

/// A file that was read as a whole already.
struct Home {
    location: Location,
    stored: Arc<Stored>,
    spool: Option<Spool>,
}

/// What is being looked at.
#[derive(Clone)]
struct Spot<'a> {
    name: &'a str,
    /// As [`Seen::path_name`].
    path_name: String,
    place: Place,
    /// Its bytes, if they are known: those of a member.
    len: u64,
    /// Compressions directly around it.
    codecs: usize,
    /// Archives around it.
    archives: usize,
    /// The file whose places are meant, if it is not the one that is read for the first time.
    home: Option<&'a Home>,
    /// Whether there is a tar stream around it.
    in_tar: bool,
}

impl<V: Visitor> Walk<'_, V> {
    fn deliver(&mut self, stored: Option<&Arc<Stored>>) {
        for (known, pending) in self.pending.drain(..) {
            let Some(content) = pending.content(self.location, stored) else { continue };
            self.visitor.take(known, content);
        }
    }

    /// Looks at a stream of bytes and into what it holds. Gives what is known of the tar stream
    /// around it, if that is wanted as a whole.
    fn stream(&mut self, input: &mut dyn BufRead, spot: &Spot<'_>) -> io::Result<Option<V::Known>> {
        let mut head = Vec::new();
        (&mut *input).take(SAMPLE_BYTES as u64).read_to_end(&mut head)?;
        let whole = input.fill_buf()?.is_empty();
        let mut all = Cursor::new(head.as_slice()).chain(input);
        if zip::is_zip(&head) {
            let spool = self.spooler.member(all, spot.name).map_err(SourceError::into_io)?;
            let stored = Recorder::open(&spool.location()).and_then(Recorder::finish);
            let stored = Arc::new(stored.map_err(SourceError::into_io)?);
            let home = Home { location: spool.location(), stored, spool: Some(spool) };
            return self.zip(&home, spot).map(|()| None);
        }
        if is_tar(&head) {
            return self.tar(&mut all, spot).map(|()| None);
        }
        let Some(codec) = Codec::of(&head, &spot.path_name) else {
            return self.leaf(&mut all, &head, whole, spot);
        };
        if spot.codecs == CODECS_NESTED_MAX {
            return Err(refused(spot.name, "it is compressed too many times: decompress it first"));
        }
        let base = if spot.place.layers.is_empty() { spot.place.start } else { 0 };
        let meter = Some(self.meter.clone());
        let decoder = Decoder::new(codec, Box::new(all), (spot.name, base), meter);
        let inside = Spot {
            path_name: Codec::strip(&spot.path_name).to_owned(),
            place: spot.place.inside(codec, spot.len),
            len: u64::MAX,
            codecs: spot.codecs + 1,
            // A compressed member is no record among others: it is decompressed by itself.
            in_tar: false,
            ..spot.clone()
        };
        self.keeping(codec, spot.len, decoder, |walk, decoded| {
            let looked = walk.stream(decoded, &inside);
            (looked, inside.place)
        })
    }

    /// Looks at what is decompressed, and keeps a copy of it for those of its contents that are
    /// wanted.
    fn keeping<'d>(
        &mut self,
        codec: Codec,
        packed: u64,
        decoder: Decoder<'d>,
        look: impl FnOnce(&mut Self, &mut Keeping<Decoder<'d>>) -> (Looked<V>, Place),
    ) -> Looked<V> {
        let keeper = self.spooler.keeper().filter(|one| one.wants(codec, packed.min(self.size)));
        let mut decoded = Keeping::new(decoder, keeper);
        let before = self.pending.len();
        let (looked, place) = look(self, &mut decoded);
        let inside = |pending: &Pending| pending.place().layers == place.layers;
        let Some(copy) = decoded.finish() else { return looked };
        for (known, pending) in self.pending.split_off(before) {
            let pending = match inside(&pending) {
                true => pending.with_copy(Arc::clone(&copy)),
                false => pending,
            };
            self.pending.push((known, pending));
        }
        looked
    }

    /// Something that is neither compressed nor an archive.
    fn leaf(
        &mut self,
        input: &mut dyn BufRead,
        head: &[u8],
        whole: bool,
        spot: &Spot<'_>,
    ) -> io::Result<Option<V::Known>> {
        let (name, path_name, in_tar) = (spot.name, spot.path_name.as_str(), spot.in_tar);
        let seen = Seen { name, path_name, head, whole, location: None, in_tar };
        if is_columnar(head) {
            let spool = self.spooler.member(input, name).map_err(SourceError::into_io)?;
            let location = spool.location();
            let seen = Seen { location: Some(&location), ..seen };
            if let Want::This(known) = self.visitor.look(&seen) {
                let fingerprint = fingerprint(&location).map_err(SourceError::into_io)?;
                let name = name.to_owned();
                let content = Content { name, location, fingerprint, spool: Some(spool) };
                self.pending.push((known, Pending::Ready(content)));
            }
            return Ok(None);
        }
        let known = match self.visitor.look(&seen) {
            Want::No => return Ok(None),
            Want::This(known) => known,
            Want::Archive(known) => return Ok(Some(known)),
        };
        let (hash, bytes) = hash_all(&mut input.take(self.visitor.enough()))?;
        self.wanted(known, (hash, bytes), spot);
        Ok(None)
    }

    fn wanted(&mut self, known: V::Known, (hash, bytes): ([u8; 32], u64), spot: &Spot<'_>) {
        let (name, place) = (spot.name.to_owned(), spot.place.clone());
        let pending = match spot.home {
            None => Pending::OfFile { name, hash, bytes, place, kept: None },
            Some(home) => Pending::Ready(Content {
                name,
                location: home.location.clone(),
                fingerprint: Fingerprint::new(hash, bytes, place, Arc::clone(&home.stored)),
                spool: home.spool.clone(),
            }),
        };
        self.pending.push((known, pending));
    }

    fn tar(&mut self, input: &mut dyn BufRead, spot: &Spot<'_>) -> io::Result<()> {
        not_too_deep(spot)?;
        let hash = Some(blake3::Hasher::new());
        let mut members = TarMembers::new(Hashing { inner: input, hash, bytes: 0 }, spot.name);
        let mut count = 0;
        while let Some(member) = members.next_member()? {
            count += 1;
            if count > self.limits.members {
                let reason = format!("it has more than {} members", self.limits.members);
                return Err(refused(spot.name, &reason));
            }
            let name = format!("{}!{}", spot.name, member.name);
            match member.refused {
                Some(FOLDER) => continue,
                Some(why) => {
                    self.visitor.ignored(name, why.to_owned());
                    continue;
                }
                None => {}
            }
            let place = spot.place.at(spot.place.start + member.offset);
            let inside =
                Spot { len: member.len, place, in_tar: true, ..spot.member(&name, &member.name) };
            let size = usize::try_from(member.len).unwrap_or(usize::MAX);
            let size = size.clamp(1, MEMBER_BUFFER_BYTES);
            let wanted = self.pending.len();
            let mut input = BufReader::with_capacity(size, &mut members);
            let looked = self.stream(&mut input, &inside);
            match self.settle(looked, &name)? {
                Some(known) => return self.whole_tar(known, members.into_inner(), spot),
                // From here on a member is a source of its own.
                None if self.pending.len() > wanted => members.get_mut().hash = None,
                None => {}
            }
        }
        Ok(())
    }

    /// Takes a tar stream, of which the first members were read, as one content.
    fn whole_tar(
        &mut self,
        known: V::Known,
        stream: Hashing<'_>,
        spot: &Spot<'_>,
    ) -> io::Result<()> {
        let Some(hash) = stream.hash else {
            return Err(refused(
                spot.name,
                "it holds records and files of records: load the files by themselves",
            ));
        };
        let left = self.visitor.enough().saturating_sub(stream.bytes);
        let (hash, bytes) = hash_rest(hash, &mut stream.inner.take(left))?;
        self.wanted(known, (hash, stream.bytes + bytes), spot);
        Ok(())
    }

    fn zip(&mut self, home: &Home, spot: &Spot<'_>) -> io::Result<()> {
        not_too_deep(spot)?;
        let reader = StoredReader::open(&home.location, Arc::clone(&home.stored));
        let mut reader = reader.map_err(SourceError::into_io)?;
        let members = zip::index(&mut reader, home.stored.bytes, spot.name, self.limits)?;
        if let Some(why) = zip::refuse_workbook(&members) {
            self.visitor.ignored(spot.name.to_owned(), why.to_owned());
            return Ok(());
        }
        for member in members {
            let name = format!("{}!{}", spot.name, member.name);
            match (member.refused, &member.unreadable) {
                (Some(FOLDER), _) => {}
                (Some(why), _) => self.visitor.ignored(name, why.to_owned()),
                (None, Some(why)) => self.visitor.failed(name, why.clone()),
                (None, None) => {
                    let looked = self.zip_member(&mut reader, home, &member, (spot, &name));
                    self.settle(looked, &name)?;
                }
            }
        }
        Ok(())
    }

    fn zip_member(
        &mut self,
        reader: &mut StoredReader,
        home: &Home,
        member: &zip::ZipMember,
        (archive, name): (&Spot<'_>, &str),
    ) -> io::Result<Option<V::Known>> {
        let start = zip::data_start(reader, member, archive.name)?;
        reader.seek(start);
        let mut packed = reader.take(member.packed);
        let place = Place::default().at(start);
        let inside = Spot { home: Some(home), in_tar: false, ..archive.member(name, &member.name) };
        let Some(codec) = member.codec else {
            let checked = zip::Checked::new(packed, member, name);
            let inside = Spot { place, len: member.len, ..inside };
            return self
                .stream(&mut BufReader::with_capacity(MEMBER_BUFFER_BYTES, checked), &inside);
        };
        let meter = Some(self.meter.clone());
        let decoder = Decoder::new(codec, Box::new(&mut packed), (name, start), meter);
        let inside = Spot { place: place.inside(codec, member.packed), ..inside };
        self.keeping(codec, member.packed, decoder, |walk, decoded| {
            let checked = zip::Checked::new(decoded, member, name);
            let mut input = BufReader::with_capacity(MEMBER_BUFFER_BYTES, checked);
            (walk.stream(&mut input, &inside), inside.place)
        })
    }

    /// A fault of one member is told, and the others go on; any other goes up.
    fn settle(
        &mut self,
        looked: io::Result<Option<V::Known>>,
        name: &str,
    ) -> io::Result<Option<V::Known>> {
        let error = match looked {
            Ok(known) => return Ok(known),
            Err(error) => error,
        };
        let own = error.get_ref().and_then(|inner| inner.downcast_ref::<SourceError>());
        match own.filter(|own| own.is_of(name)) {
            Some(own) => {
                self.visitor.failed(name.to_owned(), own.to_string());
                Ok(None)
            }
            None => Err(error),
        }
    }
}

impl<'a> Spot<'a> {
    /// A member of the archive at this spot.
    fn member<'b>(&self, name: &'b str, of_member: &str) -> Spot<'b>
    where
        'a: 'b,
    {
        Spot {
            name,
            path_name: format!("{}/{of_member}", self.path_name),
            place: self.place.clone(),
            len: u64::MAX,
            codecs: 0,
            archives: self.archives + 1,
            home: self.home,
            in_tar: self.in_tar,
        }
    }
}

fn not_too_deep(spot: &Spot<'_>) -> io::Result<()> {
    if spot.archives < ARCHIVES_NESTED_MAX {
        return Ok(());
    }
    Err(refused(
        spot.name,
        "it is an archive too deep inside others: extract it and load it itself",
    ))
}

fn refused(name: &str, reason: &str) -> io::Error {
    SourceError::Refused { name: name.to_owned(), reason: reason.to_owned() }.into_io()
}
