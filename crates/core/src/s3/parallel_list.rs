//! Lists a whole bucket in the byte order of its keys, with several requests in flight.
//!
//! S3 returns at most 1,000 keys per request, and each page names the next. A single listing is
//! therefore sequential. Here one task finds the folders (`photos/<label>/`, `uploads/<date>/`) and
//! starts a listing for each, ahead of the reader. The reader still sees all keys in order. Memory
//! is bounded because each listing pauses two pages ahead of the reader.

use tokio::sync::mpsc;

use crate::error::{Error, Result};
use crate::s3::client::{ObjectMeta, Page, Store};

/// Folders to list ahead of the reader.
const FOLDERS_AHEAD: usize = 8;
/// Pages to list ahead of the reader, per folder.
const PAGES_AHEAD: usize = 2;
/// Top-level folders whose subfolders are listed in parallel. Every other top-level folder gets a
/// single listing.
const SUBDIVIDED: [&str; 2] = ["photos/", "uploads/"];

type Pages = mpsc::Receiver<Result<Vec<ObjectMeta>>>;

/// The objects of a bucket, in the byte order of their keys.
pub struct Listing {
    segments: mpsc::Receiver<Result<Segment>>,
    folder: Option<Pages>,
    page: std::vec::IntoIter<ObjectMeta>,
}

/// A contiguous range of the keys.
enum Segment {
    Objects(Vec<ObjectMeta>),
    Folder(Pages),
}

impl Listing {
    /// Starts to list a bucket in the background. Dropping the listing stops it.
    #[must_use]
    pub fn of(store: &Store, bucket: &str) -> Self {
        let (sender, segments) = mpsc::channel(FOLDERS_AHEAD);
        let walker = PrefixWalker { store: store.clone(), bucket: bucket.to_owned(), segments: sender };
        tokio::spawn(async move {
            if let Err(error) = walker.walk("", &SUBDIVIDED).await {
                // Sending fails only if the listing was dropped, and then the error does not
                // matter.
                let _ = walker.segments.send(Err(error)).await;
            }
        });
        Self { segments, folder: None, page: Vec::new().into_iter() }
    }

    /// Returns the next object, or `None` at the end. Skips folder markers.
    ///
    /// # Errors
    /// [`Error::S3`].
    pub async fn next(&mut self) -> Result<Option<ObjectMeta>> {
        loop {
            if let Some(object) = self.page.find(|object| !is_folder_marker(object)) {
                return Ok(Some(object));
            }
            if let Some(page) = self.next_page_of_folder().await? {
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

    async fn next_page_of_folder(&mut self) -> Result<Option<Vec<ObjectMeta>>> {
        let Some(folder) = &mut self.folder else { return Ok(None) };
        let page = folder.recv().await.transpose()?;
        if page.is_none() {
            self.folder = None;
        }
        Ok(page)
    }
}

/// Returns whether an object is one of the empty objects that the S3 console creates for folders.
fn is_folder_marker(object: &ObjectMeta) -> bool {
    object.size_bytes == 0 && object.key.ends_with('/')
}

/// Finds the folders and sends the segments of the listing in order.
struct PrefixWalker {
    store: Store,
    bucket: String,
    segments: mpsc::Sender<Result<Segment>>,
}

impl PrefixWalker {
    /// Sends the objects and folders below a prefix. The folders in `subdivided` are walked in
    /// turn.
    async fn walk(&self, prefix: &str, subdivided: &[&str]) -> Result<()> {
        let mut token = None;
        loop {
            let Page { objects, folders, next } = self.store.page(&self.bucket, prefix, true, token).await?;
            for entry in merge(objects, folders) {
                match entry {
                    Entry::Objects(objects) => self.send(Segment::Objects(objects)).await,
                    Entry::Folder(folder) if subdivided.contains(&folder.as_str()) => {
                        // Boxed, because the future of a recursive function would contain itself.
                        Box::pin(self.walk(&folder, &[])).await?;
                    }
                    Entry::Folder(folder) => self.send(Segment::Folder(self.list(folder))).await,
                }
            }
            if next.is_none() || self.segments.is_closed() {
                return Ok(());
            }
            token = next;
        }
    }

    async fn send(&self, segment: Segment) {
        // Sending fails only if the listing was dropped. The caller then stops after this page.
        let _ = self.segments.send(Ok(segment)).await;
    }

    /// Lists a folder in the background.
    fn list(&self, folder: String) -> Pages {
        // A full channel pauses the listing, which bounds its memory.
        let (sender, pages) = mpsc::channel(PAGES_AHEAD);
        let (store, bucket) = (self.store.clone(), self.bucket.clone());
        tokio::spawn(async move {
            let mut token = None;
            loop {
                let (page, next) = match store.page(&bucket, &folder, false, token).await {
                    Ok(Page { objects, next, .. }) => (Ok(objects), next),
                    Err(error) => (Err::<Vec<ObjectMeta>, Error>(error), None),
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

/// An entry of a page, in the byte order of the keys.
#[derive(Debug, PartialEq, Eq)]
enum Entry {
    /// Consecutive objects, at least one.
    Objects(Vec<ObjectMeta>),
    /// A folder, which stands for all keys with this prefix.
    Folder(String),
}

/// Merges the objects and folders of a page. S3 returns them as two lists, each in byte order.
fn merge(objects: Vec<ObjectMeta>, folders: Vec<String>) -> Vec<Entry> {
    let mut entries = Vec::new();
    let mut objects = objects.into_iter().peekable();
    for folder in folders {
        let before: Vec<_> = std::iter::from_fn(|| objects.next_if(|object| object.key < folder)).collect();
        entries.extend((!before.is_empty()).then_some(Entry::Objects(before)));
        entries.push(Entry::Folder(folder));
    }
    let rest: Vec<_> = objects.collect();
    entries.extend((!rest.is_empty()).then_some(Entry::Objects(rest)));
    entries
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    fn object(key: &str, size_bytes: u64) -> ObjectMeta {
        let last_modified = OffsetDateTime::UNIX_EPOCH;
        ObjectMeta { key: key.to_owned(), etag: "e".to_owned(), size_bytes, last_modified }
    }

    fn objects(keys: &[&str]) -> Vec<ObjectMeta> {
        keys.iter().map(|key| object(key, 1)).collect()
    }

    #[test]
    fn objects_and_folders_are_merged_in_the_byte_order_of_keys() {
        // `-` sorts before `/`, and `0` after it.
        let page = (objects(&["a", "b-", "b0", "z"]), vec!["b/".to_owned(), "c/".to_owned()]);
        let expected = [
            Entry::Objects(objects(&["a", "b-"])),
            Entry::Folder("b/".into()),
            Entry::Objects(objects(&["b0"])),
            Entry::Folder("c/".into()),
            Entry::Objects(objects(&["z"])),
        ];
        assert_eq!(merge(page.0, page.1), expected);
    }

    #[test]
    fn a_page_of_folders_alone_has_no_empty_entries() {
        let folders = vec!["a/".to_owned(), "b/".to_owned()];
        assert_eq!(merge(Vec::new(), folders), [Entry::Folder("a/".into()), Entry::Folder("b/".into())]);
        assert_eq!(merge(Vec::new(), Vec::new()), []);
    }

    #[test]
    fn only_an_empty_object_whose_key_ends_in_a_slash_is_a_folder_marker() {
        assert!(is_folder_marker(&object("photos/Apple/", 0)));
        assert!(!is_folder_marker(&object("photos/Apple/", 1)));
        assert!(!is_folder_marker(&object("photos/Apple/a.jpg", 0)));
    }
}
