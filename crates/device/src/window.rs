use bitpulse_core::units::Siemens;
use serde::{Deserialize, Serialize};

/// The conductance window of a device, and the map between siemens and the *window fraction* `u`.
///
/// `u = (G - g_min) / (g_max - g_min)`: 0 at `g_min`, 1 at `g_max`. Every parameter of a [`Response`](crate::Response)
/// is in this unit. Models published for a normalised weight `w` in `[w_min, w_max]` (aihwkit, `NeuroSim`) map linearly:
/// `w_min` to `u = 0`, `w_max` to `u = 1`, so a step `dw` is `dw / (w_max - w_min)` of the window and `w = 0` stands at
/// `reference = -w_min / (w_max - w_min)`.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Window {
    /// Lowest conductance.
    pub g_min: Siemens,
    /// Highest conductance.
    pub g_max: Siemens,
    /// Window fraction of weight zero: where soft-bounds, linear and exponential steps have their quoted size, from
    /// where spreads of the bounds are measured, and where a fresh device stands.
    #[serde(default)]
    pub reference: f64,
    /// The source gives no siemens: the window was chosen here so that the normalised model fits into it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub assumed: bool,
}

impl Window {
    /// `g_max - g_min` in siemens.
    pub fn range_siemens(&self) -> f64 {
        self.g_max.0 - self.g_min.0
    }

    /// The conductance at window fraction `u`.
    pub fn conductance(&self, u: f64) -> Siemens {
        Siemens(self.g_min.0 + u * self.range_siemens())
    }

    /// The window fraction of conductance `g`.
    pub fn fraction(&self, g: Siemens) -> f64 {
        (g.0 - self.g_min.0) / self.range_siemens()
    }

    /// The conductance of weight zero in siemens.
    pub fn reference_siemens(&self) -> f64 {
        self.conductance(self.reference).0
    }
}
