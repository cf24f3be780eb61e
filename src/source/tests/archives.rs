//! Archives and their members, damage and bombs.

use super::*;

#[test]
fn members_of_one_stream_are_read_in_one_pass() {
    let folder = Folder::new();
    let parts: Vec<Vec<u8>> = (1..6).map(|n| text(n * 9_999)).collect();
    let named = ["1", "2", "3", "4", "5"];
    let members: Vec<_> = named.into_iter().zip(parts.iter().map(Vec::as_slice)).collect();
    let packed = pack(Codec::Xz, &tar_of(&members));
    members_follow(&folder.look("a.tar.xz", &packed).0, &parts);
    members_follow(&folder.look_keeping("b.tar.xz", &packed, u64::MAX / 2).0, &parts);
}

fn members_follow(heard: &Heard, parts: &[Vec<u8>]) {
    let mut reader: Option<ContentReader> = None;
    for at in [0, 2, 3, 1, 4] {
        let content = &heard.kept[at];
        let print = content.fingerprint.clone();
        let mut next = match reader.take() {
            Some(reader) => reader.follow(&content.location, print, 0).unwrap(),
            None => ContentReader::open(&content.location, print, 0).unwrap(),
        };
        let mut bytes = Vec::new();
        // The last bytes are left for the one that follows to skip.
        (&mut next).take(9_000).read_to_end(&mut bytes).unwrap();
        assert!(bytes == parts[at][..9_000], "{at}");
        reader = Some(next);
    }
}

#[test]
fn members_have_names_and_reasons() {
    let folder = Folder::new();
    let long = format!("{}/{}.csv", "folder".repeat(20), "name".repeat(30));
    let mut builder = tar::Builder::new(Vec::new());
    let mut add = |kind: tar::EntryType, name: &str, data: &[u8]| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(kind);
        header.set_size(data.len() as u64);
        let field = &mut header.as_old_mut().name;
        if name.len() <= field.len() {
            field[..name.len()].copy_from_slice(name.as_bytes());
            header.set_cksum();
            builder.append(&header, data).unwrap();
        } else {
            builder.append_data(&mut header, name, data).unwrap();
        }
    };
    add(tar::EntryType::Directory, "d/", b"");
    add(tar::EntryType::Regular, "d/a.csv", b"1\n");
    add(tar::EntryType::Regular, &long, b"2\n");
    add(tar::EntryType::Regular, "/etc/passwd", b"x");
    add(tar::EntryType::Regular, "d/../../x", b"x");
    add(tar::EntryType::Symlink, "link", b"");
    add(tar::EntryType::Link, "hard", b"");
    add(tar::EntryType::Char, "device", b"");
    add(tar::EntryType::Fifo, "pipe", b"");
    add(tar::EntryType::Regular, "d/.hidden", b"x");
    add(tar::EntryType::Regular, "d/empty.csv", b"");
    add(tar::EntryType::Regular, "readme", b"not market data");
    let (heard, outcome) = folder.look("a.tar", &builder.into_inner().unwrap());
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.tar!d/a.csv", &format!("a.tar!{long}"), "a.tar!d/empty.csv"]);
    let ignored: Vec<_> = heard.ignored.iter().map(|(name, _)| name.as_str()).collect();
    let wanted = ["/etc/passwd", "d/../../x", "link", "hard", "device", "pipe", "d/.hidden"];
    assert_eq!(ignored, wanted.map(|name| format!("a.tar!{name}")));
    assert!(heard.ignored[1].1.contains("leads out"), "{:?}", heard.ignored);
    assert_eq!(heard.failed, []);
}

#[test]
fn pax_headers_name_members_and_their_sizes() {
    let mut builder = tar::Builder::new(Vec::new());
    let name = format!("{}.csv", "é".repeat(120));
    let fields = [("path", name.as_bytes()), ("size", &b"4"[..]), ("mtime", b"1.5")];
    builder.append_pax_extensions(fields).unwrap();
    let mut header = tar::Header::new_ustar();
    header.set_path("short").unwrap();
    header.set_size(4);
    header.set_cksum();
    builder.append(&header, &b"abc\n"[..]).unwrap();
    let stream = builder.into_inner().unwrap();
    let mut members = TarMembers::new(stream.as_slice(), "a.tar");
    let member = members.next_member().unwrap().unwrap();
    assert_eq!((member.name, member.len, member.refused), (name, 4, None));
    let mut data = String::new();
    members.read_to_string(&mut data).unwrap();
    assert_eq!(data, "abc\n");
    assert_eq!(members.next_member().unwrap(), None);
    assert_eq!(members.next_member().unwrap(), None);
}

#[test]
fn many_small_members_are_walked_one_by_one() {
    let documents: Vec<(String, String)> =
        (0..3_000).map(|n| (format!("k/{n}.json"), format!("{{\"id\":{n}}}"))).collect();
    let members: Vec<_> =
        documents.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    let tar = tar_of(&members);
    let folder = Folder::new();
    let heard = Heard { whole: Some("k/0.json"), ..Heard::default() };
    let (heard, outcome) = folder.look_for(heard, "a.tar.bz2", &pack(Codec::Bzip2, &tar));
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.tar.bz2"]);
    assert!(heard.contents[0].2 == tar);
    let content = &heard.kept[0];
    let stream = ContentReader::open(&content.location, content.fingerprint.clone(), 0).unwrap();
    let mut walk = TarMembers::new(stream, &content.name);
    for (name, text) in &documents {
        let member = walk.next_member().unwrap().unwrap();
        assert_eq!(&member.name, name);
        let mut data = String::new();
        if member.offset % 3 > 0 {
            walk.read_to_string(&mut data).unwrap();
            assert_eq!(&data, text);
        }
    }
    assert_eq!(walk.next_member().unwrap(), None);
}

#[test]
fn a_tar_stream_ends_with_its_mark_or_is_damaged() {
    let folder = Folder::new();
    let tar = tar_of(&[("1", b"one\n"), ("2", &[b'x'; 2_000])]);
    for len in [1_024, 1_030, 1_536, 3_000, tar.len() - 1_024] {
        let (heard, outcome) = folder.look("a.tar", &tar[..len]);
        assert_eq!(names(&heard)[..1], ["a.tar!1"], "what is whole is whole");
        assert!(outcome.unwrap_err().to_string().contains("truncated"), "{len}");
    }
    let (_, outcome) = folder.look("a.tar", &[&tar[..], &tar[..]].concat());
    assert!(outcome.unwrap_err().to_string().contains("joined"));
    let mut damaged = tar;
    damaged[1_024 + 130] ^= 1;
    let (_, outcome) = folder.look("a.tar", &damaged);
    let error = outcome.unwrap_err().to_string();
    assert!(error.contains("a.tar: bad tar data at byte 1024"), "{error}");
    assert!(folder.look("none.tar", &[0; 10_240]).1.is_ok());
}

#[test]
fn a_member_that_is_damaged_does_not_take_the_others_with_it() {
    let folder = Folder::new();
    let mut gz = pack(Codec::Gzip, &text(9_000));
    gz.truncate(gz.len() - 3);
    let tar = tar_of(&[("1", b"one\n"), ("2.gz", &gz), ("3", b"three\n")]);
    let (heard, outcome) = folder.look("a.tar", &tar);
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.tar!1", "a.tar!3"]);
    assert!(heard.failed[0].1.contains("a.tar!2.gz: bad gzip data"), "{:?}", heard.failed);

    let mut zip =
        zip_of(&[("1", b"one\n", STORED), ("2", b"two\n", STORED), ("3", b"3", DEFLATED)]);
    let at = zip.windows(4).position(|bytes| bytes == b"two\n").unwrap();
    zip[at] = b'T';
    let (heard, outcome) = folder.look("a.zip", &zip);
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.zip!1", "a.zip!3"]);
    assert!(heard.failed[0].1.contains("checksum"), "{:?}", heard.failed);
}

#[test]
fn a_zip_archive_is_read_by_its_directory() {
    let folder = Folder::new();
    let members: [(&str, &[u8], _); 5] = [
        ("d/a.csv", b"1\n", DEFLATED),
        ("../out.csv", b"2\n", DEFLATED),
        ("__MACOSX/d/._a.csv", b"3\n", STORED),
        ("empty.csv", b"", DEFLATED),
        ("no_line_end.csv", b"4", STORED),
    ];
    let zip = zip_of(&members);
    let (heard, outcome) = folder.look("a.zip", &zip);
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.zip!d/a.csv", "a.zip!empty.csv", "a.zip!no_line_end.csv"]);
    assert_eq!(heard.ignored.len(), 2, "{:?}", heard.ignored);
    assert_eq!(heard.contents[0].1, "a.zip/d/a.csv");
    for len in [30, zip.len() / 2, zip.len() - 1] {
        let error = folder.look("a.zip", &zip[..len]).1.unwrap_err().to_string();
        assert!(error.contains("truncated"), "{len}: {error}");
    }
    // A comment, and something in front of the archive that a directory's offsets do not know.
    let end = zip.len() - 2;
    let commented = [&zip[..end], b"\x05\0hello"].concat();
    assert_eq!(folder.look("c.zip", &commented).0.contents.len(), 3);
    let error = folder.look("g.zip", &[&zip[..], b"garbage"].concat()).1.unwrap_err();
    assert!(error.to_string().contains("follow"), "{error}");
    assert!(folder.look("none.zip", &zip_of(&[])).1.is_ok());
}

#[test]
fn zip_archives_of_the_large_kind_are_read() {
    let folder = Folder::new();
    let mut writer = ::zip::ZipWriter::new(io::Cursor::new(Vec::new()));
    let options = ::zip::write::SimpleFileOptions::default().large_file(true);
    writer.start_file("a.csv", options).unwrap();
    writer.write_all(b"1\n").unwrap();
    for n in 0..66_000 {
        writer.start_file(format!("{n}"), options.compression_method(STORED)).unwrap();
        writer.write_all(b"not").unwrap();
    }
    let zip = writer.finish().unwrap().into_inner();
    let (heard, outcome) = folder.look("a.zip", &zip);
    outcome.unwrap();
    assert_eq!(names(&heard), ["a.zip!a.csv"]);
}

#[test]
fn members_that_share_bytes_or_lie_outside_are_refused() {
    let folder = Folder::new();
    let zip = zip_of(&[("1", b"one\n", STORED), ("2", b"two\n", STORED)]);
    let entries: Vec<usize> =
        zip.windows(4).enumerate().filter(|(_, w)| w == b"PK\x01\x02").map(|(at, _)| at).collect();
    let mut shared = zip.clone();
    shared[entries[1] + 42..entries[1] + 46].copy_from_slice(&0_u32.to_le_bytes());
    let error = folder.look("a.zip", &shared).1.unwrap_err().to_string();
    assert!(error.contains("share"), "{error}");
    let mut outside = zip.clone();
    outside[entries[1] + 20..entries[1] + 24].copy_from_slice(&9_999_u32.to_le_bytes());
    let error = folder.look("a.zip", &outside).1.unwrap_err().to_string();
    assert!(error.contains("beyond"), "{error}");
    let mut encrypted = zip;
    encrypted[entries[0] + 8] |= 1;
    let (heard, _) = folder.look("a.zip", &encrypted);
    assert!(heard.failed[0].1.contains("encrypted"), "{:?}", heard.failed);
}

#[test]
fn damaged_archives_never_panic() {
    let folder = Folder::new();
    let inner = pack(Codec::Gzip, &text(3_000));
    let zip = zip_of(&[("1", &text(800), DEFLATED), ("2.gz", &inner, STORED)]);
    let tar = tar_of(&[("1", &text(800)), ("2.gz", &inner)]);
    for archive in [zip, tar] {
        for at in 0..archive.len() {
            let mut damaged = archive.clone();
            damaged[at] = damaged[at].wrapping_add(0x81);
            let _ = folder.look("a", &damaged);
        }
    }
}

#[test]
fn archives_inside_one_another_end_at_the_second() {
    let folder = Folder::new();
    let text = text(3_000);
    let csv_gz = pack(Codec::Gzip, &text);
    let tar = pack(Codec::Zstd, &tar_of(&[("b/c.csv.gz", &csv_gz)]));
    let zip = zip_of(&[("a.tar.zst", &tar, DEFLATED)]);
    let (heard, outcome) = folder.look("o.zip", &zip);
    outcome.unwrap();
    assert_eq!(names(&heard), ["o.zip!a.tar.zst!b/c.csv.gz"]);
    assert_eq!(heard.contents[0].1, "o.zip/a.tar/b/c.csv");
    assert!(heard.contents[0].2 == text);
    let in_tar = tar_of(&[("i.zip", &zip_of(&[("c.csv", &text, DEFLATED)]))]);
    let (heard, _) = folder.look("o.tar", &in_tar);
    assert_eq!(names(&heard), ["o.tar!i.zip!c.csv"]);
    assert!(heard.contents[0].2 == text);
    for deeper in [tar_of(&[("x.zip", &zip)]), zip_of(&[("x.tar", &in_tar, STORED)])] {
        let (heard, outcome) = folder.look("deep", &deeper);
        outcome.unwrap();
        assert_eq!(names(&heard), [""; 0]);
        assert!(heard.failed[0].1.contains("too deep"), "{:?}", heard.failed);
    }
    let twice = pack(Codec::Gzip, &csv_gz);
    assert!(folder.look("c.csv.gz.gz", &twice).0.contents[0].2 == text);
    let error = folder.look("c", &pack(Codec::Xz, &twice)).1.unwrap_err().to_string();
    assert!(error.contains("too many times"), "{error}");
}

#[test]
fn a_bomb_is_stopped_at_what_its_size_allows() {
    let folder = Folder::new();
    let zeros = vec![b'0'; 3_000_000];
    let limits = Limits { ratio: 50, free_bytes: 10_000, bytes: 1 << 30, members: 10 };
    let look = |name: &str, bytes: &[u8], limits| {
        let path = folder.file(name, bytes);
        let mut heard = Heard::default();
        let outcome =
            look_within(&path.as_path().into(), name, &Spooler::default(), &mut heard, limits);
        assert_eq!(names(&heard), [""; 0], "{name}");
        outcome
    };
    let gz = pack(Codec::Gzip, &zeros);
    let nested = pack(Codec::Bzip2, &gz);
    let of_gz = zip_of(&[("a.gz", &gz, STORED)]);
    let of_tar = zip_of(&[("a.tar.gz", &pack(Codec::Gzip, &tar_of(&[("a", &zeros)])), STORED)]);
    let plain = zip_of(&[("a", &zeros, DEFLATED)]);
    for (name, bomb) in [
        ("a.gz", gz),
        ("a.gz.bz2", nested),
        ("g.zip", of_gz),
        ("t.zip", of_tar),
        ("p.zip", plain),
        ("a.xz", pack(Codec::Xz, &zeros)),
        ("a.zst", pack(Codec::Zstd, &zeros)),
        ("a.lz4", pack(Codec::Lz4, &zeros)),
    ] {
        let error = look(name, &bomb, limits).unwrap_err();
        assert!(matches!(error, SourceError::Bomb { .. }), "{name}: {error}");
        assert!(error.to_string().starts_with(name), "{error}");
        look(name, &bomb, Limits { bytes: 5_000, ratio: 1_000_000, ..limits }).unwrap_err();
    }
    let many: Vec<(String, &[u8])> = (0..11).map(|n| (n.to_string(), &b"not"[..])).collect();
    let many: Vec<(&str, &[u8])> = many.iter().map(|(name, data)| (name.as_str(), *data)).collect();
    let error = look("m.tar", &tar_of(&many), limits).unwrap_err().to_string();
    assert!(error.contains("more than 10 members"), "{error}");
    let many: Vec<_> = many.into_iter().map(|(name, data)| (name, data, STORED)).collect();
    let error = look("m.zip", &zip_of(&many), limits).unwrap_err().to_string();
    assert!(error.contains("more than 10 members"), "{error}");
}

#[test]
fn a_workbook_is_passed_over_as_a_whole() {
    let sheet = b"<worksheet/>";
    let members = [("xl/workbook.xml", &sheet[..], STORED), ("xl/a.csv", b"1,2\n", STORED)];
    let (heard, outcome) = Folder::new().look("a.xlsx", &zip_of(&members));
    outcome.unwrap();
    assert!(heard.contents.is_empty() && heard.ignored.len() == 1, "{:?}", heard.ignored);
    assert!(heard.ignored[0].1.contains("save the sheet as CSV"));
}
