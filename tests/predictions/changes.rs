//! The changes that people make. Each change has a name, a weight, a function that selects configurations,
//! and a function that changes them.

mod external;
mod global;
mod own;
mod serve;
mod server;

use crate::case::{Case, Kind};
use crate::peers::World;
use crate::support::dice::Dice;

use self::external::EXTERNAL;
use self::global::GLOBAL;
use self::own::{AGENT, HTTP, PLAIN, TCP};
use self::serve::SERVE;
use self::server::SERVER;

/// A change to a configuration.
struct Change {
    tag: &'static str,
    weight: usize,
    applies: fn(&Case) -> bool,
    apply: fn(&mut Case, &World),
}

const fn change(
    tag: &'static str,
    weight: usize,
    applies: fn(&Case) -> bool,
    apply: fn(&mut Case, &World),
) -> Change {
    Change {
        tag,
        weight,
        applies,
        apply,
    }
}

/// Applies a random change that fits this configuration.
pub fn apply_one(dice: &mut Dice, case: &mut Case, world: &World) {
    let own: &[Change] = match case.kind {
        Kind::External => EXTERNAL,
        Kind::Serve => SERVE,
        Kind::Http => HTTP,
        Kind::Plain => PLAIN,
        Kind::Tcp => TCP,
        Kind::Agent => AGENT,
        Kind::None => &[],
    };
    let table = if dice.percent(55) && !own.is_empty() {
        own
    } else {
        SERVER
    };
    draw(dice, case, world, table);
}

/// Changes `global`. HAProxy then can't run this configuration together with other configurations.
pub fn apply_global(dice: &mut Dice, case: &mut Case, world: &World) {
    case.is_common = false;
    draw(dice, case, world, GLOBAL);
}

fn draw(dice: &mut Dice, case: &mut Case, world: &World, table: &[Change]) {
    let fit: Vec<&Change> = table
        .iter()
        .filter(|change| (change.applies)(case) && !case.tags.iter().any(|tag| tag == change.tag))
        .collect();
    let total: usize = fit.iter().map(|change| change.weight).sum();
    if total == 0 {
        return;
    }
    let mut at = dice.below(total);
    for change in fit {
        if at < change.weight {
            (change.apply)(case, world);
            case.tags.push(change.tag.to_owned());
            return;
        }
        at -= change.weight;
    }
}

/// Returns the keyword of `word`, which may also contain a value (`port 443`).
fn key(word: &str) -> &str {
    word.split(' ').next().unwrap_or_default()
}

impl Case {
    /// Returns the path of the folder with HAProxy's files, as the check sees it.
    fn folder(&self, world: &World) -> String {
        match self.global[0].starts_with("chroot") {
            true => String::new(),
            false => world.root.clone(),
        }
    }

    /// Adds a keyword with its value to the server line, or replaces the keyword's value.
    pub fn set(&mut self, word: &str) {
        let at = self.words.iter().position(|known| key(known) == key(word));
        match at {
            Some(at) => self.words[at] = word.to_owned(),
            None => self.words.push(word.to_owned()),
        }
    }

    /// Removes a keyword and its value from the server line.
    pub fn remove(&mut self, name: &str) {
        self.words.retain(|word| key(word) != name);
        self.check_words.retain(|word| key(word) != name);
    }

    pub fn has(&self, name: &str) -> bool {
        self.words
            .iter()
            .chain(&self.check_words)
            .any(|word| key(word) == name)
    }

    /// Adds a keyword about the check with its value, or replaces the keyword's value.
    fn set_check(&mut self, word: &str) {
        let at = self
            .check_words
            .iter()
            .position(|known| key(known) == key(word));
        match at {
            Some(at) => self.check_words[at] = word.to_owned(),
            None => self.check_words.push(word.to_owned()),
        }
    }

    /// Changes sni-check's options. Without quotes around the options, does nothing.
    fn edit(&mut self, edit: impl Fn(&str) -> String) {
        for line in &mut self.option {
            let start = line.find("\"--").or(line.find("'--"));
            if let Some(at) = start {
                let (head, options) = line.split_at(at + 1);
                let (options, last) = options.split_at(options.len() - 1);
                *line = format!("{head}{}{last}", edit(options));
            }
        }
    }

    /// Adds an option of sni-check with its value, or replaces the option.
    fn option(&mut self, option: &str) {
        self.without_option(key(option));
        self.edit(|options| format!("{options} {option}").trim_start().to_owned());
    }

    fn without_option(&mut self, name: &str) {
        self.edit(|options| {
            let parts = options.split(" --");
            let parts = parts.map(|part| format!("--{}", part.trim_start_matches("--")));
            let left: Vec<String> = parts.filter(|part| key(part) != name).collect();
            left.join(" ")
        });
    }

    /// Changes the lines of the check that start with `start`. Removes a line if `edit` returns `None`.
    fn line(&mut self, start: &str, edit: impl Fn(&str) -> Option<String>) {
        self.option = self
            .option
            .iter()
            .filter_map(|line| match line.starts_with(start) {
                true => edit(line),
                false => Some(line.clone()),
            })
            .collect();
    }
}

fn any(_: &Case) -> bool {
    true
}

fn tls(case: &Case) -> bool {
    case.has("ssl")
}

fn checked(case: &Case) -> bool {
    case.has("check")
}

fn has_sni(case: &Case) -> bool {
    tls(case) && case.has("sni")
}

fn tls_and(case: &Case, kinds: &[Kind]) -> bool {
    tls(case) && kinds.contains(&case.kind)
}
