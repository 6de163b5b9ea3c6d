//! Checks that a tensor's bytes are those that its shape declares.

use tract_onnx::pb::TensorProto;
use tract_onnx::pb::tensor_proto::{DataLocation, DataType};

use super::operators::MAX_AXES;

/// Returns how many numbers a tensor has.
pub(super) fn numbers(tensor: &TensorProto) -> Result<u64, String> {
    if tensor.data_location == Some(DataLocation::External as i32) {
        return Err("its data is in another file; export the model as one file".into());
    }
    if tensor.segment.is_some() {
        return Err("it is a segment of a tensor".into());
    }
    let dims = &tensor.dims;
    if dims.len() > MAX_AXES as usize {
        return Err(format!("it has {} axes, at most {MAX_AXES} are supported", dims.len()));
    }
    let declared = dims
        .iter()
        .try_fold(1_u64, |product, dim| product.checked_mul(u64::try_from(*dim).ok()?))
        .ok_or_else(|| format!("its shape {dims:?} is impossible"))?;
    let found = match bytes_per_number(tensor.data_type) {
        None => return Err(format!("its data type {} is not supported", type_name(tensor.data_type))),
        Some(bytes) if !tensor.raw_data.is_empty() => {
            let length = tensor.raw_data.len() as u64;
            length.is_multiple_of(bytes).then_some(length / bytes)
        }
        Some(_) => Some(typed_numbers(tensor) as u64),
    };
    if found == Some(declared) {
        return Ok(declared);
    }
    Err(format!("its shape {dims:?} does not match its data"))
}

/// Returns the size of a number in `raw_data`, if tract can read it.
fn bytes_per_number(data_type: i32) -> Option<u64> {
    Some(match DataType::try_from(data_type).ok()? {
        DataType::Bool | DataType::Int8 | DataType::Uint8 => 1,
        DataType::Float16 | DataType::Int16 | DataType::Uint16 => 2,
        DataType::Float | DataType::Int32 | DataType::Uint32 => 4,
        DataType::Double | DataType::Int64 | DataType::Uint64 => 8,
        _ => return None,
    })
}

/// Returns the length of the field that has the numbers if `raw_data` is empty.
fn typed_numbers(tensor: &TensorProto) -> usize {
    match DataType::try_from(tensor.data_type) {
        Ok(DataType::Float) => tensor.float_data.len(),
        Ok(DataType::Double) => tensor.double_data.len(),
        Ok(DataType::Int64) => tensor.int64_data.len(),
        // ONNX has another field for these, which tract does not read.
        Ok(DataType::Uint32 | DataType::Uint64) => 0,
        _ => tensor.int32_data.len(),
    }
}

fn type_name(data_type: i32) -> String {
    DataType::try_from(data_type).map_or(data_type.to_string(), |known| known.as_str_name().to_owned())
}
