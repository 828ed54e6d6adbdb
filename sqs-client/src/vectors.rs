//! Helpers that the tests of several modules share.

use std::path::Path;

/// Reads a file of the optional test data from the folder `SQS_TEST_VECTORS`, or by default from a folder beside the
/// workspace. Without it, prints a note and returns `None`.
pub(crate) fn vector(file: &str) -> Option<Vec<u8>> {
    let folder = std::env::var("SQS_TEST_VECTORS").unwrap_or_else(|_| "../../shared/vectors".to_owned());
    let read = std::fs::read(Path::new(&folder).join(file));
    if read.is_err() {
        eprintln!("skipped: there is no {file} in {folder}");
    }
    read.ok()
}

pub(crate) fn json_vector(file: &str) -> Option<serde_json::Value> {
    vector(file).map(|content| serde_json::from_slice(&content).expect("JSON"))
}
