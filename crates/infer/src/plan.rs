//! A model prepared for one set of shapes, and its runs.
//!
//! A run cannot be stopped while an operator computes, so everything that can be known before is checked before: when
//! all shapes are known, so is the memory. If it is not known (a model that computes shapes from values, or loops),
//! there is no [`Plan::memory`], and the model runs where the kernel enforces the limit. Between two operators a run
//! checks its [`Watch`], so that an abandoned run ends soon.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tract_onnx::prelude::{DatumType, IntoTValue, TVec, TypedModel, TypedSimplePlan};
use tract_onnx::tract_core::internal::DimLike;
use tract_onnx::tract_core::ops::konst::Const;
use tract_onnx::tract_core::ops::logic::IfThenElse;
use tract_onnx::tract_core::ops::scan::{OptScan, Scan};
use tract_onnx::tract_core::ops::submodel::SubmodelOp;
use tract_onnx::tract_core::plan::{SimpleState, eval};

use crate::config::Limits;
use crate::graph::{Graph, unusable};
use crate::{Error, Kind, Spec, Tensor};

/// The signature for which a model is prepared.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Signature {
    /// Its inputs, in the order in which a run gets them.
    pub inputs: Vec<Spec>,
    /// Its outputs, in the order in which a run returns them. Empty: all, in the model's order.
    pub outputs: Vec<String>,
}

/// The deadline of a run, and the flag that its caller has gone.
#[derive(Debug)]
pub struct Watch {
    /// The deadline.
    pub deadline: Instant,
    /// Set when the caller is gone.
    pub abandoned: AtomicBool,
}

impl Watch {
    /// A watch until `deadline`.
    pub fn until(deadline: Instant) -> Watch {
        Watch {
            deadline,
            abandoned: AtomicBool::new(false),
        }
    }

    /// Returns an error when the time is over.
    ///
    /// # Errors
    /// [`Kind::Time`]
    pub fn check(&self) -> Result<(), Error> {
        if self.abandoned.load(Ordering::Relaxed) || Instant::now() >= self.deadline {
            return Err(Error::new(
                Kind::Time,
                "the time was over (the call's deadline, or infer.run_time)",
            ));
        }
        Ok(())
    }
}

/// A model prepared for one [`Signature`]. Runs share it.
pub struct Plan {
    plan: Arc<TypedSimplePlan>,
    inputs: Vec<(Spec, DatumType)>,
    weights: u64,
    memory: Option<u64>,
    output: u64,
}

impl Plan {
    pub(crate) fn new(
        graph: &Graph,
        signature: &Signature,
        limits: &Limits,
    ) -> Result<Plan, Error> {
        let typed = graph.typed(signature)?;
        let mut inputs = Vec::new();
        for (at, spec) in signature.inputs.iter().enumerate() {
            let fact = typed.input_fact(at).map_err(unusable)?;
            inputs.push((spec.clone(), fact.datum_type));
        }
        // Weights that are packed for the processor are inside its operators, and are as large as before.
        let before = weights(&typed);
        let model = typed.into_optimized().map_err(unusable)?;
        let weights = before.max(weights(&model));
        let memory = memory(&model, limits)?;
        let outlets = model.output_outlets().map_err(unusable)?.to_vec();
        let mut output = 0u64;
        for outlet in outlets {
            let fact = model.outlet_fact(outlet).map_err(unusable)?;
            let size = fact_size(fact.shape.as_concrete(), fact.datum_type);
            output = output.saturating_add(size.unwrap_or_default());
        }
        let plan = TypedSimplePlan::new(model).map_err(unusable)?;
        let plan = Plan {
            plan,
            inputs,
            weights,
            memory,
            output,
        };
        plan.output_within(plan.output, limits)?;
        Ok(plan)
    }

    /// Bytes that are kept between runs.
    pub fn weights(&self) -> u64 {
        self.weights
    }

    /// The most bytes of a run's tensors at a time, if that does not depend on their values.
    pub fn memory(&self) -> Option<u64> {
        self.memory
    }

    /// Computes the outputs from inputs in the order of the signature.
    ///
    /// # Errors
    /// [`Kind::Input`] if an input does not match the signature, [`Kind::Time`] by the watch,
    /// [`Kind::Limit`] if the outputs are too large, [`Kind::Failed`] if the model fails.
    pub fn run(
        &self,
        inputs: &[Tensor],
        watch: &Watch,
        limits: &Limits,
    ) -> Result<Vec<Tensor>, Error> {
        watch.check()?;
        if inputs.len() != self.inputs.len() {
            let (has, got) = (self.inputs.len(), inputs.len());
            return Err(Error::input(format!(
                "the number of inputs is not {has}: got {got}"
            )));
        }
        let mut natives = TVec::new();
        for (tensor, (spec, native)) in inputs.iter().zip(&self.inputs) {
            if (tensor.ty(), tensor.shape()) != (spec.ty, &spec.shape) {
                return Err(Error::input(format!("an input does not match {spec}")));
            }
            natives.push(tensor.to_native(*native)?.into_tvalue());
        }
        let failed = |error: tract_onnx::prelude::TractError| match error.downcast::<Error>() {
            Ok(error) => error,
            Err(error) => Error::failed(format!("the model failed: {error:#}")),
        };
        let mut state = SimpleState::new(&self.plan).map_err(failed)?;
        let outputs = state
            .run_plan_with_eval(natives, |context, state, node, inputs| {
                watch.check()?;
                eval(context, state, node, inputs)
            })
            .map_err(failed)?;
        let size = |value: &tract_onnx::prelude::TValue| {
            (value.len() as u64).saturating_mul(value.datum_type().size_of() as u64)
        };
        self.output_within(outputs.iter().map(size).sum(), limits)?;
        outputs
            .iter()
            .map(|value| Tensor::of_native(value))
            .collect()
    }

    /// Runs the model on zeros, which a worker does before the server.
    pub(crate) fn try_out(&self, watch: &Watch, limits: &Limits) -> Result<(), Error> {
        let zeros = |(spec, _): &(Spec, DatumType)| {
            let data = vec![0; spec.size().unwrap_or_default()];
            Tensor::new(spec.ty, spec.shape.clone(), data.into())
        };
        let inputs: Vec<_> = self.inputs.iter().map(zeros).collect::<Result<_, _>>()?;
        self.run(&inputs, watch, limits).map(drop)
    }

    fn output_within(&self, size: u64, limits: &Limits) -> Result<(), Error> {
        if size > limits.output {
            return Err(Error::limit(format!(
                "the outputs take {size} bytes, more than infer.output = {} bytes",
                limits.output
            )));
        }
        Ok(())
    }
}

fn fact_size(shape: Option<&[usize]>, ty: DatumType) -> Option<u64> {
    let mut dims = shape?.iter();
    dims.try_fold(ty.size_of() as u64, |size, &dim| {
        size.checked_mul(dim as u64)
    })
}

/// The bytes of each node's outputs; of constants or of the others. `None` if a shape is unknown, or
/// too large to count.
fn sizes(model: &TypedModel, constants: bool) -> Vec<Option<u64>> {
    let nodes = model.nodes().iter();
    let nodes = nodes.filter(|node| node.op_is::<Const>() == constants);
    let outputs = nodes.flat_map(|node| &node.outputs);
    let size = |fact: &tract_onnx::prelude::TypedFact| {
        // Weights that were packed for the processor have a separate type.
        let packed = fact.exotic_fact().map_or(Some(0), |exotic| {
            let mut sizes = exotic.buffer_sizes().into_iter();
            sizes.try_fold(0u64, |sum, size| {
                sum.checked_add(size.to_usize().ok()? as u64)
            })
        });
        fact_size(fact.shape.as_concrete(), fact.datum_type)?.checked_add(packed?)
    };
    outputs.map(|output| size(&output.fact)).collect()
}

fn weights(model: &TypedModel) -> u64 {
    let sizes = sizes(model, true).into_iter().flatten();
    sizes.fold(0, u64::saturating_add)
}

/// The most bytes of live tensors at a time in a run, or `None` if that cannot be known.
///
/// # Errors
/// An error when it is known, and more than the limit.
fn memory(model: &TypedModel, limits: &Limits) -> Result<Option<u64>, Error> {
    let too_much = |size: &dyn std::fmt::Display| {
        Error::limit(format!(
            "a run takes {size} bytes of memory, more than infer.run_memory = {} bytes",
            limits.run_memory
        ))
    };
    let mut inner = 0u64;
    for node in model.nodes() {
        if node.op_is::<Scan>() || node.op_is::<IfThenElse>() || node.op_is::<SubmodelOp>() {
            return Ok(None);
        }
        if let Some(scan) = node.op_as::<OptScan>() {
            let Some(body) = memory(scan.plan.model(), limits)? else {
                return Ok(None);
            };
            inner = inner.saturating_add(body);
        }
    }
    for size in sizes(model, false) {
        match size {
            None => return Ok(None),
            // After this, a sum over all nodes cannot overflow.
            Some(size) if size > limits.run_memory => return Err(too_much(&size)),
            Some(_) => {}
        }
    }
    let order = model.eval_order_opt_ram().map_err(unusable)?;
    let steps = model.eval_tmp_memory_usage(&order, |node| !node.op_is::<Const>());
    let steps = steps.map_err(unusable)?;
    let peaks: Option<Vec<u64>> = steps
        .iter()
        .map(|(_, size)| Some(size.to_usize().ok()? as u64))
        .collect();
    let Some(peaks) = peaks else { return Ok(None) };
    let peak = peaks
        .into_iter()
        .max()
        .unwrap_or_default()
        .saturating_add(inner);
    if peak > limits.run_memory {
        return Err(too_much(&peak));
    }
    Ok(Some(peak))
}
