//! Runs a program with a time limit, and keeps the beginning of its output.

use std::io::{self, PipeReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::OwnedFd;
use rustix::io::ioctl_fionbio;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(1);

/// A running program. It is killed when this value is dropped.
pub(crate) struct RunningProgram {
    child: Child,
    pidfd: OwnedFd,
    /// Standard output and standard error, until they are closed.
    output: Option<PipeReader>,
    written: Vec<u8>,
}

/// A program that has ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// `None` if the program took too long and was stopped.
    pub status: Option<ExitStatus>,
    /// The beginning of its output.
    pub written: String,
}

impl RunningProgram {
    /// Starts a program.
    ///
    /// # Errors
    ///
    /// The program can't be started.
    pub(crate) fn start(mut command: Command) -> io::Result<RunningProgram> {
        let (reader, writer) = io::pipe()?;
        ioctl_fionbio(&reader, true)?;
        let child = command.stdout(writer.try_clone()?).stderr(writer).spawn()?;
        Ok(RunningProgram {
            pidfd: pidfd_open(Pid::from_child(&child), PidfdFlags::empty())?,
            child,
            output: Some(reader),
            written: Vec::new(),
        })
    }

    /// Waits until the program ends. After `longest`, sends SIGTERM, as HAProxy does. If the program is still
    /// running a second later, sends SIGKILL.
    ///
    /// # Errors
    ///
    /// The kernel refuses to wait for the program, or to stop it.
    pub(crate) fn wait(mut self, longest: Duration) -> io::Result<Ended> {
        let status = self.ended_within(longest)?;
        if status.is_none() {
            kill_process(Pid::from_child(&self.child), Signal::TERM)?;
            if self.ended_within(GRACE)?.is_none() {
                self.child.kill()?;
                self.child.wait()?;
            }
        }
        self.read();
        Ok(Ended {
            status,
            written: String::from_utf8_lossy(&self.written).into_owned(),
        })
    }

    fn ended_within(&mut self, longest: Duration) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + longest;
        loop {
            self.read();
            if let Some(status) = self.child.try_wait()? {
                return Ok(Some(status));
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let mut events = vec![PollFd::new(&self.pidfd, PollFlags::IN)];
            let output = self.output.iter();
            events.extend(output.map(|pipe| PollFd::new(pipe, PollFlags::IN)));
            // If a signal interrupts the wait, the loop waits again.
            _ = poll(&mut events, Timespec::try_from(left).ok().as_ref());
        }
    }

    /// Reads available output, and keeps only its beginning.
    fn read(&mut self) {
        const MOST: usize = 256 << 10;
        let mut buffer = [0; 16 << 10];
        // The loop is limited, because a program may write without end. Later calls read the rest.
        for _ in 0..16 {
            let Some(output) = &mut self.output else {
                return;
            };
            match output.read(&mut buffer) {
                Ok(0) => self.output = None,
                Ok(length) => {
                    let room = MOST.saturating_sub(self.written.len());
                    self.written.extend(&buffer[..length.min(room)]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return,
            }
        }
    }
}

impl Drop for RunningProgram {
    fn drop(&mut self) {
        // This has no effect if the program has ended.
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Describes a signal, with its name if it is one of the usual signals: `signal 11 (SIGSEGV)`.
pub(crate) fn signal(number: i32) -> String {
    // The standard library writes `signal: 11 (SIGSEGV)`.
    let text = ExitStatus::from_raw(number).to_string();
    text.replacen(": ", " ", 1)
}

#[cfg(test)]
mod tests {
    use super::{Command, Duration, RunningProgram};

    fn shell(script: &str) -> RunningProgram {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", script]);
        RunningProgram::start(command).expect("the shell starts")
    }

    #[test]
    fn a_program_that_takes_too_long_is_killed_even_if_it_ignores_signals() {
        let script = "trap '' TERM; echo here; while :; do :; done";
        let ended = shell(script)
            .wait(Duration::from_millis(100))
            .expect("the program ends");
        assert!(ended.status.is_none());
        assert_eq!(ended.written, "here\n");
    }

    #[test]
    fn large_output_and_background_processes_do_not_delay_the_end() {
        let script = "sleep 5 & head -c 1000000 /dev/zero; exit 3";
        let ended = shell(script)
            .wait(Duration::from_secs(30))
            .expect("the program ends");
        assert_eq!(ended.status.and_then(|status| status.code()), Some(3));
        assert_eq!(ended.written.len(), 256 << 10);
    }
}
