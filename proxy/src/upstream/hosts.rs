//! `/etc/hosts`. A name found here is never asked of DNS. (spec: url-scan §15.2)

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::watched::Watched;

type Names = HashMap<String, Arc<[IpAddr]>>;

/// The hosts file, as it is now.
pub struct Hosts(Watched<Names>);

impl Hosts {
    /// A file that need not exist.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(Watched::new(path, |path: &Path| {
            Some(std::fs::read(path).map(|text| parse(&text)).unwrap_or_default())
        }))
    }

    /// All addresses of a name, in the file's order; `None` when the file does not have it.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<Arc<[IpAddr]>> {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        self.0.with(|names| names.get(&name).cloned())
    }
}

fn parse(text: &[u8]) -> Names {
    let mut names: HashMap<String, Vec<IpAddr>> = HashMap::new();
    for line in String::from_utf8_lossy(text).lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_ascii_whitespace();
        // A zone cannot be dialled here, the address can.
        let Some(address) = words.next().and_then(|a| a.split('%').next()?.parse().ok()) else { continue };
        for name in words {
            let addresses =
                names.entry(name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase()).or_default();
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    names.into_iter().map(|(name, addresses)| (name, addresses.into())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_all_their_addresses_in_order_whatever_their_case() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(
            &file,
            "127.0.0.1 localhost # a comment\n::1\tlocalhost ip6-localhost\nnot-an-address x\n10.0.0.1 Int.Test.\n",
        )
        .unwrap();
        let hosts = Hosts::new(file.path());
        let find =
            |name: &str| hosts.find(name).map(|a| a.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(find("LOCALHOST."), Some(vec!["127.0.0.1".to_owned(), "::1".to_owned()]));
        assert_eq!(find("int.test"), Some(vec!["10.0.0.1".to_owned()]));
        assert_eq!(find("x"), None);
    }

    #[test]
    fn a_missing_file_has_no_names() {
        assert_eq!(Hosts::new("/nonexistent/hosts").find("localhost"), None);
    }
}
