//! `fruitvec demo`: the whole job on one machine.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use clap::Args;
use fruitvec::drive::drive;
use fruitvec::error::{Error, Result};
use fruitvec::fits::Asked;
use fruitvec::ingest::{Ingest, Outcome};
use fruitvec::local::{Server, dispatch, painter};
use fruitvec::photo::{PhotoId, label};
use fruitvec::plan::Wishes;
use fruitvec::refit::COMPONENTS;
use fruitvec::reject::RejectCode;
use fruitvec::run::Job;
use fruitvec::snapshot::{Known, Snapshot};
use fruitvec::store::Store;
use futures::{StreamExt, TryStreamExt};
use indicatif::{ProgressBar, ProgressStyle};
use md5::{Digest, Md5};
use tokio::sync::oneshot;

use super::place::{Means, Reached, worker};
use super::{EngineChoice, ModelChoice, PHOTOS, RESULTS, local_ingest, show_fit, shown};

/// Photos that are put at once.
const PUTS: usize = 8;
/// Rejects that are shown; the others are counted.
const SHOWN: usize = 10;
/// What the name of a photo ends in. Content decides what a photo is; the name only, which files of a folder are tried.
const ENDINGS: [&str; 14] =
    ["jpg", "jpeg", "jpe", "jfif", "png", "webp", "gif", "bmp", "tif", "tiff", "heic", "heif", "avif", "jxl"];

/// The whole job on this machine: photos in, embeddings in Parquet, PCA out.
#[derive(Args)]
pub(crate) struct Demo {
    /// A folder of photos, one folder a label; without it, fruit that the program paints itself.
    dir: Option<PathBuf>,
    #[command(flatten)]
    model: ModelChoice,
    #[command(flatten)]
    engine: EngineChoice,
    /// The folder that holds the buckets.
    #[arg(long, value_name = "DIR", default_value = "fruitvec-data")]
    data: PathBuf,
    /// How many components the PCA has.
    #[arg(long, value_name = "N", default_value_t = COMPONENTS)]
    components: usize,
}

impl Demo {
    pub(crate) async fn run(self) -> Result<()> {
        let photos = match &self.dir {
            Some(dir) => Photos::in_folder(dir, &self.data)?,
            None => Photos::painted()?,
        };
        let (server, store, ingest) = local_ingest(&self.model, self.engine, &self.data, 0).await?;
        let card = ingest.card();
        say!("model       {}: {}, {} numbers", card.id, card.description, card.dimension);
        say!("S3          {}, data in {}", server.endpoint(), self.data.display());
        say!("photos      {}\n", photos.described());

        let tally = Put { server: &server, store: &store, ingest: &ingest }.all(&photos).await?;
        tally.show();

        // Events have told of all there is, so of the rebuild only the fit is left to do, unless someone was at the folder.
        let reached = Reached::of(server, store, &self.data);
        let asked = Asked { components: self.components, ..Asked::default() };
        let wishes = Wishes { asked, confirmed: true, ..Wishes::default() };
        let run = reached.run(Job::Rebuild, &self.model)?;
        let means = Means { engine: self.engine, ..Means::default() };
        let worker = worker(&run.store, &run.results_bucket, run.card.clone(), means, |_, _| ())?;
        let refitted = drive(&run, &worker, &wishes, &mut |_| ()).await?;
        let Some(refitted) = refitted else {
            return Err(Error::Nothing("there are no embeddings to fit a PCA to".into()));
        };
        let record = &refitted.record;
        show_fit(&refitted, |key| reached.place(key));
        say!(
            "embeddings  {}  ({} rows in {})",
            reached.place(&format!("embeddings/model={}/date=*/*.parquet", record.model)),
            record.rows,
            counted(record.parts, "part")
        );
        say!(
            "reduced     {}",
            reached.place(&format!("reduced/model={}/fit={}/date=*/*.parquet", record.model, record.fit))
        );
        tally.verdict()
    }
}

/// The photos to put: their keys, and where their bytes come from.
struct Photos {
    from: String,
    sources: BTreeMap<String, Source>,
    skipped: usize,
}

enum Source {
    File(PathBuf),
    Painted(Bytes),
}

impl Source {
    /// The bytes, and the `ETag` that S3 will give them.
    fn read(&self) -> Result<(Bytes, String)> {
        let bytes = match self {
            Self::File(path) => std::fs::read(path).map(Bytes::from).map_err(Error::file(path))?,
            Self::Painted(bytes) => bytes.clone(),
        };
        let etag = hex::encode(Md5::digest(&bytes));
        Ok((bytes, etag))
    }
}

impl Photos {
    fn painted() -> Result<Self> {
        let sources = painter::photos()
            .map(|photo| photo.map(|(name, bytes)| (format!("photos/{name}"), Source::Painted(bytes.into()))))
            .collect::<Result<_, _>>()
            .map_err(|cause| Error::Internal(format!("painting: {cause}")))?;
        Ok(Self { from: "painted by the program".into(), sources, skipped: 0 })
    }

    /// Every file below `dir` whose name is a photo's; not those below `data`, which are ours. One that lies in `dir` itself has
    /// the name of `dir` as its label.
    fn in_folder(dir: &Path, data: &Path) -> Result<Self> {
        let dir = dir.canonicalize().map_err(Error::file(dir))?;
        let data = data.canonicalize().ok();
        let mut photos = Self { from: dir.display().to_string(), sources: BTreeMap::new(), skipped: 0 };
        photos.walk(&dir, &dir, data.as_deref())?;
        if photos.sources.is_empty() {
            let endings = ENDINGS.join(", ");
            return Err(Error::Nothing(format!(
                "there is no photo below {} (a file that ends in {endings})",
                photos.from
            )));
        }
        Ok(photos)
    }

    fn walk(&mut self, root: &Path, folder: &Path, data: Option<&Path>) -> Result<()> {
        for entry in std::fs::read_dir(folder).map_err(Error::file(folder))? {
            let entry = entry.map_err(Error::file(folder))?;
            let path = entry.path();
            // A link to a folder is not followed: it may lead in a circle.
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                if data != Some(&path) {
                    self.walk(root, &path, data)?;
                }
            } else if let Some(key) = key(root, &path) {
                self.sources.insert(key, Source::File(path));
            } else {
                self.skipped += 1;
            }
        }
        Ok(())
    }

    fn described(&self) -> String {
        let labels: BTreeSet<_> = self.sources.keys().filter_map(|key| label(key)).collect();
        let skipped = match self.skipped {
            0 => String::new(),
            n => format!("; {} skipped, not named as photos are", counted(n, "file")),
        };
        format!("{} of {}, {}{skipped}", self.sources.len(), counted(labels.len(), "label"), self.from)
    }
}

/// `photos/<label>/<name>`; none where the name is no photo's, or not UTF-8, which a key must be.
fn key(root: &Path, path: &Path) -> Option<String> {
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    let hidden = path.file_name()?.to_str()?.starts_with('.');
    let inner = path.strip_prefix(root).ok()?.to_str()?.replace(std::path::MAIN_SEPARATOR, "/");
    let photo = ENDINGS.contains(&ending.as_str()) && !hidden;
    let lone = || Some(format!("photos/{}/{inner}", root.file_name()?.to_str()?));
    photo.then(|| if inner.contains('/') { Some(format!("photos/{inner}")) } else { lone() })?
}

/// What became of a photo before any event told of it.
enum State {
    New,
    Known(Known),
    Unread(Error),
}

/// Photos on their way in.
struct Put<'a> {
    server: &'a Server,
    store: &'a Store,
    ingest: &'a Ingest,
}

impl Put<'_> {
    /// Puts what is not known yet, and embeds it as its notifications arrive.
    async fn all(&self, photos: &Photos) -> Result<Tally> {
        let mut known = HashMap::new();
        let note = |photo, state| _ = known.insert(photo, state);
        Snapshot::take_each(self.store, RESULTS, &self.ingest.card().id, note).await?;

        let start = Instant::now();
        let bar = progress(photos.sources.len());
        let mut tally = Tally::default();
        let notifications = self.server.subscribe(PHOTOS);
        let (done, all_put) = oneshot::channel();
        let put = async {
            let present = self.put(photos, &known, &bar).await;
            // Whoever listens has ended with an error of its own.
            let _ = done.send(());
            present
        };
        let until = async { _ = all_put.await };
        let hear = |delivery: &_, outcome: &Outcome| {
            bar.inc(1);
            tally.note(delivery, outcome);
        };
        let heard = dispatch::dispatch(notifications, self.ingest, until, hear);
        let ended = tokio::try_join!(put, heard);
        bar.finish_and_clear();
        for (key, state) in ended?.0 {
            match state {
                State::New => (),
                State::Known(Known::Embedded) => tally.present += 1,
                State::Known(Known::Rejected) => tally.rejected_before += 1,
                State::Unread(error) => _ = tally.failed.insert(key, error.to_string()),
            }
        }
        tally.seconds = start.elapsed().as_secs_f64();
        Ok(tally)
    }

    /// Puts each photo unless it is known already.
    async fn put(
        &self,
        photos: &Photos,
        known: &HashMap<PhotoId, Known>,
        bar: &ProgressBar,
    ) -> Result<Vec<(String, State)>> {
        futures::stream::iter(&photos.sources)
            .map(async |(key, source)| {
                let state = match tokio::task::block_in_place(|| source.read()) {
                    Err(error) => State::Unread(error),
                    Ok((bytes, etag)) => match known.get(&PhotoId::of(PHOTOS, key, &etag)) {
                        Some(state) => State::Known(*state),
                        None => {
                            self.store.put(PHOTOS, key, "application/octet-stream", bytes).await?;
                            return Ok((key.clone(), State::New));
                        }
                    },
                };
                bar.inc(1);
                Ok((key.clone(), state))
            })
            .buffer_unordered(PUTS)
            .try_collect()
            .await
    }
}

fn progress(photos: usize) -> ProgressBar {
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} photos  {per_sec}  {eta} left");
    let bar = ProgressBar::new(photos as u64);
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar
}

/// What became of the photos.
#[derive(Default)]
struct Tally {
    embedded: usize,
    present: usize,
    rejected_before: usize,
    rejected: BTreeMap<String, (RejectCode, String)>,
    failed: BTreeMap<String, String>,
    seconds: f64,
}

impl Tally {
    fn note(&mut self, delivery: &fruitvec::event::Delivery, outcome: &Outcome) {
        match outcome {
            Outcome::Embedded { already: false, .. } => self.embedded += 1,
            Outcome::Embedded { already: true, .. } => self.present += 1,
            Outcome::Rejected { rejection, .. } => {
                let rejection = (rejection.code, rejection.message.clone());
                self.rejected.insert(delivery.key.clone(), rejection);
            }
            Outcome::Failed(error) => _ = self.failed.insert(delivery.key.clone(), error.to_string()),
            Outcome::Gone | Outcome::Removed | Outcome::StillThere | Outcome::Ignored => (),
        }
    }

    /// An error if a photo was neither embedded nor rejected.
    fn verdict(&self) -> Result<()> {
        match self.failed.len() {
            0 => Ok(()),
            n => Err(Error::Nothing(format!("{} not embedded; run it again", counted(n, "photo")))),
        }
    }

    fn show(&self) {
        let rate = self.embedded as f64 / self.seconds;
        let speed = if self.embedded > 0 {
            format!("  ({:.1} s, {rate:.0} photos/s)", self.seconds)
        } else {
            String::new()
        };
        say!("embedded    {}{speed}", self.embedded);
        say!("rejected    {}", self.rejected.len());
        for (key, (code, message)) in self.rejected.iter().take(SHOWN) {
            say!("              {}: {code}: {message}", shown(key));
        }
        if self.rejected.len() > SHOWN {
            say!("              … and {} more", self.rejected.len() - SHOWN);
        }
        let rejected = match self.rejected_before {
            0 => String::new(),
            n => format!("  ({n} of them rejected)"),
        };
        say!("already     {}{rejected}\n", self.present + self.rejected_before);
        for (key, error) in &self.failed {
            eprintln!("failed: {}: {error}", shown(key));
        }
    }
}

fn counted(count: usize, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}
