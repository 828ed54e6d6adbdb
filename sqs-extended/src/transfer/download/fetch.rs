//! One object's bytes, in order, through as many requests as it takes.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt, TryStreamExt};
use object_store::{GetOptions, GetResult, ObjectMeta, ObjectStore, ObjectStoreExt as _};

use crate::error::{Error, ErrorKind};
use crate::transfer::download::{Chunks, wrong_length};
use crate::transfer::lookup::is_same_version;

/// How often a download is resumed in vain before it fails. The store's own retries come on top of each.
const MAX_IN_VAIN: u32 = 6;

/// Bounds the pause before the first resumption; those before further ones in vain are doubles of it.
const PAUSE: Duration = Duration::from_millis(100);

/// Bounds all pauses.
const MAX_PAUSE: Duration = Duration::from_secs(5);

/// An object, as it was when it was first seen.
pub(super) struct Object {
    store: Arc<dyn ObjectStore>,
    meta: ObjectMeta,
    /// Whether a digest tells in the end if all bytes were of one object.
    with_digest: bool,
}

impl Object {
    pub(super) fn new(store: &Arc<dyn ObjectStore>, meta: ObjectMeta, with_digest: bool) -> Self {
        Self {
            store: Arc::clone(store),
            meta,
            with_digest,
        }
    }

    pub(super) fn len(&self) -> u64 {
        self.meta.size
    }

    /// Returns `true` if the bytes of two requests can be told to be of the same version.
    pub(super) fn resumable(&self) -> bool {
        self.with_digest || self.strong_tag().is_some()
    }

    /// The ETag, if it tells every two versions apart.
    fn strong_tag(&self) -> Option<&String> {
        self.meta.e_tag.as_ref().filter(|tag| !tag.starts_with("W/"))
    }

    /// Sees whether the object is still the version that was fetched, where nothing else tells: object_store resumes
    /// downloads by itself, and then compares ETags only, weak ones included.
    ///
    /// # Errors
    ///
    /// It was replaced, or the store fails.
    async fn check_version(&self) -> Result<(), Error> {
        if self.resumable() || self.meta.e_tag.is_none() {
            return Ok(());
        }
        let now = self.store.head(&self.meta.location).await.map_err(Error::fetch)?;
        if is_same_version(&now, &self.meta) {
            Ok(())
        } else {
            Err(replaced())
        }
    }

    async fn get(&self, range: Range<u64>) -> Result<GetResult, Error> {
        let options = GetOptions {
            range: Some(range.clone().into()),
            // A weak tag never matches.
            if_match: self.strong_tag().cloned(),
            ..GetOptions::default()
        };
        let answer = match self.store.get_opts(&self.meta.location, options).await {
            Ok(answer) => answer,
            Err(object_store::Error::Precondition { .. }) => return Err(replaced()),
            Err(error) => return Err(Error::fetch(error)),
        };
        if !is_same_version(&answer.meta, &self.meta) {
            return Err(replaced());
        }
        if answer.range != range {
            let why = "the store answered with another part of the payload than was asked for";
            return Err(Error::plain(ErrorKind::Corrupt, why));
        }
        Ok(answer)
    }

    /// A random part of a bound that doubles each time, so that downloads that broke off together do not come back
    /// together. It is drawn from what is fetched, so that a simulation on one seed needs no more of it.
    fn pause(&self, at: u64, in_vain: u32) -> Duration {
        let mut hasher = DefaultHasher::new();
        (self.meta.location.as_ref(), at, in_vain).hash(&mut hasher);
        let random = u32::try_from(hasher.finish() >> 32).unwrap_or(u32::MAX);
        let bound = PAUSE.saturating_mul(2_u32.saturating_pow(in_vain)).min(MAX_PAUSE);
        bound.mul_f64(f64::from(random) / f64::from(u32::MAX))
    }
}

/// The fetching of a range of an object.
pub(super) struct Fetch {
    object: Arc<Object>,
    missing: Range<u64>,
    /// `None` where a request is to be made.
    chunks: Option<Chunks>,
    /// Resumptions since something arrived.
    in_vain: u32,
}

impl Fetch {
    pub(super) fn of(object: Arc<Object>, range: Range<u64>) -> Self {
        Self {
            object,
            missing: range,
            chunks: None,
            in_vain: 0,
        }
    }

    /// All of the object, of which this is the beginning.
    pub(super) fn begun(object: Arc<Object>, answer: GetResult) -> Self {
        let all = 0..object.len();
        Self {
            chunks: Some(chunks(answer)),
            ..Self::of(object, all)
        }
    }

    /// The bytes: neither less nor more than the range, unless it ends with an error.
    pub(super) fn into_stream(self) -> Chunks {
        stream::try_unfold(self, |mut fetch| async {
            Ok(fetch.next().await?.map(|chunk| (chunk, fetch)))
        })
        .boxed()
    }

    async fn next(&mut self) -> Result<Option<Bytes>, Error> {
        loop {
            match self.receive().await {
                Ok(Some(chunk)) => {
                    let len = u64::try_from(chunk.len()).unwrap_or(u64::MAX);
                    self.missing.start = self.missing.start.saturating_add(len);
                    if self.missing.start > self.missing.end {
                        return Err(wrong_length());
                    }
                    if len > 0 {
                        self.in_vain = 0;
                    }
                    return Ok(Some(chunk));
                }
                // However the answer ends: all of it is there.
                _ if self.missing.is_empty() => return self.object.check_version().await.map(|()| None),
                Ok(None) => self.broke_off(wrong_length()).await?,
                Err(error) if error.is_retryable() => self.broke_off(error).await?,
                Err(error) => return Err(error),
            }
        }
    }

    async fn receive(&mut self) -> Result<Option<Bytes>, Error> {
        if self.chunks.is_none() && !self.missing.is_empty() {
            self.chunks = Some(chunks(self.object.get(self.missing.clone()).await?));
        }
        match &mut self.chunks {
            Some(chunks) => chunks.try_next().await,
            None => Ok(None),
        }
    }

    /// Waits for a moment before it goes on where it broke off.
    async fn broke_off(&mut self, error: Error) -> Result<(), Error> {
        self.chunks = None;
        if self.in_vain == MAX_IN_VAIN || !self.object.resumable() {
            return Err(error);
        }
        tracing::debug!(
            at = self.missing.start,
            error = &error as &dyn std::error::Error,
            "a download broke off, and is resumed"
        );
        tokio::time::sleep(self.object.pause(self.missing.start, self.in_vain)).await;
        self.in_vain += 1;
        Ok(())
    }
}

fn replaced() -> Error {
    let why = "the stored payload was replaced while it was fetched";
    Error::plain(ErrorKind::Corrupt, why)
}

#[cfg(not(feature = "fs"))]
fn chunks(answer: GetResult) -> Chunks {
    answer.into_stream().map_err(Error::fetch).boxed()
}

#[cfg(feature = "fs")]
fn chunks(answer: GetResult) -> Chunks {
    use object_store::GetResultPayload;

    match answer.payload {
        GetResultPayload::Stream(chunks) => chunks.map_err(Error::fetch).boxed(),
        GetResultPayload::File(file, _) => stream::try_unfold((file, answer.range), |(file, range)| async {
            let read = tokio::task::spawn_blocking(|| read_piece(file, range)).await;
            read.map_err(std::io::Error::from)
                .flatten()
                .map_err(|error| Error::io(ErrorKind::Store, "the payload could not be fetched", error))
        })
        .boxed(),
    }
}

/// The next piece of a file, with the file and what is left of the range; `None` at its end.
#[cfg(feature = "fs")]
#[allow(clippy::type_complexity)]
fn read_piece(
    mut file: std::fs::File,
    range: Range<u64>,
) -> std::io::Result<Option<(Bytes, (std::fs::File, Range<u64>))>> {
    use std::io::{Read, Seek, SeekFrom};

    let len = (range.end - range.start).min(crate::transfer::download::PIECE as u64);
    let mut piece = Vec::with_capacity(usize::try_from(len).unwrap_or(crate::transfer::download::PIECE));
    file.seek(SeekFrom::Start(range.start))?;
    let read = (&file).take(len).read_to_end(&mut piece)? as u64;
    Ok((read > 0).then(|| (piece.into(), (file, range.start + read..range.end))))
}
