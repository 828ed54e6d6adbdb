//! Downloads a payload to a file, as a whole or not at all.

mod part_file;
mod partial;

use std::io;
use std::path::{Path, PathBuf};

use futures::TryStreamExt;
use tempfile::NamedTempFile;

use crate::error::{Error, ErrorKind};
use crate::payload::stream::PayloadStream;
use crate::payload_store::Fetched;
use crate::transfer::blocking_writer::BlockingWriter;
use crate::transfer::interruptible::interruptible;
use partial::{Partial, Plan};

pub(crate) use partial::MIN_RESUMABLE;

/// Writes the payload to a temporary file beside `path`, which replaces `path` once the payload is verified. If the
/// download ends early, the temporary file is deleted. Returns the payload's length.
///
/// # Errors
///
/// The payload could not be read, or the file could not be written.
pub(crate) async fn write_stream(mut payload: PayloadStream, path: PathBuf) -> Result<u64, Error> {
    let created = blocking(move || Ok((part_file::create_beside(&path)?, path))).await;
    let (file, path) = created.map_err(failed)?;
    let mut writer = BlockingWriter::new(file);
    let copied = copy(&mut payload, &mut writer).await;
    let file = writer.finish().await;
    // Removing the file may block as well.
    let ended = blocking(move || Ok(copied.and_then(|size| publish(file, &path).map(|()| size).map_err(failed))));
    ended.await.map_err(failed)?
}

fn publish(file: io::Result<NamedTempFile>, path: &Path) -> io::Result<()> {
    part_file::rename_to(file?, path)?;
    part_file::sync_folder(path)
}

/// Writes the payload part by part, each at its offset. Continues an earlier download of the payload whose process was killed.
///
/// # Errors
///
/// The payload could not be read, or the file could not be written.
pub(crate) async fn write_parts(payload: Fetched, path: PathBuf) -> Result<u64, Error> {
    let plan = Plan::new(&payload);
    write(payload, path, plan).await
}

async fn write(payload: Fetched, path: PathBuf, plan: Plan) -> Result<u64, Error> {
    let opened = interruptible(move |interrupt| Ok((Partial::open(&path, &plan, interrupt)?, path))).await;
    let (partial, path) = opened.map_err(failed)?;
    let written = payload.into_file(partial.target()).await;
    let ended = blocking(move || match written {
        Ok(size) => Ok(partial.publish(&path).map(|()| size).map_err(failed)),
        Err(error) => {
            partial.fail(error.kind());
            Ok(Err(error))
        }
    });
    ended.await.map_err(failed)?
}

/// Copies the payload, and returns its length.
async fn copy(payload: &mut PayloadStream, writer: &mut BlockingWriter<NamedTempFile>) -> Result<u64, Error> {
    let mut size: u64 = 0;
    while let Some(chunk) = payload.try_next().await? {
        size = size.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        writer.push([chunk]).await.map_err(failed)?;
    }
    Ok(size)
}

fn failed(error: io::Error) -> Error {
    Error::io(ErrorKind::File, "failed to write the payload's file", error)
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> io::Result<T> + Send + 'static) -> io::Result<T> {
    tokio::task::spawn_blocking(work).await?
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use bytes::Bytes;
    use futures::stream::{self, StreamExt};

    use super::*;

    fn payload(chunks: Vec<Result<Bytes, Error>>) -> PayloadStream {
        PayloadStream::new(stream::iter(chunks).boxed(), Some(10))
    }

    fn names(folder: &Path) -> Vec<OsString> {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect()
    }

    #[tokio::test]
    async fn a_verified_payload_replaces_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "before").unwrap();
        let chunks = vec![Ok(Bytes::from_static(b"hello")), Ok(Bytes::from_static(b"world"))];
        let size = write_stream(payload(chunks), path.clone()).await.unwrap();
        assert_eq!(size, 10);
        assert_eq!(std::fs::read(&path).unwrap(), b"helloworld");
        assert_eq!(names(folder.path()), ["file"]);
    }

    #[tokio::test]
    async fn a_corrupt_payload_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let wrong = || {
            let end = Error::plain(ErrorKind::Corrupt, "not what was sent");
            payload(vec![Ok(Bytes::from(vec![0; 3_000_000])), Err(end)])
        };
        let error = write_stream(wrong(), path.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(names(folder.path()).is_empty());
        std::fs::write(&path, "before").unwrap();
        write_stream(wrong(), path.clone()).await.unwrap_err();
        assert_eq!(std::fs::read(&path).unwrap(), b"before");
    }

    #[tokio::test]
    async fn an_impossible_path_is_an_error_of_the_file() {
        let folder = tempfile::tempdir().unwrap();
        for path in [folder.path().join("no/such/folder"), folder.path().join("..")] {
            let error = write_stream(payload(Vec::new()), path).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::File);
        }
        assert!(names(folder.path()).is_empty());
    }

    #[tokio::test]
    async fn the_longest_file_name_works() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("n".repeat(255));
        let done = payload(vec![Ok(Bytes::from_static(b"hello"))]);
        assert_eq!(write_stream(done, path.clone()).await.unwrap(), 5);
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
        assert_eq!(names(folder.path()).len(), 1);
    }

    /// Starts a download that never ends, and waits for its file.
    async fn under_way(path: &Path) -> tokio::task::JoinHandle<Result<u64, Error>> {
        let (begin, begun) = tokio::sync::oneshot::channel();
        let endless = stream::once(async {
            begin.send(()).unwrap();
            std::future::pending().await
        });
        let job = tokio::spawn(write_stream(PayloadStream::new(endless.boxed(), None), path.to_owned()));
        begun.await.unwrap();
        job
    }

    #[tokio::test]
    async fn the_next_download_removes_files_of_killed_ones_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        // A killed process leaves a file with the name of a current download, and no lock on it.
        let job = under_way(&path).await;
        let part = names(folder.path()).remove(0);
        job.abort();
        while !names(folder.path()).is_empty() {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        std::fs::write(folder.path().join(&part), "half of it").unwrap();
        let of_another = folder.path().join(".another.part");
        std::fs::write(&of_another, "of another file").unwrap();

        let live = [under_way(&path).await, under_way(&path).await];
        assert_eq!(
            names(folder.path()).len(),
            3,
            "the file of the killed download is replaced"
        );
        let done = payload(vec![Ok(Bytes::from_static(b"hello"))]);
        assert_eq!(write_stream(done, path.clone()).await.unwrap(), 5);
        assert_eq!(names(folder.path()).len(), 4, "live downloads keep their files");
        for job in live {
            job.abort();
        }
        while names(folder.path()).len() > 2 {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(of_another.exists());
        assert_eq!(std::fs::read(&path).unwrap(), b"hello");
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn a_socket_is_not_replaced() {
        use std::os::unix::fs::FileTypeExt;

        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let payload = PayloadStream::inline(bytes::Bytes::from_static(b"x"));
        let error = write_stream(payload, socket.clone()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::File);
        assert!(
            std::fs::metadata(&socket).unwrap().file_type().is_socket(),
            "the socket was replaced"
        );
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    }
}
