//! Repeats acknowledgements that fail.

use std::time::Duration;

/// The number of attempts of an acknowledgement, each with the retries of the client's policy.
const ATTEMPTS: u32 = 3;
/// The pause before the second attempt. It doubles before the third.
const PAUSE: Duration = Duration::from_millis(500);

/// Acknowledges a message with `ack`, and repeats that after a retryable failure.
///
/// # Errors
///
/// Returns the error of the last attempt.
pub async fn retry_ack<T, E, F>(ack: impl Fn() -> F, is_retryable: impl Fn(&E) -> bool) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
{
    let mut pause = PAUSE;
    for _ in 1..ATTEMPTS {
        match ack().await {
            Err(error) if is_retryable(&error) => tokio::time::sleep(pause).await,
            result => return result,
        }
        pause *= 2;
    }
    ack().await
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use tokio::time::Instant;

    use super::*;

    /// Returns the number of attempts if the first `failures` fail, and the time that they take.
    async fn attempts(failures: u32, retryable: bool) -> (u32, Duration) {
        let (begin, made) = (Instant::now(), Cell::new(0));
        let ack = async || {
            made.set(made.get() + 1);
            if made.get() > failures { Ok(()) } else { Err("failed") }
        };
        let succeeded = retry_ack(&ack, |_| retryable).await.is_ok();
        assert_eq!(succeeded, made.get() > failures);
        (made.get(), begin.elapsed())
    }

    #[tokio::test(start_paused = true)]
    async fn a_retryable_failure_is_repeated_with_growing_pauses() {
        assert_eq!(attempts(0, true).await, (1, Duration::ZERO));
        assert_eq!(attempts(1, true).await, (2, PAUSE));
        assert_eq!(attempts(9, true).await, (3, 3 * PAUSE));
        assert_eq!(attempts(9, false).await, (1, Duration::ZERO));
    }
}
