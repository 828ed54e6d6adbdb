//! Files of downloads under way. Each is locked as long as somebody writes it; the system unlocks it when the process ends,
//! however that happens.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

/// Creates the file, and locks it; `None` where another download has the name.
pub(super) fn create(path: &Path) -> io::Result<Option<NamedTempFile>> {
    // Never an existing file: whoever made it could still write to it.
    let file = match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    // Before it was locked, another download may have taken it for one that was left.
    if lock(&file) == Lock::Others || !is_at(&file, path)? {
        return Ok(None);
    }
    Ok(Some(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?)))
}

/// Creates a file that no later download looks for.
pub(super) fn create_with_a_random_name(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".part");
    // As any new file: the umask decides. Temporary files are for their owner only otherwise.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Removes the file if nobody writes it.
pub(super) fn remove_if_left(path: &Path) -> io::Result<()> {
    // Neither followed nor opened if it is something else than a file, which could wait for ever.
    if !std::fs::symlink_metadata(path).is_ok_and(|there| there.is_file()) {
        return Ok(());
    }
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
        return Ok(());
    };
    // Once locked, it may have been renamed to what was downloaded.
    if lock(&file) == Lock::Ours && is_at(&file, path)? {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
enum Lock {
    Ours,
    Others,
    /// The file system has no locks: nothing is known of other downloads.
    Unknown,
}

fn lock(file: &File) -> Lock {
    match file.try_lock() {
        Ok(()) => Lock::Ours,
        Err(TryLockError::WouldBlock) => Lock::Others,
        Err(TryLockError::Error(_)) => Lock::Unknown,
    }
}

/// Returns `true` if the path names this open file.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;

    let open = file.metadata()?;
    let named = std::fs::symlink_metadata(path);
    Ok(named.is_ok_and(|named| (named.dev(), named.ino()) == (open.dev(), open.ino())))
}

/// Returns `true` if the path names this open file. Windows neither renames nor removes a file that is locked.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}
