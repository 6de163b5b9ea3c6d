//! Files that were built to cost far more than their size, and unusual TIFFs.

use fruitvec::contract::limits::Limits;
use fruitvec::contract::model_card::{Filter, ResizeMode};
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

#[test]
#[ignore = "needs the cases of ../shared"]
fn needs_shared_unusual_tiffs_are_read() {
    let photo = |name: &str| {
        let file = std::fs::read(shared().join("cases/photos").join(name)).unwrap();
        let probed = probe(file, &Limits::default()).unwrap();
        probed.input_image(224, ResizeMode::Stretch, Filter::Bicubic).unwrap()
    };
    for name in ["big.tif", "palette.tif", "jpeg-in-tiff.tif"] {
        let shades: std::collections::HashSet<u8> = photo(name).rgb().iter().copied().collect();
        assert!(shades.len() > 50, "{name} has {} shades", shades.len());
    }
    let (blended, twin) = (photo("associated-alpha.tif"), photo("associated-alpha-twin.png"));
    let difference = blended.rgb().iter().zip(twin.rgb()).map(|(a, b)| a.abs_diff(*b)).max();
    assert!(difference <= Some(2), "{difference:?}");
}
