//! Links the binary with its relative relocations packed (DT_RELR): 8 MB of tables become 0.1 MB that a start has to
//! read and keep. Needs glibc 2.36 (2022) or later where it runs; a linker that does not know the word leaves them as
//! they are.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |name: &str| std::env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo:rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
