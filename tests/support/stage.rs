//! What almost every test needs: a folder with a CA and a certificate, peers that run until the
//! test ends, and a check of these peers.

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::net::TcpStream;
use std::process::{Command, Output, Stdio};

use super::check::{BINARY, haproxy_command};
use super::folder::Folder;
use super::nginx::Nginx;
use super::pki::{Ca, Leaf};
use super::{NAME, Running, free_port, program, wait_for};

/// A CA and its certificate for [`NAME`], in memory and in a folder. The stage makes everything
/// else on first use, and removes everything when it is dropped.
pub struct Stage {
    pub ca: Ca,
    /// A certificate for [`NAME`] with 30 days left.
    pub leaf: Leaf,
    /// The path of the file with the CA's certificate.
    pub ca_file: String,
    /// The option that trusts the CA.
    pub trust: String,
    nginx: OnceCell<Nginx>,
    chroot: OnceCell<String>,
    kept: RefCell<Vec<Box<dyn Any>>>,
    /// Holds `ca.pem`, `leaf.crt` and `leaf.key`. It is the last field, so that it is removed last.
    pub folder: Folder,
}

impl Stage {
    pub fn new() -> Stage {
        Stage::with_ca(Ca::new())
    }

    /// Creates a stage with this CA.
    pub fn with_ca(ca: Ca) -> Stage {
        let leaf = ca.leaf(&[NAME], 30);
        let folder = Folder::new();
        let ca_file = folder.file("ca.pem", &ca.pem);
        folder.file("leaf.crt", &leaf.crt_pem);
        folder.file("leaf.key", &leaf.key_pem);
        Stage {
            trust: format!("--ca-file {ca_file}"),
            ca_file,
            leaf,
            ca,
            nginx: OnceCell::new(),
            chroot: OnceCell::new(),
            kept: RefCell::default(),
            folder,
        }
    }

    /// Writes another CA to this file. Returns the option that trusts this CA.
    pub fn trusting(&self, ca: &Ca, file: &str) -> String {
        format!("--ca-file {}", self.folder.file(file, &ca.pem))
    }

    /// Returns the healthy backend: an nginx that serves [`NAME`] and refuses every other name.
    pub fn nginx(&self) -> &Nginx {
        self.nginx
            .get_or_init(|| Nginx::start(&self.ca, NAME, &self.leaf))
    }

    /// Starts a real `openssl s_server` that answers every request with a page. The server uses the
    /// certificate `name.crt` and the key `name.key` in the folder. Returns the server's port.
    pub fn openssl(&self, name: &str, options: &[&str]) -> u16 {
        let port = free_port();
        let file = |kind: &str| self.folder.join(&format!("{name}.{kind}"));
        let mut command = program("openssl");
        command
            .args(["s_server", "-quiet", "-www", "-accept"])
            .arg(format!("127.0.0.1:{port}"))
            .args(["-cert", &file("crt"), "-key", &file("key")])
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        self.keep(Running(command.spawn().expect("openssl runs")));
        wait_for("openssl to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        port
    }

    /// Keeps a value alive until the end of the test.
    pub fn keep(&self, something: impl Any) {
        self.kept.borrow_mut().push(Box::new(something));
    }

    /// Returns a folder for HAProxy's chroot. It contains only `ca.pem`, and a `sni-check` that
    /// every user can run.
    pub fn chroot(&self) -> &str {
        self.chroot.get_or_init(|| {
            self.folder.copy(BINARY, "root/sni-check", 0o755);
            self.folder.file("root/ca.pem", &self.ca.pem);
            self.folder.join("root")
        })
    }

    /// Returns options with which the check of [`nginx`](Stage::nginx) succeeds.
    pub fn options(&self) -> String {
        format!("--sni {NAME} --timeout 10s {}", self.trust)
    }

    /// Checks this port of the loopback address as HAProxy does, with [`options`](Stage::options)
    /// and these additional options.
    pub fn check(&self, port: u16, options: &str) -> Output {
        let mut command = self.command(&[BINARY], port, options);
        command.output().expect("the program runs")
    }

    /// Like [`check`](Stage::check), but returns the command without running it. For `program`, see
    /// [`haproxy_command`].
    pub fn command(&self, program: &[&str], port: u16, options: &str) -> Command {
        let options = format!("{} {options}", self.options());
        haproxy_command(program, &options, "127.0.0.1", &port.to_string())
    }
}
