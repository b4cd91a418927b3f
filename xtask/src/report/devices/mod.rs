//! The section on devices: what each imperfection costs every rule, what a rule needs of a device, which devices train,
//! how each answers pulses, and what becomes of weights and devices in training.

mod imperfections;
mod inside;
mod lines;
mod portraits;
mod ranking;
mod requirements;
#[cfg(test)]
mod tests;

use anyhow::Result;
use maud::{Markup, html};

use super::Origin;
use super::view::Sweep;
use crate::spec::is_digital;
use lines::lines;

/// The section; nothing where all weights are in software.
pub(super) fn section(sweep: &Sweep, origin: &Origin) -> Result<Option<Markup>> {
    let mut blocks = vec![];
    let on_devices: Vec<_> = sweep.tasks.iter().filter(|task| on_device(task.arms[0].runs[0])).collect();
    let all: Vec<_> = on_devices.iter().map(|task| lines(sweep, task)).collect();
    for (task, lines) in on_devices.iter().zip(&all) {
        let panels = imperfections::panels(sweep, lines);
        if panels.is_empty() {
            continue;
        }
        let of = if on_devices.len() > 1 { format!(": {}", task.label) } else { String::new() };
        blocks.push(html! {
            h3 { "Accuracy against each imperfection" (of) }
            (imperfections::block(sweep, lines, &panels)?)
            h3 { "What each rule needs" (of) }
            (requirements::block(sweep, lines, &panels)?)
        });
    }
    blocks.extend(ranking::block(sweep, &on_devices, &all)?);
    blocks.extend(portraits::block(sweep, origin)?);
    blocks.extend(inside::block(sweep)?);
    Ok((!blocks.is_empty()).then(|| html! { @for block in blocks { (block) } }))
}

/// Whether the weights of a run were on devices.
fn on_device(run: &super::read::Run) -> bool {
    !run.device.is_empty() && !is_digital(&run.device)
}
