//! The senders of the modeled queue: payloads, and an attacker's segments.

use std::collections::BTreeSet;
use std::time::Duration;

use super::case::Case;
use super::message::{Message, digest_of};
use super::world::World;
use crate::codec::Encoding;
use crate::segment::header::{Header, Whole};
use crate::segment::layout::Layout;

const SECOND: Duration = Duration::from_secs(1);

impl World {
    /// Sends a new payload, some of its segments perhaps twice or not at all.
    pub(super) fn send(&mut self, case: &Case) {
        let payload = self.payloads.len();
        let bytes: Vec<u8> = (0..self.random.usize(1..=case.max_len))
            .map(|_| self.random.u8(..))
            .collect();
        let count = self
            .random
            .u32(1..=case.max_segments.min(u32::try_from(bytes.len()).unwrap()));
        let mut cuts: BTreeSet<usize> = BTreeSet::from([0, bytes.len()]);
        while cuts.len() <= count as usize {
            cuts.insert(self.random.usize(0..bytes.len()));
        }
        let cuts: Vec<usize> = cuts.into_iter().collect();
        for (index, cut) in cuts.windows(2).enumerate() {
            let header = Header {
                whole: Whole {
                    id: format!("p{payload}"),
                    count,
                    total: bytes.len() as u64,
                    digest: digest_of(payload),
                    original_length: None,
                    encoding: Encoding::default(),
                },
                index: u32::try_from(index).unwrap(),
                offset: cut[0] as u64,
                checksum: digest_of(index),
                layout: Layout::Binary,
            };
            let segment = bytes[cut[0]..cut[1]].to_vec();
            if self.happens(case.hostile) {
                self.put(payload, self.hostile(header.clone()), segment.clone(), true);
            }
            if !self.happens(case.lost) {
                self.put(payload, header.clone(), segment.clone(), false);
            }
            if self.happens(case.twice) {
                self.put(payload, header, segment, false);
            }
        }
        self.payloads.push(bytes);
    }

    fn put(&mut self, payload: usize, header: Header, bytes: Vec<u8>, is_hostile: bool) {
        let delay = SECOND * self.random.u32(0..3);
        self.messages.push(Message {
            header,
            bytes,
            payload,
            is_hostile,
            is_deleted: false,
            visible_at: self.now + delay,
            receipt: 0,
        });
    }

    fn hostile(&self, mut header: Header) -> Header {
        match header.index % 4 {
            0 => header.whole.digest = digest_of(usize::MAX),
            1 => header.whole.total += 1,
            2 => header.whole.encoding.compression = Some("zstd".to_owned()),
            _ => {
                header.offset -= 1;
                header.checksum = digest_of(usize::MAX);
            }
        }
        header
    }
}
