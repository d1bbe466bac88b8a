//! The output of `infer`: JSON, NPY, or the best with their labels.

use std::io::{self, Write};

use bytes::Bytes;
use serde::Serialize;
use serde::ser::{SerializeMap, SerializeSeq, Serializer};

use crate::infer::line::Form;
use crate::{Error, Tensor, Type};

/// The form in which outputs are printed.
#[derive(Clone, Debug)]
pub(crate) struct Rendering<'a> {
    pub(crate) form: Form,
    pub(crate) softmax: bool,
    pub(crate) names: &'a [String],
    pub(crate) labels: &'a [String],
    /// The most bytes of stdout.
    pub(crate) most: u64,
}

impl Rendering<'_> {
    pub(crate) fn print(&self, outputs: &[Tensor]) -> Result<Bytes, Error> {
        let mut out = CappedOutput {
            bytes: Vec::new(),
            most: self.most,
            full: false,
        };
        let written = match self.form {
            Form::Json => {
                let all = Named {
                    names: self.names,
                    tensors: outputs,
                };
                line(&mut out, &all)
            }
            Form::Npy => outputs.iter().try_for_each(|tensor| npy(&mut out, tensor)),
            Form::Top(most) => {
                let best = self.best(outputs, most)?;
                line(&mut out, &best)
            }
        };
        match written {
            Ok(()) => Ok(out.bytes.into()),
            Err(_) if out.full => Err(Error::limit(format!(
                "the outputs take more than infer.output = {} bytes when printed",
                self.most
            ))),
            Err(error) => Err(Error::host(format!(
                "the outputs cannot be printed: {error}"
            ))),
        }
    }

    fn best(&self, outputs: &[Tensor], most: usize) -> Result<Vec<Best<'_>>, Error> {
        let Some(first) = outputs.first() else {
            return Err(Error::usage("the model has no output for --top"));
        };
        let mut scores = Vec::new();
        each(first, |value| scores.push(value));
        let rows: usize = first.shape().iter().rev().skip(1).product();
        if rows != 1 && first.shape().len() > 1 {
            return Err(Error::usage(format!(
                "the output has more than one row, which --top does not take: got the shape {:?}. Name another with --output",
                first.shape()
            )));
        }
        if self.softmax {
            // The largest value is subtracted, so that no exponential overflows.
            let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            scores
                .iter_mut()
                .for_each(|score| *score = (*score - largest).exp());
            let sum: f64 = scores.iter().sum();
            scores.iter_mut().for_each(|score| *score /= sum);
        }
        let mut order: Vec<usize> = (0..scores.len()).collect();
        // The first of equal values; NaN comes last.
        let rank = |at: &usize| {
            if scores[*at].is_nan() {
                f64::NEG_INFINITY
            } else {
                scores[*at]
            }
        };
        order.sort_by(|a, b| rank(b).total_cmp(&rank(a)).then(a.cmp(b)));
        let best = order.into_iter().take(most).map(|index| Best {
            index,
            label: self.labels.get(index).map(String::as_str),
            // Printed with the precision of the model.
            score: scores[index] as f32,
        });
        Ok(best.collect())
    }
}

/// `[0.1,0.2]` and a newline: the output of `mobilenet_v2`.
pub(crate) fn flat(tensor: &Tensor, most: u64) -> Result<Bytes, Error> {
    let mut out = CappedOutput {
        bytes: Vec::new(),
        most,
        full: false,
    };
    line(&mut out, &Data(tensor)).map_err(|_| {
        Error::limit(format!(
            "the output takes more than infer.output = {most} bytes when printed"
        ))
    })?;
    Ok(out.bytes.into())
}

#[derive(Serialize)]
struct Best<'a> {
    index: usize,
    label: Option<&'a str>,
    score: f32,
}

struct Named<'a> {
    names: &'a [String],
    tensors: &'a [Tensor],
}

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.tensors.len()))?;
        for (name, tensor) in self.names.iter().zip(self.tensors) {
            let whole = Whole {
                r#type: tensor.ty(),
                shape: tensor.shape(),
                data: Data(tensor),
            };
            map.serialize_entry(name, &whole)?;
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Whole<'a> {
    r#type: Type,
    shape: &'a [usize],
    data: Data<'a>,
}

/// The elements, flat, each in the form of its type: an f32 in as few digits as distinguish it.
/// Infinity and NaN, which JSON lacks, are null.
struct Data<'a>(&'a Tensor);

macro_rules! elements {
    ($tensor:expr, $chunk:ident, $ty:ty => $each:expr) => {{
        let parts = $tensor.data().chunks_exact(size_of::<$ty>());
        parts
            .map(|part| {
                let mut $chunk = [0; size_of::<$ty>()];
                $chunk.copy_from_slice(part);
                <$ty>::from_le_bytes($chunk)
            })
            .for_each($each)
    }};
}

impl Serialize for Data<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tensor = self.0;
        let mut list = serializer.serialize_seq(Some(tensor.data().len() / tensor.ty().size()))?;
        let mut failed = None;
        macro_rules! all {
            ($ty:ty) => {
                elements!(tensor, part, $ty => |value| {
                    if failed.is_none() {
                        failed = list.serialize_element(&value).err();
                    }
                })
            };
        }
        match tensor.ty() {
            Type::Bool => tensor.data().iter().for_each(|&byte| {
                if failed.is_none() {
                    failed = list.serialize_element(&(byte != 0)).err();
                }
            }),
            Type::U8 => all!(u8),
            Type::U16 => all!(u16),
            Type::U32 => all!(u32),
            Type::U64 => all!(u64),
            Type::I8 => all!(i8),
            Type::I16 => all!(i16),
            Type::I32 => all!(i32),
            Type::I64 => all!(i64),
            Type::F32 => all!(f32),
            Type::F64 => all!(f64),
            Type::F16 => each(tensor, |value| {
                if failed.is_none() {
                    failed = list.serialize_element(&(value as f32)).err();
                }
            }),
        }
        match failed {
            Some(error) => Err(error),
            None => list.end(),
        }
    }
}

/// Each element as a number.
fn each(tensor: &Tensor, mut to: impl FnMut(f64)) {
    match tensor.ty() {
        Type::Bool | Type::U8 => elements!(tensor, part, u8 => |v| to(v.into())),
        Type::U16 => elements!(tensor, part, u16 => |v| to(v.into())),
        Type::U32 => elements!(tensor, part, u32 => |v| to(v.into())),
        Type::U64 => elements!(tensor, part, u64 => |v| to(v as f64)),
        Type::I8 => elements!(tensor, part, i8 => |v| to(v.into())),
        Type::I16 => elements!(tensor, part, i16 => |v| to(v.into())),
        Type::I32 => elements!(tensor, part, i32 => |v| to(v.into())),
        Type::I64 => elements!(tensor, part, i64 => |v| to(v as f64)),
        Type::F16 => elements!(tensor, part, u16 => |v| to(half_to_f64(v))),
        Type::F32 => elements!(tensor, part, f32 => |v| to(v.into())),
        Type::F64 => elements!(tensor, part, f64 => to),
    }
}

/// IEEE 754 binary16.
fn half_to_f64(bits: u16) -> f64 {
    let sign = if bits >> 15 == 1 { -1.0 } else { 1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff));
    sign * match exponent {
        0 => fraction * 2f64.powi(-24),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction / 1024.0) * 2f64.powi(exponent - 15),
    }
}

fn line(out: &mut CappedOutput, content: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *out, content)?;
    out.write_all(b"\n")
}

/// An NPY file of version 1.0, as NumPy's `lib.format` describes it.
fn npy(out: &mut CappedOutput, tensor: &Tensor) -> io::Result<()> {
    let dims: Vec<_> = tensor.shape().iter().map(|dim| format!("{dim},")).collect();
    let (ty, shape) = (tensor.ty().npy(), dims.join(" "));
    let mut header = format!("{{'descr': '{ty}', 'fortran_order': False, 'shape': ({shape}), }}");
    // Magic, version, length and header together are a multiple of 64.
    let unpadded = 10 + header.len() + 1;
    let padding = unpadded.next_multiple_of(64) - unpadded;
    header.extend(std::iter::repeat_n(' ', padding));
    header.push('\n');
    let length = u16::try_from(header.len()).map_err(io::Error::other)?;
    out.write_all(b"\x93NUMPY\x01\x00")?;
    out.write_all(&length.to_le_bytes())?;
    out.write_all(header.as_bytes())?;
    out.write_all(tensor.data())
}

/// The output, up to a limit.
struct CappedOutput {
    bytes: Vec<u8>,
    most: u64,
    full: bool,
}

impl Write for CappedOutput {
    fn write(&mut self, part: &[u8]) -> io::Result<usize> {
        if (self.bytes.len() + part.len()) as u64 > self.most {
            self.full = true;
            return Err(io::Error::other("too much output"));
        }
        self.bytes.extend_from_slice(part);
        Ok(part.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    fn rendering(form: Form, names: &[String]) -> Rendering<'_> {
        Rendering {
            form,
            softmax: false,
            names,
            labels: &[],
            most: 1000,
        }
    }

    #[test]
    fn json_has_types_shapes_and_flat_data() {
        let floats = Tensor::of_floats(vec![1, 3], &[0.1, f32::NAN, 1e-9]).unwrap();
        let ints = Tensor::new(Type::I64, vec![], (-7i64).to_le_bytes().to_vec().into()).unwrap();
        let bools = Tensor::new(Type::Bool, vec![2], vec![0, 1].into()).unwrap();
        // 1.0, -2.0, the smallest positive number, infinity
        let halves = [0x3c00u16, 0xc000, 1, 0x7c00]
            .map(u16::to_le_bytes)
            .concat();
        let halves = Tensor::new(Type::F16, vec![4], halves.into()).unwrap();
        let names = ["f", "i", "b", "h"].map(str::to_owned);
        let text = rendering(Form::Json, &names).print(&[floats.clone(), ints, bools, halves]);
        assert_eq!(
            String::from_utf8(text.unwrap().to_vec()).unwrap(),
            "{\"f\":{\"type\":\"f32\",\"shape\":[1,3],\"data\":[0.1,null,1e-9]},\
             \"i\":{\"type\":\"i64\",\"shape\":[],\"data\":[-7]},\
             \"b\":{\"type\":\"bool\",\"shape\":[2],\"data\":[false,true]},\
             \"h\":{\"type\":\"f16\",\"shape\":[4],\"data\":[1.0,-2.0,5.9604645e-8,null]}}\n"
        );
        assert_eq!(&flat(&floats, 99).unwrap()[..], b"[0.1,null,1e-9]\n");
        assert_eq!(flat(&floats, 9).unwrap_err().kind, Kind::Limit);
        let long = Tensor::new(Type::U8, vec![400], vec![255; 400].into()).unwrap();
        let error = rendering(Form::Json, &names).print(&[long]).unwrap_err();
        assert_eq!(error.kind, Kind::Limit);
        assert!(error.to_string().contains("infer.output = 1000"), "{error}");
    }

    #[test]
    fn the_best_come_first_and_have_labels() {
        let labels = ["zero", "one"].map(str::to_owned);
        let scores = Tensor::of_floats(vec![1, 4], &[1.0, f32::NAN, 3.0, 3.0]).unwrap();
        let mut rendering = rendering(Form::Top(3), &[]);
        rendering.labels = &labels;
        let text = rendering.print(std::slice::from_ref(&scores)).unwrap();
        assert_eq!(
            String::from_utf8(text.to_vec()).unwrap(),
            "[{\"index\":2,\"label\":null,\"score\":3.0},{\"index\":3,\"label\":null,\"score\":3.0},\
             {\"index\":0,\"label\":\"zero\",\"score\":1.0}]\n"
        );
        rendering.softmax = true;
        let large = Tensor::of_floats(vec![2], &[1000.0, 1000.0]).unwrap();
        let text = String::from_utf8(rendering.print(&[large]).unwrap().to_vec()).unwrap();
        assert!(
            text.starts_with("[{\"index\":0,\"label\":\"zero\",\"score\":0.5}"),
            "{text}"
        );
        let rows = Tensor::of_floats(vec![2, 1], &[1.0, 2.0]).unwrap();
        assert_eq!(rendering.print(&[rows]).unwrap_err().kind, Kind::Usage);
    }
}
