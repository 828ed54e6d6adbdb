//! The memory limit that all targets check.

use sqs_client::fuzzing::MAX_BYTES;

/// Reads the input.
///
/// # Panics
///
/// Panics if the read uses more than [`MAX_BYTES`] of memory at any time.
pub fn bounded(input: &[u8], read: fn(&[u8])) {
    let memory = allocation_counter::measure(|| read(input));
    assert!(
        memory.bytes_max <= MAX_BYTES,
        "reading {} bytes used {} bytes of memory",
        input.len(),
        memory.bytes_max
    );
}
