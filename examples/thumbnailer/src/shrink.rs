//! A small picture of a large one, row by row: each of its pixels is the mean of those that it stands for.

use crate::answer::Answer;
use crate::problem::Problem;
use png::{BitDepth, ColorType, Encoder, EncodingError, StreamWriter};
use std::io::Write;

/// The rows after which what was compressed leaves.
const ROWS: u32 = 16;

/// Widths and heights of both pictures.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Size {
    from: (u32, u32),
    to: (u32, u32),
}

/// The pixels that one pixel of the small picture stands for. What is transparent has no colour.
#[derive(Clone, Copy, Default)]
struct Sum {
    colours: [u64; 3],
    alpha: u64,
    count: u64,
}

impl Size {
    /// The width and height of the small picture.
    pub fn to(self) -> (u32, u32) {
        self.to
    }

    /// The small picture fits into a square, and is never larger than the large one.
    pub fn new(width: u32, height: u32, side: u32) -> Self {
        let longest = width.max(height);
        let scaled = |length: u32| match longest > side {
            true => (u64::from(length) * u64::from(side) / u64::from(longest)).max(1) as u32,
            false => length,
        };
        Self {
            from: (width, height),
            to: (scaled(width), scaled(height)),
        }
    }
}

/// The pixel of `to` that stands for a pixel of `from`.
fn scaled(at: u32, from: u32, to: u32) -> u32 {
    (u64::from(at) * u64::from(to) / u64::from(from)) as u32
}

impl Sum {
    fn add(&mut self, [red, green, blue, alpha]: [u8; 4]) {
        for (sum, colour) in self.colours.iter_mut().zip([red, green, blue]) {
            *sum += u64::from(colour) * u64::from(alpha);
        }
        self.alpha += u64::from(alpha);
        self.count += 1;
    }

    fn mean(&self) -> [u8; 4] {
        let [red, green, blue] = self.colours.map(|sum| (sum / self.alpha.max(1)) as u8);
        [red, green, blue, (self.alpha / self.count.max(1)) as u8]
    }
}

/// Makes a small picture of the rows that `rows` pushes.
pub fn shrink(
    size: Size,
    answer: &mut Answer,
    rows: impl FnOnce(&mut Rows<'_, '_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let mut encoder = Encoder::new(&mut *answer, size.to.0, size.to.1);
    encoder.set_color(ColorType::Rgba);
    encoder.set_depth(BitDepth::Eight);
    let mut writer = encoder.write_header()?;
    {
        let mut to = Rows {
            size,
            row: 0,
            sums: vec![Sum::default(); size.to.0 as usize],
            writer: writer.stream_writer_with_size(4096)?,
        };
        rows(&mut to)?;
        to.writer.finish()?;
    }
    writer.finish()?;
    answer.end()
}

/// The rows of the large picture, on their way into the small one.
pub struct Rows<'a, 'b> {
    size: Size,
    /// The row of the large picture that comes next.
    row: u32,
    sums: Vec<Sum>,
    writer: StreamWriter<'a, &'b mut Answer>,
}

impl Rows<'_, '_> {
    /// Takes the next row: pixels as red, green, blue and alpha.
    pub fn push(&mut self, pixels: impl Iterator<Item = [u8; 4]>) -> Result<(), Problem> {
        let Size { from, to } = self.size;
        if self.row == from.1 {
            return Ok(());
        }
        for (at, pixel) in (0..from.0).zip(pixels) {
            let at = scaled(at, from.0, to.0) as usize;
            self.sums[at].add(pixel);
        }
        let of = scaled(self.row, from.1, to.1);
        self.row += 1;
        if self.row < from.1 && scaled(self.row, from.1, to.1) == of {
            return Ok(());
        }
        let row: Vec<u8> = self.sums.iter().flat_map(Sum::mean).collect();
        self.sums.fill(Sum::default());
        self.writer.write_all(&row)?;
        if of % ROWS == ROWS - 1 {
            self.writer.flush()?;
        }
        Ok(())
    }
}

impl From<EncodingError> for Problem {
    fn from(error: EncodingError) -> Self {
        match error {
            EncodingError::IoError(error) => error.into(),
            error => Self::Broken(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_picture_fits_and_is_never_larger() {
        for (width, height, to) in [
            (512, 256, (256, 128)),
            (100, 50, (100, 50)),
            (3000, 2, (256, 1)),
            (1, 65_535, (1, 256)),
        ] {
            assert_eq!(Size::new(width, height, 256).to, to, "{width} {height}");
        }
    }

    #[test]
    fn every_row_and_pixel_has_its_own() {
        for (from, to) in [(7, 3), (256, 256), (65_535, 256), (2, 1)] {
            let all: Vec<_> = (0..from).map(|at| scaled(at, from, to)).collect();
            assert_eq!((all[0], all[from as usize - 1]), (0, to - 1));
            assert!(
                all.windows(2).all(|two| two[1] - two[0] <= 1),
                "{from} {to}"
            );
        }
    }

    #[test]
    fn what_is_transparent_has_no_colour() {
        let mut sum = Sum::default();
        sum.add([200, 0, 0, 255]);
        sum.add([0, 255, 0, 0]);
        assert_eq!(sum.mean(), [200, 0, 0, 127]);
        assert_eq!(Sum::default().mean(), [0; 4]);
    }
}
