use std::sync::atomic::AtomicUsize;

use bytes::Bytes;

use super::*;
use crate::error::{Error, ErrorKind};

fn recorded() -> (OnProgress, Arc<Mutex<Vec<Progress>>>) {
    let reports = Arc::<Mutex<Vec<Progress>>>::default();
    let recorder = Arc::clone(&reports);
    let on_progress = OnProgress::new(move |progress| recorder.lock().unwrap().push(*progress));
    (on_progress, reports)
}

#[tokio::test(start_paused = true)]
async fn reports_are_at_least_100_ms_apart_and_the_last_is_complete() {
    let (on_progress, reports) = recorded();
    let meter = on_progress.meter(Some(1_000_500), 500);
    for _ in 0..1000 {
        tokio::time::sleep(Duration::from_millis(1)).await;
        meter.add(1000);
    }
    meter.finish();
    let reports = reports.lock().unwrap();
    assert_eq!(reports.len(), 11);
    let (end, during) = reports.split_last().unwrap();
    assert!(during.is_sorted_by(|left, right| right.elapsed - left.elapsed >= INTERVAL && left.done < right.done));
    assert_eq!((end.done, end.total), (1_000_500, Some(1_000_500)));
    assert_eq!(end.elapsed, Duration::from_secs(1));
    assert!((end.bytes_per_second - 1_000_000.0).abs() < 1.0, "{end:?}");
}

#[tokio::test]
async fn threads_that_count_together_report_in_order() {
    let (on_progress, reports) = recorded();
    let meter = on_progress.meter(None, 0);
    let counters = (0..4).map(|_| {
        let meter = meter.clone();
        std::thread::spawn(move || {
            for _ in 0..1000 {
                meter.0.as_ref().unwrap().due.store(0, Ordering::Relaxed);
                meter.add(1);
            }
        })
    });
    let counters: Vec<_> = counters.collect();
    for counter in counters {
        counter.join().unwrap();
    }
    meter.finish();
    let reports = reports.lock().unwrap();
    assert!(reports.is_sorted_by_key(|progress| progress.done));
    assert_eq!(reports.last().unwrap().done, 4000);
}

#[tokio::test]
async fn a_function_that_panics_is_not_called_again() {
    let calls = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&calls);
    let on_progress = OnProgress::new(move |_| {
        counter.fetch_add(1, Ordering::Relaxed);
        panic!("as told");
    });
    let meter = on_progress.meter(None, 0);
    meter.add(1);
    meter.finish();
    meter.finish();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn only_chunks_that_end_well_are_reported_as_complete() {
    for fails in [false, true] {
        let (on_progress, reports) = recorded();
        let end = fails.then(|| Err(Error::plain(ErrorKind::Corrupt, "not what was sent")));
        let chunks = stream::iter([Ok(Bytes::from_static(b"hello"))].into_iter().chain(end));
        let counted = on_progress.meter(Some(5), 0).count(chunks.boxed());
        let read: Result<Vec<_>, _> = counted.try_collect().await;
        assert_eq!(read.is_err(), fails);
        assert_eq!(reports.lock().unwrap().len(), if fails { 1 } else { 2 });
    }
}
