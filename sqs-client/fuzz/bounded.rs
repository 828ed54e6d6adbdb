//! What all targets hold a reader to, beside that it does not panic.

use sqs_client::fuzzing::MAX_BYTES;

/// Reads the input, in memory of at most [`MAX_BYTES`] at a time.
pub fn bounded(input: &[u8], read: fn(&[u8])) {
    let memory = allocation_counter::measure(|| read(input));
    assert!(
        memory.bytes_max <= MAX_BYTES,
        "{} bytes for {}",
        memory.bytes_max,
        input.len()
    );
}
