//! `sni-check serve`: the checks of sni-check for HAProxy's own http-check, by a local server.
//!
//! `connection -> request (options and server) -> plan -> probe -> answer`, each connection on a thread
//! of its own. What HAProxy shows of it: the code as `check_code`, the reason as `last_chk`.

mod address;
mod answer;
mod defaults;
mod limits;
mod listen;
mod options;
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

use self::answer::Answer;
pub(crate) use self::defaults::over;
use self::listen::Listener;
pub use self::options::{ServeCall, ServeOptions, parse};
use self::plans::Plans;
use self::threads::{Connection, Threads};
use crate::code::Code;
use crate::deadline::Deadline;
use crate::output;
use crate::output::write::write_line;
use crate::plan::Output;
use crate::probe;
use crate::probe::socket::Socket;
use crate::start;

const MAX_CHECKS: usize = 512;
/// How long a client may take for the head of its request.
const HEAD: Duration = Duration::from_secs(1);
/// The same for one that has waited in vain, and is only told of the limit.
const HEAD_AT_LIMIT: Duration = Duration::from_millis(5);
/// How long the listeners rest when this process has no descriptor or thread left.
const REST: Duration = Duration::from_millis(50);

/// Serves until the process is asked to end (SIGTERM, SIGINT), and then until the checks that run have
/// ended.
///
/// # Errors
/// Options that are refused; sockets that cannot be listened on.
pub fn run(call: &ServeCall, sni_host: Option<String>) -> Result<Code> {
    let service = Service {
        output: Output::new(&call.defaults)?,
        plans: Plans::new(call, sni_host)?,
    };
    let limit = call.own.max_checks.map_or(MAX_CHECKS, |checks| checks.0);
    limits::raise(limit)?;
    let end = start::termination()?;
    let listeners = listen::open(&call.own)?;
    let names: Vec<String> = listeners.iter().map(Listener::to_string).collect();
    say(
        call,
        &format!("sni-check serve: listening on {}", names.join(" ")),
    );
    limits::notify("READY=1");
    let service = Arc::new(service);
    let threads = Threads::new(limit, move |connection| service.serve(connection))?;
    accept(&listeners, &end, &threads);
    limits::notify("STOPPING=1");
    drop(listeners);
    threads.finish();
    say(call, "sni-check serve: asked to end; every check has ended");
    Ok(Code::Healthy)
}

fn say(call: &ServeCall, text: &str) {
    if !call.defaults.quiet {
        write_line(io::stderr(), text);
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
        for listener in listeners
            .iter()
            .zip(ready)
            .filter_map(|(one, ready)| ready.then_some(one))
        {
            exhausted |= !accept_from(listener, threads);
        }
    }
}

/// Accepts what has come; `false` if this process has nothing left to do it with.
fn accept_from<F>(listener: &Listener, threads: &Threads<F>) -> bool
where
    F: Fn(Connection) + Send + Sync + 'static,
{
    match accept_with(listener, SocketFlags::NONBLOCK | SocketFlags::CLOEXEC) {
        Ok(fd) => threads.serve(fd, Instant::now()).is_ok(),
        Err(Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM) => false,
        // Taken back by the client before it was accepted.
        Err(_) => true,
    }
}

/// What every connection needs.
struct Service {
    output: Output,
    plans: Plans,
}

impl Service {
    /// Serves a connection: one request, one check, one answer.
    fn serve(&self, connection: Connection) {
        let Connection {
            fd,
            accepted,
            within_limit,
        } = connection;
        let head = if within_limit {
            Deadline::new(accepted, HEAD)
        } else {
            Deadline::new(Instant::now(), HEAD_AT_LIMIT)
        };
        let socket = Socket::new(fd, head);
        let request = request::read(&socket);
        if !within_limit {
            return Answer::at_limit().send(&socket);
        }
        let request = match request {
            Ok(None) => return,
            Ok(Some(request)) => request,
            Err(error) => {
                Answer::refused(&error).send(&socket);
                return output::refusal(None, &self.output, &error);
            }
        };
        match self.plans.plan(&request) {
            Ok(plan) => {
                let verdict = probe::run(&plan, accepted);
                Answer::of(&plan, &verdict).send(&socket);
                drop(socket);
                output::verdict(&plan, &verdict);
            }
            Err(error) => {
                Answer::refused(&error).send(&socket);
                output::refusal(Some(&request.server.caller), &self.output, &error);
            }
        }
    }
}
