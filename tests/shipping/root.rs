//! A copy of this machine's Debian, into which tests install packages.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use crate::support::folder::Folder;
use crate::support::{Running, program};
use crate::tools::run;

/// A mount namespace with this machine's root file system below an empty layer, which collects
/// every change. /tmp is the machine's own.
pub struct Root {
    folder: Folder,
    keeper: Running,
}

/// A script that makes the copy. In a container, dpkg is often configured to leave out manuals and
/// documents, but these tests need them. The script also hides /usr/local, where `make install` may
/// have put files.
const SET_UP: &str = r#"
set -e
mount -t tmpfs tmpfs "$1"
cd "$1"
mkdir changes work root
mount -t overlay overlay -o lowerdir=/,upperdir=changes,workdir=work root
mount --rbind /dev root/dev
mount -t proc proc root/proc
mount --bind "$2" "root$2"
mount -t tmpfs tmpfs root/usr/local
rm -f root/etc/dpkg/dpkg.cfg.d/*
echo ready
exec sleep 600
"#;

impl Root {
    pub fn new() -> Root {
        let folder = Folder::new();
        let mut keeper = program("unshare")
            .args(["--mount", "sh", "-c", SET_UP, "sh"])
            .arg(folder.path())
            .arg(std::env::temp_dir())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare runs");
        let output = keeper.stdout.take().expect("a pipe");
        let root = Root {
            folder,
            keeper: Running(keeper),
        };
        let mut line = String::new();
        BufReader::new(output)
            .read_line(&mut line)
            .expect("a pipe can be read");
        assert_eq!(line, "ready\n", "mounting needs root");
        root
    }

    fn outside(&self) -> Command {
        let mut command = program("nsenter");
        command
            .args(["--mount", "--target"])
            .arg(self.keeper.0.id().to_string());
        command
    }

    /// Returns a command that runs inside the copy.
    pub fn command(&self, path: &str) -> Command {
        let mut command = self.outside();
        command
            .arg("/usr/sbin/chroot")
            .arg(self.folder.path().join("root"))
            .arg(path)
            .stdin(Stdio::null());
        command
    }

    /// Runs a script inside the copy, asserts success, and returns its output.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        run(self.command("/bin/sh").args(["-ec", script]))
    }

    /// Makes the copy look as if systemd ran in it. Stand-ins for the programs that packages call write their
    /// arguments into the file `calls`.
    pub fn pretend_systemd(&self, calls: &str) {
        self.sh(&format!(
            "mkdir -p /run/systemd/system\n\
             printf '#!/bin/sh\\necho \"$*\" >> {calls}\\n' > /tmp-stand-in\n\
             chmod 755 /tmp-stand-in\n\
             rm -f /usr/bin/systemctl /usr/bin/deb-systemd-invoke\n\
             cp /tmp-stand-in /usr/bin/systemctl\n\
             mv /tmp-stand-in /usr/bin/deb-systemd-invoke"
        ));
    }

    /// Returns the path of every file that was changed, created or removed, without directories.
    pub fn changes(&self) -> BTreeSet<String> {
        let paths = run(self
            .outside()
            .arg("find")
            .arg(self.folder.path().join("changes"))
            .args(["-not", "-type", "d", "-printf", "/%P\\n"]));
        paths.lines().map(str::to_owned).collect()
    }
}
