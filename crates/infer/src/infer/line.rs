//! The command line of `infer`.

use clap::Parser;
use clap::error::ErrorKind;

use crate::preparation::{Filter, Layout, Preparation, Resize, Size};
use crate::{Error, Spec};

/// Run a model of this server on the data on stdin.
#[derive(Clone, Debug, PartialEq, Parser)]
#[command(
    name = "infer",
    no_binary_name = true,
    disable_help_subcommand = true,
    disable_colored_help = true,
    max_term_width = 100,
    term_width = 100,
    override_usage = "infer MODEL [OPTIONS] < TENSORS_OR_PICTURE",
    after_help = "Stdin is the inputs' bytes, one after the other, little-endian and row-major; or a picture \
(PNG, JPEG, GIF, WebP, BMP), if the model is declared to take pictures or an option says so.\n\n\
Exit status: 0 done, 2 usage, 3 no such model or it does not load, 4 stdin does not match, \
5 time over or queue full, 6 a limit was reached, 7 the model failed."
)]
pub(crate) struct Line {
    /// The model's name
    #[arg(value_name = "MODEL")]
    pub(crate) model: String,

    /// An input's name, type (f32, u8, i64, bool, ...) and shape; once for each input, in the
    /// order of stdin. Needed if the model leaves something open
    #[arg(long = "input", value_name = "NAME:TYPE:SHAPE")]
    pub(crate) inputs: Vec<Spec>,

    /// An output to compute, instead of all; once for each
    #[arg(long = "output", value_name = "NAME")]
    pub(crate) outputs: Vec<String>,

    /// Stdin is a picture
    #[arg(long)]
    pub(crate) image: bool,

    /// Stdin is tensors, although the model is declared to take pictures
    #[arg(long, conflicts_with_all = ["image", "resize", "crop", "filter", "layout", "scale", "mean", "std", "bgr"])]
    pub(crate) raw: bool,

    /// Resize to this size, or with one number the shorter side to it [default: the input's size]
    #[arg(long, value_name = "WxH")]
    resize: Option<Resize>,

    /// Then crop the middle to this size [default: the input's size]
    #[arg(long, value_name = "WxH")]
    crop: Option<Size>,

    /// The filter for resizing [default: bilinear]
    #[arg(long)]
    filter: Option<Filter>,

    /// The order of dimensions [default: by the input's shape]
    #[arg(long)]
    layout: Option<Layout>,

    /// Multiply each value of 0 to 255 by this [default: 1/255]
    #[arg(long, value_name = "X", allow_hyphen_values = true)]
    scale: Option<f32>,

    /// Then subtract this, for each channel or for all [default: 0]
    #[arg(
        long,
        value_name = "A,B,C",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    mean: Option<Vec<f32>>,

    /// Then divide by this, likewise [default: 1]
    #[arg(
        long,
        value_name = "A,B,C",
        value_delimiter = ',',
        allow_hyphen_values = true
    )]
    std: Option<Vec<f32>>,

    /// Order the channels as blue, green, red
    #[arg(long)]
    bgr: bool,

    /// Print the outputs as JSON: {"NAME": {"type": ..., "shape": [...], "data": [...]}}
    #[arg(long, group = "form")]
    json: bool,

    /// Print the outputs as NPY files, one after the other
    #[arg(long, group = "form")]
    npy: bool,

    /// Print the K largest values of the first output: [{"index": ..., "label": ..., "score": ...}]
    #[arg(long, value_name = "K", group = "form", value_parser = clap::value_parser!(u32).range(1..))]
    top: Option<u32>,

    /// Convert the output to probabilities before --top
    #[arg(long)]
    pub(crate) softmax: bool,
}

/// The form of the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Json,
    Npy,
    Top(usize),
}

/// A parsed command line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Typed {
    Line(Box<Line>),
    /// `--help`: the text.
    Help(String),
}

impl Line {
    /// Parses all arguments, without the command's name.
    pub(crate) fn parse_args(args: &[String]) -> Result<Typed, Error> {
        match Line::try_parse_from(args) {
            Ok(line) => Ok(Typed::Line(Box::new(line))),
            Err(error) if error.kind() == ErrorKind::DisplayHelp => {
                Ok(Typed::Help(error.to_string()))
            }
            Err(error) => {
                // The problem comes first, then hints and the usage, which --help has in full.
                let text = error.to_string();
                let (problem, _) = text.split_once("\n\n").unwrap_or((&text, ""));
                let problem = problem.strip_prefix("error: ").unwrap_or(problem);
                Err(Error::usage(format!("{problem}. See infer --help")))
            }
        }
    }

    /// The preparation of a picture, if an option says that stdin is one.
    pub(crate) fn preparation(&self) -> Option<Preparation> {
        let preparation = Preparation {
            resize: self.resize,
            crop: self.crop,
            filter: self.filter,
            layout: self.layout,
            scale: self.scale,
            mean: self.mean.clone(),
            std: self.std.clone(),
            bgr: self.bgr.then_some(true),
        };
        (self.image || preparation != Preparation::default()).then_some(preparation)
    }

    /// The form of the output, if an option says it.
    pub(crate) fn form(&self) -> Option<Form> {
        match self {
            Line { json: true, .. } => Some(Form::Json),
            Line { npy: true, .. } => Some(Form::Npy),
            Line { top: Some(k), .. } => Some(Form::Top(*k as usize)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn parse(line: &str) -> Result<Typed, Error> {
        let args: Vec<_> = line.split_whitespace().map(str::to_owned).collect();
        Line::parse_args(&args)
    }

    #[test]
    fn all_options_are_parsed() {
        let line = "mobilenet --input x:f32:1,3,8,8 --output a --output b --image --resize 256 \
                    --crop 224x224 --layout nhwc --scale 1 --mean -1,2,3 --std=4 --bgr --filter bicubic --npy";
        let Ok(Typed::Line(line)) = parse(line) else {
            panic!("{line}")
        };
        let preparation = line.preparation().unwrap();
        assert_eq!(preparation.mean, Some(vec![-1.0, 2.0, 3.0]));
        assert_eq!(
            (preparation.std, preparation.bgr),
            (Some(vec![4.0]), Some(true))
        );
        assert_eq!((line.form(), line.outputs.len()), (Some(Form::Npy), 2));
        let Ok(Typed::Line(line)) = parse("m") else {
            panic!()
        };
        assert_eq!((line.preparation(), line.form()), (None, None));
        // An option about pictures implies that stdin is one.
        let Ok(Typed::Line(line)) = parse("m --bgr --top 5") else {
            panic!()
        };
        assert!(line.preparation().is_some() && line.form() == Some(Form::Top(5)));
    }

    #[test]
    fn every_error_names_the_argument() {
        for (line, expected) in [
            ("", "<MODEL>"),
            ("m n", "'n'"),
            ("m --frob", "--frob"),
            ("m --input", "--input"),
            ("m --input x", "'x' for '--input <NAME:TYPE:SHAPE>'"),
            ("m --input x:f9:1", "unknown type: got \"f9\""),
            ("m --resize big", "--resize"),
            ("m --resize 0x1", "--resize"),
            ("m --resize 99999x1", "16384"),
            ("m --crop 5", "--crop"),
            ("m --layout hwc", "--layout"),
            ("m --scale one", "--scale"),
            ("m --mean 1,b", "--mean"),
            ("m --std", "--std"),
            ("m --top 0", "--top"),
            ("m --top -1", "-1"),
            ("m --json --npy", "--npy"),
            ("m --raw --image", "--image"),
        ] {
            let error = parse(line).unwrap_err();
            assert_eq!(error.kind, Kind::Usage, "{line}");
            let text = error.to_string();
            assert!(text.contains(expected), "{line}: {text}");
            assert!(text.ends_with("See infer --help"), "{text}");
        }
    }

    #[test]
    fn help_prints_the_usage() {
        let Ok(Typed::Help(text)) = parse("--help") else {
            panic!()
        };
        assert!(text.contains("Usage: infer MODEL [OPTIONS]"), "{text}");
        assert!(text.contains("Exit status"), "{text}");
        assert!(!text.contains('\u{1b}'), "colours in {text}");
    }
}
