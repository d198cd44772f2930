//! Finds the files that HAProxy reads on this host. doctor takes them from `-f`, from HAProxy's unit, or from
//! the command line of the running HAProxy. Otherwise, doctor reads the usual file.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

/// Where packages and images keep the configuration.
const USUAL: [&str; 2] = [
    "/etc/haproxy/haproxy.cfg",
    "/usr/local/etc/haproxy/haproxy.cfg",
];

/// Where systemd looks for units, the most important first.
const UNITS: [&str; 4] = [
    "/etc/systemd/system",
    "/run/systemd/system",
    "/usr/lib/systemd/system",
    "/lib/systemd/system",
];

/// The configuration that HAProxy reads.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Sources {
    /// Files and folders, in HAProxy's order.
    pub files: Vec<String>,
    /// HAProxy's environment, as `NAME=VALUE`, as far as it is known.
    pub environment: Vec<String>,
    /// The soft and the hard limit of open files with which HAProxy starts, if they are known.
    pub nofile: Option<(u64, u64)>,
    /// How doctor found the files, as the end of the sentence `Read FILES, as …`. Empty if `-f` names the
    /// files, or if doctor reads the usual file.
    pub found_by: String,
}

impl Sources {
    /// Returns the first of these that exists: the files of `-f`, the files of HAProxy's unit below `base`,
    /// the files of the running HAProxy, and the file at a usual path. The running HAProxy counts only if
    /// `base` is `/`.
    ///
    /// # Errors
    /// There is no configuration.
    pub(crate) fn find(given: &[String], base: &Path) -> Result<Sources> {
        let running = || {
            if base == Path::new("/") {
                of_process()
            } else {
                None
            }
        };
        let found = of_unit(base).or_else(running);
        if !given.is_empty() {
            // The limits apply only if HAProxy reads these files.
            let same = found.filter(|found| are_same(&found.files, given));
            return Ok(Sources {
                files: given.to_vec(),
                nofile: same.and_then(|found| found.nofile),
                ..Sources::default()
            });
        }
        if let Some(found) = found {
            return Ok(found);
        }
        let below = |file: &str| base.join(file.trim_start_matches('/'));
        match USUAL.into_iter().map(below).find(|file| file.exists()) {
            Some(file) => Ok(Sources {
                files: vec![file.display().to_string()],
                ..Sources::default()
            }),
            None => bail!(
                "no configuration was found: neither {} nor {} exists; use -f FILE",
                below(USUAL[0]).display(),
                below(USUAL[1]).display()
            ),
        }
    }
}

fn are_same(files: &[String], others: &[String]) -> bool {
    let resolved = |file: &String| fs::canonicalize(file).unwrap_or_else(|_| file.into());
    files.iter().map(resolved).eq(others.iter().map(resolved))
}

/// Returns the files that haproxy.service passes to HAProxy, and the unit's environment and limits. Returns
/// `None` if the unit names no file, or a file that doesn't exist.
fn of_unit(base: &Path) -> Option<Sources> {
    let below = |path: &str| base.join(path.trim_start_matches('/'));
    let units = UNITS.map(|folder| format!("{folder}/haproxy.service"));
    let unit = units.into_iter().find(|unit| below(unit).exists())?;
    let mut settings = Settings::default();
    settings.read(&fs::read_to_string(below(&unit)).ok()?, base);
    for folder in UNITS.iter().rev() {
        let mut drop_ins = files_in(&below(&format!("{folder}/haproxy.service.d")), "conf");
        drop_ins.sort();
        for file in drop_ins {
            settings.read(&fs::read_to_string(file).unwrap_or_default(), base);
        }
    }
    let files = settings.files().into_iter();
    let files: Vec<String> = files
        .map(|file| below(&file).display().to_string())
        .collect();
    if files.is_empty() || !files.iter().all(|file| Path::new(file).exists()) {
        return None;
    }
    let environment = settings.environment.into_iter();
    Some(Sources {
        files,
        nofile: settings.nofile,
        environment: environment
            .map(|(name, value)| format!("{name}={value}"))
            .collect(),
        found_by: format!("ExecStart of {unit} says"),
    })
}

fn files_in(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let paths = entries.map(|entry| entry.path());
    paths
        .filter(|path| path.extension().is_some_and(|end| end == extension))
        .collect()
}

/// The command, the environment and the limit of open files with which a unit starts HAProxy
/// (systemd.service(5), systemd.exec(5)).
#[derive(Debug, Default)]
struct Settings {
    start: String,
    environment: BTreeMap<String, String>,
    /// `LimitNOFILE`: the soft and the hard limit.
    nofile: Option<(u64, u64)>,
}

impl Settings {
    fn read(&mut self, text: &str, base: &Path) {
        for line in text.replace("\\\n", " ").lines().map(str::trim) {
            let Some((name, value)) = line.split_once('=') else {
                continue;
            };
            match name.trim() {
                // An empty value clears earlier values.
                "ExecStart" if value.trim().is_empty() => self.start.clear(),
                "ExecStart" => self.start = value.trim().to_owned(),
                "LimitNOFILE" => {
                    let (soft, hard) = value.split_once(':').unwrap_or((value, value));
                    self.nofile = limit(soft).zip(limit(hard));
                }
                "Environment" => {
                    let pairs = shlex::split(value).unwrap_or_default();
                    self.set(pairs.iter().map(String::as_str));
                }
                "EnvironmentFile" => {
                    let file = value.trim().trim_start_matches('-').trim_start_matches('/');
                    let text = fs::read_to_string(base.join(file)).unwrap_or_default();
                    let lines = text.lines().map(str::trim);
                    let lines = lines.filter(|line| !line.starts_with(['#', ';']));
                    let unquoted = lines.map(|line| match shlex::split(line) {
                        Some(words) if words.len() == 1 => words[0].clone(),
                        _ => line.to_owned(),
                    });
                    self.set(unquoted.collect::<Vec<_>>().iter().map(String::as_str));
                }
                _ => {}
            }
        }
    }

    fn set<'a>(&mut self, pairs: impl Iterator<Item = &'a str>) {
        let pairs = pairs.filter_map(|pair| pair.split_once('='));
        let pairs = pairs.map(|(name, value)| (name.to_owned(), value.to_owned()));
        self.environment.extend(pairs);
    }

    /// Returns the files in `ExecStart`, with the unit's variables replaced.
    fn files(&self) -> Vec<String> {
        let start = self
            .start
            .trim_start_matches(['-', '@', ':', '+', '!', '|']);
        let mut words = Vec::new();
        for word in shlex::split(start).unwrap_or_default() {
            match word.strip_prefix('$').filter(|name| !name.starts_with('{')) {
                // systemd splits the value of a word that consists only of `$NAME` into several words.
                Some(name) => {
                    let value = self.environment.get(name).map_or("", String::as_str);
                    words.extend(shlex::split(value).unwrap_or_default());
                }
                None => words.push(self.expanded(&word)),
            }
        }
        files_of(&words)
    }

    fn expanded(&self, word: &str) -> String {
        let mut text = word.to_owned();
        for (name, value) in &self.environment {
            text = text.replace(&format!("${{{name}}}"), value);
        }
        text
    }
}

/// Reads a limit from a unit or from /proc/PID/limits.
fn limit(text: &str) -> Option<u64> {
    match text.trim() {
        "infinity" | "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Returns the soft and the hard limit of open files of a process, from its folder in /proc.
fn nofile_of(folder: &Path) -> Option<(u64, u64)> {
    let text = fs::read_to_string(folder.join("limits")).ok()?;
    let mut lines = text.lines();
    let line = lines.find_map(|line| line.strip_prefix("Max open files"))?;
    let mut words = line.split_whitespace();
    limit(words.next()?).zip(limit(words.next()?))
}

/// Returns the files in HAProxy's command line: the argument after each `-f`, and all
/// arguments after `--`.
fn files_of(words: &[String]) -> Vec<String> {
    let mut files = Vec::new();
    let mut words = words.iter().skip(1);
    while let Some(word) = words.next() {
        match word.as_str() {
            "-f" => files.extend(words.next().cloned()),
            "--" => files.extend(words.by_ref().cloned()),
            _ => {}
        }
    }
    files
}

/// Returns the files of the running HAProxy. If a master has workers, only the master counts. Returns `None`
/// if no HAProxy or more than one HAProxy runs, or if a file doesn't exist.
fn of_process() -> Option<Sources> {
    let entries = fs::read_dir("/proc").ok()?.flatten();
    let folders = entries.map(|entry| entry.path());
    let is_haproxy = |folder: &Path| {
        fs::read_to_string(folder.join("comm")).is_ok_and(|name| name.trim() == "haproxy")
    };
    let mut found =
        folders.filter(|folder| is_haproxy(folder) && !has_haproxy_above(folder, is_haproxy));
    let folder = found.next()?;
    // If several HAProxy processes run, doctor can't know which of them to examine.
    if found.next().is_some() {
        return None;
    }
    let list = |name: &str| {
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
        let words = bytes
            .split(|byte| *byte == 0)
            .filter(|word| !word.is_empty());
        words
            .map(|word| String::from_utf8_lossy(word).into_owned())
            .collect::<Vec<_>>()
    };
    let working = fs::read_link(folder.join("cwd")).unwrap_or_else(|_| "/".into());
    let files = files_of(&list("cmdline")).into_iter();
    let files: Vec<String> = files
        .map(|file| working.join(file).display().to_string())
        .collect();
    if files.is_empty() || !files.iter().all(|file| Path::new(file).exists()) {
        return None;
    }
    let number = folder.file_name()?.to_string_lossy().into_owned();
    Some(Sources {
        files,
        environment: list("environ"),
        // HAProxy may have raised its soft limit since it started. It closes every descriptor below the
        // raised limit.
        nofile: nofile_of(&folder),
        found_by: format!("the command line of the running HAProxy (process {number}) says"),
    })
}

fn has_haproxy_above(folder: &Path, is_haproxy: impl Fn(&Path) -> bool) -> bool {
    let status = fs::read_to_string(folder.join("status")).unwrap_or_default();
    let parent = status.lines().find_map(|line| line.strip_prefix("PPid:"));
    parent.is_some_and(|number| is_haproxy(&Path::new("/proc").join(number.trim())))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::Settings;

    #[test]
    fn the_unit_names_the_files_that_haproxy_reads() {
        let mut settings = Settings::default();
        let unit = "[Service]\nEnvironment=\"CONFIG=/etc/haproxy/haproxy.cfg\" \"CFGDIR=/etc/haproxy/conf.d\"\n\
                    EnvironmentFile=-/nowhere\nEnvironment=OPTIONS=\"-L x\"\n\
                    ExecStart=/usr/sbin/haproxy -Ws -f $CONFIG -f ${CFGDIR} \\\n -p /run/x $OPTIONS\n";
        settings.read(unit, Path::new("/"));
        assert_eq!(
            settings.files(),
            ["/etc/haproxy/haproxy.cfg", "/etc/haproxy/conf.d"]
        );
        assert_eq!(settings.nofile, None);
        settings.read("LimitNOFILE=1024:524288\n", Path::new("/"));
        assert_eq!(settings.nofile, Some((1024, 524_288)));
        settings.read("LimitNOFILE=infinity\n", Path::new("/"));
        assert_eq!(settings.nofile, Some((u64::MAX, u64::MAX)));
        settings.read(
            "ExecStart=\nExecStart=-/usr/sbin/haproxy -- a.cfg b.cfg\n",
            Path::new("/"),
        );
        assert_eq!(settings.files(), ["a.cfg", "b.cfg"]);
    }
}
