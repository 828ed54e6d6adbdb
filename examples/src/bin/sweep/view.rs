//! The output of a sweep: a table of orphans on stdout, and the progress on stderr.

use std::io::IsTerminal as _;
use std::time::{Duration, SystemTime};

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use sqs_extended::sweep::{SweepCount, SweepEvent, SweepReport};

/// The interval at which the bar moves by itself.
const TICK: Duration = Duration::from_millis(100);

pub(crate) struct View {
    bar: ProgressBar,
    removes: bool,
}

impl View {
    pub(crate) fn new(removes: bool) -> Self {
        // A spinner, because the number of objects is unknown until the end.
        let bar = if std::io::stderr().is_terminal() {
            ProgressBar::new_spinner()
        } else {
            ProgressBar::hidden()
        };
        let style = ProgressStyle::with_template("{spinner} {human_pos} objects seen, {per_sec}, {elapsed}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        bar.enable_steady_tick(TICK);
        Self { bar, removes }
    }

    pub(crate) fn show(&self, event: &SweepEvent<'_>) {
        match event {
            SweepEvent::Seen(_) => self.bar.inc(1),
            SweepEvent::Old(object) => {
                let what = if self.removes { "remove" } else { "would remove" };
                let size = ByteSize::b(object.size).to_string();
                self.line(what, object.last_modified.into(), &size, object.location.as_ref());
            }
            SweepEvent::OldUpload(upload) => {
                let what = if self.removes { "abort" } else { "would abort" };
                self.line(what, upload.initiated, "upload", &upload.key);
            }
            SweepEvent::Failed(error) => {
                let error = error.to_string();
                let line = error.lines().next().unwrap_or_default();
                self.bar.suspend(|| eprintln!("failed: {line}"));
            }
            _ => {}
        }
    }

    fn line(&self, what: &str, since: SystemTime, size: &str, key: &str) {
        let since = humantime::format_rfc3339_seconds(since);
        self.bar.suspend(|| println!("{what:12}  {since}  {size:>10}  {key}"));
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Returns a summary of a sweep's report.
pub(crate) fn summary(report: &SweepReport) -> String {
    let count = |count: SweepCount| format!("{} objects of {}", count.objects, ByteSize::b(count.bytes));
    let mut lines = vec![
        format!("seen     {}", count(report.seen)),
        format!("old      {}", count(report.old)),
        format!("removed  {}", count(report.removed)),
    ];
    if report.failed > 0 {
        lines.push(format!("failed   {} objects", report.failed));
    }
    let uploads = report.uploads;
    if uploads.seen > 0 {
        lines.push(format!(
            "uploads  {} unfinished, {} old, {} aborted, {} failed",
            uploads.seen, uploads.old, uploads.removed, uploads.failed
        ));
    }
    lines.join("\n")
}
