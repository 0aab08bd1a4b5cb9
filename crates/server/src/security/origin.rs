//! Where requests may come from: the server's own pages, and programs.
//! Not here: who sends them (`auth`).
//! Called for every request, before anything else looks at it.
//!
//! A page on the internet can make a browser send requests to a server in the reader's own network, and, by changing what
//! its own name means (DNS rebinding), read the answers too. Such requests carry that page's name in `Host` or `Origin`.

use std::net::IpAddr;

use http::{HeaderMap, Method, StatusCode, header};
use tapline_core::codes;
use url::Url;

use crate::app::Settings;
use crate::auth::is_safe;
use crate::problem::{Problem, Result};

/// Refuses what another page may have sent.
pub(super) fn check(settings: &Settings, method: &Method, path: &str, headers: &HeaderMap) -> Result<()> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST.as_str());
    if let Some(host) = host
        && !is_own_name(settings, host)
    {
        return Err(refused("the server does not go by the name in the header Host"));
    }
    if is_safe(method) {
        let elsewhere = text("sec-fetch-site").is_some_and(|site| site == "cross-site");
        let navigates = text("sec-fetch-mode").is_none_or(|mode| mode == "navigate");
        if path.starts_with("/api/") && elsewhere && !navigates {
            return Err(refused("another web page asks for data"));
        }
        return Ok(());
    }
    if text("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none")) {
        return Err(refused("another web page sent the request"));
    }
    match headers.get(header::ORIGIN) {
        Some(origin) if !origin.to_str().is_ok_and(|origin| is_own_origin(settings, origin, host)) => {
            Err(refused("the header Origin names another web page"))
        }
        _ => Ok(()),
    }
}

/// Whether somebody who means this server may call it so. Without `--public-url`, and reachable from other machines, it
/// cannot know its names: the sign-in has to do.
fn is_own_name(settings: &Settings, host: &str) -> bool {
    let Ok(url) = Url::parse(&format!("http://{host}/")) else { return false };
    let name = url.host_str().unwrap_or_default();
    let is_address = name.trim_matches(['[', ']']).parse::<IpAddr>().is_ok();
    let is_this_machine = name == "localhost" || name.ends_with(".localhost");
    match &settings.public_url {
        Some(public) => is_address || is_this_machine || public.host_str() == Some(name),
        None => is_address || is_this_machine || !settings.is_loopback(),
    }
}

/// Whether a page of this server has the origin.
fn is_own_origin(settings: &Settings, origin: &str, host: Option<&str>) -> bool {
    let Ok(origin) = Url::parse(origin) else { return false };
    if settings.public_url.as_ref().is_some_and(|public| public.origin() == origin.origin()) {
        return true;
    }
    let Some(host) = host else { return false };
    let own = Url::parse(&format!("{}://{host}/", origin.scheme()));
    matches!(origin.scheme(), "http" | "https") && own.is_ok_and(|own| own.origin() == origin.origin())
}

fn refused(reason: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, codes::AUTH_005, reason).hint(
        "open the server by the address it printed; behind a reverse proxy start it with --public-url https://… and let the proxy pass Host on",
    )
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;

    use super::*;

    fn settings(listen: &str, public_url: Option<&str>) -> Settings {
        Settings {
            listen: listen.parse().unwrap(),
            file: "tapline.yaml".into(),
            concurrency: NonZeroUsize::MIN,
            allow_private_addresses: false,
            admin_token: None,
            public_url: public_url.map(|url| url.parse().unwrap()),
            version: "0",
        }
    }

    fn admits(settings: &Settings, method: &Method, headers: &[(&'static str, &str)]) -> bool {
        let headers = headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        check(settings, method, "/api/v1/syncs", &headers).is_ok()
    }

    #[test]
    fn on_loopback_only_names_of_this_machine_are_known() {
        let settings = settings("127.0.0.1:7171", None);
        for host in ["127.0.0.1:7171", "localhost:7171", "[::1]:7171", "tapline.localhost", "10.0.0.1"] {
            assert!(admits(&settings, &Method::GET, &[("host", host)]), "{host}");
        }
        for host in [
            "evil.example",
            "evil.example:7171",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "",
        ] {
            assert!(!admits(&settings, &Method::GET, &[("host", host)]), "{host}");
        }
    }

    #[test]
    fn behind_a_proxy_its_name_is_known() {
        let settings = settings("127.0.0.1:7171", Some("https://tapline.example.com"));
        let host = ("host", "tapline.example.com");
        assert!(admits(&settings, &Method::POST, &[host, ("origin", "https://tapline.example.com")]));
        assert!(admits(
            &settings,
            &Method::POST,
            &[("host", "127.0.0.1:7171"), ("origin", "https://tapline.example.com")]
        ));
        assert!(!admits(&settings, &Method::POST, &[host, ("origin", "https://evil.example")]));
        assert!(!admits(&settings, &Method::GET, &[("host", "evil.example")]));
    }

    #[test]
    fn changes_come_from_own_pages_or_from_programs() {
        let settings = settings("0.0.0.0:7171", None);
        let host = ("host", "tapline.internal:7171");
        assert!(admits(&settings, &Method::POST, &[host]));
        assert!(admits(&settings, &Method::POST, &[host, ("origin", "http://tapline.internal:7171")]));
        assert!(admits(&settings, &Method::POST, &[host, ("sec-fetch-site", "same-origin")]));
        for other in
            ["https://evil.example", "null", "http://tapline.internal", "http://tapline.internal:7172", "file://"]
        {
            assert!(!admits(&settings, &Method::DELETE, &[host, ("origin", other)]), "{other}");
        }
        for site in ["cross-site", "same-site"] {
            assert!(!admits(&settings, &Method::PUT, &[host, ("sec-fetch-site", site)]), "{site}");
        }
    }

    #[test]
    fn other_pages_may_link_but_not_read() {
        let settings = settings("127.0.0.1:7171", None);
        let elsewhere = [("host", "localhost:7171"), ("sec-fetch-site", "cross-site")];
        assert!(admits(&settings, &Method::GET, &[elsewhere[0], elsewhere[1], ("sec-fetch-mode", "navigate")]));
        assert!(!admits(&settings, &Method::GET, &[elsewhere[0], elsewhere[1], ("sec-fetch-mode", "no-cors")]));
    }
}
