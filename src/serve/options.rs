//! The command line of `sni-check serve`. It may mix options of serve with options of a check.

use std::net::IpAddr;
use std::str::FromStr;

use anyhow::{Result, anyhow};
use argh::{ArgsInfo, FlagInfo, FlagInfoKind, FromArgs};
use ipnet::IpNet;

use crate::command::Command;
use crate::options::handed::refuse_longer;
use crate::options::{self, Options, Parsed};
use crate::refusal::{Misfit, refusal, together};

/// A local server that runs the same checks for HAProxy's own http-check.
#[derive(FromArgs, ArgsInfo, Debug, Default)]
#[argh(
    help_triggers("--help", "-h"),
    example = "{command_name} --listen unix:/run/sni-check/socket --group haproxy",
    example = "{command_name} --listen 127.0.0.1:8405 --files /etc/haproxy/ca",
    note = "The options of a check may follow, too. They are defaults for the options in\n\
            X-Check-Options. In the backend in haproxy.cfg:\n    \
            option httpchk\n    \
            timeout check 1900ms\n    \
            http-check connect addr unix@/run/sni-check/socket\n    \
            http-check send-state\n    \
            http-check send meth GET uri / hdr X-Check-Options \"--sni www.example.com\"\n    \
            http-check expect hdr name X-Check-Code value 0\n\
            HAProxy also shows the code and the reason if the last line continues with:\n    \
            status-code \"res.hdr(x-check-code)\"\n    \
            on-success \"%[res.hdr(x-check-reason)]\"\n    \
            on-error \"%[res.hdr(x-check-reason)]\""
)]
pub struct ServeOptions {
    /// unix:PATH, or ADDR:PORT on the loopback; repeatable; not needed with systemd's socket activation
    #[argh(option, arg_name = "ADDR")]
    pub listen: Vec<String>,

    /// folder whose files requests may name (--ca-file, --crt, --key, --crl-file, --header @);
    /// repeatable (default: no folder)
    #[argh(option, arg_name = "DIR")]
    pub files: Vec<String>,

    /// how many checks may run at once (default: 512); further checks get code 3
    #[argh(option, arg_name = "N")]
    pub max_checks: Option<MaxChecks>,

    /// permissions of the unix socket, octal (default: 0660)
    #[argh(option, arg_name = "MODE")]
    pub mode: Option<SocketMode>,

    /// group of the unix socket, by name or number: the group of HAProxy's user
    #[argh(option, arg_name = "GROUP")]
    pub group: Option<String>,

    /// listen on addresses other than the loopback too; needs --allow-target
    #[argh(switch)]
    pub allow_remote: bool,

    /// check only servers in this network, such as 203.0.113.0/24; repeatable (default: every server)
    #[argh(option, arg_name = "CIDR")]
    pub allow_target: Vec<Network>,

    /// ask the server at --listen (default unix:/run/sni-check/socket) if it works, and exit
    #[argh(switch)]
    pub ping: bool,
}

/// A call of `serve`.
#[derive(Debug)]
pub struct ServeCall {
    /// The options of serve itself.
    pub own: ServeOptions,
    /// Options of a check. Options in a request override them.
    pub defaults: Options,
}

/// How many checks may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxChecks(pub usize);

impl FromStr for MaxChecks {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<MaxChecks, Misfit> {
        let number = text.parse().ok();
        let number = number.filter(|number| (1..=10_000).contains(number));
        let misfit = || Misfit::new("is not a number of checks", "write 1 to 10000, such as 512");
        number.map(MaxChecks).ok_or_else(misfit)
    }
}

/// The permissions of a unix socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketMode(pub u32);

impl FromStr for SocketMode {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<SocketMode, Misfit> {
        let mode = u32::from_str_radix(text, 8).ok();
        let mode = mode.filter(|mode| *mode <= 0o777);
        let misfit = || Misfit::new("is not a mode", "write the mode in octal, such as 0660");
        mode.map(SocketMode).ok_or_else(misfit)
    }
}

/// A network, or a single address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network(IpNet);

impl Network {
    /// Returns true if the network contains the address. An IPv4 address written as IPv6 counts as
    /// IPv4.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

impl FromStr for Network {
    type Err = Misfit;

    fn from_str(text: &str) -> Result<Network, Misfit> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => Some(IpNet::from(address)),
            Err(_) => text.parse().ok(),
        };
        let write = "write ADDR/BITS, such as 203.0.113.0/24";
        let misfit = || Misfit::new("is not a network", write);
        network.map(Network).ok_or_else(misfit)
    }
}

/// Reads the arguments that follow `serve`.
///
/// # Errors
///
/// An error of [`options::parse`], an option that has no meaning for serve, a `--timeout` that is too long
/// for serve, or a target. Each request names its own target.
pub fn parse(words: &[String]) -> Result<Parsed<ServeCall>> {
    let command = ["sni-check", Command::Serve.name()];
    let (own, others) = split_own(words, ServeOptions::get_args_info().flags);
    let own = options::parse_as::<ServeOptions>(&command, &own);
    let defaults = options::table::parse_for(Command::Serve, &others);
    let (own, defaults) = match (own, defaults) {
        (Ok(Parsed::Options(own)), Ok(Parsed::Options(defaults))) => (*own, *defaults),
        (Ok(_), Ok(_)) => return Ok(Parsed::Help),
        (own, defaults) => {
            let faults = own.err().into_iter().chain(defaults.err()).collect();
            return Err(together(faults).unwrap_or_else(|| anyhow!("options that can't be read")));
        }
    };
    if let Some(target) = defaults.target.first() {
        let what = "names a server, but HAProxy names the server in each request";
        return Err(refusal(format!("`{target}`"), what, "leave it out here"));
    }
    if let Some(time) = defaults.timeout {
        refuse_longer(time, &time.to_string())?;
    }
    Ok(Parsed::Options(Box::new(ServeCall { own, defaults })))
}

/// Splits the words into the options in `flags`, with their values, and all other words.
fn split_own(words: &[String], flags: &[FlagInfo<'_>]) -> (Vec<String>, Vec<String>) {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value)),
            None => (word.as_str(), None),
        };
        let Some(flag) = flags.iter().find(|flag| flag.long == name) else {
            others.push(word.clone());
            continue;
        };
        own.push(word.clone());
        if matches!(flag.kind, FlagInfoKind::Option { .. }) && value.is_none() {
            own.extend(words.next().cloned());
        }
    }
    (own, others)
}

#[cfg(test)]
mod tests {
    use super::{Network, Parsed, ServeCall, parse};

    fn words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn call(text: &str) -> ServeCall {
        match parse(&words(text)).expect(text) {
            Parsed::Options(call) => *call,
            Parsed::Help => panic!("help"),
        }
    }

    #[test]
    fn options_of_serve_and_of_checks_may_be_mixed() {
        let call = call("--sni a.example --listen=unix:/s --verify none --files /a --files /b");
        assert_eq!(call.own.listen, ["unix:/s"]);
        assert_eq!(call.own.files, ["/a", "/b"]);
        assert_eq!(call.defaults.sni.as_deref(), Some("a.example"));
        assert!(matches!(parse(&words("--help")), Ok(Parsed::Help)));
        assert!(matches!(
            parse(&words("--listen --help")),
            Ok(Parsed::Help) | Err(_)
        ));
    }

    #[test]
    fn options_without_meaning_for_serve_are_refused() {
        for (text, part) in [
            ("www.example.com", "`www.example.com`"),
            ("--version", "--version"),
            ("--color never", "--color"),
            ("--listen", "--listen has no value"),
            ("--max-checks 0", "--max-checks 0 is not a number of checks"),
            ("--mode 9", "write the mode in octal"),
            ("--allow-target x", "is not a network"),
            ("--lisen unix:/s", "--lisen is not an option"),
        ] {
            let error = parse(&words(text)).expect_err(text).to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn a_network_contains_only_addresses_of_its_ip_version() {
        let contains = |network: &str, address: &str| {
            let network: Network = network.parse().expect("a network");
            network.contains(address.parse().expect("an address"))
        };
        assert!(contains("203.0.113.0/24", "203.0.113.7"));
        assert!(contains("203.0.113.0/24", "::ffff:203.0.113.7"));
        assert!(contains("2001:db8::/32", "2001:db8::1"));
        assert!(contains("203.0.113.7", "203.0.113.7"));
        assert!(!contains("203.0.113.0/24", "203.0.114.7"));
        assert!(!contains("0.0.0.0/0", "2001:db8::1"));
        assert!(!contains("203.0.113.7", "203.0.113.8"));
    }
}
