//! The turns of all contenders over one link in one direction.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context as _;
use bench::child;
use bench::shaped_store::{Control, MAX_PIECE, Pattern};
use bench::transfer::MIB;

use crate::contenders::Turn;
use crate::options::{Contender, Direction, LinkName, Options};
use crate::peers;
use crate::report::{Results, Sample};

/// The largest payload of a contender that keeps it in memory.
const MAX_IN_MEMORY: u64 = 256 * MIB as u64;

/// The time after which a turn has failed.
const MAX_TURN: Duration = Duration::from_secs(900);

/// The grid's points that take turns in every round, after a scan has found them.
const FINALISTS: usize = 2;

/// The seed of the link's faults in turns that find the best point or warm up. The round is that of all others.
pub const UNMEASURED: u64 = 6;

pub struct Rounds<'a> {
    options: &'a Options,
    link: LinkName,
    /// The turn, for any contender.
    turn: Turn,
    control: Control,
    python: Option<&'a Path>,
}

impl<'a> Rounds<'a> {
    pub fn new(options: &'a Options, link: LinkName, turn: Turn, control: Control, python: Option<&'a Path>) -> Self {
        Self {
            options,
            link,
            turn,
            control,
            python,
        }
    }

    /// Runs all rounds and prints the table.
    pub async fn run(&mut self) -> anyhow::Result<Vec<Results>> {
        let Options { transfers, .. } = *self.options;
        let (direction, size) = (self.turn.direction, self.options.size_mib());
        println!("{} {direction}, {transfers} × {size} MiB", self.link);
        let mut contenders = self.options.contenders(self.link, direction);
        contenders.extend(self.finalists().await?);
        let mut results: Vec<_> = self.warmed_up(contenders).await?;
        for round in 1..=self.options.rounds() {
            for position in 0..results.len() {
                // The order rotates, so that no contender is always first.
                let contender = (round as usize + position) % results.len();
                let sample = self.turn(results[contender].contender, round).await?;
                results[contender].samples.push(sample);
            }
        }
        results.iter().for_each(Results::print_row);
        Ok(results)
    }

    /// Tries each point of the grid once, and returns the fastest ones that fit into the memory.
    async fn finalists(&mut self) -> anyhow::Result<Vec<Contender>> {
        let mut points = Vec::new();
        for point in self.options.points(self.link, self.turn.direction) {
            let sample = self.turn(point, UNMEASURED).await?;
            let fits = self.options.fits_memory(point);
            println!(
                "  {point:<14} {:>7.0} MB/s, {:>5.0} MiB peak{}",
                sample.speed(),
                sample.measured.peak_mib,
                if fits { "" } else { " (uses more than the memory)" }
            );
            if fits {
                points.push((sample.speed(), point));
            }
        }
        points.sort_by(|one, other| other.0.total_cmp(&one.0));
        Ok(points.into_iter().take(FINALISTS).map(|(_, point)| point).collect())
    }

    /// Runs a turn of each contender whose result is dropped, and returns those that can run.
    async fn warmed_up(&mut self, contenders: Vec<Contender>) -> anyhow::Result<Vec<Results>> {
        let mut results = Vec::new();
        for contender in contenders {
            match self.turn(contender, UNMEASURED).await {
                Err(why) if contender.is_optional() => println!("  {contender} is left out: {why:#}"),
                Err(why) => return Err(why),
                Ok(_) => results.push(Results {
                    contender,
                    samples: Vec::new(),
                }),
            }
        }
        Ok(results)
    }

    /// Runs one turn in a process of its own.
    pub async fn turn(&mut self, contender: Contender, round: u64) -> anyhow::Result<Sample> {
        let mut turn = Turn {
            contender,
            ..self.turn.clone()
        };
        if contender.keeps_payload() {
            turn.size = turn.size.min(MAX_IN_MEMORY);
        }
        self.control.reset(round).await?;
        let process = child::run(peers::command(&turn, self.python)?);
        let measured = tokio::time::timeout(MAX_TURN, process).await;
        let measured = measured.with_context(|| format!("{contender} took more than {MAX_TURN:?}"))?;
        let files: Vec<_> = (0..turn.transfers).map(|number| turn.target(number)).collect();
        let checked = match turn.direction {
            Direction::Down if contender.uses_file() && measured.is_ok() => check(files.clone(), turn.size).await,
            _ => Ok(()),
        };
        for file in files {
            let _ = std::fs::remove_file(file);
        }
        checked.with_context(|| format!("{contender} wrote a wrong file"))?;
        Ok(Sample {
            measured: measured?,
            counts: self.control.counts().await?,
            bytes: turn.size * turn.transfers as u64,
        })
    }
}

/// Compares downloaded files with the pattern.
async fn check(files: Vec<PathBuf>, size: u64) -> anyhow::Result<()> {
    let compared = tokio::task::spawn_blocking(move || {
        use std::io::Read as _;

        let pattern = Pattern::new();
        for file in files {
            let mut file = std::fs::File::open(file)?;
            anyhow::ensure!(file.metadata()?.len() == size, "the file has another length");
            let mut buffer = vec![0; MAX_PIECE];
            for piece in pattern.pieces(0, size, MAX_PIECE as u64) {
                let read = &mut buffer[..piece.len()];
                file.read_exact(read)?;
                anyhow::ensure!(*piece == *read, "the file has other bytes");
            }
        }
        Ok(())
    });
    compared.await?
}
