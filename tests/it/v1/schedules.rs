//! Schedules: calls that the server makes at the times that a version declares.
//!
//! More than 400 lines: each promise of a schedule, with the steps that they share.

use crate::v1::functions::{KEY, ask, operated};
use iof_tests::call::{Answer, Uploaded};
use iof_tests::guests::{guest, handler_component, wat};
use iof_tests::server::{Server, program};
use iof_tests::user::User;
use serde_json::Value;
use sqlx::Connection as _;
use std::collections::{BTreeSet, HashSet};
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

/// A server whose schedules may come each second.
const EACH_SECOND: &str = "[server]\nschedule_interval = \"1s\"\n";

/// A module of exports that do nothing.
fn ticks(exports: &[&str]) -> Vec<u8> {
    let exports = exports
        .iter()
        .map(|name| format!("(func (export \"{name}\"))"));
    wat(&format!("(module {})", exports.collect::<String>()))
}

async fn schedules(server: &Server, function: &Uploaded) -> Vec<Value> {
    let path = format!("/v1/functions/{}/schedules", function.id);
    let list = server.read_as(function, &path).await;
    list["schedules"].as_array().unwrap().clone()
}

/// The jobs of a schedule, the oldest first.
async fn jobs(server: &Server, function: &Uploaded, schedule: &str) -> Vec<Value> {
    let path = format!("/v1/functions/{}/jobs?limit=1000", function.id);
    let list = server.read_as(function, &path).await;
    let jobs = list["jobs"].as_array().unwrap().iter().rev();
    let mut jobs: Vec<_> = jobs
        .filter(|job| job["schedule"] == schedule)
        .cloned()
        .collect();
    jobs.sort_by_key(|job| job["due_at"].as_str().unwrap().to_owned());
    jobs
}

/// The jobs of a schedule, once it has made this many.
async fn at_least(server: &Server, function: &Uploaded, schedule: &str, many: usize) -> Vec<Value> {
    for _ in 0..400 {
        let jobs = jobs(server, function, schedule).await;
        if jobs.len() >= many {
            return jobs;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{schedule} makes no {many} jobs\n{}", server.log());
}

async fn done(server: &Server, function: &Uploaded, job: &Value) -> Value {
    let path = format!("/v1/jobs/{}", job["job"].as_str().unwrap());
    for _ in 0..200 {
        let job = server.read_as(function, &path).await;
        if job["state"] == "done" {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("{job} does not end\n{}", server.log());
}

async fn set(server: &Server, function: &Uploaded, schedule: &str, verb: &str) -> Answer {
    let path = format!("/v1/functions/{}/schedules/{schedule}/{verb}", function.id);
    ask(server, "POST", &path, &function.admin_key, None).await
}

/// The second of a time such as `2026-12-01T02:00:07.000Z` within its hour.
fn second(job: &Value) -> i64 {
    let due = job["due_at"].as_str().unwrap();
    let part = |from: usize| due[from..from + 2].parse::<i64>().unwrap();
    part(14) * 60 + part(17)
}

/// The seconds between each time and the one before it.
fn steps(jobs: &[Value]) -> Vec<i64> {
    let seconds: Vec<_> = jobs.iter().map(second).collect();
    let steps = seconds.windows(2);
    steps
        .map(|two| (two[1] - two[0]).rem_euclid(3600))
        .collect()
}

#[tokio::test]
async fn a_schedule_calls_its_export_at_each_of_its_times_with_its_payload() {
    let (server, metrics) = crate::server::metrics::server(EACH_SECOND).await;
    let declared = r#"
        schedule = [
            { cron = "* * * * * *", export = "shout", payload = { text = "hi" } },
            { cron = "* * * * * *", export = "shout", name = "wrong", payload = { txet = 1 } },
        ]"#;
    let function = server.deploy(guest("typed"), declared).await;
    let made = at_least(&server, &function, "shout", 3).await;
    assert!(steps(&made).iter().all(|step| *step == 1), "{made:?}");
    let first = done(&server, &function, &made[0]).await;
    assert_eq!(first["result"], "HI", "{first}");
    assert_eq!(
        (&first["export"], &first["schedule"]),
        (&"shout".into(), &"shout".into())
    );
    // Arguments that do not fit end the call before its function runs, as those of a client do.
    let wrong = at_least(&server, &function, "wrong", 1).await;
    let wrong = done(&server, &function, &wrong[0]).await;
    assert_eq!(wrong["fault"], "arguments", "{wrong}");

    let logs = format!("/v1/functions/{}/logs", function.id);
    let logs = server.read_as(&function, &logs).await;
    let of = |job: &Value| {
        let rows = logs["logs"].as_array().unwrap().iter();
        let mut rows = rows.filter(|row| row["call"] == job["job"]);
        let row = rows
            .next()
            .unwrap_or_else(|| panic!("{job} has no row: {logs}"));
        assert_eq!(rows.next(), None);
        row.clone()
    };
    assert_eq!(of(&first)["caller"], "schedule");
    assert_eq!(of(&wrong)["refused"], true);
    // A call of a client has a caller of no kind.
    let path = format!("/v1/functions/{}/call/nothing", function.id);
    let answer = server.answer(server.request("POST", &path)).await;
    assert_eq!(answer.http, 204);
    let row = format!("/v1/functions/{}/logs", function.id);
    let row = server.read_as(&function, &row).await;
    let rows = row["logs"].as_array().unwrap();
    let row = rows
        .iter()
        .find(|row| row["call"] == answer.header("iof-call"));
    assert_eq!(row.unwrap()["caller"], Value::Null);

    let metrics = reqwest::get(format!("{metrics}/metrics")).await.unwrap();
    let metrics = metrics.text().await.unwrap();
    let queued = "iof_schedule_times_total{outcome=\"queued\"} ";
    let queued = metrics.split_once(queued).map_or("0", |(_, rest)| rest);
    let queued: f64 = queued.lines().next().unwrap().parse().unwrap();
    assert!(queued >= 4.0, "{metrics}");
}

/// Each time has one job, however often the process is killed, and with `all` none is left out.
#[tokio::test]
async fn kills_neither_lose_nor_repeat_a_time() {
    let mut server = Server::start(EACH_SECOND).await;
    let declared = "schedule = [{ cron = \"* * * * * *\", export = \"tick\", missed = \"all\" }, \
                                { cron = \"* * * * * *\", export = \"last\", missed = \"once\" }]";
    let function = server.deploy(ticks(&["tick", "last"]), declared).await;
    at_least(&server, &function, "tick", 1).await;
    for round in 0..6 {
        tokio::time::sleep(Duration::from_millis(700 + 230 * round)).await;
        server.kill().await;
        if round % 2 == 0 {
            tokio::time::sleep(Duration::from_millis(1500)).await;
        }
        server = server.restart().await;
    }
    let before = jobs(&server, &function, "tick").await.len();
    let all = at_least(&server, &function, "tick", before + 2).await;
    assert!(all.len() > 10, "{all:?}");
    assert!(
        steps(&all).iter().all(|step| *step == 1),
        "{:?}",
        steps(&all)
    );
    let last = jobs(&server, &function, "last").await;
    let times: HashSet<_> = last.iter().map(second).collect();
    assert_eq!(times.len(), last.len(), "{last:?}");
    assert!(last.len() < all.len(), "each of them was run: {last:?}");
    for job in all.iter().chain(&last) {
        let job = done(&server, &function, job).await;
        assert_eq!(job["fault"], Value::Null, "{job}");
    }
}

/// Times of a year and more ago: one day of a year each, so that none comes while the test runs.
#[tokio::test]
async fn times_that_have_passed_follow_the_policy() {
    let mut server = Server::start("[server]\nschedule_missed = 3\n").await;
    let of = |policy: &str| {
        format!("{{ cron = \"0 0 1 1 *\", export = \"{policy}\", missed = \"{policy}\" }}")
    };
    let policies = ["skip", "once", "all"];
    let declared = format!("schedule = [{}]", policies.map(of).join(", "));
    let function = server.deploy(ticks(&policies), &declared).await;
    for policy in policies {
        assert!(jobs(&server, &function, policy).await.is_empty());
    }
    server.stop().await;
    let mut database = sqlx::SqliteConnection::connect(&format!(
        "sqlite://{}",
        server.data().join("iof.db").display()
    ))
    .await
    .unwrap();
    // 2 January 2021.
    sqlx::query("UPDATE schedules SET settled_at = 1609545600000, due_at = 1609545600000")
        .execute(&mut database)
        .await
        .unwrap();
    database.close().await.unwrap();
    let server = server.restart().await;
    let all = at_least(&server, &function, "all", 3).await;
    let due: Vec<_> = all
        .iter()
        .map(|job| job["due_at"].as_str().unwrap()[5..].to_owned())
        .collect();
    assert_eq!(due, ["01-01T00:00:00.000Z"; 3], "{all:?}");
    let once = at_least(&server, &function, "once", 1).await;
    assert_eq!((once.len(), &once[0]["due_at"]), (1, &all[2]["due_at"]));
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert!(jobs(&server, &function, "skip").await.is_empty());
    assert_eq!(jobs(&server, &function, "all").await.len(), 3);
    assert!(server.log().contains("are left out"), "{}", server.log());
}

#[tokio::test]
async fn schedules_are_those_of_the_active_version() {
    let server = Server::start(EACH_SECOND).await;
    let module = ticks(&["one", "two"]);
    let one = "schedule = [{ cron = \"* * * * * *\", export = \"one\" }]";
    let two = "schedule = [{ cron = \"* * * * * *\", export = \"two\" }]";
    let function = server.deploy(module.clone(), one).await;
    at_least(&server, &function, "one", 2).await;
    let names = async || -> Vec<String> {
        let list = schedules(&server, &function).await;
        list.iter()
            .map(|one| one["name"].as_str().unwrap().to_owned())
            .collect()
    };
    // Neither a canary nor an idle version has schedules.
    for query in ["?canary=50", "?idle=true"] {
        let added = server.try_roll_out(&function, query, module.clone(), two);
        assert_eq!(added.await.http, 201, "{query}");
        assert_eq!(names().await, ["one"], "{query}");
    }
    let answer = server
        .try_deploy_version(&function, module.clone(), two)
        .await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    assert_eq!(names().await, ["two"]);
    let before = jobs(&server, &function, "one").await.len();
    at_least(&server, &function, "two", 3).await;
    assert_eq!(jobs(&server, &function, "one").await.len(), before);

    // A rollback brings the old ones back, from now on.
    let place = format!("/v1/functions/{}/active", function.id);
    let wish = serde_json::json!({"version": 1});
    let back = ask(&server, "PUT", &place, &function.admin_key, Some(wish)).await;
    assert_eq!(back.http, 200, "{}", back.text());
    assert_eq!(names().await, ["one"]);
    let all = at_least(&server, &function, "one", before + 2).await;
    assert!(all.len() <= before + 3, "times between were run: {all:?}");

    // Without a declaration there are none; and none is left of a function that is gone.
    let answer = server.try_deploy_version(&function, module, "").await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    assert_eq!(names().await, Vec::<String>::new());
    let wish = serde_json::json!({"version": 1});
    ask(&server, "PUT", &place, &function.admin_key, Some(wish)).await;
    let place = format!("/v1/functions/{}", function.id);
    let gone = ask(&server, "DELETE", &place, &function.admin_key, None).await;
    assert_eq!(gone.http, 204);
    tokio::time::sleep(Duration::from_millis(2100)).await;
    let log = server.log();
    assert!(!log.contains("ERROR"), "{log}");
}

/// A schedule that a deploy leaves as it is goes on without a gap.
#[tokio::test]
async fn deploys_keep_the_times_of_a_schedule_that_stays() {
    let server = Server::start(EACH_SECOND).await;
    let declared = "schedule = [{ cron = \"* * * * * *\", export = \"tick\", missed = \"all\" }]";
    let function = server.deploy(ticks(&["tick"]), declared).await;
    for round in 0..4 {
        at_least(&server, &function, "tick", round + 1).await;
        let answer = server
            .try_deploy_version(&function, ticks(&["tick"]), declared)
            .await;
        assert_eq!(answer.http, 201, "{}", answer.text());
    }
    let all = at_least(&server, &function, "tick", 6).await;
    assert!(steps(&all).iter().all(|step| *step == 1), "{all:?}");
    let versions: BTreeSet<_> = all.iter().map(|job| job["version"].as_i64()).collect();
    assert!(versions.len() > 1, "{all:?}");
}

#[tokio::test]
async fn a_paused_schedule_makes_no_calls_until_it_is_resumed() {
    let server = Server::start(EACH_SECOND).await;
    let declared = "schedule = [{ cron = \"* * * * * *\", export = \"tick\", name = \"each/second\", missed = \"all\" }]";
    let function = server.deploy(ticks(&["tick"]), declared).await;
    at_least(&server, &function, "each/second", 1).await;
    let name = "each%2Fsecond";
    for _ in 0..2 {
        assert_eq!(set(&server, &function, name, "pause").await.http, 204);
    }
    let shown = schedules(&server, &function).await;
    assert_eq!(
        (&shown[0]["paused"], &shown[0]["next"]),
        (&true.into(), &serde_json::json!([]))
    );
    let before = jobs(&server, &function, "each/second").await.len();
    // It stays paused through a deploy and a kill.
    let answer = server
        .try_deploy_version(&function, ticks(&["tick"]), declared)
        .await;
    assert_eq!(answer.http, 201, "{}", answer.text());
    let mut server = server;
    server.kill().await;
    let server = server.restart().await;
    tokio::time::sleep(Duration::from_millis(2500)).await;
    assert_eq!(jobs(&server, &function, "each/second").await.len(), before);
    assert_eq!(set(&server, &function, name, "resume").await.http, 204);
    let all = at_least(&server, &function, "each/second", before + 2).await;
    assert!(
        all.len() <= before + 3,
        "times of the pause were run: {all:?}"
    );

    let missing = set(&server, &function, "nobody", "pause").await;
    assert_eq!(
        (missing.http.as_u16(), missing.fault()),
        (404, "no-such-schedule")
    );
    let path = format!("/v1/functions/{}/schedules/{name}/pause", function.id);
    for key in ["", "iof_nobody"] {
        assert_eq!(ask(&server, "POST", &path, key, None).await.fault(), "key");
    }
    let audit = server
        .read_as(&function, &format!("/v1/audit?function={}", function.id))
        .await;
    let changes = audit["changes"].as_array().unwrap().iter();
    let actions: Vec<_> = changes
        .map(|change| change["action"].as_str().unwrap())
        .collect();
    assert_eq!(
        actions,
        [
            "schedule.resume",
            "version.deploy",
            "schedule.pause",
            "function.create"
        ]
    );
    assert_eq!(audit["changes"][0]["details"]["schedule"], "each/second");
}

#[tokio::test]
async fn schedules_that_cannot_run_are_refused_by_the_name_of_their_field() {
    let server = operated().await;
    let twice = ["{ cron = \"0 0 * * *\", export = \"tick\" }"; 2];
    let named: Vec<_> = (0..11)
        .map(|n| format!("{{ cron = \"0 0 * * *\", export = \"tick\", name = \"n{n}\" }}"))
        .collect();
    let large = format!(
        "{{ cron = \"0 0 * * *\", export = \"tick\", payload = \"{}\" }}",
        "x".repeat(16 << 10)
    );
    let line = |rest: &str| format!("{{ cron = \"0 0 * * *\", export = \"tick\", {rest} }}");
    for (schedule, fault, words) in [
        (
            "{ cron = \"61 * * * *\", export = \"tick\" }".to_owned(),
            "declaration",
            "schedule[0].cron: not a pattern",
        ),
        (
            "{ cron = \"0 0 30 2 *\", export = \"tick\" }".into(),
            "declaration",
            "schedule[0].cron: no such day",
        ),
        (
            "{ cron = \"0 0 * * *\", export = \"\" }".into(),
            "declaration",
            "schedule[0].export: empty",
        ),
        (
            "{ cron = \"0 0 * * *\", export = \"tock\" }".into(),
            "declaration",
            "schedule[0].export: ",
        ),
        ("{ export = \"tick\" }".into(), "declaration", "cron"),
        (
            line("timezone = \"Mars\""),
            "declaration",
            "schedule[0].timezone: not a zone",
        ),
        (line("missed = \"never\""), "declaration", "never"),
        (line("tz = \"UTC\""), "declaration", "tz"),
        (
            line("payload = [2026-12-01]"),
            "declaration",
            "schedule[0].payload: a date",
        ),
        (
            line("name = \"a\\nb\""),
            "declaration",
            "schedule[0].name: ",
        ),
        (
            twice.join(", "),
            "declaration",
            "schedule[1].name: a second",
        ),
        (named.join(", "), "ceiling", "server.schedules = 10"),
        (large, "ceiling", "server.schedule_payload = 16.0 KiB"),
        (
            "{ cron = \"*/30 * * * * *\", export = \"tick\" }".into(),
            "ceiling",
            "server.schedule_interval = 1m",
        ),
    ] {
        let declared = format!("schedule = [{schedule}]");
        let answer = server
            .try_deploy_named("x", KEY, ticks(&["tick"]), &declared)
            .await;
        assert_eq!(answer.fault(), fault, "{schedule}: {}", answer.text());
        assert!(
            answer.text().contains(words),
            "{schedule}: {}",
            answer.text()
        );
    }
    // A component that answers HTTP has no export to call.
    let declared = "schedule = [{ cron = \"0 0 * * *\", export = \"handle\" }]";
    let handler = handler_component("http-handler");
    let answer = server.try_deploy_named("x", KEY, handler, declared).await;
    assert_eq!(answer.fault(), "declaration", "{}", answer.text());
    assert!(
        answer.text().contains("schedule[0].export: "),
        "{}",
        answer.text()
    );
    // All of a pattern: names, steps, lists, the last day, the second Monday.
    let fine = "schedule = [{ cron = \"0 9-17/2 L JAN,JUN MON#2\", timezone = \"America/New_York\", export = \"tick\", payload = [1, \"x\"], missed = \"all\" }]";
    let answer = server
        .try_deploy_named("x", KEY, ticks(&["tick"]), fine)
        .await;
    assert_eq!(answer.http, 201, "{}", answer.text());
}

/// Jobs without room: those of one function hold up no other's.
#[tokio::test]
async fn a_schedule_without_room_for_its_jobs_holds_up_no_other() {
    let config = "[server]\nschedule_interval = \"1s\"\njobs_function_size = \"6KiB\"\n";
    let server = Server::start(config).await;
    let declared = "schedule = [{ cron = \"* * * * * *\", export = \"tick\", missed = \"all\" }]";
    let full = server.deploy(ticks(&["tick"]), declared).await;
    at_least(&server, &full, "tick", 5).await;
    let other = server.deploy(ticks(&["tick"]), declared).await;
    at_least(&server, &other, "tick", 3).await;
    assert_eq!(jobs(&server, &full, "tick").await.len(), 5);
    let logs = format!("/v1/functions/{}/logs", full.id);
    let logs = server.read_as(&full, &logs).await.to_string();
    assert!(logs.contains("jobs-function-size"), "{logs}");
}

#[tokio::test(flavor = "multi_thread")]
async fn people_see_the_next_times_in_two_zones() {
    let server = Server::start("").await;
    let user = User::new(&server.url);
    std::fs::write(user.folder().join("report.wasm"), ticks(&["tick"])).unwrap();
    let declared = "[[schedule]]\ncron = \"30 2 * * *\"\ntimezone = \"Asia/Kolkata\"\nexport = \"tick\"\nname = \"nightly\"\n";
    std::fs::write(user.folder().join("function.toml"), declared).unwrap();
    let types = |line: &[&str]| {
        let output = tokio::task::block_in_place(|| user.run(line, ""));
        assert!(output.status.success(), "{line:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    };
    types(&["deploy", "report.wasm"]);
    let shown = types(&["schedules", "report"]);
    assert!(
        shown
            .contains("nightly: 30 2 * * * in Asia/Kolkata calls tick of version 1, missed = skip"),
        "{shown}"
    );
    assert_eq!(shown.matches(" 02:30:00 +05:30").count(), 5, "{shown}");
    // Half past two in Kolkata is nine in the evening before in UTC; the zone of this machine may be another.
    assert!(
        shown.contains("NEXT IN Asia/Kolkata") && shown.contains("HERE ("),
        "{shown}"
    );
    let json: Value = serde_json::from_str(&types(&["schedules", "report", "--json"])).unwrap();
    let next = json["schedules"][0]["next"].as_array().unwrap();
    assert_eq!(next.len(), 5);
    assert!(
        next.iter()
            .all(|time| time.as_str().unwrap().ends_with("T21:00:00.000Z")),
        "{json}"
    );
    let paused = types(&["schedules", "report", "--pause", "nightly"]);
    assert_eq!(paused, "nightly is paused\n");
    let shown = types(&["schedules", "report"]);
    assert!(shown.ends_with("paused\n"), "{shown}");
    let resumed = ["schedules", "report", "--resume", "nightly", "--json"];
    let resumed: Value = serde_json::from_str(&types(&resumed)).unwrap();
    assert_eq!(resumed["paused"], false);
}

/// While the disk is full, a due schedule is tried less and less often, with fewer lines of the log; with room, it goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_not_tried_each_second() {
    let folder = tempfile::tempdir().unwrap();
    let script = folder.path().join("iof");
    // `$5` is the folder of `--data`.
    let text = format!(
        "#!/bin/sh\nmkdir -p \"$5\"\nexec unshare --map-root-user --mount sh -c \
         'mount -t tmpfs -o size=8m none \"$5\" && exec \"$0\" \"$@\"' {:?} \"$@\"\n",
        program()
    );
    std::fs::write(&script, text).unwrap();
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).unwrap();
    let builder = Server::builder().config(EACH_SECOND).program(&script);
    let server = builder.start().await;
    let declared = "schedule = [{ cron = \"* * * * * *\", export = \"tick\", missed = \"once\" }]";
    let function = server.deploy(ticks(&["tick"]), declared).await;
    at_least(&server, &function, "tick", 1).await;
    // The disk is in a mount namespace of the server.
    let filler = format!(
        "/proc/{}/root{}/filler",
        server.pid(),
        server.data().display()
    );
    let mut file = std::fs::File::create(&filler).unwrap();
    while std::io::Write::write_all(&mut file, &[1; 4096]).is_ok() {}
    let failure = "schedules cannot be read or settled";
    for _ in 0..200 {
        if server.log().contains(failure) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    tokio::time::sleep(Duration::from_secs(8)).await;
    let lines = server.log().matches(failure).count();
    assert!((1..=4).contains(&lines), "{lines}\n{}", server.log());
    let before = jobs(&server, &function, "tick").await.len();
    drop(file);
    std::fs::remove_file(&filler).unwrap();
    at_least(&server, &function, "tick", before + 2).await;
    assert!(server.log().contains("schedules are settled again"));
}
