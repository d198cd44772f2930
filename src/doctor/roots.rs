//! Whether a server can be good for traffic and for the check.

use std::collections::BTreeSet;

use crate::plan::Trust;

use super::check::ExternalCheck;
use super::finding::Finding;
use super::judge::Good;

/// Traffic and check that have no root in common: whatever chain the server sends, it fails one of
/// them.
pub(super) fn look(check: &ExternalCheck, good: &Good) -> Option<Finding> {
    let ours = &good.plan.tls.verification.as_ref()?.trust;
    let settings = &check.server.settings;
    if settings
        .get("verify")
        .is_some_and(|verify| verify.value == "none")
    {
        return None;
    }
    let ca_file = settings.get("ca-file")?;
    // A relative one depends on `ca-base`.
    let theirs = match ca_file.value.as_str() {
        "@system-ca" if ours.is_bundled() => return None,
        file if file.starts_with(['/', '@']) => Trust::of(file),
        _ => return None,
    };
    // About one that cannot be read, `haproxy -c` has said it.
    let theirs = theirs.ok()?;
    let known: BTreeSet<&[u8]> = keys(ours).collect();
    if keys(&theirs).any(|key| known.contains(key)) {
        return None;
    }
    let own = match ours.is_bundled() {
        true => "Mozilla's roots (no --ca-file)",
        false => "those of --ca-file",
    };
    let what = format!(
        "traffic trusts the roots of {}, the check {own}: none is in both",
        ca_file.value
    );
    Some(
        Finding::note("traffic-other-roots", what)
            .at(&ca_file.place)
            .shows("UP by the check and 503 for traffic, or DOWN with code 55 or 56 while traffic works")
            .write(format!(
                "trust the same in both: --ca-file {} in external-check path, with a copy inside the chroot if there is \
                 one; or the check's roots as ca-file on the server line",
                ca_file.value
            )),
    )
}

/// The keys of all roots.
fn keys(trust: &Trust) -> impl Iterator<Item = &[u8]> {
    let bundled = trust.anchors().iter();
    let bundled = bundled.map(|anchor| anchor.subject_public_key_info.as_ref());
    let files = trust.certificates().iter();
    bundled.chain(files.filter_map(|root| root.parts().map(|parts| parts.key)))
}
