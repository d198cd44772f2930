//! Finds a file as if a folder were the root of this process, or without ever leaving a folder.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, Stat};
use rustix::fs::{fstat, open, openat, openat2, readlinkat};
use rustix::io::Errno;

/// How many symbolic links Linux follows in one path (path_resolution(7)).
const MOST_LINKS: usize = 40;
const FOLDER: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// Where `..` and symbolic links may lead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bounds {
    /// They must not leave the folder. The walk fails with `EXDEV` if they do.
    Beneath,
    /// They stay below the folder, as if it were `/`.
    InRoot,
}

/// A file or folder that a walk has reached.
#[derive(Debug)]
pub(crate) struct Reached {
    pub handle: OwnedFd,
    /// The path, as seen from outside the root.
    pub path: PathBuf,
    pub stat: Stat,
}

/// Why a walk fails, and at which path, as seen from outside the root.
#[derive(Debug)]
pub(crate) enum Obstacle {
    /// The path can't be opened, or a link or `..` leads out of the bounds.
    Errno(Errno, PathBuf),
    /// `may_enter` refuses this folder.
    Forbidden(PathBuf),
}

/// Opens `path` inside `folder`, with one system call if possible (openat2(2)).
///
/// # Errors
///
/// The same as for openat2.
pub(super) fn open_in(
    folder: &Path,
    path: &Path,
    flags: OFlags,
    bounds: Bounds,
) -> Result<OwnedFd, Errno> {
    let handle = open(folder, FOLDER, Mode::empty())?;
    let resolve = match bounds {
        Bounds::Beneath => ResolveFlags::BENEATH,
        Bounds::InRoot => ResolveFlags::IN_ROOT,
    };
    let resolve = resolve | ResolveFlags::NO_MAGICLINKS;
    match openat2(&handle, path, flags, Mode::empty(), resolve) {
        // openat2 fails on Linux before 5.6, in container runtimes that don't support it, and with
        // RestrictSUIDSGID=, which DynamicUser= always sets.
        Err(Errno::NOSYS | Errno::PERM) => by_steps(folder, path, flags, bounds),
        opened => opened,
    }
}

fn by_steps(folder: &Path, path: &Path, flags: OFlags, bounds: Bounds) -> Result<OwnedFd, Errno> {
    match walk(folder, path, flags, bounds, |_| true) {
        Ok(reached) => Ok(reached.handle),
        Err(Obstacle::Errno(errno, _)) => Err(errno),
        Err(Obstacle::Forbidden(_)) => Err(Errno::ACCESS),
    }
}

/// Walks from `root` along `path`, one name at a time, and opens the end of the path with `flags`. For every
/// folder on the way, `may_enter` decides whether the walk may enter it. It can check the permissions of
/// another user.
///
/// Each step starts at the folder that the previous step opened, and no step follows a link or `..` by
/// itself. Moving files and links during the walk therefore can't lead it out of the root.
///
/// # Errors
///
/// A path can't be opened, or `may_enter` refuses a folder.
pub(crate) fn walk(
    root: &Path,
    path: &Path,
    flags: OFlags,
    bounds: Bounds,
    may_enter: impl Fn(&Stat) -> bool,
) -> Result<Reached, Obstacle> {
    let at_root = |errno| Obstacle::Errno(errno, root.to_owned());
    let start = open(root, FOLDER, Mode::empty()).map_err(at_root)?;
    // The folders above `here`. The root comes first.
    let mut above: Vec<Reached> = Vec::new();
    let mut here = reached(start, root.to_owned())?;
    let mut left = names(path);
    let mut links = 0;
    while let Some(name) = left.pop() {
        if !may_enter(&here.stat) {
            return Err(Obstacle::Forbidden(here.path));
        }
        let outside = || Obstacle::Errno(Errno::XDEV, here.path.join(&name));
        match name.as_bytes() {
            b"/" if bounds == Bounds::Beneath => return Err(outside()),
            b"/" => {
                above.truncate(1);
                here = above.pop().unwrap_or(here);
                continue;
            }
            b".." => {
                match above.pop() {
                    Some(folder) => here = folder,
                    None if bounds == Bounds::Beneath => return Err(outside()),
                    None => {}
                }
                continue;
            }
            _ => {}
        }
        let is_last = left.is_empty();
        let kind = if is_last { flags } else { FOLDER };
        match step(&here, &name, kind)? {
            Step::Reached(end) if is_last => return Ok(end),
            Step::Reached(folder) => above.push(std::mem::replace(&mut here, folder)),
            Step::Link(target) => {
                links += 1;
                if links > MOST_LINKS {
                    return Err(Obstacle::Errno(Errno::LOOP, here.path.join(&name)));
                }
                left.extend(names(Path::new(&target)));
            }
        }
    }
    let end = openat(&here.handle, c".", flags, Mode::empty());
    let end = end.map_err(|errno| Obstacle::Errno(errno, here.path.clone()))?;
    reached(end, here.path)
}

enum Step {
    Reached(Reached),
    /// The name is a symbolic link to this target.
    Link(OsString),
}

fn step(here: &Reached, name: &OsStr, flags: OFlags) -> Result<Step, Obstacle> {
    let path = here.path.join(name);
    let target = |errno: Errno| {
        // If the name isn't a link, openat failed for another reason.
        let link = readlinkat(&here.handle, name, Vec::new());
        let link = link.map_err(|_| Obstacle::Errno(errno, path.clone()))?;
        Ok(Step::Link(OsStr::from_bytes(link.as_bytes()).to_owned()))
    };
    match openat(&here.handle, name, flags | OFlags::NOFOLLOW, Mode::empty()) {
        Ok(handle) => {
            let found = reached(handle, path.clone())?;
            // With O_PATH, openat opens the link itself instead of failing.
            match FileType::from_raw_mode(found.stat.st_mode).is_symlink() {
                true => target(Errno::LOOP),
                false => Ok(Step::Reached(found)),
            }
        }
        Err(errno) => target(errno),
    }
}

fn reached(handle: OwnedFd, path: PathBuf) -> Result<Reached, Obstacle> {
    match fstat(&handle) {
        Ok(stat) => Ok(Reached { handle, path, stat }),
        Err(errno) => Err(Obstacle::Errno(errno, path)),
    }
}

/// Returns the names in a path in reverse order, because the walk takes them from the end of the list.
fn names(path: &Path) -> Vec<OsString> {
    let parts = path.components().rev();
    let parts = parts.filter(|part| *part != Component::CurDir);
    parts.map(|part| part.as_os_str().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_walk_reaches_the_same_file_as_openat2() {
        let top = std::env::temp_dir().join(format!("sni-walk-{}", std::process::id()));
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
        let paths = "file a/file ./a/./b/file a/../file a/b/../../file .. ../outside a/../../outside \
            a a/b . missing missing/x file/x a/file/../file to-file a/up a/b/up to-folder \
            to-folder/file to-folder/../file to-here to-here/file out a/out absolute to-root \
            to-root/file to-root/../outside of-links nowhere loop through-a-file /file \
            /etc/hosts /../outside chain-0 chain-38 chain-39 chain-40 chain-41";
        for bounds in [Bounds::Beneath, Bounds::InRoot] {
            for path in paths.split(' ').map(Path::new) {
                let theirs = identity(open_in(&folder, path, flags, bounds));
                let ours = by_steps(&folder, path, flags, bounds);
                assert_eq!(identity(ours), theirs, "{path:?} {bounds:?}");
                let only_seen = OFlags::PATH | OFlags::CLOEXEC;
                let seen = by_steps(&folder, path, only_seen, bounds);
                assert_eq!(identity(seen), theirs, "{path:?} {bounds:?} with O_PATH");
            }
        }
        fs::remove_dir_all(top).expect("removed");
    }

    #[test]
    fn a_forbidden_folder_is_named() {
        let top = std::env::temp_dir().join(format!("sni-enter-{}", std::process::id()));
        let folder = top.join("open/closed/inner");
        fs::create_dir_all(&folder).expect("folders");
        symlink("open/closed", top.join("link")).expect("a link");
        let closed = rustix::fs::stat(top.join("open/closed"))
            .expect("a folder")
            .st_ino;
        let find = |path: &str| {
            let may_enter = |stat: &Stat| stat.st_ino != closed;
            walk(
                &top,
                Path::new(path),
                OFlags::PATH,
                Bounds::InRoot,
                may_enter,
            )
        };
        for path in ["open/closed/inner", "link/inner", "open/closed/.."] {
            let Err(Obstacle::Forbidden(at)) = find(path) else {
                panic!("{path}: entered");
            };
            assert_eq!(at, top.join("open/closed"), "{path}");
        }
        assert_eq!(
            find("/link").expect("reached").path,
            top.join("open/closed")
        );
        fs::remove_dir_all(top).expect("removed");
    }
}
