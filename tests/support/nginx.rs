//! Real nginx, which refuses clients without SNI as CloudFront does.

use std::net::TcpStream;
use std::process::{Child, Stdio};

use super::folder::Folder;
use super::pki::{Ca, Leaf};
use super::{free_port, program, wait_for};

/// A running nginx with one named server; any other name, or none, is refused.
pub struct Nginx {
    pub port: u16,
    folder: Folder,
    process: Option<Child>,
}

/// What the named server answers.
pub const LOCATIONS: &str = r#"
    location / { return 200 "all good\n"; }
    location /api { return 401 "who?\n"; }
    location /error { return 500 "oops\n"; }
    location /missing { return 404; }
    location /redirect { return 302 /elsewhere; }
    location /client { return 200 "$ssl_client_s_dn\n"; }
"#;

impl Nginx {
    pub fn start(ca: &Ca, name: &str, leaf: &Leaf) -> Nginx {
        let folder = Folder::new();
        let (crt, key) = (
            folder.file("crt", &leaf.crt_pem),
            folder.file("key", &leaf.key_pem),
        );
        let ca = folder.file("ca", &ca.pem);
        let port = free_port();
        let log = folder.join("error.log");
        let pid = folder.join("pid");
        let temp = folder.path().display();
        folder.file(
            "nginx.conf",
            &format!(
                "daemon off; master_process off; pid {pid}; error_log {log};
                 events {{}}
                 http {{
                   access_log off;
                   client_body_temp_path {temp}/1; proxy_temp_path {temp}/2;
                   fastcgi_temp_path {temp}/3; uwsgi_temp_path {temp}/4; scgi_temp_path {temp}/5;
                   ssl_protocols TLSv1.2 TLSv1.3;
                   server {{ listen 127.0.0.1:{port} ssl default_server; ssl_reject_handshake on; }}
                   server {{
                     listen 127.0.0.1:{port} ssl; server_name {name};
                     ssl_certificate {crt}; ssl_certificate_key {key};
                     ssl_client_certificate {ca}; ssl_verify_client optional;
                     {LOCATIONS}
                   }}
                 }}"
            ),
        );
        let mut nginx = Nginx {
            port,
            folder,
            process: None,
        };
        nginx.resume();
        nginx
    }

    /// Starts it again on the same port.
    pub fn resume(&mut self) {
        let process = program("nginx")
            .args([
                "-c",
                &self.folder.join("nginx.conf"),
                "-e",
                &self.folder.join("error.log"),
            ])
            .stdin(Stdio::null())
            .spawn()
            .expect("nginx runs");
        self.process = Some(process);
        let port = self.port;
        wait_for("nginx to listen", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
    }

    pub fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        self.stop();
    }
}
