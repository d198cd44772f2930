//! Outages caused by the SNI name, the name to verify, or Host.

use crate::operator::{Outage, diagnose};
use crate::support::NAME;
use crate::support::kinds::{OTHER, Props};
use crate::support::nginx::{Nginx, refusal, site};
use crate::support::stage::Stage;

/// Returns the keywords of a server line with which HAProxy sends and verifies this name for visitors.
fn verified(stage: &Stage, name: &str) -> String {
    format!(
        "ssl verify required ca-file {} sni str({name})",
        stage.ca_file
    )
}

#[test]
fn a_check_without_sni_for_a_server_that_requires_sni() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let outage = Outage::checked(port, &verified(&stage, NAME));
    let said = diagnose(port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("This server requires SNI");
    outage.assert_fixed_by(&said);
}

#[test]
fn the_option_no_sni_with_a_server_that_requires_sni() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let lines = format!("ssl verify required ca-file {}", stage.ca_file);
    let outage = Outage::checked(port, &lines);
    let said = diagnose(port, &["--no-sni", "--ca-file", &stage.ca_file, NAME]);
    said.says("sni-check without --no-sni");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn the_option_no_sni_with_a_server_that_has_another_default_site() {
    let props = Props::new();
    let stage = &props.stage;
    let server = props.start("other-default");
    let words = format!(
        "ssl verify required ca-file {} verifyhost {NAME}",
        stage.ca_file
    );
    let outage = Outage::checked(server.port, &words);
    let said = diagnose(
        server.port,
        &["--no-sni", "--ca-file", &stage.ca_file, NAME],
    );
    said.says("sni-check without --no-sni");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_typo_in_the_name() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), ""));
    let words = verified(&stage, "ww.example.test") + " check-sni ww.example.test";
    let outage = Outage::checked(nginx.port, &words);
    let said = diagnose(
        nginx.port,
        &["--ca-file", &stage.ca_file, "ww.example.test"],
    );
    said.says("ww.example.test is the wrong name: the server serves www.example.test");
    outage.assert_fixed_by(&said);
}

#[test]
fn an_unknown_name_and_a_default_certificate() {
    let props = Props::new();
    let stage = &props.stage;
    let server = props.start("other-default");
    let name = "shop.example.test";
    let words = verified(stage, name) + " check-sni shop.example.test";
    Outage::checked(server.port, &words);
    let said = diagnose(server.port, &["--ca-file", &stage.ca_file, name]);
    said.says("The server doesn't know the name shop.example.test");
    said.never_says("--verify-host").never_says("verifyhost");
    said.never_says("--sni other.example.test")
        .assert_asks_for_value();
}

#[test]
#[ignore = "make outages"]
fn a_name_that_the_server_refuses() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    Outage::checked(
        port,
        &(verified(&stage, OTHER) + " check-sni other.example.test"),
    );
    let said = diagnose(port, &["--ca-file", &stage.ca_file, OTHER]);
    said.says("doesn't know the name other.example.test")
        .assert_asks_for_value();
}

#[test]
#[ignore = "make outages"]
fn a_name_that_the_servers_certificate_does_not_contain() {
    let stage = Stage::new();
    let nginx = Nginx::serve(|folder, port| {
        let other = stage.ca.leaf(&[OTHER], 30);
        site((folder, port), "", NAME, (&other, &[]), "") + &refusal(port)
    });
    let outage = Outage::checked(
        nginx.port,
        &(verified(&stage, NAME) + " check-sni www.example.test"),
    );
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("issued for other names").assert_fault_of_server();
    nginx.change(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), ""));
    outage.assert_over_after_pasting(&said);
}

#[test]
#[ignore = "make outages"]
fn a_wildcard_does_not_cover_two_labels() {
    let stage = Stage::new();
    let name = "a.b.example.test";
    let wildcard = stage.ca.leaf(&["*.example.test"], 30);
    let nginx = Nginx::serve(|folder, port| {
        site((folder, port), "", name, (&wildcard, &[]), "") + &refusal(port)
    });
    Outage::checked(
        nginx.port,
        &(verified(&stage, name) + " check-sni a.b.example.test"),
    );
    let said = diagnose(nginx.port, &["--ca-file", &stage.ca_file, name]);
    said.says("covers only one label").assert_fault_of_server();
}

#[test]
#[ignore = "make outages"]
fn a_wrong_name_to_verify() {
    let stage = Stage::new();
    let port = stage.nginx().port;
    let options = format!(
        "--verify-host old.example.test --sni {NAME} --ca-file {}",
        stage.ca_file
    );
    let outage = Outage::by_external_check(port, &verified(&stage, NAME), &options);
    let call = [
        "--verify-host=old.example.test",
        "--ca-file",
        &stage.ca_file,
        NAME,
    ];
    let said = diagnose(port, &call);
    said.says("not for --verify-host old.example.test");
    outage.assert_fixed_by(&said);
}

#[test]
fn visitors_are_not_served_because_of_their_host() {
    let props = Props::new();
    let stage = &props.stage;
    let server = props.start("unknown-name-404");
    let words = verified(stage, NAME) + " check-sni www.example.test";
    // The server is UP, but visitors send another Host.
    let outage = Outage::checked(server.port, &words);
    let said = diagnose(server.port, &["--ca-file", &stage.ca_file, NAME]);
    said.says("http-request set-header Host www.example.test");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_host_that_the_server_does_not_know() {
    let props = Props::new();
    let stage = &props.stage;
    let server = props.start("unknown-name-404");
    let lines = format!(
        "    option httpchk\n    http-check send meth GET uri / ver HTTP/1.1 hdr Host internal\n    \
         server s1 127.0.0.1:{} {} check check-sni {NAME} inter 300ms",
        server.port,
        verified(stage, NAME)
    );
    let outage = Outage::start(&lines, "/");
    let call = ["--header=Host: internal", "--ca-file", &stage.ca_file, NAME];
    let said = diagnose(server.port, &call);
    said.says("but not \"Host: internal\"");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_host_that_differs_from_the_sni_name() {
    let props = Props::new();
    let stage = &props.stage;
    let server = props.start("misdirected-421");
    let outage = Outage::checked(server.port, &verified(stage, NAME));
    let call = [
        "--header=Host: api.example.test",
        "--ca-file",
        &stage.ca_file,
        NAME,
    ];
    let said = diagnose(server.port, &call);
    said.says("Leave out --header 'Host: api.example.test'");
    outage.assert_fixed_by(&said);
}
