//! The Rust of `README.md` and of the book, compiled and run as documentation tests: `cargo test --doc -p book`.
//!
//! `cargo xtask tidy` fails where a document has Rust and is not here.

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
mod readme {}

#[cfg(doctest)]
#[doc = include_str!("../../CONTRIBUTING.md")]
mod contributing {}

#[cfg(doctest)]
#[doc = include_str!("../style.md")]
mod style {}

#[cfg(doctest)]
#[doc = include_str!("src/how-to/rust.md")]
mod rust {}
