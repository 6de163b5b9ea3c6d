//! Weights that are not what their shape declares.

use tract_onnx::pb::tensor_proto::{DataLocation, DataType, Segment};
use tract_onnx::pb::{StringStringEntryProto, TensorProto};

use super::kind::{Kind, graph};
use super::network::{floats, insert, integers, node, tensor};

pub(super) fn kinds() -> Vec<Kind> {
    [shapes(), types(), values(), elsewhere()].into_iter().flatten().collect()
}

/// A kind whose weights of the last convolution are changed.
fn head(name: &'static str, words: &'static str, change: impl FnOnce(&mut TensorProto)) -> Kind {
    graph(name, words, |g| change(&mut g.initializer[1]))
}

fn shapes() -> Vec<Kind> {
    vec![
        head("a shape without data", "does not match its data", |t| t.raw_data.clear()),
        head("2^40 numbers without data", "does not match its data", |t| {
            t.dims = vec![1 << 40];
            t.raw_data.clear();
        }),
        head("a shape whose product overflows", "is impossible", |t| t.dims = vec![1 << 40, 1 << 40, 1, 1]),
        head("a shape whose product overflows to its data", "is impossible", |t| {
            t.dims = vec![1 << 32, 1 << 32, 128];
        }),
        head("a negative dimension", "is impossible", |t| t.dims[0] = -16),
        head("two negative dimensions", "is impossible", |t| t.dims = vec![-16, -8, 1, 1]),
        head("a zero dimension", "does not match its data", |t| t.dims[0] = 0),
        head("no outputs", "", |t| {
            t.dims[0] = 0;
            t.raw_data.clear();
        }),
        head("nine axes", "it has 9 axes", |t| t.dims = vec![128, 1, 1, 1, 1, 1, 1, 1, 1]),
        head("two axes", "", |t| t.dims = vec![16, 8]),
        head("no axes", "", |t| {
            t.dims.clear();
            t.raw_data.truncate(4);
        }),
        head("other channels than the map", "", |t| t.dims = vec![8, 16, 1, 1]),
        head("half a number", "does not match its data", |t| _ = t.raw_data.pop()),
        head("a kernel larger than the map", "", |t| *t = floats("head_weights", &[16, 8, 99, 99])),
    ]
}

fn types() -> Vec<Kind> {
    let of_type =
        |data_type, bytes: usize| tensor("head_weights", data_type, &[16, 8, 1, 1], vec![1; 128 * bytes]);
    vec![
        head("bfloat16", "BFLOAT16 is not supported", |t| *t = of_type(DataType::Bfloat16, 2)),
        head("strings", "STRING is not supported", |t| *t = of_type(DataType::String, 1)),
        head("complex numbers", "COMPLEX64 is not supported", |t| *t = of_type(DataType::Complex64, 8)),
        head("an undefined type", "UNDEFINED is not supported", |t| t.data_type = 0),
        head("an unknown type", "999 is not supported", |t| t.data_type = 999),
        head("half floats", "", |t| *t = of_type(DataType::Float16, 2)),
        head("doubles", "", |t| *t = of_type(DataType::Double, 8)),
        head("integers", "", |t| *t = of_type(DataType::Int64, 8)),
        head("booleans", "", |t| *t = of_type(DataType::Bool, 1)),
    ]
}

fn values() -> Vec<Kind> {
    let all = |number: f32| {
        move |t: &mut TensorProto| {
            t.raw_data = (0..128).flat_map(|_| number.to_le_bytes()).collect();
        }
    };
    vec![
        head("weights that are not numbers", "not finite", all(f32::NAN)),
        head("infinite weights", "not finite", all(f32::INFINITY)),
        graph("constants that broadcast to 10^12 numbers", "too many numbers from constants", |g| {
            g.initializer.extend([floats("column", &[1_000_000, 1]), floats("row", &[1, 1_000_000])]);
            let product = node("Mul", &["column", "row"], "product", vec![]);
            insert(g, vec![product, node("Add", &["head", "product"], "sum", vec![])]);
        }),
        graph("a product of constants of 10^12 numbers", "export the model with constants folded", |g| {
            g.initializer.extend([floats("column", &[1_000_000, 1]), floats("row", &[1, 1_000_000])]);
            let product = node("MatMul", &["column", "row"], "product", vec![]);
            insert(g, vec![product, node("Add", &["head", "product"], "sum", vec![])]);
        }),
        graph("a weight of 40 MB used a thousand times", "numbers of weights", |g| {
            g.initializer.push(floats("large", &[10_000_000]));
            let add = |at: usize| {
                let from = if at == 0 { "head".to_owned() } else { format!("value_{at}") };
                node("Add", &[&from, "large"], &format!("value_{}", at + 1), vec![])
            };
            insert(g, (0..1_000).map(add).collect());
        }),
        graph("10^6 indices of 10^6 numbers", "too many numbers from constants", |g| {
            g.initializer.extend([floats("table", &[2, 500_000]), integers("indices", &[1; 500_000])]);
            let gathered = node("Gather", &["table", "indices"], "gathered", vec![]);
            insert(g, vec![gathered, node("Add", &["head", "gathered"], "sum", vec![])]);
        }),
    ]
}

fn elsewhere() -> Vec<Kind> {
    vec![
        head("a path out of the folder", "weights in other files", |t| {
            let entry =
                |key: &str, value: &str| StringStringEntryProto { key: key.into(), value: value.into() };
            t.external_data = vec![entry("location", "../../etc/passwd"), entry("length", "100000000000")];
            t.data_location = Some(DataLocation::External as i32);
            t.raw_data.clear();
        }),
        head("another file without a path", "its data is in another file", |t| {
            t.data_location = Some(DataLocation::External as i32);
        }),
        head("a segment", "it is a segment", |t| t.segment = Some(Segment { begin: 1 << 40, end: -1 })),
    ]
}
