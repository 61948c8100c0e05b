//! Names to addresses: literals, then the hosts file, then DNS.
//!
//! hickory asks the servers of `/etc/resolv.conf` and caches answers for as long as they live, at most 30 s. A scan and
//! the dialling after it therefore normally see the same answer, but nothing relies on that: the dialler checks the very
//! addresses it connects to. Error texts follow Go's resolver, because they end up in block reasons. (spec: url-scan §15.2)

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;
use hickory_resolver::system_conf::parse_resolv_conf;

use super::hosts::Hosts;
use super::turns::{GivenUp, Lanes};
use super::watched::Watched;
use crate::descriptors;
use crate::policy::address::{is_queryable_name, parse_literal_with_zone};
use crate::policy::url::LookupFailure;

/// How long a lookup may take.
pub const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// How long one server's answer is waited for. A question is sent again within that time, and late answers to the first one count.
const TRY_TIMEOUT: Duration = Duration::from_millis(4900);
/// How long addresses of IPv4 wait for those of IPv6: some servers drop such questions.
const IPV6_TIMEOUT: Duration = Duration::from_millis(500);
/// Descriptors of the process for each lookup that may be under way: a server that never answers is asked through six sockets.
const DESCRIPTORS: u64 = 16;
/// Longest life of a cached answer, whatever its TTL says, and of a cached failure.
const MAX_AGE: Duration = Duration::from_secs(30);
const MAX_NEGATIVE_AGE: Duration = Duration::from_secs(1);

/// The system's resolver.
pub struct Resolver {
    hosts: Hosts,
    /// `None`: no server is ever asked.
    servers: Option<Watched<Servers>>,
    lanes: Lanes,
}

/// Who is asked for names.
#[derive(Clone)]
struct Servers {
    dns: Option<TokioResolver>,
    /// The first one, for error texts.
    first: Arc<str>,
}

impl Default for Servers {
    /// The local machine, as in Go where there is no `/etc/resolv.conf`.
    fn default() -> Self {
        let server = NameServerConfig::udp_and_tcp(Ipv4Addr::LOCALHOST.into());
        Self::new(ResolverConfig::from_parts(None, Vec::new(), vec![server]), ResolverOpts::default())
    }
}

impl Servers {
    fn new(config: ResolverConfig, mut options: ResolverOpts) -> Self {
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.timeout = options.timeout.min(TRY_TIMEOUT);
        options.use_hosts_file = ResolveHosts::Never;
        options.positive_max_ttl = Some(MAX_AGE);
        options.negative_max_ttl = Some(MAX_NEGATIVE_AGE);
        let first = config.name_servers().first().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |s| s.ip);
        let first = SocketAddr::new(first, 53).to_string().into();
        let mut builder = TokioResolver::builder_with_config(config, TokioRuntimeProvider::default());
        *builder.options_mut() = options;
        Self { dns: builder.build().ok(), first }
    }

    /// Those of a file that names any.
    fn read(path: &Path) -> Option<Self> {
        let (config, options) = parse_resolv_conf(std::fs::read(path).ok()?).ok()?;
        (!config.name_servers().is_empty()).then(|| Self::new(config, options))
    }

    /// No server is asked.
    fn none() -> Self {
        Self { dns: None, first: "127.0.0.1:53".into() }
    }
}

impl std::fmt::Debug for Resolver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Resolver").finish_non_exhaustive()
    }
}

impl Resolver {
    /// A resolver by `/etc/hosts` and `/etc/resolv.conf`, as they are at each lookup.
    #[must_use]
    pub fn system() -> Self {
        let servers = Watched::new("/etc/resolv.conf", Servers::read);
        Self { hosts: Hosts::new("/etc/hosts"), servers: Some(servers), lanes: lanes() }
    }

    /// A resolver that knows only a hosts file: every other name fails at once, without a packet.
    #[must_use]
    pub fn hosts_only(path: impl Into<PathBuf>) -> Self {
        Self { hosts: Hosts::new(path), servers: None, lanes: lanes() }
    }

    fn servers(&self) -> Servers {
        self.servers.as_ref().map_or_else(Servers::none, |servers| servers.with(Clone::clone))
    }

    /// All addresses of `name`, within [`LOOKUP_TIMEOUT`]; never an empty list.
    ///
    /// # Errors
    /// [`LookupFailure::Failed`] with a text like Go's.
    pub async fn lookup(&self, name: &str) -> Result<Arc<[IpAddr]>, LookupFailure> {
        if let Some(address) = parse_literal_with_zone(name) {
            return Ok([address].into());
        }
        if let Some(addresses) = self.hosts.find(name) {
            return Ok(addresses);
        }
        if !is_queryable_name(name) {
            return Err(LookupFailure::Failed(format!("lookup {name}: no such host")));
        }
        let Servers { dns, first } = self.servers();
        let fail = |why: &str| LookupFailure::Failed(format!("lookup {name} on {first}: {why}"));
        let Some(dns) = dns else { return Err(fail("no such host")) };
        // As it is written: `is_queryable_name` lets only ASCII through.
        let Ok(ascii) = Name::from_ascii(name) else { return Err(fail("no such host")) };
        let answer = self.lanes.run(name, ask(&dns, ascii));
        let answer = match tokio::time::timeout(LOOKUP_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(GivenUp)) | Err(_) => Err(NetError::Timeout),
        };
        let addresses = match answer {
            Err(NetError::Timeout) => return Err(fail("i/o timeout")),
            Err(error) if error.is_no_records_found() => return Err(fail("no such host")),
            Err(error) => return Err(fail(&error.to_string())),
            Ok(addresses) => addresses,
        };
        // Containers usually have no IPv6 route; the order within a family stays the server's.
        let (mut addresses, others): (Vec<_>, Vec<_>) = addresses.into_iter().partition(IpAddr::is_ipv4);
        addresses.extend(others);
        if addresses.is_empty() { Err(fail("no such host")) } else { Ok(addresses.into()) }
    }
}

fn lanes() -> Lanes {
    let most = descriptors::limit().unwrap_or(u64::MAX) / DESCRIPTORS;
    Lanes::new(usize::try_from(most).unwrap_or(usize::MAX).max(16))
}

/// All addresses of a name; those of IPv4 alone when the others keep everybody waiting (D-520).
async fn ask(dns: &TokioResolver, name: Name) -> Result<Vec<IpAddr>, NetError> {
    let mut all = pin!(dns.lookup_ip(name.clone()));
    if let Ok(answer) = tokio::time::timeout(IPV6_TIMEOUT, all.as_mut()).await {
        return Ok(answer?.iter().collect());
    }
    // The same question as is under way, or its answer from the cache.
    let mut ipv4 = pin!(dns.ipv4_lookup(name));
    tokio::select! {
        answer = all.as_mut() => return Ok(answer?.iter().collect()),
        Ok(answer) = ipv4.as_mut() => {
            let addresses: Vec<_> = answer.answers().iter().filter_map(|record| record.data.ip_addr()).collect();
            if !addresses.is_empty() {
                return Ok(addresses);
            }
        }
    }
    Ok(all.await?.iter().collect())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use super::*;

    /// A packet that was lost costs a moment, not the lookup.
    #[tokio::test]
    async fn a_server_that_did_not_answer_is_asked_again() -> std::io::Result<()> {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await?;
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        for connection in &mut server.connections {
            connection.port = socket.local_addr()?.port();
        }
        tokio::spawn(async move {
            let mut lost = std::collections::HashSet::new();
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                let (mut answer, is_a) = no_records(&query[..length]);
                if lost.insert(is_a) {
                    continue;
                }
                if is_a {
                    add_address(&mut answer);
                }
                let _ = socket.send_to(&answer, from).await;
            }
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        let mut options = ResolverOpts::default();
        options.timeout = Duration::from_secs(5);
        let servers = Servers::new(config, options);
        let name = Name::from_ascii("lost.test.").map_err(std::io::Error::other)?;
        let lookup = servers.dns.ok_or(std::io::ErrorKind::Other)?.lookup_ip(name).await;
        let found: Vec<IpAddr> = lookup.map_err(std::io::Error::other)?.iter().collect();
        assert_eq!(found, [IpAddr::from([192, 0, 2, 7])]);
        Ok(())
    }

    /// A name server that answers some types of record, each with the address 192.0.2.7 or none; how often it was asked.
    async fn server(answers: fn(is_a: bool) -> bool) -> (TokioResolver, Arc<AtomicUsize>) {
        let socket = tokio::net::UdpSocket::bind("127.0.0.1:0").await.expect("bound");
        let mut server = NameServerConfig::udp(Ipv4Addr::LOCALHOST.into());
        for connection in &mut server.connections {
            connection.port = socket.local_addr().expect("an address").port();
        }
        let asked = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&asked);
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut query).await {
                count.fetch_add(1, Relaxed);
                let (mut answer, is_a) = no_records(&query[..length]);
                if answers(is_a) {
                    if is_a {
                        add_address(&mut answer);
                    }
                    let _ = socket.send_to(&answer, from).await;
                }
            }
        });
        let config = ResolverConfig::from_parts(None, Vec::new(), vec![server]);
        (Servers::new(config, ResolverOpts::default()).dns.expect("a resolver"), asked)
    }

    /// The beginning of an answer to a question, and whether that is for the type A.
    fn no_records(query: &[u8]) -> (Vec<u8>, bool) {
        // The type of record, before the class; then what is additional.
        let end = query[12..].iter().position(|&b| b == 0).map_or(query.len(), |at| 12 + at + 5);
        let mut answer = query[..end].to_vec();
        answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 0, 0, 0, 0, 0]);
        (answer, query[end - 3] == 1)
    }

    fn add_address(answer: &mut Vec<u8>) {
        answer[7] = 1;
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 7]);
    }

    #[tokio::test]
    async fn addresses_are_not_kept_waiting_by_a_server_that_drops_questions_for_ipv6() {
        let (dns, _) = server(|is_a| is_a).await;
        let began = std::time::Instant::now();
        let name = Name::from_ascii("half.test.").expect("a name");
        assert_eq!(ask(&dns, name).await.expect("an answer"), [IpAddr::from([192, 0, 2, 7])]);
        assert!(began.elapsed() < TRY_TIMEOUT, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn many_who_ask_for_one_name_are_one_question() {
        let (dns, asked) = server(|_| false).await;
        let mut clients = tokio::task::JoinSet::new();
        for _ in 0..500 {
            let (dns, name) = (dns.clone(), Name::from_ascii("dead.test.").expect("a name"));
            clients.spawn(async move { ask(&dns, name).await.is_err() });
        }
        assert_eq!(clients.join_all().await, [true; 500]);
        let asked = asked.load(Relaxed);
        assert!(asked < 50, "{asked} questions");
    }

    #[test]
    fn servers_are_those_of_the_file_and_none_of_an_empty_one() -> std::io::Result<()> {
        let file = tempfile::NamedTempFile::new()?;
        for (text, wanted) in [
            ("search example\nnameserver 192.0.2.7\nnameserver 192.0.2.8\n", Some("192.0.2.7:53")),
            ("nameserver 2001:db8::1\n", Some("[2001:db8::1]:53")),
            ("# nothing yet\n", None),
        ] {
            std::fs::write(file.path(), text)?;
            assert_eq!(
                Servers::read(file.path()).map(|s| s.first.to_string()).as_deref(),
                wanted,
                "{text:?}"
            );
        }
        assert_eq!(&*Servers::default().first, "127.0.0.1:53");
        Ok(())
    }
}
