//! The units in packaging/systemd/, and a chrooted HAProxy that uses the socket of these units.

use std::fs;

use crate::scene::{Serve, haproxy_as};
use crate::support::check::BINARY;
use crate::support::folder::Folder;
use crate::support::haproxy::versions;
use crate::support::program;
use crate::support::stage::Stage;

/// Writes both units with the path of this build's program. Returns the service's path.
fn units(folder: &Folder) -> String {
    let unit = |name: &str| {
        let path = format!("{}/packaging/systemd/{name}", env!("CARGO_MANIFEST_DIR"));
        let text = fs::read_to_string(&path).expect("a unit");
        folder.file(name, &text.replace("/usr/bin/sni-check", BINARY))
    };
    unit("sni-check.socket");
    unit("sni-check.service")
}

#[test]
fn systemd_accepts_the_units_without_a_warning() {
    let folder = Folder::new();
    let service = units(&folder);
    let output = program("systemd-analyze")
        .args([
            "verify",
            "--man=no",
            &service,
            &folder.join("sni-check.socket"),
        ])
        .output()
        .expect("systemd-analyze runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    // systemd-analyze may also report other units of this host.
    let said: Vec<&str> = said
        .lines()
        .filter(|line| line.contains("sni-check"))
        .collect();
    assert!(output.status.success() && said.is_empty(), "{said:?}");
}

#[test]
fn the_service_has_few_rights_on_its_host() {
    let folder = Folder::new();
    // The threshold is in tenths: 1.5 of 10. systemd calls this exposure "OK".
    let output = program("systemd-analyze")
        .args(["security", "--offline=true", "--threshold=15", "--no-pager"])
        .arg(units(&folder))
        .output()
        .expect("systemd-analyze runs");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("Overall exposure level"), "{said}");
}

#[test]
fn a_chrooted_haproxy_reaches_the_socket_inside_its_chroot() {
    let stage = Stage::new();
    let socket = stage.folder.join("root/run/sni-check/socket");
    fs::create_dir_all(stage.folder.join("root/run/sni-check")).expect("a folder");
    let listen = format!("unix:{socket}");
    let serve = Serve::start(&stage, &["--listen", &listen, "--group", "haproxy"]);
    let version = versions().pop().expect("an HAProxy");
    let root = stage.folder.join("root");
    let global = format!("global\n    chroot {root}\n    user haproxy\n    group haproxy\n");
    let haproxy = haproxy_as(&version, &stage, "/run/sni-check/socket", &global, &[]);
    haproxy.wait_for_code("hybrid", "blue", "0");
    let server = haproxy.wait_for_status("hybrid", "blue", "UP");
    assert_eq!(server.check_status, "L7OK");
    stage.nginx().stop();
    haproxy.wait_for_code("hybrid", "blue", "41");
    drop(serve);
}
