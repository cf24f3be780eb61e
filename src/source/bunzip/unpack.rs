//! Blocks, decompressed by threads of their own. Called by `bunzip`.

use std::sync::{Arc, LazyLock, Mutex, PoisonError, Weak, mpsc};

use super::bits::Bits;
use super::block::{Block, BlockDecoder, checksum, unfold};
use super::scan::BLOCK;
use super::{HEAD_BITS, MARK_BITS};
use crate::limit::{BUNZIP_OUTPUT_BYTES_MAX, BUNZIP_THREADS_MAX};

/// Why a block was not decompressed.
pub enum Failure {
    /// It is none, or not all of one, or damaged.
    Bad(&'static str),
    /// It becomes too much to be kept, or is of a kind that the library knows: it is to be read as
    /// a stream.
    Flows,
}

/// Decompresses blocks, one after another.
#[derive(Default)]
pub struct Unpacker(BlockDecoder);

impl Unpacker {
    /// Decompresses one block of a stream of this level into an empty buffer.
    pub fn unpack(&mut self, bits: &Bits, level: u8, mut into: Vec<u8>) -> Unpacked {
        let mark = &BLOCK.to_be_bytes()[2..];
        if bits.len < HEAD_BITS || !bits.bytes.starts_with(mark) {
            return Err(Failure::Bad("this is no block"));
        }
        let folded = match self.0.decode(bits, level).map_err(Failure::Bad)? {
            Block::Folded(folded) => folded,
            Block::Shuffled => return Err(Failure::Flows),
        };
        into.reserve(folded.len());
        if !unfold(folded, &mut into, BUNZIP_OUTPUT_BYTES_MAX) {
            return Err(Failure::Flows);
        }
        if checksum(&into) != bits.word(MARK_BITS) {
            return Err(Failure::Bad("the checksum of a block does not fit"));
        }
        Ok(into)
    }
}

/// What becomes of a block.
pub type Unpacked = Result<Vec<u8>, Failure>;

/// Threads that decompress blocks, for all streams that are read at the same time: each has a table
/// of megabytes, and more threads than cores would push one another's out of their caches. They end
/// when the last of those streams was read.
pub struct Workers(mpsc::Sender<Work>);

struct Work {
    bits: Arc<Bits>,
    level: u8,
    into: Vec<u8>,
    made: mpsc::SyncSender<Unpacked>,
}

static RUNNING: Mutex<Weak<Workers>> = Mutex::new(Weak::new());

impl Workers {
    /// Those that run, or new ones.
    pub fn shared() -> Arc<Self> {
        let mut running = RUNNING.lock().unwrap_or_else(PoisonError::into_inner);
        running.upgrade().unwrap_or_else(|| {
            let workers = Arc::new(Self::start());
            *running = Arc::downgrade(&workers);
            workers
        })
    }

    fn start() -> Self {
        let (work, given) = mpsc::channel::<Work>();
        let given = Arc::new(Mutex::new(given));
        for _ in 0..Self::threads() {
            let given = Arc::clone(&given);
            std::thread::spawn(move || {
                let mut unpacker = Unpacker::default();
                loop {
                    let next = given.lock().unwrap_or_else(PoisonError::into_inner).recv();
                    let Ok(Work { bits, level, into, made }) = next else { return };
                    // Whoever asked may be gone.
                    let _ = made.send(unpacker.unpack(&bits, level, into));
                }
            });
        }
        Self(work)
    }

    /// How many there are, if any.
    pub fn threads() -> usize {
        // Asking reads files.
        static CORES: LazyLock<usize> =
            LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
        (*CORES).min(BUNZIP_THREADS_MAX)
    }

    /// As [`Unpacker::unpack`], by one of the threads.
    pub fn unpack(&self, bits: Arc<Bits>, level: u8, into: Vec<u8>) -> mpsc::Receiver<Unpacked> {
        let (made, result) = mpsc::sync_channel(1);
        // Without threads there is no answer, which the one who waits for it notices.
        let _ = self.0.send(Work { bits, level, into, made });
        result
    }
}
