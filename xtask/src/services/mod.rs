//! The servers that tests run against: found or installed, started on free loopback ports, stopped again.
//! Not here: each server's own ways, which are in a file of its own.
//! Called by `test` and by `cargo xtask services`.

pub(crate) mod apt;
mod mariadb;
mod openssh;
mod postgres;
mod supervisor;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::Outcome;
use crate::command::target;
use supervisor::{KEEP, Lifetime, Running};

/// A server that tests need.
trait Service {
    /// Its name and the oldest version that will do, for people.
    fn name(&self) -> &'static str;

    /// The environment variable that tests find it by. Where it is set already, nothing is started.
    fn variable(&self) -> &'static str;

    /// Debian's packages that hold it.
    fn packages(&self) -> &'static [&'static str];

    /// Files that keep the packages from setting up or starting anything while they are installed.
    fn quieting_files(&self) -> &'static [(&'static str, &'static str)];

    /// The folder of its programs, where it is installed.
    fn find(&self) -> Option<PathBuf>;

    /// Starts a fresh server without any data, reachable by password on a free loopback port, under a user other than
    /// root.
    fn start(&self, programs: &Path, lifetime: Lifetime) -> Outcome<Running>;
}

/// Every service, in the order they start.
fn all() -> [&'static dyn Service; 3] {
    [&postgres::Postgres, &mariadb::MariaDb, &openssh::OpenSsh]
}

/// Services that run until this is dropped.
pub struct Started {
    running: Vec<Running>,
    /// How many could not be started.
    pub missing: u64,
}

impl Started {
    /// The environment variables that tests find the services by.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.running.iter().map(|running| running.variable.clone()).collect()
    }

    /// Stops the services and waits until they have gone.
    pub fn stop(self) {
        drop(self.running);
    }
}

/// Starts every service that is not there yet; says how to install those that cannot be started.
pub fn start_all() -> Started {
    let mut started = Started { running: Vec::new(), missing: 0 };
    for service in all() {
        let (name, variable) = (service.name(), service.variable());
        if std::env::var_os(variable).is_some() {
            eprintln!("{name}: uses {variable}");
            continue;
        }
        match start(service, Lifetime::WithUs) {
            Ok(running) => {
                eprintln!("{name}: listens on port {}", running.port);
                started.running.push(running);
            }
            Err(message) => {
                eprintln!("skipped: 1 service, {name}: {message}");
                started.missing += 1;
            }
        }
    }
    started
}

fn start(service: &dyn Service, lifetime: Lifetime) -> Outcome<Running> {
    let programs = match service.find() {
        Some(programs) => programs,
        None => {
            eprintln!("{}: not found, installing {}", service.name(), service.packages().join(" "));
            let by_hand = || format!("install it with: {}", apt::by_hand(service.packages()));
            apt::install(service.packages(), service.quieting_files())
                .map_err(|message| format!("{message}; {}", by_hand()))?;
            service.find().ok_or_else(|| format!("not found although it was installed; {}", by_hand()))?
        }
    };
    service.start(&programs, lifetime)
}

/// Where `services up` notes what it started: a file per service, of two lines, for a shell to read the first
/// (`export VARIABLE='…'`) and for us to read the second (`# folder`).
fn note(service: &dyn Service) -> PathBuf {
    target().join("services").join(service.variable())
}

/// Starts services that outlive this process and prints the variables that tests find them by, for a shell to read.
pub fn up() -> Outcome {
    for service in all() {
        let note = note(service);
        let lines = match fs::read_to_string(&note) {
            Ok(lines) if answers(&lines) => lines,
            _ => {
                let running = start(service, Lifetime::UntilDown)
                    .map_err(|message| format!("cannot start {}: {message}", service.name()))?;
                let (variable, value) = &running.variable;
                let lines = format!("export {variable}='{value}'\n# {}\n", running.folder.display());
                let folder = note.parent().unwrap_or(Path::new("."));
                fs::create_dir_all(folder)
                    .and_then(|()| fs::write(&note, &lines))
                    .map_err(|error| format!("cannot write {}: {error}", note.display()))?;
                lines
            }
        };
        print!("{lines}");
    }
    Ok(())
}

/// Whether the server of a note still runs: it does not where the machine was started anew in between.
fn answers(lines: &str) -> bool {
    let server = lines.split_once('@').and_then(|(_, rest)| rest.split(['/', '\'']).next());
    server.is_some_and(|server| std::net::TcpStream::connect(server).is_ok())
}

/// Stops what [`up`] started.
pub fn down() -> Outcome {
    for service in all() {
        let note = note(service);
        let Ok(lines) = fs::read_to_string(&note) else { continue };
        let folder = lines.lines().find_map(|line| line.strip_prefix("# ")).map(Path::new);
        let folder = folder.ok_or_else(|| format!("{} does not name a folder", note.display()))?;
        // It is not there where the machine was started anew in between.
        let stopped = fs::remove_file(folder.join(KEEP)).is_err() || wait_until(|| !folder.exists());
        if !stopped {
            return Err(format!("{} does not stop; its folder is {}", service.name(), folder.display()));
        }
        fs::remove_file(&note).map_err(|error| format!("cannot remove {}: {error}", note.display()))?;
        eprintln!("{}: stopped", service.name());
    }
    Ok(())
}

/// Asks `ready` ten times a second until it says yes, for a minute at most.
#[allow(clippy::disallowed_methods, reason = "there is no runtime here, and a server in another process to wait for")]
fn wait_until(ready: impl Fn() -> bool) -> bool {
    (0..600).any(|_| {
        let is_ready = ready();
        if !is_ready {
            std::thread::sleep(Duration::from_millis(100));
        }
        is_ready
    })
}
