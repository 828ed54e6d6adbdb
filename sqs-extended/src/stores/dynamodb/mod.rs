//! DynamoDB as a store of payloads.

mod chunks;
mod head;
mod orphans;
mod table;
mod upload;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, TagSet,
};
use uuid::Uuid;

use head::{Head, Item};
use upload::Upload;

const STORE: &str = "DynamoDB";

/// How many objects of a [`delete_stream`](ObjectStore::delete_stream) are deleted at the same time.
const DELETE_CONCURRENCY: usize = 4;

/// DynamoDB as an object store, for payloads where there is no bucket: one table whose partition key is a string `id` and
/// whose sort key a number `part`, such as [`create_table`](Self::create_table) makes.
///
/// An item of DynamoDB holds 400 KB at most. So a payload is kept in items of 384 KiB, and one more that names them, which
/// is written after and deleted before them: an object is there as a whole or not at all. What is written at the same
/// time, and each part of a multipart upload, has a partition of its own, as DynamoDB writes no more than 1 MB/s to one.
///
/// - **Lifetime.** With [`time_to_live`](Self::time_to_live), DynamoDB itself removes what is old, at no cost. It
///   also removes what a process that was killed left, which no list shows; else do so by
///   [`remove_orphans`](Self::remove_orphans).
/// - **Cost.** A list of objects, and so a [`Sweep`](crate::sweep::Sweep), reads the whole table: DynamoDB bills all
///   payloads in it. Prefer a time to live.
/// - **Time.** DynamoDB tells no time: an object was last modified when its writer's clock said so, the client's
///   `time_source`.
/// - **Retries** and time limits are those of the client that it is given.
/// - Objects have neither attributes nor tags, cannot be copied, and have at most 10,000 parts.
///
/// ```no_run
/// use std::time::Duration;
/// use sqs_extended::ExtendedClient;
/// use sqs_extended::store::DynamoDbStore;
///
/// # fn f(client: sqs_client::Client, dynamodb: aws_sdk_dynamodb::Client) -> Result<(), sqs_extended::Error> {
/// let store = DynamoDbStore::new(dynamodb, "payloads").time_to_live(sqs_extended::sweep::Sweep::DEFAULT_AGE);
/// // The table takes the bucket's place in pointers.
/// let extended = ExtendedClient::builder(client).offload_to(store, "payloads").build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct DynamoDbStore {
    client: Client,
    table: Arc<str>,
    time_to_live: Option<Duration>,
}

impl DynamoDbStore {
    /// A store in this table.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into().into(),
            time_to_live: None,
        }
    }

    /// Lets DynamoDB remove objects so long after they are stored, or some days later: more than any message that points
    /// to them lives. The table's time-to-live attribute must be `expires`.
    pub fn time_to_live(mut self, time_to_live: Duration) -> Self {
        self.time_to_live = Some(time_to_live);
        self
    }

    fn now(&self) -> SystemTime {
        self.client.config().time_source().unwrap_or_default().now()
    }

    /// The name of a new object's chunks, and its ETag.
    fn new_etag() -> String {
        Uuid::new_v4().to_string()
    }

    async fn head(&self, key: &Path) -> Result<Head> {
        let request = self.client.get_item().table_name(&*self.table).consistent_read(true);
        let answer = request.set_key(Some(head::key(key))).send().await;
        match answer.map_err(|error| failed(key.as_ref(), &error))?.item {
            Some(item) => Head::parse(&item),
            None => Err(Error::NotFound {
                path: key.to_string(),
                source: "the table has no such object".into(),
            }),
        }
    }

    /// Makes the chunks of this ETag the object `key`, and removes those that it had before. Where it must not be, the
    /// chunks are removed.
    async fn publish(&self, key: &Path, etag: String, sizes: Vec<u64>, mode: PutMode) -> Result<PutResult> {
        let now = self.now();
        let head = Head {
            etag,
            sizes,
            modified: now,
        };
        let request = self
            .client
            .put_item()
            .table_name(&*self.table)
            .return_values(ReturnValue::AllOld);
        let request = request
            .set_item(Some(
                head.item(key, self.time_to_live.and_then(|time| now.checked_add(time))),
            ))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let request = match &mode {
            PutMode::Overwrite => request,
            PutMode::Create => request
                .condition_expression("attribute_not_exists(#id)")
                .expression_attribute_names("#id", head::ID),
            PutMode::Update(version) => request
                .condition_expression("#etag = :etag")
                .expression_attribute_names("#etag", head::ETAG)
                .expression_attribute_values(":etag", AttributeValue::S(version.e_tag.clone().unwrap_or_default())),
        };
        let replaced = match request.send().await {
            Ok(answer) => answer.attributes,
            Err(error) => match refused(&error) {
                // A repeated request that had taken effect the first time.
                Some(Some(item)) if Head::parse(item).is_ok_and(|there| there.etag == head.etag) => None,
                Some(_) => {
                    self.remove_chunks(&head.etag, &head.sizes).await;
                    return Err(conflict(key, &mode));
                }
                // It may have taken effect: the chunks stay.
                None => return Err(failed(key.as_ref(), &error)),
            },
        };
        if let Some(Ok(old)) = replaced.as_ref().map(Head::parse)
            && old.etag != head.etag
        {
            self.remove_chunks(&old.etag, &old.sizes).await;
        }
        Ok(PutResult {
            e_tag: Some(head.etag),
            version: None,
            extensions: Default::default(),
        })
    }

    async fn delete(&self, key: Path) -> Result<Path> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .return_values(ReturnValue::AllOld);
        let answer = request.set_key(Some(head::key(&key))).send().await;
        let old = answer.map_err(|error| failed(key.as_ref(), &error))?.attributes;
        if let Some(Ok(old)) = old.as_ref().map(Head::parse) {
            self.remove_chunks(&old.etag, &old.sizes).await;
        }
        Ok(key)
    }

    /// That an object has neither attributes nor tags.
    fn refuse(&self, attributes: &Attributes, tags: &TagSet) -> Result<()> {
        if attributes.is_empty() && tags.is_empty() {
            return Ok(());
        }
        Err(self.not_implemented("an object with attributes or tags"))
    }

    fn not_implemented(&self, operation: &str) -> Error {
        Error::NotImplemented {
            operation: operation.to_owned(),
            implementer: self.to_string(),
        }
    }
}

#[async_trait]
impl ObjectStore for DynamoDbStore {
    async fn put_opts(&self, key: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        self.refuse(&options.attributes, &options.tags)?;
        let (etag, sizes) = (Self::new_etag(), vec![length(&payload)]);
        if let Err(error) = self.put_chunks(key, &etag, 0, payload).await {
            self.remove_chunks(&etag, &sizes).await;
            return Err(error);
        }
        self.publish(key, etag, sizes, options.mode).await
    }

    async fn put_multipart_opts(&self, key: &Path, options: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        self.refuse(&options.attributes, &options.tags)?;
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
        let mut folders = std::collections::BTreeSet::new();
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

impl fmt::Display for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{STORE}({})", self.table)
    }
}

impl fmt::Debug for DynamoDbStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoDbStore")
            .field("table", &self.table)
            .field("time_to_live", &self.time_to_live)
            .finish_non_exhaustive()
    }
}

fn length(payload: &PutPayload) -> u64 {
    u64::try_from(payload.content_length()).unwrap_or(u64::MAX)
}

/// That a condition was not met, and by what item; `None` for any other failure.
fn refused<R>(error: &SdkError<aws_sdk_dynamodb::operation::put_item::PutItemError, R>) -> Option<Option<&Item>> {
    use aws_sdk_dynamodb::operation::put_item::PutItemError;
    match error.as_service_error()? {
        PutItemError::ConditionalCheckFailedException(refused) => Some(refused.item()),
        _ => None,
    }
}

fn conflict(key: &Path, mode: &PutMode) -> Error {
    let path = key.to_string();
    match mode {
        PutMode::Create => Error::AlreadyExists {
            path,
            source: "the table has such an object".into(),
        },
        _ => Error::Precondition {
            path,
            source: "the object has another ETag".into(),
        },
    }
}

/// A failure of the service or of the way to it.
fn failed<E, R>(key: &str, error: &SdkError<E, R>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
    R: fmt::Debug,
{
    // The SDK's error says nothing by itself; what it says in full has the request's content in it.
    let mut said = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        said = format!("{said}: {error}");
        cause = error.source();
    }
    let path = key.to_owned();
    match error.code() {
        Some("AccessDeniedException") => Error::PermissionDenied {
            path,
            source: said.into(),
        },
        Some("UnrecognizedClientException" | "ExpiredTokenException" | "InvalidSignatureException") => {
            Error::Unauthenticated {
                path,
                source: said.into(),
            }
        }
        _ => Error::Generic {
            store: STORE,
            source: said.into(),
        },
    }
}

/// That an item is not one of ours.
fn malformed(what: &str) -> Error {
    Error::Generic {
        store: STORE,
        source: format!("the table has an item without {what}").into(),
    }
}

/// The primary key of an item.
fn primary_key(id: String, part: u64) -> HashMap<String, AttributeValue> {
    HashMap::from([
        (head::ID.to_owned(), AttributeValue::S(id)),
        (head::PART.to_owned(), AttributeValue::N(part.to_string())),
    ])
}
