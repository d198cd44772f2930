//! Tests docs/monitoring.md: the rules for alerts, and the figures of HAProxy's exporter.

use crate::support::NAME;
use crate::support::check::BINARY;
use crate::support::free_port;
use crate::support::haproxy::{Haproxy, Mode};
use crate::support::stage::Stage;
use crate::tools::{run, tool};

#[test]
fn promtool_accepts_the_rules_and_they_alert_when_they_should() {
    run(tool("promtool").args(["check", "rules", "docs/monitoring-rules.yml"]));
    run(tool("promtool").args(["test", "rules", "tests/shipping/monitoring-rules-test.yml"]));
}

#[test]
fn haproxys_exporter_shows_the_code_as_the_page_says() {
    let stage = Stage::new();
    let (server, exporter) = (stage.nginx().port, free_port());
    let config = format!(
        "global\n external-check\n insecure-fork-wanted\n\
         defaults\n mode http\n timeout connect 5s\n timeout client 5s\n timeout server 5s\n\
         frontend figures\n bind 127.0.0.1:{exporter}\n http-request use-service prometheus-exporter\n\
         backend hybrid\n option external-check\n external-check command {BINARY}\n \
         external-check path \"--sni wrong.{NAME}\"\n \
         server blue 127.0.0.1:{server} check inter 500ms\n"
    );
    let config = stage.folder.file("haproxy.cfg", &config);
    let haproxy = Haproxy::start(Mode::Single, &config, &[]);
    haproxy.wait_for_status("hybrid", "blue", "DOWN");
    let url = format!("http://127.0.0.1:{exporter}/metrics");
    let figures = run(tool("curl").args(["-sS", &url]));
    let page = include_str!("../../docs/monitoring.md");
    let (_, shown) = page.split_once("```\n").expect("the example");
    let (shown, _) = shown.split_once("```").expect("its end");
    assert!(shown.lines().count() >= 3, "{shown}");
    for line in shown.lines() {
        assert!(figures.lines().any(|figure| figure == line), "{line}");
    }
}
