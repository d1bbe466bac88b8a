//! `iof store`: the database of a fleet.

use crate::args::{Serve, StoreCommand, StorePlace};
use crate::config::Config;
use crate::{fail, print};
use iof_store::Moved;
use std::process::ExitCode;

pub(crate) fn run(command: &StoreCommand) -> ExitCode {
    let (StoreCommand::Import(place)
    | StoreCommand::Export(place)
    | StoreCommand::Check(place)
    | StoreCommand::Migrate(place)) = command;
    let config = match resolve(place) {
        Ok(config) => config,
        Err(message) => return fail(2, message),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = match runtime {
        Ok(runtime) => runtime,
        Err(error) => return fail(1, format!("no runtime: {error}")),
    };
    let (data, store) = (&config.data, &config.store);
    let database = store.label().unwrap_or_default();
    let said = runtime.block_on(async {
        Ok::<_, iof_store::Error>(match command {
            StoreCommand::Import(_) => {
                let moved = iof_store::import(data, store).await?;
                let (here, text) = (data.display(), figures(&moved));
                format!(
                    "moved {here} to {database}:\n{text}\nThe nodes can be started. {here}/iof.db is as it was, and not used any more: keep it as a backup, or remove it.\n"
                )
            }
            StoreCommand::Export(_) => {
                let moved = iof_store::export(data, store).await?;
                let (here, text) = (data.display(), figures(&moved));
                format!(
                    "moved {database} to {here}:\n{text}\nA server with this data directory, and without store.url, can be started.\n"
                )
            }
            StoreCommand::Check(_) => {
                let found = iof_store::check_fleet(store).await?;
                let tables = match (&found.newer, found.missing.as_slice()) {
                    (Some(number), _) => {
                        format!("of a newer iof (migration {number}): this release cannot use them")
                    }
                    (None, []) => "up to date".to_owned(),
                    (None, missing) => format!("the next start makes {}", missing.join(", ")),
                };
                format!(
                    "database {database}: PostgreSQL {}\ntables: {tables}\nconnections: {} of {} in use; a node takes {}\n",
                    found.release, found.sessions, found.most_sessions, store.connections + 3
                )
            }
            StoreCommand::Migrate(_) => {
                iof_store::migrate(store).await?;
                format!("the tables of {database} are up to date\n")
            }
        })
    });
    match said {
        Ok(text) => print(&text),
        Err(error) => fail(1, error.to_string()),
    }
}

fn resolve(place: &StorePlace) -> Result<Config, String> {
    let serve = Serve {
        data: place.data.clone(),
        config: place.config.clone(),
        ..Serve::default()
    };
    let config = Config::resolve(&serve)?;
    match config.store.url.is_empty() {
        true => Err(
            "store.url is empty: it names the database of the fleet. Name the file of settings of a node in --config, or set IOF_STORE_URL."
                .to_owned(),
        ),
        false => Ok(config),
    }
}

fn figures(moved: &Moved) -> String {
    let rows: u64 = moved.tables.iter().map(|(_, rows, _)| rows).sum();
    format!(
        "rows {rows} in {} tables, modules {}, each table and each module compared by its digest",
        moved.tables.len(),
        moved.modules
    )
}
