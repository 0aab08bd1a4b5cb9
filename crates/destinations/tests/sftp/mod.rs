//! Files on an OpenSSH server, which `TAPLINE_TEST_SFTP_URL` names; without it these tests say that they are skipped.
//! The variable is `sftp://user@127.0.0.1:port/folder`: the folder is the server's own, and holds `client_key` and
//! `host_key.pub`.

mod login;

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use tapline_core::testing::bench::Bench;
use tapline_destinations::sftp::Sftp;
use url::Url;

use crate::fileset::{self, Look, Place, demands};

/// The server.
struct Server {
    url: Url,
    folder: PathBuf,
}

impl Server {
    fn find(test: &str) -> Option<Self> {
        match std::env::var("TAPLINE_TEST_SFTP_URL").ok().filter(|url| !url.is_empty()) {
            Some(url) => {
                let url: Url = url.parse().unwrap();
                let folder = PathBuf::from(url.path());
                Some(Self { url, folder })
            }
            None => {
                println!("skipped: 1 ({test}; TAPLINE_TEST_SFTP_URL names no server)");
                None
            }
        }
    }

    fn host_key(&self) -> String {
        std::fs::read_to_string(self.folder.join("host_key.pub")).unwrap().trim().to_owned()
    }

    /// The settings for a folder of the server.
    fn settings(&self, path: &Path, more: &str) -> String {
        let key = std::fs::read_to_string(self.folder.join("client_key")).unwrap();
        let key: String = key.lines().map(|line| format!("  {line}\n")).collect();
        format!(
            "host: {}\nport: {}\nuser: {}\nhost_key: \"{}\"\npath: {}\nprivate_key: |\n{key}{more}",
            self.url.host_str().unwrap(),
            self.url.port().unwrap(),
            self.url.username(),
            self.host_key(),
            path.display(),
        )
    }

    /// A new folder on the server.
    fn place(&self) -> PathBuf {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        self.folder.join("files").join(format!("{}-{number}", std::process::id()))
    }

    fn bench(&self, more: &str) -> (Bench, Look) {
        let place = self.place();
        let look = Look::at(&place);
        let destination = fileset::connect(&Sftp, &self.settings(&place, more), Path::new("/nowhere"));
        (fileset::bench(destination, "rows", look.clone()), look)
    }
}

mod conformance {
    async fn setup(demand: &str) -> Option<tapline_core::testing::bench::Bench> {
        if !crate::fileset::applies(demand) {
            return None;
        }
        super::Server::find(demand).map(|server| server.bench("").0)
    }

    tapline_core::destination_conformance!(setup);
}

macro_rules! demands {
    ($($demand:ident),+ $(,)?) => {
        mod beyond_the_suite {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $demand() {
                    let Some(server) = super::Server::find(stringify!($demand)) else { return };
                    for settings in ["", "format: csv\nname: \"{stream}\""] {
                        let (bench, look) = server.bench(settings);
                        super::demands::$demand(&bench, &look).await;
                    }
                }
            )+
        }
    };
}

demands!(
    only_one_set_is_visible,
    every_operation_is_applied,
    refused_rows_stop_a_run_or_stay,
    fields_are_added,
    rows_of_one_key_are_one,
    a_check_passes_and_leaves_nothing,
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_that_are_gone_show() {
    let Some(server) = Server::find("files_that_are_gone_show") else { return };
    let (bench, look) = server.bench("");
    let Place::Folder(folder) = look.place.as_ref() else { unreachable!() };
    let remove = |path: &str| std::fs::remove_file(folder.join(path)).unwrap();
    demands::files_that_are_gone_show(&bench, &look, remove).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_marker_that_is_gone_fences_off() {
    let Some(server) = Server::find("a_marker_that_is_gone_fences_off") else { return };
    let (bench, look) = server.bench("");
    let Place::Folder(folder) = look.place.as_ref() else { unreachable!() };
    let remove = |path: &str| std::fs::remove_file(folder.join(path)).unwrap();
    demands::a_marker_that_is_gone_fences_off(&bench, &look, remove).await;
}
