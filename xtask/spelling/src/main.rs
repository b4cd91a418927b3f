//! `spelling FILE...` prints every common misspelling as `file:line: wrong -> right` and exits with 1 if there is any.

use std::borrow::Cow;
use std::process::ExitCode;

use typos::tokens::{Identifier, Tokenizer, Word};
use typos::{Dictionary, Status};

/// The dictionary of the `typos` project, less what this field spells its own way.
struct Words;

/// Names, journals and a mistake made on purpose in a test, which the dictionary takes for misspellings.
const ALLOWED: [&str; 5] = ["bouns", "comput", "flate", "lables", "tio"];

impl Dictionary for Words {
    fn correct_ident<'s>(&'s self, _: Identifier<'_>) -> Option<Status<'s>> {
        None
    }

    fn correct_word<'s>(&'s self, word: Word<'_>) -> Option<Status<'s>> {
        let found = word.token();
        if ALLOWED.contains(&found.to_lowercase().as_str()) {
            return Some(Status::Valid);
        }
        let corrections = typos_dict::WORD.find(&unicase::UniCase::new(found))?;
        Some(Status::Corrections(corrections.iter().map(|right| Cow::Borrowed(*right)).collect()))
    }
}

fn main() -> ExitCode {
    let tokenizer = Tokenizer::new();
    let mut clean = true;
    for path in std::env::args().skip(1) {
        // What is not text has no spelling.
        let Ok(text) = std::fs::read_to_string(&path) else {
            continue;
        };
        for typo in typos::check_str(&text, &tokenizer, &Words) {
            let Status::Corrections(right) = &typo.corrections else {
                continue;
            };
            let line = text[..typo.byte_offset].matches('\n').count() + 1;
            println!("{path}:{line}: {} -> {}", typo.typo, right.join(", "));
            clean = false;
        }
    }
    if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
