//! Outages caused by the application's answer.

use std::io::Write;
use std::thread;
use std::time::Duration;

use crate::operator::{Outage, Said, diagnose};
use crate::support::NAME;
use crate::support::nginx::{Nginx, site};
use crate::support::peer;
use crate::support::stage::Stage;

/// Starts nginx with these locations, and HAProxy with these rules of the check. `page` is the page that
/// visitors request.
fn outage(stage: &Stage, locations: &str, check: &str, page: &str) -> (Nginx, Outage) {
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), locations));
    let outage = checked(stage, nginx.port, check, page);
    (nginx, outage)
}

/// Starts HAProxy with these rules of the check. In the rules, `HOST` stands for HTTP/1.1 and the site's Host
/// header. `page` is the page that visitors request.
fn checked(stage: &Stage, port: u16, check: &str, page: &str) -> Outage {
    let check = check.replace("HOST", &format!("ver HTTP/1.1 hdr Host {NAME}"));
    let lines = format!(
        "    option httpchk\n    timeout check 1s\n{check}\n    server s1 127.0.0.1:{port} ssl verify required \
         ca-file {} sni str({NAME}) check check-sni {NAME} inter 300ms",
        stage.ca_file
    );
    Outage::start(&lines, page)
}

fn ask(stage: &Stage, port: u16, words: &[&str]) -> Said {
    let call = ["--ca-file", &stage.ca_file, NAME];
    diagnose(
        port,
        &words.iter().chain(&call).copied().collect::<Vec<_>>(),
    )
}

#[test]
fn a_redirect_on_the_same_host() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri /redirect HOST\n    http-check expect status 200";
    let (nginx, outage) = outage(&stage, "", check, "/");
    let said = ask(
        &stage,
        nginx.port,
        &["--uri=/redirect", "--expect=status 200"],
    );
    said.says("--uri /elsewhere");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_redirect_where_a_text_is_expected() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri /go HOST\n    http-check expect string ready";
    let go = "location /go { return 302 https://login.example.net/; }";
    let (nginx, _outage) = outage(&stage, go, check, "/");
    let said = ask(&stage, nginx.port, &["--uri=/go", "--expect=string ready"]);
    said.says("a redirect doesn't have the text or the header that --expect requires");
}

#[test]
#[ignore = "make outages"]
fn a_redirect_to_another_host() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri /go HOST\n    http-check expect status 200";
    let go = "location /go { return 301 https://login.example.net/; }";
    let (nginx, outage) = outage(&stage, go, check, "/");
    let said = ask(&stage, nginx.port, &["--uri=/go", "--expect=status 200"]);
    said.says("--expect 'status 301'").never_says("--uri https");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_redirect_to_itself() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri / HOST\n    http-check expect status 200";
    let only_https =
        "if ($http_x_forwarded_proto != https) { return 301 https://$host$request_uri; }";
    let (nginx, outage) = outage(&stage, only_https, check, "/");
    let said = ask(&stage, nginx.port, &["--expect=status 200"]);
    said.says("redirects to itself");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_page_that_requires_a_login() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri /api HOST";
    let (nginx, outage) = outage(&stage, "", check, "/");
    let said = ask(&stage, nginx.port, &["--uri=/api"]);
    said.says("--expect 'status 401'");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_forbidden_page() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri /no HOST";
    let (nginx, _outage) = outage(&stage, "location /no { return 403; }", check, "/");
    ask(&stage, nginx.port, &["--uri=/no"])
        .says("Allow HAProxy's address")
        .assert_fault_of_server();
}

#[test]
fn a_missing_page() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri /missing HOST";
    let (nginx, outage) = outage(&stage, "", check, "/");
    let said = ask(&stage, nginx.port, &["--uri=/missing"]);
    said.says("Use --uri /");
    outage.assert_fixed_by(&said);
    let url = format!("https://{NAME}/missing");
    let connect = ["--ca-file", &stage.ca_file, &url];
    outage.assert_fixed_by(&diagnose(nginx.port, &connect));
}

#[test]
#[ignore = "make outages"]
fn a_server_where_every_page_is_missing() {
    let stage = Stage::new();
    let port = peer::answer(&stage.leaf, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n");
    checked(
        &stage,
        port,
        "    http-check send meth GET uri /gone HOST",
        "/",
    );
    ask(&stage, port, &["--uri=/gone"])
        .says("The server has no page /gone")
        .assert_asks_for_value();
}

#[test]
#[ignore = "make outages"]
fn a_method_that_is_not_allowed() {
    let stage = Stage::new();
    let check = "    http-check send meth OPTIONS uri / HOST";
    let only_get = "if ($request_method != GET) { return 405; }";
    let (nginx, outage) = outage(&stage, only_get, check, "/");
    let said = ask(&stage, nginx.port, &["--method=OPTIONS"]);
    said.says("Use a method that the server accepts: --method GET");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_server_that_limits_requests() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri /often HOST";
    let (nginx, _outage) = outage(&stage, "location /often { return 429; }", check, "/often");
    let said = ask(&stage, nginx.port, &["--uri=/often"]);
    said.says("inter 30s")
        .says("exempt HAProxy's address")
        .says("fix in haproxy.cfg")
        .never_says("nothing in haproxy.cfg");
}

#[test]
fn an_application_that_fails() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri /error HOST";
    let (nginx, outage) = outage(&stage, "", check, "/error");
    let said = ask(&stage, nginx.port, &["--uri=/error"]);
    said.says("The application is failing")
        .assert_fault_of_server();
    let repaired = "location = /error { return 200 ok; }";
    nginx.change(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), repaired));
    outage.assert_over_after_pasting(&said);
}

#[test]
#[ignore = "make outages"]
fn a_proxy_without_its_backend() {
    let stage = Stage::new();
    let gone = "location /app { proxy_pass http://127.0.0.1:1; }";
    let check = "    http-check send meth GET uri /app HOST";
    let (nginx, _outage) = outage(&stage, gone, check, "/app");
    let said = ask(&stage, nginx.port, &["--uri=/app"]);
    said.says("has no healthy backend for this name")
        .assert_fault_of_server();
}

#[test]
#[ignore = "make outages"]
fn a_page_that_is_slower_than_the_time_out() {
    let stage = Stage::new();
    let port = peer::tls(&stage.leaf, |stream| {
        thread::sleep(Duration::from_millis(2500));
        let _ = stream.write_all(peer::OK.as_bytes());
        stream.conn.send_close_notify();
        let _ = stream.flush();
    });
    let outage = checked(&stage, port, "    http-check send meth GET uri / HOST", "/");
    let said = ask(&stage, port, &["--timeout=1500ms"]);
    said.says("only after the check's time limit");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn an_expected_text_that_the_page_does_not_contain() {
    let stage = Stage::new();
    let check = "    http-check send meth GET uri / HOST\n    http-check expect string ready";
    let (nginx, _outage) = outage(&stage, "", check, "/");
    ask(&stage, nginx.port, &["--expect=string ready"])
        .says("The application reports a problem in the body")
        .says("--expect doesn't match it")
        .never_says("nothing in haproxy.cfg");
}

#[test]
fn a_head_that_is_too_long_only_for_visitors() {
    let stage = Stage::new();
    let cookie = "a".repeat(15_500);
    let answer = format!("HTTP/1.1 200 OK\r\nSet-Cookie: {cookie}\r\nContent-Length: 2\r\n\r\nok");
    let port = peer::answer(&stage.leaf, &answer);
    let outage = checked(&stage, port, "    http-check send meth GET uri / HOST", "/");
    assert_eq!(outage.visit(), Some(502));
    let said = ask(&stage, port, &[]);
    said.says("Visitors get 502, though HAProxy's own check may be UP")
        .says("L7OK option httpchk")
        .says("tune.bufsize 32768")
        .says("--max-head 31744")
        .says("tune.bufsize 32768")
        .never_says("limit of sni-check")
        .never_says("--handshake-only");
    outage.assert_fixed_by(&said);
    let said = ask(&stage, port, &["--max-head=31744"]);
    said.says("healthy");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_text_in_a_different_case_and_a_compressed_body() {
    let stage = Stage::new();
    let rules = "add_header X-Health OK; location /zip { add_header Content-Encoding gzip; return 200 zip; }";
    let check = |uri: &str, rule: &str| {
        format!("    http-check send meth GET uri {uri} HOST\n    http-check expect {rule}")
    };
    for rule in ["string ALL.good", "hdr name X-Health value ok"] {
        let rule = rule.replace('.', "\\ ");
        let (nginx, outage) = outage(&stage, rules, &check("/", &rule), "/");
        let said = ask(&stage, nginx.port, &["--expect", &rule]);
        said.says("but with different upper and lower case")
            .never_says("The response comes from another site");
        outage.assert_fixed_by(&said);
    }
    let (nginx, _outage) = outage(&stage, rules, &check("/zip", "string ready"), "/");
    ask(&stage, nginx.port, &["--uri=/zip", "--expect=string ready"])
        .says("The server compresses the body")
        .assert_fault_of_server();
}

#[test]
fn a_head_and_a_body_that_exceed_haproxys_limits() {
    let stage = Stage::new();
    let fields: String = (0..120)
        .map(|number| format!("X-{number}: v\r\n"))
        .collect();
    let many = peer::OK.replace("\r\n\r\n", &format!("\r\n{fields}\r\n"));
    let port = peer::answer(&stage.leaf, &many);
    checked(&stage, port, "    http-check send meth GET uri / HOST", "/");
    ask(&stage, port, &[]).says("tune.http.maxhdr 200 in the `global` section");
    let body = "x".repeat(30_000) + "ready";
    let late = format!(
        "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    );
    let port = peer::answer(&stage.leaf, &late);
    let check = "    http-check send meth GET uri / HOST\n    http-check expect string ready";
    checked(&stage, port, check, "/");
    ask(&stage, port, &["--expect=string ready"])
        .says("tune.bufsize 65536")
        .never_says("Find the reason");
}

#[test]
fn a_firewall_that_refuses_the_user_agent_of_a_check() {
    let stage = Stage::new();
    let rule = "if ($http_user_agent ~* 'check|bot|scan') { return 403; }";
    let nginx =
        Nginx::serve(|folder, port| site((folder, port), "", NAME, (&stage.leaf, &[]), rule));
    let options = format!("--sni {NAME} {}", stage.trust);
    let words = format!(
        "ssl verify required ca-file {} sni str({NAME})",
        stage.ca_file
    );
    let outage = Outage::by_external_check(nginx.port, &words, &options);
    let said = ask(&stage, nginx.port, &[]);
    said.says("The server refuses the User-Agent that the check sends (sni-check/")
        .says("--header 'User-Agent: Mozilla/5.0'")
        .never_says("HAProxy's own check reaches this server, but sni-check can't check it");
    outage.assert_fixed_by(&said);
}

#[test]
fn a_firewall_that_refuses_an_empty_user_agent() {
    let stage = Stage::new();
    let rule = "location = /page { if ($http_user_agent = '') { return 403; } return 200 ok; }";
    let check = "    http-check send meth GET uri /page HOST";
    let (nginx, outage) = outage(&stage, rule, check, "/");
    let said = ask(&stage, nginx.port, &["--uri=/page"]);
    said.says("HAProxy's own check sends no User-Agent and no Accept, and the server refuses requests without them")
        .says("Visitors' browsers send both")
        .never_says("because HAProxy connects for visitors");
    outage.assert_fixed_by(&said);
}

#[test]
#[ignore = "make outages"]
fn a_response_that_never_arrives() {
    let stage = Stage::new();
    for behave in [Duration::ZERO, Duration::from_secs(15)] {
        let port = peer::tls(&stage.leaf, move |_| thread::sleep(behave));
        checked(&stage, port, "    http-check send meth GET uri / HOST", "/");
        ask(&stage, port, &["--timeout=1s"]).assert_fault_of_server();
    }
}
