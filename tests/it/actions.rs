//! Calls every action on every server in both protocols. The results are the table of actions in README.

mod calls;

use std::sync::Arc;

use anyhow::{Context as _, ensure};
use futures::future::BoxFuture;
use libtest_mimic::Trial;

use self::Support::{Forgets, No, Yes};
use crate::conformance::PROTOCOLS;
use crate::harness::{Backend, Context, Harness, Outcome};

/// A server's support of an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Support {
    Yes,
    /// The request succeeds without an effect.
    Forgets,
    /// The request is refused.
    No,
}

type Call = fn(Context) -> BoxFuture<'static, anyhow::Result<Support>>;

/// Defines the table: each server's known support of an action, in the order of [`Backend::ALL`]. It is the same in both
/// protocols.
macro_rules! table {
    ($($action:ident by $call:ident: $($support:ident)*;)*) => {
        const TABLE: &[(&str, Call, [Support; Backend::ALL.len()])] = &[
            $((stringify!($action), |context| Box::pin(calls::$call(context)), [$($support),*])),*
        ];
    };
}

table! {
    AddPermission by add_permission: Yes Forgets Yes;
    CancelMessageMoveTask by cancel_message_move_task: Yes Yes No;
    ChangeMessageVisibility by change_message_visibility: Yes Yes Yes;
    ChangeMessageVisibilityBatch by change_message_visibility_batch: Yes Yes Yes;
    CreateQueue by create_queue: Yes Yes Yes;
    DeleteMessage by delete_message: Yes Yes Yes;
    DeleteMessageBatch by delete_message_batch: Yes Yes Yes;
    DeleteQueue by delete_queue: Yes Yes Yes;
    GetQueueAttributes by get_queue_attributes: Yes Yes Yes;
    GetQueueUrl by get_queue_url: Yes Yes Yes;
    ListDeadLetterSourceQueues by list_dead_letter_source_queues: Yes Yes Yes;
    ListMessageMoveTasks by list_message_move_tasks: Yes Yes No;
    ListQueueTags by list_queue_tags: Yes Yes Yes;
    ListQueues by list_queues: Yes Yes Yes;
    PurgeQueue by purge_queue: Yes Yes Yes;
    ReceiveMessage by receive_message: Yes Yes Yes;
    RemovePermission by remove_permission: Yes Forgets Yes;
    SendMessage by send_message: Yes Yes Yes;
    SendMessageBatch by send_message_batch: Yes Yes Yes;
    SetQueueAttributes by set_queue_attributes: Yes Yes Yes;
    StartMessageMoveTask by start_message_move_task: Yes Yes No;
    TagQueue by tag_queue: Yes Yes Yes;
    UntagQueue by untag_queue: Yes Yes Yes;
}

pub fn trials(harness: &Arc<Harness>) -> Vec<Trial> {
    let mut trials = vec![harness.blocking_test(readme_contains_the_table)];
    for (column, backend) in Backend::ALL.into_iter().enumerate() {
        for (protocol_name, protocol) in PROTOCOLS {
            for (action, call, supports) in TABLE {
                let expected = supports[column];
                let name = format!("actions::{}::{protocol_name}::{action}", backend.name());
                trials.push(harness.trial(name, move |harness| {
                    let context = Context::new(harness, backend, protocol)?;
                    Ok(Box::pin(async move {
                        let found = call(context).await?;
                        ensure!(
                            found == expected,
                            "the server's support is {found:?}, the table says {expected:?}"
                        );
                        Ok(())
                    }))
                }));
            }
        }
    }
    trials
}

/// Formats the table for README.
fn markdown() -> String {
    let mut text = "| | sqs-local | ElasticMQ | moto |\n|---|---|---|---|\n".to_owned();
    for (action, _, supports) in TABLE {
        let cells = supports.map(|support| match support {
            Yes => "yes",
            Forgets => "accepted, not applied",
            No => "no",
        });
        text += &format!("| {action} | {} |\n", cells.join(" | "));
    }
    text
}

/// Compares the table with the one between README's markers. `UPDATE_README=1` writes it there.
fn readme_contains_the_table() -> Outcome {
    const BEGIN: &str = "<!-- actions: written by UPDATE_README=1 cargo test -p sqs-tests --test it -- readme -->\n";
    const END: &str = "<!-- end of actions -->";
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
    let text = std::fs::read_to_string(path)?;
    let (before, rest) = text
        .split_once(BEGIN)
        .context("README has no marker where the table begins")?;
    let (table, after) = rest
        .split_once(END)
        .context("README has no marker where the table ends")?;
    let expected = markdown();
    if table == expected {
        return Ok(());
    }
    if std::env::var_os("UPDATE_README").is_some_and(|value| value == "1") {
        std::fs::write(path, format!("{before}{BEGIN}{expected}{END}{after}"))?;
        return Ok(());
    }
    anyhow::bail!("README's table of actions is out of date; set UPDATE_README=1 to write this one:\n{expected}")
}
