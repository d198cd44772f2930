//! Hostile environments: files, variables, arguments, patterns, limits, descriptors, signals.

use std::fs::File;
use std::os::unix::net::UnixListener;

use crate::support::dice::Dice;
use crate::support::folder::Folder;
use crate::support::held::HeldFile;
use crate::tries::{Outlet, Try};

/// Files that are unsuitable as the value of an option.
pub struct Files {
    pub folder: Folder,
    good: Vec<u8>,
    _socket: UnixListener,
    _held: HeldFile,
}

impl Files {
    /// Makes the files. `good` is a CA certificate as PEM.
    pub fn new(good: &str) -> Files {
        let folder = Folder::new();
        let fifo = crate::support::program("mkfifo")
            .arg(folder.join("fifo"))
            .status();
        assert!(fifo.expect("mkfifo runs").success());
        let sparse = File::create(folder.join("sparse")).expect("a file");
        sparse.set_len(3 << 30).expect("a sparse file");
        std::os::unix::fs::symlink("loop", folder.join("loop")).expect("a link");
        folder.file("many", &good.repeat(1500));
        folder.file("deep", &"-----BEGIN CERTIFICATE-----\n".repeat(20_000));
        let socket = UnixListener::bind(folder.join("socket")).expect("a socket");
        let held = HeldFile::new(&folder, "held", good);
        Files {
            good: good.as_bytes().to_vec(),
            folder,
            _socket: socket,
            _held: held,
        }
    }

    pub fn name(&self, attempt: Try, dice: &mut Dice) -> Try {
        const ELSEWHERE: [&str; 14] = [
            "/proc/kpageflags",
            "/proc/kcore",
            "/proc/self/environ",
            "/dev/zero",
            "/dev/urandom",
            "/dev/null",
            "/dev/stdin",
            "/dev/full",
            "/dev/tty",
            "/proc/self/mem",
            "/proc/self/fd/0",
            "/proc/kmsg",
            "/",
            "",
        ];
        const HERE: [&str; 8] = [
            "fifo", "sparse", "loop", "many", "deep", "socket", "missing", "held",
        ];
        let file = match dice.below(3) {
            0 => dice.pick(&ELSEWHERE).to_owned(),
            1 => self.folder.join(dice.pick(&HERE)),
            _ => {
                let mut bytes = self.good.clone();
                if dice.percent(90) {
                    (0..=dice.below(4)).for_each(|_| dice.damage(&mut bytes));
                } else {
                    bytes = dice.bytes(3000);
                }
                let path = self.folder.join("damaged");
                std::fs::write(&path, bytes).expect("a file");
                path
            }
        };
        let option = dice.pick(&["--ca-file", "--crl-file", "--crt", "--key", "--header"]);
        let value = match option {
            "--header" => format!("@{file}"),
            _ => file,
        };
        let mut attempt = attempt.with(&[option, &value]);
        if option == "--key" || (option == "--crt" && dice.percent(50)) {
            let other = if option == "--key" { "--crt" } else { "--key" };
            attempt = attempt.with(&[other, &self.folder.join("damaged")]);
        }
        attempt.what = format!("{option} {value}");
        if value.ends_with("/held") {
            attempt.timeout = Some(300);
        }
        // The check may still be UP. If the CA file is readable, the check trusts its CAs too.
        // A header file may be valid or empty.
        match option {
            "--ca-file" | "--header" => attempt.maybe(),
            _ => attempt,
        }
    }
}

/// Returns hostile bytes without NUL, because arguments and variables can't contain NUL.
fn text(dice: &mut Dice, longest: usize) -> Vec<u8> {
    let mut bytes = match dice.below(4) {
        0 => dice.bytes(longest),
        1 => b"-- '\"\\$#@\n\t=,:;!".repeat(longest / 16),
        2 => vec![b'x'; longest],
        _ => "\u{202e}\u{9b}é\u{e0041}\u{feff}"
            .repeat(longest / 12)
            .into_bytes(),
    };
    bytes.retain(|byte| *byte != 0);
    bytes
}

const WORDS: [&str; 40] = [
    "--sni",
    "--no-sni",
    "--connect",
    "--port",
    "--method",
    "--uri",
    "--header",
    "--body",
    "--expect",
    "--max-body",
    "--verify",
    "--verify-host",
    "--ca-file",
    "--crl-file",
    "--crt",
    "--key",
    "--ssl-min-ver",
    "--ssl-max-ver",
    "--min-cert-days",
    "--warn-cert-days",
    "--send-proxy",
    "--send-proxy-v2",
    "--source",
    "--timeout",
    "--quiet",
    "--verbose",
    "--json",
    "--syslog",
    "--color",
    "--",
    "none",
    "0",
    "-1",
    "1ms",
    "status 200",
    "www.example.test",
    "127.0.0.1:1",
    "https://127.0.0.1:1/",
    "@/dev/zero",
    "unix@/x",
];

/// Runs doctor on a haproxy.cfg with hostile words in it.
pub fn configuration(folder: &Folder, dice: &mut Dice) -> Try {
    let mut lines = vec![
        b"global\n external-check\n insecure-fork-wanted\ndefaults\n mode http\nbackend b".to_vec(),
        b" option external-check\n external-check command /usr/local/bin/sni-check".to_vec(),
    ];
    for _ in 0..=dice.below(5) {
        let word = text(dice, 60);
        let start: &[u8] = dice.pick(&[
            &b" external-check path \"--sni a.example "[..],
            b" server s 192.0.2.7:443 check ",
            b"backend ",
            b" http-check send meth GET uri / hdr X-Check-Options ",
            b" # ",
            b" ",
        ]);
        lines.push([start, &word].concat());
    }
    let path = folder.join(&format!("haproxy-{}.cfg", dice.below(4)));
    std::fs::write(&path, lines.join(&b'\n')).expect("a file");
    let mut words = vec!["doctor", "-f", &path];
    words.extend(dice.pick(&[&[][..], &["--json"]]));
    let mut attempt = Try::new("doctor", "", 1).maybe();
    attempt.what = format!("{:?}", String::from_utf8_lossy(&lines.join(&b'\n')));
    attempt.words = Some(words.iter().map(|word| word.as_bytes().to_vec()).collect());
    (attempt.by_hand, attempt.timeout) = (true, None);
    attempt
}

/// Replaces the options with random words, or with random bytes.
pub fn words(mut attempt: Try, dice: &mut Dice) -> Try {
    let by_chance = |dice: &mut Dice| match dice.below(6) {
        0 => text(dice, 400),
        1 => format!("{}={}", dice.pick(&WORDS), dice.pick(&WORDS)).into_bytes(),
        _ => dice.pick(&WORDS).as_bytes().to_vec(),
    };
    attempt.timeout = None;
    // The random words may name any host, so the program runs without a network.
    attempt.runner = ["/usr/bin/unshare", "--net"].map(str::to_owned).to_vec();
    if attempt.by_hand {
        let words: Vec<_> = (0..dice.below(9)).map(|_| by_chance(dice)).collect();
        attempt.what = format!("{:?}", String::from_utf8_lossy(&words.join(&b' ')));
        attempt.words = Some(words);
        return attempt;
    }
    let mut path = match dice.percent(50) {
        true => Vec::new(),
        false => b"--sni a.example.test ".to_vec(),
    };
    if dice.percent(60) {
        for _ in 0..dice.below(9) {
            path.extend(by_chance(dice));
            path.push(b' ');
        }
    } else {
        path.push(b'-');
        let longest = dice.pick(&[20, 200, 100_000]);
        path.extend(text(dice, longest));
    }
    attempt.what = format!(
        "{:?}",
        String::from_utf8_lossy(&path[..path.len().min(200)])
    );
    attempt.path = Some(path);
    attempt
}

pub fn environment(mut attempt: Try, dice: &mut Dice) -> Try {
    // GLIBC_TUNABLES and MALLOC_ARENA_MAX are not in this list, because the C library reads them
    // before `main`. Since glibc 2.41 (Debian 13), it prints values that it doesn't understand, and
    // doesn't escape them. tests/hostile shows that the check still exits 0.
    const NAMES: [&str; 18] = [
        "HAPROXY_PROXY_NAME",
        "HAPROXY_PROXY_ID",
        "HAPROXY_SERVER_ADDR",
        "HAPROXY_SERVER_SSL",
        "HAPROXY_SERVER_PORT",
        "HTTPS_PROXY",
        "SSL_CERT_FILE",
        "SSL_CERT_DIR",
        "SSLKEYLOGFILE",
        "SNI_HOST",
        "LANG",
        "TZ",
        "LOCALDOMAIN",
        "RES_OPTIONS",
        "LD_PRELOAD",
        "RUST_BACKTRACE",
        "NO_COLOR",
        "HAPROXY_SERVER_NAME",
    ];
    for _ in 0..=dice.below(6) {
        let name = dice.pick(&NAMES).to_owned();
        let longest = dice.pick(&[0, 30, 30, 100_000]);
        let value = text(dice, longest);
        let shown = String::from_utf8_lossy(&value[..value.len().min(40)]).into_owned();
        attempt.what += &format!("{name}={shown:?} ");
        attempt.environment.push((name, value));
    }
    attempt
}

/// Returns a pattern that needs much time in a backtracking engine, or much memory in any engine.
pub fn pattern(dice: &mut Dice) -> String {
    const PARTS: [&str; 14] = [
        "(a+)+",
        "(a|b|ab)*",
        "(a|aa)+",
        "(.*)*",
        "[ab]{1,200}",
        "(a|b|ab){1,300}",
        "a{0,500}",
        "(a*)*b?",
        "\\w+\\s?",
        "(x+x+)+",
        "((a?){50}){50}",
        "[^!]*",
        "(?i)A",
        "a.*b.*",
    ];
    let mut pattern = String::new();
    for _ in 0..=dice.below(3) {
        pattern += dice.pick(&PARTS);
    }
    // The body never contains `!`, so the engine must try everything.
    pattern + "!"
}

/// Makes a resource scarce, or changes the folder or the umask. A check still works, unless memory
/// runs out.
pub fn limits(attempt: Try, dice: &mut Dice) -> Try {
    let script = dice.pick(&[
        "ulimit -n 4",
        "ulimit -n 5",
        "ulimit -f 0",
        "ulimit -c 0; ulimit -s 64",
        "ulimit -s 128",
        "ulimit -v 8000",
        "ulimit -v 16000",
        "ulimit -t 2",
        "ulimit -l 0",
        "ulimit -i 0",
        "ulimit -q 0",
        "cd /proc/self",
        "umask 777",
    ]);
    let mut attempt = attempt.after(script);
    attempt.what = script.to_owned();
    attempt.scarce = script.contains("ulimit -v");
    attempt
}

pub fn descriptors(attempt: Try, dice: &mut Dice) -> Try {
    let closed: String = (0..3)
        .filter(|_| dice.percent(50))
        .map(|fd| format!("exec {fd}>&-;"))
        .collect();
    let mut attempt = match dice.below(4) {
        0 => attempt.after("exec 0</dev/zero 5</dev/zero 9</dev/null"),
        _ => attempt.after(&format!("{closed} true")),
    };
    attempt.what = format!("{:?}", attempt.runner.get(2));
    attempt.outlet = dice.pick(&[
        Outlet::Read,
        Outlet::FullPipe,
        Outlet::NoReader,
        Outlet::FullDisk,
    ]);
    attempt
}

pub fn signals(mut attempt: Try, dice: &mut Dice) -> Try {
    const MASKS: [&str; 5] = [
        "--block-signal",
        "--ignore-signal",
        "--ignore-signal=ALRM",
        "--block-signal=ALRM",
        "--default-signal",
    ];
    if dice.percent(50) {
        let mask = dice.pick(&MASKS);
        attempt.runner = vec!["/usr/bin/env".to_owned(), mask.to_owned()];
        attempt.what = mask.to_owned();
    }
    // The check is stopped only after it has started, because the deadline counts from its start.
    let stop = 30 + dice.below(370);
    if dice.percent(70) {
        attempt.goes_on = (stop + dice.below(500)) as u64;
        attempt.signals = format!("{stop}:STOP,{}:CONT", attempt.goes_on);
    } else {
        let names: Vec<_> = (0..20)
            .map(|at| {
                format!(
                    "{}:{}",
                    at * 10,
                    dice.pick(&["WINCH", "URG", "CHLD", "CONT"])
                )
            })
            .collect();
        attempt.signals = names.join(",");
    }
    attempt.what += &attempt.signals;
    attempt
}
