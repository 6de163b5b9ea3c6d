//! Networks of odd shapes under valgrind, which sees every byte that is read or written. It knows AVX2 and not AVX-512, whose kernels are
//! the same code.

use std::process::Command;

use fruitvec_kernels::{Network, Path};

use crate::networks::layers;

const CHILD: &str = "FRUITVEC_TEST_UNDER_VALGRIND";

#[test]
fn odd_shapes_touch_no_memory_that_is_not_theirs() {
    if std::env::var_os(CHILD).is_some() {
        return run_odd_shapes();
    }
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--quiet", "--error-exitcode=9"]).arg(std::env::current_exe().unwrap());
    valgrind.args(["--exact", "valgrind::odd_shapes_touch_no_memory_that_is_not_theirs"]).env(CHILD, "1");
    match valgrind.output() {
        Ok(output) => {
            assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "the name is another");
        }
        Err(cause) => eprintln!("skipped: valgrind can't be started: {cause}"),
    }
}

fn run_odd_shapes() {
    for (stem, wide, outputs, last) in [(3, 7, 3, 5), (16, 33, 17, 31), (24, 50, 24, 49)] {
        let layers = layers(stem, wide, outputs, last);
        for side in [9, 14, 33, 40] {
            for path in Path::ALL.into_iter().filter(|path| path.is_here()) {
                let network = Network::compile(&layers, side, [127.5; 3], [127.5; 3], path).unwrap();
                let embedding = network.embed(&vec![77; 3 * side * side], &mut network.scratch());
                // A branch on each number: valgrind tells of one that was never written.
                assert!(embedding.iter().all(|number| number.is_finite()), "{path}");
            }
        }
    }
}
