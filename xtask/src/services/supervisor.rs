//! Keeps a server running for as long as it is needed, and not a moment longer.
//! Not here: setting a server up, which each service does in a file of its own.
//! Called by the services.
//!
//! A shell stands between us and the server. It waits for the end of a pipe that we hold open: however we end, by
//! success, failure, Ctrl-C or SIGKILL, the pipe ends too, and the shell stops the server and removes its folder.

use std::fs::{self, File};
use std::io::Read;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::Outcome;
use crate::command::{output, run, succeeds};

/// How long a server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// As long as this process.
    WithUs,
    /// As long as the file [`KEEP`] is in its folder.
    UntilDown,
}

/// The file that keeps a server running that was started to outlive us.
pub const KEEP: &str = "keep";

/// A server that runs; dropping this stops it, unless it was started to outlive us.
pub struct Running {
    /// The environment variable that tests find it by, and its value.
    pub variable: (String, String),
    pub port: u16,
    pub folder: PathBuf,
    shell: Child,
    lifetime: Lifetime,
}

impl Running {
    /// The last lines that the server wrote, for an error message.
    pub fn log(&self) -> String {
        let log = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(5)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.lifetime == Lifetime::UntilDown {
            return;
        }
        drop(self.shell.stdin.take());
        if let Err(error) = self.shell.wait() {
            eprintln!("error: cannot wait for a service to stop: {error}");
        }
    }
}

/// How a server is started once it is set up.
pub struct Start {
    pub program: PathBuf,
    pub arguments: Vec<String>,
    /// The signal that asks it to stop now, without waiting for its clients.
    pub stop_signal: &'static str,
    pub variable: (String, String),
    pub port: u16,
}

/// A folder of its own and a user to run as: what a server needs before it is set up.
pub struct Place {
    pub folder: PathBuf,
    /// Servers refuse to run as root; the user to become then.
    user: Option<&'static str>,
}

impl Place {
    /// Makes a new folder that belongs to the user the server runs as: to us, or where we are root to the first of
    /// `users` that exists.
    pub fn new(name: &str, users: &[&'static str]) -> Outcome<Self> {
        let folder = std::env::temp_dir().join(format!("tapline-{name}-{}", random_name()?));
        fs::create_dir(&folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
        let mut place = Self { folder, user: None };
        if is_root() {
            let exists = |user: &&&str| succeeds(Command::new("id").arg(user));
            let user = users.iter().find(exists).ok_or("there is no user to run it as")?;
            run(Command::new("chown").arg(user).arg(&place.folder))?;
            place.user = Some(user);
        }
        Ok(place)
    }

    /// A program to be run as the server's user, in the server's folder.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = match self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.arg(format!("--reuid={user}")).arg(format!("--regid={}", primary_group(user)));
                command.args(["--clear-groups", "--"]).arg(program);
                command
            }
        };
        command.current_dir(&self.folder);
        command
    }

    /// Writes a file that only the server's user can read.
    pub fn write(&self, name: &str, content: &str) -> Outcome<PathBuf> {
        let path = self.folder.join(name);
        let failed = |error| format!("cannot write {}: {error}", path.display());
        fs::write(&path, content).map_err(failed)?;
        run(Command::new("chmod").arg("600").arg(&path))?;
        if let Some(user) = self.user {
            run(Command::new("chown").arg(user).arg(&path))?;
        }
        Ok(path)
    }

    /// Starts the server. Its output goes to a file `log` in the folder.
    pub fn start(mut self, start: Start, lifetime: Lifetime) -> Outcome<Running> {
        let (wait, stdin) = match lifetime {
            Lifetime::WithUs => ("cat >/dev/null".to_owned(), Stdio::piped()),
            Lifetime::UntilDown => (format!("while [ -e {KEEP} ]; do sleep 0.5; done"), Stdio::null()),
        };
        self.write(KEEP, "")?;
        let script = format!(
            "\"$@\" >log 2>&1 & server=$!; {wait}; kill -{} $server; wait $server; rm -rf \"$PWD\"",
            start.stop_signal
        );
        let shell = self
            .command(Path::new("/bin/sh"))
            .args(["-c", &script, "sh"])
            .arg(&start.program)
            .args(&start.arguments)
            .stdin(stdin)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C at the terminal is for us alone.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", start.program.display()))?;
        // From here on the shell removes the folder.
        let folder = std::mem::take(&mut self.folder);
        Ok(Running { variable: start.variable, port: start.port, folder, shell, lifetime })
    }
}

impl Drop for Place {
    /// Removes the folder of a server that never started.
    fn drop(&mut self) {
        if !self.folder.as_os_str().is_empty()
            && let Err(error) = fs::remove_dir_all(&self.folder)
        {
            eprintln!("error: cannot remove {}: {error}", self.folder.display());
        }
    }
}

/// A loopback port that was free a moment ago.
pub fn free_port() -> Outcome<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
    listener.map(|address| address.port()).map_err(|error| format!("cannot find a free port: {error}"))
}

/// A name, or password, that nobody guesses.
pub fn random_name() -> Outcome<String> {
    let mut bytes = [0; 12];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(|error| format!("cannot read /dev/urandom: {error}"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Whether this process is root's.
pub fn is_root() -> bool {
    output(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn primary_group(user: &str) -> String {
    output(Command::new("id").args(["-g", user])).map_or_else(|_| user.to_owned(), |id| id.trim().to_owned())
}
