//! The parts of the program: its arguments, its log, its server and what it prints.

pub(crate) mod announcement;
mod arguments;
pub(crate) mod logging;
pub(crate) mod serving;

pub(crate) use arguments::Arguments;
