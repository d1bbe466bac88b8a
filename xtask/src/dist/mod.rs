//! `cargo xtask dist`: the files of a release, in `target/dist`.
//!
//! An archive (program, manual, completions, unit), a Debian package, a list of everything that is compiled in
//! (CycloneDX), the script that installs, and SHA-256 sums of all of them. Tools of the system pack: `tar`, `gzip`,
//! `dpkg-deb`. The same inputs make the same bytes: names are sorted, owners are root, and all times are
//! `SOURCE_DATE_EPOCH`.

mod debian;
mod release;
mod sbom;
mod stage;

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use clap::Args;

use crate::{
    packages, paths,
    process::{self, cargo, output},
    step::{Outcome, step},
};

use release::{Release, epoch, failed, renew, write};

#[derive(Debug, Args)]
pub(crate) struct Dist {
    /// Package a debug build, which is large, with fast compression: for trying the chore
    #[arg(long)]
    debug: bool,
    /// Package this program, and build none
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// The URL of releases, from which the installing script downloads by default
    #[arg(long, value_name = "URL", default_value = "")]
    url: String,
    /// The output directory [default: target/dist]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

pub(crate) fn run(dist: &Dist) -> Outcome {
    for (program, package) in [
        ("tar", "tar"),
        ("gzip", "gzip"),
        ("strip", "binutils"),
        ("objdump", "binutils"),
        ("dpkg-deb", "dpkg"),
        ("sha256sum", "coreutils"),
    ] {
        packages::need(program, package, "it packs releases")?;
    }
    let release = Release {
        version: env!("CARGO_PKG_VERSION"),
        machine: std::env::consts::ARCH,
    };
    let out = dist
        .out
        .clone()
        .unwrap_or_else(|| paths::target().join("dist"));
    let level = if dist.debug { "-1" } else { "-9" };
    let built = match &dist.binary {
        Some(binary) => binary.clone(),
        None => build(dist.debug)?,
    };
    renew(&out)?;
    let staged = out.join(release.name());
    step("gather the program, its manual and its completions", || {
        stage::gather(&built, &staged)
    })?;
    let names = step("pack", || {
        Ok([
            archive(&release, level, &out)?,
            debian::package(&release, level, &staged, &out)?,
            sbom::write(&release, &out)?,
            stage::installer(&release, &dist.url, &out)?,
        ])
    })?;
    fs::remove_dir_all(&staged).map_err(|e| failed(&staged, &e))?;
    let sums = output(Command::new("sha256sum").args(&names).current_dir(&out))?;
    write(&out.join("SHA256SUMS"), sums.as_bytes())?;
    for name in names.iter().map(String::as_str).chain(["SHA256SUMS"]) {
        let size = fs::metadata(out.join(name))
            .map_err(|e| failed(&out, &e))?
            .len();
        println!("{size:>12}  {}", out.join(name).display());
    }
    Ok(())
}

fn build(debug: bool) -> Outcome<PathBuf> {
    // A debug build is that of the tests, so that nothing is compiled twice.
    let (purpose, words, profile): (_, &[&str], _) = match debug {
        true => ("tests", &["--workspace", "--bins", "--tests"], "debug"),
        false => ("release", &["--release", "--package=iof"], "release"),
    };
    step(&format!("build the program, as for {purpose}"), || {
        let mut build = cargo();
        build.args(["build", "--locked"]).args(words);
        process::run(build.current_dir(paths::root()))
    })?;
    Ok(paths::target().join(profile).join("iof"))
}

/// The archive of a staged folder.
fn archive(release: &Release, level: &str, out: &Path) -> Outcome<String> {
    let name = format!("{}.tar.gz", release.name());
    let tar = out.join(release.name() + ".tar");
    process::run(
        Command::new("tar")
            .args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner"])
            .arg(format!("--mtime=@{}", epoch()))
            .arg("-cf")
            .arg(&tar)
            .arg("-C")
            .arg(out)
            .arg(release.name()),
    )?;
    // -n: without the time.
    process::run(Command::new("gzip").args(["-n", level]).arg(&tar))?;
    Ok(name)
}
