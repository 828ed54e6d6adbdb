//! The imports of a crate's files, read with `syn`.
//!
//! A re-export is followed to the file that it names, so that `crate::types::Message` counts as an import of the file that
//! declares `Message`. What only tests compile does not count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use syn::visit::{self, Visit};
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree, VisRestricted, Visibility};

/// The longest chain of re-exports that is followed.
const MAX_REEXPORTS: usize = 8;

type ModulePath = Vec<String>;

/// One file that uses a name of another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Import {
    pub from: String,
    pub to: String,
    pub name: String,
}

struct Module {
    file: String,
    /// The names that `use` imports into the module, with their paths.
    names: BTreeMap<String, ModulePath>,
    used: BTreeSet<ModulePath>,
}

/// A crate's modules that have a file, without those of its tests.
pub struct Crate(BTreeMap<ModulePath, Module>);

impl Crate {
    /// Reads all that is under `src`.
    pub fn read(src: &Path) -> Result<Self> {
        let mut files = Vec::new();
        collect(src, src, &mut files)?;
        Self::parse(files.iter().map(|(path, text)| (path.as_str(), text.as_str())))
    }

    /// Parses files, given by their path below `src` and their text.
    pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Self> {
        let mut modules = BTreeMap::new();
        let mut tests = BTreeSet::new();
        for (file, text) in files {
            let path = module_path(file);
            let parsed = syn::parse_file(text).with_context(|| file.to_owned())?;
            let mut reader = Reader::new(path.clone());
            reader.visit_file(&parsed);
            tests.extend(reader.tests);
            let (names, mut used) = (reader.names, reader.used);
            used.extend(
                reader
                    .reexports
                    .into_iter()
                    .filter_map(|(name, to)| reader.words.contains(&name).then_some(to)),
            );
            modules.insert(
                path,
                Module {
                    file: file.to_owned(),
                    names,
                    used,
                },
            );
        }
        modules.retain(|path: &ModulePath, _| !tests.iter().any(|test: &ModulePath| path.starts_with(test)));
        Ok(Self(modules))
    }

    /// Lists the files.
    pub fn files(&self) -> Vec<String> {
        self.0.values().map(|module| module.file.clone()).collect()
    }

    /// Lists the imports between different files, apart from those of the crate's root.
    pub fn imports(&self) -> Vec<Import> {
        let mut imports = BTreeSet::new();
        for (path, module) in self.0.iter().filter(|(path, _)| !path.is_empty()) {
            for used in &module.used {
                let to = self.declaring_file(path, used, MAX_REEXPORTS);
                if let Some(to) = to.filter(|to| *to != module.file) {
                    let name = used.last().cloned().unwrap_or_default();
                    imports.insert(Import {
                        from: module.file.clone(),
                        to: to.to_owned(),
                        name,
                    });
                }
            }
        }
        imports.into_iter().collect()
    }

    /// Finds the file that declares what a path names. Returns `None` for a path of another crate.
    fn declaring_file(&self, at: &ModulePath, used: &ModulePath, reexports: usize) -> Option<&str> {
        let absolute = self.absolute(at, used)?;
        let mut length = absolute.len();
        while !self.0.contains_key(absolute.get(..length)?) {
            length = length.checked_sub(1)?;
        }
        let (path, rest) = absolute.split_at_checked(length)?;
        let module = self.0.get(path)?;
        let reexported = rest.first().and_then(|name| module.names.get(name));
        if let (Some(target), Some(reexports)) = (reexported, reexports.checked_sub(1)) {
            let followed = target.iter().chain(rest.get(1..)?).cloned().collect();
            return self.declaring_file(&path.to_vec(), &followed, reexports);
        }
        // The root declares nothing but modules.
        (!path.is_empty()).then_some(&*module.file)
    }

    /// Resolves a path as written in a module to one from the root. Returns `None` for a path of another crate.
    fn absolute(&self, at: &ModulePath, written: &ModulePath) -> Option<ModulePath> {
        let mut base = at.clone();
        let mut names = written.iter().peekable();
        let relative = names.peek().is_some_and(|first| !is_prefix(first));
        while let Some(prefix) = names.next_if(|name| is_prefix(name)) {
            match prefix.as_str() {
                "crate" => base.clear(),
                "super" => drop(base.pop()?),
                _ => {}
            }
        }
        let absolute: ModulePath = base.into_iter().chain(names.cloned()).collect();
        let is_child = absolute
            .get(..=at.len())
            .is_some_and(|child| self.0.contains_key(child));
        (!relative || is_child).then_some(absolute)
    }
}

fn is_prefix(name: &str) -> bool {
    matches!(name, "crate" | "self" | "super")
}

/// Collects what one file uses.
struct Reader {
    /// The file's module, and the inline modules around the item that is being read.
    at: ModulePath,
    depth: usize,
    names: BTreeMap<String, ModulePath>,
    used: BTreeSet<ModulePath>,
    reexports: Vec<(String, ModulePath)>,
    words: BTreeSet<String>,
    tests: Vec<ModulePath>,
}

impl Reader {
    fn new(at: ModulePath) -> Self {
        Self {
            at,
            depth: 0,
            names: BTreeMap::new(),
            used: BTreeSet::new(),
            reexports: Vec::new(),
            words: BTreeSet::new(),
            tests: Vec::new(),
        }
    }

    /// A path in an inline module, as the file's own module would write it.
    fn as_of_the_file(&self, mut path: ModulePath) -> ModulePath {
        let mut depth = self.depth;
        while depth > 0 && path.first().is_some_and(|first| first == "super") {
            path.remove(0);
            depth -= 1;
        }
        match self.depth > depth && path.first().is_none_or(|first| first != "super") {
            true => [vec!["self".to_owned()], path].concat(),
            false => path,
        }
    }

    fn leaves(&mut self, tree: &UseTree, prefix: &ModulePath, reexported: bool) {
        let with = |name: &syn::Ident| prefix.iter().cloned().chain([name.to_string()]).collect::<ModulePath>();
        let (path, name) = match tree {
            UseTree::Path(path) => return self.leaves(&path.tree, &with(&path.ident), reexported),
            UseTree::Group(group) => {
                return group
                    .items
                    .iter()
                    .for_each(|tree| self.leaves(tree, prefix, reexported));
            }
            UseTree::Glob(_) => (prefix.clone(), String::new()),
            UseTree::Name(name) if name.ident == "self" => (prefix.clone(), prefix.last().cloned().unwrap_or_default()),
            UseTree::Name(name) => (with(&name.ident), name.ident.to_string()),
            UseTree::Rename(rename) => (with(&rename.ident), rename.rename.to_string()),
        };
        let path = self.as_of_the_file(path);
        if self.depth == 0 && !name.is_empty() {
            self.names.insert(name.clone(), path.clone());
        }
        match reexported {
            true => self.reexports.push((name, path)),
            false => drop(self.used.insert(path)),
        }
    }
}

impl<'ast> Visit<'ast> for Reader {
    fn visit_item(&mut self, item: &'ast Item) {
        if !is_for_tests(attributes(item)) {
            return visit::visit_item(self, item);
        }
        if let Item::Mod(module) = item {
            self.tests
                .push(self.at.iter().cloned().chain([module.ident.to_string()]).collect());
        }
    }

    fn visit_item_mod(&mut self, module: &'ast ItemMod) {
        self.depth += 1;
        visit::visit_item_mod(self, module);
        self.depth -= 1;
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.leaves(
            &item.tree,
            &ModulePath::new(),
            !matches!(item.vis, Visibility::Inherited),
        );
    }

    fn visit_vis_restricted(&mut self, _: &'ast VisRestricted) {
        // `pub(super)` imports nothing.
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let segments: ModulePath = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.words.extend(segments.iter().cloned());
        if segments
            .first()
            .is_some_and(|first| first == "crate" || first == "super")
        {
            let path = self.as_of_the_file(segments);
            self.used.insert(path);
        }
        visit::visit_path(self, path);
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

/// Returns `true` for `#[cfg(test)]`, and for conditions that name `test` without a `not`.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let Ok(list) = attribute.meta.require_list() else {
            return false;
        };
        let condition = list.tokens.to_string();
        let mut words = condition.split(|c: char| !c.is_alphanumeric());
        list.path.is_ident("cfg") && !condition.contains("not") && words.any(|word| word == "test" || word == "fuzzing")
    })
}

fn module_path(file: &str) -> ModulePath {
    let path = file.trim_end_matches(".rs").trim_end_matches("/mod");
    path.split('/')
        .filter(|name| *name != "lib")
        .map(str::to_owned)
        .collect()
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<(String, String)>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            collect(root, &path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let below: Vec<_> = path
                .strip_prefix(root)?
                .iter()
                .map(|name| name.to_string_lossy())
                .collect();
            files.push((below.join("/"), fs::read_to_string(&path)?));
        }
    }
    Ok(())
}
