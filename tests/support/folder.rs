//! Temporary folders for tests.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A folder that is removed when this value is dropped. Every user may enter it, HAProxy's user
/// included. Its path is short enough for unix sockets.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new() -> Folder {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("sni-{}-{count}", std::process::id()));
        fs::create_dir_all(&path).expect("a folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
        Folder(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of a file in the folder, as text.
    pub fn join(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Writes a file that every user may read. Returns its path.
    pub fn file(&self, name: &str, content: &str) -> String {
        self.write(name, content.as_bytes(), 0o644)
    }

    /// Writes a script that every user may run. Returns its path.
    pub fn script(&self, name: &str, content: &str) -> String {
        self.write(name, content.as_bytes(), 0o755)
    }

    /// Copies a file into the folder. Returns its path there.
    pub fn copy(&self, from: &str, name: &str, mode: u32) -> String {
        self.write(name, &fs::read(from).expect(from), mode)
    }

    fn write(&self, name: &str, content: &[u8], mode: u32) -> String {
        let path = self.0.join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(&path, content).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("permissions");
        path.display().to_string()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
