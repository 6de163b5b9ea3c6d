//! A photo's numbers go through memory that was there before: what is allocated for one is its embedding.

use allocation_counter::measure;
use fruitvec_kernels::{Network, Path};

use crate::networks::layers;

#[test]
fn a_photo_allocates_its_embedding_and_nothing_else() {
    let (side, last) = (64, 96);
    let layers = layers(16, 96, 24, last);
    let picture = vec![77; 3 * side * side];
    for path in Path::ALL.into_iter().filter(|path| path.is_here()) {
        let network = Network::compile(&layers, side, [127.5; 3], [127.5; 3], path).unwrap();
        let mut scratch = network.scratch();
        let mut embedding = Vec::new();
        let made = measure(|| embedding = network.embed(&picture, &mut scratch));
        assert_eq!(embedding.len(), last);
        assert_eq!((made.count_total, made.bytes_total), (1, 4 * last as u64), "{path}");
    }
}
