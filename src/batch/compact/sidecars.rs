//! Lists the sidecars of parts: objects with moments or projections of a part's rows.

use std::collections::BTreeMap;

use crate::batch::results::Results;
use crate::contract::layout::{Part, PartName, moments_prefix, parse_date, reduced_of_model_prefix};
use crate::error::Result;
use crate::s3::ObjectMeta;
use crate::table::Snapshot;

/// The keys of all sidecars, by the [`Part::path_in_model`] of their part.
pub(super) struct Sidecars(BTreeMap<String, Vec<String>>);

impl Sidecars {
    /// Lists the sidecars of all parts.
    pub(super) async fn list(results: Results<'_>) -> Result<Self> {
        let Results { store, bucket, card } = results;
        let mut keys = Vec::new();
        let mut add = |object: ObjectMeta| {
            keys.push(object.key);
            Ok(())
        };
        store.list(bucket, &moments_prefix(&card.id), &mut add).await?;
        store.list(bucket, &reduced_of_model_prefix(&card.id), &mut add).await?;
        Ok(Self::from_keys(keys))
    }

    /// Returns the sidecars among the keys.
    pub(super) fn from_keys(keys: impl IntoIterator<Item = String>) -> Self {
        let mut sidecars: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for key in keys {
            if let Some(path) = path_in_model(&key) {
                sidecars.entry(path.to_owned()).or_default().push(key);
            }
        }
        Self(sidecars)
    }

    /// Returns the keys of a part's sidecars.
    pub(super) fn of(&self, part: &Part) -> Vec<String> {
        self.0.get(&part.path_in_model()).cloned().unwrap_or_default()
    }

    /// Returns the keys of the sidecars whose part is not in the snapshot.
    pub(super) fn orphans(mut self, snapshot: &Snapshot) -> impl Iterator<Item = String> {
        snapshot.parts.iter().for_each(|part| _ = self.0.remove(&part.part.path_in_model()));
        self.0.into_values().flatten()
    }
}

/// Returns `date=<date>/<part>` of a sidecar's key, or `None` for any other key. Objects with other
/// keys must not be deleted, since this project did not write them.
fn path_in_model(key: &str) -> Option<&str> {
    let path = key.strip_suffix(".moments").or_else(|| key.strip_suffix(".parquet"))?;
    let path = &path[path.find("date=")?..];
    let (date, name) = path.strip_prefix("date=")?.split_once('/')?;
    (parse_date(date).is_some() && PartName::parse(name).is_some()).then_some(path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::compact::selection::tests::{PAST, part, snapshot};

    #[test]
    fn only_the_key_of_a_sidecar_has_a_path_in_model() {
        let path = Some("date=2026-11-20/a");
        assert_eq!(path_in_model("moments/model=m/date=2026-11-20/a.moments"), path);
        assert_eq!(path_in_model("reduced/model=m/fit=f/date=2026-11-20/a.parquet"), path);
        for other in [
            "moments/model=m/notes.txt",
            "moments/model=m/date=2026-11-20/a/b.moments",
            "moments/model=m/date=2026-11-20/.moments",
            "moments/model=m/date=2026-11-20/a.moments.bak",
            "moments/model=m/date=2026-11-31/a.moments",
            "moments/model=m/date=x/a.moments",
        ] {
            assert_eq!(path_in_model(other), None, "{other}");
        }
    }

    #[test]
    fn sidecars_belong_to_a_part_or_are_orphans() {
        let part = part(PAST, "a", 1, &[]);
        let [moments, projection] = [part.part.moments_key(), part.part.reduced_key("f")];
        let orphan = "moments/model=m/date=2026-11-20/b.moments".to_owned();
        let foreign = "moments/model=m/notes.txt".to_owned();
        let keys = [moments.clone(), orphan.clone(), foreign, projection.clone()];
        let sidecars = Sidecars::from_keys(keys);
        assert_eq!(sidecars.of(&part.part), [moments, projection]);
        assert_eq!(sidecars.orphans(&snapshot(vec![part])).collect::<Vec<_>>(), [orphan]);
    }
}
