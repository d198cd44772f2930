//! Checks with a clock that is wrong by decades. The test never sets this machine's clock. It
//! traces the program and changes the answer when the program asks the kernel for the time. It also
//! hides the vDSO, because the vDSO gives the time without a system call.
#![cfg(target_arch = "x86_64")]

use std::io::Read as _;
use std::os::unix::process::ExitStatusExt as _;
use std::process::{ExitStatus, Output, Stdio};

use nix::libc::{AT_IGNORE, AT_NULL, AT_SYSINFO_EHDR, CLOCK_REALTIME, SYS_clock_gettime, c_long};
use nix::sys::ptrace::{self, Options};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use rcgen::date_time_ymd;
use time::OffsetDateTime;

use crate::support::NAME;
use crate::support::check::{BINARY, expect, haproxy_command};
use crate::support::folder::Folder;
use crate::support::peer::{OK, answer};
use crate::support::pki::{Ca, Leaf};

/// Runs a check of a backend with this certificate at different times, in seconds of Unix time.
/// Each time the check asks for the time, it gets the next value of `times`.
#[expect(clippy::zombie_processes, reason = "the tracer waits for the child")]
fn check(times: &[i64], ca: &Ca, leaf: &Leaf) -> Output {
    let folder = Folder::new();
    let file = folder.file("ca.pem", &ca.pem);
    let port = answer(leaf, OK).to_string();
    let options = format!("--sni {NAME} --ca-file {file} --min-cert-days 1 --timeout 30s");
    // The shell stops until the tracer is attached. Then it executes the check.
    let script = "kill -STOP $$; exec \"$0\" \"$@\"";
    let mut child = haproxy_command(
        &["/bin/sh", "-c", script, BINARY],
        &options,
        "127.0.0.1",
        &port,
    )
    .stderr(Stdio::piped())
    .spawn()
    .expect("a shell");
    let status = run_at(times, Pid::from_raw(child.id() as i32));
    let mut stderr = Vec::new();
    let mut line = child.stderr.take().expect("a pipe");
    line.read_to_end(&mut stderr).expect("the line");
    Output {
        status,
        stdout: Vec::new(),
        stderr,
    }
}

/// Continues the stopped shell, and gives these times to the check that the shell executes.
fn run_at(times: &[i64], pid: Pid) -> ExitStatus {
    let mut times = times.iter().copied().cycle();
    waitpid(pid, Some(WaitPidFlag::WUNTRACED)).expect("a child that stops");
    let options = Options::PTRACE_O_TRACEEXEC
        | Options::PTRACE_O_TRACECLONE
        | Options::PTRACE_O_TRACESYSGOOD
        | Options::PTRACE_O_EXITKILL;
    ptrace::seize(pid, options).expect("a child to trace");
    kill(pid, Signal::SIGCONT).expect("a child");
    // This waits for the child's threads too, but not for children of other tests.
    let own = WaitPidFlag::__WALL | WaitPidFlag::__WNOTHREAD;
    loop {
        let (stopped, signal) = match waitpid(None, Some(own)).expect("a child") {
            WaitStatus::Exited(ended, code) if ended == pid => {
                return ExitStatus::from_raw(code << 8);
            }
            WaitStatus::Signaled(ended, signal, _) if ended == pid => {
                return ExitStatus::from_raw(signal as i32);
            }
            WaitStatus::PtraceEvent(stopped, _, nix::libc::PTRACE_EVENT_EXEC) => {
                hide_vdso(stopped);
                (stopped, None)
            }
            // A new thread stops for its tracer.
            WaitStatus::PtraceEvent(stopped, ..) => (stopped, None),
            WaitStatus::PtraceSyscall(stopped) => {
                set_time(&mut times, stopped);
                (stopped, None)
            }
            WaitStatus::Stopped(stopped, signal) => (stopped, Some(signal)),
            _ => continue,
        };
        // This fails if the thread has exited in the meantime.
        let _ = ptrace::syscall(stopped, signal);
    }
}

fn read(pid: Pid, address: u64) -> c_long {
    ptrace::read(pid, address as ptrace::AddressType).expect("the child's memory")
}

fn write(pid: Pid, address: u64, value: c_long) {
    ptrace::write(pid, address as ptrace::AddressType, value).expect("the child's memory");
}

/// Hides the vDSO. At a program's start, the stack holds the number of arguments, the arguments, 0,
/// the environment, 0, and pairs. One pair holds the address of the vDSO (getauxval(3)).
fn hide_vdso(pid: Pid) {
    let stack = ptrace::getregs(pid).expect("the child's registers").rsp;
    let mut at = stack + 8 * (read(pid, stack) as u64 + 2);
    while read(pid, at) != 0 {
        at += 8;
    }
    at += 8;
    while read(pid, at) != AT_SYSINFO_EHDR as c_long {
        assert_ne!(read(pid, at), AT_NULL as c_long, "there is no vDSO");
        at += 16;
    }
    write(pid, at, AT_IGNORE as c_long);
}

/// Changes the seconds that a successful clock_gettime call has just returned.
fn set_time(times: &mut impl Iterator<Item = i64>, pid: Pid) {
    let registers = ptrace::getregs(pid).expect("the child's registers");
    let call = registers.orig_rax as c_long;
    if call == SYS_clock_gettime && registers.rdi as i32 == CLOCK_REALTIME && registers.rax == 0 {
        let time = times.next().expect("a time");
        write(pid, registers.rsi, time);
    }
}

/// Returns a CA and a leaf that it signed, both valid between these years.
fn valid(from: i32, to: i32) -> (Ca, Leaf) {
    let years = move |params: &mut rcgen::CertificateParams| {
        params.not_before = date_time_ymd(from, 1, 1);
        params.not_after = date_time_ymd(to, 1, 1);
    };
    let ca = Ca::with("Test CA", years);
    let leaf = ca.leaf_with(&[NAME], years);
    (ca, leaf)
}

#[test]
fn certificates_are_judged_correctly_in_1970_and_in_2100() {
    let today = OffsetDateTime::now_utc().year();
    let (ca, leaf) = valid(today - 1, today + 2);
    // The clock of a machine without a clock battery starts at about this time.
    let early = 5;
    let late = date_time_ymd(2100, 6, 1).unix_timestamp();
    expect(
        &check(&[early], &ca, &leaf),
        53,
        "(is this host's clock right?)",
    );
    expect(&check(&[late], &ca, &leaf), 51, "expired");
    // A certificate from 1970 is valid until it expires.
    let (ca, leaf) = valid(1970, 1971);
    expect(&check(&[early], &ca, &leaf), 0, "");
    let after_its_end = date_time_ymd(1971, 1, 1).unix_timestamp() + 5;
    expect(&check(&[after_its_end], &ca, &leaf), 51, "expired");
    let (ca, leaf) = valid(2099, 2101);
    expect(&check(&[late], &ca, &leaf), 0, "");
    let hours_before_its_end = date_time_ymd(2101, 1, 1).unix_timestamp() - 12 * 3600;
    expect(
        &check(&[hours_before_its_end], &ca, &leaf),
        57,
        "expires in 0 days",
    );
    // 32-bit counters of seconds overflow in 2038 and in 2106.
    let (ca, leaf) = valid(2037, 2110);
    for time in [1 << 31, 1 << 32] {
        expect(&check(&[time], &ca, &leaf), 0, "");
    }
}

/// The clock changes again and again while the check runs. The deadline doesn't move, and the check
/// ends with 0 or a certificate code.
#[test]
fn a_clock_that_jumps_gives_healthy_or_a_certificate_code() {
    let today = OffsetDateTime::now_utc();
    let (ca, leaf) = valid(today.year() - 1, today.year() + 2);
    let now = today.unix_timestamp();
    let late = date_time_ymd(2100, 6, 1).unix_timestamp();
    for times in [
        &[5, now, late][..],
        &[late, 5],
        &[now, late],
        &[i64::MAX / 4, -1],
    ] {
        let output = check(times, &ca, &leaf);
        let code = output.status.code();
        assert!(
            matches!(code, Some(0 | 51 | 53 | 57)),
            "{times:?}: {output:?}"
        );
    }
}
