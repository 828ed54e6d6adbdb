//! How a payload is cut into parts.

use crate::error::{Error, ErrorKind};

const MIB: u64 = 1024 * 1024;

/// Most parts of a multipart upload: S3's limit.
pub(crate) const MAX_PARTS: u64 = 10_000;

/// S3's smallest part, other than the last.
pub(crate) const MIN_PART_SIZE: u64 = 5 * MIB;

/// S3's largest part.
pub(crate) const MAX_PART_SIZE: u64 = 5 * 1024 * MIB;

/// Equal parts (some stores insist), and how many of them may be on their way at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PartPlan {
    pub(crate) part_size: usize,
    pub(crate) in_flight: usize,
}

impl PartPlan {
    /// Parts of `part_size` as configured, or of as many whole MiB as it takes for a payload of `len` bytes to have no
    /// more than [`MAX_PARTS`]. Of larger parts fewer are in flight, so that memory stays what was configured as long
    /// as that holds a single one.
    ///
    /// # Errors
    ///
    /// The payload is longer than the largest parts can make up.
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
                format!("the payload is longer than {MAX_PARTS} parts of {MAX_PART_SIZE} bytes, S3's limits"),
            ));
        }
        let in_flight = u64::try_from(concurrency).unwrap_or(u64::MAX).saturating_mul(part_size) / planned;
        let too_large = |_| Error::invalid("the part size is more than this machine can address");
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
    fn what_fits_is_cut_as_configured() {
        let plan = PartPlan {
            part_size: 8 << 20,
            in_flight: 8,
        };
        assert_eq!(PartPlan::new(None, 8 * MIB, 8).unwrap(), plan);
        assert_eq!(PartPlan::new(Some(4 * GIB), 8 * MIB, 8).unwrap(), plan);
        assert_eq!(PartPlan::new(Some(MAX_PARTS * 8 * MIB), 8 * MIB, 8).unwrap(), plan);
    }

    #[test]
    fn what_does_not_fit_takes_larger_parts_in_the_same_memory() {
        let one_more = PartPlan::new(Some(MAX_PARTS * 8 * MIB + 1), 8 * MIB, 8).unwrap();
        assert_eq!((one_more.part_size, one_more.in_flight), (9 << 20, 7));
        let tib = PartPlan::new(Some(1024 * GIB), 8 * MIB, 8).unwrap();
        assert_eq!((tib.part_size, tib.in_flight), (105 << 20, 1));
    }

    proptest! {
        #[test]
        fn parts_are_enough_within_limits_and_whole(
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
                    // Not a MiB more than needed.
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
