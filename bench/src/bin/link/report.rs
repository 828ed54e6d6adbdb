//! The results: a table while the benchmark runs, and lines for scripts at the end.

use bench::measure::Spread;
use bench::shaped_store::Counts;

use crate::contenders::Measured;
use crate::options::{Contender, Direction, LinkName};

/// One turn's result, and what the store counted.
#[derive(Clone, Debug)]
pub struct Sample {
    pub measured: Measured,
    pub counts: Counts,
    /// The bytes of all transfers of the turn.
    pub bytes: u64,
}

impl Sample {
    /// Returns the speed in MB/s.
    pub fn speed(&self) -> f64 {
        self.bytes as f64 / self.measured.seconds / 1e6
    }

    fn cpu_ms_per_mib(&self) -> f64 {
        self.measured.cpu_ms / self.mib()
    }

    fn store_cpu_ms_per_mib(&self) -> f64 {
        self.counts.cpu_ms / self.mib()
    }

    fn mib(&self) -> f64 {
        self.bytes as f64 / (1024.0 * 1024.0)
    }
}

/// A contender's results, one for each round.
pub struct Results {
    pub contender: Contender,
    pub samples: Vec<Sample>,
}

impl Results {
    pub fn speed(&self) -> Spread {
        Spread::over(&self.samples, Sample::speed)
    }

    /// Prints a row of the table.
    pub fn print_row(&self) {
        let spread = |metric: fn(&Sample) -> f64| Spread::over(&self.samples, metric);
        let speed = self.speed();
        println!(
            "  {:<14} {:>7.0} MB/s ({:.0}–{:.0}), {:>5.0} MiB peak, {:>5.2} ms CPU/MiB \
             (store {:.2}), {:>4.0} requests{}",
            self.contender,
            speed.median,
            speed.min,
            speed.max,
            spread(|sample| sample.measured.peak_mib).max,
            spread(Sample::cpu_ms_per_mib).median,
            spread(Sample::store_cpu_ms_per_mib).median,
            spread(|sample| sample.counts.requests() as f64).median,
            self.faults()
        );
    }

    fn faults(&self) -> String {
        match self.samples.iter().map(|sample| sample.counts.slow_down).sum::<u64>() {
            0 => String::new(),
            refused => format!(", {refused} of all rounds refused with 503"),
        }
    }
}

/// The lines for scripts.
#[derive(Default)]
pub struct Lines(Vec<String>);

impl Lines {
    pub fn add(&mut self, name: &str, spread: &Spread, digits: usize) {
        let Spread { min, median, max } = spread;
        self.0
            .push(format!("{name}: {median:.digits$} ({min:.digits$}–{max:.digits$})"));
    }

    /// Adds the lines of one link and direction. The best of the grid is the point with the highest median.
    pub fn add_results(&mut self, link: LinkName, direction: Direction, results: &[Results], fits: &[Contender]) {
        let name = |metric: String| format!("{link}.{direction}.{metric}");
        let best = best_point(results, fits);
        let best = best.map(|results| ("best-grid".to_owned(), results));
        let others = results
            .iter()
            .filter(|results| !matches!(results.contender, Contender::Raw { .. }));
        let others = others.map(|results| (results.contender.to_string(), results));
        let named: Vec<_> = others.chain(best).collect();

        for (contender, results) in &named {
            let mut line = |metric: &str, of: fn(&Sample) -> f64, digits| {
                let spread = Spread::over(&results.samples, of);
                self.add(&name(format!("{contender}-{metric}")), &spread, digits);
            };
            line("MBs", Sample::speed, 0);
            line("peak-MiB", |sample| sample.measured.peak_mib, 0);
            line("cpu-ms-per-MiB", Sample::cpu_ms_per_mib, 3);
            line("requests", |sample| sample.counts.requests() as f64, 0);
            if let Contender::Raw { ranges, part_mib } = results.contender {
                let exactly = |value: f64| Spread {
                    min: value,
                    median: value,
                    max: value,
                };
                self.add(&name("best-grid-ranges".to_owned()), &exactly(ranges as f64), 0);
                self.add(&name("best-grid-part-MiB".to_owned()), &exactly(part_mib as f64), 0);
            }
        }
        for (contender, reference) in &named {
            // Files are compared with files, and streams with streams.
            let ours = match reference.contender {
                Contender::Ours | Contender::OursFile | Contender::OursReader => continue,
                other if other.uses_file() => Contender::OursFile,
                _ => Contender::Ours,
            };
            let Some(ours) = results.iter().find(|results| results.contender == ours) else {
                continue;
            };
            let pairs: Vec<_> = ours.samples.iter().zip(&reference.samples).collect();
            let ratio = Spread::over(&pairs, |(ours, reference)| ours.speed() / reference.speed());
            self.add(&name(format!("ours-over-{contender}")), &ratio, 2);
        }
    }

    pub fn print(&self) {
        println!();
        for line in &self.0 {
            println!("{line}");
        }
    }
}

fn best_point<'a>(results: &'a [Results], fits: &[Contender]) -> Option<&'a Results> {
    let points = results.iter().filter(|results| fits.contains(&results.contender));
    points.max_by(|one, other| one.speed().median.total_cmp(&other.speed().median))
}
