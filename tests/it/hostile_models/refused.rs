//! Every hostile file is refused with a clear error, by both engines, in a bounded address space.

use super::kind::{Kind, load};
use super::{files, graphs, network, operators, weights};
use prost::Message;

/// The engines to load a file with. The native one passes on to no other.
const ENGINES: [&str; 2] = ["tract", "native"];

/// Returns every kind of hostile file.
pub(crate) fn kinds() -> Vec<Kind> {
    [graphs::kinds(), weights::kinds(), operators::kinds(), files::kinds()].into_iter().flatten().collect()
}

fn assert_refused(kinds: Vec<Kind>) {
    let mut wrong = Vec::new();
    for Kind { name, file, words } in kinds {
        for engine in ENGINES {
            let (code, errors) = load(&file, engine);
            // The native engine finds its own reason for a network that tract might run.
            let as_expected =
                errors.contains(words) || engine == "native" && errors.contains("native kernels");
            // A panic that the loader catches is reported twice.
            let lines = if errors.contains("loading it panicked") { 3 } else { 1 };
            let last = errors.trim_end().lines().last().unwrap_or_default();
            let is_clear =
                last.starts_with("error: model hostile: ") && errors.trim().lines().count() <= lines + 1;
            if code != Some(1) || !is_clear || !as_expected || errors.len() > 1_000 {
                let start: String = errors.chars().take(1_000).collect();
                wrong.push(format!("{name}, {engine}: exit code {code:?}, {start}"));
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_network_that_the_files_are_made_from_is_loaded() {
    for engine in ENGINES {
        let (code, errors) = load(&network::network().encode_to_vec(), engine);
        assert_eq!(code, Some(0), "{engine}: {errors}");
    }
}

#[test]
fn a_chain_of_four_thousand_nodes_is_loaded() {
    let mut model = network::network();
    let name = |at| if at == 0 { "head".to_owned() } else { format!("value_{at}") };
    let chain = (0..4_000).map(|at| network::node("Abs", &[&name(at)], &name(at + 1), vec![]));
    network::insert(model.graph.as_mut().unwrap(), chain.collect());
    let (code, errors) = load(&model.encode_to_vec(), "tract");
    assert_eq!(code, Some(0), "{errors}");
}

#[test]
fn hostile_graphs_are_refused() {
    assert_refused(graphs::kinds());
}

#[test]
fn hostile_weights_are_refused() {
    assert_refused(weights::kinds());
}

#[test]
fn hostile_operators_are_refused() {
    assert_refused(operators::kinds());
}

#[test]
fn damaged_files_are_refused() {
    assert_refused(files::kinds());
}
