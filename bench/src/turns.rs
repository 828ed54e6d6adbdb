//! Contenders that take turns, each turn in a process of its own.

use serde::de::DeserializeOwned;

use crate::child;

/// glibc settings that make a turn keep its memory, as a long-running program does. By default, glibc may return
/// megabytes to the system and request them again, depending on the heap's position. One program had ten thousand page
/// faults in one run and two hundred thousand in the next.
const ALLOCATOR: [(&str, &str); 2] = [
    ("MALLOC_TRIM_THRESHOLD_", "67108864"),
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
];

/// Runs each contender's turns, and returns the results of each contender.
///
/// Each contender has `rounds` turns after a warm-up turn whose result is dropped. A turn is this program, started with
/// the `arguments` for the contender with that index. It [reports](child::report) its result.
///
/// # Errors
///
/// Returns an error if a turn fails.
pub async fn take_turns<R: DeserializeOwned>(
    contenders: usize,
    rounds: usize,
    arguments: impl Fn(usize) -> Vec<String>,
) -> anyhow::Result<Vec<Vec<R>>> {
    let mut results: Vec<Vec<R>> = (0..contenders).map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for position in 0..contenders {
            // The order rotates, so that no contender is always first.
            let contender = (round + position) % contenders;
            let mut turn = child::command()?;
            turn.args(arguments(contender)).envs(ALLOCATOR);
            let result = child::run(turn).await?;
            if round > 0 {
                results[contender].push(result);
            }
        }
    }
    Ok(results)
}
