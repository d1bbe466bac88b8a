//! The parts of a jail that the kernel and the machine's settings offer, and what is lost without each.
//!
//! Nothing is inferred from versions: a warden tries each part when it confines itself and reports
//! the result, so a [`Report`] states what is effective, on this machine, for this user.

use serde::{Deserialize, Serialize};

/// One part of the jail.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Feature {
    /// A user namespace: the other namespaces without being root, and a separate count of processes.
    UserNamespace,
    /// A pid namespace: the program sees and signals only its own run's processes.
    PidNamespace,
    /// A mount namespace: only the declared files exist, and scratch space has a size.
    MountNamespace,
    /// A network namespace: the proxy is the only network.
    NetNamespace,
    /// An IPC namespace: the host's shared memory and queues are unreachable.
    IpcNamespace,
    /// `/proc` of the program's own pid namespace. Some programs read it; it confines nothing.
    Proc,
    /// Landlock: the kernel checks every opened path, and (since Linux 6.12) signals.
    Landlock,
    /// A seccomp filter: the system calls that programs need, and no others.
    Seccomp,
}

impl Feature {
    /// All parts, in the order in which they are set up.
    pub const ALL: [Feature; 8] = [
        Feature::UserNamespace,
        Feature::PidNamespace,
        Feature::MountNamespace,
        Feature::NetNamespace,
        Feature::IpcNamespace,
        Feature::Proc,
        Feature::Landlock,
        Feature::Seccomp,
    ];

    /// Returns whether [`Demand::Required`](crate::Demand) insists on it. A user namespace is a way to the
    /// others that root does not need; without one, the count of processes is per user.
    pub fn is_required(self) -> bool {
        !matches!(self, Feature::UserNamespace | Feature::Proc)
    }

    /// The consequence of its absence, as one sentence for the operator.
    pub fn without(self) -> &'static str {
        match self {
            Feature::UserNamespace => {
                "the limit of processes counts everything of the user, and unprivileged servers have no namespaces"
            }
            Feature::PidNamespace => {
                "programs see the host's processes, and before Linux 6.12 can signal those of their user"
            }
            Feature::MountNamespace => {
                "the size of the scratch directory is not limited, and programs cannot use Unix sockets"
            }
            Feature::NetNamespace => {
                "programs that need the proxy are refused; only seccomp keeps others from the network"
            }
            Feature::IpcNamespace => "only seccomp keeps programs from the host's shared memory",
            Feature::Proc => "programs find no /proc",
            Feature::Landlock => {
                "without a mount namespace, programs read what their user can read"
            }
            Feature::Seccomp => {
                "programs reach every system call, so every bug of the kernel behind one"
            }
        }
    }

    /// The remedy, for the operator.
    pub fn remedy(self) -> &'static str {
        match self {
            Feature::UserNamespace
            | Feature::PidNamespace
            | Feature::MountNamespace
            | Feature::NetNamespace
            | Feature::IpcNamespace => {
                "allow user namespaces: sysctl user.max_user_namespaces and kernel.unprivileged_userns_clone=1, \
                 kernel.apparmor_restrict_unprivileged_userns=0 or a profile for the binary, \
                 and in containers a seccomp profile that lets unshare through"
            }
            Feature::Proc => "in containers, leave /proc unmasked",
            Feature::Landlock => "use Linux 5.13 or newer with landlock in the kernel's lsm= list",
            Feature::Seccomp => "use a kernel with CONFIG_SECCOMP_FILTER",
        }
    }
}

/// The result of setting up one part of a jail.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The part.
    pub feature: Feature,
    /// The part that was set up (`ABI 7`), or the reason why it was not.
    pub outcome: Result<String, String>,
}

/// The results of setting up all parts of a jail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report(Vec<Finding>);

impl Report {
    /// Returns whether a part is effective.
    pub fn has(&self, feature: Feature) -> bool {
        self.0
            .iter()
            .any(|finding| finding.feature == feature && finding.outcome.is_ok())
    }

    /// The findings, one per feature.
    pub fn findings(&self) -> &[Finding] {
        &self.0
    }

    /// The first missing part that [`Demand::Required`](crate::Demand) insists on.
    pub fn lacking(&self) -> Option<&Finding> {
        let lacks = |finding: &&Finding| finding.feature.is_required() && finding.outcome.is_err();
        self.0.iter().find(lacks)
    }

    pub(crate) fn add(&mut self, feature: Feature, outcome: Result<String, String>) {
        self.0.push(Finding { feature, outcome });
    }
}
