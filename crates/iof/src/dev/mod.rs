//! `iof dev`: a local server, a rebuild and redeploy whenever a file is saved, and one stream of all calls and outbound
//! requests.
//!
//! Three parts run side by side: the server, as in `iof serve`; the thread that watches and builds; and the stream,
//! which polls the server like any client. Deploys are ordinary deploys, so that what works here works on a server.

use crate::args::{Dev, Remote};
use crate::build::{functions, once, say};
use crate::client::Client;
use crate::deploy::{DeployOptions, name_of, package_of, put};
use crate::embedded::{self, Embedded, ServerOptions};
use crate::escape::line;
use crate::functions::path;
use crate::profile::{DEV, DEV_SERVER, Profile, Profiles};
use crate::{egress, fail, log, logs, print};
use http::Method;
use iof_build::{Built, Options, watch};
use serde_json::Value as Json;
use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// The seconds for which the server holds a poll open until there is news.
const WAIT: u32 = 30;
/// The pause after a failed poll.
const PAUSE: Duration = Duration::from_millis(500);
/// The interval at which the watching thread checks whether the receiver still exists.
const LOOK: Duration = Duration::from_millis(300);

/// A build of one function, sent by the building thread.
struct Build {
    /// The name of the package.
    package: String,
    built: Result<Built, String>,
    ended: Instant,
}

pub(crate) fn run(dev: Dev) -> ExitCode {
    let dev = match project(&dev.folder) {
        Ok(folder) => Dev { folder, ..dev },
        Err(message) => return fail(2, message),
    };
    // The data is below the project's target folder, which nothing else reads.
    let own = Embedded::new(&ServerOptions {
        listen: dev.listen,
        folder: &dev.folder.join(DEV),
        config: dev.config.as_ref(),
        set: &dev.set,
        allow: &dev.allow,
    });
    let Embedded { config, key } = match own {
        Ok(own) => own,
        Err(message) => return fail(2, message),
    };
    let packages = match functions(&dev.folder, dev.package.as_deref()) {
        Ok(packages) => packages,
        Err(message) => return fail(1, message),
    };
    if let Err(message) = log::start(&config.log, config.log_format) {
        return fail(2, message);
    }
    let ended = embedded::run(config, |address| follow(&dev, packages, &key, address));
    // The file exists only while the server runs, because other commands use it to find the server.
    let _ = fs::remove_file(dev.folder.join(DEV).join(DEV_SERVER));
    match ended {
        Ok(_) => ExitCode::SUCCESS,
        Err(message) => fail(1, message),
    }
}

/// The project's folder, as `iof build` finds it.
pub(crate) fn project(folder: &Path) -> Result<PathBuf, String> {
    iof_build::project_folder(folder).map_err(|error| error.to_string())
}

/// Deploys each build, and prints calls and requests.
async fn follow(
    dev: &Dev,
    packages: Vec<String>,
    key: &str,
    address: oneshot::Receiver<SocketAddr>,
) -> Result<(), String> {
    let Ok(address) = address.await else {
        // The server itself reports the reason.
        return std::future::pending().await;
    };
    let remote = embedded::remote(key, address);
    let client = Client::new(&remote)?;
    if let Err(why) = keep_profile(&client, key, &dev.folder).await {
        complain(&format!("--dev does not lead here: {why}"), None);
    }
    let several = packages.len() > 1;
    // The active version of each package, for the message of a failed build or deploy.
    let mut runs: BTreeMap<String, String> = BTreeMap::new();
    // The notes on each declaration that were already printed.
    let mut noted: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut builds = builder(dev, packages);
    // The streams end with this future.
    let mut streams = JoinSet::new();
    loop {
        let Some(build) = builds.recv().await else {
            return Err("the folder is gone".into());
        };
        let mut is_http = false;
        let deployed = match build.built {
            Ok(built) => match package_of(&built).await {
                Ok(package) => {
                    is_http = built.summary.answers_http();
                    let notes = package.notes(&dev.allow);
                    if noted.get(&build.package) != Some(&notes) {
                        let lines = notes.iter().map(|note| format!("note: {note}"));
                        lines.for_each(|line| say(&line));
                        noted.insert(build.package.clone(), notes);
                    }
                    put(&client, package, &DeployOptions::default()).await
                }
                Err(message) => Err(message),
            },
            Err(message) => Err(message),
        };
        let deployed = match deployed {
            Ok(deployed) => deployed.answer,
            Err(message) => {
                complain(&message, runs.get(&build.package).map(String::as_str));
                continue;
            }
        };
        let name = name_of(&deployed);
        let version = format!("{name} version {}", deployed["version"]);
        print(&format!(
            "{version} runs, {} after it was built\n",
            milliseconds(build.ended.elapsed())
        ));
        for secret in crate::output::texts(&deployed, "secrets_not_set") {
            print(&format!(
                "  {secret} is not set: iof secret set {name} {secret} --dev\n"
            ));
        }
        if runs.insert(build.package, version).is_none() {
            print(&match is_http {
                true => format!("  call it   http://{address}/fn/{name}/\n"),
                false => format!(
                    "  call it   http://{address}/v1/functions/{name}/try\n  or        iof call {name} … --dev\n"
                ),
            });
            let stream = Stream {
                remote: remote.clone(),
                // The prefix names the function, if there are several.
                prefix: if several {
                    format!("{name}  ")
                } else {
                    String::new()
                },
                name,
            };
            streams.spawn(stream.clone().calls());
            streams.spawn(stream.sent());
        }
    }
}

/// Stores the server and its key as the profile of `--dev`, so that other commands of this user need neither; and its
/// address in the project, so that `--dev` finds it there even if other servers of `iof dev` run.
async fn keep_profile(client: &Client, key: &str, project: &Path) -> Result<(), String> {
    let about = client.about().await?;
    let profile = Profile {
        server: client.origin().to_owned(),
        id: about["id"].as_str().map(str::to_owned),
        key: Some(key.to_owned()),
        cacert: None,
    };
    if let Some(id) = &profile.id {
        let file = project.join(DEV).join(DEV_SERVER);
        let lines = format!("{}\n{id}\n", profile.server);
        let written = tokio::fs::write(&file, lines).await;
        written.map_err(|error| format!("{}: {error}", file.display()))?;
    }
    Profiles::change(|profiles| {
        profiles.dev = Some(profile);
        Ok(())
    })
    .map(drop)
}

/// Builds at once and whenever a file changes, in a separate thread; a change rebuilds only the packages of the file.
fn builder(dev: &Dev, packages: Vec<String>) -> mpsc::Receiver<Build> {
    let (tell, told) = mpsc::channel(1);
    let folder = dev.folder.clone();
    tokio::task::spawn_blocking(move || {
        // The folders of each package; the project's folder for a package that was not built yet.
        let mut folders: BTreeMap<String, Vec<PathBuf>> = packages
            .into_iter()
            .map(|package| (package, vec![folder.clone()]))
            .collect();
        let mut due: Vec<String> = folders.keys().cloned().collect();
        loop {
            let mut builds = vec![];
            for package in std::mem::take(&mut due) {
                let options = Options {
                    package: Some(package.clone()),
                    // A deploy waits for wasm-opt; saving a file should not.
                    optimise: false,
                    ..Options::default()
                };
                let built = once(&folder, &options);
                if let Ok(built) = &built {
                    // Changes are reported by canonical paths.
                    let of = built.folders.iter().map(fs::canonicalize);
                    folders.insert(package.clone(), of.filter_map(Result::ok).collect());
                }
                builds.push(Build {
                    package,
                    built,
                    ended: Instant::now(),
                });
            }
            // Watching begins before the build is sent, so that a file that is saved meanwhile is not missed.
            let watched: Vec<&PathBuf> = folders.values().flatten().collect();
            let watched = watch(&watched);
            for build in builds {
                if tell.blocking_send(build).is_err() {
                    return;
                }
            }
            let Ok(mut watched) = watched else { return };
            loop {
                match watched.next_within(LOOK) {
                    Ok(None) if tell.is_closed() => return,
                    Ok(None) => {}
                    Ok(Some(changed)) => {
                        say(&format!("changed: {}", list(&changed)));
                        let is_of = |folders: &[PathBuf]| {
                            let mut paths = changed.iter();
                            paths.any(|path| folders.iter().any(|of| path.starts_with(of)))
                        };
                        let packages = folders.iter().filter(|(_, of)| is_of(of));
                        due = packages.map(|(package, _)| package.clone()).collect();
                        if due.is_empty() {
                            // An event was missed, or has a path of no package.
                            due = folders.keys().cloned().collect();
                        }
                        break;
                    }
                    Err(_) => return,
                }
            }
        }
    });
    told
}

fn list(changed: &[PathBuf]) -> String {
    // Editors and compilers write temporary files.
    let there = changed.iter().filter(|path| path.exists());
    let names = there.filter_map(|path| path.file_name());
    let names: Vec<_> = names.map(|name| name.to_string_lossy()).collect();
    match names.as_slice() {
        [] => "files".to_owned(),
        few if few.len() <= 3 => few.join(", "),
        many => format!("{} files", many.len()),
    }
}

/// A stream of one function's new rows, by polling.
#[derive(Clone)]
struct Stream {
    remote: Remote,
    name: String,
    /// The prefix of each line.
    prefix: String,
}

impl Stream {
    /// Prints each call.
    async fn calls(self) {
        let path = format!("{}/logs", path(&self.name));
        self.follow(&format!("{path}?limit=1"), &path, "", |answer| {
            let dev = Remote {
                dev: true,
                ..Remote::default()
            };
            let line = move |row: &Json| logs::line(row, &dev);
            (logs::of(answer), Box::new(line))
        })
        .await;
    }

    /// Prints each outbound request, with a hint for a refused one.
    async fn sent(self) {
        let filter = format!("&function={}", self.name);
        self.follow(
            &format!("/v1/egress?limit=1{filter}"),
            "/v1/egress",
            &filter,
            |answer| {
                let rows = egress::sent(answer).unwrap_or_default();
                (rows, Box::new(|row: &Json| egress::line(row) + &hint(row)))
            },
        )
        .await;
    }

    /// Polls for new rows. Earlier rows are not shown.
    async fn follow(&self, first: &str, path: &str, filter: &str, read: impl Fn(Json) -> Lines) {
        let Ok(client) = Client::new(&self.remote) else {
            return;
        };
        let newest = |rows: &[Json]| rows.iter().filter_map(|row| row["id"].as_i64()).max();
        let mut last = match client.ask(Method::GET, first, "").await {
            Ok(answer) => newest(&read(answer).0).unwrap_or(0),
            Err(_) => 0,
        };
        loop {
            let next = format!("{path}?after={last}&wait={WAIT}&limit=1000{filter}");
            let Ok(answer) = client.ask(Method::GET, &next, "").await else {
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            let (rows, line) = read(answer);
            for row in &rows {
                print(&format!("{}{}", self.prefix, line(row)));
            }
            last = newest(&rows).unwrap_or(last);
        }
    }
}

type Lines = (Vec<Json>, Box<dyn Fn(&Json) -> String + Send>);

/// The line of function.toml that would allow a refused request.
fn hint(row: &Json) -> String {
    let text = |field: &str| line(row[field].as_str().unwrap_or_default());
    match &*text("outcome") {
        "egress-denied" if !text("host").is_empty() => {
            format!(
                "    to allow it: outbound = [\"{} {}\"] in function.toml\n",
                text("method"),
                text("host")
            )
        }
        // The hint has both lines, because the missing rule would be the next refusal.
        "not-granted" if text("command") == "http_proxy" => {
            "    to allow it: commands = [\"http_proxy\"] and outbound = [\"GET https://HOST\"], with the host of the request, in function.toml\n".to_owned()
        }
        "not-granted" => format!(
            "    to allow it: commands = [\"{}\"] in function.toml\n",
            text("command")
        ),
        _ => String::new(),
    }
}

fn complain(message: &str, runs: Option<&str>) {
    fail(1, format!("{message}{}", embedded::hint(message)));
    if let Some(runs) = runs {
        say(&format!("{runs} still runs"));
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_hint_has_command_and_rule_at_once() {
        let hint = |row: Json| hint(&row);
        let said = hint(json!({ "outcome": "not-granted", "command": "http_proxy" }));
        assert!(
            said.contains("commands = [\"http_proxy\"]") && said.contains("outbound = ["),
            "{said}"
        );
        let said = hint(json!({ "outcome": "not-granted", "command": "thumbnail" }));
        assert!(
            said.contains("commands = [\"thumbnail\"]") && !said.contains("outbound"),
            "{said}"
        );
        let row = json!({ "outcome": "egress-denied", "method": "GET", "host": "https://a.test" });
        assert!(hint(row).contains("outbound = [\"GET https://a.test\"]"));
        assert_eq!(hint(json!({ "outcome": "ok" })), "");
    }
}
