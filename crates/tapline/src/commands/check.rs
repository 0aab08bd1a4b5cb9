//! `tapline check [NAME…]`: tests connections step by step.
//! Not here: the steps, which sources and destinations take themselves.
//! Called by the dispatcher in `commands`.

use tapline_core::{CheckReport, CheckStep};

use super::Context;
use crate::cli::Check;
use crate::errors::{Failure, unknown_name};
use crate::exit::Exit;
use crate::terminal::{self, Paint};
use crate::wiring::Wiring;

/// Checks the named connections, or all of them; each is told as soon as it is known.
pub async fn run(arguments: &Check, context: &Context) -> Result<Exit, Failure> {
    let wiring = Wiring::open(context.project.as_deref())?;
    let project = &wiring.project;
    for name in &arguments.names {
        if !project.sources.contains_key(name) && !project.destinations.contains_key(name) {
            let names = project.sources.keys().chain(project.destinations.keys());
            return Err(unknown_name("source or destination", name, names.map(String::as_str)).into());
        }
    }
    let wanted = |name: &String| arguments.names.is_empty() || arguments.names.contains(name);
    let mut reports = Vec::new();
    for name in project.sources.keys().filter(|name| wanted(name)) {
        let steps = wiring.source(name, "tapline-check")?.check().await;
        reports.push(tell(CheckReport::new(name, "source", steps), arguments)?);
    }
    for name in project.destinations.keys().filter(|name| wanted(name)) {
        let steps = wiring.destination(name)?.0.check().await;
        reports.push(tell(CheckReport::new(name, "destination", steps), arguments)?);
    }
    if arguments.report.is_json() {
        terminal::print_json(&reports)?;
    }
    Ok(if reports.iter().all(|report| report.ok) { Exit::Done } else { Exit::Failed })
}

fn tell(report: CheckReport, arguments: &Check) -> Result<CheckReport, Failure> {
    if !arguments.report.is_json() {
        terminal::print(&text(&report, Paint::stdout()))?;
    }
    Ok(report)
}

fn text(report: &CheckReport, paint: Paint) -> String {
    let mut text = format!("{} ({})\n", paint.strong(&report.name), report.kind);
    let width = report.steps.iter().map(|step| step.name.chars().count()).max().unwrap_or_default();
    for CheckStep { name, ok, code, message, hint } in &report.steps {
        let sign = if *ok { paint.good("✓") } else { paint.bad("✕") };
        let code = code.as_ref().map(|code| format!("{code} ")).unwrap_or_default();
        let message = message.as_deref().unwrap_or_default();
        text.push_str(&format!("  {sign} {name:width$}  {code}{message}\n"));
        for hint in hint.iter().flat_map(|hints| hints.lines()) {
            text.push_str(&format!("    {} {hint}\n", paint.strong("hint:")));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use tapline_core::{Error, codes};

    use super::*;

    #[test]
    fn steps_stand_below_each_other_and_a_failed_one_says_what_to_do() {
        let error = Error::new(codes::S3_004, "reading a.csv was denied").hint("grant s3:GetObject");
        let steps = vec![CheckStep::passed("connect", "127.0.0.1"), CheckStep::failed("read", &error)];
        let shown = text(&CheckReport::new("lake", "source", steps), Paint::NONE);
        let expected = "lake (source)\n  ✓ connect  127.0.0.1\n  ✕ read     S3-004 reading a.csv was denied\n    hint: grant s3:GetObject\n";
        assert_eq!(shown, expected);
    }
}
