//! Resource files: never a panic, an endless loop or a blown-up alias.
#![no_main]

use headwater_base::Limits;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let _ = headwater_kernel::yaml::read("fuzz.yaml", bytes, &Limits::default());
});
