use std::error::Error as StdError;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use crate::clock::Clock;
use crate::credentials::{Credentials, ProvideCredentials};
use crate::error::{Error, explanation, with_causes};

/// The time before expiry at which the cache replaces credentials. It replaces short-lived ones after half their
/// lifetime.
const REFRESH_BEFORE_EXPIRY: Duration = Duration::from_secs(5 * 60);

/// The pause after a call of the provider that returned nothing new. It doubles with each such call.
const FIRST_PAUSE: Duration = Duration::from_secs(1);

const MAX_PAUSE: Duration = Duration::from_secs(30);

/// A cache of a provider's credentials. Clones share it.
///
/// The cache calls the provider in a task of its own, one call at a time. Callers wait for that call only if they have
/// no valid credentials. If a caller is dropped, the result is still cached. A call that fails, or returns nothing
/// fresher, is repeated after 1 second at the earliest. That pause doubles up to 30 seconds.
///
/// ```no_run
/// # async fn f() -> Result<(), sqs_client::Error> {
/// use sqs_client::credentials::{CredentialsCache, DefaultCredentials};
///
/// let cache = CredentialsCache::new(DefaultCredentials::new());
/// println!("{}", cache.get().await?.access_key_id());
/// # Ok(()) }
/// ```
#[derive(Clone, Debug)]
pub struct CredentialsCache {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    provider: Arc<dyn ProvideCredentials>,
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    current: Option<Current>,
    /// The running call of the provider.
    refresh: Option<Refresh>,
    calls: u64,
    /// The latest call that has ended.
    last_ended: u64,
    /// The number of consecutive calls that failed or returned nothing fresher.
    in_vain: u32,
    not_before: Option<Instant>,
    /// The failure of the last call.
    failure: Option<Error>,
}

#[derive(Debug)]
struct Current {
    credentials: Credentials,
    refresh_at: Option<SystemTime>,
    /// `true` if a server refused them, and the provider has not been called since.
    rejected: bool,
}

/// A running call of the provider, as its waiters see it.
#[derive(Clone, Debug)]
struct Refresh {
    number: u64,
    deadline: Instant,
    outcome: watch::Receiver<Option<Result<Credentials, Error>>>,
}

type Outcome = watch::Sender<Option<Result<Credentials, Error>>>;

/// The next step for a caller that needs credentials.
enum Step {
    Use(Credentials),
    Wait(Refresh),
    Fail(Error),
}

impl CredentialsCache {
    /// The time limit of a call of a credentials provider: 30 seconds. A longer call counts as failed.
    pub const FETCH_TIMEOUT: Duration = Duration::from_secs(30);

    /// Creates a cache for this provider. It does not call the provider yet.
    #[must_use]
    pub fn new(provider: impl ProvideCredentials) -> Self {
        Self::with_clock(Arc::new(provider), Clock::system())
    }

    pub(crate) fn with_clock(provider: Arc<dyn ProvideCredentials>, clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                provider,
                clock,
                state: Mutex::default(),
            }),
        }
    }

    /// Returns the credentials to sign with now.
    ///
    /// # Errors
    ///
    /// [`Credentials`](crate::ErrorKind::Credentials) with the provider's last failure, if no credentials are valid.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the cache still stores the provider's result for the next caller.
    pub async fn get(&self) -> Result<Credentials, Error> {
        // The second round is for a runtime that ends before its call of the provider does.
        for _ in 0..2 {
            let refresh = match self.step()? {
                Step::Use(credentials) => return Ok(credentials),
                Step::Fail(error) => return Err(error),
                Step::Wait(refresh) => refresh,
            };
            match refresh.outcome().await {
                Some(Ok(credentials)) => return Ok(credentials),
                // Old credentials that are still valid are better than none.
                Some(Err(error)) => return self.shared.valid().ok_or(error),
                None => {}
            }
        }
        Err(Error::credentials(
            "the runtime ended before the credentials provider responded",
        ))
    }

    /// Replaces credentials that a server refused. Returns `true` if the provider returned different ones.
    pub(crate) async fn replace(&self, refused: &Credentials) -> bool {
        self.shared.reject(refused);
        self.get().await.is_ok_and(|credentials| credentials != *refused)
    }

    fn step(&self) -> Result<Step, Error> {
        let (step, begun) = self.shared.lock().step(self.shared.clock.now(), Instant::now());
        if let Some((number, outcome)) = begun {
            let shared = self.shared.clone();
            let call = Call {
                shared,
                number,
                outcome,
            };
            let runtime = Handle::try_current().map_err(|error| {
                Error::credentials("credentials are fetched in a task, which needs a tokio runtime").with_source(error)
            })?;
            // The lock must be free here, because a runtime that is ending drops the task at once.
            runtime.spawn(call.run());
        }
        Ok(step)
    }
}

impl State {
    /// Returns the next step, and the number and outcome of the call of the provider that it requires.
    fn step(&mut self, now: SystemTime, at: Instant) -> (Step, Option<(u64, Outcome)>) {
        if let Some(current) = self.current.as_ref().filter(|current| current.is_fresh(now)) {
            return (Step::Use(current.credentials.clone()), None);
        }
        let mut begun = None;
        let mut refresh = self.refresh.clone().filter(|refresh| at < refresh.deadline);
        if refresh.is_none() && self.not_before.is_none_or(|begin| begin <= at) {
            let (new, outcome) = self.begin(at);
            begun = Some((new.number, outcome));
            refresh = Some(new);
        }
        let current = self.current.as_ref();
        let step = match (current, refresh, &self.failure) {
            (Some(current), _, _) if current.is_valid(now) && !current.rejected => {
                Step::Use(current.credentials.clone())
            }
            (_, Some(refresh), _) => Step::Wait(refresh),
            (Some(current), None, _) if current.is_valid(now) => Step::Use(current.credentials.clone()),
            (_, None, Some(failure)) => Step::Fail(failure.clone()),
            // The provider has just returned these again. Our clock may be wrong, so the server decides.
            (Some(current), None, None) => Step::Use(current.credentials.clone()),
            (None, None, None) => Step::Fail(Error::credentials("the credentials provider has returned nothing yet")),
        };
        (step, begun)
    }

    fn begin(&mut self, at: Instant) -> (Refresh, Outcome) {
        self.calls += 1;
        let (sender, outcome) = watch::channel(None);
        let refresh = Refresh {
            number: self.calls,
            deadline: at + CredentialsCache::FETCH_TIMEOUT,
            outcome,
        };
        self.refresh = Some(refresh.clone());
        (refresh, sender)
    }

    /// Notes the result of the call of this number.
    fn ended(&mut self, number: u64, provided: &Result<Credentials, Error>, now: SystemTime, at: Instant) {
        self.forget(number);
        // A provider that blocks its thread can end after a call that was made later.
        if number < self.last_ended {
            return;
        }
        self.last_ended = number;
        let is_news = match provided {
            Ok(credentials) => {
                let current = Current::new(credentials.clone(), now);
                let is_news = current.is_fresh(now) && self.current.as_ref().is_none_or(|old| current.is_fresher(old));
                self.failure = None;
                self.current = Some(current);
                is_news
            }
            Err(error) => {
                self.failure = Some(error.clone());
                false
            }
        };
        self.in_vain = if is_news { 0 } else { self.in_vain.saturating_add(1) };
        self.not_before = (!is_news).then(|| at + pause(self.in_vain));
    }

    /// Forgets this call, if it is the running one.
    fn forget(&mut self, number: u64) {
        if self.refresh.as_ref().is_some_and(|refresh| refresh.number == number) {
            self.refresh = None;
        }
    }
}

fn pause(in_vain: u32) -> Duration {
    let doubled = FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(in_vain.saturating_sub(1)));
    doubled.min(MAX_PAUSE)
}

impl Current {
    fn new(credentials: Credentials, now: SystemTime) -> Self {
        let refresh_at = credentials.expires_at().map(|expiry| {
            let left = expiry.duration_since(now).unwrap_or_default();
            expiry
                .checked_sub(REFRESH_BEFORE_EXPIRY.min(left / 2))
                .unwrap_or(expiry)
        });
        Self {
            credentials,
            refresh_at,
            rejected: false,
        }
    }

    fn is_fresh(&self, now: SystemTime) -> bool {
        !self.rejected && self.refresh_at.is_none_or(|refresh_at| now < refresh_at)
    }

    fn is_valid(&self, now: SystemTime) -> bool {
        self.credentials.expires_at().is_none_or(|expiry| now < expiry)
    }

    fn is_fresher(&self, old: &Self) -> bool {
        let is_later = match (self.credentials.expires_at(), old.credentials.expires_at()) {
            (Some(new), Some(old)) => new > old,
            _ => true,
        };
        self.credentials != old.credentials && (is_later || old.rejected)
    }
}

impl Refresh {
    /// Returns the result of the call, or `None` if its runtime ended first.
    async fn outcome(mut self) -> Option<Result<Credentials, Error>> {
        match timeout_at(self.deadline, self.outcome.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone(),
            Ok(Err(_ended)) => None,
            Err(_elapsed) => Some(Err(too_late())),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn valid(&self) -> Option<Credentials> {
        let now = self.clock.now();
        let state = self.lock();
        let valid = state.current.as_ref().filter(|current| current.is_valid(now));
        valid.map(|current| current.credentials.clone())
    }

    fn reject(&self, refused: &Credentials) {
        if let Some(current) = &mut self.lock().current
            && current.credentials == *refused
        {
            current.rejected = true;
        }
    }
}

/// A call of the provider. It notifies its waiters however its task ends.
struct Call {
    shared: Arc<Shared>,
    number: u64,
    outcome: Outcome,
}

impl Call {
    async fn run(self) {
        let provided = match timeout(
            CredentialsCache::FETCH_TIMEOUT,
            self.shared.provider.provide_credentials(),
        )
        .await
        {
            Ok(provided) => provided.map_err(failed),
            Err(_elapsed) => Err(too_late()),
        };
        if let (Err(error), Some(_valid)) = (&provided, self.shared.valid()) {
            tracing::warn!(%error, "the credentials could not be refreshed; using the old ones until they expire");
        }
        self.end(provided);
    }

    fn end(&self, provided: Result<Credentials, Error>) {
        let now = self.shared.clock.now();
        self.shared.lock().ended(self.number, &provided, now, Instant::now());
        self.outcome.send_replace(Some(provided));
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        if self.outcome.borrow().is_some() {
            return;
        }
        if std::thread::panicking() {
            self.end(Err(Error::credentials("the credentials provider panicked")));
        } else {
            // Its runtime ended. The next caller may be on another one.
            self.shared.lock().forget(self.number);
        }
    }
}

/// Names the cause, which a provider's contract keeps free of secrets.
fn failed(source: Box<dyn StdError + Send + Sync>) -> Error {
    let causes = with_causes(&*source);
    Error::credentials(explanation(format!("the credentials provider failed: {causes}"))).with_source(source)
}

fn too_late() -> Error {
    Error::credentials("the credentials provider did not respond within 30 seconds")
}

#[cfg(test)]
mod tests;
