//! The division of a payload into parts.

use crate::error::{Error, ErrorKind};

const MIB: u64 = 1024 * 1024;

/// The maximum number of parts of a multipart upload, S3's limit.
pub(crate) const MAX_PARTS: u64 = 10_000;

/// S3's minimum size of a part other than the last one.
pub(crate) const MIN_PART_SIZE: u64 = 5 * MIB;

/// S3's maximum size of a part.
pub(crate) const MAX_PART_SIZE: u64 = 5 * 1024 * MIB;

/// The size of the parts, which are equal because some stores require that, and the number of concurrent ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartPlan {
    pub(crate) part_size: usize,
    pub(crate) in_flight: usize,
}

impl PartPlan {
    /// Plans parts of the configured `part_size`, or larger ones if a payload of `len` bytes would exceed [`MAX_PARTS`].
    ///
    /// Larger parts have a size of whole MiB. Fewer of them are in flight, so the memory stays as configured, as long as
    /// it holds a single part.
    ///
    /// # Errors
    ///
    /// Returns an error if the payload exceeds [`MAX_PARTS`] of the maximum size.
    pub(crate) fn new(len: Option<u64>, part_size: u64, concurrency: usize) -> Result<Self, Error> {
        let needed = len.unwrap_or(0).div_ceil(MAX_PARTS);
        let planned = if needed <= part_size {
            part_size
        } else {
            needed.next_multiple_of(MIB)
        };
        if planned > MAX_PART_SIZE {
            return Err(Error::plain(
                ErrorKind::TooLarge,
                format!(
                    "the payload exceeds S3's limit of {MAX_PARTS} parts of {MAX_PART_SIZE} bytes; send a smaller one"
                ),
            ));
        }
        let in_flight = u64::try_from(concurrency).unwrap_or(u64::MAX).saturating_mul(part_size) / planned;
        let too_large = |_| Error::invalid("the part size exceeds the memory that this machine can address");
        Ok(Self {
            part_size: usize::try_from(planned).map_err(too_large)?,
            in_flight: usize::try_from(in_flight).map_err(too_large)?.max(1),
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1024 * MIB;

    #[test]
    fn a_payload_within_the_limits_has_parts_of_the_configured_size() {
        let plan = PartPlan {
            part_size: 8 << 20,
            in_flight: 8,
        };
        assert_eq!(PartPlan::new(None, 8 * MIB, 8).unwrap(), plan);
        assert_eq!(PartPlan::new(Some(4 * GIB), 8 * MIB, 8).unwrap(), plan);
        assert_eq!(PartPlan::new(Some(MAX_PARTS * 8 * MIB), 8 * MIB, 8).unwrap(), plan);
    }

    #[test]
    fn a_larger_payload_has_larger_parts_in_the_same_memory() {
        let one_more = PartPlan::new(Some(MAX_PARTS * 8 * MIB + 1), 8 * MIB, 8).unwrap();
        assert_eq!((one_more.part_size, one_more.in_flight), (9 << 20, 7));
        let tib = PartPlan::new(Some(1024 * GIB), 8 * MIB, 8).unwrap();
        assert_eq!((tib.part_size, tib.in_flight), (105 << 20, 1));
    }

    proptest! {
        #[test]
        fn parts_hold_the_payload_within_the_limits(
            len in prop_oneof![0..100 * GIB, any::<u64>()],
            configured in (MIN_PART_SIZE..=MAX_PART_SIZE),
            concurrency in 1_usize..64,
        ) {
            match PartPlan::new(Some(len), configured, concurrency) {
                Ok(plan) => {
                    let part = plan.part_size as u64;
                    prop_assert!(part >= configured && part <= MAX_PART_SIZE);
                    prop_assert!(len.div_ceil(part) <= MAX_PARTS);
                    prop_assert!(part == configured || part.is_multiple_of(MIB));
                    // Parts of one MiB less would not suffice.
                    prop_assert!(part == configured || len.div_ceil(part - MIB) > MAX_PARTS);
                    prop_assert!(plan.in_flight >= 1 && plan.in_flight <= concurrency);
                    let memory = part * plan.in_flight as u64;
                    prop_assert!(plan.in_flight == 1 || memory <= configured * concurrency as u64);
                }
                Err(error) => {
                    prop_assert_eq!(error.kind(), ErrorKind::TooLarge);
                    prop_assert!(len > MAX_PARTS * (MAX_PART_SIZE - MIB));
                }
            }
        }
    }
}
