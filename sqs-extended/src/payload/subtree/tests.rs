use std::collections::BTreeSet;

use proptest::prelude::*;

use super::granule::{GRANULE, Granule, GranuleHasher};
use super::tree::Tree;

const KIB: u64 = 1024;

fn content(len: u64) -> Vec<u8> {
    // The period shares no factor with a granule, so granules differ.
    (0..=250).cycle().take(usize::try_from(len).unwrap()).collect()
}

/// Hashes `bytes`, which begin at `start`, in chunks of the given lengths and then as one chunk.
fn hash_range(granule_len: u64, start: u64, mut bytes: &[u8], chunks: &[usize]) -> Vec<Granule> {
    let mut hasher = GranuleHasher::with_granule_len(start, granule_len);
    let mut granules = Vec::new();
    for chunk in chunks {
        let (chunk, rest) = bytes.split_at(bytes.len().min(*chunk));
        hasher.update(chunk);
        granules.extend(hasher.take_finished());
        bytes = rest;
    }
    hasher.update(bytes);
    granules.extend(hasher.finish());
    granules
}

fn root_of(granule_len: u64, len: u64, granules: &[Granule]) -> Option<blake3::Hash> {
    let mut tree = Tree::with_granule_len(granule_len);
    for granule in granules {
        tree.insert(granule);
    }
    tree.root(len)
}

/// Adds the granules one by one, and compares the tree with what it must know at each step.
fn assert_root(granule_len: u64, bytes: &[u8], granules: &[Granule]) {
    let len = bytes.len() as u64;
    let mut tree = Tree::with_granule_len(granule_len);
    let mut absent: BTreeSet<u64> = (0..len.div_ceil(granule_len)).collect();
    for granule in granules {
        assert_eq!(tree.root(len), None, "{} of {len} bytes are missing", absent.len());
        assert!(!tree.contains(granule.index()));
        assert!(tree.insert(granule));
        assert!(tree.contains(granule.index()));
        assert!(!tree.insert(granule), "a duplicate");
        absent.remove(&granule.index());
        let missing = tree.missing(len);
        let starts = missing
            .iter()
            .flat_map(|range| range.clone().step_by(usize::try_from(granule_len).unwrap()));
        assert!(starts.map(|start| start / granule_len).eq(absent.iter().copied()));
        let ends = missing.iter().map(|range| range.end);
        assert!(ends.into_iter().all(|end| end % granule_len == 0 || end == len));
    }
    let expected = blake3::hash(bytes);
    assert_eq!(tree.root(len), Some(expected), "{len} bytes");
    for other in [len.saturating_sub(1), len + 1, len + granule_len] {
        assert!(
            other == len || tree.root(other) != Some(expected),
            "{len} bytes as {other}"
        );
    }
}

#[test]
fn every_number_of_granules_has_its_digest() {
    for granules in 0..=33 {
        for len in [granules * KIB, granules * KIB + 1, (granules * KIB + KIB) - 1] {
            let bytes = content(len);
            let mut hashed = hash_range(KIB, 0, &bytes, &[]);
            assert_eq!(hashed.len() as u64, len.div_ceil(KIB));
            assert_root(KIB, &bytes, &hashed);
            hashed.reverse();
            assert_root(KIB, &bytes, &hashed);
        }
    }
}

#[test]
fn granules_of_the_real_size_give_the_digest() {
    for len in [
        0,
        1,
        GRANULE - 1,
        GRANULE,
        GRANULE + 1,
        2 * GRANULE,
        3 * GRANULE - 1,
        3 * GRANULE,
        5 * GRANULE + 7,
    ] {
        let bytes = content(len);
        let mut hasher = GranuleHasher::new(0);
        // Odd borders.
        for chunk in bytes.chunks(77_777) {
            hasher.update(chunk);
        }
        let mut tree = Tree::new();
        for granule in hasher.finish() {
            tree.insert(&granule);
        }
        assert_eq!(tree.root(len), Some(blake3::hash(&bytes)), "{len} bytes");
    }
}

#[test]
fn a_chaining_value_is_the_one_of_blake3() {
    use blake3::hazmat::HasherExt as _;

    let bytes = content(3 * KIB);
    let expected = blake3::Hasher::new()
        .set_input_offset(2 * KIB)
        .update(&bytes[2048..])
        .finalize_non_root();
    assert_eq!(
        *hash_range(KIB, 2 * KIB, &bytes[2048..], &[5])[0].chaining_value(),
        expected
    );
}

#[test]
fn a_range_that_ends_too_early_gives_no_digest() {
    let bytes = content(4 * KIB);
    let mut granules = hash_range(KIB, 0, &bytes[..1500], &[]);
    granules.extend(hash_range(KIB, 2 * KIB, &bytes[2048..], &[]));
    assert_eq!(root_of(KIB, 4 * KIB, &granules), None);
}

#[test]
fn other_bytes_give_another_digest() {
    let bytes = content(5 * KIB);
    let mut granules = hash_range(KIB, 0, &bytes, &[]);
    let mut wrong = bytes.clone();
    wrong[3000] ^= 1;
    granules[2] = hash_range(KIB, 0, &wrong, &[])[2];
    assert_eq!(root_of(KIB, 5 * KIB, &granules), Some(blake3::hash(&wrong)));
}

proptest! {
    #[test]
    fn any_ranges_in_any_order_give_the_digest(
        granule_len in prop::sample::select(vec![KIB, 2 * KIB, 16 * KIB, 32 * KIB]),
        ranges in prop::collection::vec(1..6_u64, 0..8),
        last in 0..32 * KIB,
        chunks in prop::collection::vec(0..40_000_usize, 0..12),
        seed in any::<u64>(),
    ) {
        let len = ranges.iter().sum::<u64>() * granule_len + last % granule_len;
        let bytes = content(len);
        let mut granules = Vec::new();
        let mut start = 0;
        for range in ranges.iter().chain([&1]) {
            let end = len.min(start + range * granule_len);
            let range = usize::try_from(start).unwrap()..usize::try_from(end).unwrap();
            granules.extend(hash_range(granule_len, start, &bytes[range], &chunks));
            start = end;
        }
        fastrand::Rng::with_seed(seed).shuffle(&mut granules);
        assert_root(granule_len, &bytes, &granules);
    }
}
