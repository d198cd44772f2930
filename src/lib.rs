//! HTTPS health check with SNI, for HAProxy's `external-check` and by hand.
//!
//! `argv + environment -> Options -> Plan -> probe -> Verdict -> exit code + line`, in one
//! direction. The modules in reading order:

pub mod stdio;

pub mod values;

pub mod expect;

pub mod options;

pub mod door;

pub mod haproxy;

pub mod plan;

mod deadline;

pub mod probe;

pub mod certificate;

pub mod failure;

pub mod code;

pub mod report;

pub mod syslog;

pub mod text;

pub mod mark;

pub mod explain;

pub mod diagnose;

pub mod doctor;

use std::env;
use std::ffi::OsString;
use std::io;
use std::time::Instant;

use anyhow::{Result, bail, ensure};

use crate::code::Code;
use crate::doctor::DoctorOptions;
use crate::door::Door;
use crate::haproxy::Caller;
use crate::options::{Options, Parsed, VERSION_CHECKS_NOTHING};
use crate::plan::{Output, Plan};

/// What a call asks for.
enum Call {
    /// A check.
    Check(Box<Plan>),
    /// `diagnose`: the check's plan, and the options it came from.
    Diagnose(Box<Plan>, Box<Options>),
    /// `doctor`.
    Doctor(Box<DoctorOptions>),
    /// `explain`, `--help` or `--version`: only this text.
    Text(String),
}

/// Runs the program on these arguments and this process's environment; says what is to be said, and
/// returns the exit code.
pub fn run(words: Vec<OsString>) -> Code {
    let start = Instant::now();
    exit_on_panic();
    let caller = Caller::from_env(|name| env::var_os(name));
    let mut output = Output::default();
    let done = call(words, caller.clone(), &mut output).and_then(|call| answer(call, start));
    done.unwrap_or_else(|error| {
        report::refusal(caller.as_ref(), &output, &error);
        Code::Refused
    })
}

/// Does what a call asks for.
fn answer(call: Call, start: Instant) -> Result<Code> {
    Ok(match call {
        Call::Check(plan) => {
            let verdict = probe::run(&plan, start);
            report::verdict(&plan, &verdict);
            verdict.code()
        }
        Call::Diagnose(plan, options) => diagnose::run(&plan, &options, start),
        Call::Doctor(options) => doctor::run(&options)?,
        Call::Text(text) => {
            stdio::write_text(io::stdout(), &text);
            Code::Healthy
        }
    })
}

/// Makes sense of arguments and environment. `output` is filled in as soon as it is known, so that a
/// refusal reaches the syslog too.
fn call(words: Vec<OsString>, caller: Option<Caller>, output: &mut Output) -> Result<Call> {
    let mut words = words.into_iter().map(word).collect::<Result<Vec<_>>>()?;
    if caller.is_none() && words.first().is_some_and(|word| word == doctor::INNER_DOOR) {
        doctor::become_check(&words[1..]);
    }
    let door = Door::open(&mut words, caller.as_ref())?;
    if door == Door::Explain {
        return Ok(Call::Text(match words.as_slice() {
            [help] if help == "--help" || help == "-h" => door.help(),
            words => explain::text(words)?,
        }));
    }
    if door == Door::Doctor {
        return Ok(
            match options::parse_as(&["sni-check", door.name()], &words)? {
                Parsed::Help(_) => Call::Text(door.help()),
                Parsed::Options(options) => Call::Doctor(options),
            },
        );
    }
    let options = match &caller {
        Some(_) => haproxy::options(&env::var_os("PATH").unwrap_or_default(), words)?,
        None => match options::parse(&words)? {
            Parsed::Help(text) if door == Door::Check => {
                return Ok(Call::Text(text + &door.help()));
            }
            Parsed::Help(_) => return Ok(Call::Text(door.help())),
            Parsed::Options(options) if options.version => return version(&options),
            Parsed::Options(options) => options,
        },
    };
    *output = Output::new(&options)?;
    match door {
        Door::Diagnose => diagnose::refuse_idle(&options)?,
        _ => options.refuse_color()?,
    }
    // What is no UTF-8 is refused as a name, but only where it would be one.
    let sni_host = env::var_os("SNI_HOST");
    let sni_host = sni_host.as_ref().map(|name| name.to_string_lossy());
    let plan = Plan::new(&options, caller, sni_host.as_deref(), output.clone())?;
    let plan = Box::new(plan);
    Ok(match door {
        Door::Diagnose => Call::Diagnose(plan, options),
        _ => Call::Check(plan),
    })
}

fn word(word: OsString) -> Result<String> {
    match word.into_string() {
        Ok(word) => Ok(word),
        Err(word) => bail!(
            "`{}` is not UTF-8; write it in UTF-8",
            word.to_string_lossy()
        ),
    }
}

fn version(options: &Options) -> Result<Call> {
    ensure!(options.target.is_empty(), VERSION_CHECKS_NOTHING);
    Ok(Call::Text(
        concat!("sni-check ", env!("CARGO_PKG_VERSION"), "\n").to_owned(),
    ))
}

/// Makes a panic, on any thread, end the process with the documented code and one line.
pub fn exit_on_panic() {
    std::panic::set_hook(Box::new(|panic| {
        stdio::write_line(
            io::stderr(),
            &format!("sni-check: internal error, please report: {panic}"),
        );
        std::process::exit(i32::from(Code::Internal.number()));
    }));
}
