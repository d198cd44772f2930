//! Makes the plan of each request. serve caches the parts that depend only on the options. The key of the
//! cache is the text of the options. When one of the files in the options changes, serve makes these parts
//! again.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Result;

use super::defaults::complete;
use super::options::{Network, ServeCall};
use super::request::{OPTIONS, Request};
use crate::deadline::Deadline;
use crate::haproxy::Caller;
use crate::options::Options;
use crate::options::expect::{Expectation, Part};
use crate::options::handed::{self, Carrier};
use crate::plan::{
    Allowed, DEFAULT_TIMEOUT, Files, Host, Library, Material, Output, Plan, Share, Target,
};
use crate::refusal::refusal;

/// How many different option texts are cached. A backend needs only one.
const KEPT: usize = 1024;

/// How much memory the files, options and bodies of all requests may use. With this limit, a process with
/// 512 checks at once stays below 64 MB.
const MEMORY: usize = 12 << 20;
/// How much of this memory the options of one request may use, in addition to their files.
const LARGEST_TEXT: usize = 256 << 10;
/// A `--max-head` above this size also counts as used memory.
const USUAL_HEAD: usize = 16 << 10;
/// How long serve may take at its start to read the files that its own command line names.
const START: Duration = Duration::from_secs(10);

/// Makes the plans of requests.
#[derive(Debug)]
pub(super) struct Plans {
    defaults: Options,
    allowed: Arc<Allowed>,
    library: Arc<Library>,
    networks: Vec<Network>,
    remote: bool,
    /// The variable SNI_HOST of this process.
    sni_host: Option<String>,
    kept: Mutex<HashMap<String, Arc<Prepared>>>,
    /// Locked while options are read. Only one thread may read options at a time, because the memory that
    /// they need is known only afterwards.
    reading: Mutex<()>,
}

/// The parts of a plan that depend only on the options.
#[derive(Debug)]
struct Prepared {
    options: Options,
    output: Output,
    material: Material,
    /// The memory that the options use.
    _share: Share,
}

/// A plan, and the memory that its check needs.
#[derive(Debug)]
pub(super) struct Ready {
    pub plan: Plan,
    _prepared: Arc<Prepared>,
    _head: Option<Share>,
}

impl Plans {
    /// Creates the cache, for `checks` checks at once.
    ///
    /// # Errors
    ///
    /// The defaults can't be used for any request. For example, a file can't be read.
    pub fn new(call: &ServeCall, checks: usize, sni_host: Option<String>) -> Result<Plans> {
        let defaults = call.defaults.clone();
        let folders: Vec<PathBuf> = call.own.files.iter().map(PathBuf::from).collect();
        if let Some(folder) = folders.iter().find(|folder| !folder.is_dir()) {
            let subject = format!("--files {}", folder.display());
            let write = "write a folder that exists";
            return Err(refusal(subject, "is not a folder", write));
        }
        let named = defaults.files().map(|(_, file)| file.into()).collect();
        let plans = Plans {
            allowed: Arc::new(Allowed { folders, named }),
            library: Library::new(checks, MEMORY),
            networks: call.own.allow_target.clone(),
            remote: call.own.allow_remote,
            defaults,
            sni_host,
            kept: Mutex::default(),
            reading: Mutex::default(),
        };
        let prepared = plans.prepare("", Instant::now() + START)?;
        plans.refuse_defaults(prepared)?;
        Ok(plans)
    }

    /// Refuses defaults that can't work. To find out, makes the plan of a request that completes the defaults
    /// with a name.
    fn refuse_defaults(&self, prepared: Prepared) -> Result<()> {
        let mut options = prepared.options;
        if options.sni.is_none() && !options.no_sni {
            options.sni = Some("www.example.com".to_owned());
        }
        let mut rules = options.expect.iter();
        if !rules.any(|rule| rule.part() == Part::Body) {
            options.max_body = None;
        }
        let source = options.source.as_deref().unwrap_or_default();
        let address = match source.matches(':').count() > 1 {
            true => "2001:db8::1",
            false => "192.0.2.1",
        };
        let arguments = ["NOT_USED", "NOT_USED", address, "443"].map(str::to_owned);
        let caller = Caller {
            backend: "be".to_owned(),
            server: "s1".to_owned(),
            carrier: OPTIONS,
        };
        let material = &prepared.material;
        let output = prepared.output;
        let plan = Plan::of(&options, material, &arguments, Some(caller), None, output)?;
        match options.connect {
            Some(_) => self.refuse_target(&plan.target),
            None => Ok(()),
        }
    }

    /// Makes the plan of a request that was accepted at `accepted`.
    ///
    /// # Errors
    ///
    /// The options or the server are refused, or no memory is left ([`UsedUp`]).
    pub fn plan(&self, request: &Request, accepted: Instant) -> Result<Ready> {
        let prepared = self.prepared(&request.options, accepted)?;
        let server = &request.server;
        let address = server.address.map(|address| address.to_string());
        let arguments = [
            "NOT_USED".to_owned(),
            "NOT_USED".to_owned(),
            address.unwrap_or_default(),
            server.port.clone(),
        ];
        let mut plan = Plan::of(
            &prepared.options,
            &prepared.material,
            &arguments,
            Some(server.caller.clone()),
            self.sni_host.as_deref(),
            prepared.output.clone(),
        )?;
        self.refuse_target(&plan.target)?;
        plan.request.memory = Some(self.library.memory.clone());
        let head = plan.request.max_head.filter(|size| *size > USUAL_HEAD);
        // The head is in memory twice: in the buffer and in the fields.
        let head = head.map(|size| self.library.take(2 * size)).transpose()?;
        Ok(Ready {
            plan,
            _prepared: prepared,
            _head: head,
        })
    }

    fn prepared(&self, text: &str, accepted: Instant) -> Result<Arc<Prepared>> {
        let found = self.lock().get(text).cloned();
        if let Some(prepared) = found {
            let files = self.files(accepted + timeout(&prepared.options));
            if prepared.material.is_current(&files)? {
                return Ok(prepared);
            }
        }
        let prepared = Arc::new(self.prepare(text, accepted)?);
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

    /// Returns access to the files that requests may name. Reads must finish by `end`.
    fn files(&self, end: Instant) -> Files {
        let deadline = Deadline::new(end, Duration::ZERO);
        Files::only(self.allowed.clone()).read_by(self.library.clone(), deadline)
    }

    fn prepare(&self, text: &str, accepted: Instant) -> Result<Prepared> {
        if self.library.memory.left() < MEMORY / 2 {
            self.lock().clear();
            self.library.forget_unused();
        }
        let (options, size) = {
            let _alone = self.reading.lock().unwrap_or_else(PoisonError::into_inner);
            let options = complete(self.parse(text)?, &self.defaults);
            let size = size(text, &options);
            (options, size)
        };
        if size > LARGEST_TEXT {
            let what = format!(
                "needs more than {} kB of memory, a limit of sni-check serve",
                LARGEST_TEXT >> 10
            );
            return Err(refusal(OPTIONS, what, "shorten its regular expressions"));
        }
        let share = self.library.take(size)?;
        let output = Output::new(&options)?;
        let files = self.files(accepted + timeout(&options));
        let trusts_same = |other: &&Arc<Prepared>| other.material.trusts_as(&options);
        let other = self.lock().values().find(trusts_same).cloned();
        let other = other.as_ref().map(|other| &other.material);
        let material = Material::read_sharing(&options, &files, other)?;
        Ok(Prepared {
            options,
            output,
            material,
            _share: share,
        })
    }

    /// Reads the options of a request, and refuses options that a request may not have.
    fn parse(&self, text: &str) -> Result<Options> {
        let given = *handed::options(Carrier::Header, OsStr::new(text))?;
        if self.remote && given.syslog.is_some() {
            let what = "in a request could send messages to any host";
            let write = "give --syslog to sni-check serve itself";
            return Err(refusal("--syslog", what, write));
        }
        Ok(given)
    }

    /// Refuses servers outside the networks of `--allow-target`.
    fn refuse_target(&self, target: &Target) -> Result<()> {
        let mut networks = self.networks.iter();
        match target {
            _ if self.networks.is_empty() => Ok(()),
            Target::Tcp {
                host: Host::Ip(ip), ..
            } if networks.any(|one| one.contains(*ip)) => Ok(()),
            target => {
                let what = "is in no network of --allow-target";
                let write = "start serve with a CIDR that contains it";
                Err(refusal(target.to_string(), what, write))
            }
        }
    }
}

fn timeout(options: &Options) -> Duration {
    options.timeout.map_or(DEFAULT_TIMEOUT, |time| time.0)
}

/// Estimates the memory of options: several copies of their words, a client certificate, and
/// compiled regular expressions.
fn size(text: &str, options: &Options) -> usize {
    let rules = options.expect.iter().map(Expectation::size);
    (4 << 10) + 4 * text.len() + rules.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use super::super::options::parse;
    use super::{Instant, Plan, Plans, Request};
    use crate::options::Parsed;

    fn plans(text: &str) -> Plans {
        let words: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        match parse(&words).expect(text) {
            Parsed::Options(call) => Plans::new(&call, 8, None).expect(text),
            Parsed::Help => panic!("help"),
        }
    }

    fn plan(plans: &Plans, options: &str) -> anyhow::Result<Plan> {
        let state = "UP; address=192.0.2.7; port=443; name=be/srv; node=x";
        let request = Request {
            options: options.to_owned(),
            server: super::super::request::Server::parse(state).expect(state),
        };
        let ready = plans.plan(&request, Instant::now());
        ready.map(|ready| ready.plan)
    }

    #[test]
    fn the_request_names_the_server_and_completes_the_defaults() {
        let plans = plans("--sni a.example --uri /default");
        let planned = plan(&plans, "--uri /x").expect("a plan");
        assert_eq!(planned.target.to_string(), "192.0.2.7:443");
        assert_eq!(planned.subject(), "be/srv");
        assert_eq!(planned.request.uri.path(), "/x");
        assert_eq!(planned.names.host, "a.example");
        let planned = plan(&plans, "").expect("a plan");
        assert_eq!(planned.request.uri.path(), "/default");
    }

    #[test]
    fn options_that_a_request_may_not_have_are_refused() {
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
            ("", "--sni a --listen unix:/s", "--listen is for serve"),
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
            let error = plan(&plans(command), options).expect_err(options);
            let error = format!("{error:#}");
            assert!(error.contains(part), "{options}: {error}");
        }
        assert!(plan(&plans(remote), "--sni a").is_ok());
    }

    #[test]
    fn the_same_roots_are_kept_once() {
        let plans = plans("--ca-file @system-ca");
        let trust = |options: &str| {
            let plan = plan(&plans, options).expect("a plan");
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
    fn the_number_of_cached_options_is_limited() {
        let plans = plans("");
        for number in 0..2000 {
            let options = format!("--sni a{number}.example");
            plan(&plans, &options).expect("a plan");
        }
        assert!(plans.kept.lock().expect("a lock").len() <= super::KEPT);
    }

    #[test]
    fn large_options_are_refused_and_the_memory_of_the_cache_is_limited() {
        let plans = plans("");
        let rules = " --expect 'rstring ((a{1,90}|b){1,9}){1,9}'".repeat(60);
        let error = plan(&plans, &format!("--sni a.example{rules}")).expect_err("too large");
        assert!(
            error.to_string().contains("a limit of sni-check serve"),
            "{error}"
        );
        let before = plans.library.memory.left();
        for number in 0..200 {
            let rules = " --expect 'rstring (a{1,90}|b){1,20}'".repeat(20);
            plan(&plans, &format!("--sni a{number}.example{rules}")).expect("a plan");
        }
        assert!(plans.library.memory.left() > before / 4);
        plans.kept.lock().expect("a lock").clear();
        assert!(plans.library.memory.left() >= before);
    }
}
