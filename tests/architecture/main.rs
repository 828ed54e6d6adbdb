//! Keeps the layout of both crates: the floors that DESIGN.md shows, no circle of files, and a short top floor.

mod floors;
mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};

use crate::floors::Floors;
use crate::imports::{Crate, Import};

/// The maximum number of entries in the top folder of a crate, so that a reader can survey it.
const MAX_TOP_FLOOR_ENTRIES: usize = 20;

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources(package: &str) -> PathBuf {
    workspace().join(package).join("src")
}

fn floors_of(package: &str) -> Result<Floors> {
    let design = fs::read_to_string(workspace().join("DESIGN.md"))?;
    Floors::in_markdown(&design, package).with_context(|| format!("DESIGN.md shows no floors of {package}"))
}

/// Files that import from a floor above their own, or from another room on it.
fn upward(imports: &[Import], floors: &Floors) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for import in imports {
        let (from, to) = (floors.room_of(&import.from)?, floors.room_of(&import.to)?);
        if from.name != to.name && from.floor >= to.floor {
            found.push(format!(
                "{} imports {} from {}, but {} is not below {}",
                import.from, import.name, import.to, to.name, from.name
            ));
        }
    }
    Ok(found)
}

/// Groups of files in which each imports, directly or not, every other.
fn circles(imports: &[Import]) -> Vec<BTreeSet<&str>> {
    let mut targets: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in imports {
        targets.entry(&import.from).or_default().insert(&import.to);
    }
    let reach = |start: &'_ str| {
        let mut seen = BTreeSet::new();
        let mut open: Vec<&str> = targets.get(start).into_iter().flatten().copied().collect();
        while let Some(file) = open.pop() {
            if seen.insert(file) {
                open.extend(targets.get(file).into_iter().flatten());
            }
        }
        seen
    };
    let reached: BTreeMap<&str, BTreeSet<&str>> = targets.keys().map(|file| (*file, reach(file))).collect();
    let mutual = |a: &str, b: &str| reached.get(b).is_some_and(|seen| seen.contains(a));
    let circle = |file: &&str| -> BTreeSet<&str> {
        let seen = reached.get(*file).into_iter().flatten().copied();
        seen.filter(|other| mutual(file, other)).collect()
    };
    let found: BTreeSet<BTreeSet<&str>> = targets.keys().map(circle).filter(|circle| circle.len() > 1).collect();
    found.into_iter().collect()
}

fn described(circles: &[BTreeSet<&str>], imports: &[Import]) -> String {
    let mut text = String::new();
    for circle in circles {
        text.push_str("a circle of files:\n");
        for import in imports {
            if circle.contains(&*import.from) && circle.contains(&*import.to) {
                text.push_str(&format!(
                    "  {} imports {} from {}\n",
                    import.from, import.name, import.to
                ));
            }
        }
    }
    text
}

fn keeps_its_floors(package: &str) -> Result<()> {
    let imports = Crate::read(&sources(package))?.imports();
    ensure!(
        imports.len() > 100,
        "only {} imports were read from {package}",
        imports.len()
    );
    let found = upward(&imports, &floors_of(package)?)?;
    ensure!(found.is_empty(), "{}", found.join("\n"));
    Ok(())
}

fn has_no_circle_of_files(package: &str) -> Result<()> {
    let imports = Crate::read(&sources(package))?.imports();
    let found = circles(&imports);
    ensure!(found.is_empty(), "{}", described(&found, &imports));
    Ok(())
}

#[test]
fn sqs_client_keeps_its_floors() -> Result<()> {
    keeps_its_floors("sqs-client")
}

#[test]
fn sqs_extended_keeps_its_floors() -> Result<()> {
    keeps_its_floors("sqs-extended")
}

#[test]
fn sqs_local_keeps_its_floors() -> Result<()> {
    keeps_its_floors("sqs-local")
}

#[test]
fn sqs_client_has_no_circle_of_files() -> Result<()> {
    has_no_circle_of_files("sqs-client")
}

#[test]
fn sqs_extended_has_no_circle_of_files() -> Result<()> {
    has_no_circle_of_files("sqs-extended")
}

#[test]
fn sqs_local_has_no_circle_of_files() -> Result<()> {
    has_no_circle_of_files("sqs-local")
}

#[test]
fn every_floor_is_in_use() -> Result<()> {
    for package in ["sqs-client", "sqs-extended", "sqs-local"] {
        let files = Crate::read(&sources(package))?.files();
        let unused = floors_of(package)?.without_a_file(&files);
        ensure!(
            unused.is_empty(),
            "DESIGN.md shows rooms of {package} that do not exist: {unused:?}"
        );
    }
    Ok(())
}

#[test]
fn the_top_floor_of_sqs_extended_is_short() -> Result<()> {
    let entries = fs::read_dir(sources("sqs-extended"))?.count();
    ensure!(
        entries <= MAX_TOP_FLOOR_ENTRIES,
        "sqs-extended/src has {entries} entries; at most {MAX_TOP_FLOOR_ENTRIES} are allowed"
    );
    Ok(())
}

/// Two rooms, of which `upper` is above `lower`.
fn two_rooms(upper: &str, lower: &str) -> Result<(Vec<Import>, Floors)> {
    let files = [
        ("lib.rs", "mod lower; mod upper;"),
        ("upper/mod.rs", "pub(crate) mod deep; pub(crate) use deep::Deep;"),
        ("upper/deep.rs", upper),
        ("lower.rs", lower),
    ];
    let floors = Floors::in_markdown("<!-- floors: a -->\n```text\nupper\nlower\n```\n", "a").context("no floors")?;
    Ok((Crate::parse(files)?.imports(), floors))
}

#[test]
fn an_import_downward_is_allowed() -> Result<()> {
    let (imports, floors) = two_rooms(
        "use crate::lower::Low; pub(crate) struct Deep;",
        "pub(crate) struct Low;",
    )?;
    assert_eq!(upward(&imports, &floors)?, [""; 0]);
    assert!(circles(&imports).is_empty());
    Ok(())
}

#[test]
fn an_import_upward_is_found_in_every_form() -> Result<()> {
    let forms = [
        "use crate::upper::Deep;",
        "use crate::upper::{deep::Deep, Other};",
        "use super::upper::deep::Deep as D;",
        "fn f() -> crate::upper::Deep { todo!() }",
        "mod inner { use super::super::upper::deep::Deep; }",
        "fn f() { use crate::upper::Deep; }",
    ];
    for form in forms {
        let (imports, floors) = two_rooms("pub(crate) struct Deep;", form)?;
        let found = upward(&imports, &floors)?;
        assert!(
            found
                .iter()
                .any(|line| line.starts_with("lower.rs imports Deep from upper/deep.rs")),
            "{form}: {found:?}"
        );
    }
    Ok(())
}

#[test]
fn tests_may_import_upward() -> Result<()> {
    let (imports, floors) = two_rooms(
        "pub(crate) struct Deep;",
        "#[cfg(test)] mod tests { use crate::upper::Deep; } #[cfg(all(test, unix))] fn f() { crate::upper::Deep; }",
    )?;
    assert_eq!(upward(&imports, &floors)?, [""; 0]);
    Ok(())
}

#[test]
fn a_circle_of_files_is_found() -> Result<()> {
    let (imports, _) = two_rooms("use crate::lower::Low;", "use crate::upper::Deep;")?;
    let found = circles(&imports);
    assert_eq!(found, [BTreeSet::from(["lower.rs", "upper/deep.rs"])]);
    assert!(described(&found, &imports).contains("lower.rs imports Deep from upper/deep.rs"));
    Ok(())
}
