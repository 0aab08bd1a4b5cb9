//! A folder with a project, and an S3 endpoint beside it.
//! Not here: destinations (`target`), which outlive projects.
//! Called by every test.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tapline_endpoint::{Endpoint, EndpointBuilder};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::binary;
use super::{Outcome, Run, Target, wait_until};

/// Everything around the binary.
pub struct World {
    // Before the runtime that it runs on, so that it ends first.
    pub endpoint: Endpoint,
    _runtime: Runtime,
    folder: TempDir,
}

/// A project with one sync, `rows`: the model `rows` of the source `lake` to the destination `target`.
#[derive(Debug, Clone, Copy)]
pub struct Delivery<'a> {
    pub sql: &'a str,
    /// The primary key, such as `id` or `region, id`; empty for none.
    pub key: &'a str,
    /// `incremental` or `full_refresh`.
    pub mode: &'a str,
    pub table: &'a str,
    /// More keys of the sync, such as `write: insert, on_bad_key: reject`.
    pub options: &'a str,
}

impl Default for Delivery<'_> {
    fn default() -> Self {
        Self {
            sql: "SELECT * FROM 's3://lake/customers.csv'",
            key: "id",
            mode: "incremental",
            table: "customers",
            options: "",
        }
    }
}

impl World {
    /// An endpoint with the bucket `lake`, and an empty folder.
    pub fn new() -> Self {
        Self::with(|endpoint| endpoint)
    }

    /// The same with more buckets, users, ….
    pub fn with(more: impl FnOnce(EndpointBuilder) -> EndpointBuilder) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let endpoint = runtime.block_on(more(Endpoint::builder().bucket("lake")).start()).unwrap();
        Self { endpoint, _runtime: runtime, folder: tempfile::tempdir().unwrap() }
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Puts an object into the bucket `lake`.
    pub fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.endpoint.put("lake", key, content.into()).unwrap();
    }

    /// Deletes an object of the bucket `lake`.
    pub fn delete(&self, key: &str) {
        assert!(self.endpoint.delete("lake", key).unwrap(), "there was no {key}");
    }

    /// Writes a file into the folder.
    pub fn write(&self, name: &str, text: &str) {
        let path = self.folder().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The settings of a source: the bucket `lake` with the key of the endpoint's first user.
    pub fn source(&self) -> String {
        let key = self.endpoint.access_key();
        format!(
            "{{ type: s3, bucket: lake, region: us-east-1, endpoint: \"{}\", auth: {{ type: iam_user, access_key_id: \
             \"{}\", secret_access_key: \"{}\" }} }}",
            self.endpoint.url(),
            key.id,
            key.secret
        )
    }

    /// Writes a project that delivers one model to one table.
    pub fn deliver(&self, target: &Target, delivery: Delivery<'_>) {
        self.deliver_from(&self.source(), target, delivery);
    }

    /// The same from a source with other settings.
    pub fn deliver_from(&self, source: &str, target: &Target, delivery: Delivery<'_>) {
        let Delivery { sql, key, mode, table, options } = delivery;
        let (settings, stream) = (target.settings(), target.stream(table));
        let sql = sql.replace('\n', "\n      ");
        self.write(
            "tapline.yaml",
            &format!(
                "version: 1
sources:
  lake: {source}
models:
  rows:
    source: lake
    sql: |
      {sql}
    primary_key: [{key}]
destinations:
  target: {settings}
syncs:
  rows: {{ model: rows, destination: target, stream: {stream}, mode: {mode}, {options} }}
"
            ),
        );
    }

    /// The binary with arguments, in the folder.
    pub fn command(&self, arguments: &[&str]) -> Command {
        binary::command(self.folder(), arguments)
    }

    /// Runs the binary to its end.
    #[track_caller]
    pub fn tapline(&self, arguments: &[&str]) -> Outcome {
        self.tapline_with(arguments, &[])
    }

    /// The same with environment variables.
    #[track_caller]
    pub fn tapline_with(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Outcome {
        let output = self.command(arguments).envs(variables.iter().copied()).stdin(Stdio::null()).output().unwrap();
        Outcome::new(arguments, output)
    }

    /// Starts the binary, with stdout and stderr to be read later by `wait`.
    pub fn start(&self, arguments: &[&str]) -> Child {
        let mut command = self.command(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }

    /// Waits for what [`start`](Self::start) has started.
    pub fn wait(&self, child: Child, arguments: &[&str]) -> Outcome {
        Outcome::new(arguments, child.wait_with_output().unwrap())
    }

    /// Runs the project's one sync.
    #[track_caller]
    pub fn sync(&self) -> Run {
        self.sync_with(&[])
    }

    /// The same with more arguments.
    #[track_caller]
    pub fn sync_with(&self, arguments: &[&str]) -> Run {
        let arguments = [&["sync", "rows", "--format", "json"], arguments].concat();
        Run::new(self.tapline(&arguments))
    }

    /// Runs the project's one sync in a process that is killed at a failpoint.
    #[track_caller]
    pub fn crash(&self, failpoint: &str) {
        let outcome = self.tapline_with(&["sync", "rows"], &[("TAPLINE_FAILPOINT", failpoint)]);
        assert_eq!(outcome.signal, Some(6), "the failpoint {failpoint} was not met: {outcome}");
    }

    /// Starts the project's one sync in a process that freezes at a failpoint, and waits until it has.
    pub fn freeze(&self, failpoint: &str) -> Child {
        self.freeze_with(failpoint, &[])
    }

    /// The same with environment variables.
    pub fn freeze_with(&self, failpoint: &str, variables: &[(&str, &str)]) -> Child {
        let mut command = self.command(&["sync", "rows", "--format", "json"]);
        command.env("TAPLINE_FAILPOINT", format!("{failpoint}=stop")).envs(variables.iter().copied());
        let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let state = format!("/proc/{}/stat", child.id());
        wait_until("the run to freeze", || fs::read_to_string(&state).is_ok_and(|line| line.contains(") T ")));
        child
    }
}
