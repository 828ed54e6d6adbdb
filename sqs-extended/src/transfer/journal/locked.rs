//! Files that one process owns. The system unlocks them when the process ends for any reason.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Lock {
    Ours,
    Others,
    /// The file system has no locks, so other processes are unknown.
    Unknown,
}

/// Locks the file if nobody else has.
pub(crate) fn lock(file: &File) -> Lock {
    match file.try_lock() {
        Ok(()) => Lock::Ours,
        Err(TryLockError::WouldBlock) => Lock::Others,
        Err(TryLockError::Error(_)) => Lock::Unknown,
    }
}

/// Opens and locks an existing file. Returns `None` if it does not exist, is not a regular file, may not be opened, belongs
/// to another process, or cannot be locked.
///
/// # Errors
///
/// The system could not read the file's metadata.
pub(crate) fn open(path: &Path) -> io::Result<Option<File>> {
    // Follows and opens only regular files, because opening a pipe could block forever.
    if !std::fs::symlink_metadata(path).is_ok_and(|there| there.is_file()) {
        return Ok(None);
    }
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
        return Ok(None);
    };
    // Before it was locked, its owner may have renamed or removed it.
    let is_ours = lock(&file) == Lock::Ours && is_at(&file, path)?;
    Ok(is_ours.then_some(file))
}

/// Returns `true` if somebody else has locked the file.
pub(crate) fn is_in_use(path: &Path) -> bool {
    // Opens only regular files, because opening a pipe could block forever.
    std::fs::symlink_metadata(path).is_ok_and(|there| there.is_file())
        && File::open(path).is_ok_and(|file| lock(&file) == Lock::Others)
}

/// Creates and locks a file. Returns `None` if the name exists, or if the file cannot be locked.
///
/// # Errors
///
/// The file could not be created.
pub(crate) fn create_new(path: &Path) -> io::Result<Option<File>> {
    let file = match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    match lock(&file) {
        // Before it was locked, another process may have removed it as abandoned.
        Lock::Ours => Ok(is_at(&file, path)?.then_some(file)),
        Lock::Others => Ok(None),
        Lock::Unknown => {
            std::fs::remove_file(path)?;
            Ok(None)
        }
    }
}

/// Returns `true` if the path names this open file.
#[cfg(unix)]
pub(crate) fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let open = file.metadata()?;
    let named = std::fs::symlink_metadata(path);
    Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
}

/// Returns `true` if the path names this open file. Windows does not rename or remove a locked file.
#[cfg(not(unix))]
pub(crate) fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}
