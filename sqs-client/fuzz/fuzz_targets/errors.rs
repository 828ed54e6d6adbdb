//! Reads error responses.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| sqs_client_fuzz::bounded(input, sqs_client::fuzzing::errors));
