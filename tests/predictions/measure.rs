//! Draws the configurations of a seed, and compares doctor's report on each of them with HAProxy's behaviour.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::case::Case;
use crate::fixes::with_fix;
use crate::peers::World;
use crate::reality::{self, Reality, Text, Visitor};
use crate::said::{self, Finding, Said};
use crate::score::{Difference, Service, Trap, compare, explains, service, traps};
use crate::support::haproxy::Version;

/// A difference, with everything that a person needs to reproduce it.
#[derive(Clone, Debug)]
pub struct Found {
    pub case: Case,
    pub seed: u64,
    pub difference: Difference,
    pub reality: Reality,
    pub said: Said,
    pub text: String,
}

/// The results of a run.
pub struct Figures {
    pub version: String,
    pub seed: u64,
    pub cases: usize,
    pub time: Duration,
    pub found: Vec<Found>,
    /// For each kind of trap: the number of configurations with such a trap, and the number of these
    /// configurations for which doctor's exit code was 2.
    pub traps: BTreeMap<Trap, (usize, usize)>,
    /// A line for each trap for which doctor's exit code wasn't 2, with the findings that explain the trap.
    pub noted: Vec<String>,
    /// The number of fixes that were applied.
    pub fixes: usize,
    /// The details of each configuration, if there are at most three configurations.
    pub details: Vec<String>,
}

/// Runs `work` for each item on several threads. Returns the results in the order of the items.
pub fn parallel<T: Sync, R: Send>(
    threads: usize,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::with_capacity(items.len()));
    thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let index = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(index) else { return };
                    let result = work(item);
                    done.lock().expect("a lock").push((index, result));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("a lock");
    done.sort_by_key(|(index, _)| *index);
    done.into_iter().map(|(_, result)| result).collect()
}

/// How many processes of doctor or `haproxy -c` run at the same time.
pub const WORKERS: usize = 2;

pub fn measure(world: &World, version: &Version, seed: u64, numbers: Range<u64>) -> Figures {
    let start = Instant::now();
    let sockets = world.folder.join(&format!("v{}", version.release()));
    std::fs::create_dir_all(&sockets).expect("a folder");
    std::fs::copy(
        world.folder.join("front.pem"),
        format!("{sockets}/front.pem"),
    )
    .expect("a certificate");
    let cases: Vec<Case> = numbers
        .map(|number| Case::new(seed, number, world))
        .filter(|case| {
            let is_wanted = |variable, known: &dyn Fn(String) -> bool| {
                std::env::var(variable).map_or(true, known)
            };
            is_wanted("PREDICTIONS_TAG", &|tag| case.tags.contains(&tag))
                && is_wanted("PREDICTIONS_PEER", &|peer| {
                    format!("{:?}", case.peer) == peer
                })
        })
        .collect();
    let texts: Vec<Text> = cases.iter().map(|case| text(case, &sockets)).collect();
    let pairs: Vec<(&Case, &Text)> = cases.iter().zip(&texts).collect();
    let said = parallel(WORKERS, &pairs, |(case, text)| {
        said::ask_doctor(text, version, &sockets, case.two_files)
    });
    let mut realities = reality::observe(&texts, version, &sockets);
    // A busy machine delays checks, so observe every configuration with a difference a second time.
    let suspect =
        |index: &usize| !compare(&cases[*index], &realities[*index], &said[*index]).is_empty();
    let suspects: Vec<usize> = (0..cases.len()).filter(suspect).collect();
    let again: Vec<Text> = suspects.iter().map(|index| texts[*index].clone()).collect();
    for (index, reality) in suspects
        .iter()
        .zip(reality::observe(&again, version, &sockets))
    {
        realities[*index] = reality;
    }
    let mut figures = Figures {
        version: version.number.clone(),
        seed,
        cases: cases.len(),
        time: Duration::ZERO,
        found: Vec::new(),
        traps: BTreeMap::new(),
        noted: Vec::new(),
        fixes: 0,
        details: Vec::new(),
    };
    for (index, case) in cases.iter().enumerate() {
        figures.count(case, &realities[index], &said[index]);
        if cases.len() < 4 {
            figures.details.push(format!(
                "{}\n{}\n{:#?}\n{:#}",
                case.tags.join(", "),
                texts[index].whole(),
                realities[index],
                said[index].object
            ));
        }
        for difference in compare(case, &realities[index], &said[index]) {
            figures.found.push(Found {
                case: case.clone(),
                seed,
                difference,
                reality: realities[index].clone(),
                said: said[index].clone(),
                text: texts[index].whole(),
            });
        }
    }
    figures.try_fixes((&cases, &texts), &said, &realities, (version, &sockets));
    figures.time = start.elapsed();
    figures
}

fn text(case: &Case, sockets: &str) -> Text {
    let passed_through = case
        .tags
        .iter()
        .any(|tag| tag.starts_with("TLS passed through"));
    Text {
        prefix: case.prefix(),
        global: case.global_text(),
        sections: case.text(sockets),
        is_common: case.is_common,
        has_variables: case.has_variables,
        visitor: match passed_through || case.tls_front {
            true => Visitor::Tls,
            false => Visitor::Plain,
        },
    }
}

impl Figures {
    fn count(&mut self, case: &Case, reality: &Reality, said: &Said) {
        for trap in traps(case, reality).into_keys() {
            let (all, reported) = self.traps.entry(trap).or_default();
            *all += 1;
            *reported += usize::from(said.code == 2);
            if said.code != 2 {
                let findings = said
                    .findings
                    .iter()
                    .filter(|found| explains(case, found, trap));
                let ids: Vec<&str> = findings.map(|found| found.id.as_str()).collect();
                self.noted.push(format!(
                    "case {}: {trap:?}, {:?} at {:?}, {:?}: exit code {}, {ids:?}",
                    case.number, case.kind, case.peer, case.tags, said.code
                ));
            }
        }
    }

    /// Applies the fixes that `with_fix` understands. Records each fix that does harm or changes nothing,
    /// if a second measurement confirms it.
    fn try_fixes(
        &mut self,
        (cases, texts): (&[Case], &[Text]),
        said: &[Said],
        before: &[Reality],
        (version, sockets): (&Version, &str),
    ) {
        let mut tries: Vec<(usize, &Finding, Text)> = Vec::new();
        for (index, text) in texts.iter().enumerate() {
            let own = |finding: &&Finding| {
                finding.about.is_empty()
                    || finding
                        .about
                        .iter()
                        .any(|about| about.starts_with(&text.prefix) && !about.contains("-other"))
            };
            for finding in said[index].findings.iter().filter(own) {
                let Some(fixed) = with_fix(text, finding, sockets) else {
                    continue;
                };
                // Several findings may have the same fix.
                let known = tries
                    .iter()
                    .any(|(known, _, other)| *known == index && other.whole() == fixed.whole());
                if !known {
                    tries.push((index, finding, fixed));
                }
            }
        }
        self.fixes = tries.len();
        let fixed: Vec<Text> = tries
            .iter()
            .enumerate()
            .map(|(number, (_, _, text))| renamed(text, number))
            .collect();
        let after = reality::observe(&fixed, version, sockets);
        let mut suspects = Vec::new();
        for (number, after) in after.into_iter().enumerate() {
            let (index, finding, _) = &tries[number];
            if verdict(
                &cases[*index],
                finding,
                (&before[*index], &after),
                &said[*index],
            )
            .is_some()
            {
                suspects.push(number);
            }
        }
        let again: Vec<Text> = suspects
            .iter()
            .map(|number| fixed[*number].clone())
            .collect();
        for (number, after) in suspects
            .iter()
            .zip(reality::observe(&again, version, sockets))
        {
            let (index, finding, text) = &tries[*number];
            if let Some(difference) = verdict(
                &cases[*index],
                finding,
                (&before[*index], &after),
                &said[*index],
            ) {
                self.found.push(Found {
                    case: cases[*index].clone(),
                    seed: self.seed,
                    difference,
                    reality: after,
                    said: said[*index].clone(),
                    text: format!("# with the fix: {}\n{}", finding.write, text.whole()),
                });
            }
        }
    }

    /// Returns the figures as text, one per line.
    pub fn table(&self) -> String {
        let mut text = format!(
            "HAProxy {}: {} configurations of PREDICTIONS_SEED={} in {:.0} s, {} fixes applied\n",
            self.version,
            self.cases,
            self.seed,
            self.time.as_secs_f64(),
            self.fixes
        );
        for (trap, (all, reported)) in &self.traps {
            _ = writeln!(
                text,
                "  {all:5} traps {trap:?}, {reported} of them with exit code 2"
            );
        }
        let mut parts = BTreeMap::<&str, usize>::new();
        for part in [
            "traps missed",
            "traps found only with --run",
            "false alarms",
            "predictions that don't come true",
            "fixes that do harm",
            "fixes that change nothing",
        ] {
            parts.insert(part, 0);
        }
        for found in &self.found {
            *parts.entry(found.difference.part()).or_default() += 1;
        }
        for (part, count) in parts {
            _ = writeln!(text, "  {count:5} {part}");
        }
        text
    }

    /// Returns the differences in groups, the largest group first, each with an example.
    pub fn groups(&self) -> String {
        let mut groups = BTreeMap::<String, Vec<&Found>>::new();
        for found in &self.found {
            groups.entry(found.group()).or_default().push(found);
        }
        let mut groups: Vec<(String, Vec<&Found>)> = groups.into_iter().collect();
        groups.sort_by_key(|(_, found)| std::cmp::Reverse(found.len()));
        let mut text = match self.noted.is_empty() {
            true => String::new(),
            false => format!("Traps without exit code 2:\n{}\n\n", self.noted.join("\n")),
        };
        for (name, found) in groups {
            _ = writeln!(text, "### {} x {name}\n", found.len());
            let mut tags = BTreeMap::<&str, usize>::new();
            for found in &found {
                for tag in &found.case.tags {
                    *tags.entry(tag).or_default() += 1;
                }
            }
            let mut tags: Vec<(&str, usize)> = tags.into_iter().collect();
            tags.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            let tags = tags.iter().map(|(tag, count)| format!("{count} x {tag}"));
            _ = writeln!(text, "with {}", tags.collect::<Vec<_>>().join("; "));
            for found in found.iter().take(12) {
                _ = writeln!(
                    text,
                    "- case {}: {:?}, {:?}",
                    found.case.number, found.case.peer, found.case.tags
                );
            }
            // The configuration with the fewest changes is the best example.
            let shortest = found
                .iter()
                .min_by_key(|found| (found.case.tags.len(), found.text.len()));
            text += &shortest
                .map(|found| format!("\n{}", found.text()))
                .unwrap_or_default();
        }
        text
    }
}

/// Returns the configuration under another name, so that it can run together with the original.
fn renamed(text: &Text, number: usize) -> Text {
    let prefix = format!("site{}", 1_000_000 + number);
    Text {
        sections: text.sections.replace(&text.prefix, &prefix),
        prefix,
        ..text.clone()
    }
}

/// Compares HAProxy's behaviour before and after a fix. Returns a difference if the fix does harm or changes
/// nothing.
fn verdict(
    case: &Case,
    finding: &Finding,
    (before, after): (&Reality, &Reality),
    said: &Said,
) -> Option<Difference> {
    let id = || finding.id.clone();
    let mut others = said.findings.iter().filter(|other| other.id != finding.id);
    let mut reported = |trap: Trap| others.any(|other| explains(case, other, trap));
    if harms(before, after) {
        return Some(Difference::FixHarms(id()));
    }
    let (was, is) = (traps(case, before), traps(case, after));
    // If a configuration has several faults, a fix removes only one of them.
    let new = is
        .keys()
        .find(|trap| !was.contains_key(trap) && **trap == Trap::Up);
    if new.is_some() && was.is_empty() && !reported(Trap::Up) && was_down(before) {
        return Some(Difference::FixHarms(id()));
    }
    let mut stays = was.keys().filter(|trap| is.contains_key(trap));
    let vain = stays.any(|trap| explains(case, finding, *trap) && !reported(*trap));
    // If the check now fails for a different reason, the fix has removed one fault of several.
    let same = shown(before) == shown(after);
    (vain && same && finding.is_problem).then(|| Difference::FixChangesNothing(id()))
}

/// Returns the status and the code of each server's check.
fn shown(reality: &Reality) -> Vec<(&str, &str)> {
    match reality {
        Reality::Running(servers) => servers
            .values()
            .map(|seen| (seen.check_status.as_str(), seen.check_code.as_str()))
            .collect(),
        _ => Vec::new(),
    }
}

/// Returns true if HAProxy shows a server as DOWN.
fn was_down(reality: &Reality) -> bool {
    let Reality::Running(servers) = reality else {
        return false;
    };
    servers.values().any(|seen| seen.status.starts_with("DOWN"))
}

/// Returns true if the fix does harm: HAProxy no longer starts, visitors were served before and aren't now,
/// or a server that served visitors is now DOWN.
fn harms(before: &Reality, after: &Reality) -> bool {
    let (Reality::Running(before), Reality::Running(after)) = (before, after) else {
        return matches!(before, Reality::Running(_));
    };
    before.iter().any(|(name, was)| {
        let Some(is) = after.get(name) else {
            return true;
        };
        let was_served = service(was) == Service::Served;
        let now_fails = was_served && service(is) == Service::Fail;
        let is_down = |status: &str| status.starts_with("DOWN");
        now_fails || (was_served && !is_down(&was.status) && is_down(&is.status))
    })
}

impl Found {
    /// Returns the name of the difference, as in the list of known differences.
    pub fn name(&self) -> String {
        format!("{:?}", self.difference)
    }

    pub fn is(&self, known: &(u64, &str)) -> bool {
        self.case.number == known.0 && self.name().starts_with(known.1)
    }

    fn group(&self) -> String {
        let difference = match &self.difference {
            Difference::Untrue(text) => {
                format!("Untrue {}", text.split(':').next().unwrap_or_default())
            }
            Difference::UntrueRun(text) => format!("UntrueRun {text}"),
            other => format!("{other:?}"),
        };
        format!("{difference}, {:?}", self.case.kind)
    }

    /// Returns all details of the difference.
    pub fn text(&self) -> String {
        let mut text = format!(
            "{:?}: PREDICTIONS_SEED={} PREDICTIONS_CASE={}, {:?} at a server that is {:?}, {:?}\n",
            self.difference,
            self.seed,
            self.case.number,
            self.case.kind,
            self.case.peer,
            self.case.tags
        );
        _ = writeln!(text, "```\n{}```", self.text);
        match &self.reality {
            Reality::Running(servers) => {
                for (name, seen) in servers {
                    _ = writeln!(
                        text,
                        "HAProxy: {name} {} {} {}, visitors {:?}",
                        seen.status, seen.check_status, seen.check_code, seen.visit
                    );
                }
            }
            other => _ = writeln!(text, "HAProxy: {other:?}"),
        }
        for finding in &self.said.findings {
            let mark = if finding.is_problem {
                "problem"
            } else {
                "note"
            };
            _ = writeln!(
                text,
                "doctor: {mark} {} {:?}: {} | shows {} | write {}",
                finding.id, finding.about, finding.what, finding.shows, finding.write
            );
        }
        for run in &self.said.runs {
            _ = writeln!(
                text,
                "doctor ran {}/{}: {} {:?}",
                run.backend, run.server, run.status, run.code
            );
        }
        _ = writeln!(text, "doctor: exit code {}\n", self.said.code);
        text
    }
}
