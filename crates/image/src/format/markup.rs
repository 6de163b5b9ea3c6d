//! Markup: web pages, errors of S3, SVG and other XML.

use super::rejections::{not_an_image, unsupported};
use fruitvec_core::rejection::Rejection;

/// The elements that only a web page starts with. HTML may omit its root element.
const HTML_ELEMENTS: &[&str] =
    &["html", "head", "body", "title", "meta", "script", "style", "link", "div", "p", "h1", "center", "br"];

/// Rejects a text that starts with `<`.
pub(super) fn rejection(text: &str) -> Rejection {
    let (doctype, root) = root(text);
    let root = root.to_ascii_lowercase();
    if doctype.eq_ignore_ascii_case("html") || HTML_ELEMENTS.contains(&root.as_str()) {
        return not_an_image("an HTML page", "download the photo itself, and upload that");
    }
    match root.rsplit(':').next() {
        Some("svg") => unsupported("SVG"),
        Some("error") => match s3_error_code(text) {
            Some(code) => not_an_image(
                &format!("an error that S3 answered with ({code})"),
                "download the photo again, and check the status before you store it",
            ),
            None => not_an_image("an error message in XML", "download the photo again"),
        },
        _ => not_an_image("an XML document", "send JPEG, PNG or WebP"),
    }
}

/// Returns the name in the document type declaration and the name of the root element. Both are
/// empty if they are absent.
fn root(mut text: &str) -> (&str, &str) {
    let mut doctype = "";
    loop {
        text = text.trim_start();
        let end = if text.starts_with("<?") {
            "?>"
        } else if text.starts_with("<!--") {
            "-->"
        } else if text.starts_with("<!") {
            doctype = name(text.split_ascii_whitespace().nth(1).unwrap_or_default());
            // The declaration can contain others in brackets.
            if text.find('[') < text.find('>') && text.contains('[') { "]>" } else { ">" }
        } else {
            return (doctype, text.strip_prefix('<').map_or("", name));
        };
        let Some((_, rest)) = text.split_once(end) else { return (doctype, "") };
        text = rest;
    }
}

/// Returns the start of a text up to the end of a name.
fn name(text: &str) -> &str {
    let end = text.find(|c: char| c.is_whitespace() || matches!(c, '>' | '/' | '['));
    &text[..end.unwrap_or(text.len())]
}

/// Returns the code of S3's error response.
fn s3_error_code(text: &str) -> Option<&str> {
    let (code, _) = text.split_once("<Code>")?.1.split_once("</Code>")?;
    let is_code =
        !code.is_empty() && code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric());
    is_code.then_some(code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fruitvec_core::rejection::RejectCode;

    #[test]
    fn a_web_page_is_one_whatever_it_contains() {
        for page in [
            "<!doctype html><html><body><svg xmlns='http://www.w3.org/2000/svg'></svg></body></html>",
            "<!DOCTYPE HTML PUBLIC \"-//W3C//DTD HTML 4.01//EN\">\n<HTML>",
            "<?xml version=\"1.0\"?>\n<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\">",
            "<!-- a comment --> <html lang=en>",
            "<head><title>404 Not Found</title></head>",
            "<h1>403 Forbidden</h1>",
            "<!doctype html>",
        ] {
            let rejection = rejection(page);
            assert_eq!(
                (rejection.code, rejection.message.contains("HTML")),
                (RejectCode::NotAnImage, true),
                "{page}"
            );
        }
    }

    #[test]
    fn svg_is_an_image_whatever_precedes_it() {
        for svg in [
            "<svg/>",
            "<svg:svg xmlns:svg='http://www.w3.org/2000/svg'>",
            "<?xml version='1.0'?>\n<!-- <html> -->\n<svg xmlns='...'/>",
            "<!DOCTYPE svg PUBLIC \"-//W3C//DTD SVG 1.1//EN\" [\n<!ENTITY ns \"http://ns.adobe.com/\">\n]>\n<svg>",
            "<!DOCTYPE svg>\n<svg><foreignObject><html/></foreignObject></svg>",
            "<!DOCTYPE svg><svg title='[draft]'>",
        ] {
            assert_eq!(rejection(svg), unsupported("SVG"), "{svg}");
        }
    }

    #[test]
    fn an_error_of_s3_is_named_with_its_code() {
        let error = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>NoSuchKey</Code><Message>The specified \
                     key does not exist.</Message></Error>";
        assert!(rejection(error).message.contains("S3 answered with (NoSuchKey)"));
        for other in ["<Error><Code>no code</Code></Error>", "<Error><Code></Code></Error>", "<Error/>"] {
            let message = rejection(other).message;
            assert!(message.contains("an error message in XML"), "{message}");
        }
    }

    #[test]
    fn other_markup_is_xml() {
        for text in ["<rss version='2.0'>", "<?xml version='1.0'?>", "<", "<!DOCTYPE", "<!-- open", "<svgx/>"]
        {
            assert!(rejection(text).message.contains("an XML document"), "{text}");
        }
    }
}
