//! MariaDB, any version from 10.5 on.
//! Not here: how servers are kept running (`supervisor`) and installed (`apt`).
//! Called through the list of services.

use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::supervisor::{Lifetime, Place, Running, Start, free_port, random_name};
use super::{Service, wait_until};
use crate::Outcome;
use crate::command::run;

pub struct MariaDb;

/// The user with all rights whose URL the tests get.
const USER: &str = "tapline";

impl Service for MariaDb {
    fn name(&self) -> &'static str {
        "MariaDB"
    }

    fn variable(&self) -> &'static str {
        "TAPLINE_TEST_MYSQL_URL"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["mariadb-server"]
    }

    fn quieting_files(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    /// The server stands where users' paths often do not lead.
    fn find(&self) -> Option<PathBuf> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let known = ["/usr/sbin", "/usr/libexec", "/usr/local/sbin"].map(PathBuf::from);
        std::env::split_paths(&path).chain(known).find(|folder| folder.join("mariadbd").is_file())
    }

    fn start(&self, programs: &Path, lifetime: Lifetime) -> Outcome<Running> {
        let place = Place::new("mariadb", &["mysql", "nobody"])?;
        let password = random_name()?;
        let data = place.folder.join("data").display().to_string();
        run(place
            .command(Path::new("mariadb-install-db"))
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={data}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null()))?;
        let first = place.write(
            "first.sql",
            &format!(
                "CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{password}';\n\
                 GRANT ALL ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n\
                 CREATE DATABASE IF NOT EXISTS tapline;\n"
            ),
        )?;

        let port = free_port()?;
        // Durability stays on: tests kill runs and compare what is left. Everything else is as small as it goes.
        let arguments = [
            "--no-defaults".to_owned(),
            format!("--datadir={data}"),
            // A server that starts removes what it finds of temporary tables, those of other servers among them.
            format!("--tmpdir={}", place.folder.display()),
            format!("--init-file={}", first.display()),
            format!("--port={port}"),
            "--bind-address=127.0.0.1".to_owned(),
            "--skip-name-resolve".to_owned(),
            format!("--socket={}", place.folder.join("socket").display()),
            format!("--pid-file={}", place.folder.join("pid").display()),
            "--local-infile=1".to_owned(),
            "--innodb-flush-log-at-trx-commit=1".to_owned(),
            "--innodb-buffer-pool-size=64M".to_owned(),
            "--innodb-use-native-aio=0".to_owned(),
            "--max-connections=200".to_owned(),
        ];
        let start = Start {
            program: programs.join("mariadbd"),
            arguments: arguments.into(),
            stop_signal: "TERM",
            variable: (self.variable().to_owned(), format!("mysql://{USER}:{password}@127.0.0.1:{port}/tapline")),
            port,
        };
        let running = place.start(start, lifetime)?;
        if wait_until(|| TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()) {
            return Ok(running);
        }
        Err(format!("it does not answer:\n{}", running.log()))
    }
}
