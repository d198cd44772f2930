//! Options of curl, openssl and HAProxy that people type out of habit.

/// Familiar options, each with the option of sni-check that has the same meaning.
const FAMILIAR: &[(&str, &str)] = &[
    (
        "-k --insecure --no-check-certificate --no-verify --skip-verify",
        "--verify none",
    ),
    ("--cacert --capath -CAfile --ca", "--ca-file FILE"),
    ("--crl", "--crl-file FILE"),
    ("-E --cert -cert", "--crt FILE"),
    (
        "--servername -servername --server-name --sni-name --check-sni --hostname --host",
        "--sni NAME",
    ),
    ("-H --hdr", "--header 'NAME: VALUE'"),
    ("-A --user-agent", "--header 'User-Agent: TEXT'"),
    ("-u --user -b --cookie", "--header @FILE"),
    ("-X --request", "--method METHOD"),
    ("-I --head", "--method HEAD"),
    ("-d --data", "--body TEXT"),
    ("-m --max-time --connect-timeout -t", "--timeout TIME"),
    ("--resolve --connect-to -connect --addr", "--connect ADDR"),
    ("--interface", "--source ADDR"),
    ("--path --url", "--uri URI"),
    ("--status --expect-status --fail", "--expect 'status 200'"),
    ("--tlsv1.2 -tls1_2 --force-tlsv12", "--ssl-min-ver TLSv1.2"),
    ("--tlsv1.3 -tls1_3 --force-tlsv13", "--ssl-min-ver TLSv1.3"),
    ("--tls-max", "--ssl-max-ver TLSv1.2"),
    ("--check-alpn", "--alpn PROTOCOLS"),
    ("--check-send-proxy", "--send-proxy"),
    ("--min-days", "--min-cert-days N"),
    ("-s --silent -q", "--quiet"),
    ("-v -vv", "--verbose"),
    ("-V -version", "--version"),
    ("-c --config --cfg", "--file FILE"),
    ("--socket --bind", "--listen unix:PATH"),
];

/// The options that only serve accepts, and the options that only doctor accepts. A unit test in `help.rs`
/// compares this list with the commands.
pub(crate) const OWN: &[(&str, &[&str])] = &[
    (
        "serve",
        &[
            "--listen",
            "--files",
            "--max-checks",
            "--mode",
            "--group",
            "--allow-remote",
            "--allow-target",
            "--ping",
        ],
    ),
    ("doctor", &["--run", "--root", "--ignore", "--github"]),
];

fn lists(typed: &str, name: &str) -> bool {
    typed.split(' ').any(|known| known == name)
}

/// Returns the command that has the option `name`, if only this command has it.
pub(super) fn owner(name: &str) -> Option<&'static str> {
    let mut own = OWN.iter();
    own.find(|(_, options)| options.contains(&name))
        .map(|(command, _)| *command)
}

/// Returns what to write instead of the option `name`: the equivalent of a familiar option, or a
/// similar option of `flags`.
pub(super) fn instead<'a>(name: &str, flags: impl Iterator<Item = &'a str>) -> Option<String> {
    let flags: Vec<&str> = flags.collect();
    let familiar = FAMILIAR.iter().find(|(typed, _)| lists(typed, name));
    let familiar = familiar.map(|(_, ours)| *ours);
    let is_ours = |ours: &&str| {
        flags
            .iter()
            .any(|flag| ours.split(' ').next() == Some(flag))
    };
    if let Some(ours) = familiar.filter(is_ours) {
        return Some(format!("write {ours}"));
    }
    nearest(name, &flags).map(|flag| format!("did you mean {flag}?"))
}

/// Returns the option that is most similar to `name`. At most half of the letters of the shorter name may
/// differ.
fn nearest<'a>(name: &str, flags: &[&'a str]) -> Option<&'a str> {
    let plain = name.split(':').next().unwrap_or(name);
    let plain = plain
        .trim_start_matches('-')
        .to_lowercase()
        .replace('_', "-");
    let distance = |flag: &str| strsim::damerau_levenshtein(&plain, flag.trim_start_matches('-'));
    let shorter = |flag: &str| plain.len().min(flag.trim_start_matches('-').len());
    let is_similar = |flag: &&&str| distance(flag) * 2 <= shorter(flag);
    let similar = flags.iter().filter(is_similar);
    similar.min_by_key(|flag| distance(flag)).copied()
}

/// If the word is an option without its dashes, as on a server line of haproxy.cfg, returns what to write
/// instead.
pub(super) fn without_dashes<'a>(
    word: &str,
    flags: impl Iterator<Item = &'a str>,
) -> Option<String> {
    let option = format!("--{word}");
    let mut flags = flags;
    if flags.any(|flag| flag == option) {
        return Some(format!("write {option}"));
    }
    let mut familiar = FAMILIAR.iter();
    let found = familiar.find(|(typed, _)| lists(typed, &option));
    found.map(|(_, ours)| format!("write {ours}"))
}
