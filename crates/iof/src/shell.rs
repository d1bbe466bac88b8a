//! `iof completions` and `iof man`: files for shells and `man`, generated from the arguments themselves.

use crate::args::{Args, Completions, Man};
use crate::{fail, print};
use clap::CommandFactory;
use std::process::ExitCode;

pub(crate) fn completions(completions: &Completions) -> ExitCode {
    let mut script = vec![];
    clap_complete::generate(completions.shell, &mut Args::command(), "iof", &mut script);
    print(&String::from_utf8_lossy(&script))
}

pub(crate) fn man(man: &Man) -> ExitCode {
    let written = std::fs::create_dir_all(&man.folder)
        .and_then(|()| clap_mangen::generate_to(Args::command(), &man.folder));
    match written {
        Ok(()) => print(&format!(
            "the pages are in {}; `man -l {}/iof.1` shows the first\n",
            man.folder.display(),
            man.folder.display()
        )),
        Err(error) => fail(1, format!("{}: {error}", man.folder.display())),
    }
}
