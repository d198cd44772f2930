//! Refused calls: the option, what is wrong with it, and what to write instead. A refused call
//! sends nothing.

use std::fmt;

use anyhow::{Error, Result};

/// The reason why a call is refused. [`anyhow::Error`] carries it, so that doctor can show its
/// parts separately.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The option, with its value if the value helps: `--timeout 5x`.
    pub subject: String,
    /// The fault, as the rest of a sentence that begins with the subject: `is not a time`.
    pub what: String,
    /// What to do instead: `write a number and a unit, such as 2s`. It must read well after `; `
    /// and after a label. Only `did you mean X?` may be a question.
    pub write: String,
    /// Further faults of the same call, in the order of its arguments.
    pub also: Vec<Refusal>,
}

impl Refusal {
    /// Returns what to do about all faults, as a separate sentence.
    pub fn instead(&self) -> String {
        let nearest = self.write.strip_prefix("did you mean ");
        let mut text = match nearest.and_then(|write| write.strip_suffix('?')) {
            Some(nearest) => format!("write {nearest}"),
            None => self.write.clone(),
        };
        for (index, other) in self.also.iter().enumerate() {
            let mut before = self.also[..index].iter().chain([self]);
            if before.all(|before| before.write != other.write) {
                text += "; then ";
                text += &other.instead();
            }
        }
        text
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.subject, self.what)?;
        let mut before = self;
        for other in &self.also {
            // If consecutive faults have the same advice, the advice follows only the last of them.
            let end = match () {
                () if before.write == other.write => String::from("."),
                () if before.write.ends_with('?') => format!("; {}", before.write),
                () => format!("; {}.", before.write),
            };
            write!(f, "{end} Also: {} {}", other.subject, other.what)?;
            before = other;
        }
        write!(f, "; {}", before.write)
    }
}

impl std::error::Error for Refusal {}

/// The advice for an empty value. The usual cause is a variable that isn't set.
pub(crate) const SET_THE_VARIABLE: &str =
    "write a value after the option, or set the variable that the value comes from";

/// Builds a refusal, as an error.
pub(crate) fn refusal(
    subject: impl Into<String>,
    what: impl Into<String>,
    write: impl Into<String>,
) -> Error {
    Error::new(Refusal {
        subject: subject.into(),
        what: what.into(),
        write: write.into(),
        also: Vec::new(),
    })
}

/// Joins the faults of one call into one refusal, and drops repeated faults. Returns `None` if
/// there is no fault.
pub(crate) fn together(faults: Vec<Error>) -> Option<Error> {
    let mut all: Vec<Refusal> = Vec::new();
    for fault in faults {
        let mut first = match fault.downcast::<Refusal>() {
            Ok(refusal) => refusal,
            // An error that isn't a `Refusal` has no parts to join.
            Err(fault) => return Some(fault),
        };
        let others = std::mem::take(&mut first.also);
        for refusal in std::iter::once(first).chain(others) {
            let repeats = |known: &Refusal| {
                (&known.subject, &known.write) == (&refusal.subject, &refusal.write)
            };
            if !all.iter().any(repeats) {
                all.push(refusal);
            }
        }
    }
    let mut all = all.into_iter();
    let mut first = all.next()?;
    first.also.extend(all);
    Some(Error::new(first))
}

/// Adds to an error the option or URL that contains the refused part.
pub(crate) trait Of<T> {
    /// Puts `option` in front of the subject.
    fn of(self, option: &str) -> Result<T>;
}

impl<T> Of<T> for Result<T> {
    fn of(self, option: &str) -> Result<T> {
        self.map_err(|error| match error.downcast::<Refusal>() {
            Ok(part) => Error::new(Refusal {
                subject: format!("{option} {}", part.subject),
                ..part
            }),
            Err(error) => error.context(option.to_owned()),
        })
    }
}

impl<T> Of<T> for Result<T, Misfit> {
    fn of(self, option: &str) -> Result<T> {
        self.map_err(|misfit| misfit.of(option))
    }
}

/// A fault of a value, without the option. Code that reads a value doesn't know the value's option, so it
/// returns a `Misfit`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misfit {
    what: String,
    write: String,
}

impl Misfit {
    /// Builds a misfit. The parameters have the same meaning as in [`Refusal`].
    pub(crate) fn new(what: impl Into<String>, write: impl Into<String>) -> Misfit {
        Misfit {
            what: what.into(),
            write: write.into(),
        }
    }

    pub(crate) fn of(self, subject: &str) -> Error {
        refusal(subject, self.what, self.write)
    }

    /// Reads a misfit back from its text, because argh keeps only the text of an error.
    pub(crate) fn from_text(text: &str) -> Option<Misfit> {
        let (what, write) = text.split_once(APART)?;
        Some(Misfit::new(what, write))
    }
}

/// Separates the two parts of a misfit's text. This is ASCII's unit separator, which no message contains. In
/// a value from the user, a space replaces it.
const APART: char = '\u{1f}';

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{APART}{}", self.what.replace(APART, " "), self.write)
    }
}

/// Refuses two options that contradict each other. The message names both.
pub(crate) fn exclusive(one: bool, one_name: &str, other: bool, other_name: &str) -> Result<()> {
    if one && other {
        return Err(refusal(
            format!("{one_name} and {other_name}"),
            "contradict each other",
            "give only one of them",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Misfit, Of, Refusal, refusal};

    #[test]
    fn a_refusal_has_a_sentence_and_separate_parts() {
        let refused: anyhow::Result<()> = Err(refusal("`a b`", "is not a name", "write a.example"));
        let error = refused.of("--sni").expect_err("a refusal");
        assert_eq!(
            error.to_string(),
            "--sni `a b` is not a name; write a.example"
        );
        let parts = error.downcast_ref::<Refusal>().expect("its parts");
        assert_eq!(parts.write, "write a.example");
        assert_eq!(parts.instead(), "write a.example");
        let nearest = Refusal {
            write: "did you mean --sni?".to_owned(),
            ..parts.clone()
        };
        assert_eq!(nearest.instead(), "write --sni");
    }

    #[test]
    fn a_misfit_survives_as_text() {
        let misfit = Misfit::new("is not\u{1f} a time", "write 2s");
        let error = Misfit::from_text(&misfit.to_string()).expect("its parts");
        assert_eq!(
            error.of("--timeout 5x").to_string(),
            "--timeout 5x is not  a time; write 2s"
        );
    }
}
