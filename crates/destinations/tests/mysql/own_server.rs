//! A MariaDB server of one test's own, with settings of its own, which may crash: a folder and a free port.
//! Not here: the shared server, which other tests use at the same time.
//! Called by the tests of what a server's settings and its end make of a run.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// The server; dropping it stops it.
pub struct OwnServer {
    folder: tempfile::TempDir,
    program: PathBuf,
    port: u16,
    settings: Vec<String>,
    running: Option<Child>,
}

impl OwnServer {
    /// Makes and starts a server, whose settings may name files of the folder that `prepare` fills; `None`, with a word
    /// about it, where there are no programs to start one, or nothing could be prepared.
    pub fn start(test: &str, prepare: impl FnOnce(&Path) -> Option<Vec<String>>) -> Option<Self> {
        let skip = |what: &str| println!("skipped: 1 ({test}; {what} is not on this machine)");
        let Some(program) = program() else {
            skip("MariaDB");
            return None;
        };
        let folder = tempfile::tempdir().unwrap();
        let Some(settings) = prepare(folder.path()) else {
            skip("openssl");
            return None;
        };
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut server = Self { folder, program, port, settings, running: None };
        if is_root() {
            let owned = Command::new("chown").args(["-R", "mysql"]).arg(server.folder.path()).status();
            assert!(owned.is_ok_and(|status| status.success()), "a server does not run as root");
        }
        let made = server
            .command(Path::new("mariadb-install-db"))
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", server.file("data")))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        assert!(made.is_ok_and(|status| status.success()), "mariadb-install-db failed");
        // The server reads one statement per line.
        let first = "CREATE USER tapline@'127.0.0.1' IDENTIFIED BY 'own';\n\
                     GRANT ALL ON *.* TO tapline@'127.0.0.1';\n\
                     CREATE DATABASE IF NOT EXISTS own;\n";
        std::fs::write(server.folder.path().join("first.sql"), first).unwrap();
        server.run(true);
        Some(server)
    }

    /// The URL with this host, which is the loopback address or a name of it.
    pub fn url(&self, host: &str) -> String {
        format!("mysql://tapline:own@{host}:{}/own", self.port)
    }

    /// A file of the server's folder.
    pub fn file(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    /// Starts the server, and waits until it takes connections.
    pub fn run(&mut self, first: bool) {
        let mut command = self.command(&self.program);
        command
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args(["--innodb-use-native-aio=0", "--skip-log-error"])
            .arg(format!("--datadir={}", self.file("data")))
            // A server that starts removes what it finds of temporary tables, those of other servers among them.
            .arg(format!("--tmpdir={}", self.folder.path().display()))
            .arg(format!("--socket={}", self.file("socket")))
            .arg(format!("--pid-file={}", self.file("pid")))
            .arg(format!("--port={}", self.port))
            .args(&self.settings)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if first {
            command.arg(format!("--init-file={}", self.file("first.sql")));
        }
        self.running = Some(command.spawn().unwrap());
        let deadline = Instant::now() + Duration::from_secs(60);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(Instant::now() < deadline, "the server does not start");
            std::thread::yield_now();
        }
    }

    /// Ends the server at once, so that the next start recovers from a crash.
    pub fn crash(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.kill().unwrap();
            running.wait().unwrap();
        }
    }

    /// A program of MariaDB, run as a user that may run a server.
    fn command(&self, program: &Path) -> Command {
        let mut command = if is_root() {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=mysql", "--regid=mysql", "--clear-groups", "--"]).arg(program);
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
        self.crash();
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().is_ok_and(|output| output.stdout.starts_with(b"0\n"))
}

/// The server's program, where users' paths often do not lead.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/libexec"].map(PathBuf::from));
    folders.map(|folder| folder.join("mariadbd")).find(|program| program.is_file())
}

/// An authority `ca.pem`, and a certificate for `localhost` that it signed; the settings that make a server show it.
pub fn certificate(folder: &Path) -> Option<Vec<String>> {
    let openssl = |arguments: &str| {
        let mut command = Command::new("openssl");
        command.args(arguments.split(' ')).current_dir(folder).stdout(Stdio::null()).stderr(Stdio::null());
        command.status().is_ok_and(|status| status.success())
    };
    std::fs::write(folder.join("extensions"), "subjectAltName=DNS:localhost\nbasicConstraints=CA:FALSE\n").unwrap();
    let made = openssl("req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=authority -keyout ca.key -out ca.pem")
        && openssl("req -newkey rsa:2048 -nodes -subj /CN=localhost -keyout server.key -out server.csr")
        && openssl(
            "x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile extensions -out server.pem",
        );
    let file = |name: &str| folder.join(name).display().to_string();
    made.then(|| vec![format!("--ssl-cert={}", file("server.pem")), format!("--ssl-key={}", file("server.key"))])
}
