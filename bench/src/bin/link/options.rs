//! The options, the links and the contenders.

use std::fmt;
use std::path::PathBuf;

use bench::shaped_store::Link;
use clap::{Parser, Subcommand, ValueEnum};
use serde::{Deserialize, Serialize};

#[derive(Parser)]
#[command(about = "Compares transfers over links of several speeds with raw object_store, boto3, s5cmd and others")]
pub struct Options {
    /// Measure 256 MiB over the links `near` and `30ms-90MBs`, in 3 rounds
    #[arg(long)]
    pub quick: bool,
    /// The links to measure. Default: all
    #[arg(long, value_delimiter = ',')]
    link: Vec<LinkName>,
    /// The size of each transfer in MiB
    #[arg(long)]
    size_mib: Option<u64>,
    /// The number of measured rounds, in each of which every contender has one turn
    #[arg(long)]
    pairs: Option<u64>,
    /// The contenders to measure. Default: all but the AWS extended clients
    #[arg(long, value_delimiter = ',')]
    only: Vec<Kind>,
    #[arg(long, default_value = "both")]
    direction: DirectionOption,
    /// The number of transfers side by side in one process and one store. Above 1, only `ours` takes turns
    #[arg(long, default_value_t = 1)]
    pub transfers: usize,
    /// The memory of raw object_store's ranges in MiB
    #[arg(long, default_value_t = 64)]
    pub memory_mib: u64,
    /// The points of raw object_store that are tried
    #[arg(long, default_value = "fast")]
    pub grid: Grid,
    /// Print only the peak memory of transfers of these sizes in MiB over the link `near`
    #[arg(long, value_delimiter = ',', value_name = "MIB")]
    pub sizes: Vec<u64>,
    /// The folder for the files of transfers. It should be in memory
    #[arg(long, default_value = "/dev/shm")]
    pub folder: PathBuf,
    #[command(subcommand)]
    pub role: Option<Role>,
}

/// The job of a child process.
#[derive(Subcommand)]
pub enum Role {
    #[command(hide = true)]
    Store(bench::shaped_store::Settings),
    #[command(hide = true)]
    Turn { turn: String },
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum LinkName {
    Near,
    #[value(name = "30ms-90MBs")]
    S3,
    #[value(name = "100ms-25MBs")]
    Far,
    #[value(name = "2ms-1GBs-total")]
    Saturated,
    #[value(name = "tls-30ms-90MBs")]
    Tls,
    #[value(name = "faulty-30ms-90MBs")]
    Faulty,
}

impl LinkName {
    pub fn link(self) -> Link {
        let s3 = Link {
            delay_ms: 30,
            per_connection: 90_000_000,
            ..Link::default()
        };
        match self {
            Self::Near => Link::default(),
            Self::S3 | Self::Tls => s3,
            Self::Far => Link {
                delay_ms: 100,
                per_connection: 25_000_000,
                ..Link::default()
            },
            Self::Saturated => Link {
                delay_ms: 2,
                total: 1_000_000_000,
                ..Link::default()
            },
            Self::Faulty => Link {
                slow_down: 0.02,
                slow_connections: 0.02,
                ..s3
            },
        }
    }

    pub fn has_tls(self) -> bool {
        self == Self::Tls
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value();
        f.write_str(value.as_ref().map_or("", |value| value.get_name()))
    }
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum DirectionOption {
    Down,
    Up,
    Both,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Direction {
    Down,
    Up,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Down => "down",
            Self::Up => "up",
        })
    }
}

/// The contenders as `--only` names them.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Kind {
    /// sqs-extended, to and from a stream and a file, and from a reader of unknown length
    Ours,
    /// raw object_store with the best ranges and part size
    Grid,
    /// raw object_store with a single request for the whole object, without and with a digest
    OneStream,
    Boto3,
    /// AWS's Common Runtime through boto3's transfer manager
    Crt,
    S5cmd,
    /// AWS's extended client for Python. Measured with up to 256 MiB, because it keeps the payload in memory
    AwsPython,
    /// AWS's extended client for Java. Measured with up to 256 MiB, because it keeps the payload in memory
    AwsJava,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub enum Grid {
    /// The points that use all or half of the memory
    Fast,
    /// 1 to 64 ranges of 2 to 64 MiB, even those that use more memory
    Full,
}

/// One contender.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum Contender {
    Ours,
    OursFile,
    /// Uploads from a reader of unknown length.
    OursReader,
    Raw {
        ranges: usize,
        part_mib: u64,
    },
    OneStream,
    /// One stream whose bytes are hashed, as sqs-extended hashes them.
    OneStreamHashed,
    Boto3,
    Crt,
    S5cmd,
    AwsPython,
    AwsJava,
}

impl Contender {
    /// Returns `true` for a program that may be impossible to install or to run.
    pub fn is_optional(self) -> bool {
        use Contender::*;

        matches!(self, Boto3 | Crt | S5cmd | AwsPython | AwsJava)
    }

    /// Returns `true` if the contender keeps the payload in memory.
    pub fn keeps_payload(self) -> bool {
        matches!(self, Self::AwsPython | Self::AwsJava)
    }

    /// Returns `true` if the contender downloads to a file, and uploads one.
    pub fn uses_file(self) -> bool {
        matches!(self, Self::OursFile | Self::Boto3 | Self::Crt | Self::S5cmd)
    }
}

impl fmt::Display for Contender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Raw { ranges, part_mib } => return f.pad(&format!("raw-{ranges}x{part_mib}MiB")),
            Self::Ours => "ours",
            Self::OursFile => "ours-file",
            Self::OursReader => "ours-reader",
            Self::OneStream => "one-stream",
            Self::OneStreamHashed => "one-stream-hashed",
            Self::Boto3 => "boto3",
            Self::Crt => "crt",
            Self::S5cmd => "s5cmd",
            Self::AwsPython => "aws-python",
            Self::AwsJava => "aws-java",
        };
        f.pad(name)
    }
}

impl Options {
    pub fn links(&self) -> Vec<LinkName> {
        match (self.link.is_empty(), self.quick) {
            (true, true) => vec![LinkName::Near, LinkName::S3],
            (true, false) => LinkName::value_variants().to_vec(),
            (false, _) => self.link.clone(),
        }
    }

    pub fn directions(&self) -> Vec<Direction> {
        match self.direction {
            DirectionOption::Down => vec![Direction::Down],
            DirectionOption::Up => vec![Direction::Up],
            DirectionOption::Both => vec![Direction::Down, Direction::Up],
        }
    }

    pub fn size_mib(&self) -> u64 {
        self.size_mib.unwrap_or(if self.quick { 256 } else { 1024 })
    }

    pub fn rounds(&self) -> u64 {
        self.pairs.unwrap_or(if self.quick { 3 } else { 5 })
    }

    /// Returns `true` if a kind of contender takes turns.
    pub fn includes(&self, kind: Kind) -> bool {
        if self.transfers > 1 {
            return kind == Kind::Ours;
        }
        if self.only.is_empty() {
            return !matches!(kind, Kind::AwsPython | Kind::AwsJava);
        }
        self.only.contains(&kind)
    }

    /// Returns `true` if a contender is a Python package.
    pub fn needs_python(&self) -> bool {
        [Kind::Boto3, Kind::Crt, Kind::S5cmd]
            .iter()
            .any(|kind| self.includes(*kind))
    }

    /// Returns the contenders besides the grid's.
    pub fn contenders(&self, link: LinkName, direction: Direction) -> Vec<Contender> {
        // One stream is the fastest only without a limit for each connection, and uploads have no such thing.
        let has_one_stream = direction == Direction::Down && link.link().per_connection == 0;
        let has_peers = !link.has_tls();
        let all = [
            (Kind::Ours, true, Contender::Ours),
            (Kind::Ours, true, Contender::OursFile),
            (Kind::Ours, direction == Direction::Up, Contender::OursReader),
            (Kind::OneStream, has_one_stream, Contender::OneStream),
            (Kind::OneStream, has_one_stream, Contender::OneStreamHashed),
            (Kind::Boto3, true, Contender::Boto3),
            (Kind::Crt, true, Contender::Crt),
            (Kind::S5cmd, true, Contender::S5cmd),
            (Kind::AwsPython, has_peers, Contender::AwsPython),
            (Kind::AwsJava, has_peers, Contender::AwsJava),
        ];
        let chosen = all.into_iter().filter(|(kind, fits, _)| *fits && self.includes(*kind));
        chosen.map(|(_, _, contender)| contender).collect()
    }

    /// Returns the points of the grid. The fast one has no slow points, which few ranges are if each connection is slow.
    pub fn points(&self, link: LinkName, direction: Direction) -> Vec<Contender> {
        if !self.includes(Kind::Grid) {
            return Vec::new();
        }
        let parts: &[u64] = match direction {
            Direction::Down => &[2, 4, 8, 16, 32, 64],
            // S3 accepts no smaller parts.
            Direction::Up => &[5, 8, 16, 32, 64],
        };
        let points = [1, 2, 4, 8, 16, 32, 64]
            .into_iter()
            .flat_map(|ranges| parts.iter().map(move |part_mib| (ranges, *part_mib)));
        let (grid, memory) = (self.grid, self.memory_mib);
        let fewest = if link.link().per_connection > 0 { 4 } else { 1 };
        let points = points.filter(|(ranges, part_mib)| {
            let used = *ranges as u64 * part_mib;
            grid == Grid::Full || (*ranges >= fewest && used <= memory && used * 3 > memory)
        });
        let points = points.map(|(ranges, part_mib)| Contender::Raw { ranges, part_mib });
        points.collect()
    }

    /// Returns `true` if a grid point uses no more than the memory.
    pub fn fits_memory(&self, point: Contender) -> bool {
        match point {
            Contender::Raw { ranges, part_mib } => ranges as u64 * part_mib <= self.memory_mib,
            _ => true,
        }
    }
}
