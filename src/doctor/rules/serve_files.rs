//! The files that requests to `sni-check serve` name, and the folders from which serve may read them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::haproxy::config::check::Check;
use crate::haproxy::config::serve::ServeCheck;
use crate::options::Options;
use crate::plan::names_private_key;
use crate::serve::request::OPTIONS;

use crate::doctor::shell::shell;
use crate::doctor::visit::{Visit, Watch};

/// The folder that docs/serve.md uses for CA files.
pub(super) const FOLDER: &str = "/etc/haproxy/ca";

/// The files that serve needs for the options of requests.
#[derive(Debug, Default)]
pub(super) struct Files {
    /// The folders for `--files`, each once.
    pub folders: Vec<String>,
    /// Files whose own folder also has private keys, which requests must not be able to use. They need a
    /// copy in `FOLDER`.
    pub copied: Vec<String>,
}

impl Files {
    /// Returns what serve needs for the files that these options name.
    pub(super) fn of<'a>(options: impl Iterator<Item = &'a Options>) -> Files {
        let mut needs = Files::default();
        // Many requests name files of the same folder.
        let mut known = BTreeMap::new();
        for (option, file) in options.flat_map(Options::files) {
            let Some(folder) = Path::new(file).parent().filter(|at| at.is_absolute()) else {
                continue;
            };
            let is_public = !["--crt", "--key"].contains(&option);
            let mut has_keys = || *known.entry(folder).or_insert_with(|| has_keys(folder));
            let is_copied = is_public && folder != Path::new(FOLDER) && has_keys();
            let folder = match is_copied {
                true => FOLDER.to_owned(),
                false => folder.display().to_string(),
            };
            if !needs.folders.contains(&folder) {
                needs.folders.push(folder);
            }
            if is_copied && !needs.copied.iter().any(|known| known == file) {
                needs.copied.push(file.to_owned());
            }
        }
        needs
    }

    /// Returns `--files FOLDER` for each folder.
    pub(super) fn to_options(&self) -> Vec<String> {
        let pair = |folder: &String| ["--files".to_owned(), folder.clone()];
        self.folders.iter().flat_map(pair).collect()
    }

    /// Returns the instruction to write the paths of the copies.
    pub(super) fn renaming(&self) -> String {
        let names = self.copied.iter().map(|file| {
            let name = Path::new(file).file_name().unwrap_or_default();
            Path::new(FOLDER).join(name).display().to_string()
        });
        format!(
            "write {} in {OPTIONS}",
            names.collect::<Vec<String>>().join(" and ")
        )
    }

    /// Returns this shell command, after the command that copies the files.
    pub(super) fn before(&self, command: &str) -> String {
        if self.copied.is_empty() {
            return command.to_owned();
        }
        let install = ["install", "-D", "-m", "644", "-t", FOLDER];
        let files = self.copied.iter().map(String::as_str);
        format!("{} && {command}", shell(install.into_iter().chain(files)))
    }
}

/// Returns true if a file in this folder contains a private key. Large files aren't read.
fn has_keys(folder: &Path) -> bool {
    const LARGEST: u64 = 1024 * 1024;
    let is_small = |path: &PathBuf| {
        fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= LARGEST)
    };
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files = files.map(|entry| entry.path()).filter(is_small);
    files.any(|file| fs::read(file).is_ok_and(|text| names_private_key(&text)))
}

/// Returns what serve needs for all backends that ask this socket.
pub(super) fn all_files(serve: &ServeCheck, visit: &Visit) -> Files {
    let asks = |watch: &&Watch| match &watch.check {
        Check::Serve(other) => other.socket() == serve.socket(),
        _ => false,
    };
    let watches = visit.watches.iter().filter(asks);
    Files::of(watches.filter_map(|watch| Some(&watch.own.as_ref()?.options)))
}
