//! The validity of certificates, and the warning before they expire.
//!
//! Clients refuse a chain with an expired certificate (RFC 5280, section 6.1.3), so every certificate that is sent
//! counts.

use crate::time::time;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;
use yasna::tags::TAG_UTCTIME;
use yasna::{ASN1Result, BERReader, BERReaderSeq, Tag};

/// The time before the expiry of a certificate at which warnings begin: half of the rest when a certificate of 90 days
/// is renewed.
const SOON: Duration = Duration::from_secs(14 * DAY);
const DAY: u64 = 24 * 60 * 60;

/// The period in which all certificates of a chain are valid, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Validity {
    from: i64,
    until: i64,
}

/// The reason why clients refuse a chain, or will soon refuse it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expiry {
    /// It is not valid yet.
    NotYet {
        /// The beginning of its validity.
        from: i64,
    },
    /// It is valid for a few more days.
    Soon {
        /// The number of days.
        days: u64,
        /// The end of its validity.
        until: i64,
    },
    /// It has expired.
    Ended {
        /// The end of its validity.
        until: i64,
    },
}

impl Validity {
    /// The validity of the certificates in a PEM file.
    ///
    /// # Errors
    /// A sentence that states why it cannot be read.
    pub fn of_pem(pem: &[u8]) -> Result<Self, String> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(pem)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        Self::of(&chain)
    }

    pub(super) fn of(chain: &[CertificateDer<'_>]) -> Result<Self, String> {
        let mut all: Option<Self> = None;
        for certificate in chain {
            let one = yasna::parse_der(certificate, |reader| validity(reader))
                .map_err(|error| format!("a certificate cannot be read: {error}"))?;
            all = Some(all.map_or(one, |all| Self {
                from: all.from.max(one.from),
                until: all.until.min(one.until),
            }));
        }
        all.ok_or_else(|| "no certificate in it".to_owned())
    }

    /// The warning that is due at a given time.
    #[must_use]
    pub fn expiry(self, now: SystemTime) -> Option<Expiry> {
        let now = now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        let left = self.until.saturating_sub_unsigned(now);
        let (from, until) = (self.from, self.until);
        match u64::try_from(left) {
            Err(_) => Some(Expiry::Ended { until }),
            Ok(_) if from.saturating_sub_unsigned(now) > 0 => Some(Expiry::NotYet { from }),
            Ok(left) if left < SOON.as_secs() => Some(Expiry::Soon {
                days: left / DAY,
                until,
            }),
            Ok(_) => None,
        }
    }
}

/// Reads the validity of a certificate (RFC 5280, section 4.1).
fn validity(certificate: BERReader<'_, '_>) -> ASN1Result<Validity> {
    certificate.read_sequence(|parts| {
        let validity = parts.next().read_sequence(|fields| {
            fields.read_optional(|version| {
                version.read_tagged(Tag::context(0), |number| number.read_i64())
            })?;
            // The serial number, the algorithm of the signature, the issuer.
            for _ in 0..3 {
                fields.next().read_der()?;
            }
            let validity = fields.next().read_sequence(|dates| {
                let (from, until) = (unix(dates.next())?, unix(dates.next())?);
                Ok(Validity { from, until })
            })?;
            skip(fields).map(|()| validity)
        })?;
        skip(parts).map(|()| validity)
    })
}

/// A date, in Unix seconds.
fn unix(date: BERReader<'_, '_>) -> ASN1Result<i64> {
    Ok(match date.lookahead_tag()? {
        TAG_UTCTIME => date.read_utctime()?.datetime().unix_timestamp(),
        _ => date.read_generalized_time()?.datetime().unix_timestamp(),
    })
}

/// Skips the rest of a sequence.
fn skip(rest: &mut BERReaderSeq<'_, '_>) -> ASN1Result<()> {
    while rest.read_optional(|one| one.read_der())?.is_some() {}
    Ok(())
}

/// Writes `until` and the end of the validity.
impl fmt::Display for Validity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "until {}", at(self.until))
    }
}

impl fmt::Display for Expiry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotYet { from } => write!(
                f,
                "The certificate is not valid before {}: clients refuse it. Set the clock, or use another one.",
                at(*from)
            ),
            Self::Soon { days, until } => write!(
                f,
                "The certificate expires in {days} day{}, at {}. Renew it: the files are read again when they change.",
                if *days == 1 { "" } else { "s" },
                at(*until)
            ),
            Self::Ended { until } => write!(
                f,
                "The certificate expired at {}: clients refuse it. Renew it: the files are read again when they change.",
                at(*until)
            ),
        }
    }
}

fn at(seconds: i64) -> String {
    time(seconds.saturating_mul(1000))
}

/// A timer for a warning that is repeated once a day.
pub(super) struct DailyWarning {
    given: Instant,
}

impl DailyWarning {
    /// The timer of a warning that was just given.
    pub(super) fn given_now() -> Self {
        Self {
            given: Instant::now(),
        }
    }

    /// Returns whether a day has passed; if so, the day restarts.
    pub(super) fn is_due(&mut self) -> bool {
        let now = Instant::now();
        let is_due = now.duration_since(self.given) >= Duration::from_secs(DAY);
        if is_due {
            self.given = now;
        }
        is_due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(days: u64, seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(days * DAY + seconds)
    }

    #[test]
    fn the_last_two_weeks_and_what_follows_are_warned_of() {
        let day = |day: i64| day * DAY.cast_signed();
        let validity = Validity {
            from: day(10),
            until: day(100),
        };
        let until = day(100);
        for (now, expected) in [
            (after(9, 0), Some(Expiry::NotYet { from: day(10) })),
            (after(10, 0), None),
            (after(86, 0), None),
            (after(86, 1), Some(Expiry::Soon { days: 13, until })),
            (after(100, 0), Some(Expiry::Soon { days: 0, until })),
            (after(100, 1), Some(Expiry::Ended { until })),
        ] {
            assert_eq!(validity.expiry(now), expected, "{now:?}");
        }
    }

    #[test]
    fn what_is_not_a_certificate_is_refused() {
        assert!(Validity::of_pem(b"").is_err());
        let other = b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
        assert!(Validity::of_pem(other).is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_warning_comes_once_a_day() {
        let mut daily = DailyWarning::given_now();
        let mut given = 0;
        for _ in 0..(3 * 24) {
            tokio::time::advance(Duration::from_secs(60 * 60)).await;
            given += u32::from(daily.is_due());
        }
        assert_eq!(given, 3);
    }
}
