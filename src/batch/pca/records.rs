//! The objects that the phases of the PCA exchange: `runs/<run id>/…`.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::fit::{COMPONENTS, FitInput};
use super::moments::PartInput;
use crate::contract::fit::FitRecord;
use crate::contract::layout::{Part, PartName, Partition, parse_date};
use crate::error::{Error, Result};
use crate::pca::Fit;

/// The file of [`FitPlan`].
pub(super) const FIT_PLAN: &str = "fit.plan.json";
/// The file of [`UnpublishedFit`].
pub(super) const UNPUBLISHED_FIT: &str = "fit.json";

/// A list of parts with their current rows. Moments and projection tasks refer to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartList {
    /// [`VERSION`](crate::contract::run::VERSION).
    pub version: u32,
    /// The parts, in the order of their keys.
    pub parts: Vec<PartSelection>,
}

/// The current rows of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartSelection {
    /// The partition's date: `2026-11-23`.
    pub date: String,
    /// The part's name.
    pub name: String,
    /// Rows in the part.
    pub rows: u32,
    /// The indices of the dead rows, ascending.
    pub dead: Vec<u32>,
    /// Whether the moments of all its rows are cached in S3.
    #[serde(default, rename = "kept", skip_serializing_if = "std::ops::Not::not")]
    pub cached: bool,
}

/// Which rows a fit projects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// All current rows.
    #[default]
    All,
    /// The rows of parts that the previous fit did not project. The other parts keep the previous
    /// fit's projection, in its folder.
    New,
    /// No rows.
    None,
}

impl FromStr for Projection {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "all" => Ok(Self::All),
            "new" => Ok(Self::New),
            "none" => Ok(Self::None),
            _ => Err("expected all, new or none".into()),
        }
    }
}

/// The user's options for a fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FitOptions {
    /// Number of components.
    pub components: usize,
    /// Whether to ignore cached moments, and to fit even if nothing changed.
    pub full: bool,
    /// Which rows to project.
    pub projection: Projection,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { components: COMPONENTS, full: false, projection: Projection::All }
    }
}

/// The result of planning the moments, left for the later phases: `runs/<run id>/fit.plan.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FitPlan {
    pub(super) version: u32,
    /// The input of the fit. `None` when it has no rows, or when the newest fit had the same input.
    #[serde(rename = "seen")]
    pub(super) input: Option<FitInput>,
    pub(super) components: usize,
    pub(super) projection: Projection,
    /// The id of the newest fit at the time of planning.
    #[serde(rename = "before")]
    pub(super) previous: Option<String>,
    /// The keys of the part lists.
    pub(super) lists: Vec<String>,
}

/// A fit that is not published yet: `runs/<run id>/fit.json`.
#[derive(Serialize, Deserialize)]
pub(super) struct UnpublishedFit {
    pub(super) version: u32,
    pub(super) record: FitRecord,
    /// components × dimension, row-major.
    pub(super) components: Vec<f64>,
}

impl UnpublishedFit {
    pub(super) fn fit(&self) -> Fit {
        let record = &self.record;
        Fit {
            mean: record.mean.clone(),
            components: self.components.clone(),
            explained_variance: record.explained_variance.clone(),
            explained_variance_ratio: record.explained_variance_ratio.clone(),
            total_variance: record.total_variance,
            rows: record.rows,
            rank: record.rank,
        }
    }
}

impl PartList {
    /// Returns the number of current rows.
    pub(super) fn current_rows(&self) -> u64 {
        self.parts.iter().map(|part| u64::from(part.rows) - part.dead.len() as u64).sum()
    }

    /// Returns the parts as inputs of the arithmetic.
    ///
    /// # Errors
    /// [`Error::Task`] when a date or a name is malformed.
    pub(super) fn inputs(&self, model: &str) -> Result<Vec<PartInput>> {
        let input = |PartSelection { date, name, rows, dead, cached }: &PartSelection| {
            let parsed = parse_date(date).zip(PartName::parse(name));
            let (date, name) =
                parsed.ok_or_else(|| Error::Task(format!("not a part: date={date}/{name}")))?;
            let part = Part { partition: Partition { model: model.to_owned(), date }, name };
            Ok(PartInput { part, rows: *rows, dead: dead.clone(), cached: *cached })
        };
        self.parts.iter().map(input).collect()
    }
}

#[cfg(test)]
mod tests {
    use time::macros::datetime;

    use super::*;

    const DEFAULTS: &str =
        r#"{"version":1,"seen":null,"components":20,"projection":"all","before":null,"lists":[]}"#;

    fn selection(name: &str, dead: &[u32], cached: bool) -> PartSelection {
        PartSelection { date: "2026-11-23".into(), name: name.into(), rows: 9, dead: dead.to_vec(), cached }
    }

    /// The list that the previous version wrote. A plan of one version may be executed by another.
    #[test]
    fn a_part_list_has_the_documented_format() {
        let parts = vec![selection("a", &[], false), selection("b", &[0, 7], true)];
        let list = PartList { version: 1, parts };
        let json = concat!(
            r#"{"version":1,"parts":[{"date":"2026-11-23","name":"a","rows":9,"dead":[]},"#,
            r#"{"date":"2026-11-23","name":"b","rows":9,"dead":[0,7],"kept":true}]}"#,
        );
        assert_eq!(serde_json::to_string(&list).unwrap(), json);
        assert_eq!(serde_json::from_str::<PartList>(json).unwrap(), list);
        assert_eq!(list.current_rows(), 16);
    }

    /// The file that the previous version wrote. A plan of one version may be committed by another.
    #[test]
    fn a_fit_plan_has_the_documented_format() {
        let input = FitInput {
            taken_at: datetime!(2026-11-24 03:00 UTC),
            inputs: "1a2b".into(),
            rows: 3,
            parts: 2,
            first_date: Some("2026-11-22".into()),
            last_date: Some("2026-11-23".into()),
        };
        let plan = FitPlan {
            version: 1,
            input: Some(input),
            components: 2,
            projection: Projection::New,
            previous: Some("f".into()),
            lists: vec!["runs/r/moments/moments-000001.json".into()],
        };
        let json = concat!(
            r#"{"version":1,"seen":{"taken_at":"2026-11-24T03:00:00Z","inputs":"1a2b","rows":3,"parts":2,"#,
            r#""first_date":"2026-11-22","last_date":"2026-11-23"},"components":2,"projection":"new","#,
            r#""before":"f","lists":["runs/r/moments/moments-000001.json"]}"#,
        );
        assert_eq!(serde_json::to_string(&plan).unwrap(), json);
        assert_eq!(serde_json::from_str::<FitPlan>(json).unwrap(), plan);
        let FitOptions { components, projection, .. } = FitOptions::default();
        let (input, previous, lists) = (None, None, Vec::new());
        let plan = FitPlan { version: 1, input, components, projection, previous, lists };
        assert_eq!(serde_json::to_string(&plan).unwrap(), DEFAULTS);
        assert_eq!(serde_json::from_str::<FitPlan>(DEFAULTS).unwrap(), plan);
    }

    /// The file that the previous version wrote. A fit of one version may be projected by another.
    #[test]
    fn an_unpublished_fit_has_the_documented_format() {
        let json = concat!(
            r#"{"version":1,"record":{"fit":"f","model":"m","model_sha256":"s","dimension":2,"rows":3,"#,
            r#""parts":1,"first_date":null,"last_date":"2026-11-23","components":1,"rank":1,"#,
            r#""explained_variance":[4.0],"explained_variance_ratio":[0.5],"total_variance":8.0,"#,
            r#""mean":[0.25,-1.0],"inputs":"1a2b","taken_at":"2026-11-24T03:00:00Z","seconds":0.5,"#,
            r#""made_by":"fruitvec 0.1.0"},"components":[0.6,0.8]}"#,
        );
        let unpublished: UnpublishedFit = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&unpublished).unwrap(), json);
        let fit = Fit {
            mean: vec![0.25, -1.0],
            components: vec![0.6, 0.8],
            explained_variance: vec![4.0],
            explained_variance_ratio: vec![0.5],
            total_variance: 8.0,
            rows: 3,
            rank: 1,
        };
        assert_eq!(unpublished.fit(), fit);
    }

    #[test]
    fn a_malformed_part_is_named_in_the_error() {
        let list = PartList { version: 1, parts: vec![selection("a", &[3], true)] };
        let inputs = list.inputs("m").unwrap();
        assert_eq!(inputs[0].part.path_in_model(), "date=2026-11-23/a");
        assert_eq!((inputs[0].rows, inputs[0].dead.as_slice(), inputs[0].cached), (9, &[3][..], true));
        let list = PartList { version: 1, parts: vec![selection("a/b", &[], false)] };
        let error = list.inputs("m").unwrap_err().to_string();
        assert!(error.contains("date=2026-11-23/a/b"), "{error}");
    }

    #[test]
    fn a_projection_is_parsed_from_its_name() {
        assert_eq!("all".parse(), Ok(Projection::All));
        assert_eq!("new".parse(), Ok(Projection::New));
        assert_eq!("none".parse(), Ok(Projection::None));
        assert!("some".parse::<Projection>().unwrap_err().contains("all, new or none"));
    }
}
