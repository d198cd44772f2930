//! Options of curl, openssl and HAProxy that people type out of habit.

use argh::FlagInfo;

/// Familiar options, each with sni-check's option of the same meaning.
const FAMILIAR: [(&[&str], &str); 14] = [
    (
        &["-k", "--insecure", "--no-check-certificate"],
        "--verify none",
    ),
    (
        &["--cacert", "--capath", "-CAfile", "--ca"],
        "--ca-file FILE",
    ),
    (&["-E", "--cert", "-cert"], "--crt FILE"),
    (
        &[
            "--servername",
            "-servername",
            "--server-name",
            "--sni-name",
            "--check-sni",
            "--hostname",
            "--host",
        ],
        "--sni NAME",
    ),
    (&["-H"], "--header 'NAME: VALUE'"),
    (&["-X", "--request"], "--method METHOD"),
    (&["-I", "--head"], "--method HEAD"),
    (&["-d", "--data"], "--body TEXT"),
    (
        &["-m", "--max-time", "--connect-timeout", "-t"],
        "--timeout TIME",
    ),
    (
        &["--resolve", "--connect-to", "-connect", "--addr"],
        "--connect ADDR",
    ),
    (&["--path", "--url"], "--uri URI"),
    (&["-s", "--silent", "-q"], "--quiet"),
    (&["-v"], "--verbose"),
    (&["-V", "-version"], "--version"),
];

/// Returns what to write instead of the option `name`, if `flags` has an equivalent option.
pub(super) fn instead(name: &str, flags: &[FlagInfo<'_>]) -> Option<&'static str> {
    let (_, ours) = FAMILIAR.iter().find(|(typed, _)| typed.contains(&name))?;
    let long = ours.split(' ').next()?;
    flags.iter().any(|flag| flag.long == long).then_some(ours)
}
