//! A model's file, read by tract: its inputs and outputs.
//!
//! This module does not trust the file, and yet a file can do harm here: tract is not made to withstand
//! hostile input, and aborts when memory ends. So the server reads a file only after a worker process
//! has survived it; see [`isolate`](crate::isolate).

use std::fmt;
use std::io::Cursor;

use serde::{Deserialize, Serialize};
use tract_onnx::pb;
use tract_onnx::tract_hir::infer::Factoid;
use tract_onnx::tract_hir::internal::{
    DimLike, Fact, Framework, InferenceFact, InferenceModel, InferenceModelExt, OutletId, TDim,
    TypedFact, TypedModel,
};

use crate::config::Limits;
use crate::plan::{Plan, Signature};
use crate::{Error, Format, Type};

/// One dimension of a tensor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Dim {
    /// A fixed size.
    Fixed(usize),
    /// A size that is known when the model runs; the name is the model's own (`batch`), or `?`.
    Symbol(String),
}

/// An input or an output of a model, as its file declares it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its name.
    pub name: String,
    /// The type of its elements, if the file states it.
    pub ty: Option<Type>,
    /// Its shape, if the file states at least the number of dimensions.
    pub shape: Option<Vec<Dim>>,
}

impl From<&crate::Spec> for Port {
    fn from(spec: &crate::Spec) -> Port {
        Port {
            name: spec.name.clone(),
            ty: Some(spec.ty),
            shape: Some(spec.shape.iter().map(|&n| Dim::Fixed(n)).collect()),
        }
    }
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ty = self.ty.map_or("?".to_owned(), |ty| ty.to_string());
        let dim = |dim: &Dim| match dim {
            Dim::Fixed(n) => n.to_string(),
            Dim::Symbol(name) => name.clone(),
        };
        let shape = self.shape.as_ref().map_or("?".to_owned(), |dims| {
            dims.iter().map(dim).collect::<Vec<_>>().join(",")
        });
        write!(f, "{}:{ty}:{shape}", self.name)
    }
}

/// The description of a model's file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// Its format.
    pub format: Format,
    /// Nodes of its graph.
    pub nodes: usize,
    /// Its inputs.
    pub inputs: Vec<Port>,
    /// Its outputs.
    pub outputs: Vec<Port>,
}

/// A model that was read and not yet prepared for any shape.
pub struct Model {
    format: Format,
    nodes: usize,
    graph: Graph,
}

pub(crate) enum Graph {
    Inferred(InferenceModel),
    Typed(TypedModel),
}

impl Model {
    /// Reads `file` as `format`, or as the format that its content shows.
    ///
    /// # Errors
    /// [`Kind::Model`](crate::Kind::Model), or [`Kind::Limit`](crate::Kind::Limit) naming the
    /// setting. A hostile file can also abort the process.
    pub fn load(file: &[u8], format: Option<Format>, limits: &Limits) -> Result<Model, Error> {
        let format = format.or_else(|| Format::detect(file)).ok_or_else(|| {
            Error::model(
                "the file is neither ONNX nor a TensorFlow frozen graph nor TensorFlow Lite",
            )
        })?;
        let failed =
            |error| Error::model(format!("the file cannot be read as {format}: {error:#}"));
        let mut bytes = Cursor::new(file);
        // The nodes are counted before they are translated, which takes quadratic time.
        let (nodes, graph) = match format {
            Format::Onnx => {
                let onnx = tract_onnx::onnx();
                let proto = onnx.proto_model_for_read(&mut bytes).map_err(failed)?;
                let nodes = proto.graph.as_ref().map_or(0, onnx_nodes);
                within(nodes, limits)?;
                let model = onnx.model_for_proto_model(&proto).map_err(failed)?;
                (nodes, Graph::Inferred(model))
            }
            Format::TensorFlow => {
                let tensorflow = tract_tensorflow::tensorflow();
                let proto = tensorflow
                    .proto_model_for_read(&mut bytes)
                    .map_err(failed)?;
                let nodes = proto.node.len();
                within(nodes, limits)?;
                let model = tensorflow.model_for_proto_model(&proto).map_err(failed)?;
                (nodes, Graph::Inferred(model))
            }
            Format::TfLite => {
                let tflite = tract_tflite::tflite();
                let proto = tflite.proto_model_for_read(&mut bytes).map_err(failed)?;
                let graphs = proto.root().subgraphs();
                let nodes = graphs
                    .filter(|graphs| !graphs.is_empty())
                    .map(|graphs| graphs.get(0).operators().map_or(0, |all| all.len()));
                let nodes = nodes.ok_or_else(|| Error::model("the file has no graph"))?;
                within(nodes, limits)?;
                let model = tflite.model_for_proto_model(&proto).map_err(failed)?;
                (nodes, Graph::Typed(model))
            }
        };
        if nodes == 0 {
            return Err(Error::model("the file has a graph without nodes"));
        }
        Ok(Model {
            format,
            nodes,
            graph,
        })
    }

    /// The inputs and outputs.
    pub fn describe(&self) -> Description {
        let (inputs, outputs) = match &self.graph {
            Graph::Inferred(graph) => {
                let port = |name: String, fact: &InferenceFact| inferred_port(name, fact);
                (
                    ports(&graph.inputs, |outlet| {
                        let node = graph.nodes().get(outlet.node)?;
                        Some(port(
                            node.name.clone(),
                            &node.outputs.get(outlet.slot)?.fact,
                        ))
                    }),
                    ports(&graph.outputs, |outlet| {
                        let node = graph.nodes().get(outlet.node)?;
                        let label = graph
                            .outlet_label(outlet)
                            .filter(|_| self.format == Format::Onnx);
                        let name = label.map_or_else(|| node.name.clone(), str::to_owned);
                        Some(port(name, &node.outputs.get(outlet.slot)?.fact))
                    }),
                )
            }
            Graph::Typed(graph) => {
                let port = |outlet: OutletId| {
                    let node = graph.nodes().get(outlet.node)?;
                    let label = graph.outlet_label(outlet);
                    let name = label.map_or_else(|| node.name.clone(), str::to_owned);
                    Some(typed_port(name, &node.outputs.get(outlet.slot)?.fact))
                };
                (ports(&graph.inputs, port), ports(&graph.outputs, port))
            }
        };
        Description {
            format: self.format,
            nodes: self.nodes,
            inputs,
            outputs,
        }
    }

    /// Prepares the model for inputs of these types and shapes, and these outputs.
    ///
    /// # Errors
    /// The errors of [`Model::load`]; [`Kind::Usage`](crate::Kind::Usage) if the model lacks an input or
    /// output of the signature.
    pub fn plan(&self, signature: &Signature, limits: &Limits) -> Result<Plan, Error> {
        Plan::new(&self.graph, signature, limits)
    }
}

/// The number of nodes of an ONNX model, which another runtime reads.
///
/// # Errors
/// The errors of [`Model::load`].
pub(crate) fn onnx_nodes_of(file: &[u8], limits: &Limits) -> Result<usize, Error> {
    let proto = tract_onnx::onnx().proto_model_for_read(&mut Cursor::new(file));
    let proto = proto
        .map_err(|error| Error::model(format!("the file cannot be read as ONNX: {error:#}")))?;
    let nodes = proto.graph.as_ref().map_or(0, onnx_nodes);
    within(nodes, limits)?;
    Ok(nodes)
}

fn within(nodes: usize, limits: &Limits) -> Result<(), Error> {
    if nodes > limits.nodes {
        let most = limits.nodes;
        return Err(Error::limit(format!(
            "the model has {nodes} nodes, more than infer.model_nodes = {most}"
        )));
    }
    Ok(())
}

/// The nodes of a graph and of the graphs in its nodes' attributes. Recursion ends: protobuf that is
/// nested deeper than a hundred messages is not decoded.
fn onnx_nodes(graph: &pb::GraphProto) -> usize {
    let inner = |node: &pb::NodeProto| -> usize {
        let graphs = node
            .attribute
            .iter()
            .flat_map(|a| a.g.iter().chain(&a.graphs));
        graphs.map(onnx_nodes).sum()
    };
    graph.node.iter().map(|node| 1 + inner(node)).sum::<usize>() + graph.initializer.len()
}

fn ports(outlets: &[OutletId], port: impl Fn(OutletId) -> Option<Port>) -> Vec<Port> {
    outlets.iter().filter_map(|&outlet| port(outlet)).collect()
}

fn inferred_port(name: String, fact: &InferenceFact) -> Port {
    let shape = (!fact.shape.is_open()).then(|| {
        let dims = fact.shape.dims();
        dims.map(|d| {
            d.concretize()
                .map_or(Dim::Symbol("?".to_owned()), |d| dim(&d))
        })
        .collect()
    });
    Port {
        name,
        ty: fact.datum_type().and_then(Type::of_native),
        shape,
    }
}

fn typed_port(name: String, fact: &TypedFact) -> Port {
    Port {
        name,
        ty: Type::of_native(fact.datum_type),
        shape: Some(fact.shape.iter().map(dim).collect()),
    }
}

fn dim(dim: &TDim) -> Dim {
    match dim.to_usize() {
        Ok(n) => Dim::Fixed(n),
        // The importer gives names to dimensions that the file leaves open.
        Err(_) if dim.to_string().starts_with("unk__") => Dim::Symbol("?".to_owned()),
        Err(_) => Dim::Symbol(dim.to_string()),
    }
}

impl Graph {
    /// The graph with the inputs and outputs of the signature, types and shapes known.
    pub(crate) fn typed(&self, signature: &Signature) -> Result<TypedModel, Error> {
        let names = || signature.inputs.iter().map(|spec| spec.name.as_str());
        let not_there =
            |port: &str, error| Error::usage(format!("the model has no such {port}: {error:#}"));
        match self {
            Graph::Inferred(graph) => {
                let mut graph = graph.clone();
                graph
                    .set_input_names(names())
                    .map_err(|e| not_there("input", e))?;
                if graph.inputs.len() != signature.inputs.len() {
                    return Err(Error::usage("an input names a node that is not a tensor"));
                }
                for (at, spec) in signature.inputs.iter().enumerate() {
                    let known = graph
                        .input_fact(at)
                        .ok()
                        .and_then(InferenceFact::datum_type);
                    let native = native_type(spec, known)?;
                    let fact = InferenceFact::dt_shape(native, &*spec.shape);
                    graph.set_input_fact(at, fact).map_err(unusable)?;
                }
                if !signature.outputs.is_empty() {
                    graph
                        .select_outputs_by_name(&signature.outputs)
                        .map_err(|e| not_there("output", e))?;
                }
                graph.into_typed().map_err(unusable)
            }
            Graph::Typed(graph) => {
                let mut graph = graph.clone();
                graph
                    .set_input_names(names())
                    .map_err(|e| not_there("input", e))?;
                for (at, spec) in signature.inputs.iter().enumerate() {
                    let fact = graph.input_fact(at).map_err(unusable)?;
                    native_type(spec, Some(fact.datum_type))?;
                    if fact.shape.as_concrete() != Some(&*spec.shape) {
                        return Err(Error::usage(format!(
                            "the input {:?} has the fixed shape {}",
                            spec.name,
                            typed_port(String::new(), fact)
                        )));
                    }
                }
                if !signature.outputs.is_empty() {
                    graph
                        .select_outputs_by_name(&signature.outputs)
                        .map_err(|e| not_there("output", e))?;
                }
                Ok(graph)
            }
        }
    }
}

/// The type of an input: that of the signature, quantised as in the model.
fn native_type(
    spec: &crate::Spec,
    known: Option<tract_onnx::prelude::DatumType>,
) -> Result<tract_onnx::prelude::DatumType, Error> {
    match known {
        Some(known) if Type::of_native(known) == Some(spec.ty) => Ok(known),
        Some(known) => Err(Error::usage(format!(
            "the input {:?} is {} in the model: got {}",
            spec.name,
            Type::of_native(known).map_or(format!("{known:?}"), |ty| ty.to_string()),
            spec.ty
        ))),
        None => Ok(spec.ty.native()),
    }
}

/// The error that tract does not support these shapes, or the model at all.
pub(crate) fn unusable(error: tract_onnx::prelude::TractError) -> Error {
    Error::model(format!(
        "the model does not load for these inputs: {error:#}"
    ))
}
