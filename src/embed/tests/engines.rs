//! Both engines on networks of the MobileNet family.

use super::networks::{card, images, mobilenet};
use crate::contract::model_card::Layout;
use crate::embed::engine::{Engine, Isa, load_graph};
use crate::image::InputImage;

#[test]
fn native_kernels_return_the_embedding_that_tract_returns() {
    for layout in [Layout::Nchw, Layout::Nhwc] {
        let (card, proto) = (card(layout, 70), mobilenet(layout));
        let tract = load_graph(&card, proto.clone(), Some(Engine::Tract)).unwrap();
        assert_eq!(tract.engine(), "tract 0.23");
        for isa in Isa::ALL.into_iter().filter(|isa| isa.is_supported()) {
            let native = load_graph(&card, proto.clone(), Some(Engine::Native(Some(isa)))).unwrap();
            assert_eq!(native.engine(), format!("native {isa}"));
            for image in images() {
                let (found, expected) = (native.embed(&image).unwrap(), tract.embed(&image).unwrap());
                for (found, expected) in found.iter().zip(&expected) {
                    assert!((found - expected).abs() < 1e-4, "{isa}: {found}, not {expected}");
                }
            }
        }
    }
}

#[test]
fn native_kernels_are_the_default() {
    let embedder = load_graph(&card(Layout::Nchw, 70), mobilenet(Layout::Nchw), None).unwrap();
    assert_eq!(embedder.engine(), format!("native {}", Isa::best()));
}

#[test]
fn a_card_with_another_dimension_is_refused() {
    for engine in [Engine::Native(None), Engine::Tract] {
        let loaded = load_graph(&card(Layout::Nchw, 71), mobilenet(Layout::Nchw), Some(engine));
        let error = loaded.err().unwrap().to_string();
        assert!(error.contains("the graph gives 70 numbers, the card says 71"), "{error}");
    }
}

#[test]
fn an_image_of_another_side_is_an_internal_error() {
    for engine in [Engine::Native(None), Engine::Tract] {
        let embedder = load_graph(&card(Layout::Nchw, 70), mobilenet(Layout::Nchw), Some(engine)).unwrap();
        let error = embedder.embed(&InputImage::new(1, vec![0; 3]).unwrap()).unwrap_err().to_string();
        assert!(error.contains("is 1 pixels wide, but the model expects 33"), "{error}");
    }
}
