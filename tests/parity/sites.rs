//! One nginx with a server for each case: OpenSSL at the other end.

use std::fmt::Write as _;

use crate::support::folder::Folder;
use crate::support::nginx::Nginx;

/// Servers to be, each on a loopback address of its own.
pub struct Sites {
    folder: Folder,
    blocks: String,
    count: usize,
    port: u16,
}

impl Sites {
    pub fn new() -> Sites {
        Sites {
            folder: Folder::new(),
            blocks: String::new(),
            count: 0,
            port: crate::support::free_port(),
        }
    }

    /// A server with this chain and key, both PEM, and more directives; its address and port.
    /// OpenSSL's rules about what may be served are switched off.
    pub fn add(&mut self, chain: &str, key: &str, more: &str) -> (String, u16) {
        let id = std::process::id();
        let (high, low) = (self.count / 250, self.count % 250 + 1);
        // No other test process has this address; so many ports would hardly be free at once.
        let address = format!("127.{}.{}.{low}", 64 + id % 180, (id / 180) % 250);
        let port = self.port + u16::try_from(high).expect("not that many");
        let name = self.count;
        self.count += 1;
        let chain = self.folder.file(&format!("{name}.crt"), chain);
        let key = self.folder.file(&format!("{name}.key"), key);
        let _ = writeln!(
            self.blocks,
            "server {{ listen {address}:{port} ssl; ssl_ciphers ALL:@SECLEVEL=0;
               ssl_certificate {chain}; ssl_certificate_key {key}; {more}
               location / {{ return 200 \"all good\\n\"; }} }}"
        );
        (address, port)
    }

    /// A file beside the servers' own, and its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        self.folder.file(name, content)
    }

    /// Starts them all; they run as long as what it gives is kept.
    pub fn start(self) -> (Nginx, Folder) {
        let Sites { folder, blocks, .. } = self;
        let ready = |port| format!("server {{ listen 127.0.0.1:{port}; }}");
        (Nginx::serve(|_, port| blocks + &ready(port)), folder)
    }
}
