use crate::failure::Outcome;
use clap::Args;
#[derive(Args)]
pub struct Tidy {}
impl Tidy {
    pub fn run(self) -> Outcome {
        Ok(())
    }
}
