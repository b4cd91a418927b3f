use clap::Args;
use crate::failure::Outcome;
#[derive(Args)]
pub struct Ci {}
impl Ci { pub fn run(self) -> Outcome { Ok(()) } }
