//! Lines that HAProxy refuses because of how they fall into words. What they mean is not known, so
//! nothing is concluded from them.

use crate::refusal::Refusal;

use super::finding::Finding;
use crate::haproxy::config::Configuration;
use crate::haproxy::config::place::At;
use crate::haproxy::config::proxy::Backend;

/// All such lines.
pub(super) fn look(config: &Configuration) -> Vec<Finding> {
    let lines = config.broken.iter().map(unsplit);
    let backends = config
        .backends
        .iter()
        .filter(|backend| !backend.settings.disabled);
    lines.chain(backends.filter_map(too_many)).collect()
}

fn refused(what: String) -> Finding {
    Finding::problem("line", what)
        .shows("HAProxy does not start; on reload the old configuration stays")
}

fn unsplit(line: &At<Refusal>) -> Finding {
    let Refusal {
        subject,
        what,
        write,
        ..
    } = &line.value;
    refused(format!("{subject} {what}"))
        .at(&line.place)
        .write(write)
}

fn too_many(backend: &Backend) -> Option<Finding> {
    let At { value, place } = backend.settings.too_many.as_ref()?;
    let (keyword, words) = value.split_first()?;
    let text = words.join(" ");
    let plain =
        !text.contains(['"', '\'', '\\', '$', '#']) && words.iter().all(|word| !word.contains(' '));
    let write = match (keyword.as_str(), plain) {
        ("command", _) => "name the program alone, and put its options in double quotes into \
                           external-check path"
            .to_owned(),
        (_, true) => format!("put the text in double quotes: external-check path \"{text}\""),
        (_, false) => {
            "put the whole text in one pair of double quotes; within it write \\\" for a \
                       double quote and \\$ for a dollar"
                .to_owned()
        }
    };
    let what = format!(
        "external-check {keyword} has {} words after it, HAProxy takes one",
        words.len()
    );
    let finding = refused(what).at(place).write(write);
    Some(finding.about([backend.name.clone()]))
}
