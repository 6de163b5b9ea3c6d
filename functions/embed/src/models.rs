//! Where the model lies: beside the program, in the package that was deployed.

use std::path::PathBuf;

/// Where Lambda unpacks what was deployed.
const TASK_ROOT: &str = "/var/task";
/// The variable that says where, if it is another place.
const LAMBDA_TASK_ROOT: &str = "LAMBDA_TASK_ROOT";

/// The folder of models: the one that is set ([`fruitvec::config::MODELS_DIR`]), else `models` in `/var/task`, else in
/// `$LAMBDA_TASK_ROOT`; only a folder that is set need not exist, for then its absence is told.
pub fn folder(set: Option<PathBuf>, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let root = variable(LAMBDA_TASK_ROOT).map(PathBuf::from);
    let roots = [Some(PathBuf::from(TASK_ROOT)), root].into_iter().flatten();
    set.or_else(|| roots.map(|root| root.join("models")).find(|folder| folder.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_folder_that_is_set_comes_first_and_need_not_exist() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("models")).unwrap();
        let variable = |_: &str| Some(root.path().to_str().unwrap().to_owned());
        assert_eq!(folder(Some("/nowhere".into()), variable), Some("/nowhere".into()));
    }

    #[test]
    fn the_folder_beside_the_program_is_found() {
        let root = tempfile::tempdir().unwrap();
        let variable =
            |name: &str| (name == "LAMBDA_TASK_ROOT").then(|| root.path().to_str().unwrap().to_owned());
        assert_eq!(folder(None, variable), None, "it is not there yet");
        std::fs::create_dir(root.path().join("models")).unwrap();
        assert_eq!(folder(None, variable), Some(root.path().join("models")));
    }
}
