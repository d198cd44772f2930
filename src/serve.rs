//! `sni-check serve`: a local server that runs sni-check's checks for HAProxy's own http-check.
//!
//! `connection -> request (options and server) -> plan -> probe -> answer`, each connection on its own
//! thread. HAProxy shows the code as `check_code` and the reason as `last_chk`.

mod address;
pub(crate) mod answer;
mod defaults;
mod limits;
mod listen;
mod metrics;
mod options;
mod ping;
mod plans;
pub mod request;
mod threads;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with};

use self::answer::{Answer, send_page};
pub(crate) use self::defaults::complete;
use self::listen::Listener;
use self::metrics::Metrics;
pub use self::options::{ServeCall, ServeOptions, parse};
use self::plans::Plans;
use self::request::{Asked, Request};
use self::threads::{Connection, Threads};
use crate::code::Code;
use crate::deadline::Deadline;
use crate::haproxy::Caller;
use crate::output;
use crate::output::write::write_line;
use crate::plan::{Output, UsedUp};
use crate::probe;
use crate::probe::socket::Socket;
use crate::refusal::refusal;
use crate::start;

const MAX_CHECKS: usize = 512;
/// How long a client may take to send the head of its request.
const HEAD: Duration = Duration::from_secs(1);
/// How long a client may take to send the head while serve runs as many checks as it may. serve then answers
/// every request for a check with code 3.
const HEAD_AT_LIMIT: Duration = Duration::from_millis(5);
/// How long serve waits for running checks when it is asked to stop: the longest time limit of a check, and a
/// little more for a delayed check.
const LAST_CHECKS: Duration = Duration::from_secs(61);
/// How long the listeners pause if this process has no descriptor, memory or thread left.
const REST: Duration = Duration::from_millis(50);

/// Serves until the process is asked to stop (SIGTERM, SIGINT), and then finishes the running
/// checks.
///
/// # Errors
///
/// An option is refused, or a socket can't be opened.
pub fn run(call: &ServeCall, sni_host: Option<String>) -> Result<Code> {
    if call.own.ping {
        return ping::run(&call.own);
    }
    let limit = call.own.max_checks.map_or(MAX_CHECKS, |checks| checks.0);
    let service = Service {
        output: Output::new(&call.defaults)?,
        plans: Plans::new(call, limit, sni_host)?,
        metrics: Metrics::default(),
        is_remote: call.own.allow_remote,
    };
    limits::raise(limit)?;
    let end = start::termination()?;
    let listeners = listen::open(&call.own)?;
    let names: Vec<String> = listeners.iter().map(Listener::to_string).collect();
    say(call, &format!("listening on {}", names.join(" ")));
    limits::notify("READY=1");
    let service = Arc::new(service);
    let threads = Threads::new(limit, move |connection| service.serve(connection))?;
    accept(&listeners, &end, &threads);
    limits::notify("STOPPING=1");
    drop(listeners);
    let which = match threads.finish(LAST_CHECKS) {
        true => "every check has finished",
        false => "some checks have not finished",
    };
    say(call, &format!("asked to stop; {which}"));
    Ok(Code::Healthy)
}

fn say(call: &ServeCall, text: &str) {
    if !call.defaults.quiet {
        write_line(io::stderr(), &format!("sni-check serve: {text}"));
    }
}

/// Accepts connections until `end` is readable.
fn accept<F>(listeners: &[Listener], end: &OwnedFd, threads: &Threads<F>)
where
    F: Fn(Connection) + Send + Sync + 'static,
{
    let rest = Timespec::try_from(REST).ok();
    let mut exhausted = false;
    loop {
        let mut ready = vec![PollFd::new(end, PollFlags::IN)];
        if !exhausted {
            ready.extend(listeners.iter().map(|one| PollFd::new(one, PollFlags::IN)));
        }
        let timeout = rest.as_ref().filter(|_| exhausted);
        if let Err(Errno::INTR) = poll(&mut ready, timeout) {
            continue;
        }
        exhausted = false;
        let mut ready = ready.iter().map(|fd| !fd.revents().is_empty());
        if ready.next() == Some(true) {
            return;
        }
        for (listener, _) in listeners.iter().zip(ready).filter(|(_, ready)| *ready) {
            exhausted |= !accept_from(listener, threads);
        }
    }
}

/// Accepts a waiting connection. Returns false if this process has no descriptor, memory or thread for the
/// connection.
fn accept_from<F>(listener: &Listener, threads: &Threads<F>) -> bool
where
    F: Fn(Connection) + Send + Sync + 'static,
{
    match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        Ok(fd) => threads.serve(fd, Instant::now()).is_ok(),
        Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => false,
        // The client closed the connection before it was accepted.
        Err(_) => true,
    }
}

/// The values that every connection needs.
struct Service {
    output: Output,
    plans: Plans,
    metrics: Metrics,
    /// True if other hosts may connect (`--allow-remote`).
    is_remote: bool,
}

impl Service {
    /// Serves a connection: reads one request, and answers with the result of a check, a page or a refusal.
    fn serve(&self, connection: Connection) {
        let (accepted, within_limit) = (connection.accepted, connection.within_limit);
        let head = match within_limit {
            true => Deadline::new(accepted, HEAD),
            false => Deadline::new(Instant::now(), HEAD_AT_LIMIT),
        };
        let socket = Socket::new(connection.fd, head);
        match request::read(&socket) {
            // The metrics name backends and servers, so serve shows no page if other hosts may connect.
            Ok(Some(Asked::Healthy)) if !self.is_remote => send_page(&socket, "healthy\n"),
            Ok(Some(Asked::Metrics)) if !self.is_remote => {
                send_page(&socket, &self.metrics.page());
            }
            _ if !within_limit => {
                self.metrics.count(Code::AtLimit);
                Answer::new(Code::AtLimit, Code::AtLimit.meaning()).send(&socket);
            }
            Ok(Some(Asked::Check(request))) => self.check(&request, socket, accepted),
            Ok(Some(Asked::Healthy | Asked::Metrics)) => {
                let what = "is only for this host";
                let error = refusal("the page", what, "start serve without --allow-remote");
                self.refuse(None, &socket, &error);
            }
            Ok(None) => {}
            Err(error) => self.refuse(None, &socket, &error),
        }
    }

    fn check(&self, request: &Request, socket: Socket, accepted: Instant) {
        match self.plans.plan(request, accepted) {
            Ok(ready) => {
                let verdict = probe::run(&ready.plan, accepted);
                let reason = output::reason(&ready.plan, &verdict);
                Answer::new(verdict.code(), &reason).send(&socket);
                drop(socket);
                self.metrics.add(&ready.plan, &verdict);
                output::verdict(&ready.plan, &verdict);
            }
            Err(error) => self.refuse(Some(&request.server.caller), &socket, &error),
        }
    }

    fn refuse(&self, caller: Option<&Caller>, socket: &Socket, error: &anyhow::Error) {
        let code = match error.is::<UsedUp>() {
            true => Code::AtLimit,
            false => Code::Refused,
        };
        Answer::new(code, &format!("{error:#}")).send(socket);
        self.metrics.count(code);
        output::refusal(caller, &self.output, error);
    }
}
