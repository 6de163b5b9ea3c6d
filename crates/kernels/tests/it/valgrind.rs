//! Networks of odd shapes under valgrind, which checks every byte that is read or written.
//!
//! It supports AVX2 but not AVX-512. The kernels for both are compiled from the same code.

use std::process::Command;

use fruitvec_kernels::{Isa, Network};

use crate::networks::layers;

const CHILD: &str = "FRUITVEC_TEST_UNDER_VALGRIND";

#[test]
fn odd_shapes_access_only_their_own_memory() {
    // The test runs itself as a child process under valgrind.
    if std::env::var_os(CHILD).is_some() {
        return run_odd_shapes();
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=9"]).arg(std::env::current_exe().unwrap());
    valgrind.args(["--exact", "valgrind::odd_shapes_access_only_their_own_memory"]).env(CHILD, "1");
    match valgrind.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("1 passed"),
                "the name of the test has changed"
            );
        }
        Err(cause) => eprintln!("skipped: valgrind can't be started: {cause}"),
    }
}

fn run_odd_shapes() {
    for (stem, wide, outputs, last) in [(3, 7, 3, 5), (16, 33, 17, 31), (24, 50, 24, 49)] {
        let layers = layers(stem, wide, outputs, last);
        for side in [9, 14, 33, 40] {
            for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
                let network = Network::compile(&layers, side, [127.5; 3], [127.5; 3], isa).unwrap();
                let embedding = network.embed(&vec![77; 3 * side * side], &mut network.scratch());
                // Branches on each number, because valgrind reports branches on uninitialised
                // memory.
                assert!(embedding.iter().all(|number| number.is_finite()), "{isa}");
            }
        }
    }
}
