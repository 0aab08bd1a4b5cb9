//! OpenSSH's server, for SFTP with keys.
//! Not here: how servers are kept running (`supervisor`) and installed (`apt`).
//! Called through the list of services.

use std::fs;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::supervisor::{Lifetime, Place, Running, Start, free_port};
use super::{Service, wait_until};
use crate::Outcome;
use crate::command::{output, run};

pub struct OpenSsh;

impl Service for OpenSsh {
    fn name(&self) -> &'static str {
        "OpenSSH"
    }

    fn variable(&self) -> &'static str {
        "TAPLINE_TEST_SFTP_URL"
    }

    fn packages(&self) -> &'static [&'static str] {
        &["openssh-server"]
    }

    fn quieting_files(&self) -> &'static [(&'static str, &'static str)] {
        &[]
    }

    fn find(&self) -> Option<PathBuf> {
        let on_path = std::env::var_os("PATH").map(|folders| std::env::split_paths(&folders).collect::<Vec<_>>());
        let folders =
            ["/usr/sbin", "/usr/local/sbin"].map(PathBuf::from).into_iter().chain(on_path.unwrap_or_default());
        folders.into_iter().find(|folder| folder.join("sshd").is_file())
    }

    /// A server under an ordinary user can let only that user in, and by key alone: passwords are root's to check. Whether
    /// an account is locked is PAM's to say, since only root can read it.
    fn start(&self, programs: &Path, lifetime: Lifetime) -> Outcome<Running> {
        let place = Place::new("openssh", &["nobody"])?;
        let folder = place.folder.clone();
        for name in ["host_key", "client_key"] {
            let mut keygen = place.command(Path::new("ssh-keygen"));
            keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", name, "-f", name]);
            run(keygen.stdin(Stdio::null()).stdout(Stdio::null()))?;
        }
        let public = fs::read_to_string(folder.join("client_key.pub"))
            .map_err(|error| format!("cannot read the client's key: {error}"))?;
        place.write("authorized_keys", &public)?;
        run(place.command(Path::new("mkdir")).arg("files"))?;
        let port = free_port()?;
        let here = folder.display();
        let config = place.write(
            "sshd_config",
            &format!(
                "ListenAddress 127.0.0.1:{port}\nHostKey {here}/host_key\nAuthorizedKeysFile {here}/authorized_keys\n\
                 PidFile none\nStrictModes no\nUsePAM yes\nKbdInteractiveAuthentication no\nMaxStartups 200\nMaxSessions 50\n\
                 Subsystem sftp internal-sftp\n"
            ),
        )?;
        let user = output(place.command(Path::new("id")).arg("-un"))?;
        let url = format!("sftp://{}@127.0.0.1:{port}{here}", user.trim());
        let arguments = ["-D", "-e", "-f"].map(str::to_owned).into_iter().chain([config.display().to_string()]);
        let start = Start {
            program: programs.join("sshd"),
            arguments: arguments.collect(),
            stop_signal: "TERM",
            variable: (self.variable().to_owned(), url),
            port,
        };
        let running = place.start(start, lifetime)?;
        if wait_until(|| TcpStream::connect(("127.0.0.1", port)).is_ok()) {
            return Ok(running);
        }
        Err(format!("it does not answer:\n{}", running.log()))
    }
}
