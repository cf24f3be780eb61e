//! Arrow IPC files (Feather) and streams. The messages of a stream are walked once; those of a file
//! are where its footer says, for what stands between them is its writer's own business. Batches
//! are read where they stand. What an offset or a length says is compared with the file before
//! anything is made of it.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{
    Block, Endianness, MessageHeader, MetadataVersion, Schema, root_as_footer, root_as_message,
};
use parquet::file::reader::{ChunkReader as _, Length as _};

use super::file::SharedFile;
use crate::limit::{ARROW_BATCH_BYTES_MAX, ARROW_HEADER_BYTES_MAX};

/// What a file starts and ends with.
const FILE_MAGIC: &[u8] = b"ARROW1";
/// Where a file's first message is.
const FILE_START: u64 = 8;
/// A mark and a length of nothing, which end a stream; without the mark in streams of old.
const STREAM_END_BYTES: u64 = 8;
/// What stands before a message's length.
const CONTINUES: u32 = u32::MAX;

/// What is in a file, without its rows.
#[derive(Debug)]
pub(super) struct ArrowFile {
    pub schema: SchemaRef,
    version: MetadataVersion,
    /// Whether a dictionary holds from where it stands on, and not for all batches.
    is_stream: bool,
    dictionaries: Vec<Message>,
    batches: Vec<Message>,
}

/// Where a message is.
#[derive(Debug, Clone, Copy)]
struct Message {
    offset: u64,
    /// Bytes of its header, with the length before it.
    header: i32,
    body: i64,
    rows: u64,
}

type Said<T> = Result<T, String>;

impl ArrowFile {
    /// Learns what is in a file: from its footer, or by walking the messages of a stream.
    pub fn open(file: &SharedFile) -> Said<Self> {
        let len = file.len();
        let head = read(file, 0, FILE_START.min(len), len)?;
        match head.starts_with(FILE_MAGIC) {
            true => Self::by_footer(file, len),
            false => Self::by_messages(file, len),
        }
    }

    fn by_footer(file: &SharedFile, len: u64) -> Said<Self> {
        let (bytes, end) = footer(file, len)?;
        let footer = root_as_footer(&bytes).map_err(|_| "its footer is damaged".to_owned())?;
        let schema = footer.schema().ok_or_else(|| "it has no schema".to_owned())?;
        let mut found = Self::new(schema, footer.version(), false)?;
        // Blocks that share bytes would make a small file a large one.
        let mut left = end;
        for block in footer.dictionaries().into_iter().flatten() {
            let (message, _) = block_at(file, block, end, MessageHeader::DictionaryBatch)?;
            left = message.taken_from(left)?;
            found.dictionaries.push(message);
        }
        for block in footer.recordBatches().into_iter().flatten() {
            let (message, header) = block_at(file, block, end, MessageHeader::RecordBatch)?;
            left = message.taken_from(left)?;
            let rows = header_of(&header, message.offset)?.header_as_record_batch();
            let rows = rows.and_then(|batch| u64::try_from(batch.length()).ok());
            let rows = rows.ok_or_else(|| odd_length(message.offset))?;
            found.batches.push(Message { rows, ..message });
        }
        Ok(found)
    }

    fn new(schema: Schema<'_>, version: MetadataVersion, is_stream: bool) -> Said<Self> {
        if schema.endianness() == Endianness::Big {
            return Err("its numbers are big-endian; write it anew".to_owned());
        }
        let columns = try_fb_to_schema(schema).map_err(|error| error.to_string())?;
        let (dictionaries, batches) = (Vec::new(), Vec::new());
        Ok(Self { schema: Arc::new(columns), version, is_stream, dictionaries, batches })
    }

    fn by_messages(file: &SharedFile, end: u64) -> Said<Self> {
        let mut at = 0;
        let mut found: Option<Self> = None;
        while at < end {
            let Some(length) = header_length(file, at, end)? else {
                let rest = read(file, at, (end - at).min(STREAM_END_BYTES), end)?;
                at += prefix_bytes(&rest) as u64;
                break;
            };
            let bytes = read(file, at, length as u64, end)?;
            let message = header_of(&bytes, at)?;
            let body = u64::try_from(message.bodyLength()).map_err(|_| odd_length(at))?;
            let next = at.checked_add(length as u64).and_then(|to| to.checked_add(body));
            let next = next.filter(|next| *next <= end).ok_or_else(|| cut_off(at))?;
            let place = |rows: i64| -> Said<Message> {
                let rows = u64::try_from(rows).map_err(|_| odd_length(at))?;
                Ok(Message { offset: at, header: length, body: body as i64, rows })
            };
            match (message.header_type(), &mut found) {
                (MessageHeader::Schema, None) => {
                    let schema = message.header_as_schema().ok_or_else(|| odd_length(at))?;
                    found = Some(Self::new(schema, message.version(), true)?);
                }
                (MessageHeader::DictionaryBatch, Some(file)) => file.dictionaries.push(place(0)?),
                (MessageHeader::RecordBatch, Some(file)) => {
                    let batch = message.header_as_record_batch().ok_or_else(|| odd_length(at))?;
                    file.batches.push(place(batch.length())?);
                }
                _ => return Err(format!("a message at byte {at} is not of a table")),
            }
            at = next;
        }
        if at < end {
            return Err(format!("something follows its end at byte {at}; split the file there"));
        }
        found.ok_or_else(|| "it has no schema".to_owned())
    }

    /// Rows of each batch.
    pub fn batch_rows(&self) -> Vec<u64> {
        self.batches.iter().map(|batch| batch.rows).collect()
    }

    /// Reads some batches, of which the columns at these positions.
    pub fn read(
        self: &Arc<Self>,
        file: SharedFile,
        of: Range<usize>,
        roots: Vec<usize>,
    ) -> Batches {
        let decoder = FileDecoder::new(Arc::clone(&self.schema), self.version);
        let decoder = decoder.with_projection(roots);
        Batches { file, source: Arc::clone(self), decoder, left: of, dictionaries: 0 }
    }
}

impl Message {
    /// What is left of the file's bytes when those of this message are not counted again.
    fn taken_from(self, left: u64) -> Said<u64> {
        let bytes = self.header as u64 + self.body as u64;
        left.checked_sub(bytes)
            .ok_or_else(|| format!("the batch at byte {} is of another, too", self.offset))
    }
}

/// The bytes of a file's footer, and where they begin.
fn footer(file: &SharedFile, len: u64) -> Said<(bytes::Bytes, u64)> {
    let tail = FILE_MAGIC.len() as u64 + 4;
    let start = len.checked_sub(tail).filter(|start| *start >= FILE_START);
    let start = start.ok_or_else(|| cut_off(len))?;
    let tail = read(file, start, tail, len)?;
    let (length, magic) = tail.split_at(4);
    let length = length.first_chunk().map_or(-1, |bytes| i32::from_le_bytes(*bytes));
    let length = u64::try_from(length).ok().filter(|_| magic == FILE_MAGIC);
    let begin = length.and_then(|length| start.checked_sub(length));
    let begin = begin.filter(|begin| *begin >= FILE_START).ok_or_else(|| cut_off(len))?;
    Ok((read(file, begin, start - begin, len)?, begin))
}

/// The message of a block, without its rows, and the bytes of its header.
fn block_at(
    file: &SharedFile,
    block: &Block,
    end: u64,
    kind: MessageHeader,
) -> Said<(Message, bytes::Bytes)> {
    let offset = u64::try_from(block.offset()).unwrap_or(u64::MAX);
    let (header, body) = (block.metaDataLength(), block.bodyLength());
    let most = ARROW_HEADER_BYTES_MAX as i32;
    let within = (8..most).contains(&header) && body >= 0;
    let to = offset.checked_add(header as u64).and_then(|to| to.checked_add(body as u64));
    if !within || offset < FILE_START || to.is_none_or(|to| to > end) {
        return Err(cut_off(offset));
    }
    let bytes = read(file, offset, header as u64, end)?;
    let message = header_of(&bytes, offset)?;
    if message.header_type() != kind || message.bodyLength() != body {
        return Err(odd_length(offset));
    }
    Ok((Message { offset, header, body, rows: 0 }, bytes))
}

/// The header of the message at byte `at`.
fn header_of(bytes: &[u8], at: u64) -> Said<arrow::ipc::Message<'_>> {
    root_as_message(bytes.get(prefix_bytes(bytes)..).unwrap_or_default())
        .map_err(|_| format!("what stands at byte {at} is no message"))
}

/// Bytes of a message's header with the length before it; `None`: the last message was before.
fn header_length(file: &SharedFile, at: u64, end: u64) -> Said<Option<i32>> {
    let bytes = read(file, at, 8.min(end - at), end)?;
    let prefix = prefix_bytes(&bytes);
    let length = bytes.get(prefix - 4..prefix).and_then(<[u8]>::first_chunk);
    let length = i32::from_le_bytes(*length.ok_or_else(|| cut_off(at))?);
    if length == 0 {
        return Ok(None);
    }
    let most = ARROW_HEADER_BYTES_MAX as i32;
    let length = (0..most).contains(&length).then_some(length).ok_or_else(|| odd_length(at))?;
    Ok(Some(length + prefix as i32))
}

/// Bytes of what stands before a header: its length, in files of old without a mark before that.
fn prefix_bytes(bytes: &[u8]) -> usize {
    if bytes.starts_with(&CONTINUES.to_le_bytes()) { 8 } else { 4 }
}

fn read(file: &SharedFile, at: u64, length: u64, end: u64) -> Said<bytes::Bytes> {
    if at.checked_add(length).is_none_or(|to| to > end) {
        return Err(cut_off(at));
    }
    file.get_bytes(at, length as usize).map_err(|error| error.to_string())
}

fn cut_off(at: u64) -> String {
    format!("it is cut off: what starts at byte {at} ends beyond its end")
}

fn odd_length(at: u64) -> String {
    format!("the message at byte {at} has a length that cannot be")
}

/// Batches of a file, one after another.
#[derive(Debug)]
pub(super) struct Batches {
    file: SharedFile,
    source: Arc<ArrowFile>,
    decoder: FileDecoder,
    left: Range<usize>,
    /// Dictionaries that were read.
    dictionaries: usize,
}

impl Batches {
    /// The next batch.
    pub fn next(&mut self) -> Said<Option<RecordBatch>> {
        let Some(at) = self.left.next() else { return Ok(None) };
        let batch = self.source.batches[at];
        while let Some(words) = self.source.dictionaries.get(self.dictionaries)
            && (!self.source.is_stream || words.offset < batch.offset)
        {
            let (block, bytes) = self.message(*words)?;
            self.decoder.read_dictionary(&block, &bytes).map_err(|error| error.to_string())?;
            self.dictionaries += 1;
        }
        let (block, bytes) = self.message(batch)?;
        let read = self.decoder.read_record_batch(&block, &bytes);
        read.map_err(|error| error.to_string())
    }

    /// A message's bytes, if they are no more than is wise to hold.
    fn message(&self, message: Message) -> Said<(Block, Buffer)> {
        let Message { offset, header, body, .. } = message;
        let too_large = || {
            format!(
                "a batch at byte {offset} takes more than {ARROW_BATCH_BYTES_MAX} bytes; write it \
                 with smaller batches, or as Parquet"
            )
        };
        if body as u64 > ARROW_BATCH_BYTES_MAX {
            return Err(too_large());
        }
        let bytes = read(&self.file, offset, header as u64 + body as u64, self.file.len())?;
        let unpacked = unpacked_bytes(&bytes, header as usize).ok_or_else(|| odd_length(offset))?;
        if unpacked > ARROW_BATCH_BYTES_MAX {
            return Err(too_large());
        }
        Ok((Block::new(offset as i64, header, body), Buffer::from(bytes)))
    }
}

/// What a message's buffers say that they become; 0 if they are not compressed.
fn unpacked_bytes(bytes: &[u8], header: usize) -> Option<u64> {
    let (head, body) = bytes.split_at_checked(header)?;
    let message = root_as_message(head.get(prefix_bytes(head)..)?).ok()?;
    let batch = match message.header_type() {
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch()?.data()?,
        _ => message.header_as_record_batch()?,
    };
    if batch.compression().is_none() {
        return Some(0);
    }
    let mut total = 0_u64;
    for buffer in batch.buffers().into_iter().flatten().filter(|buffer| buffer.length() > 0) {
        let at = usize::try_from(buffer.offset()).ok()?;
        let length = i64::from_le_bytes(*body.get(at..)?.first_chunk()?);
        // Minus one: it is not compressed after all.
        let length = if length == -1 { buffer.length() } else { length };
        total = total.checked_add(u64::try_from(length).ok()?)?;
    }
    Some(total)
}
