//! The environment in which a configuration is read: our own environment, the additions of `--env`,
//! and the changes by the configuration itself.

use std::collections::BTreeMap;
use std::env;
use std::fs;

use anyhow::{Context, Result};

/// Environment variables. Variables that aren't UTF-8 are left out.
#[derive(Clone, Debug, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Returns the environment of this process, with `NAME=VALUE` or `@FILE` from `--env` added.
    ///
    /// # Errors
    ///
    /// A value of `--env` has neither form, or a file can't be read.
    pub(crate) fn new(given: &[String]) -> Result<Variables> {
        let ours = env::vars_os().filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        let mut variables = Variables(ours.collect());
        for text in given {
            match text.strip_prefix('@') {
                Some(file) => variables.read(file)?,
                None => {
                    let (name, value) = text.split_once('=').with_context(|| {
                        format!("--env `{text}`: write NAME=VALUE, or @FILE with one NAME=VALUE per line")
                    })?;
                    variables.set(name, value);
                }
            }
        }
        Ok(variables)
    }

    /// Reads `NAME=VALUE` lines in the format of systemd's EnvironmentFile and Docker's --env-file,
    /// or `/proc/PID/environ`.
    fn read(&mut self, file: &str) -> Result<()> {
        let text = fs::read(file).with_context(|| format!("--env @{file}: cannot read it"))?;
        let text = String::from_utf8_lossy(&text);
        if text.contains('\0') {
            let pairs = text.split('\0').filter_map(|pair| pair.split_once('='));
            pairs.for_each(|(name, value)| self.set(name, value));
            return Ok(());
        }
        for line in text.lines().map(str::trim) {
            let line = line.strip_prefix("export ").unwrap_or(line);
            let Some((name, value)) = line.split_once('=').filter(|_| !line.starts_with('#'))
            else {
                continue;
            };
            let quoted = value.starts_with(['"', '\'']);
            let unquoted = shlex::split(value).filter(|words| quoted && words.len() == 1);
            match unquoted {
                Some(words) => self.set(name, &words[0]),
                None => self.set(name, value),
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Applies `setenv`, `presetenv`, `unsetenv` and `resetenv` of `global`. Returns true if the
    /// line is one of these.
    pub(crate) fn apply(&mut self, words: &[String]) -> bool {
        let names = words.get(1..).unwrap_or_default();
        match (words.first().map(String::as_str), names) {
            (Some("setenv"), [name, value, ..]) => self.set(name, value),
            (Some("presetenv"), [name, value, ..]) => {
                if self.get(name).is_none() {
                    self.set(name, value);
                }
            }
            (Some("unsetenv"), names) => self.0.retain(|name, _| !names.contains(name)),
            (Some("resetenv"), names) => self.0.retain(|name, _| names.contains(name)),
            _ => return false,
        }
        true
    }
}
