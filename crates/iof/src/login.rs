//! `iof login`, `logout`, `profile` and `whoami`: profiles of servers.

use crate::args::{self, Login, Logout, Remote, Whoami};
use crate::client::Client;
use crate::escape::line;
use crate::output::{json, table, text, texts};
use crate::print;
use crate::profile::{Profile, Profiles};
use serde_json::{Value as Json, json as object};
use std::io::{IsTerminal, Read};
use std::process::ExitCode;

/// The default name of a profile, if it is free.
const DEFAULT: &str = "default";

pub(crate) async fn login(login: Login) -> Result<ExitCode, String> {
    // A mistyped address is reported before the prompt for a key.
    Client::new(&Remote {
        server: Some(login.server.clone()),
        ..Remote::default()
    })?;
    let key = match login.no_key {
        true => None,
        false => Some(secret(&login.server)?),
    };
    let cacert = login.cacert.as_ref();
    let cacert = cacert.map(std::path::absolute).transpose();
    let cacert = cacert.map_err(|error| format!("--cacert: {error}"))?;
    // The key is tried before it is stored.
    let remote = Remote {
        server: Some(login.server.clone()),
        key: key.clone(),
        cacert: cacert.clone(),
        ..Remote::default()
    };
    let client = Client::new(&remote)?;
    let about = client.about().await?;
    check(client.origin(), about, key.is_some())?;
    let profile = Profile {
        server: client.url(""),
        id: about["id"].as_str().map(str::to_owned),
        key,
        cacert,
    };
    // A key in a profile that is no longer valid may be replaced.
    let before = Profiles::load()?;
    let named = name_for(&before, login.profile.as_deref(), &profile);
    let ended = match before.profiles.get(&named) {
        Some(known) if is_same(known, &profile) => has_ended(known).await,
        _ => false,
    };
    let (named, path) = Profiles::change(|profiles| {
        let named = name_for(profiles, login.profile.as_deref(), &profile);
        if let Some(known) = profiles.profiles.get(&named) {
            replaceable(&named, known, &profile, ended)?;
        }
        if let Some(id) = &profile.id {
            // By this login, the user confirms that the server is also at this address.
            let known = profiles.servers.entry(id.clone()).or_default();
            known.origins.insert(client.origin().to_owned());
        }
        profiles.profiles.insert(named.clone(), profile.clone());
        profiles.current = Some(named.clone());
        Ok(named)
    })?;
    let server = &profile.server;
    Ok(match login.json {
        true => json(&object!({ "profile": named, "server": server })),
        false => print(&format!(
            "{server} is the profile {named} now, kept in {}\n",
            path.display()
        )),
    })
}

/// Checks that a server accepts a key with the intended rights.
fn check(origin: &str, about: &Json, has_key: bool) -> Result<(), String> {
    let takes_keys = about["takes_keys"] == true;
    let unknown = about["key"]["kind"] == "unknown";
    match (has_key, takes_keys) {
        (true, false) if unknown => Err(format!(
            "{origin} takes no key: it was started without auth.keys. Log in with --no-key."
        )),
        (true, true) if unknown => Err(format!(
            "The key does not give access at {origin}: it is wrong or has expired. A key of the server is one of its auth.keys; `iof key create` makes others."
        )),
        (false, true) => Err(format!(
            "{origin} takes a key (auth.keys). Log in without --no-key."
        )),
        _ => Ok(()),
    }
}

/// The name of a profile: the requested one; else `default` if that is free or of the same server; else the server's
/// host and port.
fn name_for(profiles: &Profiles, asked: Option<&str>, new: &Profile) -> String {
    if let Some(name) = asked {
        return name.to_owned();
    }
    match profiles.profiles.get(DEFAULT) {
        Some(other) if !is_same(other, new) => new
            .server
            .split("://")
            .last()
            .unwrap_or(DEFAULT)
            .trim_end_matches('/')
            .to_owned(),
        _ => DEFAULT.to_owned(),
    }
}

/// Returns whether two profiles belong to the same server.
fn is_same(known: &Profile, new: &Profile) -> bool {
    match &known.id {
        Some(_) => known.id == new.id,
        None => known.server == new.server,
    }
}

/// Refuses to replace a profile whose key may still be valid.
fn replaceable(name: &str, known: &Profile, new: &Profile, ended: bool) -> Result<(), String> {
    if !is_same(known, new) {
        return Err(format!(
            "profile {name} belongs to another server, at {}. Choose another --profile, or remove it: iof logout --profile {name}",
            known.server
        ));
    }
    if known.key.is_some() && known.key != new.key && !ended {
        return Err(format!(
            "profile {name} has another key of this server, which may still be valid. Choose another --profile, or remove it: iof logout --profile {name}"
        ));
    }
    Ok(())
}

/// Returns whether the server reports that a profile's key is no longer valid.
async fn has_ended(profile: &Profile) -> bool {
    let remote = Remote {
        server: Some(profile.server.clone()),
        key: profile.key.clone(),
        cacert: profile.cacert.clone(),
        ..Remote::default()
    };
    let Ok(client) = Client::new(&remote) else {
        return false;
    };
    let about = client.about().await;
    about.is_ok_and(|about| about["key"]["kind"] == "unknown")
}

pub(crate) fn logout(logout: &Logout) -> Result<ExitCode, String> {
    let (name, _) = Profiles::change(|profiles| {
        let name = logout.profile.clone().or_else(|| profiles.current.clone());
        let name = name.ok_or_else(|| match profiles.profiles.is_empty() {
            true => "no profile was made yet. `iof login` makes one.".to_owned(),
            false => {
                let names: Vec<_> = profiles.profiles.keys().map(String::as_str).collect();
                format!(
                    "no profile is in use. Name one with --profile: {}.",
                    names.join(", ")
                )
            }
        })?;
        profiles.find(Some(&name))?;
        profiles.profiles.remove(&name);
        if profiles.current.as_ref() == Some(&name) {
            profiles.current = None;
        }
        Ok(name)
    })?;
    Ok(match logout.json {
        true => json(&object!({ "profile": name, "done": "dropped" })),
        false => print(&format!(
            "profile {name} is removed together with its key; admin keys of functions stay\n"
        )),
    })
}

pub(crate) fn profile(profile: &args::Profile) -> Result<ExitCode, String> {
    let args::ProfileCommand::List { json: as_json } = profile.what;
    let known = Profiles::load()?;
    // The current profile is chosen as in other commands.
    let named = std::env::var("IOF_PROFILE").ok();
    let current = named.as_ref().or(known.current.as_ref());
    if as_json {
        let rows = known.profiles.iter().map(|(name, profile)| {
            object!({
                "profile": name,
                "server": profile.server,
                "id": profile.id,
                "has_key": profile.key.is_some(),
                "current": Some(name) == current,
            })
        });
        return Ok(json(&object!({ "profiles": rows.collect::<Vec<_>>() })));
    }
    let rows = known.profiles.iter().map(|(name, profile)| {
        let key = if profile.key.is_some() { "yes" } else { "no" };
        let current = if Some(name) == current { "current" } else { "" };
        [name.as_str(), profile.server.as_str(), key, current]
            .map(str::to_owned)
            .to_vec()
    });
    Ok(print(&table(
        &["PROFILE", "SERVER", "KEY", ""],
        &rows.collect::<Vec<_>>(),
        "no profiles; `iof login` makes one",
    )))
}

pub(crate) async fn whoami(whoami: Whoami) -> Result<ExitCode, String> {
    let remote = &whoami.remote;
    let client = Client::new(remote)?;
    let about = client.who().await?;
    let profiles = Profiles::load()?;
    let profile = match (remote.dev, &remote.server) {
        (true, _) | (_, Some(_)) => None,
        _ => remote.profile.clone().or(profiles.current.clone()),
    };
    if remote.json {
        let mut about = about;
        about["server"] = client.origin().into();
        about["profile"] = profile.into();
        return Ok(json(&about));
    }
    let key = match about["key"]["kind"].as_str() {
        None => "no key".to_owned(),
        Some("server") => "a key of the server: everything".to_owned(),
        Some("made") => {
            let reach = match &about["key"]["function"] {
                Json::Null => "all functions".to_owned(),
                function => format!("function {function}"),
            };
            let key = &about["key"];
            format!(
                "key {}: {} for {reach}",
                text(key, "label"),
                texts(key, "scopes").join(", ")
            )
        }
        Some(_) => "a key without access there".to_owned(),
    };
    let takes = match about["takes_keys"] == true {
        true => "takes keys",
        false => {
            "takes no key: it was started without keys of its own (auth.keys), so everyone who reaches it may deploy"
        }
    };
    let known = about["id"].as_str().and_then(|id| profiles.servers.get(id));
    let functions: Vec<&str> = known
        .into_iter()
        .flat_map(|known| known.admin_keys.keys())
        .map(String::as_str)
        .filter(|name| !name.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    let functions = match functions.as_slice() {
        [] => "none".to_owned(),
        functions => functions.join(", "),
    };
    Ok(print(&format!(
        "server      {}{}\nidentity    {}\n            {takes}\nprofile     {}\nkey         {key}\nadmin keys  {}\n",
        client.origin(),
        if about["dev"] == true {
            " (iof dev)"
        } else {
            ""
        },
        text(&about, "id"),
        line(profile.as_deref().unwrap_or("-")),
        line(&functions),
    )))
}

/// The key, from a terminal or from stdin.
fn secret(server: &str) -> Result<String, String> {
    let key = if std::io::stdin().is_terminal() {
        rpassword::prompt_password(format!("Key for {server} (it is not shown): "))
            .map_err(|error| error.to_string())?
    } else {
        let mut text = String::new();
        let read = std::io::stdin().take(4096).read_to_string(&mut text);
        read.map_err(|error| format!("stdin: {error}"))?;
        text
    };
    match key.trim() {
        "" => Err("no key was given; use --no-key if the server takes none".into()),
        key => Ok(key.to_owned()),
    }
}
