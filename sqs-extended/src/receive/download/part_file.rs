//! The temporary files of downloads. Each is locked while it is written. The system unlocks it when the process ends for
//! any reason.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, PersistError, TempPath};

use crate::transfer::journal::locked::{self, Lock};

/// The number of concurrent downloads to one path whose temporary files a later download finds.
const PART_NAMES: usize = 8;

/// Returns the names that downloads to one path share, so that a later one finds the file of a killed one.
///
/// # Errors
///
/// The path has no file name.
pub(super) fn names(path: &Path) -> io::Result<Vec<PathBuf>> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let part = |number| {
        let mut part = OsString::from(".");
        part.push(name);
        part.push(match number {
            0 => ".part".to_owned(),
            number => format!(".{number}.part"),
        });
        folder(path).join(part)
    };
    Ok((0..PART_NAMES).map(part).collect())
}

/// Returns the name of the journal of a temporary file.
pub(super) fn journal_of(part: &Path) -> PathBuf {
    let mut journal = part.as_os_str().to_owned();
    journal.push(".journal");
    journal.into()
}

/// Removes the files of killed downloads to the path, with their journals. Then creates and locks a temporary file.
///
/// # Errors
///
/// The file could not be created, or the path is not that of a regular file.
pub(super) fn create_beside(path: &Path) -> io::Result<NamedTempFile> {
    match create_named(path)? {
        Some(file) => Ok(file),
        None => create_with_a_random_name(path),
    }
}

/// Creates and locks a temporary file, but only under a name that later downloads to the path look for. Returns `None` if all names are in use or
/// too long, or exist on a file system without locks.
///
/// # Errors
///
/// As for [`create_beside`].
pub(super) fn create_named(path: &Path) -> io::Result<Option<NamedTempFile>> {
    check_replaceable(path)?;
    let parts = names(path)?;
    remove_all_abandoned(&parts);
    for part in &parts {
        match create(part) {
            Ok(Some(file)) => return Ok(Some(file)),
            Ok(None) => {}
            // The target's name is too long for a suffix.
            Err(error) if error.kind() == io::ErrorKind::InvalidFilename => break,
            Err(error) => return Err(error),
        }
    }
    Ok(None)
}

/// Creates a file with a random name, which no later download looks for.
///
/// # Errors
///
/// The file could not be created.
pub(super) fn create_with_a_random_name(path: &Path) -> io::Result<NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".part");
    // The umask decides, as for any new file. The default allows only the owner.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    builder.tempfile_in(folder(path))
}

/// Refuses to replace a device, a pipe or a socket, which the new file would destroy.
///
/// # Errors
///
/// The path names such a file, or could not be examined.
pub(super) fn check_replaceable(path: &Path) -> io::Result<()> {
    match std::fs::metadata(path) {
        Ok(there) if !there.is_file() => {
            let why = "the path is not a regular file; write to it from the payload's reader";
            Err(io::Error::new(io::ErrorKind::AlreadyExists, why))
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Creates and locks the file. Returns `None` if another download has the name.
fn create(path: &Path) -> io::Result<Option<NamedTempFile>> {
    // Never an existing file, because its creator could still write to it.
    let file = match OpenOptions::new().read(true).write(true).create_new(true).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
        Err(error) => return Err(error),
    };
    // Before it was locked, another download may have removed it as abandoned.
    if locked::lock(&file) == Lock::Others || !locked::is_at(&file, path)? {
        return Ok(None);
    }
    Ok(Some(NamedTempFile::from_parts(file, TempPath::try_from_path(path)?)))
}

/// Removes the files and journals that no download writes.
pub(super) fn remove_all_abandoned(parts: &[PathBuf]) {
    for part in parts {
        if let Err(error) = remove_if_abandoned(part) {
            let error = &error as &dyn std::error::Error;
            tracing::debug!(path = %part.display(), error, "failed to remove the temporary file of an earlier download");
        }
    }
}

/// Removes the file and its journal if no download writes them. Also removes a journal without a file.
fn remove_if_abandoned(part: &Path) -> io::Result<()> {
    let file = locked::open(part)?;
    if file.is_none() && std::fs::symlink_metadata(part).is_ok() {
        return Ok(());
    }
    // The journal first, because one without a file is useless.
    let journal = journal_of(part);
    if let Some(_locked) = locked::open(&journal)? {
        std::fs::remove_file(&journal)?;
    }
    if let Some(_locked) = file {
        std::fs::remove_file(part)?;
    }
    Ok(())
}

/// Syncs the file and renames it to the path. Without the sync, a crash or a power cut could leave an incomplete file there.
///
/// # Errors
///
/// The file could not be synced or renamed. The error contains it.
pub(super) fn rename_to(file: NamedTempFile, path: &Path) -> Result<(), PersistError> {
    match file.as_file().sync_all() {
        Ok(()) => file.persist(path).map(drop),
        Err(error) => Err(PersistError { error, file }),
    }
}

/// Syncs the directory of a renamed file. Without it, a crash or a power cut could lose a file that was reported as
/// complete.
///
/// # Errors
///
/// The directory could not be synced.
pub(super) fn sync_folder(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    std::fs::File::open(folder(path))?.sync_all()?;
    #[cfg(not(unix))]
    let _ = path;
    Ok(())
}

pub(super) fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    }
}
