//! PostgreSQL, any version from 13 on.
//! Not here: how servers are kept running (`supervisor`) and installed (`apt`).
//! Called through the list of services.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::supervisor::{Lifetime, Place, Running, Start, free_port, random_name};
use super::{Service, wait_until};
use crate::Outcome;
use crate::command::{run, succeeds};

pub struct Postgres;

const OLDEST: u32 = 13;

/// The superuser whose URL the tests get.
const USER: &str = "postgres";

impl Service for Postgres {
    fn name(&self) -> &'static str {
        "PostgreSQL"
    }

    fn variable(&self) -> &'static str {
        "TAPLINE_TEST_POSTGRES_URL"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["postgresql"]
    }

    fn quieting_files(&self) -> &'static [(&'static str, &'static str)] {
        &[("/etc/postgresql-common/createcluster.d/tapline.conf", "create_main_cluster = false\n")]
    }

    /// Debian keeps every major version in a folder of its own; elsewhere the programs are on the path.
    fn find(&self) -> Option<PathBuf> {
        let version_of = |path: &Path| path.file_name()?.to_str()?.parse::<u32>().ok();
        let versions = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
        let newest = versions
            .filter_map(|entry| Some((version_of(&entry.path())?, entry.path().join("bin"))))
            .filter(|(version, programs)| *version >= OLDEST && programs.join("initdb").is_file())
            .max_by_key(|(version, _)| *version);
        let on_path = || {
            let folders = std::env::var_os("PATH")?;
            std::env::split_paths(&folders).find(|folder| folder.join("initdb").is_file())
        };
        newest.map(|(_, programs)| programs).or_else(on_path)
    }

    fn start(&self, programs: &Path, lifetime: Lifetime) -> Outcome<Running> {
        let place = Place::new("postgres", &["postgres", "nobody"])?;
        let password = random_name()?;
        let password_file = place.write("password", &password)?;
        let data = place.folder.join("data");
        run(place
            .command(&programs.join("initdb"))
            .args(["--no-locale", "--encoding=UTF8", "--auth=scram-sha-256", "--no-instructions"])
            .arg(format!("--username={USER}"))
            .arg(format!("--pwfile={}", password_file.display()))
            .arg("--pgdata")
            .arg(&data)
            .stdout(Stdio::null()))?;

        let port = free_port()?;
        let data = data.display().to_string();
        // Durability stays on: tests kill runs and compare what is left. Everything else is as small as it goes.
        let settings = [
            "listen_addresses=127.0.0.1".to_owned(),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "shared_buffers=64MB".to_owned(),
            "max_connections=200".to_owned(),
            "max_prepared_transactions=10".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), data];
        arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let url = format!("postgres://{USER}:{password}@127.0.0.1:{port}/postgres");
        let start = Start {
            program: programs.join("postgres"),
            arguments,
            stop_signal: "INT",
            variable: (self.variable().to_owned(), url),
            port,
        };
        let running = place.start(start, lifetime)?;
        let ready = || {
            let mut probe = Command::new(programs.join("pg_isready"));
            succeeds(probe.args(["--quiet", "--host=127.0.0.1", "--port"]).arg(port.to_string()))
        };
        if wait_until(ready) {
            return Ok(running);
        }
        Err(format!("it does not answer:\n{}", running.log()))
    }
}
