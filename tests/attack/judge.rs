//! Judges the outcome of each try and prints the table of all tries.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use sni_check::code::Code;

use crate::tries::{Outcome, Outlet, Try, Up};

/// The most memory that a check may use, in kB.
const CHECK_MEMORY: u64 = 8_000;
/// The most memory that any other command may use, in kB. For serve, this includes all its checks.
const OTHER_MEMORY: u64 = 64_000;

/// An outcome and everything that is wrong with it.
pub struct Judged {
    class: &'static str,
    what: String,
    pub wrong: Vec<String>,
    /// How long after its deadline the check ended, in milliseconds. Negative if it ended earlier, or
    /// if it has no deadline.
    overrun: f64,
    outcome: Outcome,
}

/// Judges an outcome. A check may end up to `grace` milliseconds after its deadline.
pub fn judge(attempt: &Try, outcome: Outcome, grace: f64) -> Judged {
    let mut wrong = Vec::new();
    let mut check = |good: bool, what: String| {
        if !good {
            wrong.push(what);
        }
    };
    let code = outcome.code;
    check(
        outcome.signal == 0,
        format!("killed by signal {}", outcome.signal),
    );
    let documented = Code::ALL
        .iter()
        .any(|known| i32::from(known.number()) == code);
    check(documented, format!("code {code} is not documented"));
    check(
        ![1, 3].contains(&code) || attempt.scarce,
        format!("code {code}, although memory was not scarce"),
    );
    let may_be_up = match &attempt.up {
        Up::Never => false,
        Up::Fine => true,
        Up::If(condition) => code == 0 && condition(),
        Up::Maybe => true,
    };
    let text_only = attempt.words.is_some() && attempt.class != "diagnose";
    check(
        code != 0 || may_be_up || text_only,
        "exit code 0, but the attempt must fail".to_owned(),
    );
    let must_be_up = matches!(attempt.up, Up::Fine) && !attempt.scarce;
    check(
        code == 0 || !must_be_up,
        format!("{code} for a healthy backend"),
    );

    let wall = outcome.wall as f64 / 1000.0;
    let overrun = attempt.timeout.map_or(f64::MIN, |timeout| {
        wall - timeout.max(attempt.goes_on) as f64
    });
    check(
        overrun <= grace,
        format!("{overrun:.0} ms beyond the deadline"),
    );
    let memory = match attempt.class {
        "diagnose" | "doctor" | "serve" => OTHER_MEMORY,
        _ => CHECK_MEMORY,
    };
    check(
        outcome.kilobytes <= memory,
        format!("{} kB", outcome.kilobytes),
    );
    if attempt.outlet == Outlet::Read {
        judge_output(attempt, &outcome, &mut wrong);
    }
    Judged {
        class: attempt.class,
        what: format!(
            "{} {:?} by hand: {}",
            attempt.what, attempt.options, attempt.by_hand
        ),
        wrong,
        overrun,
        outcome,
    }
}

fn judge_output(attempt: &Try, outcome: &Outcome, wrong: &mut Vec<String>) {
    let raw =
        |c: char| c.is_control() && c != '\n' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{e0041}');
    if outcome.output.contains(raw) {
        wrong.push("raw control characters".to_owned());
    }
    let json = attempt.request.is_none() && attempt.options.iter().any(|option| option == "--json");
    // Codes 1 and 2 come with sentences, not JSON. A healthy check under HAProxy prints nothing.
    if json && outcome.code > 2 {
        for line in outcome.output.lines() {
            if serde_json::from_str::<serde_json::Value>(line).is_err() {
                wrong.push(format!("not JSON: {line:.300}"));
            }
        }
    }
}

impl Judged {
    pub fn better_than(&self, other: &Judged) -> bool {
        (self.wrong.len(), self.overrun) < (other.wrong.len(), other.overrun)
    }
}

/// A row of the table.
#[derive(Default)]
struct Row {
    tries: u64,
    codes: BTreeSet<i32>,
    overrun: f64,
    cpu: u64,
    kilobytes: u64,
}

pub struct Table {
    first: u64,
    rows: BTreeMap<&'static str, Row>,
    wrong: Vec<String>,
}

impl Table {
    pub fn new(first: u64) -> Table {
        Table {
            first,
            rows: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    pub fn add(&mut self, seed: u64, judged: Judged) {
        let row = self.rows.entry(judged.class).or_default();
        let outcome = &judged.outcome;
        row.tries += 1;
        row.codes.insert(outcome.code);
        row.overrun = row.overrun.max(judged.overrun);
        row.cpu = row.cpu.max(outcome.cpu);
        row.kilobytes = row.kilobytes.max(outcome.kilobytes);
        if !judged.wrong.is_empty() {
            self.wrong.push(format!(
                "SNI_CHECK_SEED={seed} SNI_CHECK_CASES=1: {}\n  {}: {:.300}\n  {} after {} ms: {:.300}",
                judged.wrong.join(", "),
                judged.class,
                judged.what,
                outcome.code,
                outcome.wall / 1000,
                outcome.output,
            ));
        }
    }

    /// Fails if there are errors, and shows the first 20 of them.
    pub fn assert(&self) {
        let shown = self.wrong.len().min(20);
        assert!(
            self.wrong.is_empty(),
            "{} wrong outcomes, from SNI_CHECK_SEED={}:\n{}",
            self.wrong.len(),
            self.first,
            self.wrong[..shown].join("\n")
        );
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tries: u64 = self.rows.values().map(|row| row.tries).sum();
        writeln!(f, "{tries} tries from SNI_CHECK_SEED={}\n", self.first)?;
        writeln!(
            f,
            "| hostile | tries | exit codes | worst overrun | worst CPU time | worst memory |"
        )?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for (class, row) in &self.rows {
            let codes: Vec<String> = row.codes.iter().map(i32::to_string).collect();
            let (codes, cpu, megabytes) = (
                codes.join(" "),
                row.cpu as f64 / 1e3,
                row.kilobytes as f64 / 1e3,
            );
            let (tries, overrun) = (row.tries, row.overrun.max(0.0));
            writeln!(
                f,
                "| {class} | {tries} | {codes} | {overrun:.0} ms | {cpu:.0} ms | {megabytes:.1} MB |"
            )?;
        }
        Ok(())
    }
}
