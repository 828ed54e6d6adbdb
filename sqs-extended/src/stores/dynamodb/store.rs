//! The table with its objects.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use object_store::path::Path;
use object_store::{Attributes, Error, PutMode, PutResult, Result, TagSet};
use uuid::Uuid;

use crate::stores::dynamodb::errors::{STORE, conflict, failed, failed_condition};
use crate::stores::dynamodb::head::{self, Head};

/// An object store on DynamoDB, for programs without a bucket.
///
/// It uses one table with a string `id` as its partition key and a number `part` as its sort key.
/// [`create_table`](Self::create_table) creates such a table.
///
/// An item of DynamoDB has up to 400 KB. So the store splits a payload into items of 384 KiB and writes one more item that
/// names them. It writes that item last and deletes it first, so an object is complete or absent. Each object and each
/// part of a multipart upload has its own partition, because DynamoDB writes up to 1 MB/s to a partition.
///
/// - **Lifetime.** With [`time_to_live`](Self::time_to_live), DynamoDB removes old objects at no cost. It also removes the
///   chunks of killed processes, which no listing shows. Without a time to live, use
///   [`remove_orphans`](Self::remove_orphans).
/// - **Cost.** A list of objects reads the whole table, and so does a [`Sweep`](crate::sweep::Sweep). DynamoDB bills that
///   for all payloads in the table. Prefer a time to live.
/// - **Time.** DynamoDB reports no time. An object's modification time comes from its writer's clock, the client's
///   `time_source`.
/// - **Retries** and time limits are those of the given client.
/// - Objects have no attributes and no tags, cannot be copied, and have up to 10,000 parts.
///
/// ```no_run
/// use std::time::Duration;
/// use sqs_extended::ExtendedClient;
/// use sqs_extended::store::DynamoDbStore;
///
/// # fn f(client: sqs_client::Client, dynamodb: aws_sdk_dynamodb::Client) -> Result<(), sqs_extended::Error> {
/// let store = DynamoDbStore::new(dynamodb, "payloads").time_to_live(sqs_extended::sweep::Sweep::DEFAULT_AGE);
/// // Pointers name the table in place of a bucket.
/// let extended = ExtendedClient::builder(client).offload_to(store, "payloads").build()?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
#[must_use]
pub struct DynamoDbStore {
    pub(super) client: Client,
    pub(super) table: Arc<str>,
    pub(super) time_to_live: Option<Duration>,
}

impl DynamoDbStore {
    /// Creates a store on `table`.
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self {
            client,
            table: table.into().into(),
            time_to_live: None,
        }
    }

    /// Lets DynamoDB remove an object this long after it is stored, or up to some days later. Default: never.
    /// Range: any.
    ///
    /// The time must exceed the lifetime of every message that points to the object. The table's time-to-live attribute
    /// must be `expires`.
    pub fn time_to_live(mut self, time_to_live: Duration) -> Self {
        self.time_to_live = Some(time_to_live);
        self
    }

    pub(super) fn now(&self) -> SystemTime {
        self.client.config().time_source().unwrap_or_default().now()
    }

    /// Returns a new ETag, which is also the name of the object's chunks.
    pub(super) fn new_etag() -> String {
        Uuid::new_v4().to_string()
    }

    pub(super) async fn head(&self, key: &Path) -> Result<Head> {
        let request = self.client.get_item().table_name(&*self.table).consistent_read(true);
        let response = request.set_key(Some(head::key(key))).send().await;
        match response.map_err(|error| failed(key.as_ref(), &error))?.item {
            Some(item) => Head::parse(&item),
            None => Err(Error::NotFound {
                path: key.to_string(),
                source: "the table has no object with this key".into(),
            }),
        }
    }

    /// Turns the chunks with this ETag into the object `key` and removes its former chunks. Removes the new chunks if
    /// `mode` forbids the object.
    pub(super) async fn publish(&self, key: &Path, etag: String, sizes: Vec<u64>, mode: PutMode) -> Result<PutResult> {
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
            Ok(response) => response.attributes,
            Err(error) => match failed_condition(&error) {
                // The request was repeated and had taken effect the first time.
                Some(Some(item)) if Head::parse(item).is_ok_and(|there| there.etag == head.etag) => None,
                Some(_) => {
                    self.remove_chunks(&head.etag, &head.sizes).await;
                    return Err(conflict(key, &mode));
                }
                // The chunks stay because the request may have taken effect.
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

    pub(super) async fn delete(&self, key: Path) -> Result<Path> {
        let request = self
            .client
            .delete_item()
            .table_name(&*self.table)
            .return_values(ReturnValue::AllOld);
        let response = request.set_key(Some(head::key(&key))).send().await;
        let old = response.map_err(|error| failed(key.as_ref(), &error))?.attributes;
        if let Some(Ok(old)) = old.as_ref().map(Head::parse) {
            self.remove_chunks(&old.etag, &old.sizes).await;
        }
        Ok(key)
    }

    /// Returns an error if there are attributes or tags.
    pub(super) fn check_plain(&self, attributes: &Attributes, tags: &TagSet) -> Result<()> {
        if attributes.is_empty() && tags.is_empty() {
            return Ok(());
        }
        Err(self.not_implemented("an object with attributes or tags"))
    }

    pub(super) fn not_implemented(&self, operation: &str) -> Error {
        Error::NotImplemented {
            operation: operation.to_owned(),
            implementer: self.to_string(),
        }
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
