//! `fruitvec models`.

use std::collections::BTreeSet;

use fruitvec::contract::model_card::DEFAULT_MODEL;

use crate::support::program::{error_of, run, stdout_of};

#[test]
fn models_are_listed_and_the_bundled_one_is_verified() {
    let list = stdout_of(&run(&["models", "list"]));
    let line = list.lines().find(|line| line.starts_with(DEFAULT_MODEL)).unwrap();
    assert!(line.contains("bundled") && line.contains("1280"), "{line}");
    let ids: BTreeSet<_> = list.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(ids.len(), list.lines().count() - 1);
    assert!(stdout_of(&run(&["models", "verify", DEFAULT_MODEL])).contains("1280 finite numbers"));
    assert!(error_of(&["models", "verify", "vgg"]).contains("there is no card of that id"));
}
