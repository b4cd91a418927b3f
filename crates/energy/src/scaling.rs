//! How the switching energy of a circuit changes from one CMOS node to another.
//!
//! Stillmaker and Baas, "Scaling equations for the accurate prediction of CMOS device performance from 180 nm to 7 nm",
//! Integration 58, 74 (2017), 10.1016/j.vlsi.2017.02.002; coefficients as in `hwcomponents/scaling/techscaling.py` of
//! Accelergy. For digital circuits; a converter that is limited by noise does not follow it.

/// Node in nanometres, and `a`, `b`, `c` of the energy `a V^2 + b V + c`.
const ENERGY: [(f64, [f64; 3]); 10] = [
    (130.0, [7.171, -6.709, 2.904]),
    (90.0, [4.762, -4.781, 2.092]),
    (65.0, [3.755, -4.398, 1.975]),
    (45.0, [1.103, -0.362, 0.2767]),
    (32.0, [0.9559, -0.7823, 0.471]),
    (20.0, [0.373, -0.1582, 0.04104]),
    (16.0, [0.2958, -0.1241, 0.030_24]),
    (14.0, [0.2363, -0.096_75, 0.022_39]),
    (10.0, [0.2068, -0.093_11, 0.023_75]),
    (7.0, [0.1776, -0.090_97, 0.024_47]),
];

/// Factor on an energy from node `from` to node `to`, in nanometres, at a supply of `volts`; `None` for a node the rule
/// does not know.
pub fn energy_factor(from: f64, to: f64, volts: f64) -> Option<f64> {
    let energy = |node: f64| {
        let (_, [a, b, c]) = ENERGY.iter().find(|(known, _)| *known == node)?;
        Some(a * volts * volts + b * volts + c)
    };
    Some(energy(to)? / energy(from)?)
}

/// The nodes the rule knows.
pub fn nodes() -> impl Iterator<Item = f64> {
    ENERGY.iter().map(|(node, _)| *node)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_smaller_node_takes_less_and_back_again_is_the_same() {
        let down = energy_factor(45.0, 32.0, 0.9).expect("both are known");
        // (0.9559 x 0.81 - 0.7823 x 0.9 + 0.471) / (1.103 x 0.81 - 0.362 x 0.9 + 0.2767)
        assert!((down - 0.541_209 / 0.844_330).abs() < 1e-6, "{down}");
        let up = energy_factor(32.0, 45.0, 0.9).expect("both are known");
        assert!((up * down - 1.0).abs() < 1e-12);
        assert_eq!(energy_factor(40.0, 32.0, 0.9), None);
        let sorted: Vec<f64> = nodes().collect();
        assert!(sorted.windows(2).all(|pair| pair[0] > pair[1]));
    }
}
