//! The structure of the source: modules don't depend on each other in a cycle, and all sentences about
//! causes are in the catalogue or in doctor.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// A module's path: `["probe", "tls"]` for src/probe/tls.rs, empty for src/lib.rs.
type Module = Vec<String>;

/// Returns the code of each module, without unit tests and comments.
fn sources() -> BTreeMap<Module, String> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = BTreeMap::new();
    collect(&source, &source, &mut files);
    files
}

/// Returns the modules that each module uses.
fn uses() -> BTreeMap<Module, BTreeSet<Module>> {
    let files = sources();
    let modules: BTreeSet<Module> = files.keys().cloned().collect();
    let mut graph = BTreeMap::new();
    for (module, text) in &files {
        let mut used = BTreeSet::new();
        for path in paths(text, module) {
            // The file with the longest matching path declares the rest of the path, or re-exports
            // it.
            let file = (0..=path.len()).rev().map(|end| path[..end].to_vec());
            let file = file.into_iter().find(|path| modules.contains(path));
            used.extend(file.filter(|file| file != module && !file.is_empty()));
        }
        graph.insert(module.clone(), used);
    }
    graph
}

fn collect(root: &Path, folder: &Path, files: &mut BTreeMap<Module, String>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path: PathBuf = entry.expect("a file").path();
        if path.is_dir() {
            collect(root, &path, files);
            continue;
        }
        let name = path
            .strip_prefix(root)
            .expect("below src")
            .with_extension("");
        let module: Module = match name.to_str().expect("UTF-8") {
            "lib" | "main" => continue,
            name => name.split('/').map(str::to_owned).collect(),
        };
        let text = fs::read_to_string(&path).expect("a source file");
        // Unit tests may use any module.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let code = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        files.insert(module, code.collect::<Vec<_>>().join("\n"));
    }
}

/// Returns every path in the text that begins with `crate`, `self`, `super` or a module that the
/// text declares. The paths start at the crate's root.
fn paths(text: &str, module: &Module) -> Vec<Module> {
    let mut found = Vec::new();
    let declared = text.lines().filter_map(|line| {
        let line = line
            .trim_start_matches("pub ")
            .trim_start_matches("pub(crate) ");
        line.strip_prefix("mod ")?.strip_suffix(';')
    });
    for child in declared {
        let uses = text.match_indices(&format!("{child}::")).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "_:".contains(c))
        });
        if uses {
            found.push([module.as_slice(), &[child.to_owned()]].concat());
        }
    }
    for (start, parent) in [("crate::", None), ("self::", Some(0)), ("super::", Some(1))] {
        for (at, _) in text.match_indices(start) {
            let before = text[..at].chars().next_back();
            if before.is_some_and(|c| c.is_alphanumeric() || "_:".contains(c)) {
                continue;
            }
            let mut base = match parent {
                None => Vec::new(),
                Some(up) => module[..module.len() - up].to_vec(),
            };
            let mut rest = &text[at + start.len()..];
            while let Some(after) = rest.strip_prefix("super::") {
                base.pop();
                rest = after;
            }
            found.extend(branches(&base, rest));
        }
    }
    found
}

/// Returns the paths of a use tree, such as `a::b` or `{a, b::{c, d}}`.
fn branches(base: &Module, text: &str) -> Vec<Module> {
    let text = text.trim_start();
    if let Some(inside) = text.strip_prefix('{') {
        let mut depth = 0;
        let mut parts = vec![String::new()];
        for c in inside.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => {
                    parts.push(String::new());
                    continue;
                }
                _ => {}
            }
            parts.last_mut().expect("a part").push(c);
        }
        // A list may end with a comma.
        parts.retain(|part| !part.trim().is_empty());
        return parts.iter().flat_map(|part| branches(base, part)).collect();
    }
    let end = text.find(|c: char| !c.is_alphanumeric() && c != '_');
    let (name, rest) = text.split_at(end.unwrap_or(text.len()));
    let mut path = base.clone();
    if !name.is_empty() && name != "self" {
        path.push(name.to_owned());
    }
    match rest.strip_prefix("::") {
        Some(rest) => branches(&path, rest),
        None => vec![path],
    }
}

/// Describes the modules that are in a cycle of dependencies, or between two cycles. Each line has a
/// module and the modules that it uses. The text is empty if there is no cycle.
fn cycles(mut graph: BTreeMap<Module, BTreeSet<Module>>) -> String {
    // Remove every module that uses no remaining module, or that no remaining module uses, until
    // nothing changes.
    loop {
        let used: BTreeSet<Module> = graph.values().flatten().cloned().collect();
        let ends: BTreeSet<Module> = graph
            .iter()
            .filter(|(module, uses)| {
                !used.contains(*module) || !uses.iter().any(|used| graph.contains_key(used))
            })
            .map(|(module, _)| module.clone())
            .collect();
        if ends.is_empty() {
            break;
        }
        graph.retain(|module, _| !ends.contains(module));
    }
    let cycles = graph.iter().map(|(module, used)| {
        let used = used.iter().filter(|used| graph.contains_key(*used));
        let used: Vec<String> = used.map(|used| used.join("/")).collect();
        format!("{} uses {}", module.join("/"), used.join(", "))
    });
    cycles.collect::<Vec<_>>().join("\n")
}

#[test]
fn neither_modules_nor_their_folders_have_circular_uses() {
    let files = uses();
    assert!(files.len() > 50, "{} files", files.len());
    for depth in 1..=3 {
        let room = |module: &Module| module[..module.len().min(depth)].to_vec();
        let mut graph = BTreeMap::<Module, BTreeSet<Module>>::new();
        for (module, used) in &files {
            let rooms = used.iter().map(room).filter(|used| *used != room(module));
            graph.entry(room(module)).or_default().extend(rooms);
        }
        let cycles = cycles(graph);
        assert!(cycles.is_empty(), "cycles at depth {depth}:\n{cycles}");
    }
}

#[test]
fn the_test_finds_used_modules() {
    let module = ["probe".to_owned(), "tls".to_owned()].to_vec();
    let text = "use super::{socket::{Stop, wait}, verify}; use crate::plan::Tls;";
    let found: BTreeSet<String> = paths(text, &module)
        .into_iter()
        .map(|path| path.join("::"))
        .collect();
    let expected = [
        "plan::Tls",
        "probe::socket::Stop",
        "probe::socket::wait",
        "probe::verify",
    ];
    assert_eq!(found, expected.map(str::to_owned).into());
}

/// Returns the string literals in a module's code, without the texts of --help.
fn literals(code: &str) -> Vec<String> {
    let mut parts = code.split("#[argh(");
    let before = parts.next().into_iter();
    let after = parts.filter_map(|part| Some(part.split_once(")]\n")?.1));
    let code: String = before.chain(after).collect();
    let code = code.replace("'\"'", "").replace("'\\\"'", "");
    let (mut found, mut open) = (Vec::new(), None::<String>);
    let mut characters = code.chars();
    while let Some(c) = characters.next() {
        match (c, &mut open) {
            ('"', None) => open = Some(String::new()),
            ('"', Some(_)) => found.extend(open.take()),
            ('\\', Some(text)) => match characters.next() {
                // A literal continues in the next line, without the spaces at the start of that
                // line.
                Some('\n') => text.push('\n'),
                Some(other) => text.push(other),
                None => {}
            },
            (' ', Some(text)) if text.ends_with(['\n', ' ']) => {}
            (c, Some(text)) => text.push(c),
            _ => {}
        }
    }
    found
}

/// Returns true if a text contains a sentence: a capital letter, at least seven words, and a full stop.
fn has_sentence(text: &str) -> bool {
    let text = text.replace('\n', " ");
    text.split_inclusive(". ").any(|part| {
        let part = part.trim();
        let is_ended = part.ends_with('.');
        is_ended && part.split(' ').count() >= 7 && part.starts_with(|c: char| c.is_uppercase())
    })
}

/// The other modules that print whole sentences, each with the subject of its sentences. No sentence in
/// these modules is about a cause.
const OTHER_SENTENCES: [(&str, &str); 8] = [
    ("diagnose", "its --help"),
    ("diagnose/lines", "what to add to the printed lines"),
    (
        "diagnose/servers/meaning",
        "the state of a server in HAProxy",
    ),
    (
        "diagnose/servers/print",
        "what HAProxy and sni-check report",
    ),
    (
        "diagnose/servers/verdict",
        "how HAProxy's check differs from sni-check's",
    ),
    (
        "explain",
        "its --help, and codes that HAProxy doesn't reset",
    ),
    ("explain/shown", "the words of HAProxy's statistics"),
    ("serve/metrics", "the meaning of each metric"),
];

#[test]
fn sentences_about_causes_are_in_the_catalogue_and_in_doctor() {
    let others = OTHER_SENTENCES.map(|(module, _)| module);
    let (mut misplaced, mut seen) = (Vec::new(), BTreeSet::new());
    for (module, code) in sources() {
        let name = module.join("/");
        let sentences = literals(&code)
            .into_iter()
            .filter(|text| has_sentence(text));
        let sentences: Vec<String> = sentences.collect();
        let place = name.split('/').next().unwrap_or_default();
        match place {
            "causes" | "doctor" => {}
            _ if others.contains(&name.as_str()) => {}
            _ => misplaced.extend(sentences.iter().map(|text| format!("{name}: {text}"))),
        }
        if !sentences.is_empty() {
            seen.insert(name);
        }
    }
    assert!(misplaced.is_empty(), "{}", misplaced.join("\n"));
    for module in others
        .into_iter()
        .chain(["causes/certificate", "causes/tls"])
    {
        assert!(seen.contains(module), "{module} has no sentences");
    }
}
