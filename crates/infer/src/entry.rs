//! The facts about a model before it is loaded for certain inputs.

use std::sync::Arc;

use crate::cache::Key;
use crate::models::Stamp;
use crate::{Declaration, Description, Dim, Error, Port, Signature, Spec};

/// The facts about a model before it is loaded for a signature.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Arc<str>,
    pub(crate) stamp: Stamp,
    pub(crate) size: u64,
    pub(crate) declaration: Declaration,
    pub(crate) labels: Vec<String>,
    pub(crate) description: Description,
    /// The inputs, completed by the declaration.
    pub(crate) specs: Vec<Spec>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
pub(crate) struct EntryKey {
    pub(crate) name: String,
    pub(crate) stamp: Stamp,
}

impl Key for EntryKey {
    fn same_kind(&self, other: &EntryKey) -> bool {
        self.name == other.name
    }
}

impl Entry {
    /// The signature from its file and its declaration, with a batch of one.
    pub(crate) fn signature(&self) -> Result<Signature, Error> {
        Ok(Signature {
            inputs: complete(&self.description, &self.specs)?,
            outputs: self.declaration.outputs.clone(),
        })
    }

    /// Refuses tensors inside of the model: such a tensor may be its weights, which are the operator's, and replacing
    /// one would make it another model.
    pub(crate) fn allow(&self, signature: &Signature) -> Result<(), Error> {
        let names = |ports: &[Port]| {
            let names: Vec<_> = ports.iter().map(|port| port.name.as_str()).collect();
            names.join(", ")
        };
        let (inputs, outputs) = (&self.description.inputs, &self.description.outputs);
        for (at, spec) in signature.inputs.iter().enumerate() {
            let again = signature.inputs[..at]
                .iter()
                .any(|other| other.name == spec.name);
            if again || !inputs.iter().any(|port| port.name == spec.name) {
                return Err(Error::usage(match again {
                    true => format!("the input {:?} is named twice", spec.name),
                    false => format!(
                        "the model has no input {:?}. Name one of {}",
                        spec.name,
                        names(inputs)
                    ),
                }));
            }
        }
        if let Some(missing) = inputs
            .iter()
            .find(|port| !signature.inputs.iter().any(|spec| spec.name == port.name))
        {
            return Err(Error::usage(format!("the input {missing} is missing")));
        }
        for (at, name) in signature.outputs.iter().enumerate() {
            let known = outputs.iter().any(|port| port.name == *name);
            if !known && !self.declaration.outputs.contains(name) {
                let has = names(outputs);
                return Err(Error::usage(format!(
                    "the model has no output {name:?}. Name one of {has}"
                )));
            }
            if signature.outputs[..at].contains(name) {
                return Err(Error::usage(format!("the output {name:?} is named twice")));
            }
        }
        Ok(())
    }

    /// The inputs from the file, completed by the declaration.
    pub(crate) fn inputs(&self) -> Vec<Port> {
        let ports = self.description.inputs.iter().map(|port| {
            let declared = self.specs.iter().find(|spec| spec.name == port.name);
            declared.map_or_else(|| port.clone(), Port::from)
        });
        ports.collect()
    }
}

/// The inputs of a model, completed by the declaration; an open batch size becomes one.
pub(crate) fn complete(description: &Description, declared: &[Spec]) -> Result<Vec<Spec>, Error> {
    let known = |name: &str| description.inputs.iter().any(|port| port.name == name);
    if let Some(stranger) = declared.iter().find(|spec| !known(&spec.name)) {
        return Err(Error::model(format!(
            "model.toml: the model has no input {:?}",
            stranger.name
        )));
    }
    let complete = |port: &Port| {
        if let Some(spec) = declared.iter().find(|spec| spec.name == port.name) {
            return Ok(spec.clone());
        }
        let open = || {
            let name = &port.name;
            Error::usage(format!(
                "the model leaves {port} open. Add --input {name}:TYPE:SHAPE"
            ))
        };
        let dims = port.shape.as_ref().ok_or_else(open)?;
        let dim = |(at, dim): (usize, &Dim)| match dim {
            Dim::Fixed(n) => Ok(*n),
            Dim::Symbol(_) if at == 0 => Ok(1),
            Dim::Symbol(_) => Err(open()),
        };
        Ok(Spec {
            name: port.name.clone(),
            ty: port.ty.ok_or_else(open)?,
            shape: dims.iter().enumerate().map(dim).collect::<Result<_, _>>()?,
        })
    };
    description.inputs.iter().map(complete).collect()
}
