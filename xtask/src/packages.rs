//! Debian packages that a chore needs and may install.

use std::process::Command;

use crate::{
    process::{find, output, run},
    step::{Outcome, Problem, step},
};

/// Installs packages, if this account may: as root, or through a `sudo` without a password.
pub(crate) fn install(packages: &[&str], why: &str) -> Outcome {
    let list = packages.join(" ");
    let by_hand = format!(
        "install {list} ({why}), for instance with\n    sudo apt-get install -y --no-install-recommends {list}"
    );
    if find("apt-get").is_none() {
        return Err(Problem::new(format!(
            "this system has no apt-get, which would install {list}"
        ))
        .next(by_hand));
    }
    let Some(prefix) = privilege() else {
        return Err(Problem::new(format!("only root may install {list} here")).next(by_hand));
    };
    step(&format!("install {list}: {why}"), || {
        let install = || {
            let mut apt = privileged(&prefix, "apt-get");
            apt.args(["install", "-y", "--no-install-recommends", "-q"])
                .args(packages);
            run(apt.env("DEBIAN_FRONTEND", "noninteractive"))
        };
        // The lists of packages may be absent or old: then they are fetched, and the installation is tried once more.
        install()
            .or_else(|_| {
                run(privileged(&prefix, "apt-get").args(["update", "-q"])).and_then(|()| install())
            })
            .map_err(|problem| problem.next(by_hand))
    })
}

/// Installs the package of a program that is missing.
pub(crate) fn need(program: &str, package: &str, why: &str) -> Outcome {
    if find(program).is_some() {
        Ok(())
    } else {
        install(&[package], why)
    }
}

/// The prefix of a command that only root may run; `None` if this account may not run it.
fn privilege() -> Option<Vec<String>> {
    if output(Command::new("id").arg("-u")).ok()?.trim() == "0" {
        return Some(Vec::new());
    }
    find("sudo")?;
    output(Command::new("sudo").args(["-n", "true"])).ok()?;
    Some(vec!["sudo".into(), "-n".into()])
}

fn privileged(prefix: &[String], program: &str) -> Command {
    let mut words = prefix.iter().map(String::as_str).chain([program]);
    let mut command = Command::new(words.next().unwrap_or(program));
    command.args(words);
    command
}
