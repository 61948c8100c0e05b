//! The syslog sink: `<PRI>TIMESTAMP HOSTNAME TAG[PID]: JSON`, over UDP or TCP.

use std::io::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::fields::payload;
use super::names;
use super::queue::Queue;
use super::{EmitError, Emitted, Severity, Sink, complain, instance_id};
use crate::config::EmitSyslog;
use crate::events::{stamp, system_reason};

/// Events that may wait for the collector.
const QUEUE: usize = 1024;

/// For connecting, and for a write to a collector that does not read.
const PATIENCE: Duration = Duration::from_secs(5);

pub(super) struct Syslog {
    queue: Queue,
}

enum Transport {
    Udp(UdpSocket),
    Tcp(TcpStream),
}

struct Collector {
    scheme: String,
    address: String,
    transport: Option<Transport>,
}

impl Collector {
    fn connect(&self) -> std::io::Result<Transport> {
        let address = names::resolve(&self.address)?
            .into_iter()
            .next()
            .ok_or_else(|| std::io::Error::other("the collector's name has no address"))?;
        if self.scheme == "tcp" {
            let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
            stream.set_write_timeout(Some(PATIENCE))?;
            Ok(Transport::Tcp(stream))
        } else {
            // Not as text: the C library's resolver would be linked into the image's binary for it.
            let any =
                if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
            let socket = UdpSocket::bind(SocketAddr::new(any, 0))?;
            socket.connect(address)?;
            Ok(Transport::Udp(socket))
        }
    }

    /// Writes one line; a broken connection is made anew once.
    fn send(&mut self, line: &[u8]) -> std::io::Result<()> {
        if let Some(transport) = &mut self.transport
            && write(transport, line).is_ok()
        {
            return Ok(());
        }
        self.transport = None;
        let mut fresh = self.connect()?;
        write(&mut fresh, line)?;
        self.transport = Some(fresh);
        Ok(())
    }
}

fn write(transport: &mut Transport, line: &[u8]) -> std::io::Result<()> {
    match transport {
        Transport::Udp(socket) => socket.send(line).map(|_| ()),
        Transport::Tcp(stream) => stream.write_all(line),
    }
}

impl Syslog {
    pub(super) fn start(config: &EmitSyslog, instance: &str) -> Result<Syslog, EmitError> {
        let (scheme, address) = config.address.split_once("://").unwrap_or(("udp", &config.address));
        let mut collector =
            Collector { scheme: scheme.to_lowercase(), address: address.to_owned(), transport: None };
        let transport = collector.connect().map_err(|e| {
            EmitError::Setup(format!("syslog: connecting to {}: {}", config.address, system_reason(&e)))
        })?;
        collector.transport = Some(transport);
        let facility = facility(&config.facility);
        let tag = if config.tag.is_empty() { "pipelock".to_owned() } else { config.tag.clone() };
        let instance = instance.to_owned();
        let host = instance_id("");
        let queue = Queue::start("syslog", QUEUE, move |events, _| {
            for event in events {
                let json = payload(&event, &instance);
                let line = line(&event, facility, &host, &tag, &json);
                if let Err(e) = collector.send(&line) {
                    complain(format_args!("sink error (event={}): {}", event.kind, system_reason(&e)));
                }
            }
        })?;
        Ok(Syslog { queue })
    }
}

fn line(event: &Emitted, facility: u8, host: &str, tag: &str, json: &[u8]) -> Vec<u8> {
    let priority = u32::from(facility) * 8
        + match event.severity {
            Severity::Critical => 2,
            Severity::Warn => 4,
            Severity::Info => 6,
        };
    let second =
        event.at.duration_since(UNIX_EPOCH).unwrap_or(SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default());
    let stamp = stamp::format_stamp(second.as_secs() as i64, stamp::local_offset());
    let mut line = format!("<{priority}>{stamp} {host} {tag}[{}]: ", std::process::id()).into_bytes();
    line.extend_from_slice(json);
    line.push(b'\n');
    line
}

/// Number of a facility; validation has refused other names, the default is `local0`.
fn facility(name: &str) -> u8 {
    match name.to_lowercase().as_str() {
        "kern" => 0,
        "user" => 1,
        "mail" => 2,
        "daemon" => 3,
        "auth" => 4,
        "syslog" => 5,
        "lpr" => 6,
        "news" => 7,
        "uucp" => 8,
        other => {
            other.strip_prefix("local").and_then(|n| n.parse::<u8>().ok()).filter(|n| *n < 8).unwrap_or(0)
                + 16
        }
    }
}

impl Sink for Syslog {
    fn emit(&self, event: &Arc<Emitted>) {
        self.queue.push(event);
    }

    fn close(&self) {
        self.queue.close();
    }
}
