//! Why a call is refused before anything is sent.

use anyhow::{Result, bail};

/// Refuses two options that contradict each other, by their names.
pub(crate) fn exclusive(one: bool, one_name: &str, other: bool, other_name: &str) -> Result<()> {
    if one && other {
        bail!("{one_name} and {other_name} contradict each other; give only one of them");
    }
    Ok(())
}
