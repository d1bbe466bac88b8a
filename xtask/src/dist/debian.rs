//! The Debian package, by `dpkg-deb`.

use std::{fs, path::Path, process::Command};

use super::release::{Release, copy, copy_folder, epoch, failed, make, renew, write};
use super::stage::{COMPLETIONS, DROP_INS};
use crate::{
    paths,
    process::{self, output},
    step::{Outcome, Problem},
};

/// Configuration files, which belong to the operator once they are installed.
const CONFFILES: &str = "/etc/iof/iof.toml\n";

/// Builds the package. `level` is that of compression, as gzip and xz write it.
pub(super) fn package(
    release: &Release,
    level: &str,
    staged: &Path,
    out: &Path,
) -> Outcome<String> {
    let architecture = match release.machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => {
            return Err(Problem::new(format!(
                "the machine has another name in Debian: got {other}"
            ))
            .next("add its name to xtask/src/dist/debian.rs"));
        }
    };
    let name = format!("iof_{}_{architecture}.deb", release.version);
    let root = out.join("debian-root");
    renew(&root)?;
    copy(&staged.join("iof"), &root.join("usr/bin/iof"), 0o755)?;
    copy(
        &staged.join("deploy/iof.service"),
        &root.join("lib/systemd/system/iof.service"),
        0o644,
    )?;
    copy(
        &staged.join("deploy/iof.toml"),
        &root.join("etc/iof/iof.toml"),
        0o644,
    )?;
    copy_folder(
        &staged.join(DROP_INS),
        &root.join("usr/share/doc/iof/examples/iof.service.d"),
    )?;
    for (shell, place) in COMPLETIONS {
        let from = staged.join("completions").join(shell);
        copy(&from, &root.join("usr/share").join(place), 0o644)?;
    }
    for file in [
        "README.md",
        "docs/server.md",
        "LICENSE-APACHE",
        "LICENSE-MIT",
    ] {
        let name = file.rsplit('/').next().unwrap_or(file);
        copy(
            &staged.join(file),
            &root.join("usr/share/doc/iof").join(name),
            0o644,
        )?;
    }
    let man = root.join("usr/share/man/man1");
    make(&man)?;
    let pages = fs::read_dir(staged.join("man")).map_err(|e| failed(staged, &e))?;
    for page in pages {
        let page = page.map_err(|e| failed(staged, &e))?;
        copy(&page.path(), &man.join(page.file_name()), 0o644)?;
    }
    process::run(Command::new("sh").args(["-c", "gzip -n9 \"$0\"/*", &man.to_string_lossy()]))?;
    control(release, architecture, &root)?;
    process::run(
        Command::new("dpkg-deb")
            .env("SOURCE_DATE_EPOCH", epoch())
            .args([
                "--root-owner-group",
                if level == "-1" { "-Zgzip" } else { "-Zxz" },
            ])
            .arg(level.replace('-', "-z"))
            .arg("--build")
            .arg(&root)
            .arg(out.join(&name)),
    )?;
    fs::remove_dir_all(&root).map_err(|e| failed(&root, &e))?;
    Ok(name)
}

fn control(release: &Release, architecture: &str, root: &Path) -> Outcome {
    let folder = root.join("DEBIAN");
    make(&folder)?;
    let glibc = glibc(&root.join("usr/bin/iof"))?;
    let control = format!(
        "Package: iof\nVersion: {}\nArchitecture: {architecture}\nMaintainer: The authors of iof <iof@localhost>\n\
         Section: web\nPriority: optional\nDepends: libc6 (>= {glibc}), libgcc-s1, passwd\n\
         Description: self-hosted WebAssembly function service\n \
         One binary: upload a WebAssembly module and call its functions over HTTP.\n \
         Functions are sealed; they reach the world through what the operator grants.\n",
        release.version
    );
    write(&folder.join("control"), control.as_bytes())?;
    write(&folder.join("conffiles"), CONFFILES.as_bytes())?;
    for script in ["postinst", "prerm", "postrm"] {
        let from = paths::root().join("deploy/debian").join(script);
        copy(&from, &folder.join(script), 0o755)?;
    }
    Ok(())
}

/// The newest version of glibc that the program requires.
fn glibc(program: &Path) -> Outcome<String> {
    let symbols = output(Command::new("objdump").arg("-T").arg(program))?;
    let versions = symbols.split("GLIBC_").skip(1).filter_map(|rest| {
        let version: String = rest
            .chars()
            .take_while(|c| c.is_ascii_digit() || *c == '.')
            .collect();
        let parts: Option<Vec<u32>> = version.split('.').map(|part| part.parse().ok()).collect();
        Some((parts?, version))
    });
    versions.max().map(|(_, version)| version).ok_or_else(|| {
        Problem::new(format!(
            "{} requires no version of glibc",
            program.display()
        ))
    })
}
