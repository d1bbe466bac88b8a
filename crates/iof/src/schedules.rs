//! `iof schedules`: the calls that a server makes at certain times.

use crate::args::Schedules;
use crate::client::{Client, segment};
use crate::escape::line;
use crate::functions::path;
use crate::output::{json, table, text};
use crate::print;
use http::Method;
use jiff::Timestamp;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use serde_json::{Value as Json, json as object};
use std::process::ExitCode;

pub(crate) async fn run(schedules: Schedules) -> Result<ExitCode, String> {
    let Schedules {
        function,
        pause,
        resume,
        remote,
    } = schedules;
    let client = Client::new(&remote)?.of(&function);
    let route = format!("{}/schedules", path(&function));
    for (name, verb, done) in [(pause, "pause", "paused"), (resume, "resume", "resumed")] {
        let Some(name) = name else { continue };
        let route = format!("{route}/{}/{verb}", segment(&name));
        client.ask(Method::POST, &route, "").await?;
        if remote.json {
            return Ok(json(
                &object!({ "schedule": name, "paused": verb == "pause" }),
            ));
        }
        return Ok(print(&format!("{} is {done}\n", line(&name))));
    }
    let answer = client.ask(Method::GET, &route, "").await?;
    if remote.json {
        return Ok(json(&answer));
    }
    let schedules = answer["schedules"].as_array().cloned().unwrap_or_default();
    let shown: Vec<_> = schedules.iter().map(shown).collect();
    Ok(print(&match shown.is_empty() {
        true => format!("{function} has no schedules; declare `schedule` in its function.toml\n"),
        false => shown.join("\n"),
    }))
}

/// One schedule for people: what it calls when, and its next times in its zone and in that of this machine.
fn shown(schedule: &Json) -> String {
    let mut out = format!(
        "{}: {} in {} calls {} of version {}, missed = {}\n",
        text(schedule, "name"),
        text(schedule, "cron"),
        text(schedule, "timezone"),
        text(schedule, "export"),
        text(schedule, "version"),
        text(schedule, "missed"),
    );
    if let Json::Object(_) = schedule["last"] {
        let last = &schedule["last"];
        out += &format!(
            "last: {}, job {}, {}\n",
            text(last, "due_at").replace(".000Z", "Z"),
            text(last, "job"),
            text(last, "state")
        );
    }
    if schedule["paused"] == true {
        return out + "paused\n";
    }
    let zone = schedule["timezone"].as_str().unwrap_or_default();
    let zone = TimeZoneDatabase::bundled()
        .get(zone)
        .unwrap_or(TimeZone::UTC);
    let here = TimeZone::system();
    let rows: Vec<_> = schedule["next"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|time| time.as_str()?.parse::<Timestamp>().ok())
        .map(|time| vec![local(time, &zone), local(time, &here)])
        .collect();
    let here = here.iana_name().unwrap_or("local").to_owned();
    let names = [
        format!("NEXT IN {}", text(schedule, "timezone")),
        format!("HERE ({here})"),
    ];
    out + &table(
        &names.each_ref().map(String::as_str),
        &rows,
        "no further time",
    )
}

fn local(time: Timestamp, zone: &TimeZone) -> String {
    let time = time.to_zoned(zone.clone());
    time.strftime("%Y-%m-%d %H:%M:%S %:z").to_string()
}
