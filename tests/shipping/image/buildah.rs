//! buildah with its own store, and the stand-ins for the official images.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{cargo, root, run, tool};

pub const RUST: &str = "localhost/rust-stand-in";
pub const HAPROXY: &str = "localhost/haproxy-stand-in";

/// buildah's default limits are higher than some machines allow.
const LIMITS: [&str; 2] = ["--ulimit=nofile=1024:1024", "--ulimit=nproc=4096:4096"];

pub struct Buildah {
    work: PathBuf,
}

impl Buildah {
    pub fn new(work: &Path) -> Buildah {
        Buildah {
            work: work.to_owned(),
        }
    }

    pub fn command(&self) -> Command {
        let mut buildah = tool("buildah");
        buildah.args(["--storage-driver", "vfs"]);
        buildah.arg("--root").arg(self.work.join("store"));
        buildah.arg("--runroot").arg(self.work.join("run"));
        buildah
    }

    /// Builds an image from the repository's Dockerfile. The build can use this machine's Rust.
    pub fn build(&self, tag: &str, arguments: &[&str]) {
        let mut build = self.bud(tag, Path::new("docker/Dockerfile"));
        build
            .args(["--layers", "--network", "host"])
            .args(arguments);
        for (host, inside) in [
            ("/usr".into(), "/usr"),
            ("/etc/alternatives".into(), "/etc/alternatives"),
            (sysroot(), "/opt/rust"),
            (cargo_home().join("registry"), "/opt/cargo/registry"),
        ] {
            build.arg(format!("--volume={}:{inside}:ro", host.display()));
        }
        run(build.arg("."));
    }

    /// Builds the stand-in for the Rust image. It contains only mount points, and the build of the
    /// Dockerfile mounts this machine's Rust there.
    pub fn build_rust_stand_in(&self) {
        let tree = self.work.join("rust");
        for folder in [
            "usr",
            "opt/rust",
            "opt/cargo/registry",
            "etc/alternatives",
            "tmp",
            "proc",
            "dev",
        ] {
            std::fs::create_dir_all(tree.join(folder)).expect("a folder");
        }
        for link in ["bin", "lib", "lib64"] {
            std::os::unix::fs::symlink(format!("usr/{link}"), tree.join(link)).expect("a link");
        }
        // This build has no optimisation, because other tests cover the released binary.
        let environment = "ENV PATH=/opt/rust/bin:/usr/bin CARGO_HOME=/opt/cargo \
            CARGO_NET_OFFLINE=true CARGO_PROFILE_RELEASE_LTO=off CARGO_PROFILE_RELEASE_OPT_LEVEL=0";
        self.build_stand_in(RUST, &tree, environment);
    }

    /// Builds the stand-in for the HAProxy image: this machine's HAProxy, with the paths of the official
    /// images.
    pub fn build_haproxy_stand_in(&self) {
        let tree = self.work.join("haproxy");
        let haproxy = run(tool("sh").args(["-c", "command -v haproxy"]));
        let haproxy = haproxy.trim();
        let libraries = run(tool("ldd").arg(haproxy));
        let libraries = libraries
            .split_whitespace()
            .filter(|word| word.starts_with('/'));
        for file in libraries.chain(["/etc/ssl/certs/ca-certificates.crt"]) {
            let copy = tree.join(file.trim_start_matches('/'));
            std::fs::create_dir_all(copy.parent().expect("a folder")).expect("a folder");
            std::fs::copy(file, copy).expect(file);
        }
        for folder in [
            "usr/local/sbin",
            "usr/local/etc/haproxy",
            "var/lib/haproxy",
            "tmp",
            "dev",
            "proc",
        ] {
            std::fs::create_dir_all(tree.join(folder)).expect("a folder");
        }
        std::fs::copy(haproxy, tree.join("usr/local/sbin/haproxy")).expect("HAProxy");
        let mut users = String::new();
        for (name, id) in [("root", 0), ("haproxy", 99)] {
            writeln!(users, "{name}:x:{id}:{id}::/var/lib/haproxy:/sbin/nologin")
                .expect("a string");
        }
        std::fs::write(tree.join("etc/passwd"), users).expect("a file");
        std::fs::write(tree.join("etc/group"), "root:x:0:\nhaproxy:x:99:\n").expect("a file");
        self.build_stand_in(
            HAPROXY,
            &tree,
            "ENV PATH=/usr/local/sbin\nWORKDIR /var/lib/haproxy\nUSER haproxy",
        );
    }

    fn build_stand_in(&self, tag: &str, tree: &Path, rest: &str) {
        self.build_text(tag, &format!("FROM scratch\nCOPY . /\n{rest}\n"), tree);
    }

    /// Builds an image from the text of a Dockerfile.
    pub fn build_text(&self, tag: &str, text: &str, context: &Path) {
        let file = self.work.join("Dockerfile");
        std::fs::write(&file, text).expect("a file");
        run(self.bud(tag, &file).arg(context));
    }

    fn bud(&self, tag: &str, file: &Path) -> Command {
        let mut build = self.command();
        build.args(["bud", "--isolation", "chroot", "--pull-never"]);
        build.args(LIMITS);
        build.args(["--tag", tag, "--file"]).arg(file);
        build
    }

    /// Creates a container of an image. Returns the container's name.
    pub fn container(&self, image: &str) -> String {
        run(self
            .command()
            .args(["from", "--pull-never"])
            .args(LIMITS)
            .arg(image))
        .trim()
        .to_owned()
    }

    /// Returns a part of an image's configuration.
    pub fn inspect(&self, image: &str, format: &str) -> String {
        let mut command = self.command();
        command.args(["inspect", "--type", "image", "--format", format, image]);
        run(&mut command).trim().to_owned()
    }

    /// Mounts a container. Returns its root directory.
    pub fn mount(&self, container: &str) -> PathBuf {
        PathBuf::from(run(self.command().args(["mount", container])).trim())
    }

    /// Runs a program inside the container until it exits.
    pub fn run(&self, container: &str, options: &[&str], words: &[&str]) -> String {
        let mut command = self.command();
        command.args(["run", "--isolation", "chroot"]).args(options);
        run(command.arg(container).arg("--").args(words))
    }
}

fn sysroot() -> PathBuf {
    let mut cargo = cargo();
    cargo.args(["rustc", "--quiet", "--lib", "--", "--print", "sysroot"]);
    PathBuf::from(run(&mut cargo).trim())
}

fn cargo_home() -> PathBuf {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".cargo")));
    root().join(home.expect("CARGO_HOME or HOME is set"))
}
