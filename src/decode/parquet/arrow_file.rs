//! Arrow IPC files (Feather) and streams. Both are messages one after another, so both are read
//! alike: their headers are walked once, and batches are read where they stand. What an offset or a
//! length says is compared with the file before anything is made of it.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::try_fb_to_schema;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::{Block, Endianness, MessageHeader, MetadataVersion, root_as_message};
use parquet::file::reader::{ChunkReader as _, Length as _};

use super::file::SharedFile;
use crate::limit::{ARROW_BATCH_BYTES_MAX, ARROW_HEADER_BYTES_MAX};

/// What a file starts and ends with.
const FILE_MAGIC: &[u8] = b"ARROW1";
/// Where a file's first message is.
const FILE_START: u64 = 8;
/// Zeros that may stand before that.
const FILE_PADDING_MAX: u64 = 56;
/// What stands before a message's length.
const CONTINUES: u32 = u32::MAX;

/// What is in a file, without its rows.
#[derive(Debug)]
pub(super) struct ArrowFile {
    pub schema: SchemaRef,
    version: MetadataVersion,
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
    /// Walks the messages of a file.
    pub fn open(file: &SharedFile) -> Said<Self> {
        let (mut at, end) = messages(file)?;
        let mut found: Option<Self> = None;
        while at < end {
            let Some(length) = header_length(file, at, end)? else { break };
            let bytes = read(file, at, length as u64, end)?;
            let prefix = prefix_bytes(&bytes);
            let message = root_as_message(bytes.get(prefix..).unwrap_or_default())
                .map_err(|_| format!("what stands at byte {at} is no message"))?;
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
                    if schema.endianness() == Endianness::Big {
                        return Err("its numbers are big-endian; write it anew".to_owned());
                    }
                    let columns = try_fb_to_schema(schema).map_err(|error| error.to_string())?;
                    found = Some(Self {
                        schema: Arc::new(columns),
                        version: message.version(),
                        dictionaries: Vec::new(),
                        batches: Vec::new(),
                    });
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

/// Where the messages start, and where they end.
fn messages(file: &SharedFile) -> Said<(u64, u64)> {
    let len = file.len();
    let head = read(file, 0, FILE_START.min(len), len)?;
    if !head.starts_with(FILE_MAGIC) {
        return Ok((0, len));
    }
    let tail = FILE_MAGIC.len() as u64 + 4;
    let start = len.checked_sub(tail).filter(|start| *start >= FILE_START);
    let tail = read(file, start.ok_or_else(|| cut_off(len))?, tail, len)?;
    let (footer, magic) = tail.split_at(4);
    let footer = footer.first_chunk().map_or(-1, |bytes| i32::from_le_bytes(*bytes));
    let footer = u64::try_from(footer).ok().filter(|_| magic == FILE_MAGIC);
    let end = footer.and_then(|footer| start?.checked_sub(footer));
    let end = end.filter(|end| *end >= FILE_START).ok_or_else(|| cut_off(len))?;
    // Zeros may fill up what stands before the first message.
    let head = read(file, FILE_START, (end - FILE_START).min(FILE_PADDING_MAX), end)?;
    let zeros = head.chunks(8).take_while(|word| word.iter().all(|byte| *byte == 0)).count();
    Ok(((FILE_START + 8 * zeros as u64).min(end), end))
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
            && words.offset < batch.offset
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
