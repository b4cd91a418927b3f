#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| bitpulse_fuzz::read_sweep(bytes));
