//! The settings and commands of a server, as its console shows them.

use crate::config::Config;
use iof_command::Registry;
use iof_server::{CommandKind, CommandLine, Inventory};

/// An inventory of settings, without commands yet.
pub(crate) fn of_settings(config: &Config) -> Inventory {
    Inventory {
        settings: config.lines(),
        ..Inventory::default()
    }
}

/// Adds the commands of a registry that are not listed yet, with this kind.
pub(crate) fn add(inventory: &mut Inventory, registry: &Registry, kind: CommandKind) {
    let commands = &mut inventory.commands;
    for name in registry.names() {
        if !commands.iter().any(|known| known.name == name) {
            commands.push(CommandLine {
                name: name.to_owned(),
                kind,
            });
        }
    }
}

/// Adds the native programs. A program replaces a command of the same name.
pub(crate) fn add_native(inventory: &mut Inventory, registry: &Registry, config: &Config) {
    add(inventory, registry, CommandKind::Native);
    for line in &mut inventory.commands {
        if config.commands.contains_key(&line.name) {
            line.kind = CommandKind::Native;
        }
    }
    inventory.commands.sort_by(|a, b| a.name.cmp(&b.name));
}
