//! The words of the commands that look after a server's state: tokens, the key of its secrets, one row's traces.
//! Not here: what they do (`commands`).
//! Called by `cli`, whose part this is.

use clap::{Args, Subcommand, ValueEnum};
use tapline_core::server_state::Role;

use super::Report;

/// `tapline token`.
#[derive(Debug, Args)]
pub struct Token {
    /// What to do
    #[command(subcommand)]
    pub command: TokenCommand,
}

/// What `tapline token` does.
#[derive(Debug, Subcommand)]
pub enum TokenCommand {
    /// Make a token, and print it this once
    Create(TokenCreate),
    /// List tokens
    List(TokenList),
    /// Revoke a token
    Revoke(TokenRevoke),
}

/// `tapline token create`.
#[derive(Debug, Args)]
pub struct TokenCreate {
    /// What it is for
    #[arg(long, default_value = "command line")]
    pub name: String,
    /// What it may do
    #[arg(long, value_name = "viewer|editor|admin", hide_possible_values = true, default_value = "viewer")]
    pub role: RoleName,
    /// How many days it lasts [default: for ever]
    #[arg(long, value_name = "DAYS", value_parser = clap::value_parser!(u32).range(1..=3650))]
    pub expires_in_days: Option<u32>,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline token list`.
#[derive(Debug, Args)]
pub struct TokenList {
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline token revoke`.
#[derive(Debug, Args)]
pub struct TokenRevoke {
    /// The token's id, as `tapline token list` shows it
    pub id: String,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// A role, as it is typed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum RoleName {
    /// Looks, but sees no cell values
    Viewer,
    /// Defines, queries and runs
    Editor,
    /// Does everything
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Editor => Self::Editor,
            RoleName::Admin => Self::Admin,
        }
    }
}

/// `tapline secret`.
#[derive(Debug, Args)]
pub struct Secret {
    /// What to do
    #[command(subcommand)]
    pub command: SecretCommand,
}

/// What `tapline secret` does.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Seal all secrets and rejected rows with another key
    Rotate(SecretRotate),
}

/// `tapline secret rotate`.
#[derive(Debug, Args)]
#[command(
    after_help = "Stop the server first. With TAPLINE_SECRET_KEY set, the new key is taken from TAPLINE_NEW_SECRET_KEY, and takes its place afterwards; else the key file beside the state is replaced."
)]
pub struct SecretRotate {
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

/// `tapline erase`.
#[derive(Debug, Args)]
#[command(
    after_help = "The row at the destination and in the source's files is yours to delete. One that the source still holds is delivered again, as a new row, when its files change."
)]
pub struct Erase {
    /// The sync
    pub sync: String,
    /// A field of the primary key and its value; once per field
    #[arg(long = "key", value_name = "FIELD=VALUE", required = true, value_parser = key_part)]
    pub key: Vec<(String, String)>,
    /// How the result is written.
    #[command(flatten)]
    pub report: Report,
}

fn key_part(text: &str) -> Result<(String, String), &'static str> {
    text.split_once('=')
        .map(|(field, value)| (field.to_owned(), value.to_owned()))
        .ok_or("write a field and its value, such as --key id=42")
}
