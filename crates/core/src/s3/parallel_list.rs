//! All objects of the photos bucket in the byte order of their keys, listed by many requests at once.
//!
//! A listing gives 1,000 keys a request, one request after the other. So the folders are found first (`photos/<label>/`,
//! `uploads/<date>/`) and listed side by side, some of them ahead of whoever reads; what is read comes in order nevertheless. Memory is
//! bounded: a folder that is ahead waits after two pages.

use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::store::{Listed, Page, Store};

/// Folders that are listed ahead of the reader.
const FOLDERS_AHEAD: usize = 8;
/// Pages of a folder that are listed ahead of the reader.
const PAGES_AHEAD: usize = 2;
/// Folders whose own folders are listed one by one. Everything else at the top is listed as a whole.
const DIVIDED: [&str; 2] = ["photos/", "uploads/"];

type Pages = mpsc::Receiver<Result<Vec<Listed>>>;

/// The objects of a bucket, in the byte order of their keys.
pub struct Listing {
    segments: mpsc::Receiver<Result<Segment>>,
    folder: Option<Pages>,
    page: std::vec::IntoIter<Listed>,
}

/// Keys that lie together.
enum Segment {
    Objects(Vec<Listed>),
    Folder(Pages),
}

impl Listing {
    /// Begins to list a bucket. It goes on in the background until it is read to the end or dropped.
    #[must_use]
    pub fn of(store: &Store, bucket: &str) -> Self {
        let (sender, segments) = mpsc::channel(FOLDERS_AHEAD);
        let survey = Survey { store: store.clone(), bucket: bucket.to_owned(), segments: sender };
        tokio::spawn(async move {
            if let Err(error) = survey.all().await {
                // If nobody listens any more, nobody needs to know.
                let _ = survey.segments.send(Err(error)).await;
            }
        });
        Self { segments, folder: None, page: Vec::new().into_iter() }
    }

    /// The next object, folders that a console made left out.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn next(&mut self) -> Result<Option<Listed>> {
        loop {
            if let Some(object) = self.page.find(is_photo) {
                return Ok(Some(object));
            }
            if let Some(page) = self.next_of_folder().await? {
                self.page = page.into_iter();
                continue;
            }
            match self.segments.recv().await.transpose()? {
                Some(Segment::Objects(objects)) => self.page = objects.into_iter(),
                Some(Segment::Folder(pages)) => self.folder = Some(pages),
                None => return Ok(None),
            }
        }
    }

    async fn next_of_folder(&mut self) -> Result<Option<Vec<Listed>>> {
        let Some(folder) = &mut self.folder else { return Ok(None) };
        let page = folder.recv().await.transpose()?;
        if page.is_none() {
            self.folder = None;
        }
        Ok(page)
    }
}

/// The console makes folders of empty objects whose keys end in a slash.
fn is_photo(object: &Listed) -> bool {
    object.size_bytes > 0 || !object.key.ends_with('/')
}

/// What finds the folders.
struct Survey {
    store: Store,
    bucket: String,
    segments: mpsc::Sender<Result<Segment>>,
}

impl Survey {
    async fn all(&self) -> Result<()> {
        self.divide("", &DIVIDED).await
    }

    /// Sends what lies below a prefix, its folders each as a segment of its own; those in `divided` are divided again.
    async fn divide(&self, prefix: &str, divided: &[&str]) -> Result<()> {
        let mut token = None;
        loop {
            let Page { objects, folders, next } = self.store.page(&self.bucket, prefix, true, token).await?;
            let mut objects = objects.into_iter().peekable();
            for folder in folders {
                let mut before = Vec::new();
                while let Some(object) = objects.next_if(|object| object.key < folder) {
                    before.push(object);
                }
                self.send(Segment::Objects(before)).await;
                if divided.contains(&folder.as_str()) {
                    Box::pin(self.divide(&folder, &[])).await?;
                } else {
                    self.send(Segment::Folder(self.list(folder))).await;
                }
            }
            self.send(Segment::Objects(objects.collect())).await;
            if next.is_none() || self.segments.is_closed() {
                return Ok(());
            }
            token = next;
        }
    }

    async fn send(&self, segment: Segment) {
        if !matches!(&segment, Segment::Objects(none) if none.is_empty()) {
            // Whoever has stopped reading needs no more.
            let _ = self.segments.send(Ok(segment)).await;
        }
    }

    /// Lists a folder in the background.
    fn list(&self, folder: String) -> Pages {
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let (store, bucket) = (self.store.clone(), self.bucket.clone());
        tokio::spawn(async move {
            let mut token = None;
            loop {
                let (page, next) = match store.page(&bucket, &folder, false, token).await {
                    Ok(Page { objects, next, .. }) => (Ok(objects), next),
                    Err(error) => (Err::<Vec<Listed>, Error>(error), None),
                };
                if sender.send(page).await.is_err() || next.is_none() {
                    return;
                }
                token = next;
            }
        });
        pages
    }
}
