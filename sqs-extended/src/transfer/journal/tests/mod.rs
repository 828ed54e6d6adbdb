mod verify;

use std::fs::OpenOptions;
use std::io::{self, BufReader, Read as _};
use std::path::Path;

use proptest::prelude::*;
use tempfile::TempDir;

use super::file::Journal;
use super::header::{Header, Identity, TransferKind};
use super::line;
use super::record::{Record, Records, UploadedPart};
use crate::payload::subtree::granule::GRANULE;

/// The payload's length in tests that hash nothing: 20 granules, the last one short.
const LEN: u64 = 20 * GRANULE - 5;

fn identity() -> Identity {
    Identity::new(TransferKind::Download)
        .with("bucket", "payloads")
        .with("key", "some/käse 100%=\n")
}

fn record(first: u64, values: &[u8]) -> Record {
    Record {
        first,
        chaining_values: values.iter().map(|value| [*value; 32]).collect(),
        part: None,
    }
}

fn part(index: u64, etag: &str, first: u64, values: &[u8]) -> Record {
    let etag = etag.to_owned();
    Record {
        part: Some(UploadedPart { index, etag }),
        ..record(first, values)
    }
}

fn records() -> Vec<Record> {
    vec![
        record(3, &[1, 2, 3]),
        part(2, "\"a b\"", 8, &[4, 5]),
        record(0, &[6]),
        part(0, "", 19, &[7]),
    ]
}

/// Writes a journal as a text, without checks.
fn text_of(identity: &Identity, records: &[Record]) -> String {
    let header = Header::new(identity, LEN).unwrap();
    let mut text = header.text.clone();
    for record in records {
        record.write(&mut text, &header.key).unwrap();
    }
    text
}

/// Reads a journal from bytes. Returns `None` if the transfer starts over.
fn read(mut bytes: &[u8]) -> Option<Vec<Record>> {
    let header = Header::read(&mut bytes, &identity()).unwrap()?;
    assert_eq!(header.len, LEN);
    let records = Records::new(bytes, header.key, header.len);
    Some(records.map(Result::unwrap).collect())
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn reopened(path: &Path) -> Option<Vec<Record>> {
    let mut journal = Journal::open(path, &identity()).unwrap()?;
    Some(journal.records().unwrap().map(Result::unwrap).collect())
}

fn text() -> impl Strategy<Value = String> {
    prop::collection::vec(any::<char>(), 0..20).prop_map(String::from_iter)
}

fn any_record() -> impl Strategy<Value = Record> {
    let values = prop::collection::vec(any::<[u8; 32]>(), 1..5);
    let part = prop::option::of((0..10_000_u64, text()));
    (0..16_u64, values, part).prop_map(|(first, chaining_values, part)| Record {
        first,
        chaining_values,
        part: part.map(|(index, etag)| UploadedPart { index, etag }),
    })
}

proptest! {
    #[test]
    fn a_journal_is_read_as_it_was_written(
        fields in prop::collection::vec((text(), text()), 0..6),
        calls in prop::collection::vec(prop::collection::vec(any_record(), 0..3), 0..5),
    ) {
        let mut written = Identity::new(TransferKind::Upload);
        for (name, value) in &fields {
            written = written.with(&format!("test {name}"), value);
        }
        let folder = folder();
        let path = folder.path().join("journal");
        let mut journal = Journal::create(&path, &written, LEN).unwrap().unwrap();
        for records in &calls {
            journal.append(records).unwrap();
        }
        let expected = calls.concat();
        let read: Vec<Record> = journal.records().unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(&read, &expected);
        drop(journal);

        let known = Identity::new(TransferKind::Upload);
        let mut journal = Journal::open(&path, &known).unwrap().unwrap();
        prop_assert_eq!(journal.payload_len(), LEN);
        prop_assert_eq!(journal.identity(), &written.with("length", LEN));
        let read: Vec<Record> = journal.records().unwrap().map(Result::unwrap).collect();
        prop_assert_eq!(read, expected);
    }

    #[test]
    fn random_bytes_are_no_journal(bytes in prop::collection::vec(any::<u8>(), 0..2000)) {
        prop_assert_eq!(read(&bytes), None);
        let mut journal = text_of(&identity(), &records()).into_bytes();
        journal.extend(bytes);
        prop_assert_eq!(read(&journal), Some(records()));
    }

    #[test]
    fn random_records_with_a_checksum_stay_within_the_payload(
        lines in prop::collection::vec("(granules|part [0-9]{1,6} [a-z]{0,5}) ([0-9]{1,2}|[0-9]{20}) ([0-9a-f]{64}){0,3}", 1..8),
        cut in any::<prop::sample::Index>(),
    ) {
        let header = Header::new(&identity(), LEN).unwrap();
        let mut text = header.text.clone();
        for content in &lines {
            line::write(&mut text, &header.key, content);
        }
        let bytes = &text.as_bytes()[..header.text.len() + cut.index(text.len() - header.text.len())];
        for record in read(bytes).unwrap() {
            prop_assert!(record.first + record.chaining_values.len() as u64 <= 20);
            prop_assert!(record.part.is_none_or(|part| part.index < 10_000));
        }
    }
}

#[test]
fn every_truncation_keeps_whole_records_only() {
    let text = text_of(&identity(), &records());
    let header = text.find('\n').unwrap();
    for len in 0..=text.len() {
        let truncated = &text[..len];
        let whole_lines = truncated.matches('\n').count();
        let expected = (len > header).then(|| records()[..whole_lines - 1].to_vec());
        assert_eq!(read(truncated.as_bytes()), expected, "{len} of {} bytes", text.len());
    }
}

#[test]
fn every_flipped_bit_loses_its_record_and_those_after_it() {
    let text = text_of(&identity(), &records());
    for index in 0..text.len() {
        let whole_lines = text[..index].matches('\n').count();
        let expected = whole_lines.checked_sub(1).map(|intact| records()[..intact].to_vec());
        for bit in 0..8 {
            let mut flipped = text.clone().into_bytes();
            flipped[index] ^= 1 << bit;
            assert_eq!(read(&flipped), expected, "bit {bit} of byte {index}");
        }
    }
}

#[test]
fn records_of_another_transfer_do_not_count() {
    let other = identity().with("etag", "other");
    let text = text_of(&identity(), &records()[..2]);
    let other = text_of(&other, &records());
    let foreign_line = other.lines().last().unwrap();
    assert_eq!(
        read(format!("{text}{foreign_line}\n").as_bytes()),
        Some(records()[..2].to_vec())
    );
}

#[test]
fn records_beyond_a_limit_do_not_count() {
    let etag = "e".repeat(1025);
    let hostile = [
        record(20, &[1]),
        record(19, &[1, 2]),
        record(u64::MAX, &[1]),
        part(10_000, "etag", 0, &[1]),
        part(1, &etag, 0, &[1]),
    ];
    let header = Header::new(&identity(), LEN).unwrap();
    for record in hostile {
        let UploadedPart { index, etag } = record.part.clone().unwrap_or(UploadedPart {
            index: 0,
            etag: String::new(),
        });
        let values = "01".repeat(32 * record.chaining_values.len());
        let content = match record.part {
            Some(_) => format!("part {index} {} {} {values}", line::encode(&etag), record.first),
            None => format!("granules {} {values}", record.first),
        };
        let mut text = text_of(&identity(), &records()[..1]);
        line::write(&mut text, &header.key, &content);
        assert_eq!(read(text.as_bytes()), Some(records()[..1].to_vec()), "{record:?}");
    }
    for content in [
        "granules 0 ",
        "granules 0",
        "granules 0 01",
        "granules -1 01",
        "granules",
        "",
        "part 0 %FF 0 01",
    ] {
        let mut text = text_of(&identity(), &records()[..1]);
        line::write(&mut text, &header.key, content);
        assert_eq!(read(text.as_bytes()), Some(records()[..1].to_vec()), "{content}");
    }
}

#[test]
fn endless_repeats_and_endless_lines_end() {
    let repeated = vec![record(0, &[1; 20]); 100];
    assert_eq!(read(text_of(&identity(), &repeated).as_bytes()).unwrap().len(), 4);

    let header = Header::new(&identity(), LEN).unwrap();
    let endless = header.text.as_bytes().chain(io::repeat(b'a'));
    let mut input = BufReader::new(endless);
    Header::read(&mut input, &identity()).unwrap().unwrap();
    assert_eq!(Records::new(input, header.key, LEN).count(), 0);
    let none = Header::read(&mut BufReader::new(io::repeat(b'a')), &identity()).unwrap();
    assert!(none.is_none());
}

#[test]
fn long_records_become_several_lines_or_are_refused() {
    let header = Header::new(&identity(), 12_000 * GRANULE).unwrap();
    let values: Vec<u8> = (0..=250).cycle().take(11_000).collect();
    let mut text = String::new();
    record(700, &values).write(&mut text, &header.key).unwrap();
    let read: Vec<Record> = Records::new(text.as_bytes(), header.key, header.len)
        .map(Result::unwrap)
        .collect();
    assert_eq!(
        read.iter().map(|record| record.first).collect::<Vec<_>>(),
        [700, 5820, 10_940]
    );
    let joined: Vec<_> = read.into_iter().flat_map(|record| record.chaining_values).collect();
    assert_eq!(joined, record(700, &values).chaining_values);

    let largest = part(9_999, &"\"".repeat(1024), 0, &values[..5120]);
    let mut text = String::new();
    largest.write(&mut text, &header.key).unwrap();
    let mut read = Records::new(text.as_bytes(), header.key, header.len);
    assert_eq!(read.next().unwrap().unwrap(), largest);

    let too_long = [
        part(0, "etag", 0, &values[..5121]),
        part(0, &"e".repeat(1025), 0, &[1]),
        part(10_000, "etag", 0, &[1]),
    ];
    for part in too_long {
        let error = part.write(&mut String::new(), &header.key).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }
    let error = Header::new(&identity().with("path", "p".repeat(32 * 1024)), 1).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
}

#[test]
fn another_identity_starts_over() {
    let folder = folder();
    let path = folder.path().join("journal");
    assert!(
        Journal::open(&path, &identity()).unwrap().is_none(),
        "there is no journal"
    );
    let created = identity().with("etag", "\"1\"").with("upload_id", "u/1+2=");
    drop(Journal::create(&path, &created, LEN).unwrap().unwrap());
    let others = [
        Identity::new(TransferKind::Upload),
        identity().with("bucket", "other"),
        identity().with("etag", "\"2\""),
        identity().with("length", LEN + 1),
        identity().with("unknown", ""),
    ];
    for other in others {
        assert!(Journal::open(&path, &other).unwrap().is_none(), "{other:?}");
    }
    let journal = Journal::open(&path, &identity().with("length", LEN)).unwrap().unwrap();
    assert_eq!(journal.identity().get("upload_id"), Some("u/1+2="));
}

#[test]
fn a_torn_record_is_replaced_by_the_next_one() {
    let folder = folder();
    let path = folder.path().join("journal");
    let mut journal = Journal::create(&path, &identity(), LEN).unwrap().unwrap();
    journal.append(&records()[..3]).unwrap();
    drop(journal);
    let len = std::fs::metadata(&path).unwrap().len();
    OpenOptions::new()
        .write(true)
        .open(&path)
        .unwrap()
        .set_len(len - 10)
        .unwrap();

    let mut journal = Journal::open(&path, &identity()).unwrap().unwrap();
    journal.append(&records()[3..]).unwrap();
    drop(journal);
    let expected = [&records()[..2], &records()[3..]].concat();
    assert_eq!(reopened(&path), Some(expected));
}

#[test]
fn a_journal_has_one_owner() {
    let folder = folder();
    let path = folder.path().join("journal");
    let mut journal = Journal::create(&path, &identity(), LEN).unwrap().unwrap();
    journal.append(&records()).unwrap();
    assert!(Journal::open(&path, &identity()).unwrap().is_none());
    assert!(Journal::create(&path, &identity(), LEN).unwrap().is_none());
    drop(journal);
    assert_eq!(reopened(&path), Some(records()));

    let journal = Journal::create(&path, &identity(), LEN).unwrap().unwrap();
    drop(journal);
    assert_eq!(reopened(&path), Some(Vec::new()), "the earlier journal was replaced");

    Journal::open(&path, &identity()).unwrap().unwrap().remove().unwrap();
    assert!(!path.exists());
}

#[cfg(unix)]
#[test]
fn a_link_is_neither_followed_nor_replaced() {
    let folder = folder();
    let target = folder.path().join("target");
    let path = folder.path().join("journal");
    std::fs::write(&target, text_of(&identity(), &records())).unwrap();
    std::os::unix::fs::symlink(&target, &path).unwrap();
    assert!(Journal::open(&path, &identity()).unwrap().is_none());
    assert!(Journal::create(&path, &identity(), LEN).unwrap().is_none());
    assert_eq!(
        std::fs::read_to_string(&target).unwrap(),
        text_of(&identity(), &records())
    );
}

#[cfg(unix)]
#[test]
fn a_file_that_replaced_the_journal_is_not_removed() {
    let folder = folder();
    let path = folder.path().join("journal");
    let journal = Journal::create(&path, &identity(), LEN).unwrap().unwrap();
    std::fs::rename(&path, folder.path().join("elsewhere")).unwrap();
    std::fs::write(&path, "of another program").unwrap();
    journal.remove().unwrap();
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "of another program");
}

#[test]
fn only_journals_are_replaced() {
    let folder = folder();
    let path = folder.path().join("journal");
    let opened = || Journal::open(&path, &identity()).map(drop);
    let created = || Journal::create(&path, &identity(), LEN).map(|journal| assert!(journal.is_some()));
    for foreign in [
        vec![0; 4096],
        b"0123456789abcdef,0123456789abcdef,0123456789".to_vec(),
        b"x".to_vec(),
    ] {
        std::fs::write(&path, &foreign).unwrap();
        for error in [opened().unwrap_err(), created().unwrap_err()] {
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(std::fs::read(&path).unwrap(), foreign);
    }
    let text = text_of(&identity(), &records()).into_bytes();
    for index in 0..50 {
        let mut damaged = text.clone();
        damaged[index] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        opened().unwrap();
        created().unwrap();
    }
    std::fs::write(&path, "").unwrap();
    created().unwrap();
}
