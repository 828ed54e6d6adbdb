//! The division of a payload into parts.

use crate::error::{Error, ErrorKind};

const MIB: u64 = 1024 * 1024;

/// The maximum number of parts of a multipart upload, S3's limit.
pub(crate) const MAX_PARTS: u64 = 10_000;

/// S3's minimum size of a part other than the last one.
pub(crate) const MIN_PART_SIZE: u64 = 5 * MIB;

/// S3's maximum size of a part.
pub(crate) const MAX_PART_SIZE: u64 = 5 * 1024 * MIB;

/// The size of a part unless a long payload needs larger ones. Smaller parts use the memory of a far link better.
const PART_SIZE: u64 = 5 * MIB;

/// The number of parts after which a payload of unknown length gets parts of twice the size. All parts of up to 5 GB are
/// equal, as some stores require.
const PARTS_OF_A_SIZE: u64 = 1000;

/// The sizes of the parts of an upload. All parts of a payload of known length are equal, because some stores require that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartPlan {
    first: u64,
    grows: bool,
}

impl PartPlan {
    /// Plans parts of the `configured` size, or of the default. A payload of `len` bytes gets larger ones if it would exceed
    /// [`MAX_PARTS`], in whole MiB. If neither is known, the parts grow with the upload.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload exceeds [`MAX_PARTS`] of the maximum size.
    pub(crate) fn new(len: Option<u64>, configured: Option<u64>) -> Result<Self, Error> {
        let needed = len.unwrap_or(0).div_ceil(MAX_PARTS);
        let size = configured.unwrap_or(PART_SIZE);
        let first = if needed <= size {
            size
        } else {
            needed.next_multiple_of(MIB)
        };
        if first > MAX_PART_SIZE {
            return Err(Error::plain(
                ErrorKind::TooLarge,
                format!(
                    "the payload exceeds S3's limit of {MAX_PARTS} parts of {MAX_PART_SIZE} bytes; send a smaller one"
                ),
            ));
        }
        let grows = len.is_none() && configured.is_none();
        Ok(Self { first, grows })
    }

    /// Returns the size of the part with this number, counted from 0. The last part may be shorter.
    pub(crate) fn size(&self, number: u64) -> u64 {
        if !self.grows {
            return self.first;
        }
        let doublings = u32::try_from(number / PARTS_OF_A_SIZE).unwrap_or(u32::MAX);
        let factor = 1_u64.checked_shl(doublings).unwrap_or(u64::MAX);
        self.first.saturating_mul(factor).min(MAX_PART_SIZE)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1024 * MIB;

    #[test]
    fn a_payload_within_the_limits_has_parts_of_the_configured_size() {
        for (len, configured, expected) in [
            (Some(4 * GIB), None, 5),
            (Some(MAX_PARTS * 5 * MIB), None, 5),
            (Some(MAX_PARTS * 5 * MIB + 1), None, 6),
            (None, Some(8 * MIB), 8),
            (Some(MAX_PARTS * 8 * MIB), Some(8 * MIB), 8),
            (Some(MAX_PARTS * 8 * MIB + 1), Some(8 * MIB), 9),
            (Some(1024 * GIB), None, 105),
        ] {
            let plan = PartPlan::new(len, configured).unwrap();
            for number in [0, 1, MAX_PARTS - 1] {
                assert_eq!(plan.size(number), expected * MIB, "{len:?} {configured:?}");
            }
        }
    }

    #[test]
    fn growing_parts_hold_five_terabytes() {
        let plan = PartPlan::new(None, None).unwrap();
        assert_eq!(
            (plan.size(0), plan.size(999), plan.size(1000)),
            (5 * MIB, 5 * MIB, 10 * MIB)
        );
        let all: u64 = (0..MAX_PARTS).map(|number| plan.size(number)).sum();
        assert!(all >= 5_000_000_000_000, "{all}");
        assert_eq!(plan.size(u64::MAX), MAX_PART_SIZE);
    }

    proptest! {
        #[test]
        fn parts_hold_the_payload_within_the_limits(
            len in prop_oneof![0..100 * GIB, any::<u64>()],
            configured in prop::option::of(MIN_PART_SIZE..=MAX_PART_SIZE),
        ) {
            let wanted = configured.unwrap_or(PART_SIZE);
            match PartPlan::new(Some(len), configured) {
                Ok(plan) => {
                    let part = plan.size(0);
                    prop_assert!(part >= wanted && part <= MAX_PART_SIZE);
                    prop_assert!(len.div_ceil(part) <= MAX_PARTS);
                    prop_assert!(part == wanted || part.is_multiple_of(MIB));
                    // Parts of one MiB less would not suffice.
                    prop_assert!(part == wanted || len.div_ceil(part - MIB) > MAX_PARTS);
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::TooLarge);
                    prop_assert!(len > MAX_PARTS * (MAX_PART_SIZE - MIB));
                }
            }
        }
    }
}
