use clap::Args;
use crate::failure::Outcome;
#[derive(Args)]
pub struct Bench {}
impl Bench { pub fn run(self) -> Outcome { Ok(()) } }
