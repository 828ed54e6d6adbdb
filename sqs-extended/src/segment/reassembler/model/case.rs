//! The parameters of a test case.

use proptest::prelude::*;

/// The parameters of a test case. A random number generator with this seed decides the rest.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) seed: u64,
    pub(super) payloads: usize,
    pub(super) max_len: usize,
    pub(super) max_segments: u32,
    pub(super) consumers: usize,
    pub(super) steps: usize,
    pub(super) max_bytes: u64,
    pub(super) max_buffered: usize,
    pub(super) max_finished: usize,
    /// The percentages of segments that are lost, sent twice, and forged by an attacker.
    pub(super) lost: u8,
    pub(super) twice: u8,
    pub(super) hostile: u8,
    pub(super) consumers_compete: bool,
}

pub(super) fn cases() -> impl Strategy<Value = Case> {
    let size = prop_oneof![
        20 => (1..8_usize, 1..200_usize, 1..6_u32, 20..300_usize),
        4 => (1..20_usize, 1..4097_usize, 1..12_u32, 50..600_usize),
        1 => (150..=200_usize, 1..4097_usize, 1..5_u32, 500..3000_usize),
    ];
    let bounds = (
        prop_oneof![3 => 8_000..40_000_u64, 1 => 100_000..2_000_000_u64],
        prop_oneof![1..4_usize, 4..60_usize],
        0..12_usize,
    );
    let mishaps = (0..8_u8, 0..30_u8, 0..6_u8, any::<bool>());
    (any::<u64>(), size, 1..4_usize, bounds, mishaps).prop_map(
        |(
            seed,
            (payloads, max_len, max_segments, steps),
            consumers,
            (max_bytes, max_buffered, max_finished),
            (lost, twice, hostile, consumers_compete),
        )| Case {
            seed,
            payloads,
            max_len,
            max_segments,
            consumers,
            steps,
            max_bytes,
            max_buffered,
            max_finished,
            lost,
            twice,
            hostile,
            consumers_compete,
        },
    )
}

/// Runs 10,000 cases, or the number in `PROPTEST_CASES`.
pub(super) fn config() -> ProptestConfig {
    let is_configured = std::env::var_os("PROPTEST_CASES").is_some();
    let default = ProptestConfig::default();
    ProptestConfig {
        cases: if is_configured { default.cases } else { 10_000 },
        failure_persistence: None,
        ..default
    }
}
