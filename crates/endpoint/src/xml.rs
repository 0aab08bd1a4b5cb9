//! The few XML documents that `s3s` does not write: STS answers, and errors made outside of an S3 operation.
//! Not here: answers of S3 operations.
//! Called by `server` and `sts`.

use s3s::{Body, HttpResponse};

/// Namespace of STS answers.
pub(crate) const STS_NAMESPACE: &str = "https://sts.amazonaws.com/doc/2011-06-15/";

/// An S3 error with further elements beside code and message, see
/// <https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html>.
pub(crate) fn s3_error(status: u16, code: &str, message: &str, details: &[(&str, &str)]) -> HttpResponse {
    let details: String = details.iter().map(|(name, text)| element(name, text)).collect();
    let (code, message) = (element("Code", code), element("Message", message));
    respond(status, &format!("<Error>{code}{message}{details}</Error>"))
}

/// An STS error, see <https://docs.aws.amazon.com/STS/latest/APIReference/CommonErrors.html>.
pub(crate) fn sts_error(status: u16, code: &str, message: &str) -> HttpResponse {
    let (code, message) = (element("Code", code), element("Message", message));
    let error = format!("<Error><Type>Sender</Type>{code}{message}</Error>");
    respond(status, &format!("<ErrorResponse xmlns=\"{STS_NAMESPACE}\">{error}</ErrorResponse>"))
}

/// An element that holds nothing but text.
pub(crate) fn element(name: &str, text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<{name}>{text}</{name}>")
}

/// The text of the first element of this name, as it stands in a document that `s3s` wrote.
pub(crate) fn text_of<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    Some(rest.split_once(&format!("</{name}>"))?.0)
}

/// An answer with an XML body.
pub(crate) fn respond(status: u16, root: &str) -> HttpResponse {
    let body = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n{root}");
    let mut response = HttpResponse::new(Body::from(body));
    *response.status_mut() = hyper::StatusCode::from_u16(status).unwrap_or(hyper::StatusCode::INTERNAL_SERVER_ERROR);
    response
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/xml"));
    response
}
