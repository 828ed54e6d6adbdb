use std::collections::BTreeMap;
use std::sync::Mutex;

use futures_util::FutureExt as _;
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use super::config::{LaneConfig, Settings};
use super::driver::Driver;
use super::gate::{Call, Gate, Reply};
use super::queue::Queue;
use super::send_batch::SendBatch;
use super::*;
use crate::client::batch_limit::BatchLimit;
use crate::error::ErrorKind;
use crate::limits;

const LINGER: Duration = Duration::from_millis(5);
const LATENCY: Duration = Duration::from_millis(40);

type Sends = Lane<SendMessageBatch>;

/// A server that responds to a batch after `LATENCY`, and records the time and the bodies of each. The body `slow`
/// delays the response for an hour, `fails` fails, and `panic` makes its batch's task panic.
#[derive(Default)]
struct Server(Mutex<Vec<(Instant, Vec<String>)>>);

impl Server {
    fn lane(settings: impl FnOnce(&mut Settings), ordered: bool) -> (Arc<Self>, Arc<Sends>) {
        let mut all = Settings {
            linger: LINGER,
            concurrency: BatcherBuilder::DEFAULT_CONCURRENCY,
            capacity: BatcherBuilder::DEFAULT_CAPACITY,
            request_time: None,
        };
        settings(&mut all);
        let server = Arc::<Self>::default();
        let taking = server.clone();
        let send: SendBatch<SendMessageBatch> = Arc::new(move |items| {
            let taking = taking.clone();
            Box::pin(async move { taking.take(items).await })
        });
        (server, Arc::new(Lane::new(config(all, ordered, send))))
    }

    async fn take(&self, items: Vec<OutgoingMessage>) -> Vec<Result<SendMessageOutput, Error>> {
        let bodies: Vec<String> = items.into_iter().map(|item| item.body).collect();
        self.0.lock().unwrap().push((Instant::now(), bodies.clone()));
        let holds = |what: &str| bodies.iter().any(|body| body == what);
        sleep(if holds("slow") {
            Duration::from_secs(3600)
        } else {
            LATENCY
        })
        .await;
        assert!(!holds("panic"), "injected by the test");
        let result = |body: String| match body.as_str() {
            "fails" => Err(Error::transport("injected by the test")),
            _ => Ok(sent(body)),
        };
        bodies.into_iter().map(result).collect()
    }

    fn batches(&self) -> Vec<Vec<String>> {
        self.0
            .lock()
            .unwrap()
            .iter()
            .map(|(_, bodies)| bodies.clone())
            .collect()
    }

    fn lengths(&self) -> Vec<usize> {
        self.batches().iter().map(Vec::len).collect()
    }
}

fn config(settings: Settings, ordered: bool, send: SendBatch<SendMessageBatch>) -> LaneConfig<SendMessageBatch> {
    LaneConfig {
        settings,
        ordered,
        limit: BatchLimit::new(limits::MAX_MESSAGE_BYTES),
        send,
    }
}

impl Sends {
    fn call(&self, message: OutgoingMessage) -> impl Future<Output = Result<SendMessageOutput, Error>> + use<> {
        self.begin().run(message)
    }
}

fn sent(message_id: String) -> SendMessageOutput {
    SendMessageOutput {
        message_id,
        md5_of_message_body: None,
        md5_of_message_attributes: None,
        md5_of_message_system_attributes: None,
        sequence_number: None,
    }
}

/// Makes the call in a task of its own. It is queued once this returns.
async fn call(lane: &Arc<Sends>, message: impl Into<OutgoingMessage>) -> JoinHandle<Result<SendMessageOutput, Error>> {
    let (lane, message) = (lane.clone(), message.into());
    let task = tokio::spawn(async move { lane.call(message).await });
    tokio::task::yield_now().await;
    task
}

async fn calls(lane: &Arc<Sends>, count: usize) -> Vec<JoinHandle<Result<SendMessageOutput, Error>>> {
    let mut calls = Vec::new();
    for i in 0..count {
        calls.push(call(lane, format!("{i}")).await);
    }
    calls
}

#[tokio::test(start_paused = true)]
async fn a_full_batch_goes_out_at_once_and_the_rest_after_lingering() {
    let (server, lane) = Server::lane(|_| (), false);
    let begin = Instant::now();
    for (i, call) in calls(&lane, 25).await.into_iter().enumerate() {
        assert_eq!(
            call.await.unwrap().unwrap().message_id,
            format!("{i}"),
            "its own result"
        );
    }
    let sent: Vec<_> = server
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|(at, batch)| (*at - begin, batch.len()))
        .collect();
    assert_eq!(sent[..2], [(Duration::ZERO, 10), (Duration::ZERO, 10)]);
    assert_eq!((sent[2].1, sent.len()), (5, 3));
    assert!((LINGER..LINGER * 2).contains(&sent[2].0), "{sent:?}");
}

#[tokio::test(start_paused = true)]
async fn without_lingering_a_batch_contains_the_queued_calls() {
    let (server, lane) = Server::lane(
        |settings| (settings.linger, settings.concurrency) = (Duration::ZERO, 1),
        false,
    );
    future::join_all((0..14).map(|i| lane.call(format!("{i}").into()))).await;
    // All were queued before the driver first ran.
    assert_eq!(server.lengths(), [10, 4]);
}

#[tokio::test(start_paused = true)]
async fn the_next_batch_fills_while_no_request_may_be_made() {
    let (server, lane) = Server::lane(|settings| settings.concurrency = 1, false);
    let first = call(&lane, "first").await;
    sleep(LINGER * 2).await;
    let more = calls(&lane, 3).await;
    sleep(LINGER * 2).await;
    assert_eq!(server.lengths(), [1], "the second batch is due, and still fills");
    let last = call(&lane, "last").await;
    lane.flush().await;
    assert_eq!(server.lengths(), [1, 4]);
    drop((first, more, last));
}

#[tokio::test(start_paused = true)]
async fn a_partial_batch_waits_for_another_within_a_bound() {
    for (first, sent_after) in [("quick", LATENCY + LINGER), ("slow", LINGER * 11)] {
        let (server, lane) = Server::lane(|_| (), false);
        let begin = Instant::now();
        let mut first = Box::pin(lane.call(first.into()));
        assert!(timeout(LINGER + Duration::from_millis(1), &mut first).await.is_err());
        let second = future::join_all(calls(&lane, 2).await);
        assert!(timeout(Duration::from_secs(1), second).await.is_ok());
        let sent = server.0.lock().unwrap()[1].0 - begin;
        assert!(sent.abs_diff(sent_after) <= Duration::from_millis(4), "{sent:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn sixty_four_callers_fill_nine_entries_of_ten() {
    for concurrency in [1, 4, 8, 16] {
        let (server, lane) = Server::lane(|settings| settings.concurrency = concurrency, false);
        let tasks = (0..64).map(|task| {
            let lane = lane.clone();
            tokio::spawn(async move {
                for i in 0..100 {
                    // No two tasks keep step.
                    sleep(Duration::from_millis((7 * task + 5 * i) % 13)).await;
                    lane.call("x".repeat(1024).into()).await.unwrap();
                }
            })
        });
        future::join_all(tasks).await;
        let lengths = server.lengths();
        assert_eq!(lengths.iter().sum::<usize>(), 6400);
        assert!(6400 >= 9 * lengths.len(), "{concurrency}: {} batches", lengths.len());
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_sent_only_if_it_was_queued() {
    let (server, lane) = Server::lane(|settings| settings.capacity = 1, false);
    drop(lane.call("never polled".into()));
    let mut queued = Box::pin(lane.call("queued".into()));
    assert!(queued.as_mut().now_or_never().is_none());
    let mut waiting = Box::pin(lane.call("waiting for capacity".into()));
    assert!(waiting.as_mut().now_or_never().is_none());
    drop((queued, waiting));
    lane.flush().await;
    assert_eq!(server.batches(), [["queued"]]);
}

#[tokio::test(start_paused = true)]
async fn queued_calls_and_bytes_are_bounded() {
    let (_server, lane) = Server::lane(
        |settings| (settings.capacity, settings.linger) = (4, Duration::MAX),
        false,
    );
    let large = "x".repeat(2 * BatcherBuilder::SLOT_BYTES);
    let mut first = Box::pin(lane.call(large.as_str().into()));
    let mut second = Box::pin(lane.call("small".into()));
    let mut third = Box::pin(lane.call("one too many".into()));
    assert!(first.as_mut().now_or_never().is_none() && second.as_mut().now_or_never().is_none());
    assert!(third.as_mut().now_or_never().is_none());
    tokio::join!(lane.flush(), async {
        assert!(first.await.is_ok() && second.await.is_ok() && third.await.is_ok());
    });
    // A call that is larger than the whole capacity uses all of it.
    let all = lane.call("x".repeat(5 * BatcherBuilder::SLOT_BYTES).into());
    assert!(tokio::join!(all, lane.flush()).0.is_ok());
}

#[tokio::test(start_paused = true)]
async fn an_invalid_message_fails_alone_and_at_once() {
    let (server, lane) = Server::lane(|_| (), false);
    let good = call(&lane, "good").await;
    let error = lane
        .call("x".repeat(limits::MAX_MESSAGE_BYTES + 1).into())
        .now_or_never()
        .unwrap()
        .unwrap_err();
    assert_eq!(
        (error.kind(), error.operation()),
        (ErrorKind::InvalidInput, Some("SendMessageBatch"))
    );
    assert!(good.await.unwrap().is_ok());
    assert_eq!(server.batches(), [["good"]]);
}

#[tokio::test(start_paused = true)]
async fn a_flush_sends_the_queued_calls_without_lingering() {
    let (server, lane) = Server::lane(|settings| settings.linger = Duration::MAX, false);
    lane.flush().await;
    let queued = calls(&lane, 13).await;
    lane.flush().await;
    assert_eq!(server.lengths(), [10, 3]);
    assert!(queued.iter().all(JoinHandle::is_finished));
    let mut later = Box::pin(lane.call("later".into()));
    assert!(later.as_mut().now_or_never().is_none());
    sleep(Duration::from_secs(60)).await;
    assert_eq!(server.lengths(), [10, 3], "it lingers again");
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_sends_the_calls_made_before_and_accepts_no_more() {
    let (server, lane) = Server::lane(
        |settings| (settings.capacity, settings.linger) = (3, Duration::MAX),
        false,
    );
    let mut made = calls(&lane, 3).await;
    made.push(call(&lane, "waiting for capacity").await);
    let not_polled = lane.call("not polled before".into());
    tokio::join!(lane.shutdown(), async {
        assert!(not_polled.await.is_ok());
        let error = lane.call("later".into()).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Closed && !error.may_have_been_sent());
    });
    for call in made {
        assert!(
            call.now_or_never().unwrap().unwrap().is_ok(),
            "the result comes before the shutdown ends"
        );
    }
    let sent = server.batches().concat();
    assert_eq!(sent, ["0", "1", "2", "waiting for capacity", "not polled before"]);
    lane.shutdown().await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_the_first_poll_within_a_bound() {
    let (server, lane) = Server::lane(|_| (), false);
    let never_polled = lane.call("never polled".into());
    let dropped = lane.call("dropped".into());
    let begin = Instant::now();
    tokio::join!(lane.shutdown(), async {
        sleep(Batcher::UNPOLLED_TIMEOUT / 2).await;
        drop(dropped);
    });
    assert!(begin.elapsed().abs_diff(Batcher::UNPOLLED_TIMEOUT) <= Duration::from_millis(2));
    let error = never_polled.await.unwrap_err();
    assert!(error.kind() == ErrorKind::Closed && !error.may_have_been_sent());
    let begin = Instant::now();
    lane.shutdown().await;
    assert!(begin.elapsed() <= Duration::from_millis(2) && server.batches().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_kept_unpolled_blocks_nothing() {
    let (server, lane) = Server::lane(|settings| settings.capacity = 1, false);
    let mut kept: Vec<_> = (0..3).map(|i| Box::pin(lane.call(format!("{i}").into()))).collect();
    for call in &mut kept {
        assert!(call.as_mut().now_or_never().is_none());
    }
    assert!(timeout(LATENCY * 10, lane.call("behind them".into())).await.is_ok());
    assert!(timeout(LATENCY * 10, lane.flush()).await.is_ok());
    assert_eq!(server.batches(), [["0"], ["1"], ["2"], ["behind them"]]);
    assert!(timeout(LATENCY * 10, lane.shutdown()).await.is_ok());
    for call in kept {
        assert!(call.await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn a_flush_does_not_wait_for_later_calls() {
    let (_server, lane) = Server::lane(|_| (), false);
    let early = call(&lane, "early").await;
    sleep(LINGER * 2).await;
    let mut flush = Box::pin(lane.flush());
    assert!(flush.as_mut().now_or_never().is_none());
    let later = call(&lane, "slow").await;
    assert!(timeout(LATENCY * 2, flush).await.is_ok());
    assert!(early.is_finished() && !later.is_finished());
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_its_group_for_the_calls_made_before() {
    // All of them are queued, or all but one wait for capacity.
    for capacity in [1000, 1] {
        let (server, lane) = Server::lane(
            |settings| (settings.capacity, settings.concurrency) = (capacity, 1),
            true,
        );
        let message = |body: &str, group: &str| OutgoingMessage::new(body).message_group_id(group);
        let mut calls = vec![call(&lane, message("fails", "g")).await];
        sleep(LINGER * 2).await;
        for (body, group) in [("1", "g"), ("2", "other"), ("3", "g")] {
            calls.push(call(&lane, message(body, group)).await);
        }
        let mut results = Vec::new();
        for call in calls {
            results.push(call.await.unwrap());
        }
        assert_eq!(results[0].as_ref().unwrap_err().kind(), ErrorKind::Transport);
        for held_back in [1, 3] {
            let error = results[held_back].as_ref().unwrap_err();
            assert!(
                error.kind() == ErrorKind::HeldBack && !error.may_have_been_sent(),
                "{error:?}"
            );
            let cause = std::error::Error::source(error).map(ToString::to_string);
            assert!(cause.is_some_and(|cause| cause.contains("injected by the test")));
        }
        assert!(results[2].is_ok());
        assert!(lane.call(message("4", "g")).await.is_ok(), "made after the failure");
        assert_eq!(server.batches(), [["fails"], ["2"], ["4"]]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_shutdown_has_begun() {
    let (server, lane) = Server::lane(|settings| settings.linger = Duration::MAX, false);
    let queued = call(&lane, "queued").await;
    assert!(lane.shutdown().now_or_never().is_none());
    assert!(lane.call("later".into()).await.is_err());
    assert!(queued.await.unwrap().is_ok());
    assert_eq!(server.batches(), [["queued"]]);
}

#[tokio::test(start_paused = true)]
async fn queued_calls_are_sent_after_all_clones_are_dropped() {
    let (server, lane) = Server::lane(|settings| settings.linger = Duration::MAX, false);
    assert!(lane.call("queued".into()).now_or_never().is_none());
    drop(lane);
    sleep(Duration::from_millis(1)).await;
    assert_eq!(server.batches(), [["queued"]]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_affects_one_batch_and_fails_its_group() {
    let (_server, lane) = Server::lane(|_| (), true);
    let message = |body: &str| OutgoingMessage::new(body).message_group_id("g");
    let doomed = call(&lane, message("panic")).await;
    sleep(LINGER * 2).await;
    let behind = call(&lane, message("behind")).await;
    let error = doomed.await.unwrap().unwrap_err();
    assert!(
        error.kind() == ErrorKind::Closed && error.may_have_been_sent(),
        "{error:?}"
    );
    assert_eq!(behind.await.unwrap().unwrap_err().kind(), ErrorKind::HeldBack);
    assert!(lane.call(message("later")).await.is_ok());
}

#[test]
fn callers_get_an_error_after_their_runtime_ends() {
    let (_server, lane) = Server::lane(
        |settings| (settings.linger, settings.capacity) = (Duration::MAX, 1),
        false,
    );
    let first = tokio::runtime::Runtime::new().unwrap();
    let mut queued = Box::pin(lane.call("queued".into()));
    let mut waiting: Vec<_> = (0..3).map(|_| Box::pin(lane.call("waiting".into()))).collect();
    first.block_on(async {
        assert!(queued.as_mut().now_or_never().is_none());
        assert!(waiting.iter_mut().all(|call| call.as_mut().now_or_never().is_none()));
    });
    drop(first);
    tokio::runtime::Runtime::new().unwrap().block_on(async {
        for call in waiting {
            let error = call.await.unwrap_err();
            assert!(error.kind() == ErrorKind::Closed && !error.may_have_been_sent());
        }
        let error = queued.await.unwrap_err();
        assert!(error.kind() == ErrorKind::Closed && error.may_have_been_sent());
        let error = lane.call("later".into()).await.unwrap_err();
        assert!(error.kind() == ErrorKind::Closed && !error.may_have_been_sent());
        lane.flush().await;
        lane.shutdown().await;
    });
}

#[test]
fn building_needs_no_runtime_but_a_call_does() {
    let client = Client::builder().endpoint_url("http://127.0.0.1:1").build().unwrap();
    let batcher = client.batcher("http://127.0.0.1:1/0/q").build();
    let error = batcher.send("x").now_or_never().unwrap().unwrap_err();
    assert!(error.kind() == ErrorKind::Configuration && !error.may_have_been_sent());
}

#[tokio::test(start_paused = true)]
async fn groups_are_sent_side_by_side_and_each_keeps_its_order() {
    let (server, lane) = Server::lane(|_| (), true);
    let begin = Instant::now();
    let mut all = Vec::new();
    for i in 0..30 {
        for group in ["a", "b"] {
            all.push(
                call(
                    &lane,
                    OutgoingMessage::new(format!("{group}{i:02}")).message_group_id(group),
                )
                .await,
            );
        }
    }
    future::join_all(all).await;
    let took = begin.elapsed();
    let sent = server.batches().concat();
    for group in ["a", "b"] {
        let of_group: Vec<_> = sent.iter().filter(|body| body.starts_with(group)).collect();
        assert!(of_group.len() == 30 && of_group.is_sorted(), "{sent:?}");
    }
    assert!(
        took < LATENCY * 5,
        "60 messages in one row need six rounds, which lasted {took:?}"
    );
}

#[derive(Clone, Debug)]
enum Step {
    Push { size: usize, group: u8 },
    Take,
    End(prop::sample::Index),
}

fn step() -> impl Strategy<Value = Step> {
    let size = prop_oneof![
        1..2000_usize,
        100_000..400_000_usize,
        limits::MAX_MESSAGE_BYTES / 2 - 1..limits::MAX_MESSAGE_BYTES / 2 + 2,
        limits::MAX_MESSAGE_BYTES - 2..=limits::MAX_MESSAGE_BYTES,
    ];
    prop_oneof![
        6 => (size, 0..4_u8).prop_map(|(size, group)| Step::Push { size, group }),
        1 => Just(Step::Take),
        1 => any::<prop::sample::Index>().prop_map(Step::End),
    ]
}

/// A queue, and a model that checks its batches.
struct Model {
    ordered: bool,
    queue: Queue<SendMessageBatch>,
    gate: Arc<Gate<SendMessageBatch>>,
    pushed: usize,
    /// The groups that batches in flight block.
    running: Vec<Vec<String>>,
    /// The numbers of the messages in batches so far, by group.
    taken: BTreeMap<String, Vec<usize>>,
}

impl Model {
    /// Pushes a call that claims this size. Its body is the message's number.
    fn push(&mut self, size: usize, group: u8) {
        let item = OutgoingMessage::new(self.pushed.to_string()).message_group_id(group.to_string());
        let (result, _) = oneshot::channel();
        let reply = Reply {
            result,
            permit: self.gate.free_permit(),
        };
        self.queue.push(Call {
            item,
            size,
            queued: Instant::now(),
            reply,
        });
        self.pushed += 1;
    }

    fn take(&mut self) {
        let full = self.queue.is_full();
        let (batch, blocked) = self.queue.take();
        let bytes: usize = batch.iter().map(|call| call.size).sum();
        assert!(batch.len() <= limits::MAX_BATCH_ENTRIES && bytes <= limits::MAX_MESSAGE_BYTES);
        assert!(!full || !batch.is_empty());
        for call in batch {
            let group = call.item.message_group_id.unwrap();
            assert!(!self.running.concat().contains(&group), "another batch blocks {group}");
            assert_eq!(blocked.contains(&group), self.ordered);
            self.taken
                .entry(group)
                .or_default()
                .push(call.item.body.parse().unwrap());
        }
        self.running.push(blocked);
    }

    fn end(&mut self, batch: usize) {
        self.queue.unblock(&self.running.remove(batch));
    }
}

proptest! {
    #[test]
    fn batches_keep_limits_groups_and_order(ordered: bool, steps in prop::collection::vec(step(), 0..200)) {
        let settings = Settings {
            linger: LINGER,
            concurrency: 1,
            capacity: 1,
            request_time: None,
        };
        let config = config(settings, ordered, Arc::new(|_| unreachable!("nothing is sent")));
        let mut model = Model {
            ordered,
            queue: Queue::new(ordered, config.limit.clone()),
            gate: Arc::new(Gate::new(config, Driver::start)),
            pushed: 0,
            running: Vec::new(),
            taken: BTreeMap::new(),
        };
        for step in steps {
            match step {
                Step::Push { size, group } => model.push(size, group),
                Step::Take => model.take(),
                Step::End(index) if !model.running.is_empty() => model.end(index.index(model.running.len())),
                Step::End(_) => (),
            }
        }
        loop {
            while !model.queue.is_empty() {
                model.take();
            }
            if model.running.is_empty() {
                break;
            }
            model.end(0);
        }
        prop_assert!(model.taken.values().all(|numbers| numbers.is_sorted()));
        prop_assert_eq!(model.taken.values().map(Vec::len).sum::<usize>(), model.pushed);
    }
}
