//! Checks of the source layout: no import cycles, no imports of higher layers, no crowded folders.
//!
//! The test reads `use` declarations and paths as text. It resolves them to files, as a
//! reader does who follows the imports.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The largest number of source files in one folder.
const MAX_FILES: usize = 16;

fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// The `src` folder of every package.
fn source_folders() -> Vec<PathBuf> {
    let mut folders = vec![repository().join("src")];
    for group in ["crates", "functions"] {
        let packages = fs::read_dir(repository().join(group)).unwrap();
        folders.extend(packages.map(|package| package.unwrap().path().join("src")));
    }
    folders
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    source_files(folder, &["rs"])
}

/// The files under a folder that have one of these extensions.
fn source_files(folder: &Path, extensions: &[&str]) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files.extend(source_files(&path, extensions));
        } else if path.extension().is_some_and(|found| extensions.iter().any(|wanted| found == *wanted)) {
            files.push(path);
        }
    }
    files.sort();
    files
}

/// The files of a crate by module path: `table::schema`. The roots, `lib.rs` and `main.rs`, are
/// left out, because they only declare modules and re-export their items.
struct Modules {
    files: BTreeMap<Vec<String>, PathBuf>,
}

impl Modules {
    fn of(source: &Path) -> Self {
        let files = rust_files(source).into_iter().filter_map(|file| {
            let relative = file.strip_prefix(source).unwrap().with_extension("");
            let mut path: Vec<String> =
                relative.iter().map(|part| part.to_str().unwrap().to_owned()).collect();
            path.pop_if(|last| last == "mod");
            let is_root = path == ["lib"] || path == ["main"];
            let is_test =
                path.last().is_some_and(|last| last == "tests") || path.contains(&"tests".to_owned());
            (!is_root && !is_test).then_some((path, file))
        });
        Self { files: files.collect() }
    }

    /// The modules that each module imports.
    fn imports(&self) -> BTreeMap<&[String], BTreeSet<&[String]>> {
        let each = self.files.iter().map(|(module, file)| {
            let paths = imported_paths(&fs::read_to_string(file).unwrap());
            let is_folder = file.ends_with("mod.rs");
            let imported = paths.iter().filter_map(|path| self.resolve(module, is_folder, path));
            (module.as_slice(), imported.filter(|imported| *imported != module.as_slice()).collect())
        });
        each.collect()
    }

    /// The deepest module on a path, as seen from `module`.
    fn resolve(&self, module: &[String], is_folder: bool, path: &[String]) -> Option<&[String]> {
        let mut absolute = match path[0].as_str() {
            // The binary imports the library by its name; both have their modules in one folder.
            "crate" | "fruitvec" => Vec::new(),
            "self" => module.to_vec(),
            "super" => module[..module.len() - 1].to_vec(),
            name => {
                // A path that starts with a child module.
                let child = [module, &[name.to_owned()]].concat();
                if !is_folder || !self.files.contains_key(&child) {
                    return None;
                }
                child
            }
        };
        for part in &path[1..] {
            if part == "super" {
                absolute.pop();
            } else {
                absolute.push(part.clone());
            }
        }
        (1..=absolute.len()).rev().find_map(|length| {
            self.files.get_key_value(&absolute[..length]).map(|(module, _)| module.as_slice())
        })
    }
}

/// Returns every path in a file that may name a module, with groups expanded. Unit tests at the end
/// of the file are left out, because they may import anything.
fn imported_paths(source: &str) -> Vec<Vec<String>> {
    let tests = ["#[cfg(test)]\nmod tests", "#[cfg(test)]\npub(super) mod tests"];
    let code = tests.iter().fold(source, |code, tests| code.split(tests).next().unwrap());
    let lines = code.lines().filter(|line| !line.trim_start().starts_with("//"));
    // A visibility names a module that may use the item, not one that the file imports.
    let code = lines.collect::<Vec<_>>().join("\n").replace("pub(in crate::", "pub(in ");
    let mut paths = Vec::new();
    for declaration in code.split("use ").skip(1) {
        expand(declaration.split(';').next().unwrap(), &mut paths);
    }
    for root in ["crate::", "super::", "self::"] {
        for (start, _) in code.match_indices(root) {
            // The second half of `super::super::` belongs to the path that starts with the first.
            if code[..start].ends_with("super::") {
                continue;
            }
            let rest = &code[start..];
            let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_' && c != ':').unwrap_or(rest.len());
            // A group of a `use` declaration, which is expanded above.
            if !rest[..end].ends_with("::") {
                expand(&rest[..end], &mut paths);
            }
        }
    }
    paths
}

/// Expands `a::{b, c::{d, e}}` to `a::b`, `a::c::d` and `a::c::e`.
fn expand(tree: &str, paths: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let Some((prefix, rest)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or_default();
        let path: Vec<String> = name.split("::").map(|part| part.trim().to_owned()).collect();
        if path.iter().all(|part| !part.contains(char::is_whitespace)) {
            paths.push(path);
        }
        return;
    };
    let Some((inner, _)) = rest.rsplit_once('}') else { return };
    let (mut depth, mut start) = (0, 0);
    for (position, character) in inner.char_indices().chain([(inner.len(), ',')]) {
        match character {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                let item = inner[start..position].trim();
                if !item.is_empty() {
                    expand(&format!("{prefix}{item}"), paths);
                }
                start = position + 1;
            }
            _ => {}
        }
    }
}

/// Returns a cycle in a graph of imports, or `None` if it has none.
fn cycle(imports: &BTreeMap<&[String], BTreeSet<&[String]>>) -> Option<Vec<String>> {
    fn visit<'a>(
        module: &'a [String],
        imports: &BTreeMap<&'a [String], BTreeSet<&'a [String]>>,
        trail: &mut Vec<&'a [String]>,
        done: &mut BTreeSet<&'a [String]>,
    ) -> Option<Vec<String>> {
        if let Some(start) = trail.iter().position(|visited| *visited == module) {
            return Some(trail[start..].iter().map(|module| module.join("::")).collect());
        }
        if done.contains(module) {
            return None;
        }
        trail.push(module);
        let found = imports.get(module)?.iter().find_map(|next| visit(next, imports, trail, done));
        trail.pop();
        done.insert(module);
        found
    }
    let mut done = BTreeSet::new();
    imports.keys().find_map(|module| visit(module, imports, &mut Vec::new(), &mut done))
}

/// Returns the layers in the docs of a `lib.rs`, lowest first. They are the first words in the
/// lines of the last text block.
fn documented_layers(library: &Path) -> Vec<String> {
    let source = fs::read_to_string(library).unwrap();
    let docs: Vec<&str> = source.lines().map_while(|line| line.strip_prefix("//!")).collect();
    let docs = docs.join("\n");
    let block = docs.rsplit("```text").next().unwrap().split("```").next().unwrap();
    let words = block.lines().filter_map(|line| line.split_whitespace().next());
    words.map(str::to_owned).collect()
}

#[test]
fn no_import_cycle_in_any_crate() {
    for source in source_folders() {
        let modules = Modules::of(&source);
        assert_eq!(cycle(&modules.imports()), None, "an import cycle in {}", source.display());
    }
}

#[test]
fn no_layer_imports_one_above_it() {
    for source in [repository().join("src"), repository().join("crates/core/src")] {
        let layers = documented_layers(&source.join("lib.rs"));
        let rank = |module: &[String]| layers.iter().position(|layer| *layer == module[0]);
        let modules = Modules::of(&source);
        for (module, imported) in modules.imports() {
            let layer = rank(module);
            assert!(layer.is_some(), "{} documents no layer {}", source.display(), module[0]);
            for other in imported {
                assert!(rank(other) <= layer, "{} imports {}", module.join("::"), other.join("::"));
            }
        }
    }
}

#[test]
fn every_documented_layer_exists() {
    for (source, others) in [("src", &["fruitvec-core", "fruitvec-image"][..]), ("crates/core/src", &[])] {
        let source = repository().join(source);
        for layer in documented_layers(&source.join("lib.rs")) {
            let exists = source.join(&layer).is_dir() || source.join(format!("{layer}.rs")).is_file();
            assert!(exists || others.contains(&layer.as_str()), "{}: {layer}", source.display());
        }
    }
}

#[test]
fn no_folder_has_more_than_sixteen_source_files() {
    let mut counts: BTreeMap<PathBuf, usize> = BTreeMap::new();
    for folder in ["benches", "crates", "functions", "infra", "src", "tests"] {
        for file in source_files(&repository().join(folder), &["rs", "py", "sh"]) {
            *counts.entry(file.parent().unwrap().to_owned()).or_default() += 1;
        }
    }
    counts.retain(|_, files| *files > MAX_FILES);
    assert_eq!(counts, BTreeMap::new());
}

#[test]
fn groups_of_imports_are_expanded() {
    let paths =
        imported_paths("use crate::{a::B, c::{self, D as E}};\n// use crate::not;\nuse super::f::*;\n");
    let paths: BTreeSet<String> = paths.iter().map(|path| path.join("::")).collect();
    for expected in ["crate::a::B", "crate::c::self", "crate::c::D", "super::f::*"] {
        assert!(paths.contains(expected), "{expected}: {paths:?}");
    }
    assert!(!paths.contains("crate::not"), "{paths:?}");
}

#[test]
fn a_cycle_is_found_and_named() {
    let [a, b, c] = ["a", "b", "c"].map(|name| vec![name.to_owned()]);
    let mut imports: BTreeMap<&[String], BTreeSet<&[String]>> =
        [(&a[..], [&b[..]].into()), (&b[..], [&c[..]].into()), (&c[..], BTreeSet::new())].into();
    assert_eq!(cycle(&imports), None);
    imports.insert(&c, [&b[..]].into());
    assert_eq!(cycle(&imports), Some(vec!["b".to_owned(), "c".to_owned()]));
}
