//! JPEG: decoded to the smallest of the sizes that the format gives without decoding all of it.

use crate::answer::Answer;
use crate::body::Body;
use crate::problem::{PIXELS, PROGRESSIVE_PIXELS, Problem};
use crate::shrink::{self, Size};
use jpeg_decoder::{CodingProcess, Decoder, Error, PixelFormat};

/// Answers with a small picture of a JPEG.
pub fn shrink(body: Body, side: u32, answer: &mut Answer) -> Result<(), Problem> {
    let mut decoder = Decoder::new(body);
    decoder.read_info()?;
    let info = decoder.info().ok_or(Problem::Format)?;
    let (width, height) = (u32::from(info.width), u32::from(info.height));
    let most = match info.coding_process {
        CodingProcess::DctProgressive => PROGRESSIVE_PIXELS,
        _ => PIXELS,
    };
    Problem::of_pixels(width, height, most)?;
    let (to_width, to_height) = Size::new(width, height, side).to();
    // No side of a JPEG is longer.
    let (width, height) = decoder.scale(to_width as u16, to_height as u16)?;
    let pixels = decoder.decode()?;
    let size = Size::new(width.into(), height.into(), side);
    let row = usize::from(width) * info.pixel_format.pixel_bytes();
    shrink::shrink(size, answer, |rows| {
        for row in pixels.chunks_exact(row.max(1)) {
            match info.pixel_format {
                PixelFormat::L8 => rows.push(row.iter().map(|grey| [*grey, *grey, *grey, 255]))?,
                PixelFormat::L16 => rows.push(row.as_chunks().0.iter().map(|bytes| {
                    let [_, grey] = u16::from_ne_bytes(*bytes).to_le_bytes();
                    [grey, grey, grey, 255]
                }))?,
                PixelFormat::RGB24 => rows.push(
                    row.as_chunks()
                        .0
                        .iter()
                        .map(|[red, green, blue]| [*red, *green, *blue, 255]),
                )?,
                PixelFormat::CMYK32 => rows.push(row.as_chunks().0.iter().map(of_cmyk))?,
            }
        }
        Ok(())
    })
}

/// The colour of a pixel of four inks.
fn of_cmyk([cyan, magenta, yellow, black]: &[u8; 4]) -> [u8; 4] {
    let light = |ink: u8| (u16::from(255 - ink) * u16::from(255 - black) / 255) as u8;
    [light(*cyan), light(*magenta), light(*yellow), 255]
}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(error) => error.into(),
            error => Self::Broken(error.to_string()),
        }
    }
}
