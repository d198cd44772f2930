//! What a check would make of its options, by the program's own parser and plan: each refusal is
//! the sentence that the check itself would give.

use std::ffi::OsStr;

use anyhow::Result;

use crate::command::Command;
use crate::options::{self, Options};
use crate::output::mark::Mark;
use crate::plan::{NO_SNI_NAME, Output, Plan};
use crate::refusal::Refusal;

use super::address::Address;
use super::call::Call;
use super::files;
use super::finding::{Finding, Findings};
use super::jail::Jail;

/// A check whose options are good.
pub(super) struct Good {
    pub options: Options,
    pub plan: Plan,
}

/// Whether the command is sni-check: by its name, or because it is given options.
pub(super) fn is_ours(call: &Call) -> bool {
    let path = call.variable("PATH").unwrap_or_default();
    path.trim_start().starts_with('-') || call.command.value.ends_with("sni-check")
}

/// Looks at the options of a call; gives them if the check would take them.
pub(super) fn options(call: &Call, jail: &Jail, findings: &mut Findings) -> Option<Good> {
    let mut options = match parse(call) {
        Ok(options) => options,
        Err(error) => {
            refused(call, &error, str::to_owned, findings);
            return None;
        }
    };
    let before = findings.0.len();
    let moved = files::move_into_jail(&mut options, call, jail, findings);
    if findings.0[before..]
        .iter()
        .any(|finding| finding.mark == Mark::Problem)
    {
        return None;
    }
    match plan(&options, call) {
        Ok(plan) => Some(Good { options, plan }),
        Err(error) => {
            refused(call, &error, |text| moved.outside_in(text), findings);
            None
        }
    }
}

fn parse(call: &Call) -> Result<Options> {
    let path = call.variable("PATH").unwrap_or_default();
    let mut arguments = call.arguments.clone();
    // HAProxy resolves names itself; the check gets an address, whichever.
    if call.server.address.name().is_some() {
        "192.0.2.1".clone_into(&mut arguments[2]);
    }
    let options = options::handed_over(OsStr::new(path), arguments.into())?;
    Command::Check.refuse_foreign(&options)?;
    Ok(*options)
}

fn plan(options: &Options, call: &Call) -> Result<Plan> {
    let output = Output::new(options)?;
    Plan::new(
        options,
        Some(call.caller()),
        call.variable("SNI_HOST"),
        output,
    )
}

fn refused(
    call: &Call,
    error: &anyhow::Error,
    moved: impl Fn(&str) -> String,
    findings: &mut Findings,
) {
    let refusal = error.downcast_ref::<Refusal>();
    let subject = refusal.map_or("", |refusal| refusal.subject.as_str());
    let path = call.backend.set.path.as_ref();
    let of_server = subject.starts_with("the server");
    let place = match path {
        Some(path) if !of_server => &path.place,
        _ => &call.server.place,
    };
    let hidden = matches!(call.server.address, Address::Other(_));
    let write = match refusal {
        _ if hidden => "--connect ADDR:PORT in external-check path".to_owned(),
        Some(refusal) => moved(refusal.instead()),
        None => "options as sni-check --help lists them, in external-check path".to_owned(),
    };
    findings.add(Finding {
        mark: Mark::Problem,
        id: if subject == NO_SNI_NAME {
            "no-sni-name"
        } else {
            "options"
        },
        place: Some(place.clone()),
        about: vec![call.caller().to_string()],
        what: format!(
            "the check would refuse its options: {}",
            moved(&format!("{error:#}"))
        ),
        shows: "PROCERR with code 2, the server is DOWN".to_owned(),
        write,
    });
}
