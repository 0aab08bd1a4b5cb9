//! A PostgreSQL server of one test's own, which may crash: the programs of the shared server, a folder, a free port.
//! Not here: the shared server, which other tests use at the same time.
//! Called by the tests of crashes, here and of the whole binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server; dropping it stops it.
pub struct OwnServer {
    folder: tempfile::TempDir,
    programs: PathBuf,
    port: u16,
    running: Option<Child>,
}

impl OwnServer {
    /// Makes and starts a server; `None`, with a word about it, where there are no programs to start one.
    pub fn start(test: &str) -> Option<Self> {
        let Some(programs) = programs() else {
            println!("skipped: 1 ({test}; PostgreSQL's programs are not on this machine)");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, programs, port, running: None };
        if is_root() {
            let owned = Command::new("chown").arg("postgres").arg(server.folder.path()).status();
            assert!(owned.is_ok_and(|status| status.success()), "a server does not run as root");
        }
        let made = server
            .command("initdb")
            .args(["--no-locale", "--encoding=UTF8", "--auth=trust", "--username=postgres", "--no-sync", "--pgdata"])
            .arg(server.data())
            .stdout(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "initdb failed");
        server.run();
        Some(server)
    }

    pub fn url(&self) -> String {
        format!("postgres://postgres:any@127.0.0.1:{}/postgres", self.port)
    }

    /// Starts the server, and waits until it takes connections.
    pub fn run(&mut self) {
        let port = format!("port={}", self.port);
        let mut command = self.command("postgres");
        command.arg("-D").arg(self.data()).stdout(Stdio::null()).stderr(Stdio::null());
        for setting in [port.as_str(), "listen_addresses=127.0.0.1", "unix_socket_directories=", "shared_buffers=16MB"]
        {
            command.arg("-c").arg(setting);
        }
        self.running = Some(command.spawn().unwrap());
        let ready = || {
            let mut probe = self.command("pg_isready");
            probe.args(["--quiet", "--host=127.0.0.1", "--port"]).arg(self.port.to_string());
            probe.status().is_ok_and(|status| status.success())
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !ready() {
            assert!(Instant::now() < deadline, "the server does not start");
        }
    }

    /// Ends the server at once, as `pg_ctl stop -m immediate` does: without a checkpoint, so that the next start
    /// recovers from a crash.
    pub fn crash(&mut self) {
        self.signal("QUIT");
    }

    /// Stops the server in good order, as `pg_ctl stop -m fast` does.
    pub fn stop(&mut self) {
        self.signal("INT");
    }

    fn signal(&mut self, signal: &str) {
        if let Some(mut running) = self.running.take() {
            let sent = Command::new("kill").arg(format!("-{signal}")).arg(running.id().to_string()).status();
            assert!(sent.is_ok_and(|status| status.success()), "the server was gone already");
            running.wait().unwrap();
        }
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A program of PostgreSQL, run as a user that may run a server.
    fn command(&self, program: &str) -> Command {
        let program = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        command.current_dir(self.folder.path());
        command
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        self.stop();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

/// The folder of `initdb`: Debian's for the newest version, else one on the path.
fn programs() -> Option<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().into_iter().flatten().flatten();
    let newest = versions
        .filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path().join("bin"))))
        .filter(|(_, programs)| programs.join("initdb").is_file())
        .max_by_key(|(version, _)| *version);
    let on_path = || std::env::split_paths(&std::env::var_os("PATH")?).find(|folder| folder.join("initdb").is_file());
    newest.map(|(_, programs)| programs).or_else(on_path)
}
