//! What a check would make of its options, by the program's own parser and plan: each refusal is
//! the sentence that the check itself would give.

use std::ffi::OsStr;

use anyhow::{Error, Result};

use crate::options::Options;
use crate::options::handed::{self, Carrier};
use crate::output::mark::Mark;
use crate::plan::{Material, NO_SNI_NAME, Output, Plan};
use crate::refusal::Refusal;

use super::check::ExternalCheck;
use super::files;
use super::finding::Finding;
use super::jail::Jail;
use crate::haproxy::config::address::Endpoint;

/// A check whose options are good.
pub(super) struct Good {
    pub options: Options,
    pub plan: Plan,
}

/// Whether the command is sni-check: by its name, or because it is given options.
pub(super) fn is_ours(check: &ExternalCheck) -> bool {
    let path = check.variable("PATH").unwrap_or_default();
    path.trim_start().starts_with('-') || check.command.value.ends_with("sni-check")
}

/// Looks at the options of a check; gives them if the check would take them, and what was found.
pub(super) fn options(check: &ExternalCheck, jail: &Jail) -> (Option<Good>, Vec<Finding>) {
    let mut options = match parse(check) {
        Ok(options) => options,
        Err(error) => return (None, vec![refused(check, &error)]),
    };
    let mut findings = files::look(&mut options, check, jail);
    if findings.iter().any(|finding| finding.mark == Mark::Problem) {
        return (None, findings);
    }
    match plan(&options, check, jail) {
        Ok(plan) => (Some(Good { options, plan }), findings),
        Err(error) => {
            findings.push(refused(check, &error));
            (None, findings)
        }
    }
}

fn parse(check: &ExternalCheck) -> Result<Options> {
    let path = check.variable("PATH").unwrap_or_default();
    let mut arguments = check.arguments.clone();
    // HAProxy resolves names itself; the check gets an address, whichever.
    if check.server.endpoint.name().is_some() {
        "192.0.2.1".clone_into(&mut arguments[2]);
    }
    let mut options = *handed::options(Carrier::Path, OsStr::new(path))?;
    options.target = arguments.into();
    Ok(options)
}

fn plan(options: &Options, check: &ExternalCheck, jail: &Jail) -> Result<Plan> {
    Plan::of(
        options,
        &Material::read(options, &jail.files())?,
        &options.target,
        Some(check.caller()),
        check.variable("SNI_HOST"),
        Output::new(options)?,
    )
}

fn refused(check: &ExternalCheck, error: &Error) -> Finding {
    let refusal = error.downcast_ref::<Refusal>();
    let subject = refusal.map_or("", |refusal| refusal.subject.as_str());
    let path = check.backend.settings.path.as_ref();
    let of_server = subject.starts_with("the server");
    let place = match path {
        Some(path) if !of_server => &path.place,
        _ => &check.server.place,
    };
    let id = match subject {
        NO_SNI_NAME => "no-sni-name",
        _ => "options",
    };
    let what = format!("the check would refuse its options: {error:#}");
    let write = match (&check.server.endpoint, refusal) {
        (Endpoint::Other(_), _) => "add --connect ADDR:PORT to external-check path".to_owned(),
        (_, Some(refusal)) => refusal.instead(),
        (_, None) => "write options as sni-check --help lists them".to_owned(),
    };
    Finding::problem(id, what)
        .at(place)
        .about([check.caller().to_string()])
        .shows("PROCERR with code 2, the server is DOWN")
        .write(write)
}
