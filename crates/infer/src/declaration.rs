//! `model.toml`: the operator's declaration of a model, so that functions need not state it.

use serde::{Deserialize, Serialize};

use crate::preparation::Preparation;
use crate::{Error, Kind, Spec};

/// The fields of `model.toml`. The default is that of a model without one.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declaration {
    /// A description of the model, for people.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The inputs as `NAME:TYPE:SHAPE`, if the file leaves something open.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub inputs: Vec<String>,
    /// The outputs to compute, if not all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<String>,
    /// The number of best values of the output that are printed with their labels, unless an option overrides it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top: Option<usize>,
    /// True if the output is converted to probabilities before the best are selected.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub softmax: bool,
    /// True if the model runs in a process of its own, although its memory is bounded.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
    /// The conversion of a picture to the input. Without it, stdin is tensors unless `--image` is given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<Preparation>,
}

impl Declaration {
    /// Parses the text of a `model.toml`.
    ///
    /// # Errors
    /// [`Kind::Model`], with the line of the error.
    pub fn parse(text: &str) -> Result<Declaration, Error> {
        let wrong = |error: &dyn std::fmt::Display| Error::model(format!("model.toml: {error}"));
        let declaration: Declaration = toml::from_str(text).map_err(|e| wrong(&e))?;
        declaration.specs()?;
        if let Some(image) = &declaration.image {
            image.check().map_err(|e| wrong(&e))?;
        }
        Ok(declaration)
    }

    /// The parsed [`Declaration::inputs`].
    pub(crate) fn specs(&self) -> Result<Vec<Spec>, Error> {
        let parse = |text: &String| {
            let wrong = |error| Error::new(Kind::Model, format!("model.toml: inputs: {error}"));
            text.parse().map_err(wrong)
        };
        self.inputs.iter().map(parse).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preparation::{Filter, Layout, Resize, Size};

    #[test]
    fn a_declaration_is_readable() {
        let text = r#"
            description = "handwritten digits"
            inputs = ["image:f32:1,1,8,8"]
            top = 3
            softmax = true

            [image]
            resize = "256"
            crop = "224x200"
            filter = "lanczos3"
            layout = "nhwc"
            scale = 1.0
            mean = [1, 2, 3]
            std = [4]
            bgr = true
        "#;
        let declaration = Declaration::parse(text).unwrap();
        let image = declaration.image.clone().unwrap();
        assert_eq!(image.resize, Some(Resize::Shorter(256)));
        assert_eq!(
            image.crop,
            Some(Size {
                width: 224,
                height: 200
            })
        );
        assert_eq!(
            (image.filter, image.layout),
            (Some(Filter::Lanczos3), Some(Layout::Nhwc))
        );
        let again = Declaration::parse(&toml::to_string(&declaration).unwrap()).unwrap();
        assert_eq!(again, declaration);
        assert_eq!(Declaration::parse("").unwrap(), Declaration::default());
        for (text, says) in [
            ("tops = 1", "tops"),
            ("inputs = [\"x\"]", "NAME:TYPE:SHAPE"),
            ("[image]\nresize = \"0x1\"", "resize"),
            ("[image]\nstd = [0]", "std"),
            ("[image]\nmean = [1, 2]", "mean"),
            ("[image]\nfilter = \"best\"", "filter"),
        ] {
            let error = Declaration::parse(text).unwrap_err();
            assert_eq!(error.kind, Kind::Model);
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
    }
}
