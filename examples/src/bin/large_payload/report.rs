//! Progress bars and the final report.

use std::fmt;
use std::io::IsTerminal as _;
use std::time::Duration;

use bytesize::ByteSize;
use indicatif::{ProgressBar, ProgressStyle};
use sqs_extended::payload::Progress;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Direction {
    Send,
    Receive,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Send => "send",
            Self::Receive => "receive",
        })
    }
}

/// Returns a progress bar, which is drawn only on a terminal.
pub(crate) fn bar(direction: Direction, size: u64) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let template = "{prefix:8} {bar:30} {binary_bytes:>11} of {binary_total_bytes} {binary_bytes_per_sec:>13} {eta}";
    let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
    ProgressBar::new(size)
        .with_style(style)
        .with_prefix(direction.to_string())
}

/// Returns a function that moves the bar with a transfer.
pub(crate) fn moves(bar: &ProgressBar) -> impl Fn(&Progress) + Send + Sync + 'static {
    let bar = bar.clone();
    move |progress| bar.set_position(progress.done)
}

/// The transfer rates of both directions.
#[derive(Debug, Default)]
pub(crate) struct Report(Vec<(Direction, u64, Duration)>);

impl Report {
    pub(crate) fn add(&mut self, direction: Direction, bytes: u64, time: Duration) {
        self.0.push((direction, bytes, time));
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (direction, bytes, time) in &self.0 {
            let seconds = time.as_secs_f64();
            // The loss of precision above 2^53 bytes is invisible in the printed rate.
            #[allow(clippy::cast_precision_loss)]
            let rate = *bytes as f64 / seconds / f64::from(1 << 20);
            let size = ByteSize::b(*bytes);
            writeln!(f, "{direction:8} {size} in {seconds:.2} s, {rate:.0} MiB/s")?;
        }
        match peak_memory() {
            Some(peak) => write!(f, "peak resident memory {}", ByteSize::b(peak)),
            None => write!(f, "peak resident memory is unknown on this system"),
        }
    }
}

/// Returns the process's peak resident memory in bytes, which only Linux reports here.
fn peak_memory() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kibibytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kibibytes * 1024)
}
