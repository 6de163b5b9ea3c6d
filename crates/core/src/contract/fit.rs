//! The public records of a PCA fit: `fit.json` and the pointer `latest.json`.

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// The content of `fit.json`: the inputs and results of a fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitRecord {
    /// The fit's id, composed of [`FitRecord::taken_at`] and the first digits of
    /// [`FitRecord::inputs`].
    pub fit: String,
    /// The id of the model that made the embeddings.
    pub model: String,
    /// SHA-256 of the model's file, in hex.
    pub model_sha256: String,
    /// Values per embedding.
    pub dimension: usize,
    /// Current rows in the fit.
    pub rows: u64,
    /// Parts that contain those rows.
    pub parts: usize,
    /// First date with a current row.
    pub first_date: Option<String>,
    /// Last date with a current row.
    pub last_date: Option<String>,
    /// Requested components.
    pub components: usize,
    /// Components with a variance above zero, at most rows − 1.
    pub rank: usize,
    /// Variance of each component's scores, as scikit-learn's `PCA.explained_variance_`
    /// (divided by rows − 1).
    pub explained_variance: Vec<f64>,
    /// Each component's share of `total_variance`, from 0 to 1.
    pub explained_variance_ratio: Vec<f64>,
    /// Sum of the variances of all dimensions.
    pub total_variance: f64,
    /// The mean embedding.
    pub mean: Vec<f64>,
    /// SHA-256, in hex, of the model, the parts, their dead rows and the number of components.
    /// Equal inputs give equal fits.
    pub inputs: String,
    /// The time at which reading the table started. The fit covers everything written before it.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// Duration of reading, fitting and projecting, in seconds.
    pub seconds: f64,
    /// Program and version.
    pub made_by: String,
}

/// The content of `latest.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Latest {
    /// The id of the newest fit.
    pub fit: String,
    /// Its [`FitRecord::inputs`].
    pub inputs: String,
}
