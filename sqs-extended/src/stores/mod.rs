//! Object stores: opened by URL, their HTTP connections, and a store on DynamoDB.

#[cfg(feature = "_http")]
mod connector;
#[cfg(feature = "_http")]
mod credentials;
#[cfg(feature = "dynamodb")]
mod dynamodb;
#[cfg(feature = "_http")]
mod resolver;
#[cfg(feature = "s3")]
mod s3;
mod url;

#[cfg(feature = "_http")]
pub use connector::StoreConnector;
#[cfg(feature = "s3")]
pub(crate) use credentials::SharedCredentials;
#[cfg(feature = "dynamodb")]
pub use dynamodb::DynamoDbStore;
pub(crate) use url::OpenedStore;
