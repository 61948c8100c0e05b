//! Accepting connections. (spec: http-proxy §1.1, §20)

use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::TaskTracker;

use super::answer::Answer;
use super::identity::client_ip;
use super::routing;
use super::session;
use super::shared::Shared;
use super::wire::{self, Connection, Limits, Request};
use crate::config::grammar::host_port;
use crate::descriptors::{Seat, is_shortage};
use crate::events::{Context, Event};
use crate::upstream::Resolver;
use crate::upstream::dial::tune;

/// Keep-alive probes on accepted connections.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Accepted connections have the socket options of their listener: they are set once.
const INHERITS_OPTIONS: bool = cfg!(target_os = "linux");
/// Connections that wait to be accepted, as far as the system allows.
const BACKLOG: i32 = 4096;
/// Pause after an accept error that would repeat at once.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An address that cannot be listened on.
#[derive(Debug, thiserror::Error)]
#[error("listen tcp{}: {}", shown(.address, .error), describe(.error))]
pub struct BindError {
    /// As configured.
    pub address: String,
    /// The system's reason.
    #[source]
    pub error: io::Error,
}

/// The address, unless the error is one of its text, which names it.
fn shown(address: &str, error: &io::Error) -> String {
    if error.kind() == io::ErrorKind::InvalidInput { String::new() } else { format!(" {address}") }
}

fn describe(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::AddrInUse => "bind: address already in use".to_owned(),
        io::ErrorKind::AddrNotAvailable => "bind: cannot assign requested address".to_owned(),
        io::ErrorKind::PermissionDenied => "bind: permission denied".to_owned(),
        _ => crate::upstream::dial::describe(error),
    }
}

/// A bound listener.
#[derive(Debug)]
pub struct Server {
    listener: TcpListener,
    shared: Arc<Shared>,
    limits: Limits,
}

impl Server {
    /// Binds the main listener to `address` (`host:port`; an empty host is every address).
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind(shared: Arc<Shared>, address: &str) -> Result<Self, BindError> {
        let limits = shared.fixed.main_limits;
        Self::bind_with(shared, address, limits).await
    }

    /// Binds a listener with deadlines of its own, for the admin and metrics ports.
    ///
    /// # Errors
    /// The address cannot be bound.
    pub async fn bind_with(shared: Arc<Shared>, address: &str, limits: Limits) -> Result<Self, BindError> {
        let listener = listen(address, &shared.upstream.resolver)
            .await
            .map_err(|error| BindError { address: address.to_owned(), error })?;
        if INHERITS_OPTIONS {
            tune(&listener, KEEP_ALIVE);
        }
        let _ = socket2::SockRef::from(&listener).listen(BACKLOG);
        Ok(Self { listener, shared, limits })
    }

    /// The address in fact.
    ///
    /// # Errors
    /// The system does not say.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Serves the main routes until the process is told to stop, then waits for requests under way within their grace. What
    /// the passing of time does to sessions happens beside it.
    pub async fn serve(self) {
        let shared = Arc::clone(&self.shared);
        tokio::spawn(session::keep(Arc::clone(&shared)));
        self.serve_all(move |client_ip, request| {
            let shared = Arc::clone(&shared);
            async move { routing::route(&shared, &client_ip, request).await }
        })
        .await;
    }

    /// Serves another set of routes with the same care. All such sets share one copy of the code that serves a connection: what
    /// they are for does not mind a box for each answer.
    pub async fn serve_with<H, F>(self, handler: H)
    where
        H: Fn(Arc<str>, Request) -> F + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let boxed = move |client_ip, request| Box::pin(handler(client_ip, request)) as BoxedAnswer;
        let handler: Arc<dyn Fn(Arc<str>, Request) -> BoxedAnswer + Send + Sync> = Arc::new(boxed);
        self.serve_all(move |client_ip, request| handler(client_ip, request)).await;
    }

    async fn serve_all<H, F>(self, handler: H)
    where
        H: Fn(Arc<str>, Request) -> F + Clone + Send + Sync + 'static,
        F: Future<Output = Answer> + Send + 'static,
    {
        let stop = self.shared.stop.clone();
        let connections = TaskTracker::new();
        let descriptors = &self.shared.upstream.descriptors;
        loop {
            let accepted = tokio::select! {
                biased;
                () = stop.drain.cancelled() => break,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    let connection = self.connection(&stream, peer);
                    let seat = descriptors.seat(&connection.slot, &stop.drain);
                    descriptors.accepted(&stream);
                    connections.spawn(run(
                        Arc::clone(&self.shared),
                        stream,
                        connection,
                        seat,
                        handler.clone(),
                    ));
                }
                // The client has gone again.
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    if is_shortage(&error) {
                        descriptors.make_room();
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(self.listener);
        let tunnels = &self.shared.tasks;
        let ended = async {
            connections.close();
            connections.wait().await;
            // Requests in opened tunnels are under way as well.
            tunnels.close();
            tunnels.wait().await;
        };
        let mut ended = pin!(ended);
        tokio::select! {
            () = &mut ended => {}
            () = stop.cut.cancelled() => {
                // Handlers answer at once when they are cut; that answer may still be written.
                let _ = tokio::time::timeout(Duration::from_millis(200), ended).await;
            }
        }
    }

    fn connection(&self, stream: &TcpStream, peer: SocketAddr) -> Connection {
        Connection {
            local: stream.local_addr().unwrap_or_else(|_| SocketAddr::from(([0, 0, 0, 0], 0))),
            peer,
            limits: self.limits,
            strictness: self.shared.fixed.strictness,
            inner: false,
            slot: Arc::default(),
        }
    }
}

type BoxedAnswer = Pin<Box<dyn Future<Output = Answer> + Send>>;

async fn run<H, F>(shared: Arc<Shared>, stream: TcpStream, connection: Connection, seat: Seat, handler: H)
where
    H: Fn(Arc<str>, Request) -> F + Send + Sync,
    F: Future<Output = Answer> + Send,
{
    if !INHERITS_OPTIONS {
        tune(&stream, KEEP_ALIVE);
    }
    let client_ip: Arc<str> = client_ip(connection.peer).into();
    let leave = seat.leave.clone();
    let slot = Arc::clone(&connection.slot);
    wire::serve(stream, connection, leave, |request| handler(Arc::clone(&client_ip), request)).await;
    if let Some(foreign) = slot.foreign() {
        let ctx = Context { client_ip: &client_ip, ..Context::default() };
        shared.events.record(&Event::Error { ctx, error: foreign.remark() });
    }
}

/// Go's reading of a listen address: an empty host listens on both families.
async fn listen(address: &str, resolver: &Resolver) -> io::Result<TcpListener> {
    let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
    let (host, port) = host_port(address).map_err(invalid)?;
    let port: u16 = match port.parse() {
        Ok(port) => port,
        Err(_) if port.is_empty() => 0,
        Err(_) if port.bytes().all(|b| b.is_ascii_digit()) => {
            return Err(invalid(format!("address {port}: invalid port")));
        }
        Err(_) => return Err(invalid(format!("lookup tcp/{port}: unknown port"))),
    };
    if host.is_empty() {
        return match TcpListener::bind((std::net::Ipv6Addr::UNSPECIFIED, port)).await {
            Ok(listener) => Ok(listener),
            // No IPv6 here.
            Err(_) => TcpListener::bind((std::net::Ipv4Addr::UNSPECIFIED, port)).await,
        };
    }
    // Not by the C library's resolver, which would have to be linked into the image's binary for this alone.
    let addresses = resolver.lookup(host).await.map_err(|failure| invalid(failure.to_string()))?;
    let addresses: Vec<_> = addresses.iter().map(|ip| SocketAddr::new(*ip, port)).collect();
    TcpListener::bind(&*addresses).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn addresses_that_cannot_be_listened_on_are_named_as_the_reference_names_them() {
        let resolver = Resolver::hosts_only("/nonexistent");
        for (address, wanted) in [
            ("notanaddr", "listen tcp: address notanaddr: missing port in address"),
            ("127.0.0.1:99999", "listen tcp: address 99999: invalid port"),
            (":abc", "listen tcp: lookup tcp/abc: unknown port"),
            ("::1:80", "listen tcp: address ::1:80: too many colons in address"),
            ("192.0.2.1:0", "listen tcp 192.0.2.1:0: bind: cannot assign requested address"),
        ] {
            let error = listen(address, &resolver).await.expect_err(address);
            assert_eq!(BindError { address: address.to_owned(), error }.to_string(), wanted);
        }
        assert!(listen("[::1]:0", &resolver).await.is_ok() || listen("127.0.0.1:0", &resolver).await.is_ok());
    }
}
