//! The floors of a crate, as DESIGN.md shows them.

use anyhow::{Context as _, Result};

/// Rooms, each on a floor. A file may import from its own room and from the floors below it.
pub struct Floors(Vec<Vec<String>>);

/// A room and its floor.
pub struct Room<'a> {
    pub name: &'a str,
    /// The number of floors above it.
    pub floor: usize,
}

impl Floors {
    /// Reads the block of text that follows the line `<!-- floors: package -->`. Each line is a floor, the top one first, and
    /// each word is a room. The text after ` - ` in a line explains it.
    pub fn in_markdown(markdown: &str, package: &str) -> Option<Self> {
        let marker = format!("<!-- floors: {package} -->");
        let block = markdown.split(&marker).nth(1)?.split("```").nth(1)?;
        let rooms = |line: &str| -> Vec<String> {
            let rooms = line.split(" - ").next().unwrap_or_default();
            rooms.split_whitespace().map(str::to_owned).collect()
        };
        Some(Self(
            block
                .lines()
                .skip(1)
                .map(rooms)
                .filter(|rooms| !rooms.is_empty())
                .collect(),
        ))
    }

    fn rooms(&self) -> impl Iterator<Item = Room<'_>> {
        let numbered = self.0.iter().enumerate();
        numbered.flat_map(|(floor, rooms)| rooms.iter().map(move |name| Room { name, floor }))
    }

    /// Finds the room of a file: the longest that begins its path.
    pub fn room_of(&self, file: &str) -> Result<Room<'_>> {
        let rooms = self.rooms().filter(|room| holds(room.name, file));
        rooms
            .max_by_key(|room| room.name.len())
            .with_context(|| format!("{file} is on no floor that DESIGN.md shows"))
    }

    /// Lists rooms in which there is no file.
    pub fn without_a_file(&self, files: &[String]) -> Vec<String> {
        let empty = |room: &Room<'_>| !files.iter().any(|file| holds(room.name, file));
        self.rooms().filter(empty).map(|room| room.name.to_owned()).collect()
    }
}

/// Returns `true` if the file is the room, or is in it.
fn holds(room: &str, file: &str) -> bool {
    let rest = file.strip_prefix(room);
    rest.is_some_and(|rest| room.ends_with(".rs") && rest.is_empty() || rest == ".rs" || rest.starts_with('/'))
}
