//! Runs one suite against every server in both protocols. It tests the behavior that an application may rely on.

mod attributes;
mod batch;
mod errors;
mod fifo;
mod listing;
mod messages;
mod moves;
mod permissions;
mod queues;
mod tags;

use std::sync::Arc;

use anyhow::Context as _;
use futures::future::BoxFuture;
use libtest_mimic::Trial;
use sqs_client::{Message, Protocol};

use crate::harness::{Backend, Context, Harness, Outcome};

type Case = fn(Context) -> BoxFuture<'static, Outcome>;

/// Makes cases of the suite of these async functions.
macro_rules! cases {
    ($($case:ident,)*) => {
        pub(super) const CASES: &[(&str, super::Case)] = &[
            $((stringify!($case), |context| Box::pin($case(context)))),*
        ];
    };
}
use cases;

const SUITE: &[(&str, &[(&str, Case)])] = &[
    ("attributes", attributes::CASES),
    ("batch", batch::CASES),
    ("errors", errors::CASES),
    ("fifo", fifo::CASES),
    ("listing", listing::CASES),
    ("messages", messages::CASES),
    ("moves", moves::CASES),
    ("permissions", permissions::CASES),
    ("queues", queues::CASES),
    ("tags", tags::CASES),
];

pub const PROTOCOLS: [(&str, Protocol); 2] = [("json", Protocol::Json), ("query", Protocol::Query)];

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = Vec::new();
    for backend in Backend::ALL {
        for (protocol_name, protocol) in PROTOCOLS {
            for (module, cases) in SUITE {
                for (case_name, case) in *cases {
                    let backend_name = backend.name();
                    let name = format!("conformance::{backend_name}::{protocol_name}::{module}::{case_name}");
                    trials.push(harness.trial(name, move |harness| {
                        let context = Context::new(harness, backend, protocol)?;
                        Ok(case(context))
                    }));
                }
            }
        }
    }
    trials
}

/// Receives until `count` messages have arrived or a few polls were empty.
async fn receive_all(context: &Context, queue: &str, count: usize) -> anyhow::Result<Vec<Message>> {
    let mut messages = Vec::new();
    let mut empty = 0;
    while messages.len() < count && empty < 3 {
        let received = context
            .client
            .receive_message(queue)
            .max_messages(10)
            .wait_time(std::time::Duration::from_secs(1))
            .visibility_timeout(std::time::Duration::from_secs(60))
            .await?
            .messages;
        empty = if received.is_empty() { empty + 1 } else { 0 };
        messages.extend(received);
    }
    anyhow::ensure!(
        messages.len() == count,
        "received {} messages instead of {count}",
        messages.len()
    );
    Ok(messages)
}

/// Receives one message.
async fn receive_one(context: &Context, queue: &str) -> anyhow::Result<Message> {
    receive_all(context, queue, 1).await?.pop().context("a message")
}

/// Returns `true` if nothing can be received now.
async fn is_empty(context: &Context, queue: &str) -> anyhow::Result<bool> {
    let wait = std::time::Duration::ZERO;
    let received = context.client.receive_message(queue).wait_time(wait).await?;
    Ok(received.messages.is_empty())
}
