//! `iof test`: a function's own tests, then calls of it on a temporary server.
//!
//! Arguments are never guessed: `function.toml` states them, or the export takes none. Requests leave only to named
//! hosts, because a function's effects there are not undone when its test ends.

mod report;
mod smoke;

use crate::args::Test;
use crate::build::{functions, once, progress};
use crate::client::Client;
use crate::config::Config;
use crate::dev::project;
use crate::embedded::{self, Embedded, ServerOptions};
use crate::output::json;
use crate::{fail, log, print};
use iof_build::{Built, Machine, Options};
use report::{FunctionReport, Report};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use tokio::sync::oneshot;

pub(crate) fn run(test: &Test) -> ExitCode {
    let folder = match project(&test.folder) {
        Ok(folder) => folder,
        Err(message) => return fail(2, message),
    };
    let data = match tempfile::Builder::new().prefix("iof-test-").tempdir() {
        Ok(data) => data,
        Err(error) => return fail(1, format!("no temporary folder: {error}")),
    };
    let own = Embedded::new(&ServerOptions {
        listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
        folder: data.path(),
        config: test.config.as_ref(),
        set: &test.set,
        allow: &test.allow,
    });
    let Embedded { mut config, key } = match own {
        Ok(own) => own,
        Err(message) => return fail(2, message),
    };
    seal(&mut config);
    let packages = match functions(&folder, test.package.as_deref()) {
        Ok(packages) => packages,
        Err(message) => return fail(1, message),
    };
    if let Err(message) = log::start(&config.log, config.log_format) {
        return fail(2, message);
    }
    let (mut reports, mut modules) = (vec![], vec![]);
    for package in packages {
        let passed = iof_build::test(&Machine::this(), &folder, &package, &mut progress);
        let passed = match passed {
            Ok(passed) => passed,
            Err(error) => return fail(1, error),
        };
        let options = Options {
            package: Some(package.clone()),
            ..Options::default()
        };
        let (built, problem) = match once(&folder, &options) {
            Ok(built) => (Some(built), None),
            Err(message) => (None, Some(message)),
        };
        reports.push(FunctionReport::new(package, passed, problem));
        modules.push(built);
    }
    let called = embedded::run(config, |address| call_all(&key, address, reports, modules));
    let report = match called {
        Ok(Some(report)) => report,
        Ok(None) => return fail(1, "interrupted"),
        Err(message) => return fail(1, message),
    };
    let printed = match test.json {
        true => json(&serde_json::to_value(&report).unwrap_or_default()),
        false => print(&report.to_string()),
    };
    match report.failed {
        0 => printed,
        _ => ExitCode::FAILURE,
    }
}

/// Restricts a server to one address, and its outbound requests to pinned hosts.
fn seal(config: &mut Config) {
    // Calls run the same code as after a deploy, not a draft.
    config.dev = false;
    config.tls.listen.clear();
    config.metrics.listen.clear();
    config.egress.proxy = iof_egress::ProxyUrl::default();
    let ranges = ["0.0.0.0/0", "::/0"];
    config.egress.deny = ranges
        .iter()
        .filter_map(|range| range.parse().ok())
        .collect();
}

/// Deploys each function, and calls it.
async fn call_all(
    key: &str,
    address: oneshot::Receiver<SocketAddr>,
    mut reports: Vec<FunctionReport>,
    modules: Vec<Option<Built>>,
) -> Result<Report, String> {
    let Ok(address) = address.await else {
        // The server itself reports the reason.
        return std::future::pending().await;
    };
    let client = Client::new(&embedded::remote(key, address))?;
    for (report, built) in reports.iter_mut().zip(modules) {
        let Some(built) = built else { continue };
        match smoke::calls(&client, &built).await {
            Ok(calls) => report.calls = calls,
            Err(message) => report.problem = Some(message),
        }
    }
    Ok(Report::of(reports))
}
