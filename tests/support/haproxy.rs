//! Runs real HAProxy and reads the state of its servers.

mod version;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use super::folder::Folder;
use super::{PATIENCE, Running, free_port, program, wait_for};
#[allow(unused_imports, reason = "not every test binary uses all of them")]
pub use version::{RELEASES, Version, chosen, installed, versions, with_every_haproxy};

/// The mode in which HAProxy runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// `-W -db`, as the official images run it.
    Foreground,
    /// `-db`: one process, without a master.
    Single,
    /// `-D`: a daemon, which closes descriptors 0 to 2.
    Daemon,
}

/// A running HAProxy.
pub struct Haproxy {
    /// The port of the frontend. The configurations read it from the variable LISTEN.
    pub port: u16,
    folder: Folder,
    process: Running,
}

/// A row of `show stat`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    pub status: String,
    pub check_status: String,
    pub check_code: String,
    pub last_chk: String,
    /// The number of checks that failed while the server was up.
    pub failed_checks: u32,
}

impl Haproxy {
    /// Starts HAProxy with a configuration file. Its environment holds only these variables and
    /// LISTEN.
    pub fn start(mode: Mode, config: &str, variables: &[(&str, &str)]) -> Haproxy {
        installed().start(mode, config, variables)
    }

    /// Like [`start`](Haproxy::start), but runs HAProxy with `command`, for example in a container.
    /// HAProxy must see the same folder for temporary files as this process.
    pub fn start_by(
        mut command: Command,
        mode: Mode,
        config: &str,
        variables: &[(&str, &str)],
    ) -> Haproxy {
        let folder = Folder::new();
        let port = free_port();
        let stats = folder.join("stats");
        // The `stats socket` is in a second file, so that HAProxy loads the configuration
        // unchanged.
        let addition = folder.file(
            "stats.cfg",
            &format!("global\n    stats socket {stats} level admin\n"),
        );
        match mode {
            Mode::Foreground => command.args(["-W", "-db"]),
            Mode::Single => command.arg("-db"),
            Mode::Daemon => command.arg("-D"),
        };
        let process = command
            .args(["-f", config, "-f", &addition, "-p", &folder.join("pid")])
            .env_clear()
            .envs(variables.iter().copied())
            .env("LISTEN", format!("127.0.0.1:{port}"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(folder.join("log")).expect("a log"))
            .spawn()
            .expect("haproxy runs");
        let haproxy = Haproxy {
            port,
            folder,
            process: Running(process),
        };
        wait_for("haproxy to answer", || UnixStream::connect(&stats).ok());
        haproxy
    }

    /// Runs `haproxy -c` on a configuration file.
    pub fn check(config: &str, variables: &[(&str, &str)]) -> Output {
        installed().check(config, variables)
    }

    /// Makes the master ([`Mode::Foreground`]) reload its configuration, and waits for the new
    /// worker.
    pub fn reload(&self) {
        let before = self.worker();
        let master = self.process.0.id().to_string();
        let status = program("kill").args(["-USR2", &master]).status();
        assert!(status.expect("kill runs").success());
        wait_for("a new worker", || {
            // The old worker exits once the new worker runs.
            let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
            let children = children.ok()?;
            let gone = !children
                .split_whitespace()
                .any(|id| id == before.to_string());
            (gone && !children.trim().is_empty()).then_some(())
        });
    }

    /// Returns everything that HAProxy and its checks printed to standard error.
    pub fn log(&self) -> String {
        fs::read_to_string(self.folder.join("log")).unwrap_or_default()
    }

    /// Sends a command to HAProxy's statistics socket. Returns the answer.
    pub fn ask(&self, question: &str) -> Option<String> {
        let mut socket = UnixStream::connect(self.folder.join("stats")).ok()?;
        writeln!(socket, "{question}").ok()?;
        let mut answer = String::new();
        socket.read_to_string(&mut answer).ok()?;
        Some(answer)
    }

    /// Returns a server's row of `show stat`.
    pub fn server(&self, backend: &str, server: &str) -> Option<Server> {
        let mut servers = self.servers(backend)?.into_iter();
        servers.find_map(|(name, found)| (name == server).then_some(found))
    }

    /// Returns the rows of `show stat` for a backend's servers, with their names.
    pub fn servers(&self, backend: &str) -> Option<Vec<(String, Server)>> {
        let rows = self.rows()?.into_iter();
        let own = rows.filter(|(of, ..)| of == backend);
        Some(own.map(|(_, name, server)| (name, server)).collect())
    }

    /// Returns the rows of `show stat` for all servers, by server name. The names must be unique.
    pub fn every_server(&self) -> Option<BTreeMap<String, Server>> {
        let rows = self.rows()?.into_iter();
        Some(rows.map(|(_, name, server)| (name, server)).collect())
    }

    /// Returns each server's backend, name and row.
    fn rows(&self) -> Option<Vec<(String, String, Server)>> {
        let csv = self.ask("show stat")?;
        let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next()?;
        let rows = lines.filter(|row| {
            row.get(1)
                .is_some_and(|name| !["BACKEND", "FRONTEND"].contains(name))
        });
        let servers = rows.map(|row| {
            let field = |name: &str| {
                let at = head
                    .iter()
                    .position(|field| field.trim_start_matches("# ") == name);
                at.map(|at| row[at].to_owned()).unwrap_or_default()
            };
            let server = Server {
                status: field("status"),
                check_status: field("check_status"),
                check_code: field("check_code"),
                last_chk: field("last_chk"),
                failed_checks: field("chkfail").parse().unwrap_or_default(),
            };
            (row[0].to_owned(), row[1].to_owned(), server)
        });
        Some(servers.collect())
    }

    /// Returns the id of the worker process, which runs the checks. HAProxy must run in
    /// [`Mode::Foreground`].
    pub fn worker(&self) -> u32 {
        let master = self.process.0.id();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children"));
        let first = children
            .expect("a master")
            .split(' ')
            .next()
            .map(str::parse);
        first.expect("a worker").expect("a number")
    }

    /// Waits until the last check of a server has this code. `0` means healthy.
    #[track_caller]
    pub fn wait_for_code(&self, backend: &str, server: &str, code: &str) -> Server {
        self.wait(backend, server, code, |seen| seen.check_code == code)
    }

    /// Waits until a server has been checked and has this status.
    #[track_caller]
    pub fn wait_for_status(&self, backend: &str, server: &str, status: &str) -> Server {
        self.wait(backend, server, status, |seen| {
            seen.status == status && !seen.check_status.is_empty()
        })
    }

    /// Waits until a server has been checked, with any result.
    #[track_caller]
    pub fn wait_for_check(&self, backend: &str, server: &str) -> Server {
        self.wait(backend, server, "checked", |seen| {
            let status = seen.check_status.as_str();
            !status.is_empty() && status != "INI" && !status.starts_with('*')
        })
    }

    #[track_caller]
    fn wait(
        &self,
        backend: &str,
        server: &str,
        wanted: &str,
        reached: impl Fn(&Server) -> bool,
    ) -> Server {
        let end = Instant::now() + PATIENCE;
        loop {
            let seen = self.server(backend, server);
            if let Some(seen) = seen.clone().filter(&reached) {
                return seen;
            }
            let late = Instant::now() > end;
            assert!(
                !late,
                "{backend}/{server} is not {wanted} but {seen:?}\n{}",
                self.log()
            );
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Sends a request through the frontend. Returns the status of the response.
    pub fn get(&self, path: &str) -> Option<u16> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        answer.split(' ').nth(1)?.parse().ok()
    }
}

impl Drop for Haproxy {
    fn drop(&mut self) {
        // With -D, the daemon isn't a child of this process. The pid file contains the daemon's process
        // id.
        let pids = fs::read_to_string(self.folder.join("pid")).unwrap_or_default();
        for pid in pids.split_whitespace() {
            let _ = program("kill")
                .args(["-KILL", pid])
                .stderr(Stdio::null())
                .status();
        }
        let _ = self.process.0.kill();
    }
}
