//! The servers in the generated configurations: nginx in many variants, HAProxy for HTTP/2, servers in this
//! process, a port on which nothing listens, and `sni-check serve`.

use std::io::Write;
use std::process::{Child, Command, Stdio};

use time::{Duration, OffsetDateTime};

use crate::support::check::BINARY;
use crate::support::dns;
use crate::support::folder::Folder;
use crate::support::nginx::Nginx;
use crate::support::pki::{Ca, Leaf};
use crate::support::{NAME, Running, dead_port, free_port, peer, wait_for};

/// The name of a second site. Only [`Peer::Strict`] has a certificate for exactly this name.
pub const API: &str = "api.example.test";

/// How a server behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Peer {
    /// The server has two sites and refuses every other name and clients without SNI.
    Strict,
    /// Without SNI, the server sends a certificate for another name.
    DefaultCertificate,
    /// The server sends the same certificate to every client.
    OneCertificate,
    /// The server answers 400 without a client certificate.
    ClientCertificate,
    /// The server expects a PROXY header.
    Proxy,
    /// The server speaks plain HTTP.
    Plain,
    /// Nothing listens on this port.
    Closed,
    /// The server answers 421 to requests without the site's Host, as CDNs do.
    WantsHost,
    /// The server answers 403 to requests without a User-Agent, as firewalls do.
    WantsAgent,
    /// The server answers 401 for `/` and 200 for `/healthz`.
    Unauthorized,
    /// The server answers with an SSH banner.
    Ssh,
    /// The server's certificate is from a CA that no client trusts.
    Stranger,
    /// The server's certificate has expired.
    Expired,
    /// The server redirects every request.
    Redirect,
    /// The server answers 500.
    Failing,
    /// The server has a wildcard certificate for the domain.
    Wildcard,
    /// The server answers 404 for `/` and 200 for `/healthz`.
    NoRoot,
    /// The server speaks only TLS 1.2.
    OldTls,
    /// The server speaks only HTTP/2.
    Http2,
    /// The server answers after 700 ms.
    Slow,
}

impl Peer {
    const ALL: [Peer; 20] = [
        Peer::Strict,
        Peer::DefaultCertificate,
        Peer::OneCertificate,
        Peer::ClientCertificate,
        Peer::Proxy,
        Peer::Plain,
        Peer::Closed,
        Peer::WantsHost,
        Peer::WantsAgent,
        Peer::Unauthorized,
        Peer::Ssh,
        Peer::Stranger,
        Peer::Expired,
        Peer::Redirect,
        Peer::Failing,
        Peer::Wildcard,
        Peer::NoRoot,
        Peer::OldTls,
        Peer::Http2,
        Peer::Slow,
    ];

    /// Returns true if this server is nginx. nginx also listens on `[::1]` and on a unix socket.
    pub fn is_nginx(self) -> bool {
        !matches!(self, Peer::Closed | Peer::Ssh | Peer::Http2 | Peer::Slow)
    }
}

/// Everything that the configurations refer to.
pub struct World {
    ports: Vec<(Peer, u16)>,
    /// A plain HTTP port with health pages at `/` and `/healthz`.
    pub health: u16,
    /// A port with an agent that reports the server as up.
    pub agent: u16,
    /// The port of a name server.
    pub dns: u16,
    /// A port on which nothing listens.
    pub dead: u16,
    /// The folder that configurations use as their chroot. It holds `sni-check`,
    /// certificates, and the sockets of nginx and of `sni-check serve`.
    pub root: String,
    pub folder: Folder,
    _nginx: Nginx,
    _serve: Running,
    _http2: Running,
}

impl World {
    pub fn new() -> World {
        let (folder, ca) = (Folder::new(), Ca::new());
        let root = folder.join("root");
        folder.copy(&sni_check(), "root/sni-check", 0o755);
        folder.file("root/ca.pem", &ca.pem);
        folder.file("root/other.pem", &Ca::named("Other CA").pem);
        let client = ca.leaf(&["client.example.test"], 30);
        folder.file("root/client.pem", &client.both_pem());
        folder.file("root/crl.pem", &ca.crl(&[], 30));
        // Only root can read these files.
        for (name, text) in [
            ("secret.pem", &client.both_pem()),
            ("secret-ca.pem", &ca.pem),
        ] {
            folder.file(&format!("root/{name}"), text);
            only_for_root(&folder.join(&format!("root/{name}")));
        }
        folder.file("root/not-executable", "#!/bin/sh\nexit 0\n");
        folder.script("root/always", "#!/bin/sh\nexit 0\n");
        folder.file("front.pem", &ca.leaf(&[NAME], 30).both_pem());
        let health = free_port();
        let dead = dead_port();
        let http2 = http2(&folder, &ca);
        let mut ports = vec![
            (Peer::Closed, dead),
            (Peer::Http2, http2.0),
            (Peer::Slow, slow(&ca)),
            (Peer::Ssh, peer::says("SSH-2.0-OpenSSH_9.2p1\r\n")),
        ];
        let nginx = Nginx::serve(|own, first| {
            let sites = Sites {
                folder: own,
                root: root.clone(),
                ca: &ca,
            };
            let mut text = format!("server {{ listen 127.0.0.1:{health}; {ANSWERS} }}");
            let served = Peer::ALL.iter().filter(|peer| peer.is_nginx());
            for (index, peer) in served.enumerate() {
                let port = if index == 0 { first } else { free_port() };
                ports.push((*peer, port));
                text += &sites.server_blocks(*peer, port);
            }
            text
        });
        let agent = peer::tcp(|mut stream| {
            _ = stream.write_all(b"up\n");
        });
        let serve = serve(&folder);
        World {
            ports,
            health,
            agent,
            dns: dns::start(),
            dead,
            root,
            folder,
            _nginx: nginx,
            _serve: Running(serve),
            _http2: http2.1,
        }
    }

    pub fn port(&self, peer: Peer) -> u16 {
        let found = self.ports.iter().find(|(known, _)| *known == peer);
        found.expect("a port for each peer").1
    }
}

/// Returns the program under test: this build, or the program that the variable SNI_CHECK names.
pub fn sni_check() -> String {
    std::env::var("SNI_CHECK").unwrap_or_else(|_| BINARY.to_owned())
}

/// Starts `sni-check serve` on a socket that HAProxy's user can use.
fn serve(folder: &Folder) -> Child {
    let root = folder.join("root");
    let socket = format!("{root}/serve");
    let child = Command::new(sni_check())
        .args([
            "serve",
            "--listen",
            &format!("unix:{socket}"),
            "--files",
            &root,
            "--mode",
            "0666",
        ])
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn();
    let child = child.expect("serve runs");
    wait_for("serve to listen", || {
        std::os::unix::net::UnixStream::connect(&socket).ok()
    });
    child
}

/// Starts HAProxy as a server that speaks only HTTP/2. Returns its port and the process.
fn http2(folder: &Folder, ca: &Ca) -> (u16, Running) {
    let port = free_port();
    let crt = folder.file("http2.pem", &ca.leaf(&[NAME], 30).both_pem());
    let config = folder.file(
        "http2.cfg",
        &format!(
            "defaults\n mode http\n timeout client 30s\nfrontend f\n bind 127.0.0.1:{port} ssl crt {crt} alpn h2 proto h2\n \
             http-request return status 200\n"
        ),
    );
    let mut command = Command::new("/usr/sbin/haproxy");
    let child = command
        .args(["-db", "-f", &config])
        .stderr(Stdio::null())
        .spawn();
    let running = Running(child.expect("haproxy runs"));
    wait_for("the HTTP/2 server to listen", || {
        std::net::TcpStream::connect(("127.0.0.1", port)).ok()
    });
    (port, running)
}

/// Starts a server that answers after 700 ms. Returns its port.
fn slow(ca: &Ca) -> u16 {
    peer::tls(&ca.leaf(&[NAME], 30), |stream| {
        std::thread::sleep(std::time::Duration::from_millis(700));
        _ = stream.write_all(peer::OK.as_bytes());
        stream.conn.send_close_notify();
        _ = stream.flush();
    })
}

const ANSWERS: &str = r#"
    location / { return 200 "all good\n"; }
    location /api { return 401 "who?\n"; }
    location /missing { return 404; }
"#;

/// Returns the name of the unix socket on which this peer also listens. The socket is in the folder that
/// HAProxy uses as chroot.
pub fn socket(peer: Peer) -> String {
    format!("{peer:?}.sock")
}

fn only_for_root(file: &str) {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(file, mode).expect("permissions");
}

struct Sites<'a> {
    folder: &'a Folder,
    root: String,
    ca: &'a Ca,
}

impl Sites<'_> {
    /// Returns the `server` blocks of a peer.
    fn server_blocks(&self, peer: Peer, port: u16) -> String {
        let refusal = format!(
            "server {{ listen 127.0.0.1:{port} ssl default_server; listen [::1]:{port} ssl default_server;
               listen unix:{}/{} ssl default_server; ssl_reject_handshake on; }}",
            self.root,
            socket(peer)
        );
        let good = self.ca.leaf(&[NAME], 30);
        let site = |listen: &str, name: &str, leaf: &Leaf, more: &str| {
            self.site((peer, port), listen, name, leaf, more)
        };
        match peer {
            Peer::Strict => {
                let api = self.ca.leaf(&[API], 30);
                refusal + &site("", NAME, &good, ANSWERS) + &site("", API, &api, ANSWERS)
            }
            Peer::DefaultCertificate => {
                let other = self.ca.leaf(&["default.example.test"], 30);
                let first = site("default_server", "default.example.test", &other, ANSWERS);
                first + &site("", NAME, &good, ANSWERS)
            }
            Peer::OneCertificate => site("default_server", NAME, &good, ANSWERS),
            Peer::ClientCertificate => {
                let ca = self.folder.file("clients.pem", &self.ca.pem);
                let more = format!("ssl_client_certificate {ca}; ssl_verify_client on; {ANSWERS}");
                site("default_server", NAME, &good, &more)
            }
            Peer::Proxy => {
                let refusal =
                    refusal.replace("ssl default_server", "ssl proxy_protocol default_server");
                refusal + &site("proxy_protocol", NAME, &good, ANSWERS)
            }
            Peer::Plain => format!(
                "server {{ listen 127.0.0.1:{port}; listen [::1]:{port}; listen unix:{}/{}; {ANSWERS} }}",
                self.root,
                socket(peer)
            ),
            Peer::WantsHost => {
                let more = format!("if ($http_host != {NAME}) {{ return 421; }} {ANSWERS}");
                refusal + &site("", NAME, &good, &more)
            }
            Peer::WantsAgent => {
                let more = format!("if ($http_user_agent = \"\") {{ return 403; }} {ANSWERS}");
                refusal + &site("", NAME, &good, &more)
            }
            Peer::Unauthorized => {
                let answers = "location / { return 401; } location /healthz { return 200 ok; }";
                refusal + &site("", NAME, &good, answers)
            }
            Peer::Stranger => {
                let leaf = Ca::named("A stranger").leaf(&[NAME], 30);
                refusal + &site("", NAME, &leaf, ANSWERS)
            }
            Peer::Expired => {
                let leaf = self.ca.leaf_with(&[NAME], |params| {
                    params.not_before = OffsetDateTime::now_utc() - Duration::days(60);
                    params.not_after = OffsetDateTime::now_utc() - Duration::days(1);
                });
                refusal + &site("", NAME, &leaf, ANSWERS)
            }
            Peer::Redirect => refusal + &site("", NAME, &good, "return 302 /login;"),
            Peer::Failing => refusal + &site("", NAME, &good, "return 500;"),
            Peer::Wildcard => {
                let leaf = self.ca.leaf(&["*.example.test"], 30);
                site("default_server", NAME, &leaf, ANSWERS)
            }
            Peer::NoRoot => {
                let answers = "location / { return 404; } location /healthz { return 200 ok; }";
                refusal + &site("", NAME, &good, answers)
            }
            Peer::OldTls => {
                let refusal = refusal.replace("ssl_reject", "ssl_protocols TLSv1.2; ssl_reject");
                refusal + &site("", NAME, &good, ANSWERS)
            }
            Peer::Closed | Peer::Ssh | Peer::Http2 | Peer::Slow => String::new(),
        }
    }

    fn site(&self, at: (Peer, u16), listen: &str, name: &str, leaf: &Leaf, more: &str) -> String {
        let (peer, port) = at;
        let crt = self
            .folder
            .file(&format!("{peer:?}.{name}.crt"), &leaf.crt_pem);
        let key = self
            .folder
            .file(&format!("{peer:?}.{name}.key"), &leaf.key_pem);
        let socket = format!("{}/{}", self.root, socket(peer));
        format!(
            "server {{ listen 127.0.0.1:{port} ssl {listen}; listen [::1]:{port} ssl {listen};
               listen unix:{socket} ssl {listen}; server_name {name};
               ssl_certificate {crt}; ssl_certificate_key {key}; {more} }}"
        )
    }
}
