//! The kinds of servers that operators meet, each with a function that starts such a server. Tests
//! that cover all kinds use this table.

pub mod other;
pub mod sites;

use std::time::Duration;

use super::pki::{Ca, Leaf};
use super::stage::Stage;
use super::{free_port, haproxy};

/// The name of another site of the same operator.
pub const OTHER: &str = "other.example.test";

/// Everything that the staged servers need, and the operator's files.
pub struct Props {
    pub stage: Stage,
    /// A certificate for [`OTHER`].
    pub other: Leaf,
    /// The CA that signs the accepted client certificates.
    pub clients: Ca,
    /// A file with a client certificate and its key, which the servers accept.
    pub crt: String,
    /// The file of the revocation list of the stage's CA.
    pub crl: String,
    /// The file of a revocation list of another CA with the same name.
    pub wrong_crl: String,
    /// A file with a client certificate of another CA.
    pub wrong_crt: String,
    /// The file of a CA that has signed none of these certificates.
    pub wrong_ca: String,
}

/// A server that is running.
pub struct Staged {
    pub port: u16,
    /// The page that visitors request.
    pub page: &'static str,
    /// Header lines that visitors send in addition to Host and User-Agent.
    pub headers: &'static str,
    /// A text in the body of the site's page.
    pub marker: &'static str,
    /// The file of the CA that the operator must trust.
    pub ca_file: String,
    /// A CA file that also holds the missing issuers of an incomplete chain.
    pub complete_ca_file: Option<String>,
    /// True if the server should be fixed, although a change of the operator's options also helps.
    pub is_at_fault: bool,
    /// True if the server limits requests. Fewer checks may help, but a test is too short to show
    /// that.
    pub limits_requests: bool,
    /// The page to which `/` redirects.
    pub moved: Option<&'static str>,
    /// The port of a healthy server for the same site, if this port is the wrong port.
    pub right_port: Option<u16>,
    /// The time-out of a check.
    pub timeout: Duration,
}

/// A kind of server: its name and the function that starts it.
pub type Kind = (&'static str, fn(&Props) -> Staged);

/// Returns every kind of server.
pub fn kinds() -> Vec<Kind> {
    [sites::KINDS, other::KINDS].concat()
}

impl Props {
    pub fn new() -> Props {
        Props::with_stage(Stage::new())
    }

    pub fn with_stage(stage: Stage) -> Props {
        let clients = Ca::named("Clients");
        let client = |ca: &Ca| {
            ca.leaf_with(&["client"], |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            })
            .both_pem()
        };
        Props {
            other: stage.ca.leaf(&[OTHER], 30),
            crl: stage.folder.file("right.crl", &stage.ca.crl(&[], 30)),
            wrong_crl: stage.folder.file("wrong.crl", &Ca::new().crl(&[], 30)),
            crt: stage.folder.file("client.pem", &client(&clients)),
            wrong_crt: stage
                .folder
                .file("wrong-client.pem", &client(&Ca::named("Other Clients"))),
            wrong_ca: stage
                .folder
                .file("wrong-ca.pem", &Ca::named("Wrong CA").pem),
            clients,
            stage,
        }
    }

    /// Describes a server on this port that sends a page with the text `all good` to every client.
    pub fn staged(&self, port: u16) -> Staged {
        Staged {
            port,
            page: "/",
            headers: "",
            marker: "all good",
            ca_file: self.stage.ca_file.clone(),
            complete_ca_file: None,
            is_at_fault: false,
            limits_requests: false,
            moved: None,
            right_port: None,
            timeout: Duration::from_secs(4),
        }
    }

    /// Starts a server of the kind with the name `name`.
    pub fn start(&self, name: &str) -> Staged {
        let kind = kinds().into_iter().find(|(known, _)| *known == name);
        let (_, start) = kind.unwrap_or_else(|| panic!("{name} is not a kind of server"));
        start(self)
    }

    /// Starts HAProxy as the server, and returns its port. In `bind`, `CRT` stands for the file of the
    /// server's certificate, and `CLIENTS` for the file of the client certificates' CA.
    pub fn haproxy(&self, bind: &str) -> u16 {
        let crt = self
            .stage
            .folder
            .file("both.pem", &self.stage.leaf.both_pem());
        let clients = self.stage.folder.file("clients.pem", &self.clients.pem);
        let bind = bind.replace("CRT", &crt).replace("CLIENTS", &clients);
        run_haproxy(
            &self.stage,
            &format!(
                "frontend f\n mode http\n bind 127.0.0.1:PORT {bind}\n http-request return status 200 \
                 content-type text/plain string \"all good\"\n"
            ),
        )
    }
}

/// Runs HAProxy with these sections until the stage is dropped. Replaces `PORT` with a free port, and
/// returns the port.
pub fn run_haproxy(stage: &Stage, sections: &str) -> u16 {
    let port = free_port();
    let sections = sections.replace("PORT", &port.to_string());
    let text = format!(
        "defaults\n timeout client 2s\n timeout connect 2s\n timeout server 2s\n{sections}"
    );
    let config = stage.folder.file(&format!("server-{port}.cfg"), &text);
    stage.keep(haproxy::Haproxy::start(haproxy::Mode::Single, &config, &[]));
    port
}
