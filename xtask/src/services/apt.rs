//! Installs Debian packages, as root or by password-less sudo, without anything starting by itself.
//! Not here: which packages (`postgres` and its likes).
//! Called by `services` where a server is not found, and by `web` where there is no browser.

use std::path::Path;
use std::process::{Command, Stdio};

use super::supervisor::is_root;
use crate::Outcome;
use crate::command::{run, succeeds};

/// Asked by Debian before a package starts its service; 101 forbids it.
const POLICY: (&str, &str) = ("/usr/sbin/policy-rc.d", "#!/bin/sh\nexit 101\n");

/// The command for people to type.
pub fn by_hand(packages: &[&str]) -> String {
    format!("sudo apt-get install -y --no-install-recommends {}", packages.join(" "))
}

/// Installs packages. `files` are in place meanwhile, unless there are such files already.
pub fn install(packages: &[&str], files: &[(&str, &str)]) -> Outcome {
    if !succeeds(Command::new("apt-get").arg("--version")) {
        return Err("it is not installed, and there is no apt-get".to_owned());
    }
    if !is_root() && !succeeds(Command::new("sudo").args(["-n", "true"])) {
        return Err("it is not installed, and installing needs root or sudo without password".to_owned());
    }
    let files = std::iter::once(&POLICY).chain(files);
    let _files: Vec<TemporaryFile> =
        files.map(|(path, content)| TemporaryFile::write(path, content)).collect::<Outcome<_>>()?;
    let install = || {
        let options = ["install", "-y", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"];
        run(apt_get().args(options).args(packages))
    };
    // The lists of packages are often missing in containers, or too old for the mirror.
    install().or_else(|_| {
        run(apt_get().arg("update"))?;
        install()
    })
}

fn apt_get() -> Command {
    let mut command = privileged("env");
    command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get", "-q"]);
    // stdout is for what the user asked for.
    command.stdin(Stdio::null()).stdout(Stdio::from(std::io::stderr()));
    command
}

/// A program run as root.
fn privileged(program: &str) -> Command {
    if is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("sudo");
    command.args(["-n", program]);
    command
}

/// A system file that is there until this is dropped.
struct TemporaryFile(Option<String>);

impl TemporaryFile {
    /// Leaves a file that is there already as it is.
    fn write(path: &str, content: &str) -> Outcome<Self> {
        if Path::new(path).exists() {
            return Ok(Self(None));
        }
        let script = "mkdir -p \"$(dirname \"$1\")\" && printf %s \"$2\" > \"$1\" && chmod 755 \"$1\"";
        run(privileged("sh").args(["-c", script, "sh", path, content]))?;
        Ok(Self(Some(path.to_owned())))
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        if let Some(path) = self.0.take()
            && let Err(message) = run(privileged("rm").args(["-f", &path]))
        {
            eprintln!("error: {message}");
        }
    }
}
