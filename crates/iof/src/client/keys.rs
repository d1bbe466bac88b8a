//! The keys that a client sends: the given one, or the stored keys of the server.

use super::Client;
use crate::args::Remote;
use crate::profile::{Profile, Profiles};
use http::HeaderValue;

/// The most keys that are tried for one request.
const TRIED: usize = 64;

/// The functions whose admin keys are tried.
#[derive(Clone)]
pub(super) enum Function {
    None,
    One(String),
    All,
}

/// The keys to try, and the reasons why others are not tried.
#[derive(Default)]
pub(super) struct Keys {
    pub(super) keys: Vec<HeaderValue>,
    pub(super) notes: Vec<String>,
}

impl Client {
    /// Stores the admin key of a function under its number and its name.
    ///
    /// # Errors
    /// The file of profiles cannot be written.
    pub(crate) async fn remember(&self, names: &[String], key: &str) -> Result<(), String> {
        let id = self.id().await?;
        Profiles::change(|profiles| {
            let known = profiles.servers.entry(id).or_default();
            known.origins.insert(self.origin().to_owned());
            known.keep(names, key);
            Ok(())
        })
        .map(drop)
    }

    /// Removes the admin keys of a deleted function.
    ///
    /// # Errors
    /// The file of profiles cannot be written.
    pub(crate) async fn forget(&self, names: &[String]) -> Result<(), String> {
        let id = self.id().await?;
        let origin = self.origin();
        let knows = |profiles: &Profiles| {
            let old = profiles.admin_keys.get(origin);
            let known = profiles.servers.get(&id);
            names.iter().any(|name| {
                old.is_some_and(|old| old.contains_key(name))
                    || known.is_some_and(|known| known.admin_keys.contains_key(name))
            })
        };
        if !knows(&Profiles::load()?) {
            return Ok(());
        }
        Profiles::change(|profiles| {
            if let Some(known) = profiles.servers.get_mut(&id) {
                known.admin_keys.retain(|name, _| !names.contains(name));
            }
            if let Some(known) = profiles.admin_keys.get_mut(origin) {
                known.retain(|name, _| !names.contains(name));
            }
            Ok(())
        })
        .map(drop)
    }

    /// The keys that are tried.
    pub(super) async fn keys(&self) -> Result<&Keys, String> {
        let find = || async {
            if let Some(given) = &self.given {
                return Ok(Keys {
                    keys: vec![given.clone()],
                    notes: vec![],
                });
            }
            let knows_keys = self.profile.as_ref().is_some_and(|of| of.key.is_some())
                || self.profiles.dev.is_some()
                || !self.profiles.profiles.is_empty()
                || !self.profiles.servers.is_empty()
                || !self.profiles.admin_keys.is_empty();
            if !knows_keys {
                return Ok(Keys::default());
            }
            self.kept_keys(&self.id().await?)
        };
        self.keys.get_or_try_init(find).await
    }

    /// The stored keys of the server with this identity, the likeliest first.
    fn kept_keys(&self, id: &str) -> Result<Keys, String> {
        let mut keys: Vec<&str> = vec![];
        let mut notes = vec![];
        let is_this = |profile: &&Profile| match &profile.id {
            Some(known) => known == id,
            None => true,
        };
        let at_this = |profile: &&Profile| profile.server.trim_end_matches('/') == self.origin();
        if let Some(profile) = &self.profile {
            match Some(profile).filter(is_this) {
                Some(profile) => keys.extend(profile.key.as_deref()),
                None => notes.push(format!(
                    "the server at {} is not the one of the profile, so its key was not sent: `iof login` makes a profile of this one",
                    self.origin()
                )),
            }
        }
        // A chosen profile means only the rights of that profile; an address means all keys that are stored for it.
        if self.profile.is_none() {
            let kept = self.profiles.profiles.values().chain(&self.profiles.dev);
            let of_this = kept.filter(is_this).filter(at_this);
            keys.extend(of_this.filter_map(|profile| profile.key.as_deref()));
        }
        let names = |all: Vec<&String>| -> Vec<String> {
            match &self.function {
                Function::None => vec![],
                Function::One(name) => vec![name.to_ascii_lowercase().replace('_', "-")],
                Function::All => all.into_iter().cloned().collect(),
            }
        };
        if let Some(known) = self.profiles.servers.get(id) {
            let wanted = names(known.admin_keys.keys().collect());
            let found = wanted.iter().filter_map(|name| known.admin_keys.get(name));
            let found: Vec<_> = found.flatten().map(String::as_str).collect();
            if known.was_at(self.origin()) {
                keys.extend(found);
            } else if !found.is_empty() {
                notes.push(format!(
                    "a key is stored for a server with this identity at {}, but not at this address, so it was not sent: --key sends one",
                    known.origins.iter().cloned().collect::<Vec<_>>().join(", ")
                ));
            }
        }
        if let Some(known) = self.profiles.admin_keys.get(self.origin()) {
            let wanted = names(known.keys().collect());
            let found = wanted.iter().filter_map(|name| known.get(name));
            keys.extend(found.map(String::as_str));
        }
        let mut distinct: Vec<&str> = vec![];
        for key in keys {
            if !distinct.contains(&key) && distinct.len() < TRIED {
                distinct.push(key);
            }
        }
        Ok(Keys {
            keys: distinct.into_iter().map(bearer).collect::<Result<_, _>>()?,
            notes,
        })
    }

    /// Returns whether a key would be sent, given or stored.
    ///
    /// # Errors
    /// The errors of [`Client::about`].
    pub(crate) async fn has_key(&self) -> Result<bool, String> {
        Ok(!self.keys().await?.keys.is_empty())
    }

    /// The reasons why stored keys were not sent, in parentheses.
    pub(crate) fn reasons(&self) -> String {
        match self.keys.get().map(|keys| keys.notes.as_slice()) {
            None | Some([]) => String::new(),
            Some(notes) => format!(" ({})", notes.join("; ")),
        }
    }

    /// Remedies for a user whose key was refused, or who has none, in parentheses.
    pub(super) fn way_back(&self) -> String {
        let keys = self.keys.get();
        let notes = keys.map_or(&[][..], |keys| &keys.notes);
        let mut words: Vec<String> = notes.to_vec();
        if self.given.is_none() {
            words.push("--key, IOF_KEY, or `iof login`".into());
        }
        let about = self.about.get();
        if about.is_some_and(|about| about["dev"] == true) {
            let at_this = |dev: &Profile| dev.server.trim_end_matches('/') == self.origin();
            words.push(match self.profiles.dev.as_ref().is_some_and(at_this) {
                true => "it is the server of `iof dev`: --dev sends its key".into(),
                // `--dev` leads to another server, or to none.
                false => "it is a server of `iof dev`, whose key is in its project: --key \"$(cat target/iof-dev/key)\" sends it from there".into(),
            });
        }
        match words.is_empty() {
            true => String::new(),
            false => format!(" ({})", words.join("; ")),
        }
    }
}

pub(super) fn bearer(key: &str) -> Result<HeaderValue, String> {
    let value = HeaderValue::from_str(&format!("Bearer {key}"));
    let mut value = value.map_err(|_| "--key: it contains characters that no key has")?;
    value.set_sensitive(true);
    Ok(value)
}

/// Refuses to send the key of the environment to a server other than the environment's.
pub(super) fn keep_to_its_server(remote: &Remote) -> Result<(), String> {
    let (Ok(server), Ok(key)) = (std::env::var("IOF_SERVER"), std::env::var("IOF_KEY")) else {
        return Ok(());
    };
    let same = |one: &str, other: &str| one.trim_end_matches('/') == other.trim_end_matches('/');
    match &remote.server {
        Some(named) if !same(named, &server) && remote.key.as_ref() == Some(&key) => Err(format!(
            "IOF_KEY is for the server of IOF_SERVER: got --server {named}. Give the key of that server with --key."
        )),
        _ => Ok(()),
    }
}
