//! The credentials of the embedded S3: random, and stored with the data.

use std::fmt;
use std::fs;
use std::io::Write;
use std::path::Path;

use s3s::auth::{S3Auth, SecretKey};
use s3s::{S3Result, s3_error};

use fruitvec_core::error::{Error, Result};

/// The alphabet of an access key id. Its 32 characters divide 256, so a random byte picks evenly.
const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
const ID_PREFIX: &str = "FRUITVEC";
const ID_RANDOM_BYTES: usize = 12;
/// Random bytes of a secret, which is their hex form.
const SECRET_BYTES: usize = 20;

// The settings that AWS programs read from a profile in `$AWS_SHARED_CREDENTIALS_FILE`.
const ID_SETTING: &str = "aws_access_key_id=";
const SECRET_SETTING: &str = "aws_secret_access_key=";

/// A key pair that signs requests to the embedded S3. Its `Debug` output omits the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id, which is public and part of every request.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: String,
}

impl Credentials {
    /// Loads the credentials from a file, or creates the file with random ones.
    ///
    /// Only the owner can read a new file.
    pub(crate) fn load_or_create(path: &Path) -> Result<Self> {
        match fs::read_to_string(path) {
            Ok(text) => Self::parse(&text).ok_or_else(|| Error::Schema {
                object: path.display().to_string(),
                reason: "not a profile with an access key id and a secret; delete the file to create new \
                         credentials"
                    .into(),
            }),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let credentials = Self::random().map_err(Error::file(path))?;
                credentials.save(path).map_err(Error::file(path))?;
                Ok(credentials)
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

    /// Writes the file atomically.
    fn save(&self, path: &Path) -> std::io::Result<()> {
        // Only the owner can read a temporary file, and the rename keeps its permissions.
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
            false => Err(s3_error!(InvalidAccessKeyId, "The access key id does not exist on this server")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_are_created_once_and_readable_by_their_owner_only() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        let created = Credentials::load_or_create(&path).unwrap();
        assert_eq!(Credentials::load_or_create(&path).unwrap(), created);
        assert_ne!(Credentials::random().unwrap(), created);
        #[cfg(unix)]
        assert_eq!(
            std::os::unix::fs::PermissionsExt::mode(&path.metadata().unwrap().permissions()) & 0o777,
            0o600
        );
    }

    #[test]
    fn debug_output_omits_the_secret() {
        let credentials = Credentials::random().unwrap();
        assert!(!format!("{credentials:?}").contains(&credentials.secret_access_key));
    }
    #[test]
    fn a_file_without_a_secret_is_an_error_and_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("credentials");
        fs::write(&path, "[default]\naws_access_key_id=A\n").unwrap();
        let error = Credentials::load_or_create(&path).unwrap_err();
        assert!(error.to_string().contains("delete the file"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "[default]\naws_access_key_id=A\n");
    }
}
