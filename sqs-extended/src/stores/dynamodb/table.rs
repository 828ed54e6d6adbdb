//! Creation of the table.

use std::time::Duration;

use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType, TableStatus,
    TimeToLiveSpecification,
};
use object_store::{Error, Result};

use crate::stores::dynamodb::errors::{STORE, failed};
use crate::stores::dynamodb::head::{EXPIRES, ID, PART};
use crate::stores::dynamodb::store::DynamoDbStore;

/// The maximum number of checks that a table is ready, one second apart.
const POLLS: u32 = 60;

impl DynamoDbStore {
    /// Creates the table if it does not exist, billed by request, and waits until it is ready.
    ///
    /// With a [`time_to_live`](Self::time_to_live), the new table's time-to-live attribute is set too. An existing table
    /// is not changed. The method is meant for tests and first steps. In production, create the table with the rest of
    /// your infrastructure.
    ///
    /// # Errors
    ///
    /// Returns an error if DynamoDB refuses or if the table is not ready within a minute.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future is safe, and another call continues. But the table may exist by then, and the call then does not
    /// set its time to live.
    pub async fn create_table(&self) -> Result<()> {
        let key = |name: &str, key_type| {
            KeySchemaElement::builder()
                .attribute_name(name)
                .key_type(key_type)
                .build()
        };
        let attribute = |name: &str, kind| {
            AttributeDefinition::builder()
                .attribute_name(name)
                .attribute_type(kind)
                .build()
        };
        let created = self
            .client
            .create_table()
            .table_name(&*self.table)
            .billing_mode(BillingMode::PayPerRequest)
            .attribute_definitions(attribute(ID, ScalarAttributeType::S).map_err(invalid)?)
            .attribute_definitions(attribute(PART, ScalarAttributeType::N).map_err(invalid)?)
            .key_schema(key(ID, KeyType::Hash).map_err(invalid)?)
            .key_schema(key(PART, KeyType::Range).map_err(invalid)?)
            .send()
            .await;
        match created {
            Ok(_) => {
                self.wait_until_active().await?;
                self.set_time_to_live().await
            }
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(|error| error.is_resource_in_use_exception()) =>
            {
                self.wait_until_active().await
            }
            Err(error) => Err(failed("", &error)),
        }
    }

    async fn wait_until_active(&self) -> Result<()> {
        for _ in 0..POLLS {
            let request = self.client.describe_table().table_name(&*self.table);
            let response = request.send().await.map_err(|error| failed("", &error))?;
            if response.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        Err(Error::Generic {
            store: STORE,
            source: "the table is not ready after a minute; call create_table again to wait longer".into(),
        })
    }

    async fn set_time_to_live(&self) -> Result<()> {
        if self.time_to_live.is_none() {
            return Ok(());
        }
        let specification = TimeToLiveSpecification::builder()
            .attribute_name(EXPIRES)
            .enabled(true)
            .build();
        let request = self.client.update_time_to_live().table_name(&*self.table);
        let request = request.time_to_live_specification(specification.map_err(invalid)?);
        request.send().await.map_err(|error| failed("", &error)).map(drop)
    }
}

fn invalid(error: aws_sdk_dynamodb::error::BuildError) -> Error {
    Error::Generic {
        store: STORE,
        source: error.into(),
    }
}
