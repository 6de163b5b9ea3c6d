//! Groups deletions into lists of bounded length.

use super::records::{DeleteList, PartToDelete};
use crate::contract::run::VERSION;

/// Parts and objects per list. A task deletes them within seconds.
const MAX_DELETES_PER_TASK: usize = 500;

/// Collects deletions, and returns a list as soon as one is full.
pub(super) struct DeleteBatcher {
    list: DeleteList,
}

impl Default for DeleteBatcher {
    fn default() -> Self {
        Self { list: empty() }
    }
}

impl DeleteBatcher {
    pub(super) fn add_part(&mut self, part: PartToDelete) -> Option<DeleteList> {
        self.list.parts.push(part);
        self.take(MAX_DELETES_PER_TASK)
    }

    pub(super) fn add_object(&mut self, key: String) -> Option<DeleteList> {
        self.list.objects.push(key);
        self.take(MAX_DELETES_PER_TASK)
    }

    /// Returns the last list, unless it is empty.
    pub(super) fn finish(&mut self) -> Option<DeleteList> {
        self.take(1)
    }

    /// Returns the list if it has at least `min` deletions, and starts a new one.
    fn take(&mut self, min: usize) -> Option<DeleteList> {
        (self.list.len() >= min).then(|| std::mem::replace(&mut self.list, empty()))
    }
}

fn empty() -> DeleteList {
    DeleteList { version: VERSION, parts: Vec::new(), objects: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn part(number: usize) -> PartToDelete {
        PartToDelete { keys: vec![format!("part {number}")], replaced_by: Vec::new() }
    }

    #[test]
    fn a_list_is_full_at_500_parts_and_objects() {
        let mut batcher = DeleteBatcher::default();
        for number in 0..249 {
            assert_eq!(batcher.add_part(part(number)), None);
        }
        for number in 0..250 {
            assert_eq!(batcher.add_object(format!("object {number}")), None);
        }
        let list = batcher.add_part(part(249)).unwrap();
        assert_eq!((list.version, list.len()), (VERSION, 500));
        assert_eq!(list.parts, (0..250).map(part).collect::<Vec<_>>());
        assert_eq!(list.objects, (0..250).map(|number| format!("object {number}")).collect::<Vec<_>>());
        assert_eq!(batcher.finish(), None);
    }

    #[test]
    fn the_last_list_is_shorter_and_never_empty() {
        let mut batcher = DeleteBatcher::default();
        assert_eq!(batcher.finish(), None);
        assert_eq!(batcher.add_object("a".into()), None);
        let list = batcher.finish().unwrap();
        assert_eq!((list.parts, list.objects), (Vec::new(), vec!["a".to_owned()]));
        assert_eq!(batcher.finish(), None);
    }
}
