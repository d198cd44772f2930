//! A file that hangs, as on a file system that doesn't answer. The kernel blocks every process that
//! opens the file until a fanotify(7) listener allows the access. This listener never does.

use std::path::Path;

use nix::fcntl::AT_FDCWD;
use nix::sys::fanotify::{EventFFlags, Fanotify, InitFlags, MarkFlags, MaskFlags};

use super::folder::Folder;

/// A file that hangs until this value is dropped.
pub struct HeldFile {
    pub path: String,
    _listener: Fanotify,
}

impl HeldFile {
    /// Writes the file. From then on, opening it hangs.
    pub fn new(folder: &Folder, name: &str, content: &str) -> HeldFile {
        let path = folder.file(name, content);
        let listener = Fanotify::init(
            InitFlags::FAN_CLASS_CONTENT | InitFlags::FAN_CLOEXEC,
            EventFFlags::O_RDONLY,
        );
        let listener = listener.expect("fanotify, as root");
        let (add, open) = (MarkFlags::FAN_MARK_ADD, MaskFlags::FAN_OPEN_PERM);
        let marked = listener.mark(add, open, AT_FDCWD, Some(Path::new(&path)));
        marked.expect("a mark");
        HeldFile {
            path,
            _listener: listener,
        }
    }
}
