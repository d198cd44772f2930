//! HTTPS health check with SNI, for HAProxy's `external-check` and for the command line.
//!
//! Data flows in one direction: `argv + environment -> Options -> Plan -> probe -> Verdict -> exit code +
//! line`. The modules below are in reading order.

pub mod start;

pub mod command;

pub mod options;

pub mod haproxy;

pub mod refusal;

pub mod plan;

pub mod deadline;

mod descriptor;

pub mod probe;

pub mod failure;

pub mod certificate;

pub mod code;

pub mod output;

mod causes;

pub mod explain;

pub mod diagnose;

pub mod doctor;

pub mod serve;

mod help;

use std::env;
use std::ffi::OsString;
use std::io;
use std::time::Instant;

use anyhow::Result;

use crate::code::Code;
use crate::command::Command;
use crate::diagnose::servers::{self, ServersCall};
use crate::doctor::DoctorOptions;
use crate::haproxy::{Caller, tied};
use crate::options::handed::{self, Carrier};
use crate::options::table::ROWS;
use crate::options::{Options, Parsed, version_checks_nothing};
use crate::output::expiry::{self, Phases};
use crate::output::write::{write_line, write_text};
use crate::plan::{Output, Plan};
use crate::refusal::refusal;
use crate::serve::ServeCall;

/// The task that the arguments describe.
enum Task {
    /// A check.
    Check(Box<Plan>),
    /// `diagnose`: the plan of the check, and the options that the plan was made from.
    Diagnose(Box<Plan>, Box<Options>),
    /// `diagnose` for servers of haproxy.cfg.
    Servers(Box<ServersCall>),
    /// `doctor`.
    Doctor(Box<DoctorOptions>),
    /// `serve`.
    Serve(Box<ServeCall>),
    /// `explain`, `--help` or `--version`, which only print this text.
    Text(String),
}

/// Runs the program with these arguments and the environment of this process, prints the result,
/// and returns the exit code.
pub fn run(words: Vec<OsString>) -> Code {
    let start = Instant::now();
    exit_on_panic();
    let caller = Caller::from_env(|name| env::var_os(name));
    let (command, words) = match command(words, caller.as_ref()) {
        Ok(found) => found,
        Err(error) => return refused(caller.as_ref(), &Output::default(), &error),
    };
    match command {
        Command::Check | Command::Diagnose => {
            expiry::begin(command, caller.as_ref(), start);
            let code = start::apart(|| perform(command, words, caller, start));
            code.unwrap_or(Code::Internal)
        }
        Command::Doctor | Command::Serve | Command::Explain => {
            start::never_expire();
            perform(command, words, caller, start)
        }
    }
}

fn refused(caller: Option<&Caller>, output: &Output, error: &anyhow::Error) -> Code {
    output::refusal(caller, output, error);
    Code::Refused
}

/// Returns the command that the arguments name, and the remaining arguments. If they name an internal
/// command, this process becomes another program, and the function doesn't return.
fn command(words: Vec<OsString>, caller: Option<&Caller>) -> Result<(Command, Vec<String>)> {
    let mut words = words.into_iter().map(word).collect::<Result<Vec<_>>>()?;
    if caller.is_none() && words == [doctor::INNER_COMMAND] {
        doctor::become_check();
    }
    if caller.is_none()
        && words
            .first()
            .is_some_and(|word| word == tied::INNER_COMMAND)
    {
        tied::become_program(&words[1..]);
    }
    let command = Command::take(&mut words, caller)?;
    Ok((command, words))
}

/// Performs a command and returns its exit code.
fn perform(command: Command, words: Vec<String>, caller: Option<Caller>, start: Instant) -> Code {
    let mut output = Output::default();
    let task = task(command, words, caller.clone(), &mut output, start);
    let done = task.and_then(|task| answer(task, start));
    done.unwrap_or_else(|error| refused(caller.as_ref(), &output, &error))
}

/// Performs a task and returns its exit code.
fn answer(task: Task, start: Instant) -> Result<Code> {
    Ok(match task {
        Task::Check(plan) => {
            let mut phases = Phases::new(&plan, start);
            let verdict = probe::run_by_phase(&plan, start, |timed_out, seen| {
                phases.enter(timed_out, seen);
            });
            expiry::decided(verdict.code());
            output::verdict(&plan, &verdict);
            verdict.code()
        }
        Task::Diagnose(plan, options) => diagnose::run(*plan, *options, start)?,
        Task::Servers(call) => servers::run(&call, start)?,
        Task::Doctor(options) => doctor::run(&options)?,
        Task::Serve(call) => {
            let sni_host = env::var_os("SNI_HOST").map(|name| name.to_string_lossy().into_owned());
            serve::run(&call, sni_host)?
        }
        Task::Text(text) => {
            start::never_expire();
            write_text(io::stdout(), &text);
            Code::Healthy
        }
    })
}

/// Turns arguments and environment into a task. `output` is set as soon as the output options are
/// known, so that a refusal also reaches the syslog.
fn task(
    command: Command,
    words: Vec<String>,
    caller: Option<Caller>,
    output: &mut Output,
    start: Instant,
) -> Result<Task> {
    match command {
        Command::Explain => Ok(Task::Text(match words.as_slice() {
            [help] if help == "--help" || help == "-h" => help::of(command),
            words => explain::text(words)?,
        })),
        Command::Doctor => match options::parse_as(&["sni-check", command.name()], &words)? {
            Parsed::Help => Ok(Task::Text(help::of(command))),
            Parsed::Options(options) => Ok(Task::Doctor(options)),
        },
        Command::Serve => match serve::parse(&words)? {
            Parsed::Help => Ok(Task::Text(help::of(command))),
            Parsed::Options(call) => Ok(Task::Serve(call)),
        },
        Command::Diagnose => match servers::of_words(&words)? {
            Some(call) => Ok(Task::Servers(Box::new(call))),
            None => probing(command, words, caller, output, start),
        },
        Command::Check => probing(command, words, caller, output, start),
    }
}

/// Turns the options of a command that probes a server into a task.
fn probing(
    command: Command,
    words: Vec<String>,
    caller: Option<Caller>,
    output: &mut Output,
    start: Instant,
) -> Result<Task> {
    let options = match &caller {
        Some(_) => {
            let path = env::var_os("PATH").unwrap_or_default();
            // The options come only from `external-check path`, so HAProxy's four arguments can't be mistaken
            // for options.
            let mut options = handed::options(Carrier::Path, &path)?;
            options.target = words;
            options
        }
        None => match options::table::parse_for(command, &words)? {
            Parsed::Help => return Ok(Task::Text(help::of(command))),
            Parsed::Options(options) => options,
        },
    };
    *output = Output::new(&options)?;
    if options.version {
        return version(&options);
    }
    if command == Command::Check {
        let timeout = options.timeout.map(|time| time.0);
        expiry::options_known(caller.as_ref(), output, timeout, start);
    }
    // A value of SNI_HOST that isn't UTF-8 is refused later, and only if the check uses it.
    let sni_host = env::var_os("SNI_HOST");
    let sni_host = sni_host.as_ref().map(|name| name.to_string_lossy());
    let plan = Plan::new(&options, caller, sni_host.as_deref(), output.clone())?;
    let plan = Box::new(plan);
    Ok(match command {
        Command::Diagnose => Task::Diagnose(plan, options),
        _ => Task::Check(plan),
    })
}

fn word(word: OsString) -> Result<String> {
    match word.into_string() {
        Ok(word) => Ok(word),
        Err(word) => Err(refusal(
            format!("`{}`", word.to_string_lossy()),
            "is not UTF-8",
            "write it in UTF-8, without other bytes",
        )),
    }
}

fn version(options: &Options) -> Result<Task> {
    let mut others = ROWS.iter().filter(|row| row.name != "--version");
    if !options.target.is_empty() || others.any(|row| row.is_given(options)) {
        return Err(version_checks_nothing());
    }
    Ok(Task::Text(
        concat!("sni-check ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
    ))
}

/// Makes a panic on any thread print one line and end the process with the documented exit code.
pub fn exit_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        write_line(
            io::stderr(),
            &format!("sni-check: internal error, please report: {panic}"),
        );
        std::process::exit(i32::from(Code::Internal.number()));
    }));
}
