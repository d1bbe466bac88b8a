//! The declaration of one native program by its operator: the table `[commands.NAME]` of `iof.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytesize::ByteSize;
use iof_jail::{Limits, Network, Profile};
use serde::{Deserialize, Serialize};

/// One program, how it may be started, and what a run may use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Declaration {
    /// Its absolute path.
    pub program: PathBuf,
    /// Its command line. What a function may choose stands in braces, as the regular expression
    /// that the whole argument has to match: `"--lang={[a-z]{3}}"`. A last `"{.*}..."` takes all
    /// arguments that are left.
    #[serde(default)]
    pub args: Vec<String>,
    /// Its environment.
    #[serde(default)]
    pub env: BTreeMap<String, String>,
    /// Names of variables that a function may set. Others that it sets are left out.
    #[serde(default)]
    pub pass_env: Vec<String>,
    /// Files and directories that it may read, besides the system's programs and libraries.
    #[serde(default)]
    pub read: Vec<PathBuf>,
    /// Files and directories that it may change. Runs can meet there.
    #[serde(default)]
    pub write: Vec<PathBuf>,
    /// The network that it can reach.
    #[serde(default)]
    pub network: Reach,
    /// Runs at a time.
    #[serde(default = "four")]
    pub concurrency: u32,
    /// Runs that wait for their turn; more are refused at once.
    #[serde(default = "queue")]
    pub queue: u32,
    /// One run, with its wait for its turn; the function's own timeout and the call's end may come
    /// earlier.
    #[serde(default = "half_a_minute", with = "humantime_serde")]
    pub time: Duration,
    /// CPU time of all processes of a run.
    #[serde(default = "half_a_minute", with = "humantime_serde")]
    pub cpu: Duration,
    /// Memory of all processes of a run.
    #[serde(default = "gib")]
    pub memory: ByteSize,
    /// Processes and threads of a run.
    #[serde(default = "processes")]
    pub processes: u32,
    /// Open files of each process.
    #[serde(default = "files")]
    pub files: u32,
    /// Each file that it writes.
    #[serde(default = "quarter_gib")]
    pub file_size: ByteSize,
    /// All files in its working directory.
    #[serde(default = "quarter_gib")]
    pub scratch: ByteSize,
    /// Standard input.
    #[serde(default = "sixteen_mib")]
    pub stdin: ByteSize,
    /// Standard output.
    #[serde(default = "sixteen_mib")]
    pub stdout: ByteSize,
    /// Standard error.
    #[serde(default = "error_output")]
    pub stderr: ByteSize,
    /// Connections of a run, if it has a network.
    #[serde(default = "connections")]
    pub connections: u32,
    /// Workers that stay, for a program that speaks the protocol of `docs/commands.md`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resident: Option<Resident>,
}

/// The network that a program can reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reach {
    /// No network.
    #[default]
    None,
    /// The requests that the function may make, by its outbound rules, through a proxy that the environment names.
    Egress,
}

/// Settings of the workers of a resident command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Resident {
    /// The arguments that a worker is started with.
    pub args: Vec<String>,
    /// True if functions share workers. If not, a worker serves one function only, so that what
    /// one function sends cannot reach another through a program that it took over.
    pub shared: bool,
    /// Runs after which a worker is replaced.
    pub runs: u32,
    /// Memory of a worker after a run, from which on it is replaced; three quarters of the command's
    /// `memory` by default. Checked once a second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<ByteSize>,
    /// The time that an unused worker stays.
    #[serde(with = "humantime_serde")]
    pub idle: Duration,
    /// The time from its start until it reports that it is ready.
    #[serde(with = "humantime_serde")]
    pub start: Duration,
}

impl Default for Resident {
    fn default() -> Resident {
        Resident {
            args: Vec::new(),
            shared: false,
            runs: 1000,
            memory: None,
            idle: Duration::from_secs(300),
            start: Duration::from_secs(60),
        }
    }
}

fn four() -> u32 {
    4
}

fn queue() -> u32 {
    64
}

fn half_a_minute() -> Duration {
    Duration::from_secs(30)
}

fn gib() -> ByteSize {
    ByteSize::gib(1)
}

fn processes() -> u32 {
    64
}

fn files() -> u32 {
    256
}

fn quarter_gib() -> ByteSize {
    ByteSize::mib(256)
}

fn sixteen_mib() -> ByteSize {
    ByteSize::mib(16)
}

fn error_output() -> ByteSize {
    ByteSize::kib(64)
}

fn connections() -> u32 {
    256
}

impl Declaration {
    /// The jail that it describes.
    pub(crate) fn profile(&self) -> Profile {
        let size = |size: ByteSize| usize::try_from(size.as_u64()).unwrap_or(usize::MAX);
        Profile {
            read: self.read.clone(),
            write: self.write.clone(),
            env: self.env.clone().into_iter().collect(),
            network: match self.network {
                Reach::None => Network::None,
                Reach::Egress => Network::Proxy,
            },
            limits: Limits {
                // The CPU time of a worker grows with its runs, each of which has its own limit.
                cpu: self.resident.is_none().then_some(self.cpu),
                memory: self.memory.as_u64(),
                processes: self.processes,
                files: self.files,
                file_size: self.file_size.as_u64(),
                scratch: self.scratch.as_u64(),
                stdout: size(self.stdout),
                stderr: size(self.stderr),
                connections: self.connections,
                ..Limits::default()
            },
            concurrency: self.concurrency,
            ..Profile::new(&self.program)
        }
    }

    /// The problem of the declaration, beyond those that the jail finds in its profile.
    pub(crate) fn check(&self) -> Result<(), String> {
        if self.time.is_zero() {
            return Err("time is not greater than 0s".to_owned());
        }
        let Some(resident) = &self.resident else {
            return Ok(());
        };
        if self.network != Reach::None {
            return Err(
                "network: a resident command has none: its workers belong to no function whose \
                 rules could apply"
                    .to_owned(),
            );
        }
        if resident.runs == 0 {
            return Err("resident.runs is not at least 1".to_owned());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_declaration_is_short_and_misspelt_ones_are_refused() {
        let short: Declaration = toml::from_str("program = \"/usr/bin/convert\"").unwrap();
        assert_eq!((short.concurrency, short.network), (4, Reach::None));
        assert!(short.args.is_empty() && short.resident.is_none());
        let text = toml::to_string(&short).unwrap();
        assert_eq!(toml::from_str::<Declaration>(&text).unwrap(), short);
        let long: Declaration = toml::from_str(
            "program = \"/p\"\nnetwork = \"egress\"\nmemory = \"64MiB\"\ntime = \"2s\"\n[resident]\nruns = 3",
        )
        .unwrap();
        assert_eq!(long.profile().limits.memory, 64 << 20);
        assert_eq!(long.profile().limits.cpu, None);
        assert!(long.check().unwrap_err().starts_with("network"));
        assert_eq!(long.resident.unwrap().runs, 3);
        for wrong in [
            "",
            "program = \"/p\"\nmemroy = 1",
            "program = \"/p\"\nnetwork = \"all\"",
        ] {
            assert!(toml::from_str::<Declaration>(wrong).is_err(), "{wrong}");
        }
    }
}
