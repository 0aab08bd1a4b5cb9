//! `tapline demo`: the whole product at work, on an S3 endpoint inside this process and sample data.
//! Not here: the endpoint (`tapline_endpoint`), the data (`data`), the project (`templates/demo.yaml`), the server.
//! Called by the dispatcher in `commands`. The steps are real commands, run as child processes of this executable.

mod data;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tapline_core::{Error, codes};
use tapline_endpoint::{Endpoint, EndpointError};
use tokio::process::{Child, Command};

use super::Context;
use super::serve::{self, Ready};
use crate::cli::{Demo, Report, ReportFormat, Serve};
use crate::errors::Failure;
use crate::exit::Exit;
use crate::files::{make_folder, write_file};
use crate::human;
use crate::terminal::{self, Paint};

const PROJECT: &str = include_str!("../../../templates/demo.yaml");
const BUCKET: &str = "demo-lake";
/// The endpoint's address and keys; its presence says that the folder was made by a demo.
const OWN_FOLDER: &str = ".demo";
/// What a demo before has left in its folder.
const LEFTOVERS: &[&str] = &["tapline.yaml", "out.db", "out.db-wal", "out.db-shm", "out.db-journal"];
/// Who signs in to the demo's server.
const EMAIL: &str = "demo@example.com";
/// Syncs that run at once in the demo's server.
const RUNS_AT_ONCE: NonZeroUsize = NonZeroUsize::MIN;
/// How long a child that was told to stop may take.
const PATIENCE: Duration = Duration::from_secs(5);

const FIRST_DAY: &[Step] = &[
    Step { title: "Test the connections", arguments: &["check"] },
    Step { title: "See what the bucket holds", arguments: &["discover", "lake"] },
    Step {
        title: "Ask it something",
        arguments: &[
            "query",
            "lake",
            "SELECT country, count(*) AS customers FROM 's3://demo-lake/customers/*.parquet' GROUP BY country ORDER BY customers DESC LIMIT 3",
        ],
    },
    Step { title: "Fill a table with customers and their orders", arguments: &["sync", "customers", "--full-refresh"] },
];
const SECOND_DAY: &[Step] = &[
    Step { title: "What would a sync change?", arguments: &["plan", "customers", "--diff", "3"] },
    Step { title: "Send only that", arguments: &["sync", "customers"] },
    Step { title: "Nothing has changed since", arguments: &["sync", "customers"] },
    Step { title: "What has happened", arguments: &["runs"] },
];

/// One command of the demo.
struct Step {
    title: &'static str,
    arguments: &'static [&'static str],
}

/// Shows the product: a full refresh, a change, a plan, an incremental sync.
pub async fn run(arguments: &Demo, context: &Context) -> Result<Exit, Failure> {
    let endpoint = Endpoint::builder()
        .bucket(BUCKET)
        .start()
        .await
        .map_err(|error| Error::new(codes::S3_001, "cannot start the embedded S3 endpoint").because(error))?;
    let folder = prepare(&arguments.folder, &endpoint)?;
    let mut stage = Stage { folder, json: arguments.report.is_json(), paint: Paint::stdout(), told: Vec::new() };
    upload(&endpoint, "customers/customers.parquet", parquet(false)?)?;
    upload(&endpoint, "orders/orders.csv", data::orders().into_bytes())?;
    stage.say(&format!(
        "An S3 endpoint with sample data is at {}, a project in {}.",
        endpoint.url(),
        stage.folder.display()
    ))?;
    for step in FIRST_DAY {
        stage.play(step, context).await?;
    }
    upload(&endpoint, "customers/customers.parquet", parquet(true)?)?;
    upload(&endpoint, "orders/late-orders.csv", data::new_orders().into_bytes())?;
    stage.say("\nOvernight customers.parquet was overwritten (some customers moved, signed up, left), and late-orders.csv arrived.")?;
    for step in SECOND_DAY {
        stage.play(step, context).await?;
    }
    if !arguments.serve {
        stage.finish(&endpoint, None)?;
        return Ok(Exit::Done);
    }
    let (server, login) = open_server(&stage.folder, context).await?;
    stage.finish(&endpoint, Some(&login))?;
    Err(server.serve().await)
}

/// How somebody signs in to the demo's server.
struct Login {
    url: String,
    email: &'static str,
    password: String,
}

/// The server over the demo's project, on any free port, with a user.
async fn open_server(folder: &Path, context: &Context) -> Result<(Ready, Login), Failure> {
    let arguments = Serve {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        concurrency: RUNS_AT_ONCE,
        public_url: None,
        allow_private_addresses: false,
        allow_remote_setup: false,
        report: Report { format: ReportFormat::Text },
    };
    let context = Context {
        project: Some(folder.join("tapline.yaml")),
        quiet: context.quiet,
        interruption: context.interruption.clone(),
        progress: context.progress.clone(),
    };
    let server = serve::prepare(&arguments, &context).await?;
    let password = tapline_server::auth::first_user(&server.app, EMAIL, "Demo").await.map_err(serve::failure)?;
    let login = Login { url: server.url.clone(), email: EMAIL, password };
    Ok((server, login))
}

/// Makes the demo's folder, or takes one that a demo has made before.
fn prepare(folder: &Path, endpoint: &Endpoint) -> Result<PathBuf, Error> {
    let own = folder.join(OWN_FOLDER);
    let empty = fs::read_dir(folder).map_or(true, |mut entries| entries.next().is_none());
    if !empty && !own.is_dir() {
        return Err(Error::new(
            codes::CONF_006,
            format!("{} is already there, and no demo has made it", folder.display()),
        )
        .hint("name another folder: `tapline demo --folder DIR`"));
    }
    let cannot =
        |error| Error::new(codes::FILE_006, format!("cannot prepare the folder {}", folder.display())).because(error);
    for name in LEFTOVERS {
        remove(fs::remove_file(folder.join(name))).map_err(cannot)?;
    }
    for name in [OWN_FOLDER, ".tapline"] {
        remove(fs::remove_dir_all(folder.join(name))).map_err(cannot)?;
    }
    make_folder(&own)?;
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).map_err(cannot)?;
    let key = endpoint.access_key();
    write_file(&own.join("endpoint"), endpoint.url().as_bytes())?;
    write_file(&own.join("access_key_id"), key.id.as_bytes())?;
    write_file(&own.join("secret_access_key"), key.secret.as_bytes())?;
    write_file(&folder.join("tapline.yaml"), PROJECT.as_bytes())?;
    Ok(folder.to_owned())
}

/// What is not there is as good as removed.
fn remove(result: std::io::Result<()>) -> std::io::Result<()> {
    match result {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

fn parquet(second_day: bool) -> Result<Vec<u8>, Error> {
    data::customers(second_day).map_err(|error| Error::internal("the sample data could not be written").because(error))
}

fn upload(endpoint: &Endpoint, key: &str, bytes: Vec<u8>) -> Result<(), Error> {
    endpoint
        .put(BUCKET, key, bytes)
        .map(drop)
        .map_err(|error: EndpointError| Error::internal("the embedded S3 endpoint did not take a file").because(error))
}

/// Where the demo is told: on stdout as it goes, or as one JSON document at the end.
struct Stage {
    folder: PathBuf,
    json: bool,
    paint: Paint,
    told: Vec<Value>,
}

impl Stage {
    fn say(&self, text: &str) -> Result<(), Failure> {
        if self.json { Ok(()) } else { terminal::print_line(text) }
    }

    /// Shows a command and runs it. A command that fails ends the demo.
    async fn play(&mut self, step: &Step, context: &Context) -> Result<(), Failure> {
        let shown = shown(step.arguments);
        self.say(&format!("\n{}\n{}", self.paint.faint(step.title), self.paint.strong(format_args!("$ {shown}"))))?;
        let program = std::env::current_exe()
            .map_err(|error| Error::new(codes::FILE_006, "cannot find the program itself").because(error))?;
        let mut command = Command::new(program);
        command.args(step.arguments).current_dir(&self.folder).stdin(Stdio::null()).kill_on_drop(true);
        if self.json {
            command.args(["--format", "json"]).stdout(Stdio::piped());
        }
        let child = command
            .spawn()
            .map_err(|error| Error::new(codes::FILE_006, format!("cannot run `{shown}`")).because(error))?;
        let (exit_code, output) = ended(child, context).await?;
        if self.json {
            let output: Value = serde_json::from_slice(&output).unwrap_or(Value::Null);
            self.told.push(json!({ "command": shown, "exit_code": exit_code, "output": output }));
        }
        if exit_code == Some(0) {
            return Ok(());
        }
        Err(Error::internal(format!("`{shown}` did not succeed, which it should have on the sample data")).into())
    }

    /// Tells how to go on; with `login`, in the web UI too.
    fn finish(&self, endpoint: &Endpoint, login: Option<&Login>) -> Result<(), Failure> {
        let folder = self.folder.display();
        if self.json {
            let mut told = json!({ "folder": self.folder, "endpoint": endpoint.url(), "steps": self.told });
            if let Some(Login { url, email, password }) = login {
                told["server"] = json!({ "url": url, "email": email, "password": password });
            }
            return terminal::print_json(&told);
        }
        let query = "SELECT * FROM customers LIMIT 5";
        self.say(&format!("\n{}", self.paint.faint("Go on")))?;
        let ways = [
            ("look at the table", format!("sqlite3 {folder}/out.db '{query}'")),
            ("read the project: it is all there is", format!("less {folder}/tapline.yaml")),
            ("begin one for a bucket of your own", "tapline init".to_owned()),
        ];
        let ways: Vec<Vec<String>> = ways.map(|(what, how)| vec![format!("  {what}"), how]).to_vec();
        self.say(human::columns(&ways, &[]).trim_end())?;
        let Some(Login { url, email, password }) = login else {
            return self
                .say("\nThe endpoint ends here; `tapline demo --serve` keeps it running, and serves the web UI.");
        };
        let link = self.paint.strong(url);
        self.say(&format!("\nThe web UI is at {link}: sign in as {email} with the password {password}"))?;
        self.say(&format!(
            "It and the endpoint at {} run on until Ctrl-C; `cd {folder}` and try commands.",
            endpoint.url()
        ))
    }
}

/// Waits for a child: its exit code and, where it was captured, its output.
async fn ended(child: Child, context: &Context) -> Result<(Option<i32>, Vec<u8>), Failure> {
    let mut waiting = Box::pin(child.wait_with_output());
    let cancelled = context.interruption.token().cancelled();
    let output = tokio::select! {
        output = &mut waiting => output,
        // Ctrl-C has reached the child as well, which ends in good order; a child that was not told is killed by the drop.
        () = cancelled => {
            let _ = tokio::time::timeout(PATIENCE, waiting).await;
            return Err(Failure::Interrupted);
        }
    };
    let output = output.map_err(|error| Error::new(codes::FILE_006, "cannot wait for a command").because(error))?;
    if context.interruption.token().is_cancelled() {
        return Err(Failure::Interrupted);
    }
    Ok((output.status.code(), output.stdout))
}

/// A command as it is typed into a shell.
fn shown(arguments: &[&str]) -> String {
    let quoted = arguments.iter().map(|argument| {
        if argument.contains(|character: char| character.is_whitespace() || "'*()".contains(character)) {
            format!("\"{argument}\"")
        } else {
            (*argument).to_owned()
        }
    });
    std::iter::once("tapline".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_folder_that_no_demo_has_made_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("tapline.yaml"), "mine").unwrap();
        let endpoint = Endpoint::builder().bucket(BUCKET).start().await.unwrap();
        assert_eq!(prepare(folder.path(), &endpoint).unwrap_err().code(), codes::CONF_006);
        assert_eq!(fs::read_to_string(folder.path().join("tapline.yaml")).unwrap(), "mine");
    }

    #[tokio::test]
    async fn a_demo_takes_its_own_folder_again() {
        let folder = tempfile::tempdir().unwrap();
        let endpoint = Endpoint::builder().bucket(BUCKET).start().await.unwrap();
        prepare(folder.path(), &endpoint).unwrap();
        fs::write(folder.path().join("out.db"), "old").unwrap();
        fs::write(folder.path().join("notes.txt"), "mine").unwrap();
        prepare(folder.path(), &endpoint).unwrap();
        assert!(!folder.path().join("out.db").exists());
        assert!(folder.path().join("notes.txt").exists());
    }

    #[test]
    fn commands_are_shown_as_they_are_typed() {
        assert_eq!(shown(&["query", "lake", "SELECT 1 FROM 'x'"]), "tapline query lake \"SELECT 1 FROM 'x'\"");
    }
}
