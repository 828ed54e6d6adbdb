use std::time::Duration;

use sqs_client::Message;
use sqs_client::types::MessageAttributeValue;

use super::cases;
use crate::harness::{Context, Outcome, Quirk};

cases! {
    every_kind_of_attribute_arrives,
    every_byte_arrives,
    names_filter_the_attributes,
}

async fn receive(context: &Context, queue: &str, names: &[&str]) -> anyhow::Result<Message> {
    let received = context
        .client
        .receive_message(queue)
        .message_attribute_names(names.iter().copied())
        .visibility_timeout(Duration::ZERO)
        .wait_time(Duration::from_secs(5));
    Ok(received.await?.messages.remove(0))
}

async fn every_kind_of_attribute_arrives(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let sent = [
        ("text", MessageAttributeValue::string("grüße & <🦀>")),
        ("number", MessageAttributeValue::number(-12.5)),
        ("binary", MessageAttributeValue::binary(vec![0, 255, 128])),
        ("labelled", MessageAttributeValue::number(7).with_label("u8")),
        (
            "png.Thumb-1_x",
            MessageAttributeValue::binary(vec![1]).with_label("png"),
        ),
    ];
    let mut request = context.client.send_message(&queue, "x");
    for (name, value) in sent.clone() {
        request = request.message_attribute(name, value);
    }
    request.await?;
    let message = receive(&context, &queue, &["All"]).await?;
    let sent = sent.into_iter().map(|(name, value)| (name.to_owned(), value));
    assert_eq!(message.message_attributes, sent.collect());
    Ok(())
}

async fn every_byte_arrives(context: Context) -> Outcome {
    let queue = context.queue().await?;
    let bytes: Vec<u8> = (0..=255).collect();
    let value = MessageAttributeValue::binary(bytes.clone());
    context
        .client
        .send_message(&queue, "x")
        .message_attribute("bytes", value)
        .await?;
    let message = receive(&context, &queue, &["bytes"]).await?;
    let arrived = message.message_attributes["bytes"]
        .as_bytes()
        .map(|bytes| bytes.to_vec());
    assert_eq!(arrived, Some(bytes));
    Ok(())
}

async fn names_filter_the_attributes(context: Context) -> Outcome {
    let queue = context.queue().await?;
    context
        .client
        .send_message(&queue, "x")
        .message_attribute("app.one", "1")
        .message_attribute("app.two", "2")
        .message_attribute("other", "3")
        .await?;
    for (requested, expected) in [
        (&[][..], &[][..]),
        (&["other"], &["other"]),
        (&["app.*"], &["app.one", "app.two"]),
        (&["All"], &["app.one", "app.two", "other"]),
        (&["app.one", "missing"], &["app.one"]),
    ] {
        if requested == ["app.*"] && context.backend.has(Quirk::NoPrefixFilter) {
            continue;
        }
        let message = receive(&context, &queue, requested).await?;
        let names: Vec<&String> = message.message_attributes.keys().collect();
        assert_eq!(names, expected, "requested {requested:?}");
    }
    Ok(())
}
