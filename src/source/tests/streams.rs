//! Streams of every format: whole, cut off, damaged.

use super::*;

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
