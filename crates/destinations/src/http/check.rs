//! The steps of `tapline check`: resolve, connect, ask for a token, ask the service.
//! Not here: requests with rows.
//! Called by the destination.

use http::HeaderMap;
use tapline_core::{CheckStep, CheckSteps, Error, Result, codes};
use url::Url;

use super::config::{Method, Probe};
use super::request::Prepared;
use super::shared::Shared;

/// Sends no row and changes nothing.
pub(super) async fn check(shared: &Shared, probe: Option<&Probe>) -> Vec<CheckStep> {
    let mut steps = CheckSteps::default();
    let service = &shared.service;
    let resolve = async {
        let addresses = service.resolve().await?;
        Ok(((), format!("{}; addresses: {addresses}", service.host())))
    };
    if steps.take("resolve", resolve).await.is_none() {
        return steps.finish();
    }
    let connect = async {
        let status = service.knock().await?;
        let how = if service.origin.scheme() == "https" { "encrypted" } else { "in the clear" };
        Ok(((), format!("{how}; it answers ({})", status.as_u16())))
    };
    if steps.take("connect", connect).await.is_none() {
        return steps.finish();
    }
    if service.has_tokens() {
        let token = async {
            service.token().await?;
            Ok(((), "a token was given out".to_owned()))
        };
        if steps.take("token", token).await.is_none() {
            return steps.finish();
        }
    }
    let Some(probe) = probe else { return steps.finish() };
    let ask = async {
        let prepared = prepared(&probe.url, probe.method)?;
        let answered = service.send(&prepared).await.map_err(|unanswered| unanswered.error)?;
        shared.rules.read_probe(&answered, &service.host())?;
        Ok(((), format!("it answers {}", answered.status)))
    };
    steps.take("credentials", ask).await;
    steps.finish()
}

/// A request without rows.
pub(super) fn prepared(url: &str, method: Option<Method>) -> Result<Prepared> {
    let url = Url::parse(url)
        .map_err(|error| Error::new(codes::CONF_005, "a URL of the destination cannot be read").because(error))?;
    let method = method.unwrap_or(Method::Get).into();
    Ok(Prepared { method, url, headers: HeaderMap::new(), body: Vec::new() })
}
