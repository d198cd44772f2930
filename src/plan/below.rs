//! Opens a file as a process would whose root is a folder, or one that is not to leave it.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, ResolveFlags, open, openat, openat2, readlinkat};
use rustix::io::Errno;

/// As many links as Linux follows.
const MOST_LINKS: usize = 40;
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Where `..` and links may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Nowhere out of the folder: that is `EXDEV`.
    Beneath,
    /// The folder is the root for them.
    InRoot,
}

/// Opens `path`, which is below `folder` (openat2(2)).
///
/// # Errors
/// Those of openat2.
pub(super) fn open_in(
    folder: &Path,
    path: &Path,
    flags: OFlags,
    way: Way,
) -> Result<OwnedFd, Errno> {
    let folder = open(folder, FOLDER, Mode::empty())?;
    let resolve = match way {
        Way::Beneath => ResolveFlags::BENEATH,
        Way::InRoot => ResolveFlags::IN_ROOT,
    };
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    match openat2(&folder, path, flags, Mode::empty(), resolve) {
        // Linux before 5.6, container runtimes that do not know it, and RestrictSUIDSGID=, which a
        // unit with DynamicUser= always has.
        Err(Errno::NOSYS | Errno::PERM) => step_by_step(folder, path, flags, way),
        opened => opened,
    }
}

/// The same without openat2. No step follows a link or `..` by itself, so whoever moves files in the
/// meantime cannot lead it out.
fn step_by_step(folder: OwnedFd, path: &Path, flags: OFlags, way: Way) -> Result<OwnedFd, Errno> {
    // The folders from the first to the one that has been reached.
    let (mut above, mut here) = (Vec::new(), folder);
    let mut left = steps(path);
    let mut links = 0;
    while let Some(step) = left.pop() {
        match step.as_bytes() {
            b"/" if way == Way::Beneath => return Err(Errno::XDEV),
            b"/" => {
                above.truncate(1);
                here = above.pop().unwrap_or(here);
            }
            b".." => match above.pop() {
                Some(folder) => here = folder,
                None if way == Way::Beneath => return Err(Errno::XDEV),
                None => {}
            },
            _ => {
                let is_last = left.is_empty();
                let kind = if is_last { flags } else { FOLDER };
                match openat(&here, &step, kind | OFlags::NOFOLLOW, Mode::empty()) {
                    Ok(fd) if is_last => return Ok(fd),
                    Ok(fd) => above.push(std::mem::replace(&mut here, fd)),
                    Err(errno) => {
                        // What is not a link has failed for what it is.
                        let link = readlinkat(&here, &step, Vec::new()).map_err(|_| errno)?;
                        links += 1;
                        if links > MOST_LINKS {
                            return Err(Errno::LOOP);
                        }
                        left.extend(steps(Path::new(OsStr::from_bytes(link.as_bytes()))));
                    }
                }
            }
        }
    }
    openat(&here, c".", flags, Mode::empty())
}

/// The parts of a path, the first one last.
fn steps(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    let parts = parts.filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use rustix::fs::fstat;

    use super::*;

    #[test]
    fn step_by_step_is_what_openat2_does() {
        let top = std::env::temp_dir().join(format!("sni-below-{}", std::process::id()));
        let folder = top.join("folder");
        fs::create_dir_all(folder.join("a/b")).expect("folders");
        fs::create_dir_all(folder.join("etc")).expect("a folder");
        fs::write(top.join("outside"), "").expect("a file");
        for file in ["file", "a/file", "a/b/file", "etc/hosts", "outside"] {
            fs::write(folder.join(file), "").expect("a file");
        }
        for (link, to) in [
            ("to-file", "a/b/file"),
            ("a/up", "../file"),
            ("a/b/up", "../../a/b/../../file"),
            ("to-folder", "a/b"),
            ("to-here", "."),
            ("out", "../outside"),
            ("a/out", "../../outside"),
            ("absolute", "/etc/hosts"),
            ("to-root", "/"),
            ("of-links", "to-folder/up"),
            ("nowhere", "missing"),
            ("loop", "loop"),
            ("through-a-file", "file/x"),
        ] {
            symlink(to, folder.join(link)).expect("a link");
        }
        let mut links = "a/b/file".to_owned();
        for number in 0..42 {
            symlink(&links, folder.join(format!("chain-{number}"))).expect("a link");
            links = format!("chain-{number}");
        }
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        let identity =
            |opened: Result<OwnedFd, Errno>| opened.map(|fd| fstat(&fd).expect("a file").st_ino);
        let paths = [
            "file",
            "a/file",
            "./a/./b/file",
            "a/../file",
            "a/b/../../file",
            "..",
            "../outside",
            "a/../../outside",
            "a",
            "a/b",
            ".",
            "missing",
            "missing/x",
            "file/x",
            "a/file/../file",
            "to-file",
            "a/up",
            "a/b/up",
            "to-folder",
            "to-folder/file",
            "to-folder/../file",
            "to-here",
            "to-here/file",
            "out",
            "a/out",
            "absolute",
            "to-root",
            "to-root/file",
            "to-root/../outside",
            "of-links",
            "nowhere",
            "loop",
            "through-a-file",
            "/file",
            "/etc/hosts",
            "/../outside",
            "chain-0",
            "chain-38",
            "chain-39",
            "chain-40",
            "chain-41",
        ];
        for way in [Way::Beneath, Way::InRoot] {
            for path in paths {
                let theirs = open_in(&folder, Path::new(path), flags, way);
                let root = open(&folder, FOLDER, Mode::empty()).expect("a folder");
                let ours = step_by_step(root, Path::new(path), flags, way);
                assert_eq!(identity(ours), identity(theirs), "{path} {way:?}");
            }
        }
        fs::remove_dir_all(top).expect("removed");
    }
}
