//! A bounded sample of projected rows, for the scatter plot.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::plot::Point;

/// The maximum number of rows in a sample.
pub(super) const MAX_POINTS: usize = 5000;

/// The rows with the smallest photo ids. Photo ids are digests, so the sample is random but does
/// not depend on the order of the rows or their division into tasks.
///
/// Maps a photo id to the scores of the first two components and the label.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Sample(BTreeMap<String, (f32, f32, Option<String>)>);

impl Sample {
    /// Adds a row if its photo id is among the smallest.
    pub(super) fn offer(&mut self, photo_id: &str, scores: &[f32], label: Option<&str>) {
        let is_smaller = |greatest: &String| photo_id < greatest.as_str();
        let is_full = self.0.len() >= MAX_POINTS;
        // Checked before anything is copied, since most rows are not in the sample.
        if is_full && !self.0.last_key_value().is_some_and(|(greatest, _)| is_smaller(greatest)) {
            return;
        }
        let score = |component: usize| scores.get(component).copied().unwrap_or_default();
        self.insert(photo_id.to_owned(), (score(0), score(1), label.map(str::to_owned)));
    }

    /// Adds the sample of other rows.
    pub(super) fn merge(&mut self, other: Self) {
        other.0.into_iter().for_each(|(photo_id, point)| self.insert(photo_id, point));
    }

    fn insert(&mut self, photo_id: String, point: (f32, f32, Option<String>)) {
        self.0.insert(photo_id, point);
        if self.0.len() > MAX_POINTS {
            self.0.pop_last();
        }
    }

    /// Returns whether no rows were projected.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the points of the scatter plot.
    pub(super) fn points(&self) -> Vec<Point<'_>> {
        self.0.values().map(|(x, y, label)| Point { x: *x, y: *y, label: label.as_deref() }).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a sample of rows whose id and first score are these numbers.
    fn sample(numbers: impl IntoIterator<Item = usize>) -> Sample {
        let mut sample = Sample::default();
        numbers.into_iter().for_each(|number| sample.offer(&format!("{number:05}"), &[number as f32], None));
        sample
    }

    fn first_scores(sample: &Sample) -> Vec<usize> {
        sample.points().iter().map(|point| point.x as usize).collect()
    }

    #[test]
    fn a_sample_has_the_5000_smallest_ids_in_any_order_of_the_rows() {
        let expected: Vec<usize> = (0..MAX_POINTS).collect();
        assert_eq!(first_scores(&sample(0..6000)), expected);
        assert_eq!(first_scores(&sample((0..6000).rev())), expected);
    }

    #[test]
    fn merged_samples_equal_the_sample_of_all_rows() {
        let mut merged = sample((0..12_000).step_by(2));
        merged.merge(sample((1..12_000).step_by(2)));
        assert_eq!(first_scores(&merged), (0..MAX_POINTS).collect::<Vec<_>>());
    }

    /// The file that the previous version wrote. A task of one version may be committed by another.
    #[test]
    fn a_sample_has_the_documented_format() {
        let mut sample = Sample::default();
        assert!(sample.is_empty());
        sample.offer("b", &[0.5, -1.0, 3.0], Some("Kiwi"));
        sample.offer("a", &[0.25], None);
        let json = r#"{"a":[0.25,0.0,null],"b":[0.5,-1.0,"Kiwi"]}"#;
        assert_eq!(serde_json::to_string(&sample).unwrap(), json);
        let parsed: Sample = serde_json::from_str(json).unwrap();
        assert_eq!(parsed.points(), sample.points());
    }
}
