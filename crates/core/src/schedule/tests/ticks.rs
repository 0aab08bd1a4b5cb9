//! When timetables tick: grids, patterns, and the days on which clocks change.

use std::collections::BTreeSet;

use chrono::{NaiveDateTime, Timelike};
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

#[track_caller]
fn ticks(pattern: &str, zone: &str, after: &str, expected: &[&str]) {
    let timetable = cron(pattern, zone).expect("the pattern is valid");
    let found: Vec<String> = timetable
        .upcoming(at(after))
        .take(expected.len())
        .map(|tick| tick.format("%Y-%m-%d %H:%M").to_string())
        .collect();
    assert_eq!(found, expected, "{pattern} in {zone}");
}

/// The moments every `minutes` minutes from `first` to `last` are all the ticks there are.
#[track_caller]
fn ticks_evenly(pattern: &str, zone: &str, first: &str, last: &str, minutes: i64) {
    let timetable = cron(pattern, zone).expect("the pattern is valid");
    let (mut expected, last) = (at(first), at(last));
    while expected <= last {
        assert_eq!(timetable.next_after(expected - TimeDelta::seconds(1)), Some(expected), "{pattern} in {zone}");
        expected += TimeDelta::minutes(minutes);
        assert_eq!(timetable.next_after(expected - TimeDelta::minutes(minutes)), Some(expected), "{pattern} in {zone}");
    }
}

#[test]
fn a_time_that_is_skipped_ticks_once_when_the_clocks_go_forward() {
    let berlin = ["2026-03-28 01:30", "2026-03-29 01:00", "2026-03-30 00:30"];
    ticks("30 2 * * *", "Europe/Berlin", "2026-03-28 00:00", &berlin);
    let york = ["2026-03-07 07:30", "2026-03-08 07:00", "2026-03-09 06:30"];
    ticks("30 2 * * *", "America/New_York", "2026-03-07 00:00", &york);
    let lord_howe = ["2026-10-02 15:45", "2026-10-03 15:30", "2026-10-04 15:15"];
    ticks("15 2 * * *", "Australia/Lord_Howe", "2026-10-02 15:00", &lord_howe);
    // Several skipped times, and one that falls on the same moment.
    let once = ["2026-03-29 01:00", "2026-03-30 00:00", "2026-03-30 00:20", "2026-03-30 00:40", "2026-03-30 01:00"];
    ticks("*/20 2 * * *", "Europe/Berlin", "2026-03-28 12:00", &once[..4]);
    ticks("0 2,3 * * *", "Europe/Berlin", "2026-03-28 12:00", &["2026-03-29 01:00", "2026-03-30 00:00", once[4]]);
    // At midnight, and a whole day.
    ticks("0 0 * * *", "America/Santiago", "2026-09-05 12:00", &["2026-09-06 04:00", "2026-09-07 03:00"]);
    ticks("0 6 * * *", "Pacific/Apia", "2011-12-29 17:00", &["2011-12-30 10:00", "2011-12-30 16:00"]);
}

#[test]
fn a_time_that_comes_twice_ticks_the_first_time_only() {
    let berlin = ["2026-10-24 00:30", "2026-10-25 00:30", "2026-10-26 01:30"];
    ticks("30 2 * * *", "Europe/Berlin", "2026-10-24 00:00", &berlin);
    let york = ["2026-10-31 05:30", "2026-11-01 05:30", "2026-11-02 06:30"];
    ticks("30 1 * * *", "America/New_York", "2026-10-31 00:00", &york);
    let lord_howe = ["2026-04-03 14:45", "2026-04-04 14:45", "2026-04-05 15:15"];
    ticks("45 1 * * *", "Australia/Lord_Howe", "2026-04-03 12:00", &lord_howe);
    let lists = ["2026-10-25 00:00", "2026-10-25 13:00", "2026-10-26 01:00"];
    ticks("0 2,14 * * *", "Europe/Berlin", "2026-10-24 12:30", &lists);
    // From within the second hour.
    ticks("30,45 2 * * *", "Europe/Berlin", "2026-10-25 01:35", &["2026-10-26 01:30"]);
}

#[test]
fn patterns_for_every_hour_go_on_in_real_time() {
    for (zone, first, last) in [
        ("Europe/Berlin", "2026-03-29 00:00", "2026-03-29 04:00"),
        ("Europe/Berlin", "2026-10-24 23:00", "2026-10-25 04:00"),
        ("America/New_York", "2026-03-08 05:00", "2026-03-08 09:00"),
        ("America/New_York", "2026-11-01 04:00", "2026-11-01 09:00"),
        ("Australia/Lord_Howe", "2026-10-03 14:00", "2026-10-03 18:00"),
        ("Australia/Lord_Howe", "2026-04-04 13:00", "2026-04-04 18:00"),
    ] {
        ticks_evenly("*/15 * * * *", zone, first, last, 15);
        ticks_evenly("*/30 * * * *", zone, first, last, 30);
    }
    ticks_evenly("0 * * * *", "Europe/Berlin", "2026-03-28 12:00", "2026-03-29 12:00", 60);
    ticks_evenly("@hourly", "America/New_York", "2026-11-01 00:00", "2026-11-01 12:00", 60);
}

#[test]
fn days_fit_by_month_or_by_week() {
    // The 13th, and every Friday.
    let either = ["2026-02-06 00:00", "2026-02-13 00:00", "2026-02-20 00:00", "2026-02-27 00:00", "2026-03-06 00:00"];
    ticks("0 0 13 * fri", "UTC", "2026-02-01 00:00", &either);
    ticks("0 0 13 * *", "UTC", "2026-02-01 00:00", &["2026-02-13 00:00", "2026-03-13 00:00"]);
    ticks("0 0 * * 5", "UTC", "2026-02-01 00:00", &either[..2]);
    ticks("0 0 29 2 *", "UTC", "2096-03-01 00:00", &["2104-02-29 00:00"]);
    ticks("0 0 * * SAT-SUN", "UTC", "2026-01-02 00:00", &["2026-01-03 00:00", "2026-01-04 00:00", "2026-01-10 00:00"]);
    ticks("@weekly", "UTC", "2026-01-02 00:00", &["2026-01-04 00:00"]);
}

#[test]
fn what_cannot_be_kept_to_is_named() {
    let problem = |pattern: &str| cron(pattern, "UTC").expect_err(pattern).to_string();
    for (pattern, field) in [
        ("60 * * * *", "`60` is no valid minute"),
        ("* 24 * * *", "`24` is no valid hour"),
        ("* * 0 * *", "`0` is no valid day of month"),
        ("* * L * *", "`L` is no valid day of month"),
        ("* * 15W * *", "`15W` is no valid day of month"),
        ("* * ? * *", "`?` is no valid day of month"),
        ("* * * 13 *", "`13` is no valid month"),
        ("* * * mon *", "`mon` is no valid month"),
        ("* * * * 8", "`8` is no valid day of week"),
        ("* * * * 5#2", "`5#2` is no valid day of week"),
        ("* * * * +1", "`+1` is no valid day of week"),
        ("1,,2 * * * *", "`1,,2` is no valid minute"),
        (", * * * *", "`,` is no valid minute"),
        ("*/0 * * * *", "`*/0` is no valid minute"),
        ("*/90 * * * *", "`*/90` is no valid minute"),
        ("5/15 * * * *", "`5/15` is no valid minute"),
        ("5-1 * * * *", "`5-1` is no valid minute"),
        ("@noon", "the names of patterns are @hourly, @daily,"),
        ("0 0 6 * * *", "it has 6 fields, not the five minute, hour,"),
        ("", "it has 0 fields"),
        ("0 0 30 2 *", "none of its months has such a day"),
        ("0 0 31 4,6,9,11 *", "none of its months has such a day"),
    ] {
        assert!(problem(pattern).contains(field), "{pattern}: {}", problem(pattern));
    }
    let zone = |name: &str| cron("0 6 * * *", name).expect_err(name).to_string();
    assert_eq!(zone("europe/berln"), "`europe/berln` is no time zone; write an IANA name such as Europe/Berlin");
    assert!(zone("MEZ (Winter)").ends_with("such as Europe/Berlin or UTC"), "{}", zone("MEZ (Winter)"));
    for seconds in [0, 367 * 86_400] {
        let every = HumanDuration(Duration::from_secs(seconds));
        assert_eq!(Timetable::new("s", &Schedule::Every { every }), Err(ScheduleError::Interval));
    }
}

#[test]
fn intervals_lie_on_a_grid_of_their_own() {
    let names: Vec<String> = (0..50).map(|number| format!("orders_{number}")).collect();
    let mut phases = BTreeSet::new();
    for name in &names {
        let timetable = every(name, 60);
        let first = timetable.next_after(at("2026-01-01 00:00") - TimeDelta::seconds(1)).expect("there is a next");
        let phase = first - at("2026-01-01 00:00");
        assert!((TimeDelta::zero()..=TimeDelta::minutes(6)).contains(&phase), "{name}: {phase}");
        assert_eq!(timetable.next_after(first + TimeDelta::minutes(31)), Some(first + TimeDelta::hours(1)));
        phases.insert(phase);
    }
    assert!(phases.len() > 25, "{phases:?}");
    let long = every("orders", 36 * 60);
    let ticks: Vec<_> = long.upcoming(at("1969-12-01 00:00")).take(20).collect();
    assert!(ticks.windows(2).all(|pair| pair[1] - pair[0] == TimeDelta::hours(36)), "{ticks:?}");
    assert_eq!(Timetable::new("s", &Schedule::Manual).map(|manual| manual.next_after(ticks[0])), Ok(None));
}

/// All ticks of the days around a change of clocks, minute by minute, by the words of the module: patterns with given
/// hours tick when the wall clock first reaches or passes a time, patterns for every hour whenever it shows one.
fn by_the_minute(minutes: &BTreeSet<u32>, hours: &BTreeSet<u32>, zone: Tz, from: DateTime<Utc>) -> Vec<DateTime<Utc>> {
    let fits = |wall: NaiveDateTime| minutes.contains(&wall.minute()) && hours.contains(&wall.hour());
    let wall = |moment: DateTime<Utc>| moment.with_timezone(&zone).naive_local();
    let (mut seen, mut found) = (wall(from), Vec::new());
    for moment in (1..3 * 24 * 60).map(|minute| from + TimeDelta::minutes(minute)) {
        let mut ticks = hours.len() == 24 && fits(wall(moment));
        while seen < wall(moment) {
            seen += TimeDelta::minutes(1);
            ticks |= hours.len() < 24 && fits(seen);
        }
        if ticks {
            found.push(moment);
        }
    }
    found
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn ticks_are_those_of_the_wall_clock(
        minutes in prop::collection::btree_set(0_u32..60, 1..4),
        some_hours in prop::collection::btree_set(0_u32..5, 1..4),
        all_hours in any::<bool>(),
        change in prop::sample::select(vec![
            (Tz::Europe__Berlin, "2026-03-28 00:00"), (Tz::Europe__Berlin, "2026-10-24 00:00"),
            (Tz::America__New_York, "2026-03-07 00:00"), (Tz::America__New_York, "2026-10-31 00:00"),
            (Tz::Australia__Lord_Howe, "2026-04-03 00:00"), (Tz::Australia__Lord_Howe, "2026-10-02 00:00"),
            (Tz::America__Santiago, "2026-04-03 12:00"), (Tz::America__Santiago, "2026-09-05 00:00"),
        ]),
    ) {
        let list = |numbers: &BTreeSet<u32>| numbers.iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        let hours = if all_hours { (0..24).collect() } else { some_hours };
        let (zone, from) = (change.0, at(change.1));
        let pattern = format!("{} {} * * *", list(&minutes), if all_hours { "*".into() } else { list(&hours) });
        let expected = by_the_minute(&minutes, &hours, zone, from);
        let timetable = cron(&pattern, zone.name()).expect("the pattern is valid");
        let found: Vec<_> = timetable.upcoming(from).take(expected.len()).collect();
        prop_assert_eq!(found, expected, "{} in {}", pattern, zone);
    }
}
