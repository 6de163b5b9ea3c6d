//! A refit of the PCA: the moments of every part, merged, fitted, projected, published.
//!
//! What each step does; which task does it, and when, is said in [`fits`](crate::fits).
//!
//! The moments of a large part are kept beside it, so that the next run need not sum its rows again. The fit is published last:
//! readers follow `latest.json`, which is replaced only by a later fit.

use std::collections::BTreeSet;
use std::time::Duration;

use ring::digest::{Context, SHA256};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::macros::format_description;

use crate::ahead::Ahead;
use crate::apart::apart;
use crate::behind::Behind;
use crate::error::{Error, Result};
use crate::model::ModelCard;
use crate::moments::Moments;
use crate::partition::{
    fit_key, fits_prefix, format_date, latest_fit_key, reduced_of_model_prefix, reduced_prefix,
};
use crate::pca::Fit;
use crate::plot;
use crate::portion::Portion;
use crate::reduced::{self, POINTS, Sample};
use crate::snapshot::{PartRows, Snapshot};
use crate::store::{Listed, Store};
use crate::table;

/// Components where nobody asks for another number.
pub const COMPONENTS: usize = 20;

/// The content of `fit.json`: what the fit saw, and what it found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FitRecord {
    /// The fit's id: [`FitRecord::taken_at`], and the first digits of [`FitRecord::inputs`].
    pub fit: String,
    /// The model whose embeddings it saw.
    pub model: String,
    /// The sha256 of that model's file.
    pub model_sha256: String,
    /// Numbers in an embedding.
    pub dimension: usize,
    /// Rows that it saw: the current ones.
    pub rows: u64,
    /// Parts that they were in.
    pub parts: usize,
    /// The first day that has a current row.
    pub first_date: Option<String>,
    /// The last day that has a current row.
    pub last_date: Option<String>,
    /// Components that were asked for.
    pub components: usize,
    /// How many of them are not zero: at most rows − 1.
    pub rank: usize,
    /// Of each component: the variance of the scores, as scikit-learn's `PCA.explained_variance_` (divided by rows − 1).
    pub explained_variance: Vec<f64>,
    /// Of each component: its share of `total_variance`, from 0 to 1.
    pub explained_variance_ratio: Vec<f64>,
    /// The sum of the variances of all dimensions.
    pub total_variance: f64,
    /// The mean embedding.
    pub mean: Vec<f64>,
    /// SHA-256, in hex, over the model, the parts, their dead rows and the number of components: the same inputs give the same fit.
    pub inputs: String,
    /// When reading the table began: the fit saw everything written before.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// How long reading, fitting and projecting took, seconds.
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

/// What a run came to.
#[derive(Debug, Clone)]
pub struct Refitted {
    /// The fit's record.
    pub record: FitRecord,
    /// Whether it was there already: nothing had changed.
    pub already: bool,
    /// Keys of the files of the fit, the pictures last.
    pub files: Vec<String>,
}

impl Refitted {
    /// A fit with the keys of its files.
    #[must_use]
    pub fn of(record: FitRecord, already: bool) -> Self {
        let files = FILES.iter().map(|file| fit_key(&record.model, &record.fit, file)).collect();
        Self { record, already, files }
    }
}

/// What a fit is to see of the table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Seen {
    /// When reading the table began.
    #[serde(with = "time::serde::rfc3339")]
    pub taken_at: OffsetDateTime,
    /// [`FitRecord::inputs`].
    pub inputs: String,
    /// Current rows.
    pub rows: u64,
    /// Parts that they are in.
    pub parts: usize,
    /// The first day that has a current row.
    pub first_date: Option<String>,
    /// The last day that has a current row.
    pub last_date: Option<String>,
}

/// The parts of a snapshot that have current rows.
pub(crate) fn held(snapshot: &Snapshot) -> impl Iterator<Item = &PartRows> {
    snapshot.parts.iter().filter(|part| part.current() > 0)
}

const FILES: [&str; 5] =
    ["fit.json", "components.parquet", "explained_variance.csv", "scree.svg", "scatter.svg"];

/// One run, of one model.
pub struct Refit<'a> {
    /// Where everything lies.
    pub store: &'a Store,
    /// The results bucket.
    pub results_bucket: &'a str,
    /// The model.
    pub card: &'a ModelCard,
    /// How many components.
    pub components: usize,
}

impl Refit<'_> {
    /// What a fit of this snapshot sees.
    #[must_use]
    pub fn seen(&self, snapshot: &Snapshot) -> Seen {
        let dates = snapshot.dates();
        Seen {
            taken_at: snapshot.taken_at,
            inputs: self.inputs(snapshot),
            rows: snapshot.rows(),
            parts: held(snapshot).count(),
            first_date: dates.map(|(first, _)| format_date(first)),
            last_date: dates.map(|(_, last)| format_date(last)),
        }
    }

    /// The fit of these moments, which must be of all that was to be seen.
    pub(crate) fn fit(&self, seen: &Seen, moments: &Moments) -> Result<(FitRecord, Fit)> {
        let (components, card) = (self.components, self.card);
        let fit = Fit::of(moments, components)?;
        if fit.rows != seen.rows {
            return Err(Error::Internal(format!(
                "the moments are of {} rows, the table has {}",
                fit.rows, seen.rows
            )));
        }
        let record = FitRecord {
            fit: fit_id(seen.taken_at, &seen.inputs)?,
            model: card.id.clone(),
            model_sha256: card.file.sha256.clone(),
            dimension: card.dimension,
            rows: fit.rows,
            parts: seen.parts,
            first_date: seen.first_date.clone(),
            last_date: seen.last_date.clone(),
            components,
            rank: fit.rank.min(components),
            explained_variance: fit.explained_variance.clone(),
            explained_variance_ratio: fit.explained_variance_ratio.clone(),
            total_variance: fit.total_variance,
            mean: fit.mean.clone(),
            inputs: seen.inputs.clone(),
            taken_at: seen.taken_at,
            seconds: (OffsetDateTime::now_utc() - seen.taken_at).as_seconds_f64(),
            made_by: concat!("fruitvec ", env!("CARGO_PKG_VERSION")).to_owned(),
        };
        Ok((record, fit))
    }

    /// Whether a fit is published.
    pub(crate) async fn has(&self, fit: &str) -> Result<bool> {
        let key = fit_key(&self.card.id, fit, "fit.json");
        Ok(record::<FitRecord>(self.store, self.results_bucket, &key).await?.is_some())
    }

    /// What `latest.json` says, and its `ETag`.
    pub(crate) async fn latest(&self) -> Result<Option<(Latest, String)>> {
        let key = latest_fit_key(&self.card.id);
        let Some((bytes, etag)) = self.store.get_versioned(self.results_bucket, &key).await? else {
            return Ok(None);
        };
        Ok(Some((serde_json::from_slice(&bytes).map_err(Error::schema(&key))?, etag)))
    }

    fn inputs(&self, snapshot: &Snapshot) -> String {
        let mut digest = Context::new(&SHA256);
        let mut line = |line: String| digest.update(line.as_bytes());
        line(format!("{} {} {}\n", self.card.id, self.card.file.sha256, self.components));
        for PartRows { part, dead, .. } in held(snapshot) {
            line(format!("{} {dead:?}\n", part.embeddings_key()));
        }
        hex::encode(digest.finish())
    }

    /// Writes the projection of the current rows of these parts; returns a sample of them for the picture.
    pub(crate) async fn project(&self, parts: Vec<Portion>, fit: Fit, id: &str) -> Result<Sample> {
        let objects = parts.iter().map(|part| part.rows_object(self.card)).collect();
        let mut ahead = Ahead::fetch(self.store, self.results_bucket, objects);
        let mut behind = Behind::new(self.store, self.results_bucket);
        let (card, id) = (self.card.clone(), id.to_owned());
        apart(move || {
            let mut sample = Sample::default();
            for part in parts {
                let rows = part.encoded(&card, ahead.next()?)?;
                let reduced = reduced::encode(&part.dead, &rows, &fit, &card, &mut sample)?;
                behind.put(part.part.reduced_key(&id), table::MEDIA_TYPE, reduced)?;
            }
            behind.end()?;
            Ok(sample)
        })
        .await
    }

    /// Writes the files of a fit, then points to it, and deletes the fits before the last two. Where nothing was projected there is no
    /// scatter plot.
    pub(crate) async fn publish(&self, record: &FitRecord, fit: &Fit, sample: &Sample) -> Result<()> {
        let title = format!("{} photos, {}", record.rows, record.model);
        let sampled = match record.rows {
            rows if rows > POINTS as u64 => format!("{}, a sample of {rows} photos", record.model),
            _ => record.model.clone(),
        };
        let ratios = &fit.explained_variance_ratio;
        let share = |component: usize| ratios.get(component).copied().unwrap_or_default();
        let bodies = [
            serde_json::to_vec_pretty(record).map_err(Error::schema("fit.json"))?,
            reduced::components(fit, self.card)?,
            fit.explained_variance_csv().into_bytes(),
            plot::scree(ratios, &title)?.into_bytes(),
            plot::scatter(&sample.points(), (share(0), share(1)), &sampled)?.into_bytes(),
        ];
        let kinds = ["application/json", table::MEDIA_TYPE, "text/csv", "image/svg+xml", "image/svg+xml"];
        let files = FILES.len() - usize::from(sample.is_empty());
        for ((file, body), kind) in FILES.iter().zip(bodies).zip(kinds).take(files) {
            let key = fit_key(&self.card.id, &record.fit, file);
            self.store.put(self.results_bucket, &key, kind, body).await?;
        }
        self.point(record).await?;
        self.retire().await
    }

    /// Points `latest.json` at this fit, unless a later one is there: it never goes back.
    async fn point(&self, record: &FitRecord) -> Result<()> {
        let key = latest_fit_key(&self.card.id);
        let latest = Latest { fit: record.fit.clone(), inputs: record.inputs.clone() };
        let body = serde_json::to_vec_pretty(&latest).map_err(Error::schema(&key))?;
        const TRIES: u32 = 10;
        for tried in 0..TRIES {
            // Others may be publishing just now.
            tokio::time::sleep(Duration::from_millis(100) * tried).await;
            let known = self.latest().await?;
            if known.as_ref().is_some_and(|(known, _)| known.fit >= latest.fit) {
                return Ok(());
            }
            let etag = known.map(|(_, etag)| etag);
            let kind = "application/json";
            if self.store.put_if_match(self.results_bucket, &key, kind, body.clone(), etag.as_deref()).await?
            {
                return Ok(());
            }
        }
        let cause = "others were published at the same time".into();
        Err(Error::S3 {
            verb: "put if match",
            bucket: self.results_bucket.to_owned(),
            key,
            passing: true,
            cause,
        })
    }

    /// Deletes the fits, with their projections, that are older than the newest one and the one before it.
    async fn retire(&self) -> Result<()> {
        let Some((latest, _)) = self.latest().await? else { return Ok(()) };
        let published = self.fits(&fits_prefix(&self.card.id)).await?;
        let mut kept: Vec<_> = published.iter().filter(|fit| **fit <= latest.fit).collect();
        let kept = kept.split_off(kept.len().saturating_sub(2));
        let projected = self.fits(&reduced_of_model_prefix(&self.card.id)).await?;
        // What is newer than the newest is on its way.
        let old = |fit: &&String| **fit < latest.fit && !kept.contains(fit);
        for fit in published.union(&projected).filter(old) {
            self.delete(&reduced_prefix(&self.card.id, fit)).await?;
            self.delete(&fit_key(&self.card.id, fit, "")).await?;
        }
        Ok(())
    }

    /// The fits that have a folder below a prefix.
    async fn fits(&self, prefix: &str) -> Result<BTreeSet<String>> {
        let (mut fits, mut token) = (BTreeSet::new(), None);
        loop {
            let page = self.store.page(self.results_bucket, prefix, true, token).await?;
            let named = |folder: &String| {
                Some(folder.strip_prefix(prefix)?.strip_prefix("fit=")?.strip_suffix('/')?.to_owned())
            };
            fits.extend(page.folders.iter().filter_map(named));
            token = page.next;
            if token.is_none() {
                return Ok(fits);
            }
        }
    }

    async fn delete(&self, prefix: &str) -> Result<()> {
        let mut keys = Vec::new();
        let note = |object: Listed| {
            keys.push(object.key);
            Ok(())
        };
        self.store.list(self.results_bucket, prefix, note).await?;
        self.store.delete(self.results_bucket, &keys).await
    }
}

/// The newest fit of a model, if there is one.
///
/// # Errors
/// [`Error::S3`], [`Error::Schema`].
pub async fn newest(store: &Store, results_bucket: &str, model: &str) -> Result<Option<FitRecord>> {
    let Some(latest) = record::<Latest>(store, results_bucket, &latest_fit_key(model)).await? else {
        return Ok(None);
    };
    record(store, results_bucket, &fit_key(model, &latest.fit, "fit.json")).await
}

/// A record of ours; none where there is none.
async fn record<T: DeserializeOwned>(store: &Store, results_bucket: &str, key: &str) -> Result<Option<T>> {
    match store.get(results_bucket, key).await {
        Ok(bytes) => serde_json::from_slice(&bytes).map(Some).map_err(Error::schema(key)),
        Err(Error::Gone { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `20261123T101500123Z-1a2b3c4d`: in the order of time, as text.
fn fit_id(begun_at: OffsetDateTime, inputs: &str) -> Result<String> {
    let format = format_description!("[year][month][day]T[hour][minute][second][subsecond digits:3]Z");
    let time = begun_at.format(format).map_err(|cause| Error::Internal(cause.to_string()))?;
    Ok(format!("{time}-{}", &inputs[..8]))
}
