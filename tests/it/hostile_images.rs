//! Files that were built to cost far more than their size.

use fruitvec::contract::limits::Limits;
use fruitvec::image::probe;
use fruitvec::rejection::RejectCode;

use crate::support::shared::shared;

#[test]
#[ignore = "needs the cases of ../shared"]
fn needs_shared_a_tiff_with_overlapping_strips_is_rejected() {
    for compression in ["deflate", "lzw", "packbits"] {
        let file = shared().join(format!("cases/photos/overlapping-strips-{compression}.tif"));
        let rejection = probe(std::fs::read(file).unwrap(), &Limits::default()).unwrap_err();
        assert_eq!(rejection.code, RejectCode::Corrupt, "{compression}: {rejection}");
    }
}
