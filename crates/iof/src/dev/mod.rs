//! `iof dev`: a local server, a rebuild and redeploy whenever a file is saved, and one stream of everything that calls
//! do.
//!
//! Three parts run side by side: the server, as in `iof serve`; the thread that watches and builds; and the stream,
//! which polls the server like any client. Deploys are ordinary deploys, so that what works here works on a server.

mod allow;

use crate::args::{Dev, Remote, Serve};
use crate::build::{once, say};
use crate::client::Client;
use crate::config::Config;
use crate::deploy::{Deployment, Package, Wishes, name_of, put};
use crate::escape::line;
use crate::functions::path;
use crate::profile::{Profile, Profiles};
use crate::{egress, fail, log, logs, print, secret_file, serve};
use http::Method;
use iof_build::{Built, Options, watch};
use serde_json::Value as Json;
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
/// The interval at which the watching thread checks whether anybody still listens.
const LOOK: Duration = Duration::from_millis(300);

/// The result of a build.
type Came = Result<Built, String>;

pub(crate) fn run(dev: Dev) -> ExitCode {
    let dev = match project(&dev.folder) {
        Ok(folder) => Dev { folder, ..dev },
        Err(message) => return fail(2, message),
    };
    let own = match Own::of(&dev) {
        Ok(own) => own,
        Err(message) => return fail(2, message),
    };
    let Own { config, key } = own;
    if let Err(message) = log::start(&config.log) {
        return fail(2, message);
    }
    let runtime = match tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
    {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format!("no runtime: {error}")),
    };
    let (ready, address) = oneshot::channel();
    let ended = runtime.block_on(async {
        tokio::select! {
            // Ends by itself at Ctrl-C, when all calls in progress have ended.
            served = serve::serve(config, |address| { let _ = ready.send(address); }) => served,
            followed = follow(&dev, &key, address) => followed,
        }
    });
    // The watching thread ends by itself; a build in progress ends with its cargo, which Ctrl-C reaches, too.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => fail(1, message),
    }
}

/// The project's folder: the nearest with a Cargo.toml, as `iof build` finds it.
fn project(folder: &Path) -> Result<PathBuf, String> {
    let place = folder.display();
    let absolute = fs::canonicalize(folder).map_err(|error| format!("{place}: {error}"))?;
    let mut above = absolute.ancestors();
    above
        .find(|folder| folder.join("Cargo.toml").is_file())
        .map(Path::to_owned)
        .ok_or_else(|| {
            format!(
                "there is no Cargo.toml in {place}, or above: `iof new NAME` makes a project, and `iof dev FOLDER` takes another one"
            )
        })
}

/// The server's settings and its key.
struct Own {
    config: Config,
    key: String,
}

impl Own {
    /// The data is below the project's target folder, which no other user reads.
    fn of(dev: &Dev) -> Result<Self, String> {
        let folder = dev.folder.join("target/iof-dev");
        fs::create_dir_all(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        let folder = fs::canonicalize(&folder).map_err(|error| error.to_string())?;
        let serve = Serve {
            listen: Some(dev.listen),
            data: Some(folder.join("data")),
            config: dev.config.clone(),
            set: dev.set.clone(),
            ..Serve::default()
        };
        let mut config = Config::resolve(&serve)?;
        config.dev = true;
        for place in &dev.allow {
            allow::host(&mut config, place)?;
        }
        // The stream below shows calls; the log shows only problems.
        if config.log == Config::default().log {
            config.log = "warn".into();
        }
        let (key, _) = secret_file::read_or_make(&folder.join("key"))?;
        let key = key.trim().to_owned();
        config.auth.keys.push(key.clone());
        // A project of an earlier release has it there.
        let file = folder.join("secrets.key");
        let has_none =
            config.secrets.key_file.as_os_str().is_empty() && config.secrets.keys.is_empty();
        if has_none && file.is_file() {
            config.secrets.key_file = file;
        }
        Ok(Self { config, key })
    }
}

/// Deploys each build, and prints events.
async fn follow(
    dev: &Dev,
    key: &str,
    address: oneshot::Receiver<SocketAddr>,
) -> Result<(), String> {
    let Ok(address) = address.await else {
        // The server says why.
        return std::future::pending().await;
    };
    let remote = Remote {
        server: Some(format!("http://{address}")),
        key: Some(key.to_owned()),
        ..Remote::default()
    };
    let client = Client::new(&remote)?;
    if let Err(why) = keep_profile(&client, key).await {
        complain(&format!("--dev does not lead here: {why}"), None);
    }
    // The version that stays active if a build or a deploy fails.
    let mut runs: Option<String> = None;
    let mut builds = builder(dev);
    // The tasks end with this future.
    let mut streams = JoinSet::new();
    loop {
        let Some((came, since)) = builds.recv().await else {
            return Err("the folder is gone".into());
        };
        let built = match came {
            Ok(built) => built,
            Err(message) => {
                complain(&message, runs.as_deref());
                continue;
            }
        };
        let deployed = match deploy(&client, &built).await {
            Ok(deployed) => deployed.answer,
            Err(message) => {
                complain(&message, runs.as_deref());
                continue;
            }
        };
        runs = Some(format!("version {}", deployed["version"]));
        let name = name_of(&deployed);
        print(&format!(
            "{name} version {} runs, {} after it was built\n",
            deployed["version"],
            milliseconds(since.elapsed())
        ));
        for secret in crate::output::texts(&deployed, "secrets_not_set") {
            print(&format!(
                "  {secret} is not set: iof secret set {name} {secret} --dev\n"
            ));
        }
        if streams.is_empty() {
            print(&format!(
                "  call it   http://{address}/v1/functions/{name}/try\n  or        iof call {name} … --dev\n"
            ));
            streams.spawn(calls(remote.clone(), name.clone()));
            streams.spawn(sent(remote.clone(), name));
        }
    }
}

/// Stores the server and its key as the profile of `--dev`, so that other commands of this user need neither.
async fn keep_profile(client: &Client, key: &str) -> Result<(), String> {
    let about = client.about().await?;
    let profile = Profile {
        server: client.origin().to_owned(),
        id: about["id"].as_str().map(str::to_owned),
        key: Some(key.to_owned()),
        cacert: None,
    };
    Profiles::change(|profiles| {
        profiles.dev = Some(profile);
        Ok(())
    })
    .map(drop)
}

/// Builds now and whenever a file changes, in a separate thread.
fn builder(dev: &Dev) -> mpsc::Receiver<(Came, Instant)> {
    let (tell, told) = mpsc::channel(1);
    let options = Options {
        package: dev.package.clone(),
        ..Options::default()
    };
    let folder = dev.folder.clone();
    tokio::task::spawn_blocking(move || {
        loop {
            let built = once(&folder, &options);
            let folders = match &built {
                Ok(built) => built.folders.clone(),
                Err(_) => vec![folder.clone()],
            };
            // Taken before the build, so that a file that is saved while it is read is not missed.
            let watched = watch(&folders);
            if tell.blocking_send((built, Instant::now())).is_err() {
                return;
            }
            let Ok(mut watched) = watched else { return };
            loop {
                match watched.next_within(LOOK) {
                    Ok(None) if tell.is_closed() => return,
                    Ok(None) => {}
                    Ok(Some(changed)) => {
                        say(&format!("changed: {}", list(&changed)));
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

async fn deploy(client: &Client, built: &Built) -> Result<Deployment, String> {
    let module = tokio::fs::read(&built.module)
        .await
        .map_err(|error| format!("{}: {error}", built.module.display()))?;
    let declaration = built
        .declaration
        .as_ref()
        .map(fs::read_to_string)
        .transpose();
    let package = Package {
        module,
        declaration: declaration.map_err(|error| format!("function.toml: {error}"))?,
        name: built.package.clone(),
    };
    put(client, package, &Wishes::default()).await
}

/// Prints each call.
async fn calls(remote: Remote, name: String) {
    let path = format!("{}/logs", path(&name));
    stream(remote, &format!("{path}?limit=1"), &path, "", |answer| {
        (logs::of(answer), Box::new(|row: &Json| logs::line(row)))
    })
    .await;
}

/// Prints each outbound request, and the line that would allow a refused one.
async fn sent(remote: Remote, name: String) {
    let filter = format!("&function={name}");
    stream(
        remote,
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

type Lines = (Vec<Json>, Box<dyn Fn(&Json) -> String + Send>);

/// Polls for new rows, again and again. Earlier rows are not shown.
async fn stream(
    remote: Remote,
    first: &str,
    path: &str,
    filter: &str,
    read: impl Fn(Json) -> Lines,
) {
    let Ok(client) = Client::new(&remote) else {
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
            print(&line(row));
        }
        last = newest(&rows).unwrap_or(last);
    }
}

/// The line of function.toml that would allow the request.
fn hint(row: &Json) -> String {
    let text = |field: &str| line(row[field].as_str().unwrap_or_default());
    match &*text("outcome") {
        "egress-denied" if !text("host").is_empty() => {
            format!(
                "    to let it: outbound = [\"{} {}\"] in function.toml\n",
                text("method"),
                text("host")
            )
        }
        // Both lines at once: the next refusal would be of the rule.
        "not-granted" if text("command") == "http_proxy" => {
            "    to let it: commands = [\"http_proxy\"] and outbound = [\"GET https://HOST\"], for where it goes, in function.toml\n".to_owned()
        }
        "not-granted" => format!(
            "    to let it: commands = [\"{}\"] in function.toml\n",
            text("command")
        ),
        _ => String::new(),
    }
}

fn complain(message: &str, runs: Option<&str>) {
    fail(1, format!("{message}{}", allow::hint(message)));
    if let Some(runs) = runs {
        say(&format!("{runs} runs on"));
    }
}

fn milliseconds(time: Duration) -> String {
    format!("{} ms", time.as_millis())
}
