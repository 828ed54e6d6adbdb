//! An object store on DynamoDB.

mod chunks;
mod errors;
mod head;
mod orphans;
mod store;
mod table;
mod upload;

use std::collections::BTreeSet;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use errors::STORE;
use head::Head;
use upload::{Upload, length};

pub use store::DynamoDbStore;

/// The number of objects that [`delete_stream`](ObjectStore::delete_stream) deletes concurrently.
const DELETE_CONCURRENCY: usize = 4;

#[async_trait]
impl ObjectStore for DynamoDbStore {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.check_plain(&options.attributes, &options.tags)?;
        let (etag, sizes) = (Self::new_etag(), vec![length(&payload)]);
        if let Err(error) = self.put_chunks(key, &etag, 0, payload).await {
            self.remove_chunks(&etag, &sizes).await;
            return Err(error);
        }
        self.publish(key, etag, sizes, options.mode).await
    }

    async fn put_multipart_opts(&self, key: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.check_plain(&options.attributes, &options.tags)?;
        Ok(Box::new(Upload::new(self.clone(), key.clone())))
    }

    async fn get_opts(&self, key: &Path, options: GetOptions) -> Result<GetResult> {
        if options.version.is_some() {
            return Err(self.not_implemented("a version of an object"));
        }
        let head = self.head(key).await?;
        let meta = head.meta(key.clone());
        options.check_preconditions(&meta)?;
        let range = match &options.range {
            None => 0..meta.size,
            Some(range) => range.as_range(meta.size).map_err(|error| Error::Generic {
                store: STORE,
                source: error.into(),
            })?,
        };
        let read = if options.head { 0..0 } else { range.clone() };
        Ok(GetResult {
            payload: GetResultPayload::Stream(self.clone().read_chunks(head, read).boxed()),
            meta,
            range,
            attributes: Attributes::default(),
            extensions: Default::default(),
        })
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        let store = self.clone();
        keys.map(move |key| {
            let store = store.clone();
            async move { store.delete(key?).await }
        })
        .buffered(DELETE_CONCURRENCY)
        .boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let items = self.scan(
            head::id_prefix(prefix),
            &[head::ID, head::ETAG, head::SIZES, head::MODIFIED],
        );
        items
            .and_then(|item| async move { Ok(Head::parse(&item)?.meta(head::path(&item)?)) })
            .boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let folder = prefix.cloned().unwrap_or_default();
        let mut result = ListResult {
            common_prefixes: Vec::new(),
            objects: Vec::new(),
            extensions: Default::default(),
        };
        let mut folders = BTreeSet::new();
        let mut objects = self.list(prefix);
        while let Some(object) = objects.try_next().await? {
            let mut rest = object.location.prefix_match(&folder).into_iter().flatten();
            match (rest.next(), rest.next()) {
                (Some(name), Some(_)) => {
                    folders.insert(folder.clone().join(name));
                }
                (Some(_), None) => {
                    drop(rest);
                    result.objects.push(object);
                }
                (None, _) => {}
            }
        }
        result.common_prefixes.extend(folders);
        Ok(result)
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        Err(self.not_implemented("copy"))
    }
}
