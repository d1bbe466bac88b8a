//! The settings and commands of a server, as its console shows them.

/// The settings and commands of a server.
#[derive(Clone, Debug, Default)]
pub struct Inventory {
    /// All settings, by name.
    pub settings: Vec<SettingLine>,
    /// All commands, by name.
    pub commands: Vec<CommandLine>,
    /// The models that the command `infer` runs: their names, as they were at the start.
    pub models: Vec<String>,
}

/// One setting.
#[derive(Clone, Debug)]
pub struct SettingLine {
    /// Its dotted name, such as `limits.wall_time`.
    pub name: String,
    /// Its value as TOML; secrets are replaced.
    pub value: String,
    /// The source of its value.
    pub source: SettingSource,
}

/// The source of a setting's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SettingSource {
    /// It is not set.
    #[default]
    Default,
    /// The file that `--config` names.
    File,
    /// A variable `IOF_…` of the environment.
    Environment,
    /// An argument of the program.
    Flag,
}

impl SettingSource {
    /// The source as a word, for display.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::File => "file",
            Self::Environment => "environment",
            Self::Flag => "flag",
        }
    }
}

/// One command that functions can be granted.
#[derive(Clone, Debug)]
pub struct CommandLine {
    /// The name by which functions run it.
    pub name: String,
    /// The kind of its implementation.
    pub kind: CommandKind,
}

/// A kind of command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommandKind {
    /// A part of every server.
    BuiltIn,
    /// A model.
    Model,
    /// A native program of the operator.
    Native,
}

impl CommandKind {
    /// The kind in words, for display.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in",
            Self::Model => "model",
            Self::Native => "native program",
        }
    }
}
