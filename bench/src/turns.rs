//! Contenders that take turns, each turn in a process of its own.

use std::process::Stdio;

use serde::de::DeserializeOwned;
use tokio::process::Command;

/// What glibc is told for a turn: that it keeps the memory which it has, as a program does that runs for long. Else it
/// gives megabytes back and asks for them again, or does not, by where the heap happens to lie: one program has ten
/// thousand page faults in one run and two hundred thousand in the next.
const ALLOCATOR: [(&str, &str); 2] = [
    ("MALLOC_TRIM_THRESHOLD_", "67108864"),
    ("MALLOC_MMAP_THRESHOLD_", "33554432"),
];

/// What each contender's turns came to: `rounds` of them, after one that warms up and is not counted. A turn is this
/// program with the `arguments` for the contender of so many; it prints its figures as JSON.
///
/// # Errors
///
/// A turn failed.
pub async fn take_turns<F: DeserializeOwned>(
    contenders: usize,
    rounds: usize,
    arguments: impl Fn(usize) -> Vec<String>,
) -> anyhow::Result<Vec<Vec<F>>> {
    let mut figures: Vec<Vec<F>> = (0..contenders).map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for place in 0..contenders {
            // Nobody is always first.
            let contender = (round + place) % contenders;
            let turn = take_turn(&arguments(contender)).await?;
            if round > 0 {
                figures[contender].push(turn);
            }
        }
    }
    Ok(figures)
}

async fn take_turn<F: DeserializeOwned>(arguments: &[String]) -> anyhow::Result<F> {
    let output = Command::new(std::env::current_exe()?)
        .args(arguments)
        .envs(ALLOCATOR)
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .output()
        .await?;
    anyhow::ensure!(output.status.success(), "{arguments:?} failed: {}", output.status);
    Ok(serde_json::from_slice(&output.stdout)?)
}
