//! The image of deploy/Containerfile: its root is laid out by the file's instructions, and the program runs in it, by
//! chroot.
//!
//! The root is read-only, as runtimes can have it, but for the volume and `/tmp`.
//!
//! The base image is not fetched. In its place are this machine's libraries that the program needs (the test of
//! releases checks that these are glibc and libgcc), the user `nonroot`, and the mounts of every runtime (`/proc`,
//! `/dev`, `/etc/resolv.conf`).

use iof_tests::{
    guests::{root, wat},
    server::program,
};
use std::{
    fs,
    os::unix::fs::{PermissionsExt as _, chown},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

/// `nonroot` of the base (distroless).
const NONROOT: u32 = 65532;
const KEY: &str = "a key of the operator's";

/// The instructions of the file, without comments.
fn instructions() -> Vec<(String, String)> {
    let file = fs::read_to_string(root().join("deploy/Containerfile")).unwrap();
    let lines = file.lines().filter(|line| !line.starts_with('#'));
    lines
        .filter_map(|line| line.split_once(' '))
        .map(|(word, rest)| (word.to_owned(), rest.trim().to_owned()))
        .collect()
}

/// The arguments of an instruction in JSON form.
fn words(of: &str) -> Vec<String> {
    let all = instructions();
    let (_, list) = all.iter().find(|(word, _)| word == of).unwrap();
    serde_json::from_str(list).unwrap()
}

/// The words of the health check.
fn health() -> Vec<String> {
    let all = instructions();
    let (_, line) = all.iter().find(|(word, _)| word == "HEALTHCHECK").unwrap();
    let (_, list) = line.split_once(" CMD ").unwrap();
    serde_json::from_str(list).unwrap()
}

/// A path of the image, below the folder of its root.
fn within(image: &Path, path: &str) -> PathBuf {
    image.join(path.trim_start_matches('/'))
}

fn put(from: &Path, to: &Path) {
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, to).unwrap_or_else(|error| panic!("{}: {error}", from.display()));
}

/// Runs `COPY`, with the owner and the mode that it names.
fn copy(image: &Path, rest: &str) {
    let (mut owner, mut mode, mut paths) = (0, None, vec![]);
    for word in rest.split_whitespace() {
        match word.split_once('=') {
            Some(("--chmod", octal)) => mode = Some(u32::from_str_radix(octal, 8).unwrap()),
            Some(("--chown", "nonroot:nonroot")) => owner = NONROOT,
            Some(_) => panic!("COPY {rest}: what is {word}?"),
            None => paths.push(word),
        }
    }
    let [from, to] = paths[..] else {
        panic!("COPY {rest}")
    };
    let to = within(image, to);
    match from.strip_prefix("${RELEASE}/") {
        Some("iof") => put(&program(), &to),
        Some(other) => panic!("COPY {rest}: a release has no {other} here"),
        None => {
            assert!(root().join(from).is_dir(), "COPY {rest}");
            fs::create_dir_all(&to).unwrap();
        }
    }
    chown(&to, Some(owner), Some(owner)).unwrap();
    if let Some(mode) = mode {
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).unwrap();
    }
}

/// The root of the image.
async fn image(folder: &Path) -> PathBuf {
    let image = folder.join("image");
    let needed = Command::new("ldd").arg(program()).output().await.unwrap();
    let needed = String::from_utf8(needed.stdout).unwrap();
    let paths = needed
        .split_whitespace()
        .filter(|word| word.starts_with('/'));
    for library in paths {
        put(Path::new(library), &within(&image, library));
    }
    put(
        Path::new("/etc/resolv.conf"),
        &within(&image, "/etc/resolv.conf"),
    );
    for folder in ["proc", "dev", "tmp"] {
        fs::create_dir_all(image.join(folder)).unwrap();
    }
    fs::set_permissions(image.join("tmp"), fs::Permissions::from_mode(0o1777)).unwrap();
    for (word, rest) in instructions() {
        if word == "COPY" {
            copy(&image, &rest);
        }
    }
    // The temporary folder is private to this user.
    fs::set_permissions(folder, fs::Permissions::from_mode(0o755)).unwrap();
    fs::set_permissions(&image, fs::Permissions::from_mode(0o755)).unwrap();
    image
}

/// Starts the program in the image, as its user.
fn start(image: &Path, args: &[String]) -> Child {
    let all = instructions();
    let of = |name: &str| all.iter().find(|(word, _)| word == name).unwrap().1.clone();
    assert!(of("FROM").ends_with(":nonroot"), "{all:?}");
    // The volume is mounted beside the root, so that it stays writable and is the test's, too.
    let line = "mount --bind \"$0\" \"$0\" && mount -t proc proc \"$0/proc\" && mount --rbind /dev \"$0/dev\" && \
                mount --bind \"$0/var/lib/iof\" \"$0/var/lib/iof\" && mount -t tmpfs -o mode=1777 tmpfs \"$0/tmp\" && \
                mount -o remount,bind,ro \"$0\" && user=$1 && shift && exec chroot --userspec=\"$user\" \"$0\" \"$@\"";
    Command::new("unshare")
        .args(["-m", "sh", "-c", line])
        .arg(image)
        .arg(format!("{NONROOT}:{NONROOT}"))
        .args(words("ENTRYPOINT"))
        .args(args)
        .current_dir(within(image, &of("WORKDIR")))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("IOF_AUTH_KEYS", KEY)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap()
}

/// Returns true if this user may mount and change roots.
async fn may_chroot() -> bool {
    let tried = Command::new("unshare")
        .args(["-m", "chroot", "--userspec=65534:65534", "/", "true"])
        .output()
        .await;
    tried.is_ok_and(|tried| tried.status.success())
}

#[tokio::test]
async fn the_image_of_the_container_file_serves() {
    if !may_chroot().await {
        eprintln!("this user may not change roots, so the image is not tried");
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let image = image(folder.path()).await;
    let output = start(&image, &["--version".into()]);
    let output = output.wait_with_output().await.unwrap();
    let version = format!("iof {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        version,
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );

    // On a free port in place of the file's.
    let args = words("CMD").into_iter();
    let args: Vec<_> = args.map(|word| word.replace(":8080", ":0")).collect();
    let mut child = start(&image, &args);
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut line = String::new();
    let read = timeout(Duration::from_secs(60), stdout.read_line(&mut line)).await;
    read.unwrap().unwrap();
    let Some(port) = line
        .trim()
        .rsplit_once(':')
        .filter(|_| line.starts_with("listening on "))
    else {
        let output = child.wait_with_output().await.unwrap();
        panic!("{line}{}", String::from_utf8_lossy(&output.stderr))
    };
    let url = format!("http://127.0.0.1:{}", port.1);
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let module = wat("(module (func (export \"which\") (result i32) (i32.const 7)))");
    let deploy = client
        .post(format!("{url}/v1/functions?name=seven"))
        .bearer_auth(KEY)
        .header("content-type", "application/wasm")
        .body(module);
    let deployed = deploy.send().await.unwrap();
    assert_eq!(deployed.status(), 201, "{}", deployed.text().await.unwrap());
    let call = client.post(format!("{url}/v1/functions/seven/call/which"));
    let called = call.send().await.unwrap();
    assert_eq!(called.text().await.unwrap(), "7");
    // The health check, by the file's words, on the port of the test.
    assert!(
        matches!(&health()[..], [program, word] if program == "/usr/bin/iof" && word == "ready")
    );
    for (server, expected) in [(&*url, Some(0)), ("http://127.0.0.1:1", Some(1))] {
        let args = ["ready".to_owned(), "--server".into(), server.into()];
        let checked = start(&image, &args).wait_with_output().await.unwrap();
        assert_eq!(checked.status.code(), expected, "{checked:?}");
    }
    // Nothing else is writable.
    let root_is = format!("/proc/{}/mounts", child.id().unwrap());
    let mounts = fs::read_to_string(root_is).unwrap();
    let writable: Vec<_> = mounts
        .lines()
        .map(|line| line.split(' ').collect::<Vec<_>>())
        .filter(|line| line[3].split(',').any(|option| option == "rw"))
        .map(|line| line[1])
        .filter(|place| !place.starts_with("/dev") && *place != "/proc")
        .collect();
    assert_eq!(writable, ["/var/lib/iof", "/tmp"], "{mounts}");
    // Its data is in the volume, and belongs to its user.
    let data = within(&image, "/var/lib/iof");
    let volume = instructions()
        .into_iter()
        .find(|(word, _)| word == "VOLUME");
    assert_eq!(volume.unwrap().1, "/var/lib/iof");
    let owner =
        std::os::unix::fs::MetadataExt::uid(&fs::metadata(data.join("secrets.key")).unwrap());
    assert_eq!(owner, NONROOT);
    // Stopped like a runtime does.
    let signal = instructions()
        .into_iter()
        .find(|(word, _)| word == "STOPSIGNAL");
    assert_eq!(signal.unwrap().1, "SIGTERM");
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let ended = timeout(Duration::from_secs(30), child.wait()).await;
    assert!(ended.unwrap().unwrap().success());
}
