//! MD5 of several byte strings in parallel lanes. Twelve lanes hash a batch of ten messages at once.
//!
//! Each step of MD5 depends on the step before, so one hash leaves most of a core idle. The compiler vectorizes several
//! independent hashes. When a string ends, its lane gets the next one. The result of an empty lane is ignored.

#![allow(
    clippy::indexing_slicing,
    reason = "every index is below the constant length of its array"
)]

use std::array;

/// The vectors of baseline x86-64 and aarch64 have four words.
const WIDTH: usize = 4;
/// Three interleaved vectors keep the core busy.
const GROUPS: usize = 3;
const LANES: usize = GROUPS * WIDTH;
const BLOCK: usize = 64;

/// One 32-bit word per lane of a group.
type Words = [u32; WIDTH];
/// The MD5 state per lane of a group.
type State = [Words; 4];

pub(super) type Digest = [u8; 16];

/// Computes the digests of these strings, in their order.
pub(super) fn digests(inputs: &[&[u8]]) -> Vec<Digest> {
    let mut digests = vec![Digest::default(); inputs.len()];
    let mut waiting = inputs.iter().zip(&mut digests);
    let mut lanes: [Option<Lane<'_>>; LANES] = array::from_fn(|_| waiting.next().map(Lane::new));
    let mut states = [INITIAL.map(|word| [word; WIDTH]); GROUPS];
    // Each round handles the blocks that are contiguous in every lane, so the work between rounds is rare.
    while let Some(steps) = lanes.iter().flatten().map(|lane| lane.run().len()).min() {
        let runs = lanes.each_ref().map(|lane| lane.as_ref().map_or(&[][..], Lane::run));
        for step in 0..steps {
            let blocks = runs.map(|run| run.get(step).unwrap_or(&[0; BLOCK]));
            compress(&mut states, &transposed(blocks));
        }
        for (index, lane) in lanes.iter_mut().enumerate() {
            let Some(ended) = lane.take_if(|lane| lane.advance(steps)) else {
                continue;
            };
            let state = &mut states[index / WIDTH];
            let bytes = ended.digest.as_chunks_mut().0;
            for ((words, bytes), initial) in state.iter_mut().zip(bytes).zip(INITIAL) {
                let word = std::mem::replace(&mut words[index % WIDTH], initial);
                *bytes = word.to_le_bytes();
            }
            *lane = waiting.next().map(Lane::new);
        }
    }
    digests
}

/// A string that is being hashed in a lane.
struct Lane<'a> {
    whole: &'a [[u8; BLOCK]],
    /// The rest of the string after its whole blocks, padded to one or two blocks.
    tail: [[u8; BLOCK]; 2],
    blocks: usize,
    hashed: usize,
    digest: &'a mut Digest,
}

impl<'a> Lane<'a> {
    fn new((input, digest): (&&'a [u8], &'a mut Digest)) -> Self {
        let (whole, rest) = input.as_chunks();
        let tail_blocks = if rest.len() < BLOCK - 8 { 1 } else { 2 };
        let mut tail = [[0; BLOCK]; 2];
        let bytes = &mut tail.as_flattened_mut()[..tail_blocks * BLOCK];
        bytes[..rest.len()].copy_from_slice(rest);
        bytes[rest.len()] = 0x80;
        // The length in bits, modulo 2⁶⁴ (RFC 1321, section 3.2).
        let bits = (input.len() as u64).wrapping_mul(8);
        bytes[tail_blocks * BLOCK - 8..].copy_from_slice(&bits.to_le_bytes());
        Self {
            whole,
            tail,
            blocks: whole.len() + tail_blocks,
            hashed: 0,
            digest,
        }
    }

    /// Returns the next contiguous blocks, which are at least one.
    fn run(&self) -> &[[u8; BLOCK]] {
        match self.hashed.checked_sub(self.whole.len()) {
            None => &self.whole[self.hashed..],
            Some(hashed) => &self.tail[hashed..self.blocks - self.whole.len()],
        }
    }

    /// Advances by this many blocks. Returns `true` at the end of the string.
    fn advance(&mut self, blocks: usize) -> bool {
        self.hashed += blocks;
        self.hashed == self.blocks
    }
}

/// Transposes the blocks' little-endian words, so that each word of all lanes of a group is contiguous.
fn transposed(blocks: [&[u8; BLOCK]; LANES]) -> [[Words; 16]; GROUPS] {
    let mut words = [[[0; WIDTH]; 16]; GROUPS];
    for (words, blocks) in words.iter_mut().zip(blocks.as_chunks::<WIDTH>().0) {
        let [a, b, c, d] = blocks.map(|block| block.as_chunks::<4>().0);
        for (word, words) in words.iter_mut().enumerate() {
            *words = [a[word], b[word], c[word], d[word]].map(u32::from_le_bytes);
        }
    }
    words
}

/// Hashes one block in every lane: the four rounds of [RFC 1321](https://www.rfc-editor.org/rfc/rfc1321).
///
/// The loop handles one lane of each group, and the compiler vectorizes it. It does so only if the body has no loop.
fn compress([s0, s1, s2]: &mut [State; GROUPS], [b0, b1, b2]: &[[Words; 16]; GROUPS]) {
    for lane in 0..WIDTH {
        let word = |index: usize| [b0[index % 16][lane], b1[index % 16][lane], b2[index % 16][lane]];
        let before = [0, 1, 2, 3].map(|index| [s0[index][lane], s1[index][lane], s2[index][lane]]);
        let after = round(before, &SINES[0], [7, 12, 17, 22], word, |b, c, d| d ^ (b & (c ^ d)));
        let after = round(
            after,
            &SINES[1],
            [5, 9, 14, 20],
            |i| word(5 * i + 1),
            |b, c, d| c ^ (d & (b ^ c)),
        );
        let after = round(
            after,
            &SINES[2],
            [4, 11, 16, 23],
            |i| word(3 * i + 5),
            |b, c, d| b ^ c ^ d,
        );
        // This is `c ^ (b | !d)`, written so that the compiler folds the negation into a subtraction.
        let after = round(
            after,
            &SINES[3],
            [6, 10, 15, 21],
            |i| word(7 * i),
            |b, c, d| !(c ^ (d & !b)),
        );
        for index in 0..4 {
            s0[index][lane] = before[index][0].wrapping_add(after[index][0]);
            s1[index][lane] = before[index][1].wrapping_add(after[index][1]);
            s2[index][lane] = before[index][2].wrapping_add(after[index][2]);
        }
    }
}

/// Computes the sixteen steps of a round in one lane of each group.
#[inline(always)]
fn round(
    [mut a, mut b, mut c, mut d]: [[u32; GROUPS]; 4],
    sines: &[u32; 16],
    shifts: [u32; 4],
    word: impl Fn(usize) -> [u32; GROUPS],
    mix: impl Fn(u32, u32, u32) -> u32,
) -> [[u32; GROUPS]; 4] {
    macro_rules! steps {
        ($($step:literal)*) => {$(
            let words = word($step);
            let next = |group: usize| {
                let mixed = mix(b[group], c[group], d[group]);
                let sum = a[group].wrapping_add(mixed).wrapping_add(words[group]).wrapping_add(sines[$step]);
                sum.rotate_left(shifts[$step % 4]).wrapping_add(b[group])
            };
            [a, b, c, d] = [d, [next(0), next(1), next(2)], b, c];
        )*};
    }
    steps!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
    [a, b, c, d]
}

const INITIAL: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];

/// `floor(2³² × |sin(i)|)` for `i` from 1 to 64.
const SINES: [[u32; 16]; 4] = [
    [
        0xd76a_a478,
        0xe8c7_b756,
        0x2420_70db,
        0xc1bd_ceee,
        0xf57c_0faf,
        0x4787_c62a,
        0xa830_4613,
        0xfd46_9501,
        0x6980_98d8,
        0x8b44_f7af,
        0xffff_5bb1,
        0x895c_d7be,
        0x6b90_1122,
        0xfd98_7193,
        0xa679_438e,
        0x49b4_0821,
    ],
    [
        0xf61e_2562,
        0xc040_b340,
        0x265e_5a51,
        0xe9b6_c7aa,
        0xd62f_105d,
        0x0244_1453,
        0xd8a1_e681,
        0xe7d3_fbc8,
        0x21e1_cde6,
        0xc337_07d6,
        0xf4d5_0d87,
        0x455a_14ed,
        0xa9e3_e905,
        0xfcef_a3f8,
        0x676f_02d9,
        0x8d2a_4c8a,
    ],
    [
        0xfffa_3942,
        0x8771_f681,
        0x6d9d_6122,
        0xfde5_380c,
        0xa4be_ea44,
        0x4bde_cfa9,
        0xf6bb_4b60,
        0xbebf_bc70,
        0x289b_7ec6,
        0xeaa1_27fa,
        0xd4ef_3085,
        0x0488_1d05,
        0xd9d4_d039,
        0xe6db_99e5,
        0x1fa2_7cf8,
        0xc4ac_5665,
    ],
    [
        0xf429_2244,
        0x432a_ff97,
        0xab94_23a7,
        0xfc93_a039,
        0x655b_59c3,
        0x8f0c_cc92,
        0xffef_f47d,
        0x8584_5dd1,
        0x6fa8_7e4f,
        0xfe2c_e6e0,
        0xa301_4314,
        0x4e08_11a1,
        0xf753_7e82,
        0xbd3a_f235,
        0x2ad7_d2bb,
        0xeb86_d391,
    ],
];

#[cfg(test)]
mod tests {
    use md5::{Digest as _, Md5};
    use proptest::prelude::*;

    use super::*;

    fn one_by_one(inputs: &[&[u8]]) -> Vec<Digest> {
        inputs.iter().map(|input| Md5::digest(input).into()).collect()
    }

    #[test]
    fn strings_of_any_length_are_padded_correctly() {
        let bytes: Vec<u8> = (0..=255).cycle().take(200).collect();
        let inputs: Vec<&[u8]> = (0..200).map(|length| &bytes[..length]).collect();
        assert_eq!(digests(&inputs), one_by_one(&inputs));
        assert!(digests(&[]).is_empty());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        /// Hashes more strings than lanes, with very different lengths.
        #[test]
        fn digests_equal_those_of_another_implementation(
            inputs in prop::collection::vec(prop_oneof![
                prop::collection::vec(any::<u8>(), 0..200),
                prop::collection::vec(any::<u8>(), 0..2000),
            ], 0..20)
        ) {
            let inputs: Vec<&[u8]> = inputs.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(digests(&inputs), one_by_one(&inputs));
        }
    }
}
