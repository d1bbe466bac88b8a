//! Sessions: who is signed in, in memory only. A restart signs everybody out.
//!
//! A session keeps the key that its holder signed in with, and each request of it is authorised as if it had been sent with
//! that key. So a key that was deleted or has ended opens nothing from the next request on, and nothing decides about
//! access a second time. The browser has only the session's token, whose digest is kept here.

use iof_fault::{Fault, FaultKind};
use parking_lot::Mutex;
use rand::RngExt as _;
use sha2::{Digest, Sha256};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::settings::ConsoleSettings;

/// The digest of a session's token.
type Id = [u8; 32];

/// The sessions of a server.
pub(super) struct Sessions {
    settings: ConsoleSettings,
    /// The time since which uses are counted.
    origin: Instant,
    open: Mutex<HashMap<Id, Arc<Session>>>,
}

/// One session.
pub(super) struct Session {
    id: Id,
    /// The key of its holder; `None` on a server without keys.
    pub(super) key: Option<Box<str>>,
    /// The function whose admin key it is, if its holder said so.
    pub(super) function: Option<i64>,
    /// The token that requests which change something have to repeat, and that no other page can read.
    csrf: Box<str>,
    /// The times of its end and of its last use, in milliseconds after the origin of all sessions.
    ends: u64,
    used: AtomicU64,
    /// Permits of event streams.
    pub(super) streams: Arc<Semaphore>,
    /// Cancelled when it ends, which ends its event streams.
    pub(super) ended: CancellationToken,
}

/// The user of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// A person: the session lasts longer.
    Person,
    /// A page that was left open, and keeps itself up to date.
    Page,
}

impl Session {
    /// The token that requests have to repeat.
    pub(super) fn csrf(&self) -> &str {
        &self.csrf
    }

    /// Returns whether a request repeats the token.
    pub(super) fn repeats(&self, token: &[u8]) -> bool {
        self.csrf.as_bytes().ct_eq(token).into()
    }
}

impl Sessions {
    pub(super) fn new(settings: &ConsoleSettings) -> Self {
        Self {
            settings: settings.clone(),
            origin: Instant::now(),
            open: Mutex::default(),
        }
    }

    /// Opens a session, and returns its token for the browser.
    ///
    /// # Errors
    /// `console-sessions`
    pub(super) fn open(&self, key: Option<&str>, function: Option<i64>) -> Result<String, Fault> {
        let token = random();
        let now = self.now();
        let session = Session {
            id: digest(&token),
            key: key.map(Into::into),
            function,
            csrf: random().into(),
            ends: now.saturating_add(millis(self.settings.session_time)),
            used: AtomicU64::new(now),
            streams: Arc::new(Semaphore::new(self.settings.streams as usize)),
            ended: CancellationToken::new(),
        };
        let mut open = self.open.lock();
        open.retain(|_, session| self.lasts(session, now));
        if open.len() >= self.settings.sessions as usize {
            let message = format!(
                "Sessions of the console are open: {}, as many as console.sessions allows. Sign out elsewhere, or try again later.",
                open.len()
            );
            return Err(Fault::new(FaultKind::ConsoleSessions, message));
        }
        open.insert(session.id, Arc::new(session));
        Ok(token)
    }

    /// The session of a token; `None` if it has ended. It counts as used now, unless only a page that was left open asks.
    pub(super) fn find(&self, token: &str, usage: Use) -> Option<Arc<Session>> {
        let now = self.now();
        let mut open = self.open.lock();
        let id = digest(token);
        let session = Arc::clone(open.get(&id)?);
        if !self.lasts(&session, now) {
            open.remove(&id);
            return None;
        }
        if usage == Use::Person {
            session.used.store(now, Ordering::Relaxed);
        }
        Some(session)
    }

    /// Returns whether a session is still open. Unlike [`Sessions::find`], this does not count as a use: a page that is
    /// only left open does not keep its session.
    pub(super) fn has(&self, session: &Session) -> bool {
        let open = self.open.lock();
        open.contains_key(&session.id) && self.lasts(session, self.now())
    }

    /// Ends a session.
    pub(super) fn end(&self, session: &Session) {
        let mut open = self.open.lock();
        open.remove(&session.id);
        session.ended.cancel();
    }

    /// Ends a session and all others of the same key, in whatever browser they are.
    pub(super) fn end_all(&self, session: &Session) {
        self.end(session);
        let Some(key) = &session.key else {
            return;
        };
        let mut open = self.open.lock();
        open.retain(|_, other| {
            let same = other.key.as_ref() == Some(key);
            if same {
                other.ended.cancel();
            }
            !same
        });
    }

    fn lasts(&self, session: &Session, now: u64) -> bool {
        let used = session.used.load(Ordering::Relaxed);
        let idle = now.saturating_sub(used) >= millis(self.settings.session_idle);
        let lasts = now < session.ends && !idle;
        if !lasts {
            session.ended.cancel();
        }
        lasts
    }

    fn now(&self) -> u64 {
        millis(self.origin.elapsed())
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// 256 random bits as text.
pub(super) fn random() -> String {
    hex::encode(rand::rng().random::<[u8; 32]>())
}

fn digest(token: &str) -> Id {
    Sha256::digest(token).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sessions(sessions: u32, time: u64, idle: u64) -> Sessions {
        Sessions::new(&ConsoleSettings {
            sessions,
            session_time: Duration::from_millis(time),
            session_idle: Duration::from_millis(idle),
            ..ConsoleSettings::default()
        })
    }

    #[test]
    fn a_session_is_found_by_its_token_only() {
        let sessions = sessions(2, 10_000, 10_000);
        let token = sessions.open(Some("k"), None).unwrap();
        let session = sessions.find(&token, Use::Person).unwrap();
        assert!(sessions.find(session.csrf(), Use::Person).is_none());
        assert!(sessions.find("", Use::Person).is_none());
        assert!(session.repeats(session.csrf().as_bytes()));
        assert!(!session.repeats(token.as_bytes()));
        sessions.open(None, None).unwrap();
        let fault = sessions.open(None, None).unwrap_err();
        assert_eq!(fault.kind, FaultKind::ConsoleSessions);
        sessions.end(&session);
        assert!(sessions.find(&token, Use::Person).is_none());
        assert!(session.ended.is_cancelled());
        sessions.open(None, None).unwrap();
    }

    #[test]
    fn the_end_of_a_key_s_sessions_leaves_those_of_others() {
        let sessions = sessions(9, 10_000, 10_000);
        let [a, b, other, none] =
            [Some("k"), Some("k"), Some("o"), None].map(|key| sessions.open(key, None).unwrap());
        let session = sessions.find(&a, Use::Person).unwrap();
        sessions.end_all(&session);
        assert!(
            sessions.find(&a, Use::Person).is_none() && sessions.find(&b, Use::Person).is_none()
        );
        assert!(
            sessions.find(&other, Use::Person).is_some()
                && sessions.find(&none, Use::Person).is_some()
        );
    }

    #[test]
    fn sessions_end_by_age_and_by_rest() {
        let young = sessions(9, 0, 10_000);
        let token = young.open(None, None).unwrap();
        assert!(young.find(&token, Use::Person).is_none());
        let idle = sessions(1, 10_000, 0);
        let token = idle.open(None, None).unwrap();
        assert!(idle.find(&token, Use::Person).is_none());
        // A session that has ended takes no room.
        idle.open(None, None).unwrap();
    }
}
