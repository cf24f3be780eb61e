//! One content in every packing, the copies that are kept of it, and files that change.

use super::*;

#[test]
fn a_content_is_the_same_however_it_is_packed() {
    let (folder, text) = (Folder::new(), text(BLOCK_BYTES + 77_777));
    let mut forms = vec![("a.csv".to_owned(), text.clone())];
    for codec in CODECS {
        forms.push((format!("a.csv.{}", ending(codec)), pack(codec, &text)));
    }
    for low_first in [true, false] {
        let wide = pack(Codec::Utf16 { low_first }, &text);
        forms.push(("a.csv.GZ".to_owned(), pack(Codec::Gzip, &wide)));
        forms.push(("a.csv".to_owned(), wide));
    }
    let tar = tar_of(&[("x/readme", b"not this"), ("x/a.csv", &text)]);
    forms.push(("a.tar.gz".to_owned(), pack(Codec::Gzip, &tar)));
    forms.push(("a.tar".to_owned(), tar));
    for (method, at) in [STORED, DEFLATED, ::zip::CompressionMethod::Zstd].into_iter().zip(0..) {
        forms.push((format!("a{at}.zip"), zip_of(&[("x/a.csv", &text, method)])));
    }
    for (name, bytes) in forms {
        let (heard, outcome) = folder.look(&name, &bytes);
        outcome.unwrap();
        is_content(&folder, (&name, &heard), &text);
        let (heard, kept) = folder.look_keeping(&name, &bytes, u64::MAX / 2);
        is_content(&folder, (&name, &heard), &text);
        // Of UTF-16 inside gzip there are the bytes, not the text, so that they are not kept.
        let slow = [".gz", ".bz2", ".xz", ".br", "1.zip"].iter().any(|end| name.ends_with(end));
        assert_eq!(kept > 0, slow, "{name}");
        // What was kept is at hand whatever becomes of the stored bytes, if nobody sees it.
        let path = heard.kept[0].location.file().unwrap();
        overwrite(path, &vec![0; bytes.len()], true);
        match read(&heard.kept[0]) {
            Ok(read) => assert!(slow && read == text, "{name}"),
            Err(error) => assert!(!slow && matches!(error, SourceError::Changed { .. }), "{name}"),
        }
    }
}

/// Writes over a file; in secret, it looks as it did before.
fn overwrite(path: &Path, bytes: &[u8], in_secret: bool) {
    let before = std::fs::metadata(path).unwrap().modified().unwrap();
    std::fs::write(path, bytes).unwrap();
    let after = if in_secret { before } else { before + std::time::Duration::from_secs(1) };
    let file = std::fs::File::options().append(true).open(path).unwrap();
    file.set_modified(after).unwrap();
}

fn is_content(folder: &Folder, (name, heard): (&str, &Heard), text: &[u8]) {
    assert_eq!(heard.contents.len(), 1, "{name}");
    let (found, path_name, read) = &heard.contents[0];
    assert!(read == text, "{name}");
    assert!(path_name.ends_with("a.csv"), "{path_name}");
    assert_eq!(found.contains('!'), !name.starts_with("a.csv"));
    let content = &heard.kept[0];
    let print = || content.fingerprint.clone();
    for offset in [0, 4_000_000, text.len()] {
        let mut reader = ContentReader::open(&content.location, print(), 0).unwrap();
        let mut part = Vec::new();
        assert_eq!(reader.read_more(&mut part, 10).unwrap(), 10);
        reader.seek(offset as u64);
        part.clear();
        while reader.read_more(&mut part, 300_000).unwrap() > 0 {}
        assert!(part == text[offset..], "{name} from {offset}");
        assert!(reader.at_end());
        reader.seek(5);
        part.clear();
        reader.read_more(&mut part, 3).unwrap();
        assert_eq!(part, text[5..8], "{name}: back again");
    }
    let again = find_again(
        &folder.0.path().join(found).display().to_string(),
        &print().hash,
        &Remotes::new(std::time::Duration::ZERO),
        &Spooler::default(),
    );
    assert_eq!(again.unwrap().fingerprint, print(), "{name}");
}

fn ending(codec: Codec) -> &'static str {
    match codec {
        Codec::Gzip => "gz",
        Codec::Zstd => "zst",
        Codec::Bzip2 => "bz2",
        Codec::Xz => "xz",
        Codec::Lz4 => "lz4",
        Codec::Brotli | Codec::Deflate => "br",
        Codec::Utf16 { .. } => "txt",
    }
}

#[test]
fn a_packed_file_that_changes_is_noticed_before_its_bytes_are_used() {
    let folder = Folder::new();
    let numbers = 0..2 * BLOCK_BYTES as u64;
    let noise: Vec<u8> =
        numbers.map(|n| (n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect();
    let (heard, _) = folder.look("a.zst", &pack(Codec::Zstd, &noise));
    let content = &heard.kept[0];
    let mut bytes = std::fs::read(content.location.file().unwrap()).unwrap();
    bytes[40] ^= 1;
    std::fs::write(content.location.file().unwrap(), &bytes).unwrap();
    let mut reader =
        ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
    let error = reader.read_more(&mut Vec::new(), 10).unwrap_err();
    assert!(matches!(error, SourceError::Changed { offset: 0, .. }), "{error}");
}

#[test]
fn a_copy_is_left_as_soon_as_its_file_looks_different() {
    let (folder, text) = (Folder::new(), text(2 * BLOCK_BYTES));
    let packed = pack(Codec::Gzip, &text);
    let (heard, kept) = folder.look_keeping("a.csv.gz", &packed, u64::MAX / 2);
    assert_eq!(kept, text.len() as u64);
    let content = &heard.kept[0];
    let path = content.location.file().unwrap();
    // Touched only: the stored bytes are read, and are what they were.
    overwrite(path, &packed, false);
    assert!(read(content).unwrap() == text);
    let mut reader =
        ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
    overwrite(path, &pack(Codec::Gzip, &text[7..]), false);
    let error = reader.read_more(&mut Vec::new(), 10).unwrap_err();
    assert!(matches!(error, SourceError::Changed { offset: 0, .. }), "{error}");

    // Changed while the copy is being read: noticed before the next block is handed out.
    let (heard, _) = folder.look_keeping("b.csv.gz", &packed, u64::MAX / 2);
    let content = &heard.kept[0];
    let mut reader =
        ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
    assert!(reader.read_more(&mut Vec::new(), 10).unwrap() > 0);
    let other = pack(Codec::Gzip, &text[7..]);
    overwrite(content.location.file().unwrap(), &other, false);
    reader.seek(BLOCK_BYTES as u64);
    let error = reader.read_more(&mut Vec::new(), 10).unwrap_err();
    assert!(matches!(error, SourceError::Changed { offset: 0, .. }), "{error}");
}

#[test]
fn without_room_for_a_copy_a_source_is_decompressed_again() {
    let (folder, text) = (Folder::new(), text(BLOCK_BYTES));
    let packed = pack(Codec::Bzip2, &text);
    // Less than is expected of it, and less than it turns out to be.
    for max in [packed.len() as u64, text.len() as u64 - 1] {
        let (heard, kept) = folder.look_keeping("a.csv.bz2", &packed, max);
        assert_eq!(kept, 0, "what was begun is given back");
        assert!(read(&heard.kept[0]).unwrap() == text);
    }
    let nowhere = folder.0.path().join("nowhere");
    let (path, mut heard) = (folder.file("b.csv.bz2", &packed), Heard::default());
    let spooler = Spooler::default().keeping(nowhere, u64::MAX / 2);
    look_into(&path.as_path().into(), "b.csv.bz2", &spooler, &mut heard).unwrap();
    assert_eq!(spooler.kept_bytes(), 0);
    assert!(read(&heard.kept[0]).unwrap() == text);
}
