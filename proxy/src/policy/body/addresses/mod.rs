//! Address protection: a payment address that begins and ends like one of the user's own, but is another.
//!
//! Address poisoning works because people and agents compare the first and last characters only; so that is what makes a
//! look-alike here. An address counts only if its chain would accept it (checksums), which keeps hashes and ids out.
//!
//! spec: tls-and-request-bodies §13.9, config §5.23

mod codec;

use std::collections::HashSet;

use super::verdict::{Action, AddressFinding};
use crate::config::AddressProtection;

/// A blockchain whose addresses are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Chain {
    Eth,
    Btc,
    Bnb,
    Sol,
}

impl Chain {
    fn as_str(self) -> &'static str {
        match self {
            Self::Eth => "ETH",
            Self::Btc => "BTC",
            Self::Bnb => "BNB",
            Self::Sol => "SOL",
        }
    }
}

/// An address in the form in which two spellings of the same one are equal.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Address {
    chain: Chain,
    text: String,
}

impl Address {
    /// The characters by which addresses differ: without the prefix that all of a kind share.
    fn distinctive(&self) -> &str {
        let text = self.text.as_str();
        ["0x", "bc1", "bnb1"].iter().find_map(|prefix| text.strip_prefix(prefix)).unwrap_or(text)
    }

    fn resembles(&self, other: &Self, prefix: usize, suffix: usize) -> bool {
        let (ours, theirs) = (self.distinctive().as_bytes(), other.distinctive().as_bytes());
        let fits = |text: &[u8]| prefix <= text.len() && suffix <= text.len();
        self.chain == other.chain
            && fits(ours)
            && fits(theirs)
            && ours[..prefix] == theirs[..prefix]
            && ours[ours.len() - suffix..] == theirs[theirs.len() - suffix..]
    }
}

/// The check, compiled from `address_protection`.
#[derive(Debug, Clone)]
pub(super) struct AddressGuard {
    chains: Vec<Chain>,
    allowed: Vec<Address>,
    action: Action,
    /// `None`: unknown addresses are fine.
    unknown: Option<Action>,
    prefix: usize,
    suffix: usize,
}

impl AddressGuard {
    /// `None` if the section is off.
    pub(super) fn new(section: &AddressProtection) -> Option<Self> {
        if !section.enabled {
            return None;
        }
        let chains = [
            (Chain::Eth, section.chains.eth_enabled()),
            (Chain::Btc, section.chains.btc_enabled()),
            (Chain::Bnb, section.chains.bnb_enabled()),
            (Chain::Sol, section.chains.sol_enabled()),
        ];
        let chains: Vec<Chain> = chains.into_iter().filter(|&(_, on)| on).map(|(chain, _)| chain).collect();
        let length = |value: i64| usize::try_from(value).unwrap_or(usize::MAX);
        Some(Self {
            allowed: section
                .allowed_addresses
                .iter()
                .flat_map(|text| find(text.trim().as_bytes(), &chains))
                .collect(),
            chains,
            action: Action::from_config(&section.action),
            unknown: match section.unknown_action.as_str() {
                "" | "allow" => None,
                other => Some(Action::from_config(other)),
            },
            prefix: length(section.similarity.prefix_length),
            suffix: length(section.similarity.suffix_length),
        })
    }

    /// Everything suspicious in `text`, each address once, in order.
    pub(super) fn check(&self, text: &[u8]) -> Vec<AddressFinding> {
        let mut seen = HashSet::new();
        let mut findings = Vec::new();
        for address in find(text, &self.chains) {
            if self.allowed.contains(&address) || !seen.insert(address.clone()) {
                continue;
            }
            let chain = address.chain.as_str();
            let alike =
                self.allowed.iter().find(|allowed| address.resembles(allowed, self.prefix, self.suffix));
            let (verdict, action, explanation) = match (alike, self.unknown) {
                (Some(allowed), _) => (
                    "lookalike",
                    self.action,
                    format!(
                        "{chain} address {} looks like allowed address {} but differs",
                        address.text, allowed.text
                    ),
                ),
                (None, Some(action)) => {
                    ("unknown", action, format!("{chain} address {} is not an allowed address", address.text))
                }
                (None, None) => continue,
            };
            findings.push(AddressFinding { chain, verdict, action, explanation });
        }
        findings
    }
}

/// All addresses of the given chains, in order.
fn find<'t>(text: &'t [u8], chains: &'t [Chain]) -> impl Iterator<Item = Address> + 't {
    text.split(|byte| !byte.is_ascii_alphanumeric())
        .filter(|run| (26..=512).contains(&run.len()))
        .filter_map(move |run| identify(run, chains))
}

/// What a run of letters and digits is, if it is an address. In front of `0x` anything may stand.
fn identify(run: &[u8], chains: &[Chain]) -> Option<Address> {
    let text = std::str::from_utf8(run).ok()?;
    let has = |chain: Chain| chains.contains(&chain).then_some(chain);
    if let Some(at) = text.rfind("0x").or_else(|| text.rfind("0X")) {
        let digits = &text[at + 2..];
        if digits.len() == 40 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            // BNB Smart Chain uses the same form.
            let chain = has(Chain::Eth).or(has(Chain::Bnb))?;
            return Some(Address { chain, text: format!("0x{}", digits.to_ascii_lowercase()) });
        }
    }
    if let Some(address) = codec::segwit(text) {
        let chain = match address.hrp {
            "bc" => has(Chain::Btc)?,
            "bnb" => has(Chain::Bnb)?,
            _ => return None,
        };
        return Some(Address { chain, text: text.to_ascii_lowercase() });
    }
    let decoded = if run.len() <= 44 { codec::base58(run) } else { None }?;
    let chain = if run.len() <= 35 && codec::is_bitcoin(&decoded) {
        has(Chain::Btc)?
    } else if decoded.len() == 32 {
        has(Chain::Sol)?
    } else {
        return None;
    };
    Some(Address { chain, text: text.to_owned() })
}

#[cfg(test)]
mod tests;
