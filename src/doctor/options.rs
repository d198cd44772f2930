//! The command line of `sni-check doctor`.

use argh::{ArgsInfo, FromArgs};

use crate::options::values::Color;

/// How the external checks of a haproxy.cfg would fare on this host.
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(
    help_triggers("--help", "-h"),
    example = "{command_name} -f /etc/haproxy/haproxy.cfg",
    example = "{command_name} -f haproxy.cfg --env @/etc/default/haproxy",
    example = "{command_name} --run",
    note = "Exit code: 0 nothing is certain to go wrong; 2 the configuration is refused, or a check\n\
            is certain to fail, to mislead or to be missing; otherwise, with --run, the code of\n\
            the first failing check."
)]
pub struct DoctorOptions {
    /// configuration, or a folder of *.cfg; repeatable, as for HAProxy; default: what HAProxy's
    /// unit or the running HAProxy reads, or else /etc/haproxy/haproxy.cfg
    #[argh(option, short = 'f', arg_name = "FILE")]
    pub file: Vec<String>,

    /// a variable of HAProxy's environment: NAME=VALUE, or @FILE with one a line
    /// (systemd's EnvironmentFile, /proc/PID/environ); repeatable
    #[argh(option, arg_name = "NAME=VALUE|@FILE")]
    pub env: Vec<String>,

    /// HAProxy's binary, default: haproxy in PATH, /usr/sbin or /usr/local/sbin
    #[argh(option, arg_name = "FILE")]
    pub haproxy: Option<String>,

    /// run every check exactly as HAProxy would, as root in its chroot and as its user
    #[argh(switch)]
    pub run: bool,

    /// look for the files of the host below this folder, such as an image's unpacked root; HAProxy is
    /// then not asked about the configuration
    #[argh(option, arg_name = "DIR")]
    pub root: Option<String>,

    /// leave out findings of this name (docs/json.md lists the names); repeatable
    #[argh(option, arg_name = "ID")]
    pub ignore: Vec<String>,

    /// print one JSON object
    #[argh(switch)]
    pub json: bool,

    /// auto (default), always or never
    #[argh(option, arg_name = "auto|always|never")]
    pub color: Option<Color>,
}

/// The text of `doctor --help`, without its first line, which every command has.
pub fn help() -> String {
    let Err(exit) = DoctorOptions::from_args(&["sni-check", "doctor"], &["--help"]) else {
        return String::new();
    };
    let text = exit.output;
    match text.split_once("\n\n") {
        Some((_, rest)) => rest.to_owned(),
        None => text,
    }
}
