//! Reads the options in `X-Check-Options` with the parser and the plan of `sni-check serve`.

use std::ffi::OsStr;

use anyhow::{Error, Result};

use crate::haproxy::call::Caller;
use crate::haproxy::config::address::Endpoint;
use crate::haproxy::config::serve::ServeCheck;
use crate::haproxy::config::server_line::Server;
use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::plan::{Files, Material, NO_SNI_NAME, Output, Plan};
use crate::refusal::{Refusal, refusal};
use crate::serve::request::OPTIONS;

use super::path_options::{Accepted, id_of};
use super::serving::{Process, Serving};
use crate::doctor::finding::{Effect, Finding};

/// Returns the options if serve would accept them. Also returns what is wrong with the options or with their
/// files.
pub(crate) fn judge(
    check: &ServeCheck,
    server: &Server,
    serving: &Serving,
) -> (Option<Accepted>, Vec<Finding>) {
    // Another rule reports that the address or the options are missing.
    let (Some(text), Some(_)) = (check.options.as_ref(), check.connect.as_ref()) else {
        return (None, Vec::new());
    };
    // HAProxy evaluates a log-format when it sends the request, so the options aren't known here.
    if text.value.contains("%[") {
        return (None, Vec::new());
    }
    let process = serving.of(check);
    let read = || -> Result<Accepted> {
        let given = *handed::options(Carrier::Header, OsStr::new(&text.value))?;
        let options = match process {
            Some(process) => process.with_defaults(given),
            None => given,
        };
        let plan = plan(check, (server, serving), process, &options)?;
        Ok(Accepted { options, plan })
    };
    match read() {
        Ok(accepted) => (Some(accepted), Vec::new()),
        Err(error) => {
            let finding = match process {
                Some(_) => refused(&error, true),
                None => without_files(check, (server, serving), &text.value)
                    .unwrap_or_else(|| refused(&error, false)),
            };
            (None, vec![finding.at(&text.place)])
        }
    }
}

/// Returns the plan of a request with these options for this server.
///
/// # Errors
/// serve would refuse the options.
fn plan(
    check: &ServeCheck,
    (server, serving): (&Server, &Serving),
    process: Option<&Process>,
    options: &Options,
) -> Result<Plan> {
    if let Endpoint::Unix(path) = &server.endpoint
        && options.connect.is_none()
    {
        return Err(refusal(
            "the server's unix socket",
            "is unknown to sni-check serve, because HAProxy doesn't send its path",
            format!("add --connect {}", serving.outside(path)),
        ));
    }
    let (address, port) = server.endpoint.words();
    let address = match &server.endpoint {
        // HAProxy doesn't send the path of a unix socket.
        Endpoint::Unix(_) => String::new(),
        endpoint if endpoint.name().is_some() => "192.0.2.1".to_owned(),
        _ => address,
    };
    let port = match server.endpoint.is_srv() {
        true => "443".to_owned(),
        false => port,
    };
    let not_used = || "NOT_USED".to_owned();
    let files = process.map_or_else(Files::any, Process::files);
    Plan::of(
        options,
        &Material::read(options, &files)?,
        &[not_used(), not_used(), address, port],
        Some(Caller {
            backend: check.backend.name.clone(),
            server: server.name.clone(),
            carrier: OPTIONS,
        }),
        process.and_then(Process::sni_host),
        Output::new(options)?,
    )
}

/// Reports a file that doctor can't read on this host. This is only a note, because serve may run on another
/// host that has the file. If serve would refuse the options even with this file, reports that refusal
/// instead.
fn without_files(
    check: &ServeCheck,
    (server, serving): (&Server, &Serving),
    text: &str,
) -> Option<Finding> {
    let given = *handed::options(Carrier::Header, OsStr::new(text)).ok()?;
    let files = Files::any();
    let mut named = given.files();
    let refusal = named.find_map(|(option, file)| {
        let error = files.open(&format!("{option} {file}"), file).err()?;
        error.downcast::<Refusal>().ok()
    })?;
    let mut rest = given.clone();
    rest.ca_file.retain(|file| file.starts_with('@'));
    rest.crl_file.clear();
    rest.header.retain(|header| !header.starts_with('@'));
    (rest.crt, rest.key) = (None, None);
    if let Err(error) = plan(check, (server, serving), None, &rest) {
        // serve would refuse these options even if it could read the file.
        return Some(refused(&error, false));
    }
    let what = format!("{OPTIONS}: {} {}", refusal.subject, refusal.what);
    Some(
        Finding::note(Effect::Down, what)
            .id("serve-file")
            .shows(
                "L7STS with code 2 (DOWN), unless sni-check serve runs elsewhere and has the file",
            )
            .foretells(&["2"])
            .write("write the path of a file that the user of sni-check serve may read"),
    )
}

/// Reports that serve refuses the options. `known` is true if doctor knows the process that answers.
fn refused(error: &Error, known: bool) -> Finding {
    let refusal = error.downcast_ref::<Refusal>();
    let subject = refusal.map_or("", |refusal| refusal.subject.as_str());
    let what = format!("{OPTIONS}: the check would refuse its options: {error:#}");
    let write = refusal.map_or_else(
        || "write options as sni-check --help lists them".to_owned(),
        Refusal::instead,
    );
    let finding = match subject == NO_SNI_NAME && !known {
        true => Finding::note(Effect::Down, what)
            .shows("L7STS with code 2 (DOWN), unless sni-check serve itself was given --sni")
            .foretells(&["2"]),
        false => {
            Finding::problem(Effect::Down, what).shows("L7STS with code 2, the server is DOWN")
        }
    };
    finding.id(id_of(subject)).write(write)
}
