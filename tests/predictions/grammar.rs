//! Draws a configuration: a correct configuration for a kind of check and a server, in one of many styles,
//! with up to three changes that people make, and sometimes another change in `global`.

use crate::case::{Case, Kind, Where, Words};
use crate::changes;
use crate::peers::{Peer, World};
use crate::support::NAME;
use crate::support::dice::Dice;

/// Draws a random configuration.
pub fn generate(dice: &mut Dice, number: u64, world: &World) -> Case {
    let kind = kind(dice);
    let peer = peer(dice);
    let mut case = sound(dice, number, (kind, peer), world);
    style(dice, &mut case);
    let changes = match dice.below(100) {
        0..30 => 0,
        30..72 => 1,
        72..93 => 2,
        _ => 3,
    };
    for _ in 0..changes {
        changes::apply_one(dice, &mut case, world);
    }
    if dice.percent(8) {
        changes::apply_global(dice, &mut case, world);
    }
    case
}

fn kind(dice: &mut Dice) -> Kind {
    match dice.below(100) {
        0..38 => Kind::External,
        38..60 => Kind::Http,
        60..70 => Kind::Plain,
        70..79 => Kind::Tcp,
        79..93 => Kind::Serve,
        93..97 => Kind::Agent,
        _ => Kind::None,
    }
}

fn peer(dice: &mut Dice) -> Peer {
    match dice.below(100) {
        0..28 => Peer::Strict,
        28..30 => Peer::WantsAgent,
        30..32 => Peer::Http2,
        32..34 => Peer::Slow,
        34..37 => Peer::Redirect,
        37..39 => Peer::Failing,
        39..42 => Peer::Wildcard,
        42..45 => Peer::NoRoot,
        45..48 => Peer::OldTls,
        48..55 => Peer::DefaultCertificate,
        55..59 => Peer::OneCertificate,
        59..63 => Peer::WantsHost,
        63..70 => Peer::ClientCertificate,
        70..77 => Peer::Proxy,
        77..83 => Peer::Plain,
        83..87 => Peer::Closed,
        87..91 => Peer::Unauthorized,
        91..93 => Peer::Ssh,
        93..97 => Peer::Stranger,
        _ => Peer::Expired,
    }
}

/// Returns the path at which the check sees one of HAProxy's files.
fn seen_by_check(case_is_jailed: bool, world: &World, file: &str) -> String {
    match case_is_jailed {
        true => format!("/{file}"),
        false => format!("{}/{file}", world.root),
    }
}

/// Returns a configuration without mistakes: both the check and the settings for visitors fit this server.
fn sound(dice: &mut Dice, number: u64, (kind, peer): (Kind, Peer), world: &World) -> Case {
    let jailed = dice.percent(50);
    let mut case = Case {
        number,
        kind,
        peer,
        tags: Vec::new(),
        global: global(dice, jailed, world),
        is_common: true,
        has_variables: dice.percent(85),
        http: true,
        tls_front: dice.percent(10),
        timeouts: [
            "timeout connect 5s",
            "timeout client 30s",
            "timeout server 30s",
        ]
        .map(str::to_owned)
        .into(),
        option: Vec::new(),
        rules: Vec::new(),
        front: Vec::new(),
        front_asks_host: false,
        place: Where::Backend,
        words_place: Words::Server,
        servers: servers(dice, world.port(peer)),
        range: None,
        words: words(peer, world),
        check_words: vec![
            "check".to_owned(),
            dice.pick(&["inter 1s", "inter 1s", "inter 1500ms", "inter 2s fall 2"])
                .to_owned(),
        ],
        last_words: Vec::new(),
        sections: Vec::new(),
        noise: dice.below(3),
        two_files: dice.percent(8),
        as_listen: dice.percent(10),
    };
    match kind {
        Kind::External => external(dice, &mut case, jailed, world),
        Kind::Http => http(dice, &mut case),
        Kind::Plain => plain(&mut case),
        Kind::Tcp => tcp(dice, &mut case),
        Kind::Serve => served(dice, &mut case, jailed, world),
        Kind::Agent => {
            case.check_words = vec![format!(
                "agent-check agent-port {} agent-inter 500ms",
                world.agent
            )];
            if dice.percent(50) {
                case.check_words.push("check inter 1s".to_owned());
                plain(&mut case);
            }
        }
        Kind::None => case.check_words.clear(),
    }
    case
}

fn global(dice: &mut Dice, jailed: bool, world: &World) -> Vec<String> {
    let mut lines = Vec::new();
    if jailed {
        lines.push(format!("chroot {}", world.root));
    }
    if jailed || dice.percent(50) {
        lines.extend(["user nobody".to_owned(), "group nogroup".to_owned()]);
    }
    lines.extend([
        "external-check".to_owned(),
        "insecure-fork-wanted".to_owned(),
    ]);
    lines
}

fn servers(dice: &mut Dice, port: u16) -> Vec<(String, String)> {
    let address = format!("127.0.0.1:{port}");
    match dice.below(10) {
        0 => vec![(NAME.to_owned(), address)],
        1..4 => vec![
            ("blue".to_owned(), address.clone()),
            ("green".to_owned(), address),
        ],
        4 => vec![("blue".to_owned(), format!("localhost:{port}"))],
        _ => vec![("s1".to_owned(), address)],
    }
}

/// Returns the keywords that the server line needs to serve visitors.
fn words(peer: Peer, world: &World) -> Vec<String> {
    let mut words = match peer {
        Peer::Plain => return Vec::new(),
        _ => vec![
            "ssl".to_owned(),
            "verify required".to_owned(),
            format!("ca-file {}/ca.pem", world.root),
            format!("sni str({NAME})"),
        ],
    };
    match peer {
        Peer::ClientCertificate => words.push(format!("crt {}/client.pem", world.root)),
        Peer::Proxy => words.push("send-proxy".to_owned()),
        Peer::Http2 => words.push("alpn h2".to_owned()),
        _ => {}
    }
    words
}

/// Returns sni-check options that fit the server. `file` returns the path at which the check sees a file.
fn options(dice: &mut Dice, peer: Peer, file: impl Fn(&str) -> String) -> Vec<String> {
    let mut options = vec![
        format!("--sni {NAME}"),
        format!("--ca-file {}", file("ca.pem")),
    ];
    if dice.percent(80) {
        options.push("--timeout 800ms".to_owned());
    }
    match peer {
        Peer::ClientCertificate => options.push(format!("--crt {}", file("client.pem"))),
        Peer::Proxy => options.push("--send-proxy".to_owned()),
        Peer::Unauthorized | Peer::NoRoot => options.push("--uri /healthz".to_owned()),
        _ if dice.percent(20) => options.push("--uri /".to_owned()),
        _ => {}
    }
    if dice.percent(15) {
        options.push("--expect 'status 200'".to_owned());
    }
    options
}

fn external(dice: &mut Dice, case: &mut Case, jailed: bool, world: &World) {
    let options = options(dice, case.peer, |file| seen_by_check(jailed, world, file));
    let command = seen_by_check(jailed, world, "sni-check");
    case.option = vec![
        "option external-check".to_owned(),
        format!("external-check command {command}"),
        format!("external-check path \"{}\"", options.join(" ")),
    ];
}

fn check_sni(case: &mut Case) {
    if case.has_ssl() {
        case.check_words.push(format!("check-sni {NAME}"));
    }
    if case.peer == Peer::Http2 && case.kind == Kind::Http {
        case.check_words.push("check-alpn h2".to_owned());
    }
}

fn plain(case: &mut Case) {
    check_sni(case);
}

fn http(dice: &mut Dice, case: &mut Case) {
    let uri = match case.peer {
        Peer::Unauthorized | Peer::NoRoot => "/healthz",
        _ => "/",
    };
    // This server refuses requests without the site's Host, so don't draw the first two forms.
    let without_host = if case.peer == Peer::WantsHost { 2 } else { 0 };
    case.option = match without_host + dice.below(4 - without_host) {
        0 => vec![format!("option httpchk GET {uri}")],
        1 => vec![
            "option httpchk".to_owned(),
            format!("http-check send meth GET uri {uri}"),
        ],
        2 => vec![
            format!("option httpchk GET {uri} HTTP/1.1"),
            format!("http-check send hdr Host {NAME}"),
        ],
        _ => vec![
            "option httpchk".to_owned(),
            format!("http-check send meth GET uri {uri} ver HTTP/1.1 hdr Host {NAME}"),
            "http-check expect status 200-399".to_owned(),
        ],
    };
    if case.peer == Peer::WantsAgent {
        case.option = vec![
            "option httpchk".to_owned(),
            format!(
                "http-check send meth GET uri / ver HTTP/1.1 hdr Host {NAME} hdr User-Agent check"
            ),
        ];
    }
    if dice.percent(15) && case.has_ssl() {
        let proxy = if case.peer == Peer::Proxy {
            " send-proxy"
        } else {
            ""
        };
        let alpn = if case.peer == Peer::Http2 {
            " alpn h2"
        } else {
            ""
        };
        case.option
            .insert(1, format!("http-check connect ssl sni {NAME}{proxy}{alpn}"));
        return;
    }
    check_sni(case);
}

fn tcp(dice: &mut Dice, case: &mut Case) {
    case.option = vec!["option tcp-check".to_owned()];
    let proxy = if case.peer == Peer::Proxy {
        " send-proxy"
    } else {
        ""
    };
    match (case.has_ssl(), dice.below(3)) {
        (true, 0) => case
            .option
            .push(format!("tcp-check connect ssl sni {NAME}{proxy}")),
        (false, 0) => case.option.push(format!("tcp-check connect{proxy}")),
        _ => check_sni(case),
    }
}

fn served(dice: &mut Dice, case: &mut Case, jailed: bool, world: &World) {
    // `sni-check serve` doesn't run in the chroot, so its paths are those outside of the chroot.
    let options = options(dice, case.peer, |file| format!("{}/{file}", world.root));
    let socket = seen_by_check(jailed, world, "serve");
    case.option = vec![
        "option httpchk".to_owned(),
        "timeout check 900ms".to_owned(),
        format!("http-check connect addr unix@{socket}"),
        "http-check send-state".to_owned(),
        format!(
            "http-check send meth GET uri / hdr X-Check-Options \"{}\"",
            options.join(" ")
        ),
        "http-check expect hdr name X-Check-Code value 0 status-code \"res.hdr(x-check-code)\" on-success \
         \"%[res.hdr(x-check-reason)]\" on-error \"%[res.hdr(x-check-reason)]\""
            .to_owned(),
    ];
}

/// Applies changes that don't affect the result.
fn style(dice: &mut Dice, case: &mut Case) {
    case.place = match dice.below(10) {
        0..6 => Where::Backend,
        6..8 => Where::Defaults,
        _ => Where::NamedDefaults,
    };
    case.words_place = match dice.below(10) {
        0..6 => Words::Server,
        6 | 7 => Words::DefaultServer,
        _ => Words::Mixed,
    };
    // doctor must not rely on the order of the keywords.
    if dice.percent(30) {
        case.words.reverse();
    }
    for word in [
        "weight 10",
        "maxconn 200",
        "rise 2 fall 3",
        "slowstart 5s",
        "on-marked-down shutdown-sessions",
        "cookie check",
    ] {
        if dice.percent(7) {
            case.words.push(word.to_owned());
        }
    }
    // The grammar has only a few variants of `global`, so that many configurations can run
    // together.
    match dice.below(10) {
        0 => case.global.extend(
            [
                "log 127.0.0.1 local0 notice",
                "maxconn 2000",
                "tune.ssl.default-dh-param 2048",
            ]
            .map(str::to_owned),
        ),
        1 => case.global.extend([
            format!("presetenv SITE_HOST {NAME}"),
            "spread-checks 0".to_owned(),
        ]),
        _ => {}
    }
    for line in [
        "http-request set-header X-Real-IP %[src]",
        "option forwardfor",
        "retries 2",
        "option redispatch",
        "compression algo gzip",
    ] {
        if dice.percent(7) {
            case.rules.push(line.to_owned());
        }
    }
    quoting(dice, case);
}

/// Changes the quoting, but not the words that HAProxy reads.
fn quoting(dice: &mut Dice, case: &mut Case) {
    let quoted = format!("sni str({NAME})");
    if let Some(sni) = case.words.iter_mut().find(|word| **word == quoted) {
        *sni = match dice.below(8) {
            0 => format!("sni \"str({NAME})\""),
            1 if case.has_variables => "sni \"str(${SNI_HOST})\"".to_owned(),
            2 => format!("sni 'str({NAME})'"),
            _ => quoted.clone(),
        };
    }
    let plain = format!("check-sni {NAME}");
    if let Some(sni) = case.check_words.iter_mut().find(|word| **word == plain) {
        *sni = match dice.below(6) {
            0 if case.has_variables => "check-sni \"${SNI_HOST}\"".to_owned(),
            1 => format!("check-sni \"{NAME}\""),
            _ => plain.clone(),
        };
    }
    let has_site = case.global.iter().any(|line| line.starts_with("presetenv"));
    let variable = if has_site { "SITE_HOST" } else { "SNI_HOST" };
    let of_options = |line: &&mut String| line.contains("--sni");
    if (case.has_variables || has_site) && dice.percent(25) {
        if let Some(line) = case.option.iter_mut().find(of_options) {
            *line = line.replace(&format!("--sni {NAME}"), &format!("--sni ${{{variable}}}"));
        }
    } else if dice.percent(15) {
        single_quotes(case);
    } else if dice.percent(6) {
        no_quotes(case);
    }
    if dice.percent(10) {
        never_taken(dice, case);
    }
}

/// Puts the options into single quotes if they contain no single quotes.
fn single_quotes(case: &mut Case) {
    let is_path = |line: &&mut String| line.starts_with("external-check path");
    let Some(line) = case.option.iter_mut().find(is_path) else {
        return;
    };
    if let Some((head, value)) = line.split_once(" \"")
        && !value.contains('\'')
    {
        *line = format!("{head} '{}'", value.trim_end_matches('"'));
    }
}

/// Writes the options without quotes and escapes every space.
fn no_quotes(case: &mut Case) {
    let is_path = |line: &&mut String| line.starts_with("external-check path");
    let Some(line) = case.option.iter_mut().find(is_path) else {
        return;
    };
    if let Some((head, value)) = line.split_once(" \"")
        && !value.contains(['\'', '$'])
    {
        *line = format!("{head} {}", value.trim_end_matches('"').replace(' ', "\\ "));
    }
}

/// Adds an `.if` branch that is never taken.
fn never_taken(dice: &mut Dice, case: &mut Case) {
    case.rules.extend(
        [
            ".if defined(NOT_SET_ANYWHERE)",
            "option httpchk GET /never",
            ".endif",
        ]
        .map(str::to_owned),
    );
    if case.kind != Kind::External || dice.percent(50) {
        return;
    }
    let Some(path) = case.option.pop() else {
        return;
    };
    let other = "external-check path \"--sni never.example.test\"".to_owned();
    case.option.extend([
        ".if version_atleast(1.0)".to_owned(),
        path,
        ".else".to_owned(),
        other,
        ".endif".to_owned(),
    ]);
}
