//! The command line of `sni-check diagnose` for servers of haproxy.cfg.

use anyhow::Result;
use argh::{ArgsInfo, FromArgs};

use crate::command::Command;
use crate::doctor::survey::survey;
use crate::options::values::Color;
use crate::options::{Parsed, parse_as, table};

/// Diagnoses servers of haproxy.cfg: all servers that are DOWN, or one server.
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(help_triggers("--help", "-h"))]
pub struct ServersCall {
    /// configuration file of HAProxy, or a folder of *.cfg; repeatable (default: what HAProxy's unit or
    /// the running HAProxy reads, or else /etc/haproxy/haproxy.cfg)
    #[argh(option, short = 'f', arg_name = "FILE")]
    pub file: Vec<String>,

    /// a variable of HAProxy's environment: NAME=VALUE, or @FILE with one variable per line; repeatable
    #[argh(option, arg_name = "NAME=VALUE|@FILE")]
    pub env: Vec<String>,

    /// the HAProxy program to ask, or none (default: the program found on this host)
    #[argh(option, arg_name = "FILE|none")]
    pub haproxy: Option<String>,

    /// print everything that diagnose has seen of the named server
    #[argh(switch)]
    pub verbose: bool,

    /// print one JSON object
    #[argh(switch)]
    pub json: bool,

    /// colour the report (default: auto, which means on a terminal unless NO_COLOR is set)
    #[argh(option, arg_name = "auto|always|never")]
    pub color: Option<Color>,

    /// a server of the configuration; without it, every server that is DOWN
    #[argh(positional, arg_name = "BACKEND/SERVER")]
    pub server: Vec<String>,
}

/// The options that may be given without a target, because they don't concern a check.
const ABOUT_SERVERS: [&str; 4] = ["--haproxy", "--verbose", "--json", "--color"];

/// Returns the parsed command line if it is about servers of haproxy.cfg: with `-f` or `--env`, without a
/// target, or with a target such as `be/s1`. Returns `None` if the target is a URL or a host, and for --help.
/// If `-f` and `--env` are missing, an option of a check means that the target isn't a server of haproxy.cfg.
///
/// # Errors
/// Fails if the arguments aren't valid options.
pub(crate) fn of_words(words: &[String]) -> Result<Option<ServersCall>> {
    let of_file = |word: &String| {
        let name = word.split('=').next().unwrap_or_default();
        ["-f", "--file", "--env"].contains(&name)
    };
    if !words.iter().any(of_file) {
        let Parsed::Options(options) = table::parse_for(Command::Diagnose, words)? else {
            return Ok(None);
        };
        let is_server = |target: &String| {
            let slashes = target.matches('/').count();
            slashes == 1 && !target.starts_with('/') && !target.ends_with('/')
        };
        let mut others = table::ROWS.iter().filter(|row| row.is_given(&options));
        let about_check = others.any(|row| !ABOUT_SERVERS.contains(&row.name));
        if about_check || !options.target.iter().all(is_server) || options.target.len() > 1 {
            return Ok(None);
        }
    }
    match parse_as::<ServersCall>(&["sni-check", "diagnose"], words)? {
        Parsed::Help => Ok(None),
        Parsed::Options(call) => Ok(Some(*call).filter(is_about_servers)),
    }
}

/// Returns true if the target is a server of haproxy.cfg and not the URL of a page. With `-f`, the target is
/// always a server. Without `-f`, the part before the slash decides. If this part has no dot and no colon and
/// isn't `localhost`, it is a backend. For a host such as `web1`, the operator must write
/// `https://web1/healthz`. A target such as `www.example.com/healthz` is a server only if the configuration
/// of this host has a backend `www.example.com`.
fn is_about_servers(call: &ServersCall) -> bool {
    let Some(target) = call.server.first().filter(|_| call.file.is_empty()) else {
        return true;
    };
    let (backend, _) = target.split_once('/').unwrap_or((target, ""));
    if !backend.contains(['.', ':']) && backend != "localhost" {
        return true;
    }
    let survey = survey(&call.file, &call.env, None);
    survey.is_ok_and(|survey| {
        survey
            .servers
            .iter()
            .any(|server| server.backend == backend)
    })
}
