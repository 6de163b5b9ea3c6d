//! Fits the PCA to merged moments, and identifies the input that a fit is computed from.

use ring::digest::{Context, SHA256};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use super::error::pca_error;
use crate::contract::fit::FitRecord;
use crate::contract::layout::{fit_key, format_date};
use crate::contract::model_card::ModelCard;
use crate::error::{Error, Result};
use crate::moments::Moments;
use crate::pca::Fit;
use crate::table::{PartRows, Snapshot};

/// The default number of components.
pub const COMPONENTS: usize = 20;

/// The files of a fit, the plots last.
pub(super) const FILES: [&str; 5] =
    ["fit.json", "components.parquet", "explained_variance.csv", "scree.svg", "scatter.svg"];

/// The fit at the end of a run.
#[derive(Debug, Clone)]
pub struct FitResult {
    /// The fit's record.
    pub record: FitRecord,
    /// Whether an earlier run published it, because nothing has changed since.
    pub already: bool,
    /// The keys of the fit's files, the plots last.
    pub files: Vec<String>,
}

impl FitResult {
    /// Returns a result with the keys of the fit's files.
    #[must_use]
    pub fn new(record: FitRecord, already: bool) -> Self {
        let files = FILES.iter().map(|file| fit_key(&record.model, &record.fit, file)).collect();
        Self { record, already, files }
    }
}

/// The part of the table that a fit is computed from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FitInput {
    /// When reading the table started.
    #[serde(with = "time::serde::rfc3339")]
    pub(super) taken_at: OffsetDateTime,
    /// [`FitRecord::inputs`].
    pub(super) inputs: String,
    /// Current rows.
    pub(super) rows: u64,
    /// Parts with current rows.
    pub(super) parts: usize,
    /// The first date with a current row.
    pub(super) first_date: Option<String>,
    /// The last date with a current row.
    pub(super) last_date: Option<String>,
}

impl FitInput {
    /// Returns the input that a snapshot offers.
    pub(super) fn new(snapshot: &Snapshot, card: &ModelCard, components: usize) -> Self {
        let dates = snapshot.dates();
        Self {
            taken_at: snapshot.taken_at,
            inputs: digest_inputs(snapshot, card, components),
            rows: snapshot.rows(),
            parts: parts_with_current_rows(snapshot).count(),
            first_date: dates.map(|(first, _)| format_date(first)),
            last_date: dates.map(|(_, last)| format_date(last)),
        }
    }
}

/// Returns the parts of a snapshot that have current rows.
pub(super) fn parts_with_current_rows(snapshot: &Snapshot) -> impl Iterator<Item = &PartRows> {
    snapshot.parts.iter().filter(|part| part.current() > 0)
}

/// Returns [`FitRecord::inputs`]: equal inputs give equal fits.
fn digest_inputs(snapshot: &Snapshot, card: &ModelCard, components: usize) -> String {
    let mut digest = Context::new(&SHA256);
    let mut line = |line: String| digest.update(line.as_bytes());
    line(format!("{} {} {components}\n", card.id, card.file.sha256));
    for PartRows { part, dead, .. } in parts_with_current_rows(snapshot) {
        line(format!("{} {dead:?}\n", part.embeddings_key()));
    }
    hex::encode(digest.finish())
}

/// Fits the PCA to the moments of all rows of the input.
///
/// # Errors
/// [`Error::Internal`] when the moments have another number of rows than the input;
/// [`Error::Config`] when there are fewer dimensions than components.
pub(super) fn fit(
    input: &FitInput,
    moments: &Moments,
    card: &ModelCard,
    components: usize,
) -> Result<(FitRecord, Fit)> {
    let fit = Fit::of(moments, components).map_err(pca_error)?;
    if fit.rows != input.rows {
        let (found, expected) = (fit.rows, input.rows);
        return Err(Error::Internal(format!("the moments have {found} rows, the table has {expected}")));
    }
    let record = FitRecord {
        fit: fit_id(input.taken_at, &input.inputs)?,
        model: card.id.clone(),
        model_sha256: card.file.sha256.clone(),
        dimension: card.dimension,
        rows: fit.rows,
        parts: input.parts,
        first_date: input.first_date.clone(),
        last_date: input.last_date.clone(),
        components,
        rank: fit.rank.min(components),
        explained_variance: fit.explained_variance.clone(),
        explained_variance_ratio: fit.explained_variance_ratio.clone(),
        total_variance: fit.total_variance,
        mean: fit.mean.clone(),
        inputs: input.inputs.clone(),
        taken_at: input.taken_at,
        seconds: (OffsetDateTime::now_utc() - input.taken_at).as_seconds_f64(),
        made_by: concat!("fruitvec ", env!("CARGO_PKG_VERSION")).to_owned(),
    };
    Ok((record, fit))
}

/// Returns a fit's id, `20261123T101500123Z-1a2b3c4d`. Ids sort by time as text.
fn fit_id(taken_at: OffsetDateTime, inputs: &str) -> Result<String> {
    let format = format_description!("[year][month][day]T[hour][minute][second][subsecond digits:3]Z");
    let time = taken_at.format(format).map_err(|cause| Error::Internal(cause.to_string()))?;
    Ok(format!("{time}-{}", &inputs[..8]))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use ring::digest::digest;
    use time::macros::{date, datetime};

    use super::*;
    use crate::contract::layout::{Part, PartName, Partition};

    const MODEL: &str = "mobilenetv1";
    const TAKEN_AT: OffsetDateTime = datetime!(2026-11-23 10:15:00.123456 UTC);

    fn part(name: &str, date: time::Date, rows: u32, dead: &[u32]) -> PartRows {
        let partition = Partition { model: MODEL.into(), date };
        PartRows {
            part: Part { partition, name: PartName::parse(name).unwrap() },
            rows,
            dead: dead.to_vec(),
            size_bytes: 0,
            written_at: OffsetDateTime::UNIX_EPOCH,
            compacted: false,
            replaces: Vec::new(),
            replaced_by: Vec::new(),
        }
    }

    /// Fits of the previous version must be recognized, or every table would be fitted again once.
    #[test]
    fn the_input_is_a_digest_of_the_model_the_parts_and_the_number_of_components() {
        let card = ModelCard::parse(include_str!("../../../models/mobilenetv1.toml")).unwrap();
        let parts = vec![
            part("a", date!(2026 - 11 - 21), 1, &[0]),
            part("b", date!(2026 - 11 - 22), 5, &[0, 2]),
            part("c", date!(2026 - 11 - 23), 2, &[]),
        ];
        let snapshot = Snapshot { taken_at: TAKEN_AT, parts, rejected: BTreeMap::new() };
        let input = FitInput::new(&snapshot, &card, 20);
        let text = format!(
            "{MODEL} {} 20\nembeddings/model={MODEL}/date=2026-11-22/b.parquet [0, 2]\n\
             embeddings/model={MODEL}/date=2026-11-23/c.parquet []\n",
            card.file.sha256
        );
        assert_eq!(input.inputs, hex::encode(digest(&SHA256, text.as_bytes())));
        assert_eq!((input.rows, input.parts, input.taken_at), (5, 2, TAKEN_AT));
        let dates = (input.first_date.as_deref(), input.last_date.as_deref());
        assert_eq!(dates, (Some("2026-11-22"), Some("2026-11-23")));
        assert_ne!(FitInput::new(&snapshot, &card, 19).inputs, input.inputs);
    }

    #[test]
    fn a_fit_id_is_the_time_and_the_first_digits_of_the_inputs() {
        let id = fit_id(TAKEN_AT, "1a2b3c4d5e6f").unwrap();
        assert_eq!(id, "20261123T101500123Z-1a2b3c4d");
    }
}
