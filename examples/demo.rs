//! `make demo` shows the main job of sni-check, with a real HAProxy.
//!
//! A backend refuses clients without SNI. HAProxy's built-in check sends no SNI. sni-check does.
//! `sni-check diagnose` names the cause and the line to change. The demo shows a visitor's request
//! through HAProxy before and after the change.
//!
//! Usage: `demo PATH_OF_SNI_CHECK`. The demo exits 1 if a result isn't the expected result.
#![allow(clippy::print_stdout, reason = "a demonstration prints")]

#[path = "../tests/support/folder.rs"]
#[allow(dead_code)]
mod folder;
#[path = "../tests/support/pki.rs"]
#[allow(dead_code)]
mod pki;

use std::env;
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustls::pki_types::{PrivateKeyDer, pem::PemObject};
use rustls::server::Acceptor;
use rustls::{ServerConfig, StreamOwned};

const NAME: &str = "www.example.test";
const PATIENCE: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    let program = std::env::args().nth(1).expect("the path of sni-check");
    let mut stage = Stage::set(&program);
    println!(
        "1. A backend on port {}, for {NAME}. It refuses clients without SNI:",
        stage.backend
    );
    stage.by_hand(&program, "--no-sni");
    stage.by_hand(&program, "");
    println!(
        "\n2. HAProxy on port {} with that backend twice: `builtin` has HAProxy's own check",
        stage.front
    );
    println!("   (check ssl), `sni` has `external-check command sni-check`:\n");
    print!("{}", indented_sections(&stage.servers()));
    let before = stage.await_verdicts("DOWN");
    println!("\n3. HAProxy's view of both servers, from its statistics:\n");
    print_verdicts(&before);
    let unserved = stage.get();
    println!("\n   A visitor's request, GET / -> {unserved}");
    println!("\n4. One command names the cause and the line to change:\n");
    println!("   $ sni-check diagnose -f haproxy.cfg\n");
    print!("{}", indented(&stage.diagnose(&program, &[])));
    let changed = stage.change(&program);
    println!("\n5. HAProxy with that line:\n");
    let after = stage.await_verdicts("UP");
    print_verdicts(&after);
    let answer = stage.get();
    println!("\n   A visitor's request, GET / -> {answer}");
    let are_expected = |rows: &[[String; 3]], builtin: &str| {
        rows[0][0] == builtin && rows[1][0] == "UP" && rows[1][2] == "0"
    };
    let before_as_expected = are_expected(&before, "DOWN") && unserved == 503;
    let after_as_expected = are_expected(&after, "UP") && answer == 200;
    let success = before_as_expected && changed && after_as_expected;
    println!(
        "\n{}",
        if success {
            "That is all."
        } else {
            "This is NOT the expected result."
        }
    );
    ExitCode::from(u8::from(!success))
}

fn print_verdicts(rows: &[[String; 3]]) {
    println!("   server    status   check     code   meaning");
    for (server, row) in ["builtin", "sni"].into_iter().zip(rows) {
        let [status, check, code] = row;
        println!(
            "   {server:<9} {status:<8} {check:<9} {code:<6} {}",
            meaning(check)
        );
    }
}

/// Indents every line.
fn indented(text: &str) -> String {
    let lines = text.lines().map(|line| format!("   {line}"));
    lines.map(|line| format!("{}\n", line.trim_end())).collect()
}

fn meaning(check: &str) -> &'static str {
    match check {
        "PROCOK" => "healthy: sni-check exited with 0",
        "PROCERR" => "sni-check's exit code says why",
        "L6RSP" => "SSL handshake failure, and no word about SNI",
        "L6OK" => "healthy: the check sends SNI",
        _ => "",
    }
}

/// Indents every line. The lines of a section are indented further than its first line.
fn indented_sections(text: &str) -> String {
    let line = |line: &str| {
        let line = line.trim();
        let head = ["defaults", "backend "]
            .iter()
            .any(|head| line.starts_with(head));
        format!("   {}{line}\n", if head { "" } else { "    " })
    };
    text.lines().map(line).collect()
}

/// The backend and HAProxy, both on free ports of the loopback.
struct Stage {
    folder: folder::Folder,
    backend: u16,
    front: u16,
    haproxy: Child,
}

impl Stage {
    fn set(program: &str) -> Stage {
        let folder = folder::Folder::new();
        let ca = pki::Ca::new();
        folder.file("ca.pem", &ca.pem);
        let copy = folder.join("sni-check");
        fs::copy(program, &copy).expect("a copy of sni-check");
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).expect("permissions");
        let backend = serve(&ca.leaf(&[NAME], 30));
        let front = free_port();
        let mut stage = Stage {
            backend,
            front,
            haproxy: Command::new("true").spawn().expect("true runs"),
            folder,
        };
        stage.folder.file("haproxy.cfg", &stage.config());
        stage.start();
        stage
    }

    /// Stops HAProxy if it runs, and starts it.
    fn start(&mut self) {
        _ = self.haproxy.kill();
        _ = self.haproxy.wait();
        // HAProxy runs without -W, because the master of -W executes itself again. The HAProxy of a
        // different Debian release starts through its own dynamic loader, so it can't execute
        // itself.
        let haproxy = env::var_os("HAPROXY").unwrap_or_else(|| "haproxy".into());
        self.haproxy = Command::new(haproxy)
            .args(["-db", "-f", &self.folder.join("haproxy.cfg")])
            .env("PATH", "/usr/sbin:/usr/bin")
            .stdout(Stdio::null())
            .stderr(fs::File::create(self.folder.join("log")).expect("a log"))
            .spawn()
            .expect("haproxy (make setup installs it)");
    }

    /// Returns what `sni-check diagnose` prints about the servers.
    fn diagnose(&self, program: &str, options: &[&str]) -> String {
        let haproxy = env::var("HAPROXY").unwrap_or_else(|_| "haproxy".to_owned());
        let mut command = Command::new(program);
        command
            .args(["diagnose", "-f", "haproxy.cfg"])
            .args(options);
        if haproxy.contains('/') {
            command.args(["--haproxy", &haproxy]);
        }
        command.current_dir(self.folder.path());
        let output = command.output().expect("sni-check runs");
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }

    /// Puts the lines that diagnose prints into haproxy.cfg, and restarts HAProxy. Returns false if
    /// diagnose printed no lines.
    fn change(&mut self, program: &str) -> bool {
        let report = self.diagnose(program, &["--json"]);
        let Ok(report) = serde_json::from_str::<serde_json::Value>(&report) else {
            return false;
        };
        let config = self.folder.join("haproxy.cfg");
        let mut text = fs::read_to_string(&config).expect("the configuration");
        let hunks = report["servers"][0]["diff"].as_array();
        for hunk in hunks.into_iter().flatten() {
            let line = |name: &str| hunk[name].as_str().unwrap_or_default().to_owned();
            text = text.replace(&line("old"), &line("new"));
        }
        fs::write(&config, text).expect("the configuration");
        self.start();
        hunks.is_some()
    }

    fn servers(&self) -> String {
        let (backend, folder) = (self.backend, self.folder.path().display());
        let server = format!("127.0.0.1:{backend} sni str({NAME}) check");
        format!(
            "defaults
                mode http
                timeout connect 5s
                timeout client 5s
                timeout server 5s
                default-server ssl verify required ca-file {folder}/ca.pem inter 500ms
             backend builtin
                server builtin {server}
             backend sni
                option external-check
                external-check command {folder}/sni-check
                external-check path \"--sni {NAME} --ca-file {folder}/ca.pem\"
                server sni {server}\n"
        )
    }

    fn config(&self) -> String {
        let servers = self.servers();
        format!(
            "global
                external-check
                insecure-fork-wanted
                stats socket {}
             {servers}
             frontend www
                bind 127.0.0.1:{}
                default_backend builtin\n",
            self.folder.join("stats"),
            self.front
        )
    }

    fn by_hand(&self, program: &str, option: &str) {
        let output = Command::new(program)
            .args(option.split_whitespace())
            .args(["--ca-file", &self.folder.join("ca.pem")])
            .args([
                &format!("--connect=127.0.0.1:{}", self.backend),
                "--verify-host",
                NAME,
                NAME,
            ])
            .output()
            .expect("sni-check runs");
        println!(
            "\n   $ sni-check {option}{}{NAME}",
            if option.is_empty() { "" } else { " " }
        );
        let text = [output.stdout, output.stderr].concat();
        print!("{}", indented(&String::from_utf8_lossy(&text)));
    }

    /// Waits until both servers have been checked and the server `builtin` has this status, but at most
    /// [`PATIENCE`]. Returns status, check_status and check_code of each server, or `?` for a server without
    /// a row.
    fn await_verdicts(&self, builtin: &str) -> Vec<[String; 3]> {
        let end = Instant::now() + PATIENCE;
        loop {
            let rows: Vec<_> = ["builtin", "sni"]
                .iter()
                .filter_map(|name| self.row(name))
                .collect();
            let decided = |row: &[String; 3]| !row[1].is_empty() && row[1] != "INI";
            let settled = rows.len() == 2 && rows.iter().all(decided) && rows[0][0] == builtin;
            if settled || Instant::now() > end {
                let missing = ["?", "?", "?"].map(str::to_owned);
                return rows
                    .into_iter()
                    .chain([missing.clone(), missing])
                    .take(2)
                    .collect();
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    fn row(&self, name: &str) -> Option<[String; 3]> {
        let mut socket = UnixStream::connect(self.folder.join("stats")).ok()?;
        socket.write_all(b"show stat\n").ok()?;
        let mut csv = String::new();
        socket.read_to_string(&mut csv).ok()?;
        let mut lines = csv.lines().map(|line| line.split(',').collect::<Vec<_>>());
        let head = lines.next()?;
        let row = lines.find(|row| row[..2] == [name, name])?;
        let field =
            |name: &str| Some(row[head.iter().position(|field| *field == name)?].to_owned());
        Some([
            field("status")?,
            field("check_status")?.replace("* ", ""),
            field("check_code")?,
        ])
    }

    fn get(&self) -> u16 {
        let answer = TcpStream::connect(("127.0.0.1", self.front)).and_then(|mut stream| {
            stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        });
        let status = answer
            .ok()
            .and_then(|answer| answer.split(' ').nth(1)?.parse().ok());
        status.unwrap_or(0)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        let _ = self.haproxy.kill();
        let _ = self.haproxy.wait();
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Starts the backend and returns its port. The backend answers 200 to clients that send its name, and
/// refuses other clients, as CloudFront does.
fn serve(leaf: &pki::Leaf) -> u16 {
    let key = PrivateKeyDer::from_pem_slice(leaf.key_pem.as_bytes()).expect("a key");
    let config =
        ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![leaf.certificate.der().clone()], key)
            .expect("a certificate");
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let config = config.clone();
            thread::spawn(move || converse(stream, config));
        }
    });
    port
}

fn converse(mut stream: TcpStream, config: Arc<ServerConfig>) -> Option<()> {
    stream.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
    let mut acceptor = Acceptor::default();
    let accepted = loop {
        acceptor.read_tls(&mut stream).ok()?;
        if let Some(accepted) = acceptor.accept().ok()? {
            break accepted;
        }
    };
    if accepted.client_hello().server_name() != Some(NAME) {
        // A fatal alert, unrecognized_name (RFC 6066, section 3).
        return stream.write_all(&[21, 3, 3, 0, 2, 2, 112]).ok();
    }
    let mut stream = StreamOwned::new(accepted.into_connection(config).ok()?, stream);
    let mut head = Vec::new();
    let mut buffer = [0; 1024];
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        let length = stream.read(&mut buffer).ok().filter(|length| *length > 0)?;
        head.extend_from_slice(&buffer[..length]);
    }
    stream
        .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nall good\n")
        .ok()?;
    stream.conn.send_close_notify();
    stream.flush().ok()
}
