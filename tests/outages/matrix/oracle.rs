//! The oracle finds out which changes fix a scene. It changes the operator's configuration, and then asks a
//! real HAProxy if the server is UP, and if a visitor gets the page. Its judgement doesn't come from
//! sni-check.

use std::cell::RefCell;
use std::collections::{BTreeSet, HashMap};
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::thread;
use std::time::{Duration, Instant};

use super::config::Config;
use super::price::Price;
use crate::support::NAME;
use crate::support::folder::Folder;
use crate::support::haproxy::{Haproxy, Mode, Server, chosen};
use crate::support::kinds::{Props, Staged};

/// The effect of a configuration.
#[derive(Clone, Debug)]
pub struct Outcome {
    pub up: bool,
    /// True if a visitor gets the whole page.
    pub served: bool,
    /// The result of the check in HAProxy's words, and the status that a visitor gets.
    pub seen: String,
}

impl Outcome {
    pub fn is_good(&self) -> bool {
        self.up && self.served
    }
}

/// The oracle's judgement of a scene.
pub struct Judgement {
    /// The outcome of the unchanged configuration.
    pub now: Outcome,
    /// The price of the cheapest change with which the server is UP and serves visitors. `None` if the
    /// oracle found no such change.
    pub price: Option<Price>,
    /// The changed configurations that work, sorted by the price of the change, and then by the number of
    /// changed settings.
    pub cures: Vec<(Price, Config)>,
}

/// The requirements for a changed configuration.
struct Wanted<'a> {
    price: &'a dyn Fn(&Config) -> Price,
    /// True if the configuration must also serve visitors.
    visitors: bool,
}

/// Asks HAProxy about the configurations of one server.
pub struct Oracle<'a> {
    pub props: &'a Props,
    pub staged: &'a Staged,
    seen: RefCell<HashMap<Config, Outcome>>,
}

/// The largest number of backends in one HAProxy.
const AT_ONCE: usize = 250;
/// The header of a visitor's request that selects a candidate's backend.
const CANDIDATE: &str = "X-Candidate";

impl<'a> Oracle<'a> {
    pub fn new(props: &'a Props, staged: &'a Staged) -> Oracle<'a> {
        Oracle {
            props,
            staged,
            seen: RefCell::default(),
        }
    }

    /// Judges a configuration. Tries single changes, and pairs of changes if no single change is cheap.
    pub fn judge(&self, config: &Config) -> Judgement {
        if let Some(halves) = config.halves() {
            return self.judge_halves(config, &halves);
        }
        let wanted = Wanted {
            price: &|that| config.price(that, self.staged),
            visitors: true,
        };
        let cures = self.all_cures(config, &wanted);
        let now = self.outcomes_of(std::slice::from_ref(config)).remove(0);
        Judgement {
            now,
            price: cures.first().map(|(price, _)| *price),
            cures,
        }
    }

    /// Judges the check and visitors' connections separately. Combines the changes that fix one of them,
    /// because both must work.
    fn judge_halves(&self, config: &Config, [check, line]: &[Config; 2]) -> Judgement {
        let cures = [(check, line), (line, check)].map(|(half, other)| {
            let wanted = Wanted {
                price: &|that| half.price_with(other, that, self.staged),
                visitors: half.unchecked,
            };
            let mut all = self.all_cures(half, &wanted);
            // The SNI of a check must be a name, and not an expression.
            let is_name = |sni: &String| !sni.is_empty() && !sni.contains('(');
            let sni = other.sni.clone().filter(is_name).or(half.sni.clone());
            let taken = Config {
                unchecked: half.unchecked,
                sni,
                ..other.clone()
            };
            all.extend(self.cures(half, &wanted, &[taken]));
            all.sort_by_key(|(price, one)| (*price, half.distance(one)));
            all
        });
        let both = |check: &(Price, Config), line: &(Price, Config)| {
            let (price, check) = (check.0.max(line.0), check.1.clone());
            let visitors = Some(Box::new(line.1.clone()));
            (price, Config { visitors, ..check })
        };
        let [of_check, of_line] = &cures;
        let mut cures = Vec::new();
        if let (Some(first), Some(second)) = (of_check.first(), of_line.first()) {
            cures.extend(of_check.iter().map(|check| both(check, second)));
            cures.extend(of_line.iter().map(|line| both(first, line)));
            cures.sort_by_key(|(price, one)| (*price, config.distance(one)));
        }
        let outcomes = self.outcomes_of(&[check.clone(), line.clone()]);
        Judgement {
            now: Outcome {
                up: outcomes[0].up,
                served: outcomes[1].served,
                seen: format!("{}; {}", outcomes[0].seen, outcomes[1].seen),
            },
            price: cures.first().map(|(price, _)| *price),
            cures,
        }
    }

    /// Returns the changes that work, cheapest first. Tries pairs of changes only if no single change is
    /// cheap.
    fn all_cures(&self, config: &Config, wanted: &Wanted<'_>) -> Vec<(Price, Config)> {
        let price = wanted.price;
        let naive = Config {
            target: config.target.clone(),
            crl: config.crl.as_ref().map(|_| self.props.crl.clone()),
            elsewhere: config.elsewhere,
            connects: config.connects,
            unchecked: config.unchecked,
            ..Config::naive(self.staged)
        };
        let mut near = config.changed_once(self.staged, self.props);
        let once = near.clone();
        near.extend([config.clone(), naive.clone()]);
        near.extend(naive.changed_once(self.staged, self.props));
        let mut cures = self.cures(config, wanted, &near);
        let twice = || {
            once.iter()
                .flat_map(|one| one.changed_once(self.staged, self.props))
        };
        for is_cheap in [|price| price <= Price::Lines, |price| price < Price::Safety] {
            if cures.first().is_some_and(|(price, _)| is_cheap(*price)) {
                break;
            }
            let pairs: Vec<Config> = twice().filter(|pair| is_cheap(price(pair))).collect();
            cures.extend(self.cures(config, wanted, &pairs));
            cures.sort_by_key(|(price, one)| (*price, config.distance(one)));
        }
        cures
    }

    /// Returns the candidates that work, cheapest first.
    fn cures(
        &self,
        config: &Config,
        wanted: &Wanted<'_>,
        candidates: &[Config],
    ) -> Vec<(Price, Config)> {
        let outcomes = self.outcomes_of(candidates);
        let good = candidates
            .iter()
            .zip(outcomes)
            .filter(|(_, outcome)| outcome.up && (outcome.served || !wanted.visitors));
        let mut priced: Vec<(Price, Config)> = good
            .map(|(one, _)| ((wanted.price)(one), one.clone()))
            .collect();
        priced.sort_by_key(|(price, one)| (*price, config.distance(one)));
        priced
    }

    /// Returns the outcome of each of these configurations in HAProxy.
    pub fn outcomes_of(&self, configs: &[Config]) -> Vec<Outcome> {
        let known = self.seen.borrow();
        let mut new: Vec<&Config> = configs
            .iter()
            .filter(|config| !known.contains_key(config))
            .collect();
        new.sort_by_key(|config| config.large_buffers);
        let mut unique = BTreeSet::new();
        new.retain(|config| unique.insert((config.lines(), config.large_buffers)));
        drop(known);
        let (large, normal): (Vec<&Config>, Vec<&Config>) =
            new.into_iter().partition(|config| config.large_buffers);
        for group in normal.chunks(AT_ONCE).chain(large.chunks(AT_ONCE)) {
            let outcomes = self.run(group);
            let mut seen = self.seen.borrow_mut();
            for (config, outcome) in group.iter().zip(outcomes) {
                seen.insert((*config).clone(), outcome);
            }
        }
        // Two different configurations may have the same lines in haproxy.cfg.
        let mut seen = self.seen.borrow_mut();
        let mut by_lines: HashMap<(String, bool), Outcome> = HashMap::new();
        for (config, outcome) in seen.iter() {
            by_lines.insert((config.lines(), config.large_buffers), outcome.clone());
        }
        configs
            .iter()
            .map(|config| {
                let outcome = by_lines[&(config.lines(), config.large_buffers)].clone();
                seen.insert(config.clone(), outcome.clone());
                outcome
            })
            .collect()
    }

    /// Runs one HAProxy with a backend for each configuration.
    fn run(&self, configs: &[&Config]) -> Vec<Outcome> {
        let folder = Folder::new();
        let mut text = self.front(&folder, configs[0].large_buffers);
        _ = writeln!(text, "    use_backend %[req.hdr({CANDIDATE})]");
        for (number, config) in configs.iter().enumerate() {
            let lines = config
                .lines()
                .replace("server s1 ", &format!("server c{number} "));
            _ = write!(text, "backend c{number}\n{lines}");
        }
        let names: Vec<String> = (0..configs.len())
            .map(|number| format!("c{number}"))
            .collect();
        let checked = configs.iter().filter(|config| !config.unchecked).count();
        self.outcomes(&folder, &text, &names, checked)
    }

    /// Runs one HAProxy with all these blocks of lines. Each block, printed for the backend `be`, becomes a
    /// separate backend. Returns the outcome of each block.
    pub fn paste(&self, blocks: &[&str]) -> Vec<Outcome> {
        let folder = Folder::new();
        let mut text = self.front(&folder, false);
        _ = writeln!(text, "    use_backend %[req.hdr({CANDIDATE})]");
        for (number, lines) in blocks.iter().enumerate() {
            text += &lines
                .replace("backend be\n", &format!("backend p{number}\n"))
                .replace("server s1 ", &format!("server p{number} "));
        }
        let names: Vec<String> = (0..blocks.len())
            .map(|number| format!("p{number}"))
            .collect();
        let file = folder.file("haproxy.cfg", &text);
        let checked = chosen().check(&file, &[("LISTEN", "127.0.0.1:1")]);
        if !checked.status.success() {
            let seen = String::from_utf8_lossy(&checked.stderr).into_owned();
            let refused = Outcome {
                up: false,
                served: false,
                seen,
            };
            return vec![refused; blocks.len()];
        }
        self.outcomes(&folder, &text, &names, names.len())
    }

    /// Returns a whole haproxy.cfg with these lines in its backend `be`.
    pub fn file(&self, folder: &Folder, config: &Config, lines: &str) -> String {
        let front = self.front(folder, false) + "    default_backend be\n";
        let other = match config.elsewhere {
            true => config.other_backend(self.staged, self.props),
            false => String::new(),
        };
        format!("{front}{other}backend be\n{lines}")
    }

    /// Returns haproxy.cfg up to the rules of its frontend.
    fn front(&self, folder: &Folder, large_buffers: bool) -> String {
        let time = self.staged.timeout.as_millis();
        let buffers = if large_buffers {
            "    tune.bufsize 32768\n"
        } else {
            ""
        };
        format!(
            "global\n    external-check\n    insecure-fork-wanted\n    max-spread-checks 1\n{buffers}defaults\n    mode http\n    timeout connect {time}ms\n    \
             timeout client 10s\n    timeout server {time}ms\n    retries 0\n    \
             default-server inter 60s rise 1 fall 1\n\
             frontend visitors\n    bind unix@{}\n",
            folder.join("v")
        )
    }

    /// Runs HAProxy until it has checked this number of servers. Visits the servers that are UP, and
    /// returns the outcomes.
    fn outcomes(
        &self,
        folder: &Folder,
        text: &str,
        names: &[String],
        checked: usize,
    ) -> Vec<Outcome> {
        let config = folder.file("haproxy.cfg", text);
        let haproxy = chosen().start(Mode::Single, &config, &[]);
        let servers = self.checked(&haproxy, checked);
        let (staged, socket) = (self.staged, &folder.join("v"));
        thread::scope(|scope| {
            let visits: Vec<_> = names
                .iter()
                .map(|name| {
                    let server = servers.get(name);
                    let up = server.is_some_and(is_up);
                    let visit = up.then(|| scope.spawn(move || visit(staged, socket, name)));
                    (server, up, visit)
                })
                .collect();
            let outcomes = visits.into_iter().map(|(server, up, visit)| {
                let visit = visit.map(|visit| visit.join().expect("a visit"));
                let (served, status) = visit.unwrap_or((false, "no visit".to_owned()));
                let seen = server.map_or("no check".to_owned(), |server| {
                    format!(
                        "{} {} {}",
                        server.check_status, server.check_code, server.last_chk
                    )
                });
                Outcome {
                    up,
                    served,
                    seen: format!("{seen}; {status}"),
                }
            });
            outcomes.collect()
        })
    }

    /// Waits until HAProxy has checked `count` servers, but only for a limited time. Returns all servers.
    fn checked(
        &self,
        haproxy: &Haproxy,
        count: usize,
    ) -> std::collections::BTreeMap<String, Server> {
        // Printed lines may set a longer time-out for the check.
        let end = Instant::now() + self.staged.timeout * 2 + Duration::from_secs(10);
        loop {
            let servers = haproxy.every_server().unwrap_or_default();
            let done = servers.values().filter(|server| {
                let status = server.check_status.as_str();
                !status.is_empty() && status != "INI" && !status.starts_with('*')
            });
            if done.count() >= count || Instant::now() > end {
                return servers;
            }
            thread::sleep(Duration::from_millis(30));
        }
    }
}

/// Sends a visitor's request. The returned flag is true if the visitor got the page. The text describes the
/// response.
fn visit(staged: &Staged, socket: &str, candidate: &str) -> (bool, String) {
    let mut answer = Vec::new();
    let ask = || -> std::io::Result<UnixStream> {
        let mut stream = UnixStream::connect(socket)?;
        write!(
            stream,
            "GET {} HTTP/1.1\r\nHost: {NAME}\r\nUser-Agent: Mozilla/5.0\r\n{}{CANDIDATE}: {candidate}\r\nConnection: \
             close\r\n\r\n",
            staged.page, staged.headers
        )?;
        Ok(stream)
    };
    let read = ask().and_then(|mut stream| stream.read_to_end(&mut answer));
    let text = String::from_utf8_lossy(&answer);
    let status = text.split(' ').nth(1).unwrap_or("nothing");
    let is_fine = status.starts_with(['2', '3']) && text.contains(staged.marker);
    (read.is_ok() && is_fine, format!("visitors get {status}"))
}

/// Returns true if the server's check succeeded, or if the server has no check.
fn is_up(server: &Server) -> bool {
    let status = server.check_status.as_str();
    status.ends_with("OK") || status == "L7OKC" || server.status == "no check"
}
