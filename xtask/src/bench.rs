use crate::failure::Outcome;
use clap::Args;
#[derive(Args)]
pub struct Bench {}
impl Bench {
    pub fn run(self) -> Outcome {
        Ok(())
    }
}
