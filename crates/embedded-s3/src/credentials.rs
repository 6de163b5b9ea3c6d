//! The key that a request to the embedded S3 is signed with: random, and kept with the data.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::Path;

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use crate::error::{Error, Result};

/// Letters and digits of an access key id.
const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ID_PREFIX: &str = "FRUITVEC";
const ID_RANDOM_BYTES: usize = 12;
/// Bytes of a secret; it is written as twice as many hex digits.
const SECRET_BYTES: usize = 20;

/// The settings of a profile, as every AWS program reads them from `$AWS_SHARED_CREDENTIALS_FILE`.
const ID_SETTING: &str = "aws_access_key_id=";
const SECRET_SETTING: &str = "aws_secret_access_key=";

/// What a client of the embedded S3 signs with. Its `Debug` hides the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id: public, it stands in every request.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
}

impl Credentials {
    /// The credentials in this file; new ones, kept there for its owner only, if there is none.
    pub(crate) fn load_or_make(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| Error::Schema {
                object: path.display().to_string(),
                reason:
                    "not a profile with an access key id and a secret; remove the file, and it is made anew"
                        .into(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let made = Self::random().map_err(Error::file(path))?;
                made.keep(path).map_err(Error::file(path))?;
                Ok(made)
            }
            Err(error) => Err(Error::file(path)(error)),
        }
    }

    fn parse(text: &str) -> Option<Self> {
        let value = |name| text.lines().find_map(|line| line.strip_prefix(name)).map(str::to_owned);
        Some(Self { access_key_id: value(ID_SETTING)?, secret_access_key: value(SECRET_SETTING)? })
    }

    fn random() -> std::io::Result<Self> {
        let mut id = [0; ID_RANDOM_BYTES];
        let mut secret = [0; SECRET_BYTES];
        getrandom::fill(&mut id)?;
        getrandom::fill(&mut secret)?;
        let id = id.map(|byte| char::from(ID_ALPHABET[usize::from(byte) % ID_ALPHABET.len()]));
        Ok(Self {
            access_key_id: ID_PREFIX.chars().chain(id).collect(),
            secret_access_key: hex::encode(secret),
        })
    }

    /// Writes the file whole or not at all. A temporary file is its owner's only, and stays so.
    fn keep(&self, path: &Path) -> std::io::Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
        writeln!(
            file,
            "[default]\n{ID_SETTING}{}\n{SECRET_SETTING}{}",
            self.access_key_id, self.secret_access_key
        )?;
        file.persist(path)?;
        Ok(())
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

#[async_trait::async_trait]
impl S3Auth for Credentials {
    async fn get_secret_key(&self, access_key: &str) -> S3Result<SecretKey> {
        match access_key == self.access_key_id {
            true => Ok(self.secret_access_key.clone().into()),
            false => Err(s3_error!(InvalidAccessKeyId, "There is no such access key here")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_made_once_and_kept_for_their_owner() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let made = Credentials::load_or_make(&path).unwrap();
        assert_eq!(Credentials::load_or_make(&path).unwrap(), made);
        assert_ne!(Credentials::random().unwrap(), made);
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777,
            0o600
        );
    }

    #[test]
    fn the_secret_is_not_shown() {
        let credentials = Credentials::random().unwrap();
        assert!(!format!("{credentials:?}").contains(&credentials.secret_access_key));
    }
}
