//! Names that are not resolved on behalf of other people: those that lead to a machine's own credentials.
//! Not here: addresses that settings spell out, which the server looks at before they are saved.
//! Called by the HTTP client, so that the address that is looked at is the one that is connected to.

use std::net::SocketAddr;

use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tapline_core::address::hands_out_credentials;

/// Resolves names as the system does, but for those.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<SocketAddr> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            admitted(found)
        })
    }
}

fn admitted(found: Vec<SocketAddr>) -> Result<Addrs, Box<dyn std::error::Error + Send + Sync>> {
    if found.iter().any(|address| hands_out_credentials(address.ip())) {
        return Err("the name leads to an address that may not be reached from here".into());
    }
    Ok(Box::new(found.into_iter()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_address_of_a_name_is_enough_to_refuse_it() {
        let found = |addresses: &[&str]| addresses.iter().map(|address| address.parse().unwrap()).collect();
        assert!(admitted(found(&["192.0.2.1:0", "169.254.169.254:0"])).is_err());
        assert_eq!(admitted(found(&["192.0.2.1:0", "[2001:db8::1]:0"])).map(Iterator::count).unwrap(), 2);
    }
}
