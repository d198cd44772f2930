//! The kinds of servers that operators meet, each staged with a real server: one table for every test
//! that goes through them.

pub mod other;
pub mod sites;

use std::time::Duration;

use super::pki::{Ca, Leaf};
use super::stage::Stage;
use super::{free_port, haproxy};

/// The name of another site of the same operator.
pub const OTHER: &str = "other.example.test";

/// Everything that a kind of server is staged with, and the files that the operator has.
pub struct Props {
    pub stage: Stage,
    /// For [`OTHER`].
    pub other: Leaf,
    /// The CA whose client certificates are accepted.
    pub clients: Ca,
    /// A client certificate with its key, which servers accept.
    pub crt: String,
    /// A client certificate of another CA.
    pub wrong_crt: String,
    /// The file of a CA that has signed nothing here.
    pub wrong_ca: String,
}

/// A server that is running.
pub struct Staged {
    pub port: u16,
    /// The page that visitors ask for.
    pub page: &'static str,
    /// Header lines that visitors send besides Host and User-Agent.
    pub headers: &'static str,
    /// What the body of the site's page holds.
    pub marker: &'static str,
    /// The file of the CA that the operator has to trust.
    pub ca_file: String,
    /// A file of CAs with which a server works whose chain isn't complete.
    pub complete_ca_file: Option<String>,
    /// The server should be changed, though a value on the operator's side helps as well.
    pub is_at_fault: bool,
    /// The server limits requests: fewer checks may help, but not while a test lasts.
    pub limits_requests: bool,
    /// The page that a redirect of `/` points to.
    pub moved: Option<&'static str>,
    /// The port of a healthy server of the same site, if this one is the wrong port.
    pub right_port: Option<u16>,
    /// How long a check of it may take.
    pub timeout: Duration,
}

/// A kind of server: its name and what starts it.
pub type Kind = (&'static str, fn(&Props) -> Staged);

/// Every kind of server.
pub fn kinds() -> Vec<Kind> {
    [sites::KINDS, other::KINDS].concat()
}

impl Props {
    pub fn new() -> Props {
        Props::of(Stage::new())
    }

    pub fn of(stage: Stage) -> Props {
        let clients = Ca::named("Clients");
        let client = |ca: &Ca| {
            ca.leaf_with(&["client"], |params| {
                params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
            })
            .both_pem()
        };
        Props {
            other: stage.ca.leaf(&[OTHER], 30),
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

    /// A server at this port that shows nginx's page to everybody.
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

    /// Starts a server of the kind with this name.
    pub fn start(&self, name: &str) -> Staged {
        let kind = kinds().into_iter().find(|(known, _)| *known == name);
        let (_, start) = kind.unwrap_or_else(|| panic!("{name} is not a kind of server"));
        start(self)
    }

    /// Another HAProxy as the server; `CRT` and `CLIENTS` in the words of `bind` become files. Returns
    /// its port.
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

/// Runs an HAProxy with these sections; `PORT` becomes the port that is returned.
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
