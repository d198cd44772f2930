//! The command line of `sni-check doctor`.

use argh::{ArgsInfo, FromArgs};

use crate::options::values::Color;

/// Lists everything that prevents the checks of a haproxy.cfg from working on this host.
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(
    help_triggers("--help", "-h"),
    example = "{command_name} -f /etc/haproxy/haproxy.cfg",
    example = "{command_name} -f haproxy.cfg --env @/etc/default/haproxy",
    example = "{command_name} --run",
    note = "Exit code: 0 if nothing is certain to go wrong. 2 if HAProxy refuses the\n\
            configuration, or if a check is certain to fail, to mislead or to be missing.\n\
            Otherwise, with --run, the exit code of the first check that fails."
)]
pub struct DoctorOptions {
    /// configuration file, or a folder of *.cfg; repeatable, as for HAProxy (default: what
    /// HAProxy's unit or the running HAProxy reads, or else /etc/haproxy/haproxy.cfg)
    #[argh(option, short = 'f', arg_name = "FILE")]
    pub file: Vec<String>,

    /// a variable of HAProxy's environment: NAME=VALUE, or @FILE with one variable per line (systemd's
    /// EnvironmentFile, /proc/PID/environ); repeatable
    #[argh(option, arg_name = "NAME=VALUE|@FILE")]
    pub env: Vec<String>,

    /// HAProxy's program (default: haproxy in PATH, /usr/sbin or /usr/local/sbin)
    #[argh(option, arg_name = "FILE")]
    pub haproxy: Option<String>,

    /// run every check as HAProxy would (if you are root: in its chroot, as its user); also ask
    /// HAProxy for its own checks, and send each server the request of a visitor
    #[argh(switch)]
    pub run: bool,

    /// look for the host's files below this folder, such as an image's unpacked root; doctor won't
    /// ask HAProxy about the configuration
    #[argh(option, arg_name = "DIR")]
    pub root: Option<String>,

    /// leave out findings of this name (docs/json.md lists the names); repeatable
    #[argh(option, arg_name = "ID")]
    pub ignore: Vec<String>,

    /// print one JSON object
    #[argh(switch)]
    pub json: bool,

    /// print the findings as annotations of GitHub Actions
    #[argh(switch)]
    pub github: bool,

    /// colour the report (default: auto, which means on a terminal unless NO_COLOR is set)
    #[argh(option, arg_name = "auto|always|never")]
    pub color: Option<Color>,
}
