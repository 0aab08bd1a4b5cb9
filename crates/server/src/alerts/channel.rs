//! The ways to tell somebody: a webhook, Slack, e-mail.
//! Not here: what is told (`message`), when it is tried again (`alerts`).
//! Called by `alerts`, and by the route that tries a channel.

use std::time::Duration;

use http::{HeaderName, HeaderValue};
use lettre::message::{Mailbox, header::ContentType};
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{AsyncSmtpTransport, AsyncTransport, Tokio1Executor};
use reqwest::redirect::Policy;
use serde_json::{Value, json};
use tapline_core::Secret;
use url::Url;

use super::message::Message;
use super::rule::{Channel, Email, Encryption};
use crate::addresses;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(20);

/// Why somebody could not be told, in words without secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Undelivered(String);

/// Which key of a channel's settings is wrong, and how.
pub(super) fn lint(channel: &Channel) -> Result<(), (&'static str, String)> {
    match channel {
        Channel::Webhook(webhook) => {
            lint_url(&webhook.url)?;
            for (name, value) in &webhook.headers {
                let valid = name.parse::<HeaderName>().is_ok() && HeaderValue::from_str(value.expose()).is_ok();
                if !valid {
                    return Err(("headers", "a header cannot be sent so".to_owned()));
                }
            }
            Ok(())
        }
        Channel::Slack(slack) => lint_url(&slack.url),
        Channel::Email(email) => {
            if email.host.trim().is_empty() {
                return Err(("host", "the SMTP server is left out".to_owned()));
            }
            mailbox("from", &email.from)?;
            if email.to.is_empty() {
                return Err(("to", "nobody is named".to_owned()));
            }
            email.to.iter().try_for_each(|to| mailbox("to", to).map(drop))?;
            match (&email.user, &email.password) {
                (Some(_), None) => Err(("password", "the user has no password".to_owned())),
                (None, Some(_)) => Err(("user", "the password has no user".to_owned())),
                _ => Ok(()),
            }
        }
    }
}

fn lint_url(url: &Secret) -> Result<(), (&'static str, String)> {
    let valid = Url::parse(url.expose()).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if valid { Ok(()) } else { Err(("url", "this is no http:// or https:// URL".to_owned())) }
}

fn mailbox(key: &'static str, text: &str) -> Result<Mailbox, (&'static str, String)> {
    text.parse().map_err(|_| (key, "this is no e-mail address".to_owned()))
}

/// What of a channel's settings names hosts that are reached.
pub(super) fn hosts(channel: &Channel) -> Value {
    match channel {
        Channel::Webhook(webhook) => json!({ "url": webhook.url.expose() }),
        Channel::Slack(slack) => json!({ "url": slack.url.expose() }),
        Channel::Email(email) => json!({ "host": email.host }),
    }
}

/// Tells `message`. With `guarded` only addresses that settings from the API may name are reached.
pub(super) async fn send(channel: &Channel, message: &Message, guarded: bool) -> Result<(), Undelivered> {
    if guarded {
        addresses::check(&hosts(channel), "").await.map_err(|fault| Undelivered(fault.detail))?;
    }
    match channel {
        Channel::Webhook(webhook) => {
            let headers = webhook.headers.iter().map(|(name, value)| (name.as_str(), value.expose()));
            post(&webhook.url, headers, &json!(message)).await
        }
        Channel::Slack(slack) => {
            let text = format!("*{}*\n{}", escaped(&message.headline()), escaped(&message.text()));
            post(&slack.url, std::iter::empty(), &json!({ "text": text })).await
        }
        Channel::Email(email) => mail(email, message).await,
    }
}

/// A text in which Slack finds no mentions and links of its own.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

async fn post<'a>(
    url: &Secret,
    headers: impl Iterator<Item = (&'a str, &'a str)>,
    body: &Value,
) -> Result<(), Undelivered> {
    // A redirect could lead to an address that was not looked at.
    let client = reqwest::Client::builder().redirect(Policy::none()).timeout(TIMEOUT).build();
    let client = client.map_err(|error| Undelivered(told(error)))?;
    let mut request = client.post(url.expose()).header("content-type", "application/json").body(body.to_string());
    for (name, value) in headers {
        request = request.header(name, value);
    }
    let response = request.send().await.map_err(|error| Undelivered(told(error)))?;
    if response.status().is_success() {
        return Ok(());
    }
    Err(Undelivered(format!("the answer was {}", response.status())))
}

/// An error of HTTP without the URL, which is secret, and with its causes.
fn told(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(&error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

async fn mail(email: &Email, message: &Message) -> Result<(), Undelivered> {
    let unsendable = |(key, detail): (&'static str, String)| Undelivered(format!("{key}: {detail}"));
    let mut letter = lettre::Message::builder()
        .from(mailbox("from", &email.from).map_err(unsendable)?)
        .subject(format!("Tapline: {}", message.headline()))
        .header(ContentType::TEXT_PLAIN);
    for to in &email.to {
        letter = letter.to(mailbox("to", to).map_err(unsendable)?);
    }
    let letter = letter.body(message.text() + "\n").map_err(|error| Undelivered(error.to_string()))?;
    let host = email.host.trim();
    let parameters = || TlsParameters::new(host.to_owned()).map_err(|error| Undelivered(error.to_string()));
    let (tls, port) = match email.encryption {
        Encryption::Starttls => (Tls::Required(parameters()?), 587),
        Encryption::Tls => (Tls::Wrapper(parameters()?), 465),
        Encryption::None => (Tls::None, 25),
    };
    let mut transport = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(host)
        .port(email.port.unwrap_or(port))
        .tls(tls)
        .timeout(Some(TIMEOUT));
    if let (Some(user), Some(password)) = (&email.user, &email.password) {
        transport = transport.credentials(Credentials::new(user.clone(), password.expose().to_owned()));
    }
    let sent = tokio::time::timeout(TIMEOUT, transport.build().send(letter)).await;
    match sent {
        Ok(Ok(_)) => Ok(()),
        Ok(Err(error)) => Err(Undelivered(format!("the SMTP server: {error}"))),
        Err(_) => Err(Undelivered("the SMTP server took too long".to_owned())),
    }
}
