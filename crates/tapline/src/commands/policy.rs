//! `tapline policy SOURCE`: the smallest IAM policy that a source needs.
//! Not here: what that policy says (`tapline_storage`).
//! Called by the dispatcher in `commands`.

use serde_json::{Value, json};
use tapline_storage::{Auth, S3SourceConfig, permission_policy, trust_policy};

use super::Context;
use crate::cli::Policy;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::terminal::{self, Paint};
use crate::wiring::Wiring;

/// Prints the permission policy and, for a role, the trust policy; headings go to stderr, so that a pipe gets JSON.
pub fn run(arguments: &Policy, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let config = wiring.source_config(&arguments.source)?;
    let permissions = permission_policy(&config);
    let principal = arguments.principal.clone().or_else(|| own_account(&config));
    let trust = principal.and_then(|principal| trust_policy(&config, &principal));
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "permission_policy": permissions, "trust_policy": trust }))?;
        return Ok(Exit::Done);
    }
    section("permission policy", &permissions, context)?;
    if let Some(trust) = &trust {
        section("trust policy of the role", trust, context)?;
        if arguments.principal.is_none() && !context.quiet {
            terminal::note(
                "The trust policy admits the role's own account; --principal ARN narrows it to one user or role.",
            );
        }
    }
    Ok(Exit::Done)
}

fn section(title: &str, document: &Value, context: &Context) -> Result<(), Failure> {
    if !context.quiet {
        terminal::note(Paint::stderr().strong(format_args!("{title}:")));
    }
    terminal::print_line(format_args!("{document:#}"))
}

/// The account that a source's role belongs to, as a principal; `None` where the source assumes no role.
fn own_account(config: &S3SourceConfig) -> Option<String> {
    let Auth::IamRole { role_arn, .. } = &config.auth else { return None };
    let mut parts = role_arn.split(':');
    let (partition, account) = (parts.nth(1)?, parts.nth(2)?);
    Some(format!("arn:{partition}:iam::{account}:root"))
}
