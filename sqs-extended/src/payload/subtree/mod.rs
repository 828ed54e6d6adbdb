//! BLAKE3 of a payload whose ranges arrive in any order.
//!
//! BLAKE3 is a tree hash. A payload is divided into granules, each of which is a subtree. [`granule::GranuleHasher`] hashes
//! the granules of one range, and [`tree::Tree`] merges the granules of all ranges into the payload's digest. Ranges can
//! be hashed in parallel, and no byte is hashed twice.

pub(crate) mod granule;
pub(crate) mod tree;

#[cfg(test)]
mod tests;
