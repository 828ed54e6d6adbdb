//! One batch, until each of its entries has a result.

use super::Batch;
use super::plan::Planned;
use crate::client::Client;
use crate::error::Error;
use crate::types::BatchResultErrorEntry;

/// The results so far, in the order of the inputs; an entry's id is its place.
type Results<B> = Vec<Option<Result<<B as Batch>::Result, Error>>>;

/// Sends the batch, and again what failed by the server's fault if `retry`.
pub(crate) async fn run<B: Batch>(
    client: Client,
    queue_url: String,
    batch: Vec<Planned<B>>,
    retry: bool,
) -> Vec<Result<B::Result, Error>> {
    let mut results: Results<B> = Vec::with_capacity(batch.len());
    let mut entries = Vec::with_capacity(batch.len());
    for (place, planned) in batch.into_iter().enumerate() {
        results.push(match planned {
            Ok(item) => {
                entries.push(B::entry(place.to_string(), item));
                None
            }
            Err(error) => Some(Err(error)),
        });
    }
    let mut attempts = client.attempts();
    while !entries.is_empty() {
        let operation = B::new(queue_url.clone(), entries);
        let output = match client.execute(&operation).await {
            Ok(output) => output,
            Err(error) => {
                for entry in operation.into_entries() {
                    settle::<B>(&mut results, B::id(&entry), Err(error.clone()));
                }
                break;
            }
        };
        for done in output.successful {
            let (id, result) = B::done(done);
            settle::<B>(&mut results, &id, Ok(result));
        }
        let passing = |failed: &BatchResultErrorEntry| Error::entry(failed).is_retryable();
        let pause = match output.failed.iter().find(|failed| retry && passing(failed)) {
            Some(failed) => attempts.after(Error::entry(failed), true).pause(),
            None => {
                attempts.succeeded();
                None
            }
        };
        let again = |failed: &BatchResultErrorEntry| pause.is_some() && passing(failed);
        for failed in &output.failed {
            settle::<B>(&mut results, &failed.id, Err(Error::entry(failed)));
        }
        entries = operation.into_entries();
        entries.retain(|entry| {
            output
                .failed
                .iter()
                .any(|failed| failed.id == B::id(entry) && again(failed))
        });
        if let Some(pause) = pause {
            tokio::time::sleep(pause).await;
        }
    }
    let unnamed = || Err(Error::response("the server's answer does not name this entry"));
    let named = results.into_iter().map(|result| result.unwrap_or_else(unnamed));
    named
        .map(|result| result.map_err(|error| error.with_operation(B::NAME)))
        .collect()
}

/// The entry's result, or the latest of its errors so far, which may have been sent if any of them may. An id that is
/// none of ours has no place, and is passed over.
fn settle<B: Batch>(results: &mut Results<B>, id: &str, result: Result<B::Result, Error>) {
    let place = id.parse().ok().and_then(|place: usize| results.get_mut(place));
    if let Some(place) = place {
        let sent = |error: &Error| error.may_have_been_sent();
        let before = matches!(place, Some(Err(error)) if sent(error));
        *place = Some(result.map_err(|error| {
            let sent = before || sent(&error);
            error.sent(sent)
        }));
    }
}
