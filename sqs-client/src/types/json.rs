//! Bodies that are JSON. What serde_json says of a failure may quote the value, so it is not passed on: an error
//! names the Rust type and the place, never a part of a body.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::Error;
use crate::types::{Message, OutgoingMessage};

impl OutgoingMessage {
    /// A message whose body is this value as JSON.
    ///
    /// ```
    /// use sqs_client::OutgoingMessage;
    ///
    /// #[derive(serde::Serialize)]
    /// struct Order {
    ///     id: u32,
    /// }
    ///
    /// let message = OutgoingMessage::json(&Order { id: 7 })?.message_attribute("kind", "order");
    /// assert_eq!(message.body, r#"{"id":7}"#);
    /// # Ok::<(), sqs_client::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where JSON has no form for the value, such as a map's key
    /// that is not text, or the value's own `Serialize` fails.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        serde_json::to_string(value).map(Self::new).map_err(|_| {
            let name = type_name::<T>();
            Error::invalid_input(format!("the value of type {name} has no form in JSON"))
        })
    }
}

impl Message {
    /// The body, read as JSON.
    ///
    /// ```no_run
    /// # async fn f(client: sqs_client::Client, queue: &str) -> Result<(), sqs_client::Error> {
    /// #[derive(serde::Deserialize)]
    /// struct Order {
    ///     id: u32,
    /// }
    ///
    /// for message in client.receive_message(queue).await?.messages {
    ///     let order: Order = message.json()?;
    ///     println!("order {}", order.id);
    /// }
    /// # Ok(()) }
    /// ```
    ///
    /// # Errors
    ///
    /// [`Response`](crate::ErrorKind::Response) where the body is not JSON, or not the JSON of a `T`. The error tells
    /// the place, and nothing of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.body).map_err(|error| {
            let what = match error.classify() {
                Category::Data => format!("is JSON, but not that of a {}", type_name::<T>()),
                Category::Eof => "is JSON that is cut off".to_owned(),
                Category::Syntax | Category::Io => "is not JSON".to_owned(),
            };
            let (line, column) = (error.line(), error.column());
            // No request failed here.
            Error::response(format!("the message body {what} (line {line}, column {column})")).sent(false)
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::error::ErrorKind;

    fn received(body: &str) -> Message {
        serde_json::from_value(serde_json::json!({"ReceiptHandle": "h", "Body": body})).unwrap()
    }

    #[test]
    fn a_value_comes_back_as_it_went_out() {
        let value = BTreeMap::from([("grüße \"\n".to_owned(), vec![1_u8, 2])]);
        let message = OutgoingMessage::json(&value).unwrap();
        assert_eq!(
            received(&message.body).json::<BTreeMap<String, Vec<u8>>>().unwrap(),
            value
        );
    }

    #[test]
    fn an_error_says_what_and_where_but_nothing_of_the_body() {
        for (body, says) in [
            ("{\"n\": \"secret\"}", "is JSON, but not that of a"),
            ("{\"secret\": 1", "is JSON that is cut off (line 1, column 12)"),
            ("secret", "is not JSON (line 1, column 1)"),
        ] {
            let error = received(body).json::<BTreeMap<String, u8>>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Response);
            assert!(error.message().contains(says), "{error}");
            assert!(!format!("{error:?}").contains("secret") && !error.may_have_been_sent());
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        let error = OutgoingMessage::json(&BTreeMap::from([(vec![1], "secret")])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("secret"));
    }
}
