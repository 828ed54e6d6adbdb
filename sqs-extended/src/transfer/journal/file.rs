//! The file of a journal.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom, Take, Write as _};
use std::path::{Path, PathBuf};

use super::header::{self, Header, Identity};
use super::locked;
use super::record::{Record, Records};

/// A journal that this process owns. It stays on the disk until it is removed.
#[derive(Debug)]
pub(crate) struct Journal {
    file: File,
    path: PathBuf,
    header: Header,
    /// The end of the lines that count. The next record is written there.
    end: u64,
}

impl Journal {
    /// Creates the journal of a new transfer of `payload_len` stored bytes. Replaces a journal that no process owns.
    ///
    /// Returns `None` if another process owns the journal, if the path is not a regular file, or if the file system has no
    /// locks. The transfer is not resumable then.
    ///
    /// # Errors
    ///
    /// The file could not be written, or the identity is too long. `AlreadyExists` if the file is not a journal.
    pub(crate) fn create(path: &Path, identity: &Identity, payload_len: u64) -> io::Result<Option<Self>> {
        let claim = Claim::new(path)?;
        claim.map(|claim| claim.create(identity, payload_len)).transpose()
    }

    /// Opens the journal of an earlier process. Removes lines that do not count.
    ///
    /// Returns `None` if the transfer starts over, because there is no journal, its first line is corrupt, or a field of
    /// `expected` is missing in it or different. Also returns `None` if [`Journal::create`] would. `expected` consists of
    /// the fields that are known before the first request. The journal may have more, such as an upload's id.
    ///
    /// # Errors
    ///
    /// The file could not be read or truncated. `AlreadyExists` if it is not a journal.
    pub(crate) fn open(path: &Path, expected: &Identity) -> io::Result<Option<Self>> {
        let Some(file) = open_locked(path)? else {
            return Ok(None);
        };
        let path = path.to_owned();
        Claim { file, path }.open(expected).map(Result::ok)
    }

    /// Gives up the content, but not the file. It is replaced when the next transfer begins.
    pub(crate) fn into_claim(self) -> Claim {
        let Self { file, path, .. } = self;
        Claim { file, path }
    }

    /// Returns all fields of the transfer, with its `length`.
    pub(crate) fn identity(&self) -> &Identity {
        &self.header.identity
    }

    /// Returns the payload's stored length in bytes.
    pub(crate) fn payload_len(&self) -> u64 {
        self.header.len
    }

    /// Reads the records from the beginning. Their granules are within the payload. Nothing else about them is verified.
    ///
    /// # Errors
    ///
    /// The file could not be read. Items have the same error.
    pub(crate) fn records(&mut self) -> io::Result<Records<BufReader<Take<&File>>>> {
        let start = self.header.text.len() as u64;
        self.file.seek(SeekFrom::Start(start))?;
        let lines = (&self.file).take(self.end.saturating_sub(start));
        Ok(Records::new(BufReader::new(lines), self.header.key, self.header.len))
    }

    /// Adds records. The journal remains valid if this fails, so a failure costs only these records.
    ///
    /// # Errors
    ///
    /// The file could not be written, or a part exceeds a limit of S3.
    pub(crate) fn append(&mut self, records: &[Record]) -> io::Result<()> {
        let mut lines = String::new();
        for record in records {
            record.write(&mut lines, &self.header.key)?;
        }
        // Overwrites the lines of a failed call.
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(lines.as_bytes())?;
        self.end += lines.len() as u64;
        Ok(())
    }

    /// Removes the journal from the disk.
    ///
    /// # Errors
    ///
    /// The file could not be removed.
    pub(crate) fn remove(self) -> io::Result<()> {
        // Somebody may have replaced it. Another process cannot, because it is locked.
        if locked::is_at(&self.file, &self.path)? {
            std::fs::remove_file(&self.path)?;
        }
        Ok(())
    }
}

/// A journal's file that this process owns, whatever is in it.
#[derive(Debug)]
pub(crate) struct Claim {
    file: File,
    path: PathBuf,
}

impl Claim {
    /// Locks the journal at this path, and creates an empty one if there is none. Returns `None` if [`Journal::create`] would.
    ///
    /// # Errors
    ///
    /// The file could not be created or read. `AlreadyExists` if it is not a journal.
    pub(crate) fn new(path: &Path) -> io::Result<Option<Self>> {
        let file = match locked::create_new(path)? {
            Some(file) => Some(file),
            None => open_locked(path)?,
        };
        let path = path.to_owned();
        Ok(file.map(|file| Self { file, path }))
    }

    /// Opens the journal as [`Journal::open`] does, or returns the claim if the transfer starts over.
    ///
    /// # Errors
    ///
    /// The file could not be read or truncated.
    pub(crate) fn open(mut self, expected: &Identity) -> io::Result<Result<Journal, Self>> {
        self.file.rewind()?;
        let mut input = BufReader::new(&self.file);
        let Some(header) = Header::read(&mut input, expected)? else {
            return Ok(Err(self));
        };
        let mut records = Records::new(input, header.key, header.len);
        records.by_ref().try_for_each(|record| record.map(drop))?;
        let end = header.text.len() as u64 + records.valid_bytes();
        let Self { file, path } = self;
        file.set_len(end)?;
        Ok(Ok(Journal {
            file,
            path,
            header,
            end,
        }))
    }

    /// Begins the journal of a new transfer of `payload_len` stored bytes.
    ///
    /// # Errors
    ///
    /// The file could not be written, or the identity is too long.
    pub(crate) fn create(mut self, identity: &Identity, payload_len: u64) -> io::Result<Journal> {
        let header = Header::new(identity, payload_len)?;
        let emptied = self.file.set_len(0).and_then(|()| self.file.rewind());
        if let Err(error) = emptied.and_then(|()| self.file.write_all(header.text.as_bytes())) {
            // Without a first line it is useless. A later transfer replaces it if it cannot be removed now.
            let _ = std::fs::remove_file(&self.path);
            return Err(error);
        }
        let Self { file, path } = self;
        Ok(Journal {
            file,
            path,
            end: header.text.len() as u64,
            header,
        })
    }

    /// Removes the file if it is empty, because no transfer begins.
    ///
    /// # Errors
    ///
    /// The file could not be removed.
    pub(crate) fn withdraw(self) -> io::Result<()> {
        if self.is_empty()? && locked::is_at(&self.file, &self.path)? {
            std::fs::remove_file(&self.path)?;
        }
        Ok(())
    }

    /// Returns `true` if no transfer has begun with this file.
    ///
    /// # Errors
    ///
    /// The file's length could not be read.
    pub(crate) fn is_empty(&self) -> io::Result<bool> {
        Ok(self.file.metadata()?.len() == 0)
    }
}

/// Opens a file as [`locked::open`] does. The path may be a mistake, so a file that never was a journal is an error.
fn open_locked(path: &Path) -> io::Result<Option<File>> {
    let Some(mut file) = locked::open(path)? else {
        return Ok(None);
    };
    let mut start = Vec::new();
    (&file).take(header::START as u64).read_to_end(&mut start)?;
    file.rewind()?;
    if header::may_be_journal(&start) {
        return Ok(Some(file));
    }
    let why = "the file at the journal's path is not a journal; choose another path, or remove the file";
    Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
}
