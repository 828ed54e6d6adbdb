use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use tokio::sync::Mutex;

use super::{Credentials, ProvideCredentials};
use crate::error::Error;

/// How long before their expiry credentials are replaced.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_secs(5 * 60);

/// Longest that a provider may take.
const PROVIDER_TIMEOUT: Duration = Duration::from_secs(30);

/// The credentials in use, replaced before they expire by one call of the provider, for which all others wait.
#[derive(Debug)]
pub(crate) struct CredentialsCache {
    provider: Arc<dyn ProvideCredentials>,
    current: RwLock<Option<Credentials>>,
    /// Locked while the provider is asked; holds what it failed with the last time, `None` after a success.
    refreshing: Mutex<Option<Error>>,
    /// How many times the provider has answered or failed: who waits sees by it that a call ended meanwhile.
    ended_calls: AtomicU64,
}

impl CredentialsCache {
    pub(crate) fn new(provider: Arc<dyn ProvideCredentials>) -> Self {
        Self {
            provider,
            current: RwLock::new(None),
            refreshing: Mutex::new(None),
            ended_calls: AtomicU64::new(0),
        }
    }

    /// Credentials that are valid at `now`.
    ///
    /// # Errors
    ///
    /// What the provider failed with, in this call or in the one that this waited for, while none are valid.
    pub(crate) async fn get(&self, now: SystemTime) -> Result<Credentials, Error> {
        if let Some(fresh) = self.fresh(now) {
            return Ok(fresh);
        }
        // While the old ones are valid, only one request waits for others.
        let before = self.ended_calls.load(Ordering::Acquire);
        let mut last_error = match (self.refreshing.try_lock(), self.valid(now)) {
            (Ok(lock), _) => lock,
            (Err(_), Some(valid)) => return Ok(valid),
            (Err(_), None) => self.refreshing.lock().await,
        };
        if let Some(fresh) = self.fresh(now) {
            return Ok(fresh);
        }
        // Who waited for a call that failed does not make the next one wait for its own.
        let waited = self.ended_calls.load(Ordering::Acquire) != before;
        if let (true, Some(error)) = (waited, &*last_error) {
            return self.valid(now).ok_or_else(|| error.clone());
        }
        let provided = self.ask().await;
        self.ended_calls.fetch_add(1, Ordering::Release);
        *last_error = provided.as_ref().err().cloned();
        // Old ones that are still valid are better than none.
        provided.or_else(|error| self.valid(now).ok_or(error))
    }

    async fn ask(&self) -> Result<Credentials, Error> {
        match tokio::time::timeout(PROVIDER_TIMEOUT, self.provider.provide_credentials()).await {
            Ok(Ok(credentials)) => {
                self.set(Some(credentials.clone()));
                Ok(credentials)
            }
            Ok(Err(source)) => Err(Error::credentials("the credentials provider failed").with_source(source)),
            Err(_) => Err(Error::credentials(
                "the credentials provider did not answer within 30 seconds",
            )),
        }
    }

    /// Forgets these credentials, which the server called expired; others that came in between stay.
    pub(crate) fn forget(&self, expired: &Credentials) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref() == Some(expired) {
            *current = None;
        }
    }

    fn fresh(&self, now: SystemTime) -> Option<Credentials> {
        self.valid(now.checked_add(REFRESH_BEFORE_EXPIRY).unwrap_or(now))
    }

    /// The current credentials, if they do not expire before `time`.
    fn valid(&self, time: SystemTime) -> Option<Credentials> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        let not_expired = |credentials: &&Credentials| credentials.expires_at().is_none_or(|expiry| time < expiry);
        current.as_ref().filter(not_expired).cloned()
    }

    fn set(&self, credentials: Option<Credentials>) {
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = credentials;
    }
}

#[cfg(test)]
mod tests {
    use std::error::Error as StdError;
    use std::sync::atomic::AtomicU32;

    use super::super::BoxFuture;
    use super::*;

    /// Gives out numbered credentials that are valid for an hour; fails after the second.
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

    async fn key_at(cache: &CredentialsCache, minute: u32) -> Result<String, Error> {
        let credentials = cache.get(at_minute(minute)).await?;
        Ok(credentials.access_key_id().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn credentials_are_replaced_before_they_expire_by_one_call_for_all() {
        let cache = CredentialsCache::new(Arc::new(Numbered::default()));
        let all = futures_util::future::join_all((0..10).map(|_| key_at(&cache, 0))).await;
        assert!(all.iter().all(|key| key.as_ref().unwrap() == "0"));
        assert_eq!(key_at(&cache, 54).await.unwrap(), "0");
        assert_eq!(key_at(&cache, 56).await.unwrap(), "1");
        // The provider fails from now on: the old ones serve while they are valid.
        assert_eq!(key_at(&cache, 118).await.unwrap(), "1");
        assert_eq!(key_at(&cache, 119).await.unwrap_or_else(|e| e.to_string()), "3");
    }

    #[tokio::test(start_paused = true)]
    async fn expired_credentials_are_forgotten_once() {
        let cache = CredentialsCache::new(Arc::new(Numbered::default()));
        let first = cache.get(at_minute(0)).await.unwrap();
        cache.forget(&first);
        let second = cache.get(at_minute(0)).await.unwrap();
        cache.forget(&first);
        assert_eq!(cache.get(at_minute(0)).await.unwrap(), second);
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_at_the_end_of_time_is_no_panic() {
        let cache = CredentialsCache::new(Arc::new(Numbered::default()));
        let mut end_of_time = SystemTime::UNIX_EPOCH;
        for bit in (0..63).rev() {
            end_of_time = end_of_time
                .checked_add(Duration::from_secs(1 << bit))
                .unwrap_or(end_of_time);
        }
        assert!(cache.get(end_of_time).await.is_ok());
    }

    /// Gives out credentials once, valid for an hour; then hangs.
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
    async fn a_provider_that_hangs_holds_up_one_request_while_the_old_ones_are_valid() {
        let cache = CredentialsCache::new(Arc::new(Hanging::default()));
        assert_eq!(key_at(&cache, 0).await.unwrap(), "0");
        let begin = tokio::time::Instant::now();
        let all = futures_util::future::join_all((0..10).map(|_| key_at(&cache, 56))).await;
        assert!(all.iter().all(|key| key.as_ref().unwrap() == "0"));
        assert_eq!(begin.elapsed(), PROVIDER_TIMEOUT);
        // Without valid ones, all wait for one call, and have its error.
        let begin = tokio::time::Instant::now();
        let all = futures_util::future::join_all((0..10).map(|_| key_at(&cache, 61))).await;
        assert!(
            all.iter()
                .all(|key| key.as_ref().unwrap_err().kind() == crate::ErrorKind::Credentials)
        );
        assert_eq!(begin.elapsed(), PROVIDER_TIMEOUT);
    }
}
