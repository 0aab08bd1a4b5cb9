//! The words of the command line: commands, arguments, flags, and their help.
//! Not here: what the commands do (`commands`), and what arguments mean together (each command checks its own).
//! Called by `main`, which parses, and by `completions`.

mod administration;

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use self::administration::{
    Erase, Secret, SecretCommand, SecretRotate, Token, TokenCommand, TokenCreate, TokenList, TokenRevoke,
};
use crate::output::Format as RowFormat;

/// CSV and Parquet files in S3, shaped with SQL, delivered to your databases
#[derive(Debug, Parser)]
#[command(name = "tapline", version, arg_required_else_help = true, max_term_width = 110)]
#[command(after_help = "Begin with `tapline demo`, or with `tapline init` for a bucket of your own.")]
pub struct Cli {
    /// Flags that every command takes.
    #[command(flatten)]
    pub global: Global,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The values of [`RowFormat`], as help shows them.
const ROW_FORMATS: &str = "table|csv|json|ndjson|parquet|arrow";

/// Flags that every command takes.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Global options")]
pub struct Global {
    /// The project file [default: tapline.yaml here or in a parent folder]
    #[arg(long, global = true, value_name = "FILE")]
    pub project: Option<PathBuf>,
    /// Tell more on stderr
    #[arg(short, long, global = true, conflicts_with = "quiet")]
    pub verbose: bool,
    /// Tell only errors on stderr
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// How log lines are written to stderr
    #[arg(long, global = true, value_name = "text|json", hide_possible_values = true, default_value = "text")]
    pub log_format: LogFormat,
}

/// How log lines are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// For people
    Text,
    /// One object per line
    Json,
}

/// How a report is written to stdout.
#[derive(Debug, Clone, Copy, Args)]
pub struct Report {
    /// How the result is written to stdout
    #[arg(long, value_name = "text|json", hide_possible_values = true, default_value = "text")]
    pub format: ReportFormat,
}

impl Report {
    /// Whether a program reads the result.
    pub fn is_json(self) -> bool {
        self.format == ReportFormat::Json
    }
}

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people
    Text,
    /// For programs
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a commented project that runs
    Init(Init),
    /// See the whole product at work on an embedded S3 endpoint with sample data
    Demo(Demo),
    /// Parse and check the project without touching the network
    Validate(Validate),
    /// Test connections step by step
    Check(Check),
    /// Print the smallest IAM policy that a source needs, ready to paste
    Policy(Policy),
    /// List what a source holds: streams, columns, types, files, sizes
    Discover(Discover),
    /// Run SQL over the files of a source, or of any bucket
    Query(Query),
    /// Show the rows of a model, or the mapped rows of a sync
    Preview(Preview),
    /// Show what a run would change; writes nothing anywhere
    Plan(Plan),
    /// Run syncs
    Sync(Sync),
    /// Show the history of runs
    Runs(Runs),
    /// Show rows that were not delivered, with reasons
    Rejects(Rejects),
    /// Offer only the rejected rows again
    Retry(Retry),
    /// Forget what was delivered
    Reset(Reset),
    /// Take what the destination holds as delivered, so that the next run sends only what differs
    Adopt(Adopt),
    /// Serve the API, the web UI and the scheduler
    Serve(Serve),
    /// Print the definitions that were made in the server as a project file
    Export(Export),
    /// Make the server's definitions say what a project file says
    Apply(Apply),
    /// Make, list and revoke tokens of the API
    Token(Token),
    /// Change the key that seals secrets
    Secret(Secret),
    /// Forget one row: out of the snapshot and the rejected rows
    Erase(Erase),
    /// Print the JSON Schema of the project file
    Schema(Schema),
    /// List the kinds of destinations, or the keys of one
    Destinations(Destinations),
    /// List the functions of SQL
    Functions(Functions),
    /// Explain an error code
    Explain(Explain),
    /// Print a completion script for a shell
    Completions(Completions),
}

/// `tapline init`.
#[derive(Debug, Args)]
pub struct Init {
    /// The folder to make the project in
    #[arg(default_value = ".", value_name = "DIR")]
    pub folder: PathBuf,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline demo`.
#[derive(Debug, Args)]
pub struct Demo {
    /// Keep the S3 endpoint running at the end, and serve the web UI over the demo's project, until Ctrl-C
    #[arg(long)]
    pub serve: bool,
    /// The folder for the demo's project; made anew by every demo
    #[arg(long, value_name = "DIR", default_value = "tapline-demo")]
    pub folder: PathBuf,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline validate`.
#[derive(Debug, Args)]
pub struct Validate {
    /// Leave ${VARIABLES} open instead of asking the environment
    #[arg(long)]
    pub no_env: bool,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline check`.
#[derive(Debug, Args)]
pub struct Check {
    /// Sources and destinations [default: all of the project]
    #[arg(value_name = "NAME")]
    pub names: Vec<String>,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline policy`.
#[derive(Debug, Args)]
pub struct Policy {
    /// The source
    pub source: String,
    /// Who assumes the role: the ARN of the user or role that runs Tapline (sources with iam_role)
    #[arg(long, value_name = "ARN")]
    pub principal: Option<String>,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline discover`.
#[derive(Debug, Args)]
pub struct Discover {
    /// The source
    pub source: String,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline query`.
#[derive(Debug, Args)]
#[command(override_usage = "tapline query [OPTIONS] [SOURCE] <SQL>")]
#[command(
    after_help = "SQL is one SELECT; `-` reads it from stdin. SOURCE is one of the project's; without it your own AWS credentials hold, for any bucket, and local files can be read."
)]
pub struct Query {
    /// SQL, or a source and SQL
    // Hidden, since an optional argument before a required one cannot be said to clap; the usage line says it.
    #[arg(num_args = 1..=2, required = true, hide = true, value_name = "SQL")]
    pub arguments: Vec<String>,
    /// How rows are written [default: table on a terminal, by the suffix with -o, else csv]
    #[arg(long, value_name = ROW_FORMATS, hide_possible_values = true)]
    pub format: Option<RowFormat>,
    /// At most this many rows
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,
    /// Write to a file; it appears when it is complete
    #[arg(short, long = "output", value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `tapline preview`.
#[derive(Debug, Args)]
pub struct Preview {
    /// A model, or a sync
    #[arg(value_name = "MODEL|SYNC")]
    pub name: String,
    /// At most this many rows
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// How rows are written [default: table on a terminal, else csv]
    #[arg(long, value_name = ROW_FORMATS, hide_possible_values = true)]
    pub format: Option<RowFormat>,
}

/// `tapline plan`.
#[derive(Debug, Args)]
pub struct Plan {
    /// The sync
    pub sync: String,
    /// Show up to this many changed rows, field by field
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub diff: usize,
    /// Keep the plan in a file, for `tapline sync --plan`
    #[arg(short, long = "output", value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Exit with 0 where nothing would change, 2 where something would, 1 on any error
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Plan as if the sync were a full refresh
    #[arg(long)]
    pub full_refresh: bool,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline sync`.
#[derive(Debug, Args)]
pub struct Sync {
    /// Syncs of the project [default: the only one there is]
    #[arg(value_name = "SYNC")]
    pub syncs: Vec<String>,
    /// Run all syncs, in the order of the project
    #[arg(long, conflicts_with = "syncs")]
    pub all: bool,
    /// Make the stream equal to the model, whatever was delivered before
    #[arg(long)]
    pub full_refresh: bool,
    /// Run only if the sync still does what this plan says
    #[arg(long, value_name = "FILE", conflicts_with_all = ["all", "limit"])]
    pub plan: Option<PathBuf>,
    /// Deliver at most this many rows of the model (incremental syncs)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub limit: Option<u64>,
    /// A first full refresh may remove rows that Tapline did not deliver
    #[arg(long)]
    pub replace_existing: bool,
    /// Go on where the model yields no row and the last run knew some
    #[arg(long)]
    pub allow_empty: bool,
    /// How long to wait for another run of the same sync
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = tapline_core::duration::parse)]
    pub lock_timeout: Duration,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline runs`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub struct Runs {
    /// One run
    #[command(subcommand)]
    pub command: Option<RunsCommand>,
    /// Only runs of this sync
    pub sync: Option<String>,
    /// At most this many runs, newest first
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub limit: usize,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline runs show`.
#[derive(Debug, Subcommand)]
pub enum RunsCommand {
    /// Show one run
    Show(RunsShow),
}

/// `tapline runs show`.
#[derive(Debug, Args)]
pub struct RunsShow {
    /// The run's id, or the beginning of it
    pub run: String,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline rejects`.
#[derive(Debug, Args)]
pub struct Rejects {
    /// The sync
    pub sync: String,
    /// Lines of source files that could not be read, instead
    #[arg(long)]
    pub source: bool,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline retry`.
#[derive(Debug, Args)]
pub struct Retry {
    /// The sync
    pub sync: String,
    /// How long to wait for another run of the same sync
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = tapline_core::duration::parse)]
    pub lock_timeout: Duration,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline adopt`.
#[derive(Debug, Args)]
pub struct Adopt {
    /// The sync
    pub sync: String,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline reset`.
#[derive(Debug, Args)]
pub struct Reset {
    /// The sync
    pub sync: String,
    /// Do not ask
    #[arg(long, short)]
    pub yes: bool,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline serve`.
#[derive(Debug, Args)]
#[command(
    after_help = "Works without a project file too: state and snapshots are in .tapline then. TAPLINE_ADMIN_TOKEN is accepted as an API token with the role admin; TAPLINE_SECRET_KEY seals secrets at rest."
)]
pub struct Serve {
    /// Where to listen
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:7171")]
    pub listen: SocketAddr,
    /// How many syncs may run at once
    #[arg(long, value_name = "N", default_value = "4")]
    pub concurrency: NonZeroUsize,
    /// Where people reach the server, where that is not where it listens: behind a reverse proxy
    #[arg(long, value_name = "URL")]
    pub public_url: Option<String>,
    /// Let settings from the API reach link-local addresses, which hand out the credentials of cloud machines, and
    /// requests of HTTP destinations private ones
    #[arg(long)]
    pub allow_private_addresses: bool,
    /// Listen beyond this machine although there is no admin yet: whoever has the setup link becomes the first one
    #[arg(long)]
    pub allow_remote_setup: bool,
    /// How the address is written to stdout
    #[command(flatten)]
    pub report: Report,
}

/// `tapline export`.
#[derive(Debug, Args)]
pub struct Export {
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline apply`.
#[derive(Debug, Args)]
pub struct Apply {
    /// The project file to take definitions from
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Only tell what would change
    #[arg(long)]
    pub dry_run: bool,
    /// Delete definitions that the file does not have
    #[arg(long)]
    pub prune: bool,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline schema`.
#[derive(Debug, Args)]
pub struct Schema {
    /// Print the OpenAPI document of the server instead
    #[arg(long)]
    pub openapi: bool,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline destinations`.
#[derive(Debug, Args)]
pub struct Destinations {
    /// A kind, to list its keys
    pub kind: Option<String>,
    /// How the result is written to stdout
    #[arg(long, value_name = "text|json|markdown", hide_possible_values = true, default_value = "text")]
    pub format: ReferenceFormat,
}

/// `tapline functions`.
#[derive(Debug, Args)]
pub struct Functions {
    /// How the result is written to stdout
    #[arg(long, value_name = "text|json|markdown", hide_possible_values = true, default_value = "text")]
    pub format: ReferenceFormat,
}

/// How a reference page is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReferenceFormat {
    /// For people at a terminal
    Text,
    /// For programs
    Json,
    /// For the reference documentation
    Markdown,
}

/// `tapline explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The code, such as S3-004
    pub code: String,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline completions`.
#[derive(Debug, Args)]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    pub shell: clap_complete::Shell,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_definitions_hold() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_takes_format_json() {
        let root = Cli::command();
        let commands = root.get_subcommands().flat_map(|command| {
            let below: Vec<_> = command.get_subcommands().collect();
            if below.is_empty() { vec![command] } else { below }
        });
        for command in commands {
            let format = command.get_arguments().find(|argument| argument.get_id() == "format");
            let values = format.map(|argument| argument.get_possible_values()).unwrap_or_default();
            assert!(values.iter().any(|value| value.matches("json", false)), "{}", command.get_name());
        }
    }

    #[test]
    fn runs_takes_a_sync_or_show() {
        let parse = |arguments: &[&str]| match Cli::try_parse_from(arguments).unwrap().command {
            Command::Runs(runs) => runs,
            other => panic!("{other:?}"),
        };
        assert_eq!(parse(&["tapline", "runs", "customers"]).sync.as_deref(), Some("customers"));
        assert!(parse(&["tapline", "runs", "show", "01J", "--format", "json"]).command.is_some());
        assert!(parse(&["tapline", "runs"]).sync.is_none());
    }
}
