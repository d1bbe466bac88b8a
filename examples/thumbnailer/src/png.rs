//! PNG: decoded row by row.

use crate::answer::Answer;
use crate::body::Body;
use crate::problem::{PIXELS, Problem};
use crate::shrink::{self, Size};
use png::{ColorType, Decoder, DecodingError, Limits, Transformations};

/// The most bytes that the decoder holds beside a row.
const HELD: usize = 4 << 20;

/// Answers with a small picture of a PNG.
pub fn shrink(body: Body, side: u32, answer: &mut Answer) -> Result<(), Problem> {
    let mut decoder = Decoder::new_with_limits(body, Limits { bytes: HELD });
    decoder.set_transformations(Transformations::normalize_to_color8() | Transformations::ALPHA);
    decoder.set_ignore_text_chunk(true);
    decoder.set_ignore_iccp_chunk(true);
    let info = decoder.read_header_info()?;
    let (width, height) = (info.width, info.height);
    Problem::of_pixels(width, height, PIXELS)?;
    if info.interlaced {
        return Err(Problem::Interlaced);
    }
    let mut reader = decoder.read_info()?;
    let is_grey = reader.output_color_type().0 == ColorType::GrayscaleAlpha;
    shrink::shrink(Size::new(width, height, side), answer, |rows| {
        while let Some(row) = reader.next_row()? {
            match is_grey {
                true => rows.push(
                    row.data()
                        .as_chunks()
                        .0
                        .iter()
                        .map(|[grey, alpha]| [*grey, *grey, *grey, *alpha]),
                )?,
                false => rows.push(row.data().as_chunks().0.iter().copied())?,
            }
        }
        Ok(())
    })
}

impl From<DecodingError> for Problem {
    fn from(error: DecodingError) -> Self {
        match error {
            DecodingError::IoError(error) => error.into(),
            error => Self::Broken(error.to_string()),
        }
    }
}
