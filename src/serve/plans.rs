//! The plan of each request. Everything that depends only on the options is kept under their text, with
//! the content of their files, until one of the files changes.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;

use super::defaults::over;
use super::options::{Network, ServeCall};
use super::request::Request;
use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::plan::{Allowed, Files, Host, Material, Output, Plan, Target};
use crate::refusal::refusal;

/// How many different texts of options are kept. A backend of HAProxy has one.
const KEPT: usize = 1024;

/// Makes the plans of requests.
#[derive(Debug)]
pub(super) struct Plans {
    defaults: Options,
    allowed: Arc<Allowed>,
    networks: Vec<Network>,
    remote: bool,
    /// The variable SNI_HOST of this process.
    sni_host: Option<String>,
    kept: Mutex<HashMap<String, Arc<Prepared>>>,
}

/// Everything about a plan that depends only on the options.
#[derive(Debug)]
struct Prepared {
    options: Options,
    output: Output,
    material: Material,
}

impl Plans {
    /// # Errors
    /// Defaults that no request could use, such as a file that can't be read.
    pub fn new(call: &ServeCall, sni_host: Option<String>) -> Result<Plans> {
        let defaults = call.defaults.clone();
        let folders = call.own.files.iter().map(PathBuf::from).collect();
        let named = defaults
            .files()
            .map(|(_, file)| PathBuf::from(file))
            .collect();
        let plans = Plans {
            allowed: Arc::new(Allowed { folders, named }),
            networks: call.own.allow_target.clone(),
            remote: call.own.allow_remote,
            defaults,
            sni_host,
            kept: Mutex::default(),
        };
        plans.prepare("")?;
        Ok(plans)
    }

    /// # Errors
    /// Options that are refused, and a server that may not be checked.
    pub fn plan(&self, request: &Request) -> Result<Plan> {
        let prepared = self.prepared(&request.options)?;
        let server = &request.server;
        let address = server.address.map(|address| address.to_string());
        let arguments = [
            "NOT_USED".to_owned(),
            "NOT_USED".to_owned(),
            address.unwrap_or_default(),
            server.port.clone(),
        ];
        let plan = Plan::of(
            &prepared.options,
            &prepared.material,
            &arguments,
            Some(server.caller.clone()),
            self.sni_host.as_deref(),
            prepared.output.clone(),
        )?;
        self.refuse_target(&plan.target)?;
        Ok(plan)
    }

    fn prepared(&self, text: &str) -> Result<Arc<Prepared>> {
        let found = self.lock().get(text).cloned();
        if let Some(prepared) = found.filter(|prepared| prepared.material.is_current()) {
            return Ok(prepared);
        }
        let prepared = Arc::new(self.prepare(text)?);
        let mut kept = self.lock();
        if kept.len() >= KEPT && !kept.contains_key(text) {
            kept.clear();
        }
        kept.insert(text.to_owned(), prepared.clone());
        Ok(prepared)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Prepared>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prepare(&self, text: &str) -> Result<Prepared> {
        let given = self.parse(text)?;
        let options = over(given, &self.defaults);
        let output = Output::new(&options)?;
        let files = Files::only(self.allowed.clone());
        let beside = self
            .lock()
            .values()
            .find(|other| other.material.trusts_as(&options))
            .cloned();
        let beside = beside.as_ref().map(|other| &other.material);
        let material = Material::read_beside(&options, &files, beside)?;
        Ok(Prepared {
            options,
            output,
            material,
        })
    }

    /// Reads the options of a request, and refuses those that a request may not have.
    fn parse(&self, text: &str) -> Result<Options> {
        let given = *handed::options(Carrier::Header, OsStr::new(text))?;
        if self.remote && given.syslog.is_some() {
            let what = "in a request could send anywhere";
            let write = "give --syslog to sni-check serve itself";
            return Err(refusal("--syslog", what, write));
        }
        Ok(given)
    }

    /// Refuses servers outside the networks of `--allow-target`.
    fn refuse_target(&self, target: &Target) -> Result<()> {
        let inside = |address: IpAddr| {
            self.networks
                .iter()
                .any(|network| network.contains(address))
        };
        let allowed = self.networks.is_empty()
            || matches!(target, Target::Tcp { host: Host::Ip(address), .. } if inside(*address));
        if allowed {
            return Ok(());
        }
        let write = "start sni-check serve with a CIDR that it is in";
        Err(refusal(
            target.to_string(),
            "is in no network of --allow-target",
            write,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::super::options::parse;
    use super::{Plans, Request};
    use crate::options::Parsed;

    fn plans(text: &str) -> Plans {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match parse(&words).expect(text) {
            Parsed::Options(call) => Plans::new(&call, None).expect(text),
            Parsed::Help => panic!("help"),
        }
    }

    fn request(options: &str) -> Request {
        let state = "UP; address=192.0.2.7; port=443; name=be/srv; node=x";
        Request {
            options: options.to_owned(),
            server: super::super::request::Server::parse(state).expect(state),
        }
    }

    #[test]
    fn the_server_comes_from_the_request_and_the_rest_from_both() {
        let plans = plans("--sni a.example --uri /default");
        let plan = plans.plan(&request("--uri /x")).expect("a plan");
        assert_eq!(plan.target.to_string(), "192.0.2.7:443");
        assert_eq!(plan.subject(), "be/srv");
        assert_eq!(plan.request.uri.path(), "/x");
        assert_eq!(plan.names.host, "a.example");
        let plan = plans.plan(&request("")).expect("a plan");
        assert_eq!(plan.request.uri.path(), "/default");
    }

    #[test]
    fn what_a_request_may_not_say_is_refused() {
        let remote = "--allow-remote --allow-target 192.0.2.0/24";
        for (command, options, part) in [
            ("", "", "no SNI name"),
            ("", "www.example.com", "begin with an option"),
            (
                "",
                "--sni 'a",
                "X-Check-Options has a quote that is not closed",
            ),
            ("", "--sni a --help", "--help"),
            ("", "--sni a --version", "--version"),
            ("", "--sni a b", "`b`"),
            ("", "--sni a --timeout 2m", "limit of sni-check serve"),
            ("", "--sni a --listen unix:/s", "--listen is not an option"),
            ("", "--sni a --ca-file /etc/passwd", "--files DIR"),
            (remote, "--sni a --syslog 192.0.2.7", "--syslog"),
            (
                remote,
                "--sni a --connect 192.0.3.7",
                "no network of --allow-target",
            ),
            (
                remote,
                "--sni a --connect a.example",
                "no network of --allow-target",
            ),
            (
                remote,
                "--sni a --connect /run/socket",
                "no network of --allow-target",
            ),
        ] {
            let error = plans(command).plan(&request(options)).expect_err(options);
            let error = format!("{error:#}");
            assert!(error.contains(part), "{options}: {error}");
        }
        assert!(plans(remote).plan(&request("--sni a")).is_ok());
    }

    #[test]
    fn the_same_roots_are_kept_once() {
        let plans = plans("--ca-file @system-ca");
        let trust = |options: &str| {
            let plan = plans.plan(&request(options)).expect("a plan");
            plan.tls
                .verification
                .as_ref()
                .expect("verified")
                .trust
                .clone()
        };
        let (first, other) = (trust("--sni a.example"), trust("--sni b.example"));
        assert!(std::sync::Arc::ptr_eq(&first, &other));
        let bundled = trust("--sni a.example --ca-file @bundled");
        assert!(!std::sync::Arc::ptr_eq(&first, &bundled));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let plans = plans("");
        for number in 0..2000 {
            let options = format!("--sni a{number}.example");
            plans.plan(&request(&options)).expect("a plan");
        }
        assert!(plans.kept.lock().expect("a lock").len() <= super::KEPT);
    }
}
