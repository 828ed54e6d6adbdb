//! Orphaned chunks, and other scans of the whole table.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use futures::{Stream, TryStreamExt as _, stream};
use object_store::path::Path;
use object_store::{Error, Result};

use crate::stores::dynamodb::chunks::{CHUNKS, DELETE_BATCH, KEY};
use crate::stores::dynamodb::errors::{failed, malformed};
use crate::stores::dynamodb::head::{ID, Item, MODIFIED, PART, number, seconds, text};
use crate::stores::dynamodb::store::DynamoDbStore;

impl DynamoDbStore {
    /// Removes orphaned chunks, which belong to no object, and returns their number.
    ///
    /// They come from processes that were killed while they wrote or deleted. Only chunks older than `older_than` by the
    /// writers' clocks are removed, so it must exceed the duration of the longest upload.
    ///
    /// This reads the whole table, and DynamoDB bills that. With a [`time_to_live`](Self::time_to_live) it is
    /// unnecessary.
    ///
    /// # Errors
    ///
    /// Returns an error if the table cannot be read or chunks cannot be deleted. Chunks removed before the error stay
    /// removed.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe at any time. The next call continues.
    pub async fn remove_orphans(&self, older_than: Duration) -> Result<u64> {
        let Some(limit) = self.now().checked_sub(older_than) else {
            return Ok(0);
        };
        let limit = number(&seconds(limit)).unwrap_or_default();
        let mut chunks = std::pin::pin!(self.scan(CHUNKS.to_owned(), &[ID, PART, KEY, MODIFIED]));
        let (mut orphans, mut removed) = (Vec::new(), 0);
        // The chunks of a part are adjacent.
        let mut judged = (String::new(), false);
        while let Some(mut chunk) = chunks.try_next().await? {
            let (key, modified) = (chunk.remove(KEY), chunk.remove(MODIFIED));
            if modified
                .as_ref()
                .and_then(number)
                .is_none_or(|modified| modified > limit)
            {
                continue;
            }
            let id = text(&chunk, ID)?;
            if judged.0 != id {
                judged = (id.to_owned(), self.is_orphan(id, key.as_ref()).await?);
            }
            if judged.1 {
                orphans.push(chunk);
                removed += 1;
            }
            if orphans.len() == DELETE_BATCH {
                self.delete_items(std::mem::take(&mut orphans)).await?;
            }
        }
        if !orphans.is_empty() {
            self.delete_items(orphans).await?;
        }
        Ok(removed)
    }

    /// Returns `true` if the object with this key has no chunks with this id.
    async fn is_orphan(&self, id: &str, key: Option<&AttributeValue>) -> Result<bool> {
        let key = key.and_then(|key| key.as_s().ok()).ok_or_else(|| malformed(KEY))?;
        let etag = id.strip_prefix(CHUNKS).and_then(|rest| rest.split('/').next());
        match self.head(&Path::parse(key)?).await {
            Ok(head) => Ok(etag != Some(head.etag.as_str())),
            Err(Error::NotFound { .. }) => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// Reads these attributes of all items whose ids begin with `id_prefix`.
    pub(super) fn scan(
        &self,
        id_prefix: String,
        attributes: &[&str],
    ) -> impl Stream<Item = Result<Item>> + Send + use<> {
        let placeholders: Vec<_> = attributes
            .iter()
            .zip('a'..)
            .map(|(_, letter)| format!("#{letter}"))
            .collect();
        let mut request = self
            .client
            .scan()
            .table_name(&*self.table)
            .consistent_read(true)
            .filter_expression("begins_with(#id, :prefix)")
            .expression_attribute_names("#id", ID)
            .expression_attribute_values(":prefix", AttributeValue::S(id_prefix))
            .projection_expression(placeholders.join(","));
        for (placeholder, attribute) in placeholders.into_iter().zip(attributes) {
            request = request.expression_attribute_names(placeholder, *attribute);
        }
        let pages = stream::try_unfold(Some(None), move |from: Option<Option<Item>>| {
            let request = request.clone();
            async move {
                let Some(from) = from else {
                    return Ok::<_, Error>(None);
                };
                let response = request.set_exclusive_start_key(from).send().await;
                let page = response.map_err(|error| failed("", &error))?;
                let items = stream::iter(page.items.into_iter().flatten().map(Ok));
                Ok(Some((items, page.last_evaluated_key.map(Some))))
            }
        });
        pages.try_flatten()
    }
}
