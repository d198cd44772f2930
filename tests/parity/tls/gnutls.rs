//! Cases with a GnuTLS server and different settings.

use std::net::TcpStream;
use std::process::Stdio;

use super::Table;
use crate::support::{Running, free_port, program, wait_for};

pub fn cases(table: &mut Table) {
    for priority in [
        "NORMAL",
        "NORMAL:-VERS-TLS1.3",
        "NORMAL:-VERS-TLS1.3:%DISABLE_SAFE_RENEGOTIATION",
        "NORMAL:%DISABLE_SAFE_RENEGOTIATION",
        "NORMAL:-VERS-TLS1.3:%UNSAFE_RENEGOTIATION",
        "NORMAL:-VERS-TLS1.3:%SAFE_RENEGOTIATION",
        "NORMAL:-VERS-TLS1.3:%NO_SESSION_HASH",
        "NORMAL:-VERS-TLS1.3:%NO_ETM",
        "NORMAL:%NO_TICKETS",
        "NORMAL:%DISABLE_TLS13_COMPAT_MODE",
        "NORMAL:%NO_EXTENSIONS:-VERS-TLS1.3",
        "NORMAL:-GROUP-ALL:+GROUP-X448",
        "NORMAL:-GROUP-ALL:+GROUP-SECP521R1",
        "NORMAL:-GROUP-ALL:+GROUP-FFDHE2048",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+RSA",
        "NORMAL:-VERS-ALL:+VERS-TLS1.2:-KX-ALL:+DHE-RSA",
    ] {
        let port = serve(table, priority);
        table.judge(&format!("GnuTLS {priority}"), "127.0.0.1", port);
    }
}

fn serve(table: &mut Table, priority: &str) -> u16 {
    let (certificate, key) = table.server("RSA");
    let crt = table.sites.file("gnutls.crt", &certificate);
    let key = table.sites.file("gnutls.key", &key);
    let port = free_port();
    let mut command = program("gnutls-serv");
    command
        .args(["--http", "--quiet", "--port", &port.to_string()])
        .args(["--x509certfile", &crt, "--x509keyfile", &key])
        .args(["--priority", priority])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let running = Running(command.spawn().expect("gnutls-serv runs"));
    table.kept.push(Box::new(running));
    wait_for("gnutls-serv to listen", || {
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    port
}
