//! Embedding a picture allocates nothing but the embedding.

use allocation_counter::measure;
use fruitvec_kernels::{Isa, Network};

use crate::networks::layers;

#[test]
fn a_picture_allocates_only_its_embedding() {
    let (side, last) = (64, 96);
    let layers = layers(16, 96, 24, last);
    let picture = vec![77; 3 * side * side];
    for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
        let network = Network::compile(&layers, side, [127.5; 3], [127.5; 3], isa).unwrap();
        let mut scratch = network.scratch();
        let mut embedding = Vec::new();
        let allocated = measure(|| embedding = network.embed(&picture, &mut scratch));
        assert_eq!(embedding.len(), last);
        assert_eq!((allocated.count_total, allocated.bytes_total), (1, 4 * last as u64), "{isa}");
    }
}
