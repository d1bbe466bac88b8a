//! The reasons why there is no small picture.

use std::{fmt, io};

/// The most pixels of a picture.
pub const PIXELS: u64 = 64_000_000;
/// The longest side of a picture.
pub const SIDE: u32 = 65_535;
/// The most pixels of a progressive JPEG, whose coefficients are held whole.
pub const PROGRESSIVE_PIXELS: u64 = 10_000_000;

/// A reason why there is no small picture.
#[derive(Debug)]
pub enum Problem {
    /// The method is not POST.
    Method,
    /// The size that was asked for is not one.
    Size,
    /// The body did not come to its end.
    Body,
    /// The body is neither a PNG nor a JPEG.
    Format,
    /// The picture states more pixels than are decoded.
    Pixels(u64, u64),
    /// The picture states a longer side than is decoded.
    Side(u32),
    /// The first rows of the picture come last.
    Interlaced,
    /// The picture is not as its format says.
    Broken(String),
    /// The client is gone.
    Gone,
}

impl Problem {
    /// The status of the answer.
    pub fn status(&self) -> u16 {
        match self {
            Self::Method => 405,
            Self::Size | Self::Body => 400,
            Self::Format => 415,
            Self::Pixels(..) | Self::Side(_) | Self::Interlaced | Self::Broken(_) | Self::Gone => {
                422
            }
        }
    }

    /// Checks the pixels that a picture states, before anything is held for them.
    pub fn of_pixels(width: u32, height: u32, most: u64) -> Result<(), Self> {
        let (pixels, side) = (u64::from(width) * u64::from(height), width.max(height));
        if side > SIDE {
            return Err(Self::Side(side));
        }
        match pixels > most {
            true => Err(Self::Pixels(pixels, most)),
            false => Ok(()),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Method => f.write_str("Send a picture with POST: the body is the picture."),
            Self::Size => f.write_str("`size` is not a number from 1 to 1024."),
            Self::Body => f.write_str("The picture did not arrive whole."),
            Self::Format => f.write_str("The body is not a picture: send a PNG or a JPEG."),
            Self::Pixels(pixels, most) => {
                write!(
                    f,
                    "The picture has too many pixels: got {pixels}, at most {most}."
                )
            }
            Self::Side(side) => {
                write!(
                    f,
                    "The picture has too long a side: got {side}, at most {SIDE}."
                )
            }
            Self::Interlaced => f.write_str("The PNG is interlaced: send one that is not."),
            Self::Broken(why) => write!(f, "The picture is broken: {why}."),
            Self::Gone => f.write_str("The client is gone."),
        }
    }
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::Gone,
            io::ErrorKind::ConnectionAborted => Self::Body,
            io::ErrorKind::UnexpectedEof => Self::Broken("it ends early".to_owned()),
            _ => Self::Broken(error.to_string()),
        }
    }
}
