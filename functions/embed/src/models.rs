//! Locates the model in the deployment package.

use std::path::PathBuf;

/// The folder into which Lambda unpacks the deployment package.
const TASK_ROOT: &str = "/var/task";
/// The variable that names this folder if it is a different one.
const LAMBDA_TASK_ROOT: &str = "LAMBDA_TASK_ROOT";

/// Returns the folder of models, or `None` if none was found.
///
/// A configured folder ([`fruitvec::config::MODELS_DIR`]) takes precedence and need not exist:
/// loading the model then reports that it is missing. Otherwise the folder is `models` in
/// `/var/task`, or in `$LAMBDA_TASK_ROOT`.
pub fn folder(configured: Option<PathBuf>, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let root = variable(LAMBDA_TASK_ROOT).map(PathBuf::from);
    let roots = [Some(PathBuf::from(TASK_ROOT)), root].into_iter().flatten();
    configured.or_else(|| roots.map(|root| root.join("models")).find(|folder| folder.is_dir()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configured_folder_takes_precedence_and_need_not_exist() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("models")).unwrap();
        let variable = |_: &str| Some(root.path().to_str().unwrap().to_owned());
        assert_eq!(folder(Some("/nowhere".into()), variable), Some("/nowhere".into()));
    }

    #[test]
    fn the_folder_in_the_deployment_package_is_found() {
        let root = tempfile::tempdir().unwrap();
        let variable =
            |name: &str| (name == "LAMBDA_TASK_ROOT").then(|| root.path().to_str().unwrap().to_owned());
        assert_eq!(folder(None, variable), None, "it does not exist yet");
        std::fs::create_dir(root.path().join("models")).unwrap();
        assert_eq!(folder(None, variable), Some(root.path().join("models")));
    }
}
