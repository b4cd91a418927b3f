use nalgebra::RealField;

use crate::Element;

/// The float type of signals and weights: `f32` for training, `f64` where gradients are checked.
pub trait Real: RealField + Element + Default {
    /// The nearest value of this type.
    fn of(value: f64) -> Self;
    /// This value, exactly for both implementations.
    fn as_f64(self) -> f64;
}

impl Real for f32 {
    #[inline]
    fn of(value: f64) -> Self {
        value as f32
    }
    #[inline]
    fn as_f64(self) -> f64 {
        f64::from(self)
    }
}

impl Real for f64 {
    #[inline]
    fn of(value: f64) -> Self {
        value
    }
    #[inline]
    fn as_f64(self) -> f64 {
        self
    }
}
