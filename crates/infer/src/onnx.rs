//! ONNX models run by the operator's onnxruntime, in a worker.
//!
//! The memory that a model needs is not known before: the kernel enforces the limit of its worker.

use bytes::Bytes;
use ort::environment::Environment;
use ort::session::{Session, SessionInputValue};
use ort::value::{
    DynValue, Outlet, PrimitiveTensorElementType, Tensor as Native, TensorElementType, ValueType,
};
use tract_onnx::prelude::f16;

use crate::config::Limits;
use crate::graph::{Dim, Port, onnx_nodes_of};
use crate::library::Library;
use crate::{Description, Error, Format, Signature, Tensor, Type};

/// The runtime of a worker process.
pub(crate) struct Onnx {
    library: Library,
    environment: Environment,
}

/// A model prepared for one signature.
pub(crate) struct OnnxPlan {
    session: Session,
    signature: Signature,
}

impl Onnx {
    pub(crate) fn open(library: Library) -> Result<Onnx, Error> {
        let environment = library.open()?;
        Ok(Onnx {
            library,
            environment,
        })
    }

    /// The version that the library reports.
    pub(crate) fn version(&self) -> String {
        ort::info().to_owned()
    }

    pub(crate) fn describe(&self, file: &[u8], limits: &Limits) -> Result<Description, Error> {
        let nodes = onnx_nodes_of(file, limits)?;
        let session = self.session(file)?;
        Ok(Description {
            format: Format::Onnx,
            nodes,
            inputs: session.inputs().iter().map(port).collect(),
            outputs: session.outputs().iter().map(port).collect(),
        })
    }

    pub(crate) fn plan(
        &self,
        file: &[u8],
        signature: Signature,
        limits: &Limits,
    ) -> Result<OnnxPlan, Error> {
        onnx_nodes_of(file, limits)?;
        let session = self.session(file)?;
        for spec in &signature.inputs {
            let known = session
                .inputs()
                .iter()
                .find(|input| input.name() == spec.name);
            let known = known.map(port).ok_or_else(|| {
                Error::usage(format!("the model has no such input: {:?}", spec.name))
            })?;
            if let Some(ty) = known.ty.filter(|ty| *ty != spec.ty) {
                let (name, requested) = (&spec.name, spec.ty);
                return Err(Error::usage(format!(
                    "the input {name:?} is {ty} in the model: got {requested}"
                )));
            }
            if !fits(&known, &spec.shape) {
                return Err(Error::model(format!(
                    "the model does not load for these inputs: the model has {known}: got {spec}"
                )));
            }
        }
        let outputs = session.outputs();
        for name in &signature.outputs {
            if !outputs.iter().any(|output| output.name() == name) {
                return Err(Error::usage(format!(
                    "the model has no such output: {name:?}"
                )));
            }
        }
        Ok(OnnxPlan { session, signature })
    }

    fn session(&self, file: &[u8]) -> Result<Session, Error> {
        let unusable = |error: ort::Error| {
            let setting = match self.library.providers.as_slice() {
                [] => String::new(),
                names => format!(" with infer.onnxruntime_providers = [{}]", names.join(", ")),
            };
            Error::model(format!(
                "onnxruntime does not load the model{setting}: {error}"
            ))
        };
        let providers = self.library.providers()?;
        let builder = Session::builder(&self.environment).map_err(unusable)?;
        let builder = builder.with_execution_providers(providers);
        let mut builder = builder.map_err(|error| unusable(error.into()))?;
        builder.commit_from_memory(file).map_err(unusable)
    }
}

impl OnnxPlan {
    pub(crate) fn signature(&self) -> &Signature {
        &self.signature
    }

    pub(crate) fn run(&mut self, inputs: &[Tensor], limits: &Limits) -> Result<Vec<Tensor>, Error> {
        let failed = |error: ort::Error| Error::failed(format!("the model failed: {error}"));
        let names = self.signature.inputs.iter();
        let named = names.zip(inputs).map(|(spec, tensor)| {
            let value = to_native(tensor).map_err(failed)?;
            Ok((spec.name.as_str(), value))
        });
        let named: Vec<(&str, SessionInputValue<'_>)> = named.collect::<Result<_, Error>>()?;
        let results = self.session.run(named).map_err(failed)?;
        let requested = &self.signature.outputs;
        let all: Vec<&str> = results.keys().collect();
        let names = match requested.is_empty() {
            true => all,
            false => requested.iter().map(String::as_str).collect(),
        };
        let (mut outputs, mut size) = (Vec::new(), 0);
        for name in names {
            let value = results
                .get(name)
                .ok_or_else(|| Error::failed(format!("the model returned no output {name:?}")))?;
            let output = of_native(name, value, limits.output - size)?;
            size += output.data().len() as u64;
            outputs.push(output);
        }
        Ok(outputs)
    }

    /// Runs the model on zeros, so that the set-up of a first run is done.
    pub(crate) fn try_out(&mut self, limits: &Limits) -> Result<(), Error> {
        let zeros = self.signature.inputs.iter().map(|spec| {
            let data = vec![0; spec.size().unwrap_or_default()];
            Tensor::new(spec.ty, spec.shape.clone(), data.into())
        });
        let zeros: Vec<_> = zeros.collect::<Result<_, _>>()?;
        self.run(&zeros, limits).map(drop)
    }
}

/// Returns whether a shape matches the model's, which may leave dimensions open.
fn fits(port: &Port, shape: &[usize]) -> bool {
    let Some(dims) = &port.shape else { return true };
    let fits = |(dim, n): (&Dim, &usize)| match dim {
        Dim::Fixed(fixed) => fixed == n,
        Dim::Symbol(_) => true,
    };
    dims.len() == shape.len() && dims.iter().zip(shape).all(fits)
}

fn port(outlet: &Outlet) -> Port {
    let (ty, shape) = match outlet.dtype() {
        ValueType::Tensor {
            ty,
            shape,
            dimension_symbols,
        } => {
            let dims = shape.iter().zip(dimension_symbols.iter());
            let dims = dims.map(|(&dim, symbol)| match usize::try_from(dim) {
                Ok(dim) => Dim::Fixed(dim),
                Err(_) if symbol.is_empty() => Dim::Symbol("?".to_owned()),
                Err(_) => Dim::Symbol(symbol.clone()),
            });
            (of_element(*ty), Some(dims.collect()))
        }
        _ => (None, None),
    };
    Port {
        name: outlet.name().to_owned(),
        ty,
        shape,
    }
}

fn of_element(element: TensorElementType) -> Option<Type> {
    Some(match element {
        TensorElementType::Bool => Type::Bool,
        TensorElementType::Uint8 => Type::U8,
        TensorElementType::Uint16 => Type::U16,
        TensorElementType::Uint32 => Type::U32,
        TensorElementType::Uint64 => Type::U64,
        TensorElementType::Int8 => Type::I8,
        TensorElementType::Int16 => Type::I16,
        TensorElementType::Int32 => Type::I32,
        TensorElementType::Int64 => Type::I64,
        TensorElementType::Float16 => Type::F16,
        TensorElementType::Float32 => Type::F32,
        TensorElementType::Float64 => Type::F64,
        _ => return None,
    })
}

/// The tensor in onnxruntime's form, whose elements are aligned.
fn to_native<'v>(tensor: &Tensor) -> ort::Result<SessionInputValue<'v>> {
    fn of<'v, T, const N: usize>(
        tensor: &Tensor,
        value: impl Fn([u8; N]) -> T,
    ) -> ort::Result<SessionInputValue<'v>>
    where
        T: PrimitiveTensorElementType + Clone + std::fmt::Debug + 'static,
    {
        let (elements, _) = tensor.data().as_chunks::<N>();
        let values: Vec<T> = elements.iter().map(|&bytes| value(bytes)).collect();
        let shape: Vec<i64> = tensor.shape().iter().map(|&n| n as i64).collect();
        Ok(Native::from_array((shape, values))?.into())
    }
    match tensor.ty() {
        Type::Bool => of(tensor, |[byte]| byte != 0),
        Type::U8 => of(tensor, |[byte]| byte),
        Type::U16 => of(tensor, u16::from_le_bytes),
        Type::U32 => of(tensor, u32::from_le_bytes),
        Type::U64 => of(tensor, u64::from_le_bytes),
        Type::I8 => of(tensor, i8::from_le_bytes),
        Type::I16 => of(tensor, i16::from_le_bytes),
        Type::I32 => of(tensor, i32::from_le_bytes),
        Type::I64 => of(tensor, i64::from_le_bytes),
        Type::F16 => of(tensor, f16::from_le_bytes),
        Type::F32 => of(tensor, f32::from_le_bytes),
        Type::F64 => of(tensor, f64::from_le_bytes),
    }
}

fn of_native(name: &str, value: &DynValue, room: u64) -> Result<Tensor, Error> {
    let ValueType::Tensor {
        ty: element, shape, ..
    } = value.dtype()
    else {
        return Err(Error::failed(format!(
            "the output {name:?} is not a tensor"
        )));
    };
    let ty = of_element(*element)
        .ok_or_else(|| Error::failed(format!("the output {name:?} is of the type {element:?}")))?;
    let shape: Vec<usize> = shape
        .iter()
        .map(|&n| usize::try_from(n).unwrap_or_default())
        .collect();
    let size = (shape.iter().product::<usize>() as u64).saturating_mul(ty.size() as u64);
    if size > room {
        return Err(Error::limit(format!(
            "the outputs are larger than infer.output: {name:?} takes {size} bytes of the remaining {room}"
        )));
    }
    fn of<T: PrimitiveTensorElementType + Copy, const N: usize>(
        value: &DynValue,
        bytes: impl Fn(T) -> [u8; N],
    ) -> ort::Result<Bytes> {
        let (_, elements) = value.try_extract_tensor::<T>()?;
        let mut data = Vec::with_capacity(elements.len() * N);
        elements
            .iter()
            .for_each(|&element| data.extend(bytes(element)));
        Ok(data.into())
    }
    let data = match ty {
        Type::Bool => of(value, |yes: bool| [u8::from(yes)]),
        Type::U8 => of(value, u8::to_le_bytes),
        Type::U16 => of(value, u16::to_le_bytes),
        Type::U32 => of(value, u32::to_le_bytes),
        Type::U64 => of(value, u64::to_le_bytes),
        Type::I8 => of(value, i8::to_le_bytes),
        Type::I16 => of(value, i16::to_le_bytes),
        Type::I32 => of(value, i32::to_le_bytes),
        Type::I64 => of(value, i64::to_le_bytes),
        Type::F16 => of(value, f16::to_le_bytes),
        Type::F32 => of(value, f32::to_le_bytes),
        Type::F64 => of(value, f64::to_le_bytes),
    };
    let data = data.map_err(|error| Error::failed(format!("the output {name:?}: {error}")))?;
    Tensor::new(ty, shape, data)
}
