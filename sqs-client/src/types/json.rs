//! The parsing of JSON bodies. A message of serde_json may quote the value, so the errors here name only the Rust type
//! and the position.

use std::any::type_name;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::error::Category;

use crate::error::Error;
use crate::types::{Message, OutgoingMessage, bounded_id};

impl OutgoingMessage {
    /// Creates a message whose body is this value as JSON.
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
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) if JSON cannot represent the value, such as a map whose keys are
    /// not text, or if the value's own `Serialize` fails.
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Error> {
        serde_json::to_string(value).map(Self::new).map_err(|_| {
            let name = type_name::<T>();
            Error::invalid_input(format!(
                "the value of type {name} cannot be written as JSON; check its map keys and its `Serialize`"
            ))
        })
    }
}

impl Message {
    /// Parses the body as JSON.
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
    /// [`Body`](crate::ErrorKind::Body) if the body is not JSON or does not fit `T`. The error has the message id and the
    /// position, and never a part of the body.
    pub fn json<T: DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_str(&self.body).map_err(|error| {
            let what = match error.classify() {
                Category::Data => format!("is JSON that does not fit the type {}", type_name::<T>()),
                Category::Eof => "is incomplete JSON".to_owned(),
                Category::Syntax | Category::Io => "is not JSON".to_owned(),
            };
            let (id, line, column) = (bounded_id(&self.message_id), error.line(), error.column());
            Error::body(format!(
                "the body of message {id:?} {what} (line {line}, column {column})"
            ))
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::error::ErrorKind;

    fn received(body: &str) -> Message {
        serde_json::from_value(serde_json::json!({"MessageId": "m", "ReceiptHandle": "h", "Body": body})).unwrap()
    }

    #[test]
    fn a_value_survives_a_round_trip() {
        let value = BTreeMap::from([("grüße \"\n".to_owned(), vec![1_u8, 2])]);
        let message = OutgoingMessage::json(&value).unwrap();
        assert_eq!(
            received(&message.body).json::<BTreeMap<String, Vec<u8>>>().unwrap(),
            value
        );
    }

    #[test]
    fn an_error_has_message_id_and_position_but_nothing_of_the_body() {
        for (body, says) in [
            (
                "{\n\"n\": \"secret\"}",
                "the body of message \"m\" is JSON that does not fit the type ",
            ),
            ("{\n\"n\": \"secret\"}", " (line 2, column 13)"),
            ("{\"secret\": 1", "is incomplete JSON (line 1, column 12)"),
            ("secret", "is not JSON (line 1, column 1)"),
        ] {
            let error = received(body).json::<BTreeMap<String, u8>>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Body);
            assert!(error.message().contains(says), "{error}");
            assert!(!format!("{error:?}").contains("secret") && !error.may_have_been_sent());
        }
    }

    #[test]
    fn a_value_that_json_cannot_represent_is_refused() {
        let error = OutgoingMessage::json(&BTreeMap::from([(vec![1], "secret")])).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(!format!("{error:?}").contains("secret"));
    }
}
