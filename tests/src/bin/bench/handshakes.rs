//! What it costs a server that a client comes: a TCP connection, TLS with the server's certificate, with certificates on both sides, and a session
//! that is resumed. A CONNECT is answered each time, since that is where a resumed session is looked at.
//!
//! Mosquitto beside the hub's listener, for the same clients with the same certificates.

use crate::{Effort, build};
use data_encoding::BASE64;
use rackside_identity::Authority;
use rackside_tests::hub::{Hub, Way};
use rackside_tests::joined::{self, Joined};
use rackside_tests::mosquitto::{Mosquitto, MosquittoOptions};
use rackside_tests::{clock, day, measure, port};
use rustls::client::Resumption;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind, StreamOwned};
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

const CLIENTS: usize = 100;
/// How often each of them comes.
const TIMES: usize = 20;
/// At a time.
const THREADS: usize = 4;
const PATIENCE: Duration = Duration::from_secs(20);

struct Server {
    name: &'static str,
    id: u32,
    plain: SocketAddr,
    tls: SocketAddr,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Plain,
    Tls,
    Mutual,
    Resumed,
}

const KINDS: [(Kind, &str); 4] = [
    (Kind::Plain, "TCP"),
    (Kind::Tls, "TLS"),
    (Kind::Mutual, "mutual TLS"),
    (Kind::Resumed, "mutual TLS, resumed"),
];

pub(crate) fn counted(_: Effort) -> Result<(), String> {
    let (tls, lines) = joined::hub_lines();
    let mut hub = Hub::with(Way::Listener, &build::hub()?, &lines.replace("required", "accepted"));
    let fleet = Joined::at(&hub.data(), (0..CLIENTS).map(day::name))?;
    // Those who joined while it ran are taken up within a second; a start takes them at once.
    hub.restart();
    let place = tempfile::tempdir().map_err(|error| error.to_string())?;
    let (mosquitto, peer) = mosquitto(&hub.data(), place.path())?;
    let servers = [
        Server { name: "the hub's listener", id: hub.id(), plain: hub.mqtt(), tls },
        Server {
            name: "Mosquitto",
            id: mosquitto.id().ok_or("Mosquitto does not run")?,
            plain: mosquitto.address(),
            tls: peer,
        },
    ];
    println!(
        "{CLIENTS} clients, {TIMES} connections each, {THREADS} at a time; the processor's time is the server's\n"
    );
    println!("| server | connection | a second | ms CPU each | beside TCP |\n|---|---|---|---|---|");
    for server in &servers {
        let mut bare = f64::NAN;
        for (kind, word) in KINDS {
            let Measured { rate, each, resumed } = measure(server, kind, &fleet)?;
            if kind == Kind::Plain {
                bare = each;
            }
            let note = match kind {
                Kind::Resumed => format!(" ({resumed} of {} were)", CLIENTS * TIMES),
                _ => String::new(),
            };
            println!(
                "| {} | {word}{note} | {rate:.0} | {:.3} | {:.1} |",
                server.name,
                each * 1e3,
                each / bare
            );
        }
    }
    Ok(())
}

/// A Mosquitto with a certificate of the hub's authority, and where it speaks TLS.
fn mosquitto(data: &Path, place: &Path) -> Result<(Mosquitto, SocketAddr), String> {
    let authority = Authority::open(data).map_err(|error| error.to_string())?;
    let server = authority.serve(&["127.0.0.1".to_owned()], clock::unix_ms() as i64);
    let pem = |word: &str, der: &[u8]| {
        let lines = BASE64
            .encode(der)
            .into_bytes()
            .chunks(64)
            .fold(String::new(), |text, line| text + &String::from_utf8_lossy(line) + "\n");
        format!("-----BEGIN {word}-----\n{lines}-----END {word}-----\n")
    };
    let write = |name: &str, text: String| {
        let path = place.join(name);
        std::fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok::<_, String>(path.display().to_string())
    };
    let tls = port::local(port::free());
    let lines = vec![
        format!("listener {} 127.0.0.1", tls.port()),
        "allow_anonymous true".to_owned(),
        format!("cafile {}", write("ca.pem", authority.pem().to_owned())?),
        format!("certfile {}", write("server.pem", pem("CERTIFICATE", &server.certificate))?),
        format!("keyfile {}", write("server.key", pem("PRIVATE KEY", server.key.secret_der()))?),
    ];
    Ok((Mosquitto::with(&MosquittoOptions { lines, login: None }), tls))
}

struct Measured {
    /// Connections in a second.
    rate: f64,
    /// The server's seconds of processor for each.
    each: f64,
    /// How many sessions were resumed.
    resumed: usize,
}

fn measure(server: &Server, kind: Kind, fleet: &Joined) -> Result<Measured, String> {
    let clients = (0..CLIENTS).map(|number| client(kind, fleet, number)).collect::<Result<Vec<_>, _>>()?;
    if kind == Kind::Resumed {
        // Each has a ticket from here on.
        for (number, config) in clients.iter().enumerate() {
            come(server, &id(kind, number), config.as_ref())?;
        }
    }
    let resumed = AtomicUsize::new(0);
    let before = measure::cpu_fine(server.id);
    let start = clock::now();
    let (clients, tally) = (&clients, &resumed);
    thread::scope(|scope| {
        let workers: Vec<_> = (0..THREADS)
            .map(|worker| {
                scope.spawn(move || {
                    for _ in 0..TIMES {
                        for number in (worker..CLIENTS).step_by(THREADS) {
                            let is_resumed = come(server, &id(kind, number), clients[number].as_ref())?;
                            tally.fetch_add(usize::from(is_resumed), Ordering::Relaxed);
                        }
                    }
                    Ok::<_, String>(())
                })
            })
            .collect();
        workers.into_iter().try_for_each(|worker| worker.join().map_err(|_| "a client panicked")?)
    })?;
    let took = start.elapsed();
    let spent = measure::cpu_fine(server.id).saturating_sub(before);
    let connections = (CLIENTS * TIMES) as f64;
    Ok(Measured {
        rate: connections / took.as_secs_f64(),
        each: spent.as_secs_f64() / connections,
        resumed: resumed.into_inner(),
    })
}

fn client(kind: Kind, fleet: &Joined, number: usize) -> Result<Option<Arc<ClientConfig>>, String> {
    let mut config = match kind {
        Kind::Plain => return Ok(None),
        Kind::Tls => fleet.stranger()?,
        Kind::Mutual | Kind::Resumed => fleet.client(number)?,
    };
    if kind != Kind::Resumed {
        config.resumption = Resumption::disabled();
    }
    Ok(Some(Arc::new(config)))
}

/// Who comes without a certificate cannot have the name of an appliance that joined.
fn id(kind: Kind, number: usize) -> String {
    match kind {
        Kind::Plain | Kind::Tls => format!("visitor-{number:08x}"),
        Kind::Mutual | Kind::Resumed => format!("{}/{number:08x}", day::name(number)),
    }
}

/// From the first packet to the CONNACK, and away again. Whether the session was resumed.
fn come(server: &Server, id: &str, config: Option<&Arc<ClientConfig>>) -> Result<bool, String> {
    let address = if config.is_some() { server.tls } else { server.plain };
    let told = |error: &dyn std::fmt::Display| format!("{} at {address}: {error}", server.name);
    let mut socket = TcpStream::connect(address).map_err(|error| told(&error))?;
    socket.set_nodelay(true).map_err(|error| told(&error))?;
    socket.set_read_timeout(Some(PATIENCE)).map_err(|error| told(&error))?;
    let Some(config) = config else {
        greet(&mut socket, id).map_err(|error| told(&error))?;
        return Ok(false);
    };
    let name = ServerName::from(IpAddr::from(Ipv4Addr::LOCALHOST));
    let connection = ClientConnection::new(Arc::clone(config), name).map_err(|error| told(&error))?;
    let mut stream = StreamOwned::new(connection, socket);
    greet(&mut stream, id).map_err(|error| told(&error))?;
    Ok(stream.conn.handshake_kind() == Some(HandshakeKind::Resumed))
}

/// CONNECT, CONNACK, DISCONNECT, each as short as MQTT 3.1.1 has it.
fn greet(stream: &mut (impl Read + Write), client: &str) -> std::io::Result<()> {
    let mut connect = vec![0x10, 12 + client.len() as u8, 0, 4];
    connect.extend_from_slice(b"MQTT\x04\x02\x00\x3c\x00");
    connect.push(client.len() as u8);
    connect.extend_from_slice(client.as_bytes());
    stream.write_all(&connect)?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer)?;
    if answer != [0x20, 2, 0, 0] {
        return Err(std::io::Error::other(format!("CONNACK {answer:02x?}")));
    }
    stream.write_all(&[0xe0, 0])
}
