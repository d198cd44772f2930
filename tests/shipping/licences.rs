//! `LICENSE-THIRD-PARTY`: the licences of all code in the binary.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::generated::assert_is_up_to_date;
use crate::supply::list;
use crate::tools::{dependencies, packages};

const HEAD: &str = "\
The binary of sni-check contains these components of other projects.

The standard library of Rust: MIT OR Apache-2.0, https://www.rust-lang.org/policies/licenses
The C library: glibc (LGPL-2.1-or-later), or musl (MIT) in a build on Alpine. To link sni-check with
a different C library, build the sources with `cargo build --release`.
The crates:
";

/// The C libraries inside crates, each with a source file that begins with its licence.
const SOURCES: [(&str, &str); 2] = [
    ("PCRE2 (BSD-3-Clause)", "upstream/src/pcre2_match.c"),
    (
        "sljit (BSD-2-Clause)",
        "upstream/deps/sljit/sljit_src/sljitLir.c",
    ),
];

/// Returns the first comment in a source file that contains a copyright.
fn notice(file: &Path) -> String {
    let text = fs::read_to_string(file).expect("a source");
    let comments = text
        .split("*/")
        .map(|comment| comment.trim_start().trim_start_matches("/*"));
    let mut with_copyright = comments.filter(|comment| comment.contains("Copyright"));
    let comment = with_copyright.next().expect("a copyright");
    let lines = comment
        .lines()
        .map(|line| line.trim_start_matches(" *").trim_end());
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_third_party_licences_match_the_crates_in_the_binary() {
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for krate in linked() {
        for file in licences(&krate.folder) {
            let text = fs::read_to_string(&file).expect("a licence");
            texts.entry(text).or_default().insert(krate.label.clone());
        }
        for (label, file) in SOURCES {
            let file = krate.folder.join(file);
            if file.exists() {
                let label = format!("{label}, in {}", krate.label);
                texts.entry(notice(&file)).or_default().insert(label);
            }
        }
    }
    for (label, _) in SOURCES {
        let all = texts.values().flatten();
        assert!(
            all.into_iter().any(|known| known.starts_with(label)),
            "no {label}"
        );
    }
    let rule = "=".repeat(100);
    let mut file = HEAD.to_owned();
    for (text, crates) in texts {
        let crates: Vec<String> = crates.into_iter().collect();
        file += &format!(
            "\n{rule}\n{}\n\n{}\n",
            crates.join("\n"),
            text.trim_matches('\n')
        );
    }
    assert_is_up_to_date("LICENSE-THIRD-PARTY", &file);
}

/// A crate whose code is in the binary.
struct Crate {
    /// `NAME VERSION (LICENCE)`.
    label: String,
    folder: PathBuf,
}

/// Returns the crates in the binary on the targets of `deny.toml`, without those that run only
/// during the build.
fn linked() -> Vec<Crate> {
    let mut options = vec!["--edges=normal,no-proc-macro".to_owned()];
    options.extend(
        list("targets")
            .iter()
            .map(|target| format!("--target={target}")),
    );
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let linked = dependencies(&options);
    let packages = packages(&[]);
    let crates = packages.iter().filter_map(|package| {
        let word = |key: &str| package[key].as_str().expect("a word");
        let there = linked.contains(&format!("{} v{}", word("name"), word("version")));
        there.then(|| Crate {
            label: format!("{} {} ({})", word("name"), word("version"), word("license")),
            folder: Path::new(word("manifest_path"))
                .parent()
                .expect("a folder")
                .to_owned(),
        })
    });
    crates.collect()
}

/// Returns the file of the MIT licence if there is one, otherwise all licence files.
fn licences(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).expect("a folder");
    let mut files: Vec<PathBuf> = files
        .map(|file| file.expect("a file").path())
        .filter(|path| {
            let name = path.file_name().expect("a name").to_string_lossy();
            ["LICENSE", "COPYING", "NOTICE"]
                .iter()
                .any(|word| name.starts_with(word))
        })
        .collect();
    assert!(!files.is_empty(), "{} has no licence", folder.display());
    let mit = |path: &Path| path.display().to_string().contains("LICENSE-MIT");
    if files.iter().any(|path| mit(path)) {
        files.retain(|path| mit(path));
    }
    files.sort();
    files
}
