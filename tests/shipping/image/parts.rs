//! Runs the nginx of the compose file and the HAProxy of the image.

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread::sleep;
use std::time::Duration;

use super::buildah::Buildah;
use crate::support::folder::Folder;
use crate::support::{free_port, wait_for};
use crate::tools::{root, run, tool};

/// A process and its children, which are killed when this value is dropped.
struct Group(Child);

impl Group {
    fn start(command: &mut Command) -> Group {
        let child = command.process_group(0).spawn();
        Group(child.unwrap_or_else(|error| {
            panic!("{}: {error}; install it", command.get_program().display())
        }))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for signal in ["TERM", "KILL"] {
            let _ = tool("kill")
                .args(["-s", signal, "--", &format!("-{}", self.0.id())])
                .output();
            if signal == "TERM" {
                sleep(Duration::from_millis(300));
            }
        }
        let _ = self.0.wait();
    }
}

pub struct Nginx {
    _group: Group,
    port: u16,
    certificates: PathBuf,
}

impl Nginx {
    /// Starts nginx with docker/nginx.conf, in which only the port and the certificates' folder are
    /// changed.
    pub fn start(work: &Path) -> Nginx {
        let certificates = work.join("certificates");
        std::fs::create_dir(&certificates).expect("a folder");
        run(tool("sh").arg("docker/certificate.sh").arg(&certificates));
        let readable = std::fs::Permissions::from_mode(0o644);
        std::fs::set_permissions(certificates.join("www.example.com.pem"), readable)
            .expect("a mode");

        let port = free_port();
        let text = std::fs::read_to_string(root().join("docker/nginx.conf")).expect("nginx.conf");
        let text = text
            .replace("listen 8443", &format!("listen 127.0.0.1:{port}"))
            .replace("/certificates", &certificates.display().to_string())
            .replace(
                "/tmp/nginx.pid",
                &work.join("nginx.pid").display().to_string(),
            );
        let file = work.join("nginx.conf");
        std::fs::write(&file, text).expect("a file");
        let mut nginx = tool("nginx");
        nginx
            .arg("-p")
            .arg(work)
            .arg("-c")
            .arg(&file)
            .args(["-g", "daemon off;"]);
        let group = Group::start(&mut nginx);
        wait_for("nginx to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        Nginx {
            _group: group,
            port,
            certificates,
        }
    }
}

pub struct Haproxy {
    _group: Group,
    port: u16,
    shared: Folder,
}

impl Haproxy {
    /// Runs the image's command, with an additional stats socket that shows the server's state.
    pub fn start(buildah: &Buildah, container: &str, nginx: &Nginx, sni: &str) -> Haproxy {
        let port = free_port();
        let shared = Folder::new();
        let everybody = std::fs::Permissions::from_mode(0o777);
        std::fs::set_permissions(shared.path(), everybody).expect("a mode");
        let log = std::fs::File::create(shared.join("log")).expect("a file");
        let mut command = buildah.command();
        command.args(["run", "--isolation", "chroot"]);
        for variable in [
            "HYBRID_STACK_HOST=127.0.0.1".to_owned(),
            format!("HYBRID_STACK_PORT={}", nginx.port),
            format!("SNI_HOST={sni}"),
            "CHECK_URI=/healthz".to_owned(),
            "CHECK_INTER=2s".to_owned(),
            "CHECK_CA_FILE=/certificates/www.example.com.pem".to_owned(),
            "SERVER_CA_FILE=/certificates/www.example.com.pem".to_owned(),
            format!("LISTEN=127.0.0.1:{port}"),
        ] {
            command.arg(format!("--env={variable}"));
        }
        command.arg(format!(
            "--volume={}:/certificates:ro",
            nginx.certificates.display()
        ));
        command.arg(format!("--volume={}:/shared", shared.path().display()));
        command.args([
            container,
            "--",
            "haproxy",
            "-W",
            "-db",
            "-S",
            "/shared/control",
        ]);
        command.args(["-f", "/usr/local/etc/haproxy/haproxy.cfg"]);
        command.stdout(log.try_clone().expect("a file")).stderr(log);
        Haproxy {
            _group: Group::start(&mut command),
            port,
            shared,
        }
    }

    /// Waits for enough checks to decide the server's status. Returns the status and the exit code.
    pub fn checked(&self) -> (String, String) {
        wait_for("a finished check", || {
            let state = self.control("@1 show stat")?;
            let mut lines = state.lines();
            let names: Vec<&str> = lines
                .find(|line| line.starts_with("# pxname"))?
                .split(',')
                .collect();
            let server = lines.find(|line| line.starts_with("hybrid,blue,"))?;
            let cells: Vec<&str> = server.split(',').collect();
            let cell =
                |name: &str| Some(cells[names.iter().position(|other| *other == name)?].to_owned());
            let (status, code) = (cell("status")?, cell("check_code")?);
            let settled = ["UP", "DOWN"].contains(&status.as_str()) && !code.is_empty();
            settled.then_some((status, code))
        })
    }

    fn control(&self, command: &str) -> Option<String> {
        let mut socket = UnixStream::connect(self.shared.join("control")).ok()?;
        socket.write_all(format!("{command}\n").as_bytes()).ok()?;
        // HAProxy closes the connection when it knows that no more commands follow.
        socket.shutdown(Shutdown::Write).ok()?;
        socket.set_read_timeout(Some(Duration::from_secs(5))).ok()?;
        let mut text = String::new();
        socket.read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// Returns the whole response to a request.
    pub fn get(&self, uri: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).expect("HAProxy listens");
        let request = format!("GET {uri} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        connection
            .write_all(request.as_bytes())
            .expect("HAProxy reads");
        let mut answer = String::new();
        connection
            .read_to_string(&mut answer)
            .expect("HAProxy answers");
        answer
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.shared.join("log")).unwrap_or_default()
    }
}
