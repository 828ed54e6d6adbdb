//! The temporary files of downloads. Each is locked while it is written. The system unlocks it when the process ends for
//! any reason.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use tempfile::{NamedTempFile, TempPath};

/// Creates and locks the file. Returns `None` if another download has the name.
pub(super) fn create(path: &Path) -> io::Result<Option<NamedTempFile>> {
    // Never an existing file, because its creator could still write to it.
    let file = match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    // Before it was locked, another download may have removed it as abandoned.
    if lock(&file) == Lock::Others || !is_at(&file, path)? {
        return Ok(None);
    }
    Ok(Some(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?)))
}

/// Creates a file with a random name, which no later download looks for.
pub(super) fn create_with_a_random_name(folder: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".part");
    // The umask decides, as for any new file. The default allows only the owner.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder)
}

/// Removes the file if no download writes it.
pub(super) fn remove_if_abandoned(path: &Path) -> io::Result<()> {
    // Follows and opens only regular files, because opening a pipe could block forever.
    if !std::fs::symlink_metadata(path).is_ok_and(|there| there.is_file()) {
        return Ok(());
    }
    let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else {
        return Ok(());
    };
    // Before it was locked, its download may have renamed it to the target.
    if lock(&file) == Lock::Ours && is_at(&file, path)? {
        std::fs::remove_file(path)?;
    }
    Ok(())
}

#[derive(Debug, PartialEq)]
enum Lock {
    Ours,
    Others,
    /// The file system has no locks, so other downloads are unknown.
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

/// Returns `true` if the path names this open file. Windows does not rename or remove a locked file.
#[cfg(not(unix))]
fn is_at(_: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}
