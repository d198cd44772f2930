//! doctor with hosts, configurations and programs that it must not trust.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use crate::configuration::{PLAIN, checked, configure, doctor, finding, in_chroot, json};
use crate::support::check::{self, by_hand, stderr, stdout};
use crate::support::folder::Folder;
use crate::support::stage::Stage;
use crate::support::{NAME, program, wait_for};

const SERVER: &str = "127.0.0.1:PORT TLS check inter 2s";

/// The owner of the chroot replaces a file again and again, while root runs doctor and doctor reads the file.
#[test]
fn replaced_files_do_not_lead_doctor_out_of_the_chroot() {
    let stage = Stage::new();
    let options = format!("--sni {NAME} --ca-file /swapped.pem");
    let config = in_chroot(&stage, &checked("/sni-check", &options, SERVER));
    let outside = stage.folder.file("secret.pem", "not a certificate");
    let root = Path::new(stage.chroot()).to_owned();
    let fifo = program("mkfifo").arg(root.join("fifo")).status();
    assert!(fifo.expect("mkfifo runs").success());
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let (new, file) = (root.join("new"), root.join("swapped.pem"));
            while !over.load(Ordering::Relaxed) {
                for target in ["ca.pem", &outside, "fifo", "../secret.pem"] {
                    symlink(target, &new).expect("a link");
                    fs::rename(&new, &file).expect("renamed");
                    thread::yield_now();
                }
            }
        });
        // If doctor opened the FIFO and waited for a writer, it would never return.
        let reports: Vec<String> = (0..40)
            .map(|_| stdout(&doctor(&["-f", &config, "--json"])))
            .collect();
        over.store(true, Ordering::Relaxed);
        for report in reports {
            assert!(report.contains("\"findings\""), "{report}");
            assert!(!report.contains("no certificate in it"), "{report}");
        }
    });
}

#[test]
fn a_check_does_not_outlive_doctor() {
    let stage = Stage::new();
    let script = "#!/bin/sh\necho $$ > \"${0%/*}/pid.part\"; /bin/mv \"${0%/*}/pid.part\" \"${0%/*}/pid\"\nexec /bin/sleep 600\n";
    let script = stage.folder.script("slow/slow", script);
    let writable = fs::Permissions::from_mode(0o777);
    fs::set_permissions(stage.folder.join("slow"), writable).expect("permissions");
    let server = "127.0.0.1:PORT TLS check inter 600s";
    for global in [PLAIN, &format!("{PLAIN}\n user nobody\n group nogroup")] {
        let config = configure(&stage, global, &checked(&script, "--no-sni", server));
        let mut command = by_hand(&["doctor", "--run", "-f", &config]);
        let mut running = command
            .stdout(Stdio::null())
            .spawn()
            .expect("the program runs");
        let pid = wait_for("the check to run", || {
            fs::read_to_string(stage.folder.join("slow/pid")).ok()
        });
        running.kill().expect("killed");
        assert_eq!(running.wait().expect("an exit status").signal(), Some(9));
        let process = format!("/proc/{}", pid.trim());
        wait_for("the check to end", || {
            (!Path::new(&process).exists()).then_some(())
        });
        fs::remove_file(stage.folder.join("slow/pid")).expect("removed");
    }
}

#[test]
fn doctor_never_runs_a_haproxy_in_the_current_folder() {
    let folder = Folder::new();
    let config = folder.file("haproxy.cfg", "global\n external-check\n");
    folder.script("haproxy", "#!/bin/sh\n/bin/touch \"${0%/*}/was-run\"\n");
    for path in ["", ":", ".", "bin::"] {
        let mut command = by_hand(&["doctor", "-f", &config]);
        let output = command
            .current_dir(folder.path())
            .env("PATH", path)
            .output();
        let output = output.expect("the program runs");
        assert!(stdout(&output).contains("no check"), "{}", stderr(&output));
        assert!(!Path::new(&folder.join("was-run")).exists(), "{path}");
    }
}

/// If a sudo rule allows sni-check, it must not thereby allow every other program.
#[test]
fn the_inner_command_runs_programs_only_for_doctor() {
    let folder = Folder::new();
    let copy = folder.copy(check::BINARY, "sni-check", 0o755);
    let script = folder.script("script", "#!/bin/sh\nexec /bin/touch \"${0%/*}/was-run\"\n");
    let words = ["", "", "", &script, "1", "2", "3", "4"];
    let mut as_words = by_hand(&[&["--as-haproxy"][..], &words].concat());
    let mut as_another = program("setpriv");
    as_another.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    as_another.args([&copy, "--as-haproxy"]);
    let (mut ours, theirs) = UnixStream::pair().expect("sockets");
    std::io::Write::write_all(&mut ours, words.join("\0").as_bytes()).expect("written");
    drop(ours);
    as_another.stdin(Stdio::from(OwnedFd::from(theirs)));
    for command in [&mut as_words, &mut as_another] {
        let output = command.output().expect("the program runs");
        assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
        assert!(stderr(&output).contains("--as-haproxy is not an option"));
    }
    assert!(!Path::new(&folder.join("was-run")).exists());
}

#[test]
fn names_of_files_cannot_forge_a_line() {
    let folder = Folder::new();
    let name = "a\u{1b}[2J\u{202e}\nforged x.cfg";
    let text = "global\n external-check\n\ndefaults\n timeout check soon\n\nbackend b\n \
                option external-check\n server s 127.0.0.1:1 check\n";
    let config = folder.file(name, text);
    let output = doctor(&["-f", &config]);
    let text = stdout(&output);
    assert!(
        text.contains("\\u{1b}[2J\\u{202e}\\nforged x.cfg"),
        "{text}"
    );
    assert!(
        !text.contains(['\u{1b}', '\u{202e}']) && !text.contains("\nforged"),
        "{text}"
    );
    let object = stdout(&doctor(&["-f", &config, "--json"]));
    assert!(!object.contains('\u{202e}'), "{object}");
}

#[test]
fn without_proc_doctor_still_reads_programs_and_refuses_run() {
    let stage = Stage::new();
    let config = configure(&stage, PLAIN, &checked("/sni-check", "--no-sni", SERVER));
    let text = fs::read_to_string(config).expect("text");
    stage.folder.file("root/haproxy.cfg", &text);
    let inside = |more: &[&str]| {
        let mut command = Command::new("/usr/sbin/chroot");
        command.args([stage.chroot(), "/sni-check", "doctor", "-f", "/haproxy.cfg"]);
        command
            .args(more)
            .env_clear()
            .output()
            .expect("chroot runs")
    };
    let output = inside(&["--json"]);
    assert!(
        !stdout(&output).contains("another architecture"),
        "{}",
        stdout(&output)
    );
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    let output = inside(&["--run"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("--run needs /proc"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn doctor_reports_a_haproxy_that_crashes_and_a_program_that_is_not_haproxy() {
    let stage = Stage::new();
    let config = in_chroot(&stage, &checked("/sni-check", "--no-sni", SERVER));
    let script =
        "#!/bin/sh\n[ \"$1\" = -v ] && echo 'HAProxy version 2.6.12 x' && exit\nkill -SEGV $$\n";
    let crashes = stage.folder.script("crashes", script);
    let (report, code) = json(&["-f", &config, "--haproxy", &crashes]);
    let what = finding(&report, "refused")["what"].as_str().expect("text");
    assert!(what.contains("was killed by signal 11 (SIGSEGV)"), "{what}");
    assert_eq!(code, 2);
    let output = doctor(&["-f", &config, "--haproxy", "/bin/true"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        stderr(&output).contains("does not print a version"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn with_too_few_processes_there_is_still_a_report() {
    let stage = Stage::new();
    let copy = stage.folder.copy(check::BINARY, "sni-check", 0o755);
    let script = "#!/bin/sh\necho 'HAProxy version 2.6.12 2026/01/01'\n";
    let haproxy = stage.folder.script("haproxy", script);
    let server = "127.0.0.1:PORT TLS check inter 5s\n server t 127.0.0.1:PORT TLS check inter 5s";
    let config = configure(&stage, PLAIN, &checked("/bin/true", "", server));
    // This user may have at most two processes or threads. A check would be the third.
    let mut command = program("setpriv");
    command.args(["--reuid=64123", "--regid=64123", "--clear-groups"]);
    command.args(["prlimit", "--nproc=2", &copy, "doctor", "--run"]);
    command.args(["--json", "--haproxy", &haproxy, "-f", &config]);
    let output = command.output().expect("setpriv runs");
    // It isn't certain which check fails, because either check may start first.
    let report: serde_json::Value =
        serde_json::from_str(&stdout(&output)).unwrap_or_else(|_| panic!("{}", stderr(&output)));
    let checks = report["runs"]["checks"].as_array().expect("checks");
    assert_eq!(checks.len(), 2, "{report}");
    assert_ne!(output.status.code(), Some(1), "{report}");
}
