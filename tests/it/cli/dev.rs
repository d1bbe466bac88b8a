//! `iof dev`, as the author of a function uses it: from an empty folder to a call, an edit, a refusal, a mistake,
//! Ctrl-C.

use iof_tests::{guests, server::program};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// The time limit of a first build, which compiles the dependencies of functions.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) struct Author {
    pub(crate) folder: PathBuf,
    pub(crate) home: tempfile::TempDir,
}

impl Author {
    pub(crate) fn new(test: &str) -> Self {
        let folder = guests::built("tmp/dev").join(test);
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join(".cargo")).unwrap();
        // A workspace in the parent folder, as many have: a project must not depend on it.
        fs::write(folder.join("Cargo.toml"), "[workspace]\nmembers = []\n").unwrap();
        // The dependencies of all projects are compiled once.
        let shared = guests::built("guests");
        let config = format!("[build]\ntarget-dir = {shared:?}\n");
        fs::write(folder.join(".cargo/config.toml"), config).unwrap();
        Self {
            folder,
            home: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn iof(&self, folder: &Path, args: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(args).current_dir(folder).stdin(Stdio::null());
        for name in ["CARGO_TARGET_DIR", "CARGO_ENCODED_RUSTFLAGS", "RUSTFLAGS"] {
            command.env_remove(name);
        }
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("IOF_")) {
            command.env_remove(name);
        }
        // Cargo's own home stays, with the crates that it has fetched.
        command.env("XDG_CONFIG_HOME", self.home.path());
        command
    }

    pub(crate) fn says(&self, folder: &Path, args: &[&str]) -> String {
        let output = self.iof(folder, args).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
}

/// A running `iof dev` and its output.
pub(crate) struct Running {
    child: Child,
    lines: Receiver<String>,
    pub(crate) seen: String,
}

impl Running {
    pub(crate) fn start(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let (tell, lines) = channel();
        let streams: [Box<dyn Read + Send>; 2] = [
            Box::new(child.stdout.take().unwrap()),
            Box::new(child.stderr.take().unwrap()),
        ];
        for stream in streams {
            let tell = tell.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    let _ = tell.send(line);
                }
            });
        }
        Self {
            child,
            lines,
            seen: String::new(),
        }
    }

    /// The next line that contains these words.
    pub(crate) fn line(&mut self, words: &str) -> String {
        let until = Instant::now() + PATIENCE;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no line has {words:?}:\n{}", self.seen)
            };
            self.seen += &format!("{line}\n");
            if line.contains(words) {
                return line;
            }
        }
    }

    pub(crate) fn interrupt(&mut self) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::INT).unwrap();
        let until = Instant::now() + Duration::from_secs(30);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end:\n{}", self.seen)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The number of drafts among the artefacts below a folder.
fn drafts(folder: &Path) -> usize {
    let (mut open, mut all, mut drafts) = (vec![folder.to_owned()], 0, 0);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if let Ok(bytes) = fs::read(&path) {
                const DRAFT: &[u8] = b"\"draft\":true";
                all += 1;
                drafts += usize::from(bytes.windows(DRAFT.len()).any(|part| part == DRAFT));
            }
        }
    }
    assert!(all > 0, "no artefact");
    drafts
}

#[test]
fn from_nothing_to_a_call_an_edit_a_refusal_and_the_end() {
    let author = Author::new("story");
    let created = author.says(
        &author.folder,
        &["new", "look-up", "--template", "rust-request"],
    );
    assert!(created.contains("iof dev"), "{created}");
    let project = author.folder.join("look-up");
    // Its rule is left out, so its request is refused, with the line that allows it.
    fs::write(
        project.join("function.toml"),
        "commands = [\"http_proxy\"]\n",
    )
    .unwrap();
    let mut dev = Running::start(author.iof(&project, &["dev", "--listen", "127.0.0.1:0"]));
    dev.line("look-up version 1 runs");
    let page = dev.line("call it");
    let page = page.split_whitespace().last().unwrap().to_owned();
    let server = page.split("/v1/").next().unwrap().to_owned();
    let call = |words: &[&str]| {
        author.says(
            &project,
            &[&["call", "look-up"], words, &["--server", &server]].concat(),
        )
    };

    let refused = call(&["look_up", "tea"]);
    assert!(refused.contains("[function:http-denied, call"), "{refused}");
    dev.line("egress-denied");
    let hint = dev.line("to allow it:");
    assert!(hint.contains("outbound = [\"GET https://"), "{hint}");

    let source = project.join("src/lib.rs");
    let edited = "/// Greets.\n#[iof::function]\nfn look_up(topic: &str) -> String {\n    eprintln!(\"asked\");\n    assert!(topic != \"nothing\", \"a place in its source\");\n    format!(\"{topic}!\")\n}\n";
    fs::write(&source, edited).unwrap();
    let swapped = dev.line("look-up version 2 runs");
    let took: u64 = swapped
        .split_whitespace()
        .rev()
        .nth(5)
        .and_then(|ms| ms.parse().ok())
        .unwrap_or_else(|| panic!("{swapped}"));
    assert!(took < 5_000, "{swapped}");
    assert_eq!(call(&["look_up", "tea"]), "tea!");
    dev.line("look_up v2  ok");
    dev.line("| asked");
    // The caller is the developer, so the output before the trap is shown without a key.
    let trapped = Command::new("curl")
        .args(["-sS", "-H", "content-type: application/json", "-d"])
        .args([
            "{\"topic\": \"nothing\"}",
            &format!("{server}/v1/functions/look-up/call/look_up"),
        ])
        .output()
        .unwrap();
    let trapped = String::from_utf8_lossy(&trapped.stdout).into_owned();
    assert!(
        trapped.contains("It printed: ") && trapped.contains("a place in its source"),
        "{trapped}"
    );
    // Other commands need no key for the functions of `iof dev`.
    let logs = author.says(&project, &["logs", "look-up", "--server", &server]);
    assert!(logs.contains("| asked"), "{logs}");
    let logs = author.says(&project, &["logs", "look-up", "--dev"]);
    assert!(logs.contains("| asked"), "{logs}");
    let identity = author.says(&project, &["whoami", "--dev"]);
    assert!(
        identity.contains("(iof dev)") && identity.contains("everything"),
        "{identity}"
    );
    // Refused calls are in the stream as well.
    let refused = author.says(
        &project,
        &["call", "look-up", "look_up", "-d", "{\"word\": 1}", "--dev"],
    );
    assert!(refused.contains("[arguments"), "{refused}");
    dev.line("look_up  refused: arguments");
    // Without the file of profiles, each error has a next step that works.
    let profiles = author.home.path().join("iof/profiles.toml");
    let stored = fs::read(&profiles).unwrap();
    fs::remove_file(&profiles).unwrap();
    let lost = author.says(&project, &["list", "--server", &server]);
    assert!(
        lost.contains("--key \"$(cat target/iof-dev/key)\"") && !lost.contains("--dev"),
        "{lost}"
    );
    let key = fs::read_to_string(project.join("target/iof-dev/key")).unwrap();
    let found = author.says(
        &project,
        &["list", "--server", &server, "--key", key.trim()],
    );
    assert!(found.contains("look-up"), "{found}");
    fs::write(&profiles, stored).unwrap();
    // A deploy to it needs an explicit option.
    let deploy = [
        "deploy",
        "pkg/look_up.wasm",
        "--name",
        "other",
        "--server",
        &server,
    ];
    let refused = author.says(&project, &deploy);
    assert!(
        refused.contains("is the server of `iof dev`") && refused.contains("--dev"),
        "{refused}"
    );

    fs::write(&source, "fn look_up( {").unwrap();
    dev.line("error");
    dev.line("ended with exit status");
    dev.line("version 2 still runs");
    assert_eq!(
        call(&["look_up", "still"]),
        "still!",
        "the last build still runs"
    );
    // Editors and `sed -i` save by replacing the file with another one.
    let beside = project.join("src/sedkzYutv");
    fs::write(&beside, edited.replace("{topic}!", "{topic}?")).unwrap();
    fs::rename(&beside, &source).unwrap();
    assert_eq!(dev.line("changed: "), "changed: lib.rs");
    dev.line("look-up version 3 runs");
    assert_eq!(call(&["look_up", "tea"]), "tea?");

    // A draft is compiled in full in the background, and the function still works.
    let until = Instant::now() + PATIENCE;
    let artefacts = project.join("target/iof-dev/data/objects/artefact");
    while drafts(&artefacts) > 0 {
        assert!(Instant::now() < until, "a draft is left");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(call(&["look_up", "tea"]), "tea?");

    assert_eq!(dev.interrupt(), Some(0), "{}", dev.seen);
    let unreachable = call(&["look_up", "tea"]);
    assert!(
        unreachable.contains("Is the server running there?"),
        "{unreachable}"
    );
    let left: Vec<_> = fs::read_dir(&project)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.to_string_lossy().starts_with(".tmp")),
        "{left:?}"
    );
}

/// A server, `iof dev` at its address, and the server again: each has its own keys.
#[test]
fn dev_takes_no_key_of_a_server_at_its_address() {
    let author = Author::new("turns");
    author.says(&author.folder, &["new", "greet"]);
    let project = author.folder.join("greet");
    let module = guests::path("hello");
    let data = author.home.path().join("data");
    let serve = |listen: &str| {
        let args = [
            "serve",
            "--listen",
            listen,
            "--data",
            data.to_str().unwrap(),
        ];
        let mut server = Running::start(author.iof(&author.folder, &args));
        let url = server.line("listening on");
        (server, url.split_whitespace().last().unwrap().to_owned())
    };
    let (mut server, url) = serve("127.0.0.1:0");
    let address = url.trim_start_matches("http://").to_owned();
    let module = module.to_str().unwrap();
    let deploy = ["deploy", module, "--name", "greet", "--server", &url];
    let output = author.says(&project, &deploy);
    assert!(output.contains("greet version 1"), "{output}");
    assert_eq!(server.interrupt(), Some(0), "{}", server.seen);

    let mut dev = Running::start(author.iof(&project, &["dev", "--listen", &address]));
    dev.line("greet version 1 runs");
    dev.line("call it");
    let output = author.says(&project, &["logs", "greet", "--server", &url]);
    assert!(!output.contains("admin key"), "{output}");
    assert_eq!(dev.interrupt(), Some(0), "{}", dev.seen);

    let (mut server, _) = serve(&address);
    for (line, words) in [
        (&deploy[..], "greet version 2"),
        (&["secret", "list", "greet", "--server", &url], "no secrets"),
        (
            &["rm", "greet", "--yes", "--server", &url],
            "greet is deleted",
        ),
    ] {
        let output = author.says(&project, line);
        assert!(output.contains(words), "{output}");
    }
    assert_eq!(server.interrupt(), Some(0), "{}", server.seen);
    // `iof dev` has its own keys again, too.
    let mut dev = Running::start(author.iof(&project, &["dev", "--listen", &address]));
    dev.line("greet version 2 runs");
    let output = author.says(&project, &["secret", "list", "greet", "--dev"]);
    assert!(output.contains("no secrets"), "{output}");
    assert_eq!(dev.interrupt(), Some(0), "{}", dev.seen);
}

#[test]
fn invalid_projects_are_named() {
    let author = Author::new("nothing");
    for (args, words) in [
        (&["dev", "missing"][..], "missing"),
        (&["dev", "--listen", "nowhere"], "--listen"),
        (
            &[
                "dev",
                "--set",
                "limits.memry=1GiB",
                "--listen",
                "127.0.0.1:0",
            ],
            "limits.memory",
        ),
        (&["build", "missing"], "missing"),
        (&["new", "hello", "--template", "perl"], "rust-json"),
        (&["new", "Hello"], "`Hello` cannot be the name"),
        (&["new"], "<NAME>"),
    ] {
        let output = author.iof(&author.folder, args).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            !output.status.success() && errors.contains(words),
            "{args:?}: {errors}"
        );
    }
}
