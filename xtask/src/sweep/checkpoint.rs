//! Checkpoints as files: safetensors, readable from Python, with a checksum of their own.

use std::collections::{BTreeMap, HashMap};

use anyhow::{Context, Result, anyhow, bail, ensure};
use bitpulse_core::{Activity, State, Tensor, Values};
use safetensors::tensor::TensorView;
use safetensors::{Dtype, SafeTensors};
use sha2::{Digest, Sha256};

use crate::record::{EpochRecord, FOLLOWED, Measured};
use crate::train::Checkpoint;

/// Name of the tensor that holds the learning curve, a row a point.
const CURVE: &str = "curve";
/// Below it stand the tensors of the state.
const STATE: &str = "state";
/// Numbers of one point of the learning curve.
const POINT: usize = 7 + FOLLOWED;

/// The bytes of the checkpoint of the run called `run`.
pub fn encode(run: &str, checkpoint: &Checkpoint) -> Result<Vec<u8>> {
    let mut all = State::default();
    all.nest(STATE, checkpoint.state.clone());
    let rows: Vec<f64> = checkpoint.curve.iter().flat_map(numbers).collect();
    all.put(CURVE, &[checkpoint.curve.len(), POINT], rows);
    let tensors: BTreeMap<String, (Dtype, Vec<usize>, Vec<u8>)> = all
        .tensors()
        .map(|(name, tensor)| {
            let (dtype, bytes) = bytes(tensor.values());
            (name.to_owned(), (dtype, tensor.shape().to_vec(), bytes))
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, (dtype, shape, bytes))| {
            Ok((name.as_str(), TensorView::new(*dtype, shape.clone(), bytes)?))
        })
        .collect::<Result<BTreeMap<_, _>>>()?;
    let mut metadata = HashMap::from([
        ("run".to_owned(), run.to_owned()),
        ("activity".to_owned(), serde_json::to_string(&checkpoint.activity)?),
        ("train_seconds".to_owned(), checkpoint.train_seconds.to_string()),
    ]);
    metadata.insert("sha256".into(), checksum(&metadata, &views));
    Ok(safetensors::serialize(views, Some(metadata))?)
}

/// The checkpoint of the run called `run` from its bytes.
///
/// # Errors
/// When a byte is not what was written, or the checkpoint is of another run.
pub fn decode(run: &str, bytes: &[u8]) -> Result<Checkpoint> {
    let (_, head) = SafeTensors::read_metadata(bytes).context("is no safetensors file")?;
    let metadata = head.metadata().as_ref().context("has no metadata")?;
    let tensors = SafeTensors::deserialize(bytes).context("is no safetensors file")?;
    let views: BTreeMap<&str, TensorView<'_>> = tensors.iter().collect();
    let entry = |key: &str| metadata.get(key).with_context(|| format!("has no `{key}`"));
    ensure!(*entry("sha256")? == checksum(metadata, &views), "its checksum is not that of its contents");
    ensure!(entry("run")? == run, "it is of the run {}", entry("run")?);
    let mut all = State::default();
    for (name, view) in &views {
        let tensor = Tensor::new(view.shape(), values(view)?);
        all.insert(name, tensor.with_context(|| format!("`{name}` does not fill its shape"))?);
    }
    let points = views.get(CURVE).and_then(|view| view.shape().first().copied()).unwrap_or(0);
    let rows: &[f64] = all.get(CURVE, &[points, POINT])?;
    Ok(Checkpoint {
        state: all.part(STATE),
        activity: serde_json::from_str::<Activity>(entry("activity")?).context("its activity")?,
        curve: rows.chunks_exact(POINT).map(point).collect(),
        train_seconds: entry("train_seconds")?.parse().context("its train_seconds")?,
    })
}

fn numbers(point: &EpochRecord) -> [f64; POINT] {
    let mut row = [0.0; POINT];
    row[..7].copy_from_slice(&[
        f64::from(point.epoch),
        point.samples as f64,
        point.train.accuracy,
        point.train.cross_entropy,
        point.held_out.accuracy,
        point.held_out.cross_entropy,
        point.train_seconds,
    ]);
    row[7..].copy_from_slice(&point.devices);
    row
}

fn point(row: &[f64]) -> EpochRecord {
    EpochRecord {
        epoch: row[0] as u32,
        samples: row[1] as u64,
        train: Measured { accuracy: row[2], cross_entropy: row[3] },
        held_out: Measured { accuracy: row[4], cross_entropy: row[5] },
        train_seconds: row[6],
        devices: std::array::from_fn(|k| row[7 + k]),
    }
}

/// SHA-256 over all that a checkpoint says, in hexadecimal digits; the order of its parts in the file does not matter.
pub fn checksum(metadata: &HashMap<String, String>, tensors: &BTreeMap<&str, TensorView<'_>>) -> String {
    let mut hash = Sha256::new();
    // Lengths first, so that no two different checkpoints make the same stream of bytes.
    let mut part = |bytes: &[u8]| {
        hash.update((bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    let sorted: BTreeMap<_, _> = metadata.iter().filter(|(key, _)| *key != "sha256").collect();
    for (key, value) in sorted {
        part(key.as_bytes());
        part(value.as_bytes());
    }
    for (name, view) in tensors {
        part(name.as_bytes());
        part(format!("{:?} {:?}", view.dtype(), view.shape()).as_bytes());
        part(view.data());
    }
    super::folder::hexadecimal(&hash.finalize())
}

fn bytes(values: &Values) -> (Dtype, Vec<u8>) {
    match values {
        Values::F32(values) => (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::F64(values) => (Dtype::F64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::I32(values) => (Dtype::I32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::U32(values) => (Dtype::U32, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
        Values::U64(values) => (Dtype::U64, values.iter().flat_map(|value| value.to_le_bytes()).collect()),
    }
}

fn values(view: &TensorView<'_>) -> Result<Values> {
    let data = view.data();
    Ok(match view.dtype() {
        Dtype::F32 => Values::F32(numbers_of(data, f32::from_le_bytes)?),
        Dtype::F64 => Values::F64(numbers_of(data, f64::from_le_bytes)?),
        Dtype::I32 => Values::I32(numbers_of(data, i32::from_le_bytes)?),
        Dtype::U32 => Values::U32(numbers_of(data, u32::from_le_bytes)?),
        Dtype::U64 => Values::U64(numbers_of(data, u64::from_le_bytes)?),
        other => bail!("it holds {other:?}, which no state has"),
    })
}

fn numbers_of<T, const N: usize>(data: &[u8], number: fn([u8; N]) -> T) -> Result<Vec<T>> {
    let (numbers, rest) = data.as_chunks::<N>();
    if rest.is_empty() {
        Ok(numbers.iter().map(|bytes| number(*bytes)).collect())
    } else {
        Err(anyhow!("a tensor ends within a number"))
    }
}

#[cfg(test)]
mod tests {
    use bitpulse_core::SeedPath;

    use super::*;
    use crate::mutate;

    fn some_checkpoint() -> Checkpoint {
        let mut state = State::default();
        state.put("network/layer-0/weights", &[2, 2], vec![0.1_f32, f32::MIN_POSITIVE, -0.0, f32::NAN]);
        state.put("network/error-means", &[1], vec![0.1_f64 + 0.2]);
        state.put("position", &[2], vec![u64::MAX, 3]);
        state.put("counter", &[3], vec![-1_i32, 0, 1]);
        state.put("stuck", &[1], vec![7_u32]);
        let measured = Measured { accuracy: 1.0 / 3.0, cross_entropy: f64::NAN };
        let point = EpochRecord {
            epoch: 2,
            samples: 9,
            train: measured,
            held_out: measured,
            train_seconds: 0.7,
            devices: [0.25; FOLLOWED],
        };
        let mut activity = Activity { samples: 9, ..Activity::default() };
        activity.forward.driven_siemens = 0.1 + 0.7;
        Checkpoint { state, activity, curve: vec![point; 3], train_seconds: 0.1 + 0.2 }
    }

    /// What a checkpoint says, with numbers that are not equal to themselves told by their digits.
    fn said(checkpoint: &Checkpoint) -> String {
        let curve: Vec<_> = checkpoint.curve.iter().map(numbers).collect();
        let Checkpoint { state, activity, train_seconds, .. } = checkpoint;
        format!("{state:?} {activity:?} {train_seconds:?} {curve:?}")
    }

    #[test]
    fn a_checkpoint_is_read_as_it_was_written() {
        let checkpoint = some_checkpoint();
        let bytes = encode("abc", &checkpoint).unwrap();
        assert_eq!(said(&decode("abc", &bytes).unwrap()), said(&checkpoint));
        let other = format!("{:#}", decode("xyz", &bytes).err().unwrap());
        assert_eq!(other, "it is of the run abc");
    }

    /// A file that says of itself that it is whole, with other tensors than a checkpoint has.
    #[test]
    fn a_foreign_file_is_refused_whatever_it_holds() {
        let metadata = |texts: &[(&str, &str)], views: &BTreeMap<&str, TensorView<'_>>| {
            let mut metadata: HashMap<String, String> =
                texts.iter().map(|(key, text)| ((*key).into(), (*text).into())).collect();
            metadata.insert("sha256".into(), checksum(&metadata, views));
            metadata
        };
        let activity = serde_json::to_string(&Activity::default()).unwrap();
        let texts = [("run", "abc"), ("activity", activity.as_str()), ("train_seconds", "1")];
        let numbers = [0_u8; 64];
        for (shape, dtype, bytes) in [
            (vec![], Dtype::F64, 8),
            (vec![0], Dtype::F64, 0),
            (vec![2, 4], Dtype::F64, 64),
            (vec![8], Dtype::F64, 64),
            (vec![1, 1], Dtype::U8, 1),
        ] {
            let view = TensorView::new(dtype, shape.clone(), &numbers[..bytes]).expect("the shape fits");
            let views = BTreeMap::from([(CURVE, view)]);
            let file = safetensors::serialize(views.clone(), Some(metadata(&texts, &views))).unwrap();
            assert!(decode("abc", &file).is_err(), "a curve of {shape:?}");
        }
        let views = BTreeMap::new();
        for missing in 0..3 {
            let texts: Vec<_> = (0..3).filter(|k| *k != missing).map(|k| texts[k]).collect();
            let file = safetensors::serialize(views.clone(), Some(metadata(&texts, &views))).unwrap();
            assert!(decode("abc", &file).is_err(), "without {}", texts.len());
        }
    }

    #[test]
    fn mutated_checkpoints_are_read_or_refused() {
        let bytes = encode("abc", &some_checkpoint()).unwrap();
        for mutation in mutate::mutations(&bytes, 5000, SeedPath::root(1).child("checkpoint")) {
            drop(decode("abc", &mutation));
        }
        for (name, bytes) in mutate::corpus("checkpoint") {
            let read = decode("abc", &bytes);
            assert!(read.is_ok() || name != "sound", "{:?}", read.err());
            for mutation in mutate::mutations(&bytes, 20, SeedPath::root(1).child(&name)) {
                drop(decode("abc", &mutation));
            }
        }
    }

    #[test]
    fn any_damage_is_found() {
        let checkpoint = some_checkpoint();
        let bytes = encode("abc", &checkpoint).unwrap();
        for length in 0..bytes.len() {
            assert!(decode("abc", &bytes[..length]).is_err(), "cut to {length} bytes");
        }
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x10;
            // A flip may fall where the format lets anything stand, such as blanks after the header; what is read is
            // then still what was written.
            if let Ok(read) = decode("abc", &damaged) {
                assert_eq!(said(&read), said(&checkpoint), "flipped byte {at}");
            }
        }
    }
}
