//! Runs a real nginx, for example one that refuses clients without SNI, as CloudFront does.

use std::cell::RefCell;
use std::net::TcpStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Stdio};

use super::folder::Folder;
use super::pki::{Ca, Leaf};
use super::{free_port, program, wait_for};

/// A running nginx.
pub struct Nginx {
    pub port: u16,
    folder: Folder,
    process: RefCell<Option<Child>>,
}

/// The answers of a site, by path.
pub const LOCATIONS: &str = r#"
    location / { return 200 "all good\n"; }
    location /api { return 401 "who?\n"; }
    location /error { return 500 "oops\n"; }
    location /missing { return 404; }
    location /redirect { return 302 /elsewhere; }
    location /requests { stub_status; }
    location /client { return 200 "$ssl_client_s_dn\n"; }
"#;

/// Returns a `server` block for this name. `listen` contains additional parameters of the `listen`
/// directive. The server sends the certificate and its issuers. `more` contains additional
/// directives.
pub fn site(
    (folder, port): (&Folder, u16),
    listen: &str,
    name: &str,
    (leaf, issuers): (&Leaf, &[&Ca]),
    more: &str,
) -> String {
    let issuers: String = issuers.iter().map(|issuer| issuer.pem.as_str()).collect();
    let crt = folder.file(
        &format!("{name}.crt"),
        &format!("{}{issuers}", leaf.crt_pem),
    );
    let key = folder.file(&format!("{name}.key"), &leaf.key_pem);
    format!(
        "server {{
           listen 127.0.0.1:{port} ssl {listen}; server_name {name};
           ssl_certificate {crt}; ssl_certificate_key {key}; {more}
           {LOCATIONS}
         }}"
    )
}

/// Returns a `server` block that refuses clients without SNI, and clients that ask for a name
/// without its own `server` block.
pub fn refusal(port: u16) -> String {
    format!("server {{ listen 127.0.0.1:{port} ssl default_server; ssl_reject_handshake on; }}")
}

impl Nginx {
    /// Starts an nginx that serves [`LOCATIONS`] without TLS.
    pub fn plain() -> Nginx {
        Nginx::serve(|_, port| format!("server {{ listen 127.0.0.1:{port}; {LOCATIONS} }}"))
    }

    pub fn start(ca: &Ca, name: &str, leaf: &Leaf) -> Nginx {
        Nginx::serve(|folder, port| {
            let ca = folder.file("ca", &ca.pem);
            let client = format!("ssl_client_certificate {ca}; ssl_verify_client optional;");
            let site = site((folder, port), "", name, (leaf, &[]), &client);
            refusal(port) + &site
        })
    }

    /// Starts an nginx with the `server` blocks that `servers` returns for this folder and port.
    pub fn serve(servers: impl FnOnce(&Folder, u16) -> String) -> Nginx {
        let nginx = Nginx {
            port: free_port(),
            folder: Folder::new(),
            process: RefCell::default(),
        };
        nginx.change(servers);
        nginx
    }

    /// Restarts nginx on the same port with different `server` blocks.
    pub fn change(&self, servers: impl FnOnce(&Folder, u16) -> String) {
        self.stop();
        let servers = servers(&self.folder, self.port);
        let (log, pid) = (self.folder.join("error.log"), self.folder.join("pid"));
        let temp = self.folder.path().display();
        self.folder.file(
            "nginx.conf",
            &format!(
                "daemon off; worker_processes 1; user root; pid {pid}; error_log {log};
                 events {{}}
                 http {{
                   access_log off; server_tokens off;
                   client_body_temp_path {temp}/1; proxy_temp_path {temp}/2;
                   fastcgi_temp_path {temp}/3; uwsgi_temp_path {temp}/4; scgi_temp_path {temp}/5;
                   ssl_protocols TLSv1.2 TLSv1.3;
                   {servers}
                 }}"
            ),
        );
        self.resume();
    }

    /// Starts nginx again on the same port.
    pub fn resume(&self) {
        let process = program("nginx")
            .args([
                "-c",
                &self.folder.join("nginx.conf"),
                "-e",
                &self.folder.join("error.log"),
            ])
            .stdin(Stdio::null())
            .process_group(0)
            .spawn()
            .expect("nginx runs");
        *self.process.borrow_mut() = Some(process);
        let port = self.port;
        wait_for("nginx to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
    }

    /// Makes nginx reload its configuration.
    pub fn reload(&self) {
        let pid = self.process.borrow().as_ref().expect("nginx runs").id();
        let status = program("kill").args(["-HUP", &pid.to_string()]).status();
        assert!(status.expect("kill runs").success());
    }

    pub fn stop(&self) {
        let process = self.process.borrow_mut().take();
        if let Some(mut process) = process {
            // This kills the whole group, because the workers would outlive their master.
            let group = format!("-{}", process.id());
            let _ = program("kill").args(["-KILL", "--", &group]).status();
            let _ = process.wait();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop();
    }
}
