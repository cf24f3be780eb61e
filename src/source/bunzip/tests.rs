use std::io::Write;

use super::*;

fn pack(bytes: &[u8], level: u32) -> Vec<u8> {
    let mut to = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::new(level));
    to.write_all(bytes).and_then(|()| to.finish()).unwrap()
}

/// Reads `packed`, at most `part` bytes at once.
fn bunzip(packed: &[u8], part: usize) -> Bunzip<'_> {
    Bunzip::new(Input::new(Box::new(io::BufReader::with_capacity(part, packed))))
}

/// What comes out, and whether it is all.
fn unpack(packed: &[u8]) -> (Vec<u8>, io::Result<usize>) {
    let mut made = Vec::new();
    let read = bunzip(packed, 4_096).read_to_end(&mut made);
    (made, read)
}

fn noise(len: usize) -> Vec<u8> {
    let mut state = 7_u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        b'0' + (state >> 60) as u8
    };
    std::iter::repeat_with(next).take(len).collect()
}

#[test]
fn blocks_come_out_in_order_and_the_input_stands_behind_the_stream() {
    for len in [0, 1, 99_000, 100_000, 1_234_567] {
        let bytes = noise(len);
        let mut packed = pack(&bytes, 1);
        packed.extend(b"rest");
        // Small reads, so that marks are met at every edge.
        for part in [1, 7, 4_096] {
            let mut stream = bunzip(&packed, part);
            let mut made = Vec::new();
            stream.read_to_end(&mut made).unwrap();
            assert!(made == bytes, "{len} by {part}");
            let mut rest = String::new();
            stream.into_inner().read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "rest", "{len} by {part}");
        }
    }
}

#[test]
fn streams_right_after_one_another_are_one() {
    let bytes = noise(1_000_000);
    let parts = [&bytes[..250_000], b"", &bytes[250_000..300_000], &bytes[300_000..]];
    let streams: Vec<Vec<u8>> = parts.iter().zip([1, 9, 2, 5]).map(|(p, l)| pack(p, l)).collect();
    let packed = streams.concat();
    for part in [1, 13, 4_096] {
        let (mut stream, mut made) = (bunzip(&packed, part), Vec::new());
        stream.read_to_end(&mut made).unwrap();
        assert!(made == bytes, "by {part}");
        assert_eq!(stream.into_inner().read, packed.len() as u64);
    }
    // The threads have blocks of several streams at once.
    let mut stream = bunzip(&packed[streams[0].len()..], 4_096);
    stream.look_ahead().unwrap();
    let levels: Vec<u8> = stream.queue.iter().map(|piece| piece.level).collect();
    assert!(levels.starts_with(&[9, 2]), "{levels:?}");
    assert!(stream.workers.is_some());
    // A checksum that does not fit is that of its own stream; what came before it is good.
    let mut broken = packed.clone();
    broken[streams[0].len() + streams[1].len() - 2] ^= 1;
    let (made, read) = unpack(&broken);
    assert!(read.is_err() && made == bytes[..250_000]);
}

#[test]
fn a_mark_inside_a_block_is_no_mark() {
    // Not compressible, so the digits of the mark survive: two marks' worth of any alignment
    // cannot be made on purpose, but a cut in the middle of a block can be.
    let bytes = noise(250_000);
    let packed = pack(&bytes, 1);
    let mut whole = bunzip(&packed, 4_096);
    let mut pieces = Vec::new();
    while !whole.scanner.ended {
        pieces.push(whole.scanner.next().unwrap());
    }
    let first = pieces.remove(0);
    let (mut left, mut right) = (Bits::default(), Bits::default());
    left.push(&first.bits, 0, 1_003);
    right.push(&first.bits, 1_003, first.bits.len - 1_003);
    let cut = |bits: Bits| Piece { bits: Arc::new(bits), level: 1, at: 4, kind: Kind::Block(None) };
    whole.queue.extend([cut(left), cut(right)]);
    whole.queue.extend(pieces);
    let mut made = Vec::new();
    whole.read_to_end(&mut made).unwrap();
    assert!(made == bytes);
}

#[test]
fn what_is_damaged_is_noticed_in_every_byte() {
    let bytes = noise(220_000);
    let packed = pack(&bytes, 1);
    for at in (4..packed.len()).step_by(packed.len() / 97) {
        let mut broken = packed.clone();
        broken[at] ^= 0x10;
        let (made, read) = unpack(&broken);
        // Bits behind the end count for nothing.
        assert!(read.is_err() || made == bytes && at == packed.len() - 1, "byte {at}");
        let (made, read) = unpack(&packed[..at]);
        assert_eq!(read.unwrap_err().kind(), io::ErrorKind::UnexpectedEof, "cut at {at}");
        assert!(bytes.starts_with(&made));
    }
}

#[test]
fn a_block_that_becomes_too_much_flows() {
    let bytes = vec![b'1'; 30_000_000];
    assert!(unpack(&pack(&bytes, 9)).0 == bytes);
}

#[test]
fn runs_and_ranks_of_all_kinds_come_back() {
    let every: Vec<u8> = (0..=255).cycle().take(70_000).collect();
    let of_four: Vec<u8> = (0..30_000).map(|at| b"acgt"[at * at / 7 % 4]).collect();
    let mut runs = Vec::new();
    for (at, len) in (1..=270).chain([3, 4, 5, 4, 4, 259, 260, 1_000]).enumerate() {
        runs.extend(std::iter::repeat_n(at as u8 % 3, len));
    }
    let text = r#"{"killmail_id":1,"attackers":[{"damage_done":4444}]}"#.repeat(9_000);
    for bytes in [b"a".to_vec(), b"aaaa".to_vec(), every, of_four, runs, text.into_bytes()] {
        for level in [1, 9] {
            let (made, _) = unpack(&pack(&bytes, level));
            assert!(made == bytes, "{} bytes at level {level}", bytes.len());
        }
    }
}

#[test]
fn a_shuffled_block_is_left_to_the_library() {
    // The bit behind mark and checksum says that a block was shuffled: some of its bytes, of which
    // byte 618 is the first, were changed. A shorter block is the same shuffled and not.
    for (len, same) in [(600, true), (700, false)] {
        let bytes = noise(len);
        let mut packed = pack(&bytes, 1);
        packed[4 + HEAD_BITS / 8] |= 0x80;
        let mut stream = bunzip(&packed, 4_096);
        let mut made = vec![0];
        stream.read_exact(&mut made).unwrap();
        assert!(matches!(stream.out, Out::Flowing(_)));
        let read = stream.read_to_end(&mut made);
        assert_eq!(read.is_ok() && made == bytes, same, "{len} bytes: {read:?}");
    }
}

proptest::proptest! {
    #[test]
    fn what_the_library_packs_is_unpacked(
        parts in proptest::collection::vec((proptest::num::u8::ANY, 1..600_usize), 1..400),
        letters in 1..=255_u8,
    ) {
        let letter = |(at, len): &(u8, usize)| {
            std::iter::repeat_n(at % letters, if len % 3 == 0 { *len } else { 1 })
        };
        let bytes: Vec<u8> = parts.iter().flat_map(letter).collect();
        proptest::prop_assert!(unpack(&pack(&bytes, 1)).0 == bytes);
    }

    #[test]
    fn damaged_blocks_never_panic(
        bytes in proptest::collection::vec(b'a'..b'f', 1..2_000),
        flips in proptest::collection::vec((0..10_000_usize, 0..8_u8), 1..6),
    ) {
        let mut packed = pack(&bytes, 1);
        for (at, bit) in flips {
            let at = 4 + at % (packed.len() - 4);
            packed[at] ^= 1 << bit;
        }
        let (made, read) = unpack(&packed);
        if read.is_ok() {
            proptest::prop_assert!(made == bytes);
        }
    }
}
