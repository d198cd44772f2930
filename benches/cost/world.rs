//! The backends, and the programs that check them.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::check::{haproxy_command, release};
use crate::support::folder::Folder;
use crate::support::nginx::Nginx;
use crate::support::pki::{Ca, Leaf};
use crate::support::{NAME, free_port, program, rsa_key};

const SCRIPT: &str = include_str!("../../tests/baseline/check.sh");

/// One nginx, and the programs to compare. nginx serves each pair of TLS version and certificate on its own
/// port.
pub struct World {
    pub backends: Vec<Backend>,
    pub sni_check: String,
    pub noop: String,
    pub folder: Folder,
    _nginx: Nginx,
}

/// A TLS version, a kind of certificate, and the address that serves them.
pub struct Backend {
    pub label: String,
    pub port: u16,
    pub ca_file: String,
}

/// A program that checks a backend.
pub struct Contender {
    pub name: &'static str,
    command: Box<dyn Fn() -> Command>,
    input: Option<String>,
}

impl Contender {
    fn new(name: &'static str, command: impl Fn() -> Command + 'static) -> Contender {
        Contender {
            name,
            command: Box::new(command),
            input: None,
        }
    }

    pub fn command(&self) -> Command {
        let mut command = (self.command)();
        command.stdin(self.input()).stdout(Stdio::null());
        command
    }

    /// Returns the standard input: a request for `openssl s_client`, and nothing for the others.
    pub fn input(&self) -> Stdio {
        match &self.input {
            Some(file) => Stdio::from(File::open(file).expect("the request")),
            None => Stdio::null(),
        }
    }
}

impl World {
    pub fn new() -> World {
        let folder = Folder::new();
        let (p256_ca, rsa_ca) = (Ca::new(), Ca::with_key("Test CA, RSA", rsa_key()));
        let kinds = [
            ("P-256", &p256_ca, p256_ca.leaf(&[NAME], 30)),
            (
                "RSA-2048",
                &rsa_ca,
                rsa_ca.leaf_with_key(&[NAME], rsa_key()),
            ),
        ];
        let mut backends = Vec::new();
        let nginx = Nginx::serve(|_, first_port| {
            let mut servers = String::new();
            for version in ["TLSv1.3", "TLSv1.2"] {
                for (kind, ca, leaf) in &kinds {
                    let port = if backends.is_empty() {
                        first_port
                    } else {
                        free_port()
                    };
                    servers += &server(&folder, port, version, kind, leaf);
                    backends.push(Backend {
                        label: format!("{version}, {kind}"),
                        port,
                        ca_file: folder.file(&format!("{kind}.ca"), &ca.pem),
                    });
                }
            }
            servers
        });
        // The bench runs copies of the programs, as in an image or after `make install`. The number of pages
        // that one page fault maps depends on how the file was written into the page cache.
        let copy = |program: PathBuf| {
            let name = program.file_name().expect("a name");
            let copy = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
            std::fs::copy(&program, &copy).expect("a copy");
            copy.display().to_string()
        };
        World {
            _nginx: nginx,
            sni_check: copy(release("--bin", "sni-check")),
            noop: copy(release("--example", "noop")),
            backends,
            folder,
        }
    }

    /// Returns all programs that check this backend: sni-check first, the no-op last.
    pub fn contenders(&self, backend: &Backend) -> Vec<Contender> {
        let port = backend.port.to_string();
        let ca = &backend.ca_file;
        let path = format!("--sni {NAME} --ca-file {ca}");
        let ours = haproxy(&self.sni_check, &path, &port);
        let script = haproxy(&self.script(backend), "", &port);
        let noop = haproxy(&self.noop, "", &port);
        let connect_to = format!("{NAME}:443:127.0.0.1:{port}");
        let url = format!("https://{NAME}/");
        let curl = words(
            "curl",
            &["-sf", "--cacert", ca, "--connect-to", &connect_to, &url],
        );
        let address = format!("127.0.0.1:{port}");
        let s_client = words(
            "openssl",
            &[
                "s_client",
                "-quiet",
                "-verify_quiet",
                "-verify_return_error",
                "-verify_hostname",
                NAME,
                "-servername",
                NAME,
                "-CAfile",
                ca,
                "-connect",
                &address,
            ],
        );
        let check_http = words(
            "/usr/lib/nagios/plugins/check_http",
            &["-S", "--sni", "-H", NAME, "-I", "127.0.0.1", "-p", &port],
        );
        let python = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/cost/check.py");
        let python = words("python3", &[python, NAME, "127.0.0.1", &port, ca]);
        let mut s_client = Contender::new("`openssl s_client`", s_client);
        s_client.input = Some(self.folder.file("request", &request("/")));
        vec![
            Contender::new("**sni-check**", ours),
            Contender::new("bash + curl script", script),
            Contender::new("curl alone", curl),
            Contender::new("`check_http --sni`, verifies nothing", check_http),
            Contender::new("Python, `http.client`", python),
            s_client,
            Contender::new("static no-op", noop),
        ]
    }

    /// Returns the script that sni-check replaces, with the names of this backend.
    pub fn script(&self, backend: &Backend) -> String {
        let names = format!("\nSNI_HOST={NAME}\nCA_FILE={}\n", backend.ca_file);
        let file = format!("check-{}.sh", backend.port);
        self.folder.script(&file, &SCRIPT.replacen('\n', &names, 1))
    }
}

pub fn request(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: {NAME}\r\nConnection: close\r\n\r\n")
}

fn server(folder: &Folder, port: u16, version: &str, kind: &str, leaf: &Leaf) -> String {
    let crt = folder.file(&format!("{kind}.crt"), &leaf.crt_pem);
    let key = folder.file(&format!("{kind}.key"), &leaf.key_pem);
    format!(
        "server {{ listen 127.0.0.1:{port} ssl; ssl_protocols {version};
                   ssl_certificate {crt}; ssl_certificate_key {key};
                   location / {{ return 200 \"all good\\n\"; }}
                   location /count {{ stub_status; }} }}"
    )
}

/// Returns a function that makes the command with which HAProxy runs `program`.
fn haproxy(program: &str, path: &str, port: &str) -> impl Fn() -> Command + 'static {
    let [program, path, port] = [program, path, port].map(str::to_owned);
    move || haproxy_command(&[&program], &path, "127.0.0.1", &port)
}

fn words(name: &str, words: &[&str]) -> impl Fn() -> Command + 'static {
    let name = name.to_owned();
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    move || {
        let mut command = program(&name);
        command.args(&words).env_clear();
        command
    }
}
