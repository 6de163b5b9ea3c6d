//! Downloads a model's file: fetched whole, verified, and only then moved into place.

use std::fmt::Display;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use fruitvec::config::MODELS_DIR;
use fruitvec::contract::model_card::ModelCard;
use fruitvec::embed::model_file::{ModelLocation, cache_dir, locate, read};
use fruitvec::error::{Error, Result};
use ring::digest::{Context, SHA256};

/// How long a server may stay silent.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The result of a download.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Pulled {
    /// The file was present and matches the card.
    Present(ModelLocation),
    /// It was downloaded to this path.
    Downloaded(PathBuf),
}

/// Makes sure that the card's file is in `models_dir`, or in the cache folder when there is none.
/// Calls `progress` with the number of bytes received so far.
///
/// # Errors
/// [`Error::Model`] when a present or downloaded file does not match the card, or can't be
/// downloaded; [`Error::File`] when it can't be written.
pub(crate) fn pull(card: &ModelCard, models_dir: Option<&Path>, progress: impl FnMut(u64)) -> Result<Pulled> {
    if let Some(location) = locate(card, models_dir) {
        read(card, models_dir)?;
        return Ok(Pulled::Present(location));
    }
    let Some(url) = &card.file.url else {
        // The error of reading the file explains how to get it.
        return read(card, models_dir).map(|_| Pulled::Present(ModelLocation::Bundled(&[])));
    };
    let folder = models_dir.map(Path::to_owned).or_else(cache_dir).ok_or_else(|| {
        Error::Config(format!("neither {MODELS_DIR} nor HOME is set: there is no folder for models"))
    })?;
    let agent = ureq::Agent::config_builder()
        .https_only(true)
        .timeout_connect(Some(TIMEOUT))
        .timeout_recv_response(Some(TIMEOUT))
        .timeout_per_read(Some(TIMEOUT))
        .build()
        .new_agent();
    download(&agent, url, card, &folder, progress).map(Pulled::Downloaded)
}

/// Downloads to a temporary file in the same folder, so that moving it into place is one atomic
/// rename.
fn download(
    agent: &ureq::Agent,
    url: &str,
    card: &ModelCard,
    folder: &Path,
    mut progress: impl FnMut(u64),
) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let failed = |cause: &dyn Display| card.error(format!("{url}: {cause}"));
    let mut response = agent.get(url).call().map_err(|cause| failed(&cause))?;
    // One byte more than the card states is enough to know that the file is another one.
    let mut body = response.body_mut().as_reader().take(card.file.size_bytes + 1);
    let mut file = shared_temporary_file(folder).map_err(Error::file(folder))?;
    let mut digest = Context::new(&SHA256);
    let mut block = vec![0; 1 << 16];
    let mut received = 0;
    loop {
        let read = body.read(&mut block).map_err(|cause| failed(&cause))?;
        if read == 0 {
            break;
        }
        file.write_all(&block[..read]).map_err(Error::file(folder))?;
        digest.update(&block[..read]);
        received += read as u64;
        progress(received);
    }
    let found = hex::encode(digest.finish());
    let expected = &card.file.sha256;
    if found != *expected {
        return Err(failed(&format!(
            "sha256 {found} after {received} bytes, the card says {expected}; nothing was kept"
        )));
    }
    let path = folder.join(&card.file.name);
    file.persist(&path).map_err(|error| Error::File { path: path.clone(), cause: error.error })?;
    Ok(path)
}

/// Creates a temporary file with the usual permissions, since a models folder may be shared. By
/// default only the owner could read it.
fn shared_temporary_file(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Serves one request with this body, cut off after `sent` bytes.
    fn serve(body: &'static [u8], sent: usize) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/model.onnx", listener.local_addr().unwrap());
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let _ = stream.read(&mut [0; 4096]).unwrap();
            let head =
                format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
            stream.write_all(&[head.as_bytes(), &body[..sent]].concat()).unwrap();
        });
        url
    }

    fn card(content: &[u8]) -> ModelCard {
        let mut card = ModelCard::find("mobilenetv2-12", None).unwrap();
        card.file.name = "served.onnx".into();
        card.file.sha256 = hex::encode(ring::digest::digest(&SHA256, content));
        card.file.size_bytes = content.len() as u64;
        card
    }

    fn files(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn a_file_is_downloaded_verified_and_then_present() {
        let folder = tempfile::tempdir().unwrap();
        let card = card(b"weights");
        let mut received = 0;
        let agent = ureq::agent();
        let path = download(&agent, &serve(b"weights", 7), &card, folder.path(), |n| received = n).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), received), (b"weights".to_vec(), 7));
        let present = pull(&card, Some(folder.path()), |_| ()).unwrap();
        assert_eq!(present, Pulled::Present(ModelLocation::File(path)));
    }

    #[test]
    fn another_file_is_refused_and_nothing_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let error =
            download(&ureq::agent(), &serve(b"malware!", 8), &card(b"weights"), folder.path(), |_| ());
        let error = error.unwrap_err().to_string();
        assert!(error.contains("sha256") && error.contains("nothing was kept"), "{error}");
        assert_eq!(files(folder.path()), 0);
    }

    #[test]
    fn an_interrupted_download_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let agent = ureq::agent();
        assert!(download(&agent, &serve(b"weights", 3), &card(b"weights"), folder.path(), |_| ()).is_err());
        assert_eq!(files(folder.path()), 0);
    }

    #[test]
    fn only_https_is_downloaded() {
        let folder = tempfile::tempdir().unwrap();
        let mut card = card(b"weights");
        card.file.url = Some(serve(b"weights", 7));
        assert!(pull(&card, Some(folder.path()), |_| ()).is_err());
    }
}
