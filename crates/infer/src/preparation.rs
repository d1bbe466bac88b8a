//! The options for converting a picture to a tensor, in `model.toml` and on the command line.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::Error;

/// The conversion of a picture to a tensor. Each field has a default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Preparation {
    /// The size to which it is resized. Default: the size of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<Resize>,
    /// The size to which its middle is then cropped. Default: the size of the input.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crop: Option<Size>,
    /// The filter for resizing. Default: bilinear.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub filter: Option<Filter>,
    /// The order of dimensions. Default: the one in which the input has 1 or 3 channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
    /// The factor of each value of 0 to 255. Default: 1/255.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scale: Option<f32>,
    /// The mean, which is then subtracted, for each channel of the model or for all. Default: 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean: Option<Vec<f32>>,
    /// The standard deviation, by which it is then divided, likewise. Default: 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub std: Option<Vec<f32>>,
    /// True if the channels are blue, green, red. Default: red, green, blue.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bgr: Option<bool>,
}

/// A width and a height in pixels, as `WxH`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "each is named as what it is")]
pub struct Size {
    pub width: u32,
    pub height: u32,
}

/// The target of resizing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resize {
    /// This size, whatever the proportions; as `WxH`.
    Exactly(Size),
    /// This length of the shorter side, with the same proportions; as one number.
    Shorter(u32),
}

/// A filter to resize with, by Pillow's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "Pillow documents them")]
pub enum Filter {
    Nearest,
    Box,
    #[default]
    Bilinear,
    Hamming,
    Bicubic,
    Lanczos3,
}

/// The order of dimensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// Batch, channel, row, column.
    Nchw,
    /// Batch, row, column, channel.
    Nhwc,
}

/// The longest side that a picture is resized to: a picture that long counts in pixels, too.
pub(crate) const LONGEST_SIDE: u32 = 16_384;

impl FromStr for Size {
    type Err = Error;

    fn from_str(text: &str) -> Result<Size, Error> {
        let size = text.split_once('x').and_then(|(width, height)| {
            let side = |text: &str| text.parse().ok().filter(|n| (1..=LONGEST_SIDE).contains(n));
            Some(Size {
                width: side(width)?,
                height: side(height)?,
            })
        });
        size.ok_or_else(|| {
            Error::usage(format!(
                "the size is not valid: got {text:?}. Write WxH, such as 224x224, up to {LONGEST_SIDE}"
            ))
        })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for Resize {
    type Err = Error;

    fn from_str(text: &str) -> Result<Resize, Error> {
        match text.parse() {
            Ok(side) if (1..=LONGEST_SIDE).contains(&side) => Ok(Resize::Shorter(side)),
            _ => Ok(Resize::Exactly(text.parse()?)),
        }
    }
}

impl fmt::Display for Resize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Resize::Exactly(size) => size.fmt(f),
            Resize::Shorter(side) => side.fmt(f),
        }
    }
}

macro_rules! as_text {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<$name, D::Error> {
                let text = String::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}

as_text!(Size, Resize);

impl Preparation {
    /// The fields of `over`, or of this preparation where `over` has none.
    pub(crate) fn overlaid(self, over: Preparation) -> Preparation {
        Preparation {
            resize: over.resize.or(self.resize),
            crop: over.crop.or(self.crop),
            filter: over.filter.or(self.filter),
            layout: over.layout.or(self.layout),
            scale: over.scale.or(self.scale),
            mean: over.mean.or(self.mean),
            std: over.std.or(self.std),
            bgr: over.bgr.or(self.bgr),
        }
    }

    /// Refuses numbers without a meaning.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let finite = |values: &[f32]| values.iter().all(|v| v.is_finite());
        for (name, values) in [("mean", &self.mean), ("std", &self.std)] {
            let Some(values) = values else { continue };
            if !matches!(values.len(), 1 | 3) || !finite(values) {
                return Err(Error::usage(format!(
                    "{name} does not have one number, or three for three channels"
                )));
            }
            if name == "std" && values.contains(&0.0) {
                return Err(Error::usage("std contains 0. Write other numbers"));
            }
        }
        match self.scale {
            Some(scale) if !scale.is_finite() => Err(Error::usage("scale is not a finite number")),
            _ => Ok(()),
        }
    }
}
