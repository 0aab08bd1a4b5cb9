//! Which hosts settings from the API may name: none that hands a machine's own credentials to whoever asks from it.
//! Not here: settings of the project file, whose author may read the machine's files anyway.
//! Called when definitions are saved, and again before a connection is made, since names may mean something else by then.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;
use tapline_core::address::hands_out_credentials;
use tapline_core::codes;
use url::{Host, Url, form_urlencoded};

use crate::problem::Fault;

/// Keys whose text is a host or an address without a scheme.
const HOST_KEYS: [&str; 4] = ["host", "hostaddr", "hostname", "server"];

/// Looks for hosts that must not be reached.
///
/// # Errors
/// The first of them, by its JSON pointer below `pointer`.
pub async fn check(settings: &Value, pointer: &str) -> Result<(), Fault> {
    let mut hosts = Vec::new();
    collect(settings, pointer, &mut hosts);
    for (pointer, host) in hosts {
        if is_refused(&host).await {
            return Err(Fault::new(pointer, codes::API_007, "this address may not be reached from here").hint(
                "link-local addresses hand out the credentials of the machine that the server runs on; write the definition into the project file, or start the server with --allow-private-addresses",
            ));
        }
    }
    Ok(())
}

/// The servers that settings name, with scheme and port.
pub fn servers(settings: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut rest = vec![("", settings)];
    while let Some((key, value)) = rest.pop() {
        match value {
            Value::Object(members) => rest.extend(members.iter().map(|(key, member)| (key.as_str(), member))),
            Value::Array(items) => rest.extend(items.iter().map(|item| (key, item))),
            other if HOST_KEYS.contains(&key) || key == "port" => _ = found.insert(format!("{key}={other}")),
            Value::String(text) => {
                let url = Url::parse(text).ok().filter(|url| url.has_host());
                found.extend(url.map(|mut url| {
                    url.set_path("");
                    url.set_fragment(None);
                    // A URL with a host takes both away.
                    let _ = url.set_username("").and_then(|()| url.set_password(None));
                    url.to_string()
                }));
            }
            _ => {}
        }
    }
    found
}

fn collect(value: &Value, pointer: &str, hosts: &mut Vec<(String, Host<String>)>) {
    match value {
        Value::Object(members) => {
            for (key, member) in members {
                let below = format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"));
                match member {
                    Value::String(text) => {
                        hosts.extend(hosts_of(key, text).into_iter().map(|host| (below.clone(), host)))
                    }
                    other => collect(other, &below, hosts),
                }
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect(item, &format!("{pointer}/{index}"), hosts);
            }
        }
        _ => {}
    }
}

/// The hosts that a text names: of a URL, or of a key that is for hosts. Lists with commas name several.
fn hosts_of(key: &str, text: &str) -> Vec<Host<String>> {
    let mut hosts = Vec::new();
    let mut add = |servers: &str| hosts.extend(servers.split(',').filter_map(host));
    // As programs read it: `http:\\host`, and `http:host`, have hosts too.
    if let Ok(url) = Url::parse(text) {
        add(url.host_str().unwrap_or_default());
    }
    // A query may name hosts where none stands before it, which is no URL to us and one to a driver.
    let query = text.split_once('?').and_then(|(_, query)| query.split('#').next()).unwrap_or_default();
    for (_, value) in form_urlencoded::parse(query.as_bytes()).filter(|(key, _)| HOST_KEYS.contains(&key.as_ref())) {
        add(&value);
    }
    if let Some((_, rest)) = text.split_once("://") {
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        add(authority.rsplit_once('@').map_or(authority, |(_, servers)| servers));
    } else if HOST_KEYS.contains(&key) {
        add(text);
    }
    hosts
}

/// Reads a host as programs do: `0xA9FEA9FE` and `169.254.43518` are addresses too.
fn host(server: &str) -> Option<Host<String>> {
    let address = server.trim().trim_matches(['[', ']']).split('%').next().unwrap_or_default();
    if let Ok(address) = address.parse::<Ipv6Addr>() {
        return Some(Host::Ipv6(address));
    }
    let url = Url::parse(&format!("http://{}/", server.trim())).ok()?;
    Some(match url.host()? {
        Host::Domain(name) => Host::Domain(name.to_owned()),
        Host::Ipv4(address) => Host::Ipv4(address),
        Host::Ipv6(address) => Host::Ipv6(address),
    })
}

async fn is_refused(host: &Host<String>) -> bool {
    match host {
        Host::Ipv4(address) => hands_out_credentials(IpAddr::V4(*address)),
        Host::Ipv6(address) => hands_out_credentials(IpAddr::V6(*address)),
        // A name that cannot be resolved is left to whoever connects to say so.
        Host::Domain(name) => match tokio::net::lookup_host((name.as_str(), 0)).await {
            Ok(mut addresses) => addresses.any(|address| hands_out_credentials(address.ip())),
            Err(_) => false,
        },
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn addresses_of_metadata_are_found_however_they_are_written() {
        for settings in [
            json!({ "endpoint": "http://169.254.169.254/latest" }),
            json!({ "endpoint": "http://2852039166" }),
            json!({ "endpoint": "http://0xA9FEA9FE:80" }),
            json!({ "auth": { "sts_endpoint": "https://[fd00:ec2::254]" } }),
            json!({ "endpoint": "http://[::ffff:169.254.169.254]:80/" }),
            json!({ "endpoint": "http://[fe80::1]" }),
            json!({ "url": "postgres://user:p@169.254.169.254:5432/db" }),
            json!({ "url": "postgres://localhost,169.254.169.254/db" }),
            json!({ "host": "169.254.1.1" }),
            json!({ "host": "fd00:ec2::254" }),
            json!({ "host": "fe80::1%eth0" }),
            json!({ "url": "postgres://user@/db?host=169.254.169.254" }),
            json!({ "url": "postgres://user@example.com/db?sslmode=require&hostaddr=169.254.169.254" }),
            json!({ "url": "postgres://user@%31%36%39.254.169.254/db" }),
            json!({ "url": "http:169.254.169.254" }),
            json!({ "url": "http:\\\\169.254.169.254\\@example.com/" }),
            json!({ "url": "http://example.com@169.254.169.254./" }),
            json!({ "list": [{ "url": "https://user@100.100.100.200/" }] }),
        ] {
            let fault = check(&settings, "/settings").await.expect_err(&settings.to_string());
            assert!(fault.pointer.starts_with("/settings/"), "{fault:?}");
        }
    }

    #[tokio::test]
    async fn everything_else_may_be_reached() {
        for settings in [
            json!({ "endpoint": "http://127.0.0.1:9000", "bucket": "169.254.169.254" }),
            json!({ "url": "postgres://u@10.0.0.1/db" }),
            json!({ "host": "[::1]" }),
            json!({ "endpoint": "https://[2001:db8::1]/" }),
        ] {
            assert_eq!(check(&settings, "").await, Ok(()));
        }
    }
}
