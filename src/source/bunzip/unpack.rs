//! Blocks, decompressed by threads of their own. Called by `bunzip`.

use std::sync::{Arc, Mutex, PoisonError, mpsc};

use super::bits::Bits;
use super::block::{Block, BlockDecoder, checksum, unfold};
use super::scan::BLOCK;
use super::{HEAD_BITS, MARK_BITS};
use crate::limit::{BUNZIP_OUTPUT_BYTES_MAX, BUNZIP_THREADS_MAX};

/// Buffers for what comes out of blocks, to be used again.
#[derive(Clone, Default)]
pub struct Spare(Arc<Mutex<Vec<Vec<u8>>>>);

impl Spare {
    pub fn take(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default()
    }

    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        let mut buffers = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if buffer.capacity() > 0 && buffers.len() < BUNZIP_THREADS_MAX {
            buffers.push(buffer);
        }
    }
}

/// Why a block was not decompressed.
pub enum Failure {
    /// It is none, or not all of one, or damaged.
    Bad(&'static str),
    /// It becomes too much to be kept, or is of a kind that the library knows: it is to be read as
    /// a stream.
    Flows,
}

/// Decompresses blocks, one after another.
pub struct Unpacker {
    spare: Spare,
    decoder: BlockDecoder,
}

impl Unpacker {
    pub fn new(spare: Spare) -> Self {
        Self { spare, decoder: BlockDecoder::default() }
    }

    /// Decompresses one block of a stream of this level.
    pub fn unpack(&mut self, bits: &Bits, level: u8) -> Unpacked {
        let mark = &BLOCK.to_be_bytes()[2..];
        if bits.len < HEAD_BITS || !bits.bytes.starts_with(mark) {
            return Err(Failure::Bad("this is no block"));
        }
        let folded = match self.decoder.decode(bits, level).map_err(Failure::Bad)? {
            Block::Folded(folded) => folded,
            Block::Shuffled => return Err(Failure::Flows),
        };
        let mut made = self.spare.take();
        made.reserve(folded.len());
        if !unfold(folded, &mut made, BUNZIP_OUTPUT_BYTES_MAX) {
            self.spare.give_back(made);
            return Err(Failure::Flows);
        }
        if checksum(&made) != bits.word(MARK_BITS) {
            self.spare.give_back(made);
            return Err(Failure::Bad("the checksum of a block does not fit"));
        }
        Ok(made)
    }
}

/// What becomes of a block.
pub type Unpacked = Result<Vec<u8>, Failure>;

/// Threads that decompress blocks. They end with the channel of their work.
pub struct Workers {
    work: mpsc::Sender<Work>,
}

struct Work {
    bits: Arc<Bits>,
    level: u8,
    made: mpsc::SyncSender<Unpacked>,
}

impl Workers {
    pub fn start(threads: usize, spare: &Spare) -> Self {
        let (work, given) = mpsc::channel::<Work>();
        let given = Arc::new(Mutex::new(given));
        for _ in 0..threads {
            let given = Arc::clone(&given);
            let mut unpacker = Unpacker::new(spare.clone());
            std::thread::spawn(move || {
                loop {
                    let next = given.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Work { bits, level, made }) = next else { return };
                    // Whoever asked may be gone.
                    let _ = made.send(unpacker.unpack(&bits, level));
                }
            });
        }
        Self { work }
    }

    pub fn unpack(&self, bits: Arc<Bits>, level: u8) -> mpsc::Receiver<Unpacked> {
        let (made, result) = mpsc::sync_channel(1);
        // Without threads there is no answer, which the one who waits for it notices.
        let _ = self.work.send(Work { bits, level, made });
        result
    }
}
