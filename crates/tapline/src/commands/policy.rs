//! `tapline policy SOURCE`: the smallest IAM policy that a source needs.
//! Not here: what that policy says (`tapline_storage`).
//! Called by the dispatcher in `commands`.

use std::time::Duration;

use serde_json::{Value, json};
use tapline_storage::{Auth, S3SourceConfig, permission_policy, trust_policy};

use super::Context;
use crate::cli::Policy;
use crate::errors::Failure;
use crate::exit::Exit;
use crate::terminal::{self, Paint};
use crate::wiring::Wiring;

/// How long STS may take to say who we are; without its answer the policy names an account instead.
const PATIENCE: Duration = Duration::from_secs(5);

/// Prints the permission policy and, for a role, the trust policy; headings go to stderr, so that a pipe gets JSON.
pub async fn run(arguments: &Policy, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let config = wiring.source_config(&arguments.source)?;
    let permissions = permission_policy(&config);
    let (principal, is_account) = match &arguments.principal {
        Some(named) => (Some(named.clone()), false),
        None => match own_identity(&wiring, &arguments.source, &config).await? {
            Some(found) => (Some(found), false),
            None => (own_account(&config), true),
        },
    };
    let trust = principal.and_then(|principal| trust_policy(&config, &principal));
    if arguments.report.is_json() {
        terminal::print_json(&json!({ "permission_policy": permissions, "trust_policy": trust }))?;
        return Ok(Exit::Done);
    }
    section("permission policy", &permissions, context)?;
    if let Some(trust) = &trust {
        section("trust policy of the role", trust, context)?;
        if is_account && !context.quiet {
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

/// Who assumes the source's role, by STS; `None` where it assumes none, or where nobody can say.
async fn own_identity(wiring: &Wiring, source: &str, config: &S3SourceConfig) -> Result<Option<String>, Failure> {
    if !matches!(config.auth, Auth::IamRole { .. }) {
        return Ok(None);
    }
    let source = wiring.source(source, "tapline-policy")?;
    Ok(tokio::time::timeout(PATIENCE, source.principal()).await.ok().flatten())
}

/// The account that a source's role belongs to, as a principal; `None` where the source assumes no role.
fn own_account(config: &S3SourceConfig) -> Option<String> {
    let Auth::IamRole { role_arn, .. } = &config.auth else { return None };
    let mut parts = role_arn.split(':');
    let (partition, account) = (parts.nth(1)?, parts.nth(2)?);
    Some(format!("arn:{partition}:iam::{account}:root"))
}
