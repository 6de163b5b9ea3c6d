//! Creates the folders that keys imply, and removes them once they are empty.

use std::fs;
use std::io;
use std::path::Path;

use tempfile::NamedTempFile;

/// Attempts to move a file to a folder that concurrent removals keep pruning.
const MAX_ATTEMPTS: usize = 100;

/// Whether the error means that no object has this path.
///
/// A file where the path needs a folder means the same: no key maps to a path below a file.
pub(crate) fn is_not_found(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

/// Renames a temporary file to its path and creates the folders above it.
pub(crate) fn persist(mut file: NamedTempFile, path: &Path) -> io::Result<()> {
    // Removing the last object of a folder prunes the folder, possibly between the two steps below.
    for _ in 1..MAX_ATTEMPTS {
        match file.persist(path) {
            Ok(_) => return Ok(()),
            Err(failed) if is_not_found(&failed.error) => file = failed.file,
            Err(failed) => return Err(failed.error),
        }
        match path.parent().map_or(Ok(()), fs::create_dir_all) {
            // `create_dir_all` reports "already exists" if another thread created the folder and
            // a third thread pruned it before the check.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists || is_not_found(&error) => {}
            created => created?,
        }
    }
    file.persist(path).map(drop).map_err(|failed| failed.error)
}

/// Removes the empty folders above a removed file, up to but excluding the bucket's folder.
pub(crate) fn prune_empty_parents(path: &Path, bucket_folder: &Path) {
    for folder in path.ancestors().skip(1).take_while(|folder| *folder != bucket_folder) {
        // Fails at the first folder with other entries, which keeps all folders above it too.
        if fs::remove_dir(folder).is_err() {
            return;
        }
    }
}

/// Removes a folder that contains nothing but empty folders.
pub(crate) fn remove_empty_tree(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove_empty_tree(&entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A removal may prune a folder after a put created it and before the put renames its file.
    #[test]
    fn puts_and_removals_in_one_folder_do_not_trip_each_other() {
        let bucket = tempfile::tempdir().unwrap();
        let take_turns = &|writer: usize| {
            let path = bucket.path().join(format!("deep/er/{writer}.jpg"));
            for _ in 0..1000 {
                persist(NamedTempFile::new_in(bucket.path()).unwrap(), &path).unwrap();
                fs::remove_file(&path).unwrap();
                prune_empty_parents(&path, bucket.path());
            }
        };
        std::thread::scope(|scope| {
            for writer in 0..4 {
                scope.spawn(move || take_turns(writer));
            }
        });
        assert_eq!(fs::read_dir(bucket.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_tree_with_a_file_is_not_removed() {
        let root = tempfile::tempdir().unwrap();
        let tree = root.path().join("tree");
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::write(tree.join("a/b/file"), "").unwrap();
        let error = remove_empty_tree(&tree).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::DirectoryNotEmpty);
        fs::remove_file(tree.join("a/b/file")).unwrap();
        remove_empty_tree(&tree).unwrap();
        assert!(!tree.exists());
    }
}
