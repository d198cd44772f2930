//! A CA, an nginx, a HAProxy and sni-check, each real, in a directory of its own.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// A directory that is removed, and daemons that are killed, with the test.
pub struct World {
    pub dir: PathBuf,
    ca: CertifiedIssuer<'static, KeyPair>,
    daemons: Vec<Child>,
}

pub fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("its address").port()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < Duration::from_secs(10), "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl World {
    pub fn new() -> World {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("sni-check-diagnose-{}-{number}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        fs::create_dir_all(&dir).expect("a directory");
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, "Test CA");
        let key = KeyPair::generate().expect("a key");
        let ca = CertifiedIssuer::self_signed(params, key).expect("a CA");
        fs::write(dir.join("ca.pem"), ca.pem()).expect("ca.pem");
        World {
            dir,
            ca,
            daemons: Vec::new(),
        }
    }

    pub fn path(&self, file: &str) -> String {
        self.dir.join(file).display().to_string()
    }

    /// A certificate for a name, in NAME.pem and NAME.key.
    pub fn certificate(&self, name: &str, expired: bool) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        if expired {
            params.not_before = date_time_ymd(2020, 1, 1);
            params.not_after = date_time_ymd(2021, 1, 1);
        }
        let key = KeyPair::generate().expect("a key");
        let certificate = params.signed_by(&key, &self.ca).expect("a certificate");
        fs::write(self.dir.join(format!("{name}.pem")), certificate.pem()).expect("pem");
        fs::write(self.dir.join(format!("{name}.key")), key.serialize_pem()).expect("key");
    }

    /// An nginx `server` with a certificate.
    pub fn site(&self, port: u16, listen: &str, name: &str, certificate: &str) -> String {
        let file = self.path(certificate);
        format!(
            "server {{ listen 127.0.0.1:{port} ssl {listen}; server_name {name};
             ssl_certificate {file}.pem; ssl_certificate_key {file}.key;
             location / {{ return 200 'fine'; }} location /moved {{ return 301 /; }} }}\n"
        )
    }

    pub fn nginx(&mut self, port: u16, sites: &str) {
        let dir = self.dir.display();
        let config = format!(
            "daemon off; master_process off; pid {dir}/nginx.pid; error_log {dir}/error.log;
             events {{}} http {{ access_log off; client_body_temp_path {dir}/b;
             proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f; uwsgi_temp_path {dir}/u;
             scgi_temp_path {dir}/s; {sites} }}"
        );
        fs::write(self.dir.join("nginx.conf"), config).expect("nginx.conf");
        let mut command = Command::new("nginx");
        command.args(["-c", &self.path("nginx.conf"), "-p", &self.path("")]);
        self.daemons
            .push(command.stderr(Stdio::null()).spawn().expect("nginx"));
        wait_until("nginx answers", || {
            TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
    }

    /// HAProxy accepts a configuration.
    pub fn accepted(&self, config: &str) {
        let file = self.path("accepted.cfg");
        std::fs::write(&file, config).expect("accepted.cfg");
        let mut command = Command::new("haproxy");
        let checked = command
            .args(["-c", "-f", &file])
            .output()
            .expect("haproxy -c");
        assert!(checked.status.success(), "{config}\n{checked:?}");
    }

    /// Loads a configuration into HAProxy and returns `check_status` of each server, in order,
    /// once each has been checked.
    pub fn haproxy(&mut self, config: &str) -> Vec<String> {
        let socket = self.path("haproxy.sock");
        let file = self.path("haproxy.cfg");
        let config = format!("global\n    stats socket {socket} level admin\n{config}\n");
        fs::write(&file, &config).expect("haproxy.cfg");
        self.accepted(&config);
        let mut command = Command::new("haproxy");
        command
            .args(["-db", "-f", &file])
            .stderr(Stdio::null())
            .stdout(Stdio::null());
        self.daemons.push(command.spawn().expect("haproxy"));
        let mut statuses = Vec::new();
        wait_until("HAProxy has checked each server", || {
            statuses = statuses_by(&socket);
            let checked =
                |status: &String| !status.is_empty() && status != "INI" && !status.starts_with('*');
            !statuses.is_empty() && statuses.iter().all(checked)
        });
        statuses
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for daemon in &mut self.daemons {
            let _ = daemon.kill();
            let _ = daemon.wait();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

fn statuses_by(socket: &str) -> Vec<String> {
    let Ok(mut stream) = UnixStream::connect(socket) else {
        return Vec::new();
    };
    let mut text = String::new();
    stream.write_all(b"show stat\n").expect("a question");
    stream.read_to_string(&mut text).expect("an answer");
    let header: Vec<&str> = text.lines().next().unwrap_or_default().split(',').collect();
    let column = |name| header.iter().position(|field| *field == name);
    let (Some(status), Some(server)) = (column("check_status"), header.get(1).map(|_| 1)) else {
        return Vec::new();
    };
    let rows = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>());
    rows.filter(|row| row.len() > status && row[server].starts_with('s'))
        .map(|row| row[status].to_owned())
        .collect()
}

/// Runs sni-check by hand.
pub fn sni_check(words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_sni-check"));
    command.args(words).output().expect("sni-check runs")
}
