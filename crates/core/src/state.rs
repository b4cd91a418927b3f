use std::collections::BTreeMap;

use thiserror::Error;

/// Everything that a matrix or network depends on from here on, as named tensors: what a checkpoint holds.
///
/// Names are paths such as `layer-0/weights`, in which [`State::nest`] puts the parts of a whole below its name.
///
/// ```
/// use bitpulse_core::State;
///
/// let mut matrix = State::default();
/// matrix.put("weights", &[2, 3], vec![0.5_f32; 6]);
/// let mut network = State::default();
/// network.nest("layer-0", matrix);
/// let layer = network.part("layer-0");
/// let weights: &[f32] = layer.get("weights", &[2, 3])?;
/// assert_eq!(weights.len(), 6);
/// assert!(network.part("layer-1").get::<f32>("weights", &[2, 3]).is_err());
/// # Ok::<(), bitpulse_core::StateError>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq)]
pub struct State {
    tensors: BTreeMap<String, Tensor>,
}

/// Numbers of one type in a shape, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    values: Values,
}

/// The numbers of a [`Tensor`].
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // the names say it
pub enum Values {
    F32(Vec<f32>),
    F64(Vec<f64>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    U64(Vec<u64>),
}

/// A type of number that a [`State`] can hold.
pub trait Element: Copy + Sized {
    /// The values, in the form in which a state holds them.
    fn wrap(values: Vec<Self>) -> Values;
    /// The values, if they are of this type.
    fn of_values(values: &Values) -> Option<&[Self]>;
}

macro_rules! elements {
    ($($element:ty => $variant:ident),*) => { $(
        impl Element for $element {
            fn wrap(values: Vec<Self>) -> Values {
                Values::$variant(values)
            }
            fn of_values(values: &Values) -> Option<&[Self]> {
                if let Values::$variant(values) = values { Some(values) } else { None }
            }
        }
    )* };
}
elements!(f32 => F32, f64 => F64, i32 => I32, u32 => U32, u64 => U64);

/// Why a state is not that of the matrix or network that it was given to.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[allow(missing_docs)] // the messages say what each variant and field means
pub enum StateError {
    #[error("the state has no tensor `{name}`")]
    Missing { name: String },
    #[error("tensor `{name}` has the shape {found:?}, not {expected:?}")]
    Shape { name: String, found: Vec<usize>, expected: Vec<usize> },
    #[error("tensor `{name}` holds numbers of another type")]
    Type { name: String },
}

impl Tensor {
    /// `values` in the shape `shape`; `None` when their number does not fit.
    pub fn new(shape: &[usize], values: Values) -> Option<Self> {
        let length = match &values {
            Values::F32(values) => values.len(),
            Values::F64(values) => values.len(),
            Values::I32(values) => values.len(),
            Values::U32(values) => values.len(),
            Values::U64(values) => values.len(),
        };
        let wanted = shape.iter().try_fold(1_usize, |product, &side| product.checked_mul(side));
        (wanted == Some(length)).then(|| Self { shape: shape.to_vec(), values })
    }

    /// Length along each dimension.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, row-major.
    pub fn values(&self) -> &Values {
        &self.values
    }
}

impl State {
    /// Adds a tensor, in place of one of the same name.
    ///
    /// # Panics
    /// If `values` do not fill `shape`.
    pub fn put<T: Element>(&mut self, name: &str, shape: &[usize], values: Vec<T>) {
        let tensor = Tensor::new(shape, T::wrap(values)).expect("the caller's values fill the shape");
        self.insert(name, tensor);
    }

    /// Adds a tensor as it was read, in place of one of the same name.
    pub fn insert(&mut self, name: &str, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// The values of the tensor called `name`.
    ///
    /// # Errors
    /// When there is none, or it has another shape or type of number.
    pub fn get<T: Element>(&self, name: &str, shape: &[usize]) -> Result<&[T], StateError> {
        let tensor = self.tensors.get(name).ok_or_else(|| StateError::Missing { name: name.into() })?;
        if tensor.shape != shape {
            let (found, expected) = (tensor.shape.clone(), shape.to_vec());
            return Err(StateError::Shape { name: name.into(), found, expected });
        }
        T::of_values(&tensor.values).ok_or_else(|| StateError::Type { name: name.into() })
    }

    /// Puts the tensors of `part` below `name`.
    pub fn nest(&mut self, name: &str, part: Self) {
        let named = part.tensors.into_iter().map(|(inner, tensor)| (format!("{name}/{inner}"), tensor));
        self.tensors.extend(named);
    }

    /// What was nested below `name`; empty where nothing was.
    #[must_use]
    pub fn part(&self, name: &str) -> Self {
        let below = |full: &str| Some(full.strip_prefix(name)?.strip_prefix('/')?.to_owned());
        let tensors = self.tensors.iter().filter_map(|(full, tensor)| Some((below(full)?, tensor.clone())));
        Self { tensors: tensors.collect() }
    }

    /// All tensors with their names, sorted by name.
    pub fn tensors(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let mut state = State::default();
        state.put("w", &[2, 2], vec![1_u32, 2, 3, 4]);
        assert_eq!(state.get::<u32>("w", &[2, 2]), Ok(&[1, 2, 3, 4][..]));
        assert_eq!(state.get::<u32>("v", &[2, 2]), Err(StateError::Missing { name: "v".into() }));
        assert_eq!(state.get::<f32>("w", &[2, 2]), Err(StateError::Type { name: "w".into() }));
        let message = state.get::<u32>("w", &[4]).unwrap_err().to_string();
        assert_eq!(message, "tensor `w` has the shape [2, 2], not [4]");
        assert_eq!(Tensor::new(&[usize::MAX, 2], Values::F32(vec![])), None);
    }

    #[test]
    fn parts_come_back_as_they_were_nested() {
        let mut part = State::default();
        part.put("w", &[1], vec![0.5_f64]);
        let mut whole = State::default();
        whole.nest("layer-1", part.clone());
        whole.put("layer-10/w", &[1], vec![7_i32]);
        assert_eq!(whole.part("layer-1"), part);
        assert_eq!(whole.tensors().map(|(name, _)| name).collect::<Vec<_>>(), ["layer-1/w", "layer-10/w"]);
    }
}
