//! The files that options may name, and how to open them.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Error;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::walk::{Bounds, open_in};
use crate::refusal::refusal;

/// Which files may be read, and where their paths start.
#[derive(Clone, Debug, Default)]
pub(super) enum Scope {
    /// Every file that this process may read.
    #[default]
    Any,
    /// Every file that this process may read. HAProxy runs the process, often in a chroot.
    Check,
    /// Only these files, because the options come from requests to serve.
    Only(Arc<Allowed>),
    /// The files below this folder. Their paths are written as if the folder were `/`.
    Within(PathBuf),
}

/// The only files that the options of a request to serve may name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Allowed {
    /// Every file below these folders, unless a link leads out of its folder.
    pub folders: Vec<PathBuf>,
    /// The paths on serve's own command line. Each path is a file, or a folder, which allows the files
    /// directly in it.
    pub named: Vec<PathBuf>,
}

impl Scope {
    /// Returns true if options may name this path.
    pub fn may_name(&self, path: &Path) -> bool {
        match self {
            Scope::Only(allowed) => allowed.names(path) || allowed.split(path).is_some(),
            _ => true,
        }
    }

    /// Opens an allowed file. `EXDEV` means that the file isn't inside an allowed folder.
    pub fn open(&self, path: &Path) -> Result<OwnedFd, Errno> {
        // Opening a FIFO must not wait for a writer.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        match self {
            Scope::Any | Scope::Check => open(path, flags, Mode::empty()),
            Scope::Within(root) => open_in(root, path, flags, Bounds::InRoot),
            Scope::Only(allowed) if allowed.names(path) => open(path, flags, Mode::empty()),
            Scope::Only(allowed) => {
                let (folder, rest) = allowed.split(path).ok_or(Errno::XDEV)?;
                open_in(folder, rest, flags, Bounds::Beneath)
            }
        }
    }
}

impl Allowed {
    /// Returns true if a path is in `named`, or directly inside a folder in `named`.
    pub(super) fn names(&self, path: &Path) -> bool {
        let mut named = self.named.iter();
        named.any(|named| named == path || path.parent() == Some(named))
    }

    /// Returns the allowed folder that contains a path, and the rest of the path.
    fn split<'a>(&self, path: &'a Path) -> Option<(&Path, &'a Path)> {
        self.folders.iter().find_map(|folder| {
            let rest = path.strip_prefix(folder).ok()?;
            (!rest.as_os_str().is_empty()).then_some((folder.as_path(), rest))
        })
    }

    pub(super) fn outside(&self, subject: &str) -> Error {
        let folders = self
            .folders
            .iter()
            .map(|folder| folder.display().to_string());
        let folders: Vec<String> = folders.collect();
        let write = match folders.is_empty() {
            true => "start sni-check serve with --files DIR".to_owned(),
            false => format!("write a path below {}", folders.join(" or ")),
        };
        refusal(subject, "is not below a folder of --files", write)
    }
}
