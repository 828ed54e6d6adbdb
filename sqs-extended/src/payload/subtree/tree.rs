//! The digest of a payload from the hashes of its granules.

use std::collections::BTreeMap;
use std::ops::Range;

use blake3::hazmat::{self, ChainingValue, Mode};

use super::granule::{GRANULE, Granule};

/// Collects granules in any order.
///
/// Siblings are merged at once, so the memory depends on the number of gaps and not on the payload's length. Each run of
/// adjacent granules occupies at most 88 nodes of about 50 bytes.
pub(crate) struct Tree {
    granule_len: u64,
    /// Whole subtrees by the number of their first granule.
    nodes: BTreeMap<u64, Node>,
    /// The payload's length, if its last granule is shorter than the others and has arrived.
    end: Option<u64>,
    /// The digest of a payload that consists of the first granule only.
    digest_if_only: Option<blake3::Hash>,
}

struct Node {
    /// The number of granules, a power of two. The payload's last granule counts even if it is short.
    granules: u64,
    chaining_value: ChainingValue,
}

impl Tree {
    pub(crate) fn new() -> Self {
        Self::with_granule_len(GRANULE)
    }

    pub(super) fn with_granule_len(granule_len: u64) -> Self {
        Self {
            granule_len,
            nodes: BTreeMap::new(),
            end: None,
            digest_if_only: None,
        }
    }

    /// Adds a granule. Returns `false`, and changes nothing, if a granule with its index has already been added.
    pub(crate) fn insert(&mut self, granule: &Granule) -> bool {
        if self.contains(granule.index) {
            return false;
        }
        if !granule.end.is_multiple_of(self.granule_len) {
            self.end = Some(granule.end);
        }
        if granule.index == 0 {
            self.digest_if_only = granule.digest_if_only;
        }
        let (first, node) = self.merged_with_siblings(granule);
        self.nodes.insert(first, node);
        true
    }

    /// Adds granules.
    pub(crate) fn insert_all(&mut self, granules: &[Granule]) {
        for granule in granules {
            self.insert(granule);
        }
    }

    /// Removes the granule's siblings, and returns the largest subtree that they form with it.
    fn merged_with_siblings(&mut self, granule: &Granule) -> (u64, Node) {
        let mut first = granule.index;
        let mut node = Node {
            granules: 1,
            chaining_value: granule.chaining_value,
        };
        loop {
            let sibling = first ^ node.granules;
            let parent = first.min(sibling);
            // A parent that begins with the payload may be the root, which is merged in another way. All other parents
            // have something before them, so they are not the root.
            let is_whole = |there: &Node| parent > 0 && there.granules == node.granules;
            if !self.nodes.get(&sibling).is_some_and(is_whole) {
                return (first, node);
            }
            if let Some(there) = self.nodes.remove(&sibling) {
                let (left, right) = match first < sibling {
                    true => (&node, &there),
                    false => (&there, &node),
                };
                node = Node {
                    granules: 2 * node.granules,
                    chaining_value: merge(&left.chaining_value, &right.chaining_value),
                };
                first = parent;
            }
        }
    }

    /// Returns `true` if the granule has been added.
    pub(crate) fn contains(&self, index: u64) -> bool {
        let before = self.nodes.range(..=index).next_back();
        before.is_some_and(|(first, node)| index - first < node.granules)
    }

    /// Lists the ranges of bytes whose granules are missing from a payload of `len` bytes, in order. Each begins at a
    /// multiple of [`GRANULE`].
    pub(crate) fn missing(&self, len: u64) -> Vec<Range<u64>> {
        let mut missing = Vec::new();
        let mut next = 0;
        let payload_end = len.div_ceil(self.granule_len);
        let present = self.nodes.iter().map(|(first, node)| (*first, *first + node.granules));
        for (first, end) in present.chain([(payload_end, payload_end)]) {
            let gap = next..first.min(payload_end);
            if !gap.is_empty() {
                missing.push(gap.start * self.granule_len..len.min(gap.end.saturating_mul(self.granule_len)));
            }
            next = end;
        }
        missing
    }

    /// Returns the digest of a payload of `len` bytes. Returns `None` if a granule is missing, or if a payload of another
    /// length was hashed.
    pub(crate) fn root(&self, len: u64) -> Option<blake3::Hash> {
        let short_end = (!len.is_multiple_of(self.granule_len)).then_some(len);
        if self.end != short_end {
            return None;
        }
        let granules = len.div_ceil(self.granule_len);
        match granules {
            0 => Some(blake3::hash(b"")),
            1 => self.digest_if_only,
            _ => {
                let (left, right) = self.children(0, granules)?;
                Some(hazmat::merge_subtrees_root(&left, &right, Mode::Hash))
            }
        }
    }

    /// Returns the chaining value of `granules` granules, at least one, from the number `first` on.
    fn subtree(&self, first: u64, granules: u64) -> Option<ChainingValue> {
        // `insert` never merges subtrees at the payload's beginning.
        if granules == 1 || first > 0 && granules.is_power_of_two() {
            let node = self.nodes.get(&first)?;
            return (node.granules == granules).then_some(node.chaining_value);
        }
        let (left, right) = self.children(first, granules)?;
        Some(merge(&left, &right))
    }

    /// Returns the chaining values below a node of at least two granules.
    fn children(&self, first: u64, granules: u64) -> Option<(ChainingValue, ChainingValue)> {
        // The left child is the largest whole subtree that leaves something for the right one.
        let left = granules.next_power_of_two() / 2;
        Some((self.subtree(first, left)?, self.subtree(first + left, granules - left)?))
    }
}

fn merge(left: &ChainingValue, right: &ChainingValue) -> ChainingValue {
    hazmat::merge_subtrees_non_root(left, right, Mode::Hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn granule(index: u64) -> Granule {
        Granule {
            index,
            end: (index + 1).saturating_mul(GRANULE),
            chaining_value: [0; 32],
            digest_if_only: None,
        }
    }

    #[test]
    fn memory_depends_on_the_gaps_only() {
        let mut tree = Tree::new();
        // Two ranges of about 50 GB each, the second one in reverse.
        for index in 1..50_000 {
            tree.insert(&granule(index));
            assert!(tree.nodes.len() <= 88);
        }
        for index in (70_001..120_000).rev() {
            tree.insert(&granule(index));
            assert!(tree.nodes.len() <= 2 * 88);
        }
        let gaps = [
            0..GRANULE,
            50_000 * GRANULE..70_001 * GRANULE,
            120_000 * GRANULE..130_000 * GRANULE,
        ];
        assert_eq!(tree.missing(130_000 * GRANULE), gaps);
    }

    #[test]
    fn the_largest_numbers_are_handled() {
        let last = u64::MAX / GRANULE;
        let mut tree = Tree::new();
        assert!(tree.insert(&granule(last)) && !tree.insert(&granule(last)));
        assert_eq!(
            tree.missing(u64::MAX).as_slice(),
            std::slice::from_ref(&(0..last * GRANULE))
        );
        assert_eq!(tree.missing(1).as_slice(), std::slice::from_ref(&(0..1)));
        assert_eq!(tree.root(u64::MAX), None);
    }
}
