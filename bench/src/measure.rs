//! CPU time and memory of a process, and statistics over several turns.

use std::time::Duration;

use anyhow::Context as _;
use rustix::time::{ClockId, clock_gettime};

/// Returns the user and system time that this process has used.
///
/// # Errors
///
/// Returns an error if the clock's value is out of range.
pub fn cpu_time() -> anyhow::Result<Duration> {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Ok(Duration::new(time.tv_sec.try_into()?, time.tv_nsec.try_into()?))
}

/// Returns the peak resident memory of a running process in MiB. `self` names this process.
///
/// # Errors
///
/// Returns an error if `/proc` does not have the value.
pub fn peak_memory_mib(process: &str) -> anyhow::Result<u64> {
    Ok(memory_kib(process, "VmHWM:")?.div_ceil(1024))
}

/// Returns the resident memory of this process in KiB.
///
/// # Errors
///
/// Returns an error if `/proc` does not have the value.
pub fn resident_memory_kib() -> anyhow::Result<u64> {
    memory_kib("self", "VmRSS:")
}

fn memory_kib(process: &str, field: &str) -> anyhow::Result<u64> {
    let path = format!("/proc/{process}/status");
    let status = std::fs::read_to_string(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kib = line.and_then(|line| line.split_whitespace().next());
    Ok(kib.with_context(|| format!("{path} has no {field}"))?.parse()?)
}

/// The median of several values, with their range.
pub struct Spread {
    pub min: f64,
    pub median: f64,
    pub max: f64,
}

impl Spread {
    /// Computes the spread of a metric over at least one result.
    ///
    /// # Panics
    ///
    /// Panics if there are no results.
    pub fn over<T>(results: &[T], metric: impl Fn(&T) -> f64) -> Self {
        let mut values: Vec<f64> = results.iter().map(metric).collect();
        values.sort_by(f64::total_cmp);
        Self {
            min: values[0],
            median: f64::midpoint(values[(values.len() - 1) / 2], values[values.len() / 2]),
            max: values[values.len() - 1],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:.3} ({:.3} to {:.3})", self.median, self.min, self.max)
    }
}
