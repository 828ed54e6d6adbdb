//! The journal of a transfer, by which a later process continues it.
//!
//! A journal is a small text file. Its first line identifies the transfer, and each further line records granules that are
//! done. A download's journal is beside its temporary file, and an upload's is wherever its caller chooses.
//!
//! # Format
//!
//! ```text
//! <checksum> sqs-extended-transfer 1 <name>=<value> <name>=<value> …
//! <checksum> granules <first granule> <chaining values>
//! <checksum> part <part> <etag> <first granule> <chaining values>
//! ```
//!
//! Names, values and ETags are percent-encoded. Parts and granules are counted from 0. A chaining value has 64 hexadecimal
//! digits, and those of adjacent granules follow each other without a separator. A checksum is the first 16 hexadecimal
//! digits of the BLAKE3 of the rest of its line. The key of a record's checksum is the BLAKE3 of the first line, so a
//! record of another transfer does not count. A line that is torn or corrupt does not count either, nor does any line
//! after it.
//!
//! # Trust
//!
//! Nothing is synced to the disk, and no record is believed. [`verify::verified_granules`] hashes the transferred file
//! again and compares. A flipped bit in the file or the journal costs another transfer of the granule and nothing else.
//! An ETag is as true as its journal: the store and the payload's digest refute a wrong one. A journal contains no
//! secrets.
//!
//! # Ownership
//!
//! The process that locks a journal owns it. Only the owner reads, writes or removes it. The system unlocks it when the
//! process ends for any reason. A download also locks its temporary file, and it does so first. It owns the journal beside
//! that file only while it owns the file. A file system without locks has no journals, because two processes could
//! continue one transfer.
//!
//! A file that does not begin like a journal is neither replaced nor truncated, because its path may be a mistake.
//!
//! A [`file::Journal`] that is dropped stays on the disk. Its owner removes it when the transfer is complete or hopeless.
//! All functions block, so async callers run them on the blocking pool.

pub(crate) mod file;
pub(crate) mod header;
mod line;
pub(crate) mod locked;
pub(crate) mod record;
pub(crate) mod verify;

#[cfg(test)]
mod tests;
