//! Feeds against sources that a test plays: real sockets on free ports, and what goes wrong with them.

use super::*;
use crate::panel::config;
use futures_lite::future;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::mpsc;
use std::thread;

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_mins(1);

struct Bench {
    net: Net,
    tallies: Vec<Option<bool>>,
    fault: Option<String>,
}

impl Bench {
    fn new(tables: &str) -> Self {
        #[derive(Deserialize)]
        struct Tables {
            tally: Vec<config::FileTally>,
        }
        let Tables { tally } = rackside_config::parse(tables, "x").expect("tables");
        let file = config::File { tally, ..config::File::default() };
        let wrong = |key: &str, message: &dyn fmt::Display| ConfigError::at(tables, "x", key, message);
        let config = file.check(&wrong).expect("a good file");
        let net = Net::open(&config.tallies);
        assert_eq!(net.len(), 1, "they share a feed");
        Self { tallies: vec![None; config.tallies.len()], net, fault: None }
    }

    /// Waits until all is as `wanted`.
    fn sees(&mut self, what: &str, wanted: impl Fn(&[Option<bool>], Option<&str>) -> bool) {
        let Self { net, tallies, fault } = self;
        let work = async {
            loop {
                while let Some(news) = net.take() {
                    match news {
                        News::Tally(at, on) => tallies[at] = on,
                        News::Feed(_, why) => *fault = why,
                    }
                }
                if wanted(tallies, fault.as_deref()) {
                    return true;
                }
                future::poll_fn(|cx| net.poll(cx)).await;
            }
        };
        let late = async {
            Timer::after(PATIENCE).await;
            false
        };
        let seen = smol::block_on(future::or(work, late));
        assert!(seen, "not {what}: {:?}, {:?}", self.tallies, self.fault);
    }

    fn is(&mut self, tallies: &[Option<bool>]) {
        self.sees(&format!("{tallies:?}"), |now, _| now == tallies);
    }

    fn fails(&mut self, with: &str) {
        let unknown = |now: &[Option<bool>]| now.iter().all(Option::is_none);
        self.sees(with, |now, fault| unknown(now) && fault.is_some_and(|why| why.contains(with)));
    }

    fn is_well(&mut self) {
        self.sees("well", |_, fault| fault.is_none());
    }
}

fn free_udp() -> u16 {
    UdpSocket::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

fn free_tcp() -> u16 {
    TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr()).expect("a port").port()
}

fn v3(address: u8, tallies: u8) -> [u8; 18] {
    let mut message = [b' '; 18];
    (message[0], message[1]) = (0x80 | address, 0x30 | tallies);
    message
}

#[test]
fn tsl_3_1_by_udp_tells_each_display_and_a_cut_packet_leaves_nothing_to_believe() {
    let port = free_udp();
    let tsl = |name: &str, more: &str| {
        format!("[[tally]]\nname = '{name}'\n{more}\n")
            .replace("PORT", &format!("listen = '127.0.0.1:{port}', version = '3.1'"))
    };
    let tables = [
        tsl("a", "tsl = { PORT, display = 5 }"),
        tsl("a", "bus = 'preview'\ntsl = { PORT, display = 5 }"),
        tsl("b", "tsl = { PORT, display = 6, lamp = 1 }"),
    ]
    .concat();
    let mut bench = Bench::new(&tables);
    // Until it is polled it is not there.
    smol::block_on(future::poll_fn(|cx| bench.net.poll(cx)));
    let sender = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let send = |bytes: &[u8]| assert_eq!(sender.send_to(bytes, ("127.0.0.1", port)).ok(), Some(bytes.len()));
    send(&v3(5, 0b10));
    bench.is(&[Some(true), Some(false), None]);
    send(&v3(6, 0b01));
    send(&v3(5, 0b01));
    bench.is(&[Some(false), Some(true), Some(true)]);
    send(&v3(5, 0b10)[..17]);
    bench.fails("a packet has 17 bytes and should have 18");
    send(&v3(6, 0));
    bench.is(&[None, None, Some(false)]);
    bench.is_well();
}

#[test]
fn tsl_from_somebody_else_is_not_heard() {
    let port = free_udp();
    let tables = format!(
        "[[tally]]\nname = 'a'\ntsl = {{ listen = '0.0.0.0:{port}', version = '3.1', display = 5, from = '127.0.0.2' }}\n"
    );
    let mut bench = Bench::new(&tables);
    smol::block_on(future::poll_fn(|cx| bench.net.poll(cx)));
    let send = |from: &str, tallies: u8| {
        let sender = UdpSocket::bind((from, 0)).expect("a port");
        sender.send_to(&v3(5, tallies), ("127.0.0.1", port)).expect("sent");
    };
    send("127.0.0.1", 0b10);
    send("127.0.0.2", 0b00);
    bench.sees("off, and never on", |now, _| {
        assert_ne!(now[0], Some(true));
        now[0] == Some(false)
    });
}

#[test]
fn tsl_5_by_tcp_comes_in_pieces_and_a_sender_that_goes_leaves_nothing_to_believe() {
    let port = free_tcp();
    let tables = format!(
        "[[tally]]\nname = 'a'\ntsl = {{ listen = '127.0.0.1:{port}', transport = 'tcp', version = '5.0', display = 1, screen = 254 }}\n"
    );
    let mut bench = Bench::new(&tables);
    smol::block_on(future::poll_fn(|cx| bench.net.poll(cx)));
    let mut sender = TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    sender.set_nodelay(true).expect("a socket");
    // Screen 254 has a byte that is sent twice.
    let mut send = |control: u8| {
        let packet = [0xfe, 0x02, 10, 0, 0, 0, 0xfe, 0xfe, 0, 1, 0, control, 0, 0, 0];
        for byte in packet {
            sender.write_all(&[byte]).expect("sent");
        }
    };
    send(1);
    bench.is(&[Some(true)]);
    send(2);
    bench.is(&[Some(false)]);
    send(3);
    bench.is(&[Some(true)]);
    // Somebody who knocks and goes says nothing about it.
    drop(TcpStream::connect(("127.0.0.1", port)).expect("it listens"));
    send(2);
    bench.is(&[Some(false)]);
    drop(sender);
    bench.fails("127.0.0.1 is gone: it closed the connection");
}

#[test]
fn a_sender_that_was_started_anew_keeps_what_it_told_since_when_its_old_connection_ends() {
    let port = free_tcp();
    let tsl = |name: &str, display: u8| {
        format!(
            "[[tally]]\nname = '{name}'\ntsl = {{ listen = '127.0.0.1:{port}', transport = 'tcp', version = '3.1', display = {display} }}\n"
        )
    };
    let mut bench = Bench::new(&[tsl("a", 1), tsl("b", 2)].concat());
    smol::block_on(future::poll_fn(|cx| bench.net.poll(cx)));
    let connect = || TcpStream::connect(("127.0.0.1", port)).expect("it listens");
    let send = |mut sender: &TcpStream, display, lamps| sender.write_all(&v3(display, lamps)).expect("sent");
    let old = connect();
    send(&old, 1, 0b10);
    send(&old, 2, 0b10);
    bench.is(&[Some(true), Some(true)]);
    let new = connect();
    send(&new, 1, 0);
    bench.is(&[Some(false), Some(true)]);
    drop(old);
    bench.sees("only what nobody told anew unknown", |now, fault| {
        now == [Some(false), None] && fault.is_some_and(|why| why.contains("127.0.0.1 is gone"))
    });
    send(&new, 2, 0b10);
    bench.is(&[Some(false), Some(true)]);
    bench.is_well();
    let newer = connect();
    send(&newer, 1, 0b10);
    send(&newer, 2, 0);
    bench.is(&[Some(true), Some(false)]);
    drop(new);
    send(&newer, 1, 0);
    bench.sees("display 2 as it was told", |now, fault| {
        assert_eq!((now[1], fault), (Some(false), None));
        now[0] == Some(false)
    });
}

#[test]
fn a_port_that_somebody_has_is_said() {
    let taken = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let port = taken.local_addr().expect("bound").port();
    let tables = format!(
        "[[tally]]\nname = 'a'\ntsl = {{ listen = '127.0.0.1:{port}', version = '3.1', display = 5 }}\n"
    );
    Bench::new(&tables).fails("Address already in use");
}

#[test]
fn vmix_is_asked_line_by_line_and_its_end_is_noticed() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    let server = thread::spawn(move || {
        let (stream, _) = listener.accept().expect("it comes");
        let mut lines = BufReader::new(stream.try_clone().expect("a socket")).lines();
        let mut stream = stream;
        stream.write_all(b"VERSION OK 27.0.0.49\r\n").expect("sent");
        assert_eq!(lines.next().expect("a line").expect("text"), "SUBSCRIBE TALLY");
        stream.write_all(b"SUBSCRIBE OK TALLY\r\nTALLY OK 01").expect("sent");
        thread::sleep(Duration::from_millis(20));
        stream.write_all(b"2\r\n").expect("sent");
        // Silent: it is asked.
        assert_eq!(lines.next().expect("a line").expect("text"), "TALLY");
        stream.write_all(b"TALLY OK 210\r\n").expect("sent");
        assert_eq!(lines.next().expect("a line").expect("text"), "TALLY");
        stream.write_all(b"TALLY OK 1\r\n").expect("sent");
        assert_eq!(lines.next().expect("a line").expect("text"), "TALLY");
    });
    let tables = format!(
        "[[tally]]\nname = 'a'\nvmix = {{ address = '127.0.0.1:{port}', input = 2 }}\n\
         [[tally]]\nname = 'b'\nbus = 'preview'\nvmix = {{ address = '127.0.0.1:{port}', input = 1 }}\n"
    );
    let mut bench = Bench::new(&tables);
    bench.is(&[Some(true), Some(false)]);
    bench.is(&[Some(true), Some(true)]);
    bench.sees("no input 2", |now, fault| {
        now == [None, Some(false)] && fault == Some("there is no input 2, it has 1; that tally is unknown")
    });
    bench.fails("it closed the connection");
    server.join().expect("all was as it should be");
}

/// Speaks WebSocket as a server, as far as OBS does.
struct Obs(TcpStream);

impl Obs {
    fn accept(listener: &TcpListener) -> Self {
        let (mut stream, _) = listener.accept().expect("it comes");
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).expect("a head");
            head.push(byte[0]);
        }
        let head = String::from_utf8(head).expect("text");
        let key = head
            .split("Sec-WebSocket-Key: ")
            .nth(1)
            .and_then(|rest| rest.split("\r\n").next())
            .expect("a key");
        let hash = ring::digest::digest(
            &ring::digest::SHA1_FOR_LEGACY_USE_ONLY,
            format!("{key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11").as_bytes(),
        );
        let accept = crate::base64::base64(hash.as_ref());
        let answer = format!("HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
        stream.write_all(answer.as_bytes()).expect("sent");
        Self(stream)
    }

    fn say(&mut self, text: &str) {
        assert!(text.len() < 126 * 500);
        let mut frame = vec![0x81, 126];
        frame.extend((text.len() as u16).to_be_bytes());
        frame.extend(text.as_bytes());
        self.0.write_all(&frame).expect("sent");
    }

    /// Answers the three questions of an OBS that has two scenes, one of them on program, and no studio mode.
    fn answer_all(&mut self, program: &str) {
        for _ in 0..3 {
            let request = self.hear();
            let kind = request["d"]["requestType"].as_str().expect("a kind");
            let (status, data) = match kind {
                "GetSceneList" => {
                    (100, serde_json::json!({"scenes": [{"sceneName": "Pause"}, {"sceneName": program}]}))
                }
                "GetCurrentProgramScene" => (100, serde_json::json!({"sceneName": program})),
                "GetCurrentPreviewScene" => (506, serde_json::Value::Null),
                other => panic!("nobody asks {other}"),
            };
            let data = serde_json::json!({"op": 7, "d": {"requestType": kind, "requestId": kind,
                "requestStatus": {"result": status == 100, "code": status}, "responseData": data}});
            self.say(&data.to_string());
        }
    }

    /// The next text; pings are passed over.
    fn hear(&mut self) -> serde_json::Value {
        loop {
            let mut head = [0; 2];
            self.0.read_exact(&mut head).expect("a frame");
            let mut long = [0; 2];
            let len = match head[1] & 0x7f {
                126 => {
                    self.0.read_exact(&mut long).expect("a length");
                    u16::from_be_bytes(long).into()
                }
                len => usize::from(len),
            };
            let (mut mask, mut body) = ([0; 4], vec![0; len]);
            self.0.read_exact(&mut mask).expect("a mask");
            self.0.read_exact(&mut body).expect("a body");
            if head[0] & 0x0f == 1 {
                body.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
                return serde_json::from_slice(&body).expect("JSON");
            }
        }
    }
}

#[test]
fn obs_tells_its_scenes_and_says_goodbye() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("bound").port();
    // Each sentence waits until what it is about to change was seen.
    let (seen, until_seen) = mpsc::channel::<()>();
    let server = thread::spawn(move || {
        let mut obs = Obs::accept(&listener);
        obs.say(r#"{"op":0,"d":{"rpcVersion":1,"authentication":{"challenge":"c","salt":"s"}}}"#);
        let identify = obs.hear();
        assert!(identify["d"]["authentication"].is_string());
        obs.say(r#"{"op":2,"d":{"negotiatedRpcVersion":1}}"#);
        obs.answer_all("Live");
        until_seen.recv().expect("seen");
        obs.say(r#"{"op":5,"d":{"eventType":"SceneNameChanged","eventData":{"oldSceneName":"Live","sceneName":"Live 2"}}}"#);
        obs.answer_all("Live 2");
        until_seen.recv().expect("seen");
        obs.say(r#"{"op":5,"d":{"eventType":"SceneListChanged","eventData":{"scenes":[]}}}"#);
        obs.answer_all("Live");
        until_seen.recv().expect("seen");
        obs.say(
            r#"{"op":5,"d":{"eventType":"CurrentProgramSceneChanged","eventData":{"sceneName":"Pause"}}}"#,
        );
        until_seen.recv().expect("seen");
        obs.0.write_all(&[0x88, 2, 0x0f, 0xa9]).expect("sent");
    });
    let dir = tempfile::tempdir().expect("a temporary directory");
    let secret = dir.path().join("password");
    std::fs::write(&secret, "hunter2\n").expect("written");
    std::fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("ours");
    let obs = format!(
        "address = '127.0.0.1:{port}', scene = 'Live', password = {{ file = '{}' }}",
        secret.display()
    );
    let tables = format!(
        "[[tally]]\nname = 'live'\nobs = {{ {obs} }}\n[[tally]]\nname = 'live'\nbus = 'preview'\nobs = {{ {obs} }}\n"
    );
    let mut bench = Bench::new(&tables);
    bench.is(&[Some(true), Some(false)]);
    seen.send(()).expect("it waits");
    bench.fails("there is no scene \"Live\"");
    seen.send(()).expect("it waits");
    bench.is(&[Some(true), Some(false)]);
    bench.is_well();
    seen.send(()).expect("it waits");
    bench.is(&[Some(false), Some(false)]);
    seen.send(()).expect("it waits");
    bench.fails("it does not accept the password");
    server.join().expect("all was as it should be");
}
