//! Schedules: when a sync would run.
//! Not here: the calendar (`tapline_core::schedule`).
//! Called by the router; `syncs` shares the words.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tapline_core::codes;
use tapline_core::config::Schedule;
use tapline_core::schedule::Timetable;
use tapline_core::yaml::{self, Node};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::auth::Viewer;
use crate::extract::Json;
use crate::problem::{Fault, Problem, Result};

/// How many moments are shown.
const MOMENTS: usize = 5;

/// A schedule to be looked at.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ScheduleRequest {
    /// `"manual"`, `{"every": "15m"}` or `{"cron": "0 6 * * *", "timezone": "Europe/Berlin"}`.
    schedule: Value,
    /// The sync that it is for: syncs of the same interval begin at different moments.
    sync: Option<String>,
}

/// When a schedule has syncs run.
#[derive(Debug, Serialize, ToSchema)]
struct ScheduleView {
    /// The next moments; none for `manual`.
    next: Vec<DateTime<Utc>>,
    /// The schedule in words.
    text: String,
}

/// Show when a schedule would run a sync
#[utoipa::path(post, path = "/schedules/preview", tag = "schedules", request_body = ScheduleRequest,
    security(("token" = ["viewer"]), ("session" = ["viewer"])),
    responses((status = 200, description = "The next moments", body = ScheduleView)))]
async fn preview(_: Viewer, Json(body): Json<ScheduleRequest>) -> Result<axum::Json<ScheduleView>> {
    let node = Node::from_json(&body.schedule, "/schedule");
    let schedule: Schedule = yaml::from_node(&node).map_err(tapline_core::yaml::ConfigErrors::from)?;
    let timetable = Timetable::new(body.sync.as_deref().unwrap_or_default(), &schedule).map_err(|problem| {
        let pointer = format!("/schedule/{}", problem.key());
        Problem::invalid(vec![Fault::new(pointer, codes::CONF_002, problem.to_string())])
    })?;
    let next = timetable.upcoming(Utc::now()).take(MOMENTS).collect();
    Ok(axum::Json(ScheduleView { next, text: words(&schedule) }))
}

/// A schedule in words.
pub(super) fn words(schedule: &Schedule) -> String {
    match schedule {
        Schedule::Manual => "manual".to_owned(),
        Schedule::Every { every } => {
            let seconds = every.0.as_secs();
            let units = [(86_400, "day"), (3_600, "hour"), (60, "minute"), (1, "second")];
            let fitting = units.iter().find(|(length, _)| seconds >= *length && seconds % length == 0);
            match fitting {
                Some((length, unit)) if seconds == *length => format!("every {unit}"),
                Some((length, unit)) => format!("every {} {unit}s", seconds / length),
                None => format!("every {} ms", every.0.as_millis()),
            }
        }
        Schedule::Cron { cron, timezone } => {
            let zone = timezone.as_deref().unwrap_or("UTC");
            let fields: Vec<&str> = cron.split_whitespace().collect();
            match fields.as_slice() {
                [minute, hour, "*", "*", day] => match (minute.parse::<u8>(), hour.parse::<u8>()) {
                    (Ok(minute), Ok(hour)) => {
                        let days = match *day {
                            "*" => "every day".to_owned(),
                            "1-5" => "from Monday to Friday".to_owned(),
                            other => format!("on days {other} of the week"),
                        };
                        format!("{days} at {hour:02}:{minute:02} ({zone})")
                    }
                    _ => format!("cron {cron} ({zone})"),
                },
                _ => format!("cron {cron} ({zone})"),
            }
        }
    }
}

/// The routes of schedules.
pub fn router() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(preview))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn schedules_in_words() {
        let words_of = |json: Value| words(&yaml::from_node(&Node::from_json(&json, "")).unwrap());
        assert_eq!(words_of(json!("manual")), "manual");
        assert_eq!(words_of(json!({ "every": "15m" })), "every 15 minutes");
        assert_eq!(words_of(json!({ "every": "90m" })), "every 90 minutes");
        assert_eq!(words_of(json!({ "every": "1d" })), "every day");
        let cron = |cron: &str| words_of(json!({ "cron": cron, "timezone": "Europe/Berlin" }));
        assert_eq!(cron("0 6 * * *"), "every day at 06:00 (Europe/Berlin)");
        assert_eq!(cron("30 6 * * 1-5"), "from Monday to Friday at 06:30 (Europe/Berlin)");
        assert_eq!(cron("*/5 * * * *"), "cron */5 * * * * (Europe/Berlin)");
    }
}
