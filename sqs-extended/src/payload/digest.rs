//! Digests of payloads, computed while the bytes stream and compared at the end.

use std::fmt::{self, Write as _};
use std::io;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::Digest as _;

use super::aligned::Aligned;

/// The digest algorithm for payloads that are sent. Default: BLAKE3.
///
/// A received payload is verified with the algorithm that its sender chose.
///
/// ```
/// use sqs_extended::payload::{Digest, DigestAlgorithm};
///
/// let digest = Digest::compute(DigestAlgorithm::Sha256, b"");
/// assert!(digest.hex().starts_with("e3b0c442"));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DigestAlgorithm {
    /// BLAKE3, several times faster than SHA-256, so that it does not slow down the transfer.
    #[default]
    Blake3,
    /// SHA-256, for organizations that require it.
    Sha256,
}

impl DigestAlgorithm {
    fn name(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha256",
        }
    }
}

/// The digest of a stored payload.
///
/// Its text and its serde form are `blake3:<64 hex digits>` or `sha256:<64 hex digits>`.
///
/// ```
/// let digest: sqs_extended::payload::Digest =
///     "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".parse().unwrap();
/// assert_eq!(digest.algorithm(), sqs_extended::payload::DigestAlgorithm::Sha256);
/// assert!(digest.hex().starts_with("e3b0c442"));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Digest {
    algorithm: DigestAlgorithm,
    /// Always 64 lowercase digits, so that equal digests have equal texts.
    hex: String,
}

impl Digest {
    /// Computes the digest of `bytes`.
    #[must_use]
    pub fn compute(algorithm: DigestAlgorithm, bytes: &[u8]) -> Self {
        let mut hasher = Hasher::new(algorithm);
        hasher.update(bytes);
        hasher.finish()
    }

    pub(crate) fn from_blake3(hash: blake3::Hash) -> Self {
        Self {
            algorithm: DigestAlgorithm::Blake3,
            hex: to_hex(hash.as_bytes()),
        }
    }

    /// Returns the algorithm.
    #[must_use]
    pub fn algorithm(&self) -> DigestAlgorithm {
        self.algorithm
    }

    /// Returns the digest as 64 lowercase hexadecimal digits.
    #[must_use]
    pub fn hex(&self) -> &str {
        &self.hex
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.algorithm.name(), self.hex)
    }
}

/// The error of parsing a text that is not a digest of a known algorithm.
///
/// ```
/// use sqs_extended::payload::{Digest, InvalidDigest};
///
/// let parsed: Result<Digest, InvalidDigest> = "md5:d41d8cd9".parse();
/// assert!(parsed.is_err());
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidDigest(());

impl fmt::Display for InvalidDigest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("not a digest: expected `blake3:` or `sha256:` and 64 hexadecimal digits")
    }
}

impl std::error::Error for InvalidDigest {}

impl FromStr for Digest {
    type Err = InvalidDigest;

    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let (name, hex) = text.split_once(':').ok_or(InvalidDigest(()))?;
        let algorithm = [DigestAlgorithm::Blake3, DigestAlgorithm::Sha256]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
            .ok_or(InvalidDigest(()))?;
        if hex.len() != 64 || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(InvalidDigest(()));
        }
        Ok(Self {
            algorithm,
            hex: hex.to_ascii_lowercase(),
        })
    }
}

impl Serialize for Digest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

/// A digest that is being computed. Write the bytes to it.
pub(crate) enum Hasher {
    // About 2 KiB.
    Blake3(Box<Aligned>),
    Sha256(sha2::Sha256),
}

impl Hasher {
    pub(crate) fn new(algorithm: DigestAlgorithm) -> Self {
        match algorithm {
            DigestAlgorithm::Blake3 => Self::Blake3(Box::default()),
            DigestAlgorithm::Sha256 => Self::Sha256(sha2::Sha256::new()),
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Blake3(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    pub(crate) fn finish(self) -> Digest {
        match self {
            Self::Blake3(mut hasher) => Digest::from_blake3(hasher.root()),
            Self::Sha256(hasher) => Digest {
                algorithm: DigestAlgorithm::Sha256,
                hex: to_hex(&hasher.finalize()),
            },
        }
    }
}

impl io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn to_hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(64), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use proptest::prelude::*;

    use super::super::aligned::{BLOCK, BLOCKS};
    use super::*;

    fn digest(algorithm: DigestAlgorithm, bytes: &[u8]) -> Digest {
        let mut hasher = Hasher::new(algorithm);
        hasher.write_all(bytes).unwrap();
        hasher.finish()
    }

    #[test]
    fn digests_match_published_values() {
        assert_eq!(
            digest(DigestAlgorithm::Blake3, b"").to_string(),
            "blake3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
        );
        assert_eq!(
            digest(DigestAlgorithm::Sha256, b"abc").to_string(),
            "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    proptest! {
        #[test]
        fn chunk_borders_do_not_change_the_digest(cuts in prop::collection::vec(0..3 * BLOCK, 0..12), rest in 0..2 * BLOCKS) {
            let content: Vec<u8> = (0..=250).cycle().take(cuts.iter().sum::<usize>() + rest).collect();
            for algorithm in [DigestAlgorithm::Blake3, DigestAlgorithm::Sha256] {
                let mut hasher = Hasher::new(algorithm);
                let mut left = &content[..];
                for cut in &cuts {
                    let (chunk, rest) = left.split_at(*cut);
                    hasher.update(chunk);
                    left = rest;
                }
                hasher.update(left);
                prop_assert_eq!(hasher.finish(), Digest::compute(algorithm, &content));
            }
            let expected = blake3::hash(&content).to_hex();
            let ours = Digest::compute(DigestAlgorithm::Blake3, &content);
            prop_assert_eq!(ours.hex(), expected.as_str());
        }
    }

    #[test]
    fn the_text_is_parsed_again_in_either_case() {
        let digest = digest(DigestAlgorithm::Sha256, b"abc");
        assert_eq!(digest.to_string().parse(), Ok(digest.clone()));
        let upper = format!("sha256:{}", digest.hex().to_uppercase());
        assert_eq!(upper.parse(), Ok(digest));
    }

    #[test]
    fn an_invalid_digest_is_an_error() {
        for text in [
            "",
            "blake3",
            "blake3:",
            "md5:00",
            "blake3:zz",
            &format!("blake3:{}", "g".repeat(64)),
        ] {
            assert!(text.parse::<Digest>().is_err(), "{text}");
        }
    }
}
