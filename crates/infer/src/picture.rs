//! The conversion of a picture on stdin to a model's input tensor.
//!
//! The steps and their order are those of every training pipeline: decode, turn upright, resize, crop the middle,
//! scale, subtract the mean, divide by the standard deviation, lay out. Filters are named as in Pillow and weigh alike
//! (a filter that shrinks reads every pixel), because models were trained with Pillow. Pictures are untrusted: the size
//! that a file claims is checked before a pixel is decoded.

use std::fmt;
use std::io::Cursor;

use fast_image_resize::images::Image;
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use image::{DynamicImage, ImageDecoder, ImageError, ImageReader, Limits};

use crate::preparation::LONGEST_SIDE;
use crate::{Dim, Error, Filter, Layout, Port, Preparation, Resize, Size, Spec, Tensor, Type};

/// A preparation for one input of a model.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Picture {
    pub(crate) spec: Spec,
    layout: Layout,
    channels: usize,
    size: Size,
    preparation: Preparation,
}

impl Picture {
    /// The conversion of pictures to the input `port`, of which the batch size is 1 if it is open.
    pub(crate) fn new(port: &Port, preparation: Preparation) -> Result<Picture, Error> {
        preparation.check()?;
        let no_picture = || {
            Error::usage(format!(
                "the input {port} is not a picture, which has the dimensions batch, channel (1 or 3), row, column"
            ))
        };
        let ty = port.ty.unwrap_or(Type::F32);
        if !matches!(ty, Type::F32 | Type::U8) {
            return Err(Error::usage(format!(
                "the input is not f32 or u8, which a picture becomes: got {ty}"
            )));
        }
        let dims = port.shape.as_deref().ok_or_else(no_picture)?;
        let [_, dims @ ..] = dims else {
            return Err(no_picture());
        };
        let [first, second, third] = dims else {
            return Err(no_picture());
        };
        let channels = |dim: &Dim| match dim {
            Dim::Fixed(n @ (1 | 3)) => Some(*n),
            _ => None,
        };
        let (layout, count) = match (preparation.layout, channels(first), channels(third)) {
            (Some(Layout::Nchw) | None, Some(count), _) => (Layout::Nchw, count),
            (Some(Layout::Nhwc) | None, _, Some(count)) => (Layout::Nhwc, count),
            (Some(Layout::Nchw), None, _) if matches!(first, Dim::Symbol(_)) => (Layout::Nchw, 3),
            (Some(Layout::Nhwc), _, None) if matches!(third, Dim::Symbol(_)) => (Layout::Nhwc, 3),
            _ => return Err(no_picture()),
        };
        let (height, width) = match layout {
            Layout::Nchw => (second, third),
            Layout::Nhwc => (first, second),
        };
        let size = size(port, width, height, &preparation)?;
        let (rows, columns) = (size.height as usize, size.width as usize);
        let shape = match layout {
            Layout::Nchw => vec![1, count, rows, columns],
            Layout::Nhwc => vec![1, rows, columns, count],
        };
        for values in [&preparation.mean, &preparation.std].into_iter().flatten() {
            if values.len() != 1 && values.len() != count {
                return Err(Error::usage(format!(
                    "mean or std does not have one number or {count}"
                )));
            }
        }
        let counts = [&preparation.mean, &preparation.std];
        if ty == Type::U8 && (preparation.scale.is_some() || counts.iter().any(|v| v.is_some())) {
            return Err(Error::usage(
                "scale, mean and std are only for f32: got an input of u8",
            ));
        }
        Ok(Picture {
            spec: Spec {
                name: port.name.clone(),
                ty,
                shape,
            },
            layout,
            channels: count,
            size,
            preparation,
        })
    }

    /// Decodes `file` and converts it to the input.
    ///
    /// # Errors
    /// [`Kind::Input`](crate::Kind::Input) if it is not a picture,
    /// [`Kind::Limit`](crate::Kind::Limit) if it has too many pixels.
    pub(crate) fn tensor(&self, file: &[u8], most_pixels: u64) -> Result<Tensor, Error> {
        let picture = decode(file, most_pixels)?;
        let (width, height) = (picture.width(), picture.height());
        let pixels = match (self.channels, picture.color().has_color()) {
            (1, false) => picture.into_luma8().into_raw(),
            (1, true) => grey(&picture.into_rgb8()),
            _ => picture.into_rgb8().into_raw(),
        };
        let size = Size { width, height };
        let pixels = self.resized(pixels, size, most_pixels)?;
        match self.spec.ty {
            Type::U8 => {
                let mut bytes = vec![0; pixels.len()];
                self.lay_out(&pixels, &mut bytes, |value, _| value);
                Tensor::new(Type::U8, self.spec.shape.clone(), bytes.into())
            }
            _ => {
                let preparation = &self.preparation;
                let scale = preparation.scale.unwrap_or(1.0 / 255.0);
                let of = |values: &Option<Vec<f32>>, channel: usize, default| match values {
                    Some(values) => values
                        .get(channel)
                        .or(values.first())
                        .copied()
                        .unwrap_or(default),
                    None => default,
                };
                // A value has 256 possibilities, so it is looked up and not computed.
                let tables: Vec<Vec<f32>> = (0..self.channels)
                    .map(|channel| {
                        let mean = of(&preparation.mean, channel, 0.0);
                        let std = of(&preparation.std, channel, 1.0);
                        (0..=255u8)
                            .map(|v| (f32::from(v) * scale - mean) / std)
                            .collect()
                    })
                    .collect();
                let mut values = vec![0f32; pixels.len()];
                self.lay_out(&pixels, &mut values, |value, channel| {
                    tables[channel][usize::from(value)]
                });
                Tensor::of_floats(self.spec.shape.clone(), &values)
            }
        }
    }

    /// The pixels, interleaved, at the size of the input.
    fn resized(&self, pixels: Vec<u8>, from: Size, most_pixels: u64) -> Result<Vec<u8>, Error> {
        let to = match self.preparation.resize {
            None => self.size,
            Some(Resize::Exactly(size)) => size,
            Some(Resize::Shorter(side)) => {
                let (width, height) = (u64::from(from.width), u64::from(from.height));
                // Rounded down, as in torchvision.
                let scaled = |long: u64, short: u64| {
                    u32::try_from(u64::from(side) * long / short).unwrap_or(u32::MAX)
                };
                match width < height {
                    true => Size {
                        width: side,
                        height: scaled(height, width),
                    },
                    false => Size {
                        width: scaled(width, height),
                        height: side,
                    },
                }
            }
        };
        let between = Size {
            width: to.width,
            height: to.height.max(from.height),
        };
        if u64::from(between.width) * u64::from(between.height) > most_pixels {
            return Err(too_many_pixels(between, most_pixels));
        }
        let failed = |error: &dyn fmt::Display| Error::failed(format!("resizing failed: {error}"));
        let kind = match self.channels {
            1 => PixelType::U8,
            _ => PixelType::U8x3,
        };
        let pixels = if to == from {
            pixels
        } else {
            let source = Image::from_vec_u8(from.width, from.height, pixels, kind);
            let source = source.map_err(|e| failed(&e))?;
            // Rows first and then columns, as in Pillow: overshoots of a filter are clamped in between, so that
            // the order matters.
            let mut between = Image::new(to.width, from.height, kind);
            let mut target = Image::new(to.width, to.height, kind);
            let options = ResizeOptions::new().resize_alg(algorithm(self.preparation.filter));
            let mut resizer = Resizer::new();
            resizer
                .resize(&source, &mut between, &options)
                .and_then(|()| resizer.resize(&between, &mut target, &options))
                .map_err(|e| failed(&e))?;
            target.into_vec()
        };
        if to == self.size {
            return Ok(pixels);
        }
        let size = self.size;
        if to.width < size.width || to.height < size.height {
            return Err(Error::usage(format!(
                "{size} cannot be cropped from {to}. Resize to a larger size"
            )));
        }
        // The offset of the middle, rounded as in torchvision.
        let middle =
            |outer: u32, inner: u32| (f64::from(outer - inner) / 2.0).round_ties_even() as usize;
        let (left, top) = (middle(to.width, size.width), middle(to.height, size.height));
        let row = to.width as usize * self.channels;
        let rows = pixels
            .chunks_exact(row)
            .skip(top)
            .take(size.height as usize);
        let (start, length) = (left * self.channels, size.width as usize * self.channels);
        Ok(rows
            .flat_map(|row| &row[start..start + length])
            .copied()
            .collect())
    }

    /// Writes interleaved pixels in the layout of the input.
    fn lay_out<T>(&self, pixels: &[u8], to: &mut [T], value: impl Fn(u8, usize) -> T) {
        let channels = self.channels;
        let plane = pixels.len() / channels;
        let bgr = self.preparation.bgr.unwrap_or(false);
        for channel in 0..channels {
            let from = if bgr { channels - 1 - channel } else { channel };
            let source = pixels.iter().skip(from).step_by(channels);
            match self.layout {
                Layout::Nchw => {
                    let target = to[channel * plane..(channel + 1) * plane].iter_mut();
                    target
                        .zip(source)
                        .for_each(|(t, &p)| *t = value(p, channel));
                }
                Layout::Nhwc => {
                    let target = to.iter_mut().skip(channel).step_by(channels);
                    target
                        .zip(source)
                        .for_each(|(t, &p)| *t = value(p, channel));
                }
            }
        }
    }
}

/// The size of the input, or that of the preparation if the input leaves it open.
fn size(port: &Port, width: &Dim, height: &Dim, preparation: &Preparation) -> Result<Size, Error> {
    let prepared = preparation.crop.or(match preparation.resize {
        Some(Resize::Exactly(size)) => Some(size),
        _ => None,
    });
    let side = |dim: &Dim, prepared: Option<u32>| match dim {
        // A picture that is larger than the input is cropped to it; a crop must match the input.
        Dim::Fixed(n) => {
            let n = u32::try_from(*n).ok();
            n.filter(|_| preparation.crop.is_none() || prepared == n)
        }
        Dim::Symbol(_) => prepared,
    };
    let width = side(width, prepared.map(|size| size.width));
    let height = side(height, prepared.map(|size| size.height));
    match (width, height) {
        (Some(width), Some(height))
            if width.max(height) <= LONGEST_SIDE && width.min(height) > 0 =>
        {
            Ok(Size { width, height })
        }
        _ => Err(Error::usage(match prepared {
            None => format!("the input {port} takes pictures of any size. Add --resize WxH"),
            Some(size) => {
                format!("the size of the picture does not match the input {port}: got {size}")
            }
        })),
    }
}

fn algorithm(filter: Option<Filter>) -> ResizeAlg {
    ResizeAlg::Convolution(match filter.unwrap_or_default() {
        Filter::Nearest => return ResizeAlg::Nearest,
        Filter::Box => FilterType::Box,
        Filter::Bilinear => FilterType::Bilinear,
        Filter::Hamming => FilterType::Hamming,
        Filter::Bicubic => FilterType::CatmullRom,
        Filter::Lanczos3 => FilterType::Lanczos3,
    })
}

fn decode(file: &[u8], most_pixels: u64) -> Result<DynamicImage, Error> {
    let undecodable = |error: ImageError| match error {
        ImageError::Limits(error) => Error::limit(format!(
            "the picture takes too much memory for infer.image_pixels = {most_pixels}: {error}"
        )),
        error => Error::input(format!(
            "stdin is not a picture that can be decoded: {error}"
        )),
    };
    let mut reader = ImageReader::new(Cursor::new(file))
        .with_guessed_format()
        .map_err(|error| undecodable(ImageError::IoError(error)))?;
    if reader.format().is_none() {
        return Err(Error::input(
            "stdin is not a picture: it is neither PNG, JPEG, GIF, WebP nor BMP",
        ));
    }
    let mut limits = Limits::no_limits();
    // Up to four channels of 16 bits, and the decoder's own memory.
    limits.max_alloc = Some(most_pixels.saturating_mul(8).saturating_add(1 << 20));
    reader.limits(limits);
    let mut decoder = reader.into_decoder().map_err(undecodable)?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > most_pixels {
        return Err(too_many_pixels(Size { width, height }, most_pixels));
    }
    // Phones store their orientation. A model gets the picture that people see.
    let orientation = decoder.orientation().map_err(undecodable)?;
    let mut picture = DynamicImage::from_decoder(decoder).map_err(undecodable)?;
    picture.apply_orientation(orientation);
    Ok(picture)
}

/// Grey as in Pillow's `convert("L")` (ITU-R 601), and not by the newer weights of `image`.
fn grey(colour: &image::RgbImage) -> Vec<u8> {
    let grey = colour.pixels().map(|pixel| {
        let [r, g, b] = pixel.0.map(u32::from);
        // At most 255: the weights are 65,536 together.
        ((r * 19_595 + g * 38_470 + b * 7_471 + 0x8000) >> 16) as u8
    });
    grey.collect()
}

fn too_many_pixels(size: Size, most: u64) -> Error {
    Error::limit(format!(
        "a picture of {size} has more pixels than infer.image_pixels = {most}"
    ))
}
