use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::*;
use crate::credentials::BoxFuture;

/// A cache whose clock the test sets, in seconds since 1970.
struct Bench {
    cache: CredentialsCache,
    seconds: Arc<AtomicU64>,
}

impl Bench {
    fn new(provider: Arc<dyn ProvideCredentials>) -> Self {
        let seconds = Arc::new(AtomicU64::new(0));
        let now = seconds.clone();
        let clock = Clock::new(move || SystemTime::UNIX_EPOCH + Duration::from_secs(now.load(Ordering::SeqCst)));
        Self {
            cache: CredentialsCache::with_clock(provider, clock),
            seconds,
        }
    }

    async fn key_at(&self, minute: u64) -> Result<String, Error> {
        self.seconds.store(60 * minute, Ordering::SeqCst);
        let credentials = self.cache.get().await?;
        Ok(credentials.access_key_id().to_owned())
    }

    /// Returns the key after the running call of the provider has ended.
    async fn settled_key_at(&self, minute: u64) -> Result<String, Error> {
        let _ = self.key_at(minute).await;
        tokio::time::sleep(CredentialsCache::FETCH_TIMEOUT).await;
        self.key_at(minute).await
    }
}

/// Returns numbered credentials that are valid for an hour. Fails after the second.
#[derive(Debug, Default)]
struct Numbered(AtomicU32);

impl ProvideCredentials for Numbered {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async {
            tokio::time::sleep(Duration::from_millis(1)).await;
            let number = self.0.fetch_add(1, Ordering::SeqCst);
            if number == 2 {
                return Err("out of credentials".into());
            }
            let hours = number + 1;
            Ok(Credentials::new(number.to_string(), "s").with_expiry(at_minute(60 * hours)))
        })
    }
}

fn at_minute(minute: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(60) * minute
}

#[tokio::test(start_paused = true)]
async fn one_call_replaces_credentials_before_they_expire() {
    let bench = Bench::new(Arc::new(Numbered::default()));
    let all = futures_util::future::join_all((0..10).map(|_| bench.key_at(0))).await;
    assert!(all.iter().all(|key| key.as_ref().unwrap() == "0"));
    assert_eq!(bench.settled_key_at(54).await.unwrap(), "0");
    assert_eq!(bench.settled_key_at(56).await.unwrap(), "1");
    // The provider fails once now, and the old credentials serve while they are valid.
    assert_eq!(bench.settled_key_at(118).await.unwrap(), "1");
    assert_eq!(bench.settled_key_at(119).await.unwrap(), "3");
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_replaced_once() {
    let bench = Bench::new(Arc::new(Numbered::default()));
    let first = bench.cache.get().await.unwrap();
    let replaced = futures_util::future::join_all((0..10).map(|_| bench.cache.replace(&first))).await;
    assert_eq!(replaced, [true; 10]);
    assert_eq!(bench.key_at(0).await.unwrap(), "1");
    assert!(bench.cache.replace(&first).await);
    assert_eq!(bench.key_at(0).await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn callers_wait_while_refused_credentials_are_replaced() {
    let bench = Bench::new(Arc::new(Numbered::default()));
    let first = bench.cache.get().await.unwrap();
    let (replaced, key) = tokio::join!(bench.cache.replace(&first), bench.key_at(0));
    assert_eq!((replaced, key.unwrap().as_str()), (true, "1"));
}

#[tokio::test(start_paused = true)]
async fn a_provider_of_refused_credentials_is_called_again_after_a_pause() {
    let provider = Arc::new(ShortLived::new(3_600));
    let bench = Bench::new(provider.clone());
    let refused = bench.cache.get().await.unwrap();
    for _ in 0..5 {
        assert!(!bench.cache.replace(&refused).await);
    }
    assert_eq!(provider.calls(), 2);
    assert_eq!(bench.key_at(0).await.unwrap(), "short", "the server decides");
    tokio::time::advance(FIRST_PAUSE).await;
    assert!(!bench.cache.replace(&refused).await);
    assert_eq!(provider.calls(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_clock_at_the_end_of_time_does_not_panic() {
    let bench = Bench::new(Arc::new(Numbered::default()));
    bench.seconds.store(i64::MAX as u64, Ordering::SeqCst);
    assert!(bench.cache.get().await.is_ok());
}

/// Returns credentials once, valid for an hour, and then hangs.
#[derive(Debug, Default)]
struct Hanging(AtomicU32);

impl ProvideCredentials for Hanging {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async {
            if self.0.fetch_add(1, Ordering::SeqCst) > 0 {
                std::future::pending::<()>().await;
            }
            Ok(Credentials::new("0", "s").with_expiry(at_minute(60)))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_provider_does_not_delay_valid_credentials() {
    let bench = Bench::new(Arc::new(Hanging::default()));
    assert_eq!(bench.key_at(0).await.unwrap(), "0");
    let begin = Instant::now();
    for _ in 0..10 {
        assert_eq!(bench.key_at(56).await.unwrap(), "0");
    }
    assert_eq!(begin.elapsed(), Duration::ZERO);
    // Without valid credentials, all wait for one call and get its error.
    let all = futures_util::future::join_all((0..10).map(|_| bench.key_at(61))).await;
    let failed = |key: &Result<_, Error>| key.as_ref().unwrap_err().kind() == crate::ErrorKind::Credentials;
    assert!(all.iter().all(failed));
    assert_eq!(begin.elapsed(), CredentialsCache::FETCH_TIMEOUT);
}

/// Returns credentials after a second. They expire this many seconds after the start.
#[derive(Debug)]
struct ShortLived {
    lifetime: u64,
    calls: AtomicU32,
}

impl ShortLived {
    fn new(lifetime: u64) -> Self {
        Self {
            lifetime,
            calls: AtomicU32::new(0),
        }
    }

    fn calls(&self) -> u32 {
        self.calls.load(Ordering::SeqCst)
    }
}

impl ProvideCredentials for ShortLived {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        Box::pin(async {
            self.calls.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(Duration::from_secs(1)).await;
            let expiry = SystemTime::UNIX_EPOCH + Duration::from_secs(self.lifetime);
            Ok(Credentials::new("short", "s").with_expiry(expiry))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn short_lived_credentials_are_not_fetched_for_every_request() {
    for lifetime in [0, 1, 60, 299] {
        let provider = Arc::new(ShortLived::new(lifetime));
        let bench = Bench::new(provider.clone());
        for _ in 0..20 {
            assert_eq!(bench.key_at(0).await.unwrap(), "short");
        }
        assert_eq!(provider.calls(), 1, "{lifetime}");
    }
}

#[tokio::test(start_paused = true)]
async fn each_stale_response_lengthens_the_pause() {
    let provider = Arc::new(ShortLived::new(299));
    let bench = Bench::new(provider.clone());
    let mut calls = Vec::new();
    bench.key_at(0).await.unwrap();
    for _ in 0..100 {
        // Nearly expired.
        bench.seconds.store(298, Ordering::SeqCst);
        bench.cache.get().await.unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        calls.push(provider.calls());
    }
    assert!(provider.calls() <= 9, "{calls:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_caller_does_not_lose_the_credentials() {
    let provider = Arc::new(ShortLived::new(3_600));
    let bench = Bench::new(provider.clone());
    for _ in 0..5 {
        let call = timeout(Duration::from_millis(400), bench.key_at(0));
        if let Ok(key) = call.await {
            assert_eq!(key.unwrap(), "short");
        }
    }
    assert_eq!(provider.calls(), 1);
}

/// Fails or panics, and counts its calls.
#[derive(Debug, Default)]
struct Failing {
    panics: bool,
    calls: AtomicU32,
}

impl ProvideCredentials for Failing {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let panics = self.panics;
        Box::pin(async move {
            assert!(!panics, "the provider panics");
            Err("no keys here".into())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_failure_callers_get_it_until_the_next_call() {
    for panics in [false, true] {
        let provider = Arc::new(Failing {
            panics,
            ..Failing::default()
        });
        let bench = Bench::new(provider.clone());
        for _ in 0..20 {
            assert_eq!(bench.key_at(0).await.unwrap_err().kind(), crate::ErrorKind::Credentials);
        }
        assert_eq!(provider.calls.load(Ordering::SeqCst), 1);
        tokio::time::advance(FIRST_PAUSE).await;
        bench.key_at(0).await.unwrap_err();
        assert_eq!(provider.calls.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn an_ending_runtime_does_not_lose_another_runtimes_credentials() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .unwrap()
    };
    let provider = Arc::new(ShortLived::new(3_600));
    let bench = Bench::new(provider.clone());
    let first = runtime();
    let dropped = first.block_on(async { timeout(Duration::from_millis(50), bench.key_at(0)).await.is_err() });
    assert!(dropped);
    let second = runtime();
    std::thread::scope(|scope| {
        let waiting = scope.spawn(|| second.block_on(bench.key_at(0)));
        std::thread::sleep(Duration::from_millis(50));
        drop(first);
        assert_eq!(waiting.join().unwrap().unwrap(), "short");
    });
    assert_eq!(provider.calls(), 2);
}

#[test]
fn a_call_that_ends_after_a_later_one_changes_nothing() {
    let (now, at) = (at_minute(0), Instant::now());
    let mut state = State::default();
    let (first, _outcome) = state.begin(at);
    let (second, _outcome) = state.begin(at + CredentialsCache::FETCH_TIMEOUT);
    let credentials = |key: &str| Ok(Credentials::new(key, "secret"));
    state.ended(
        second.number,
        &credentials("new"),
        now,
        at + CredentialsCache::FETCH_TIMEOUT,
    );
    state.ended(
        first.number,
        &credentials("old"),
        now,
        at + CredentialsCache::FETCH_TIMEOUT,
    );
    assert_eq!(state.current.unwrap().credentials.access_key_id(), "new");
}

/// Fails with a cause of its own.
#[derive(Debug)]
struct Broken;

impl ProvideCredentials for Broken {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        let error = Error::transport("the token service refused").with_source("the token has expired");
        Box::pin(async { Err(error.into()) })
    }
}

#[tokio::test]
async fn a_failed_provider_is_reported_with_its_causes() {
    let error = CredentialsCache::new(Broken).get().await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the credentials provider failed: the token service refused: the token has expired"
    );
    assert!(error.source().is_some());
}
