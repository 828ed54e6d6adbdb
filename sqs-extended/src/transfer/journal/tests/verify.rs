use std::fs::File;
use std::io::{self, Read as _, Write as _};

use super::super::record::Record;
use super::super::verify::{Verified, verified_granules};
use super::record;
use crate::payload::subtree::granule::{GRANULE, Granule, GranuleHasher};
use crate::transfer::interruptible::Interrupt;

/// The length of [`payload`]: three granules and a short one.
const PAYLOAD_LEN: u64 = 3 * GRANULE + 1000;

fn payload() -> Vec<u8> {
    let mut payload = Vec::new();
    io::repeat(7).take(PAYLOAD_LEN).read_to_end(&mut payload).unwrap();
    // Granules differ.
    for (number, granule) in payload.chunks_mut(1 << 20).enumerate() {
        granule[0] = u8::try_from(number).unwrap();
    }
    payload
}

fn granules_of(payload: &[u8]) -> Vec<Granule> {
    let mut hasher = GranuleHasher::new(0);
    hasher.update(payload);
    hasher.finish()
}

fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn verify(bytes: &[u8], records: &[Record]) -> Verified {
    verified_granules(
        &file_of(bytes),
        PAYLOAD_LEN,
        records.iter().cloned().map(Ok),
        &Interrupt::default(),
    )
    .unwrap()
}

fn indexes(verified: &Verified) -> Vec<u64> {
    (0..10).filter(|index| verified.tree.contains(*index)).collect()
}

#[test]
fn recorded_granules_are_verified_in_the_file() {
    let payload = payload();
    let granules = granules_of(&payload);
    let records = [Record::downloaded(&granules[2..]), Record::downloaded(&granules[..2])];
    let verified = verify(&payload, &records);
    assert_eq!(verified.tree.root(PAYLOAD_LEN), Some(blake3::hash(&payload)));
    assert_eq!(verified.tree.missing(PAYLOAD_LEN), Vec::new());

    for (index, granule) in granules.iter().enumerate() {
        let mut flipped = payload.clone();
        flipped[index << 20] ^= 8;
        let verified = verify(&flipped, &records);
        let expected: Vec<u64> = (0..4).filter(|other| *other != granule.index()).collect();
        assert_eq!(indexes(&verified), expected, "a bit of granule {index} in the file");

        let mut records = [Record::downloaded(&granules)];
        records[0].chaining_values[index][7] ^= 1;
        assert_eq!(
            indexes(&verify(&payload, &records)),
            expected,
            "a bit of granule {index} in the journal"
        );
        // The true record counts, whatever else the journal claims.
        let contradicting = [records[0].clone(), Record::downloaded(&granules), records[0].clone()];
        assert_eq!(indexes(&verify(&payload, &contradicting)), [0, 1, 2, 3]);
    }
    assert_eq!(indexes(&verify(&payload, &records[..1])), [2, 3], "not recorded");
}

#[test]
fn a_file_of_another_length_lacks_granules_only() {
    let payload = payload();
    let records = [Record::downloaded(&granules_of(&payload))];
    assert_eq!(indexes(&verify(&payload[..payload.len() - 1], &records)), [0, 1, 2]);
    assert_eq!(indexes(&verify(&payload[..(1 << 20) + 5], &records)), [0]);
    assert_eq!(indexes(&verify(&[], &records)), [0; 0]);
    let longer = [&payload[..], b"more"].concat();
    assert_eq!(indexes(&verify(&longer, &records)), [0, 1, 2, 3]);
    assert_eq!(
        indexes(&verify(&payload, &[record(4, &[1]), record(u64::MAX, &[1])])),
        [0; 0]
    );
}

#[test]
fn a_payload_of_one_granule_is_verified() {
    for len in [1, 1000, GRANULE] {
        let payload = &payload()[..usize::try_from(len).unwrap()];
        let records = [Ok(Record::downloaded(&granules_of(payload)))];
        let verified = verified_granules(&file_of(payload), len, records, &Interrupt::default()).unwrap();
        assert_eq!(verified.tree.root(len), Some(blake3::hash(payload)));
    }
}

#[test]
fn the_last_record_of_a_part_decides() {
    let payload = payload();
    let granules = granules_of(&payload);
    let first = Record::uploaded(&granules[..2], 0, "first");
    let last = Record::uploaded(&granules[2..], 1, "last");
    let parts = |records: &[Record]| -> Vec<(u64, String)> { verify(&payload, records).parts.into_iter().collect() };
    let both = [(0, "first".to_owned()), (1, "last".to_owned())];
    assert_eq!(parts(&[last.clone(), first.clone()]), both);

    let again = Record::uploaded(&granules[..2], 0, "again");
    let latest = [(0, "again".to_owned()), (1, "last".to_owned())];
    assert_eq!(parts(&[first.clone(), last.clone(), again]), latest);

    let mut other = Record::uploaded(&granules[..2], 0, "of other bytes");
    other.chaining_values[1] = [0; 32];
    assert_eq!(
        parts(&[first.clone(), last.clone(), other.clone()]),
        both[1..],
        "the store has other bytes"
    );
    assert_eq!(parts(&[other, last, first]), both);
}

#[test]
fn a_record_that_cannot_be_read_is_an_error() {
    let records = [Err(io::Error::other("broken disk"))];
    let result = verified_granules(&file_of(&payload()), 1, records, &Interrupt::default());
    assert_eq!(result.err().unwrap().to_string(), "broken disk");
}
