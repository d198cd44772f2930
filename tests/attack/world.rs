//! Draws random tries. Chooses the peer or the environment, and its behaviour.

use crate::certificates::{Certificates, openssl_accepts};
use crate::peers::{self, ENDS, End, Port};
use crate::places::{self, Files};
use crate::support::dice::Dice;
use crate::support::{NAME, peer};
use crate::tries::{Try, Up};
use crate::{message, records, serve};

/// The data that the tries of one thread share.
pub struct World<'a> {
    pub port: Port,
    pub certificates: &'a Certificates,
    pub ca_file: &'a str,
    pub files: Files,
    pub dead: u16,
    pub full: u16,
}

impl World<'_> {
    pub fn attempt(&self, dice: &mut Dice) -> Try {
        let kind = dice.below(100);
        let attempt = match kind {
            0..12 => self.tcp(dice),
            12..14 => self.keys(dice),
            14..29 => self.tls(dice),
            29 => return places::configuration(&self.files.folder, dice),
            30..42 => self.certificates(dice),
            42..58 => self.http(dice),
            58..64 => return self.request(dice),
            64..69 => self.patterns(dice),
            69..74 => self
                .files
                .name(self.healthy("files", dice, Up::Never), dice),
            74..80 => self.environments(dice),
            80..86 => {
                let mut attempt = self.healthy("options", dice, Up::Never);
                attempt.by_hand = dice.percent(50);
                return places::words(attempt, dice);
            }
            86..90 => places::limits(self.healthy("limits", dice, Up::Fine), dice),
            90..95 => places::descriptors(self.healthy("descriptors", dice, Up::Fine), dice),
            95..99 => self.signals(dice),
            _ => return self.diagnose(dice),
        };
        let format: &[&str] = dice.pick(&[&[], &[], &["--json"], &["--verbose"], &["--quiet"]]);
        let mut attempt = attempt
            .with(&["--sni", NAME, "--ca-file", self.ca_file])
            .with(format);
        attempt.by_hand |= dice.percent(30) && attempt.environment.is_empty();
        attempt
    }

    fn healthy(&self, class: &'static str, dice: &mut Dice, up: Up) -> Try {
        let config = self.certificates.healthy(dice);
        let head = peer::OK.as_bytes().to_vec();
        peers::respond(&self.port, config, head, Vec::new(), End::InOrder);
        Try::new(class, "", self.port.number).healthy().up(up)
    }

    fn tcp(&self, dice: &mut Dice) -> Try {
        match dice.below(30) {
            0 => Try::new("peers: TCP", "a closed port", self.dead),
            1 => Try::new("peers: TCP", "no answer", self.full),
            _ => {
                let what = peers::tcp(dice, &self.port);
                Try::new("peers: TCP", what, self.port.number)
            }
        }
    }

    /// Draws a server that sends endless KeyUpdate messages within the head of its response, or
    /// after the head.
    fn keys(&self, dice: &mut Dice) -> Try {
        const HEADS: [&str; 2] = ["HTTP/1.1 200 OK\r\nX: ", "HTTP/1.1 200 OK\r\n\r\n"];
        let head = dice.pick(&HEADS);
        peers::changes_keys(&self.port, self.certificates.healthy(dice), head);
        let attempt = Try::new("peers: keys", head, self.port.number);
        attempt.with(&["--expect", "string nowhere"])
    }

    /// Draws a request to serve: either a damaged request, or a valid request about a hostile peer.
    fn request(&self, dice: &mut Dice) -> Try {
        let mut attempt = match dice.below(4) {
            0 => self.tcp(dice),
            1 => self.patterns(dice),
            2 => self
                .files
                .name(self.healthy("serve", dice, Up::Never), dice),
            _ => self.healthy("serve", dice, Up::Never).maybe(),
        };
        attempt
            .options
            .extend(["--sni", NAME, "--ca-file", self.ca_file].map(str::to_owned));
        let mut request = serve::head(attempt.port, &attempt.options, 300);
        if dice.percent(60) {
            dice.damage(&mut request);
            attempt = attempt.maybe();
        }
        // serve waits for a second for the rest of an incomplete head.
        (attempt.class, attempt.timeout) = ("serve", Some(1300));
        attempt.request = Some(request);
        attempt
    }

    fn tls(&self, dice: &mut Dice) -> Try {
        let config = self.certificates.healthy(dice);
        let (what, harmless) = records::tampered(dice, &self.port, config);
        Try::new("peers: TLS", what, self.port.number).up(Up::If(Box::new(harmless)))
    }

    fn certificates(&self, dice: &mut Dice) -> Try {
        let (config, what, leaf) = self.certificates.hostile(dice);
        let head = peer::OK.as_bytes().to_vec();
        peers::respond(&self.port, config, head, Vec::new(), End::InOrder);
        let ca_file = self.ca_file.to_owned();
        let attempt = Try::new("peers: certificates", what, self.port.number);
        match leaf {
            // `openssl_accepts` gets only the leaf and the CA, so it can't judge a long chain. The
            // check may accept this chain.
            Some(_) if attempt.what == "a long chain" => attempt.up(Up::If(Box::new(|| true))),
            Some(leaf) => attempt.up(Up::If(Box::new(move || openssl_accepts(&leaf, &ca_file)))),
            None => attempt,
        }
    }

    fn http(&self, dice: &mut Dice) -> Try {
        const HEADS: [&str; 9] = [
            peer::OK,
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n",
            "HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/\r\n\r\n",
            "HTTP/1.1 200 OK\r\nX-A: ",
            "HTTP/1.0 200 OK\r\n\r\n",
            "HTTP/1.1 503 \u{9b}31m\u{202e}\r\nServer: \u{1b}[2J\r\n\r\n",
        ];
        const RESTS: [&str; 7] = [
            "",
            "x",
            "\r\n",
            "X: y\r\n",
            "1\r\nx\r\n",
            " folded\r\n",
            "\0\u{ff}",
        ];
        let mut head = dice.pick(&HEADS).as_bytes().to_vec();
        if dice.percent(60) {
            dice.damage(&mut head);
        }
        let (rest, end) = (dice.pick(&RESTS), dice.pick(&ENDS));
        let config = self.certificates.healthy(dice);
        let shown = String::from_utf8_lossy(&head).into_owned();
        peers::respond(&self.port, config, head.clone(), rest.into(), end);
        // The oracle judges an endless response by its beginning.
        let repeated = if end == End::Again { 2000 } else { 1 };
        let said = [head, rest.as_bytes().repeat(repeated)].concat();
        let may_be_up = move || {
            let response = message::read(&said, true, true);
            response.is_some_and(|response| (200..400).contains(&response.status))
        };
        let what = format!("{shown:?}, then {rest:?} {end:?}");
        let attempt = Try::new("peers: HTTP", what, self.port.number);
        if dice.percent(30) {
            let attempt = attempt.with(&["--expect", "string nowhere", "--max-body", "1m"]);
            return attempt;
        }
        attempt.up(Up::If(Box::new(may_be_up)))
    }

    fn patterns(&self, dice: &mut Dice) -> Try {
        let kind = dice.pick(&["rstring", "rstring", "! rstring", "rstatus"]);
        let rule = format!("{kind} {}", places::pattern(dice));
        let body = dice
            .pick(&["a", "ab", "aab", "x", "\u{ff}"])
            .repeat(300_000);
        let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
        let config = self.certificates.healthy(dice);
        peers::respond(&self.port, config, head.into(), body.into(), End::InOrder);
        let attempt = Try::new("patterns", &rule, self.port.number);
        let attempt = attempt.with(&["--expect", &rule, "--max-body", dice.pick(&["64k", "1m"])]);
        // With `! rstring`, the check is UP if the engine could search the whole body and didn't find
        // the pattern.
        match kind {
            "! rstring" => attempt.up(Up::Fine).maybe(),
            _ => attempt,
        }
    }

    fn environments(&self, dice: &mut Dice) -> Try {
        let attempt = places::environment(self.healthy("environments", dice, Up::Fine), dice);
        // If the server's name is empty, sni-check treats it as missing and doesn't read PATH.
        attempt.maybe()
    }

    fn signals(&self, dice: &mut Dice) -> Try {
        let class = "signals";
        let attempt = match dice.below(3) {
            0 => Try::new(class, "", self.full),
            1 => {
                self.port
                    .set(|mut stream| _ = std::io::copy(&mut stream, &mut std::io::sink()));
                Try::new(class, "", self.port.number)
            }
            _ => {
                let config = self.certificates.healthy(dice);
                let end = End::Drip;
                peers::respond(&self.port, config, Vec::new(), peer::OK.into(), end);
                Try::new(class, "", self.port.number)
            }
        };
        places::signals(attempt, dice)
    }

    /// Draws a run of diagnose, which has its own time limit.
    fn diagnose(&self, dice: &mut Dice) -> Try {
        let mut attempt = match dice.below(4) {
            0 => self.tcp(dice),
            1 => self.tls(dice),
            2 => self.certificates(dice),
            _ => self.http(dice),
        };
        let connect = format!("--connect=127.0.0.1:{}", attempt.port);
        let words = [
            "diagnose",
            "--timeout=300ms",
            "--ca-file",
            self.ca_file,
            &connect,
            NAME,
        ];
        attempt.words = Some(words.map(|word| word.as_bytes().to_vec()).to_vec());
        (attempt.class, attempt.by_hand, attempt.timeout) = ("diagnose", true, None);
        attempt.maybe()
    }
}
