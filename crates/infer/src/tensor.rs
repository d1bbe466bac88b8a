//! Tensors in their transport form: a type, a shape, and bytes, little-endian and row-major.
//!
//! tract's own tensors are used only inside this file, so that the API does not change with a version
//! of tract, and so that bytes of a guest become values only after a check that they are valid: any
//! bytes are valid integers and floats, but a bool is 0 or 1.

use std::fmt;
use std::str::FromStr;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tract_onnx::prelude::DatumType;
use tract_onnx::tract_hir::internal::Tensor as Native;

use crate::Error;

#[cfg(not(target_endian = "little"))]
compile_error!(
    "the processor is not little-endian, the byte order of tensors, which are copied unchanged"
);

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "each is named as what it is")]
pub enum Type {
    Bool,
    U8,
    U16,
    U32,
    U64,
    I8,
    I16,
    I32,
    I64,
    F16,
    F32,
    F64,
}

/// Each type with its name, its size in bytes, its name in NPY, and tract's type.
const TYPES: [(Type, &str, usize, &str, DatumType); 12] = [
    (Type::Bool, "bool", 1, "|b1", DatumType::Bool),
    (Type::U8, "u8", 1, "|u1", DatumType::U8),
    (Type::U16, "u16", 2, "<u2", DatumType::U16),
    (Type::U32, "u32", 4, "<u4", DatumType::U32),
    (Type::U64, "u64", 8, "<u8", DatumType::U64),
    (Type::I8, "i8", 1, "|i1", DatumType::I8),
    (Type::I16, "i16", 2, "<i2", DatumType::I16),
    (Type::I32, "i32", 4, "<i4", DatumType::I32),
    (Type::I64, "i64", 8, "<i8", DatumType::I64),
    (Type::F16, "f16", 2, "<f2", DatumType::F16),
    (Type::F32, "f32", 4, "<f4", DatumType::F32),
    (Type::F64, "f64", 8, "<f8", DatumType::F64),
];

impl Type {
    fn row(self) -> &'static (Type, &'static str, usize, &'static str, DatumType) {
        // The table is in the order of the variants, which a test checks.
        &TYPES[self as usize]
    }

    /// Bytes of one element.
    pub fn size(self) -> usize {
        self.row().2
    }

    /// The name in an NPY header.
    pub(crate) fn npy(self) -> &'static str {
        self.row().3
    }

    pub(crate) fn native(self) -> DatumType {
        self.row().4
    }

    /// The type of tract's elements; quantised types are the integers in which they are stored.
    pub(crate) fn of_native(native: DatumType) -> Option<Type> {
        let plain = native.unquantized();
        TYPES.iter().find(|row| row.4 == plain).map(|row| row.0)
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().1)
    }
}

impl FromStr for Type {
    type Err = Error;

    fn from_str(text: &str) -> Result<Type, Error> {
        let row = TYPES.iter().find(|row| row.1 == text);
        row.map(|row| row.0).ok_or_else(|| {
            let names: Vec<_> = TYPES.iter().map(|row| row.1).collect();
            Error::usage(format!(
                "unknown type: got {text:?}. Use one of {}",
                names.join(", ")
            ))
        })
    }
}

/// A tensor's name, type and shape: `NAME:TYPE:SHAPE` as in `image:f32:1,3,224,224`, where a scalar
/// has an empty SHAPE. A name may contain colons.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Spec {
    /// The tensor's name in the model.
    pub name: String,
    /// The type of its elements.
    pub ty: Type,
    /// Its dimensions, of which none is 0.
    pub shape: Vec<usize>,
}

impl Spec {
    /// The bytes of such a tensor, if they can be counted.
    pub fn size(&self) -> Option<usize> {
        size(self.ty, &self.shape)
    }
}

fn size(ty: Type, shape: &[usize]) -> Option<usize> {
    let mut factors = shape.iter();
    factors.try_fold(ty.size(), |size, &dim| size.checked_mul(dim))
}

impl FromStr for Spec {
    type Err = Error;

    fn from_str(text: &str) -> Result<Spec, Error> {
        let mut parts = text.rsplitn(3, ':');
        let (Some(shape), Some(ty), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(Error::usage(
                "the input is not in its form. Write NAME:TYPE:SHAPE, such as image:f32:1,3,224,224",
            ));
        };
        let dimension = |dim: &str| match dim.parse() {
            Ok(dim) if dim > 0 => Ok(dim),
            _ => Err(Error::usage(format!(
                "the dimension is not valid: got {dim:?}. Write numbers of at least 1, such as 1,3,224,224"
            ))),
        };
        let dims = shape.split(',').filter(|_| !shape.is_empty());
        let spec = Spec {
            name: name.to_owned(),
            ty: ty.parse()?,
            shape: dims.map(dimension).collect::<Result<_, _>>()?,
        };
        match spec.size() {
            Some(_) if spec.shape.len() <= MAX_RANK => Ok(spec),
            _ => Err(Error::usage(format!("the shape {shape} is too large"))),
        }
    }
}

/// The most dimensions; no model has more.
const MAX_RANK: usize = 16;

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shape: Vec<_> = self.shape.iter().map(usize::to_string).collect();
        write!(f, "{}:{}:{}", self.name, self.ty, shape.join(","))
    }
}

/// A typed tensor. Cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tensor {
    ty: Type,
    shape: Vec<usize>,
    data: Bytes,
}

impl Tensor {
    /// A tensor of `data`, little-endian and row-major.
    ///
    /// # Errors
    /// [`Kind::Input`](crate::Kind::Input) if the size of `data` does not match type and shape.
    pub fn new(ty: Type, shape: Vec<usize>, data: Bytes) -> Result<Tensor, Error> {
        if size(ty, &shape) != Some(data.len()) {
            let got = data.len();
            return Err(Error::input(format!(
                "the number of bytes does not match a {ty} tensor of shape {shape:?}: got {got}"
            )));
        }
        Ok(Tensor { ty, shape, data })
    }

    /// A tensor of floats, in the order of their indices.
    ///
    /// # Errors
    /// The errors of [`Tensor::new`].
    pub fn of_floats(shape: Vec<usize>, values: &[f32]) -> Result<Tensor, Error> {
        let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        Tensor::new(Type::F32, shape, bytes.into())
    }

    /// The type of its elements.
    pub fn ty(&self) -> Type {
        self.ty
    }

    /// Its dimensions.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements, little-endian and row-major.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// tract's tensor of the type `native`, which is that of an input and may be quantised.
    pub(crate) fn to_native(&self, native: DatumType) -> Result<Native, Error> {
        if Type::of_native(native) != Some(self.ty) {
            return Err(Error::input(format!("{} is not {native:?}", self.ty)));
        }
        let failed = |error| Error::failed(format!("{error:#}"));
        let mut tensor = Native::zero_dt(native, &self.shape).map_err(failed)?;
        let mut plain = tensor.try_as_plain_ram_mut().map_err(failed)?;
        let bytes = plain.as_bytes_mut();
        if bytes.len() != self.data.len() {
            return Err(Error::input(
                "the size of a tensor does not match its shape",
            ));
        }
        bytes.copy_from_slice(&self.data);
        if self.ty == Type::Bool {
            // A value other than 0 and 1 in a bool is undefined behaviour.
            bytes.iter_mut().for_each(|b| *b = u8::from(*b != 0));
        }
        Ok(tensor)
    }

    pub(crate) fn of_native(native: &Native) -> Result<Tensor, Error> {
        // The caller sees computed shapes as numbers.
        let as_integers;
        let native = if native.datum_type() == DatumType::TDim {
            as_integers = native
                .cast_to::<i64>()
                .map_err(|error| Error::failed(format!("{error:#}")))?;
            &*as_integers
        } else {
            native
        };
        let ty = Type::of_native(native.datum_type()).ok_or_else(|| {
            Error::failed(format!(
                "an output is of the type {:?}",
                native.datum_type()
            ))
        })?;
        let plain = native.try_as_plain_ram();
        let plain = plain.map_err(|error| Error::failed(format!("{error:#}")))?;
        Tensor::new(
            ty,
            native.shape().to_vec(),
            Bytes::copy_from_slice(plain.as_bytes()),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;

    #[test]
    fn the_table_is_in_order() {
        for (at, row) in TYPES.iter().enumerate() {
            assert_eq!(row.0 as usize, at);
            assert_eq!(row.1.parse::<Type>().unwrap(), row.0);
            assert_eq!(row.4.size_of(), row.2);
            assert_eq!(Type::of_native(row.4), Some(row.0));
        }
    }

    #[test]
    fn specs_round_trip_through_their_text() {
        for text in ["image:f32:1,3,224,224", "a:0:i64:7", "scalar:bool:"] {
            assert_eq!(text.parse::<Spec>().unwrap().to_string(), text);
        }
        for (text, says) in [
            ("image", "NAME:TYPE:SHAPE"),
            ("image:f33:1", "unknown type: got \"f33\""),
            ("image:f32:1,0", "the dimension is not valid: got \"0\""),
            ("image:f32:1,-1", "the dimension is not valid: got \"-1\""),
            ("image:f32:1,", "the dimension is not valid: got \"\""),
            ("image:f32:9999999999,9999999999,9999999999", "too large"),
            ("x:u8:1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1", "too large"),
        ] {
            let error = text.parse::<Spec>().unwrap_err();
            assert_eq!(error.kind, Kind::Usage);
            assert!(error.to_string().contains(says), "{text}: {error}");
        }
    }

    #[test]
    fn bytes_round_trip_through_values() {
        let tensor = Tensor::of_floats(vec![2, 2], &[1.0, -2.5, 3.0, f32::MAX]).unwrap();
        let native = tensor.to_native(DatumType::F32).unwrap();
        assert_eq!(Tensor::of_native(&native).unwrap(), tensor);
        assert!(tensor.to_native(DatumType::I32).is_err());
        assert!(Tensor::new(Type::F32, vec![2], Bytes::from_static(b"1234567")).is_err());
        // Only 0 and 1 get into a bool.
        let odd = Tensor::new(Type::Bool, vec![3], Bytes::from_static(&[0, 2, 255])).unwrap();
        let native = odd.to_native(DatumType::Bool).unwrap();
        assert_eq!(&Tensor::of_native(&native).unwrap().data()[..], [0, 1, 1]);
    }
}
