//! Fetching a model's file: downloaded whole, verified, and only then put in its place.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ring::digest::{Context, SHA256};

use crate::error::{Error, Result};
use crate::model::{Found, ModelCard, cache_dir};

/// How long a server may say nothing.
const PATIENCE: Duration = Duration::from_secs(30);

/// What became of a pull.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pulled {
    /// The file was there, and is the card's.
    Present(Found),
    /// It was downloaded to this path.
    Downloaded(PathBuf),
}

/// Makes sure that the card's file is in `models_dir` or, without one, in the cache folder. `progress` hears the bytes so far.
///
/// # Errors
/// [`Error::Model`] when a file that is there, or the one that was downloaded, is not the card's; when it can't be downloaded;
/// [`Error::File`] when it can't be written.
pub fn pull(card: &ModelCard, models_dir: Option<&Path>, progress: impl FnMut(u64)) -> Result<Pulled> {
    if let Some(found) = card.locate(models_dir) {
        card.read(models_dir)?;
        return Ok(Pulled::Present(found));
    }
    let Some(url) = &card.file.url else {
        // Reading it says how it can be had.
        return card.read(models_dir).map(|_| Pulled::Present(Found::Bundled(&[])));
    };
    let folder = models_dir.map(Path::to_owned).or_else(cache_dir).ok_or_else(|| {
        let variable = crate::config::MODELS_DIR;
        Error::Config(format!("neither {variable} nor HOME is set: there is no folder for models"))
    })?;
    let agent = ureq::Agent::config_builder()
        .https_only(true)
        .timeout_connect(Some(PATIENCE))
        .timeout_recv_response(Some(PATIENCE))
        .timeout_per_read(Some(PATIENCE))
        .build()
        .new_agent();
    download(&agent, url, card, &folder, progress).map(Pulled::Downloaded)
}

/// Downloads to a temporary file beside the final one, so that putting it in its place is one atomic rename.
fn download(
    agent: &ureq::Agent,
    url: &str,
    card: &ModelCard,
    folder: &Path,
    mut progress: impl FnMut(u64),
) -> Result<PathBuf> {
    std::fs::create_dir_all(folder).map_err(Error::file(folder))?;
    let failed = |cause: &dyn std::fmt::Display| card.error(format!("{url}: {cause}"));
    let mut response = agent.get(url).call().map_err(|cause| failed(&cause))?;
    // One byte more than the card says is enough to know that it is another file.
    let mut body = response.body_mut().as_reader().take(card.file.size_bytes + 1);
    let mut file = readable_by_all(folder).map_err(Error::file(folder))?;
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
    if found != card.file.sha256 {
        let said = &card.file.sha256;
        return Err(failed(&format!(
            "sha256 {found} after {received} bytes, the card says {said}; nothing was kept"
        )));
    }
    let path = folder.join(&card.file.name);
    file.persist(&path).map_err(|error| Error::File { path: path.clone(), cause: error.error })?;
    Ok(path)
}

/// A temporary file that, put in its place, others may read as far as the umask lets them: a models folder can be shared.
fn readable_by_all(folder: &Path) -> std::io::Result<tempfile::NamedTempFile> {
    let mut builder = tempfile::Builder::new();
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644));
    builder.tempfile_in(folder)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    /// Answers one request with this body, cut off after `sent` bytes.
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
        let mut heard = 0;
        let agent = ureq::agent();
        let path = download(&agent, &serve(b"weights", 7), &card, folder.path(), |n| heard = n).unwrap();
        assert_eq!((std::fs::read(&path).unwrap(), heard), (b"weights".to_vec(), 7));
        let present = pull(&card, Some(folder.path()), |_| ()).unwrap();
        assert_eq!(present, Pulled::Present(Found::File(path)));
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
    fn a_download_that_breaks_off_leaves_nothing() {
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
