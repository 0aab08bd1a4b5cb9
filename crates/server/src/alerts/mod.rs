//! Alerts: somebody is told once when a sync changes for the worse, and when it is well again.
//! Not here: how alerts are defined (`routes::alerts`), the history of runs.
//! Called by the runner when a run has ended, and by `serve`, which starts the task that looks for late syncs and tells.

mod channel;
mod message;
pub(crate) mod rule;

use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::join_all;
use serde_json::{Value, json};
use tapline_core::schedule::Timetable;
use tapline_core::server_state::{Actor, ActorKind, AlertCondition, AlertDelivery, Definition, Noun};
use tapline_core::{Error, RunReport};
use tokio::sync::Notify;

use self::message::{Message, RunFacts};
use self::rule::{Event, Outcome, Rule};
use crate::app::App;
use crate::problem::Result;
use crate::{addresses, audit};

/// How often late syncs and messages that are due are looked for.
const ROUND: Duration = Duration::from_secs(15);
/// How late a run may begin before its sync is late.
const GRACE: TimeDelta = TimeDelta::minutes(5);
/// The first wait after a message could not be delivered; each further one is twice as long.
const FIRST_WAIT: TimeDelta = TimeDelta::seconds(30);
/// The longest wait.
const LONGEST_WAIT: TimeDelta = TimeDelta::hours(1);
/// After so many attempts, over about seven hours, a message is given up.
const MOST_ATTEMPTS: u32 = 14;
/// Messages that are sent at once.
const SENT_AT_ONCE: usize = 4;
/// How a sync is that nothing is wrong with.
const HEALTHY: &str = "healthy";

/// Wakes the task that tells.
#[derive(Debug, Default)]
pub struct Memory {
    wake: Notify,
}

/// Looks what a run has made of its sync.
pub async fn run_ended(app: &App, report: &RunReport) {
    if let Err(error) = look_at(app, report).await {
        tracing::error!(sync = report.sync, error = %error.full_message(), "cannot note what to tell");
    }
}

async fn look_at(app: &App, report: &RunReport) -> Result<(), Error> {
    let since = report.ended_at.unwrap_or_else(Utc::now);
    for (definition, rule) in rules(app, &report.sync).await? {
        if let Some(outcome) = rule.event_of(report) {
            turned(app, &definition, &rule, &report.sync, outcome, since, Some(report)).await?;
        }
    }
    Ok(())
}

/// Looks for late syncs and tells what is due, until the server ends. Of several servers on one state the one that
/// schedules does.
pub async fn start(app: App) {
    loop {
        tokio::select! {
            () = app.runner.stop.cancelled() => return,
            () = app.alerts.wake.notified() => {}
            () = tokio::time::sleep(ROUND) => {}
        }
        if !app.runner.is_leading() {
            continue;
        }
        let round = async {
            look_for_late(&app).await?;
            tell(&app).await
        };
        tokio::select! {
            () = app.runner.stop.cancelled() => return,
            result = round => if let Err(problem) = result {
                tracing::error!(error = problem.detail(), "cannot look after alerts");
            },
        }
    }
}

/// The alerts that watch a sync.
async fn rules(app: &App, sync: &str) -> Result<Vec<(Definition, Rule)>, Error> {
    let mut rules = Vec::new();
    for definition in app.store.definitions(Noun::Alert).await? {
        match Rule::of(&rule::full(&definition)) {
            Ok(rule) if rule.watches(sync) => rules.push((definition, rule)),
            Ok(_) => {}
            Err(problem) => {
                tracing::error!(alert = definition.name, reason = problem.detail(), "an alert is not valid")
            }
        }
    }
    Ok(rules)
}

/// Notes how a sync is for an alert, and, if that is news that the alert tells, a message.
async fn turned(
    app: &App,
    definition: &Definition,
    rule: &Rule,
    sync: &str,
    outcome: Outcome,
    since: DateTime<Utc>,
    report: Option<&RunReport>,
) -> Result<(), Error> {
    loop {
        let before = app.store.alert_condition(&definition.id, sync).await?;
        // What is wrong may have become something that the alert does not tell: who was told still waits for the end.
        let told = before.as_ref().is_some_and(|before| before.told);
        let (condition, event) = match outcome {
            Outcome::Healthy => (HEALTHY, told.then_some(Event::Recovered)),
            Outcome::Wrong(event) => (event.word(), Some(event)),
        };
        let present = before.as_ref().map_or(HEALTHY, |before| before.condition.as_str());
        if present == condition {
            return Ok(());
        }
        let event = event.filter(|event| rule.when.contains(event));
        let told = outcome != Outcome::Healthy && (told || event.is_some());
        let delivery = event.map(|event| {
            let message = Message {
                alert: definition.name.clone(),
                event,
                sync: sync.to_owned(),
                since,
                run: report.map(RunFacts::of),
                url: url_of(app, sync, report),
            };
            AlertDelivery {
                id: ulid::Ulid::generate().to_string(),
                alert: definition.id.clone(),
                message: json!(message),
                attempts: 0,
                next_at: Utc::now(),
            }
        });
        let condition = AlertCondition { condition: condition.to_owned(), since, told };
        let noted =
            app.store.put_alert_condition(&definition.id, sync, before.as_ref(), &condition, delivery.as_ref()).await?;
        if noted {
            app.alerts.wake.notify_one();
            return Ok(());
        }
    }
}

/// The page of the run, or of the sync.
fn url_of(app: &App, sync: &str, report: Option<&RunReport>) -> String {
    let base = match &app.settings.public_url {
        Some(url) => url.as_str().trim_end_matches('/').to_owned(),
        None => format!("http://{}", app.settings.listen),
    };
    match report {
        Some(report) => format!("{base}/runs/{}", report.run),
        None => format!("{base}/syncs/{sync}"),
    }
}

/// Notes the syncs whose runs should have begun.
async fn look_for_late(app: &App) -> Result<()> {
    let project = app.catalog.project().await?;
    let now = Utc::now();
    for (sync, state) in app.runner.schedules().await? {
        let Some(config) = project.syncs.get(&sync) else { continue };
        if state.paused || app.runner.running(&sync).is_some() {
            continue;
        }
        let due = Timetable::new(&sync, &config.schedule).ok().and_then(|table| table.next_after(state.settled_until));
        if let Some(due) = due.filter(|due| *due + GRACE < now) {
            for (definition, rule) in rules(app, &sync).await? {
                turned(app, &definition, &rule, &sync, Outcome::Wrong(Event::Late), due, None).await?;
            }
        }
    }
    Ok(())
}

/// Tells what is due.
async fn tell(app: &App) -> Result<()> {
    let alerts = app.store.definitions(Noun::Alert).await?;
    let now = Utc::now();
    let mut due = app.store.alert_deliveries().await?;
    due.retain(|delivery| delivery.next_at <= now);
    for several in due.chunks(SENT_AT_ONCE) {
        let mut attempts = Vec::with_capacity(several.len());
        for delivery in several {
            let alert = alerts.iter().find(|alert| alert.id == delivery.alert);
            attempts.push(attempt(app, alert, delivery));
        }
        for result in join_all(attempts).await {
            result?;
        }
    }
    Ok(())
}

/// Tries to deliver one message.
async fn attempt(app: &App, alert: Option<&Definition>, delivery: &AlertDelivery) -> Result<()> {
    let rule = alert.and_then(|alert| Rule::of(&rule::full(alert)).ok());
    let message = serde_json::from_value::<Message>(delivery.message.clone()).ok();
    let (Some(rule), Some(message)) = (rule, message) else {
        // The alert was deleted meanwhile.
        return Ok(app.store.drop_alert_delivery(&delivery.id).await?);
    };
    let guarded = !app.settings.allow_private_addresses;
    let Err(reason) = channel::send(&rule.channel, &message, guarded).await else {
        return Ok(app.store.drop_alert_delivery(&delivery.id).await?);
    };
    let attempts = delivery.attempts + 1;
    tracing::warn!(alert = message.alert, sync = message.sync, attempts, %reason, "an alert could not be delivered");
    if attempts >= MOST_ATTEMPTS {
        let actor = Actor { kind: ActorKind::System, name: "tapline".to_owned() };
        let details = json!({ "sync": message.sync, "event": message.event, "reason": reason.to_string() });
        audit::record_of(app, actor, None, "alerts.undelivered", Some(&message.alert), details).await?;
        return Ok(app.store.drop_alert_delivery(&delivery.id).await?);
    }
    let wait = FIRST_WAIT.checked_mul(1 << delivery.attempts.min(20)).unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT);
    let delivery = AlertDelivery { attempts, next_at: Utc::now() + wait, ..delivery.clone() };
    Ok(app.store.put_alert_delivery(&delivery).await?)
}

/// Tells, at once and only this time, that an alert works; why not, in words, where it does not.
pub(crate) async fn try_out(app: &App, name: &str, rule: &Rule) -> Result<(), String> {
    let message = Message {
        alert: name.to_owned(),
        event: Event::Recovered,
        sync: "a test of this alert".to_owned(),
        since: Utc::now(),
        run: None,
        url: url_of(app, "", None),
    };
    let guarded = !app.settings.allow_private_addresses;
    channel::send(&rule.channel, &message, guarded).await.map_err(|reason| reason.to_string())
}

/// Refuses a channel that reaches what settings from the API may not.
pub(crate) async fn guard(app: &App, rule: &Rule) -> Result<()> {
    if app.settings.allow_private_addresses {
        return Ok(());
    }
    let hosts: Value = channel::hosts(&rule.channel);
    addresses::check(&hosts, "/channel").await.map_err(|fault| crate::problem::Problem::invalid(vec![fault]))
}
