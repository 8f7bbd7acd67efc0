//! Builds anew when a file of the web page comes or goes; changes in those that are there are seen by the compiler.

fn main() {
    println!("cargo::rerun-if-changed=../../web/page");
}
