//! The light handshakes: RTMP, RTSP, SRT.

use crate::servers::{
    Asked, GOOD, MediaMtx, Nginx, Process, ask, directory, free_port, free_udp_port, publish, says, secret,
    until, value,
};
use rackside_agent::probe::{Outcome, State};
use rackside_proto::metric;
use std::net::UdpSocket;
use std::time::Duration;

fn down(outcome: &Outcome) -> &str {
    match &outcome.state {
        State::Down(why) => why,
        other => panic!("{other:?}"),
    }
}

fn unknown(outcome: &Outcome) -> &str {
    match &outcome.state {
        State::Unknown(why) => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nginx_takes_the_handshake_and_the_application() {
    let nginx = Nginx::start();
    for level in ["handshake", "connect"] {
        let outcome =
            ask("rtmp", &format!("url = \"{}\"\nlevel = \"{level}\"", nginx.url("hunter2-hunter2")));
        assert_eq!(outcome.state, State::Up);
        assert!(value(&outcome, &metric::STREAM_PHASE).is_some());
    }
    let keys = format!("url = \"rtmp://127.0.0.1:{}/no-such-application/x\"", nginx.port);
    let why = ask("rtmp", &keys);
    assert!(down(&why).contains("closed the connection instead of an answer to connect"), "{}", down(&why));
}

#[test]
fn what_is_no_rtmp_server_is_down() {
    let refused = ask("rtmp", &format!("url = \"rtmp://127.0.0.1:{}/live\"", free_port()));
    assert!(down(&refused).contains("Connection refused"), "{}", down(&refused));
    let page = says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let page = ask("rtmp", &format!("url = \"rtmp://{page}/live\""));
    assert_eq!(down(&page), "it does not speak RTMP: it answers with the byte 0x48");
    // Greetings of a sort, and no answer to what is asked then; half a greeting.
    for sent in [3072, 1000] {
        let server = says([vec![3], vec![7; sent]].concat());
        let mut server = Asked::new("rtmp", &format!("url = \"rtmp://{server}/live\""));
        assert_eq!(down(&server.run_for(Duration::from_secs(2))), "too late");
    }
    let missing = ask("rtmp", "url = \"rtmp://127.0.0.1/live/{key}\"\nkey = { file = \"/nowhere/key\" }");
    assert!(unknown(&missing).contains("/nowhere/key"));
}

#[test]
fn a_publisher_that_leaves_is_gone_by_the_servers_own_word() {
    let server = MediaMtx::start();
    let publisher = publish(&GOOD, "rtsp", &server.url("hall"));
    let mut probe = Asked::new("rtsp", &format!("url = \"{}\"", server.url("hall")));
    until("the stream", || probe.run().state == State::Up);
    let outcome = probe.run();
    assert_eq!(value(&outcome, &metric::STREAM_UP), Some(1.0));
    let codec = outcome.texts.iter().find(|(subject, _)| *subject == "codec").map(|(_, text)| text.as_str());
    assert!(codec.is_some_and(|codec| codec.starts_with("H264, MPEG4-GENERIC")), "{codec:?}");
    drop(publisher);
    let mut outcome = probe.run();
    until("its end", || {
        outcome = probe.run();
        outcome.state != State::Up
    });
    assert!(down(&outcome).contains("404"), "{}", down(&outcome));
    assert_eq!(value(&outcome, &metric::STREAM_UP), Some(0.0), "one poll, but the server's own word");
}

#[test]
fn a_login_is_given_and_a_wrong_one_is_unknown() {
    let (server, directory) = (MediaMtx::start(), directory());
    let _publisher = publish(&GOOD, "rtsp", &server.url("guarded"));
    let url = format!("url = \"{}\"", server.url("guarded"));
    let login = format!("{url}\nuser = \"viewer\"\npassword = {}", secret(directory.path(), "hunter2"));
    let mut probe = Asked::new("rtsp", &login);
    until("the stream", || probe.run().state == State::Up);
    let nobody = ask("rtsp", &url);
    assert_eq!(unknown(&nobody), "the server wants a login: 401; set user and password");
    assert_eq!(value(&nobody, &metric::STREAM_UP), None);
    secret(directory.path(), "hunter3");
    assert_eq!(unknown(&probe.run()), "the server refuses this user or this password: 401");
}

#[test]
fn an_rtsp_server_out_of_reach_is_down_after_two_polls() {
    let mut probe = Asked::new("rtsp", &format!("url = \"rtsp://127.0.0.1:{}/hall\"", free_port()));
    let first = probe.run();
    assert!(down(&first).contains("Connection refused"), "{}", down(&first));
    assert_eq!(value(&first, &metric::STREAM_UP), None);
    assert_eq!(value(&probe.run(), &metric::STREAM_UP), Some(0.0));
    let silent = says(b"RTSP/1.0 200 OK\r\nCSe".to_vec());
    let mut silent = Asked::new("rtsp", &format!("url = \"rtsp://{silent}/hall\""));
    silent.run_for(Duration::from_millis(300));
    let second = silent.run_for(Duration::from_millis(300));
    assert_eq!((down(&second), value(&second, &metric::STREAM_UP)), ("too late", Some(0.0)));
    let page = says(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
    let page = ask("rtsp", &format!("url = \"rtsp://{page}/hall\""));
    assert_eq!(down(&page), "it does not speak RTSP: a reply begins with RTSP/1.0");
}

#[test]
fn srt_listeners_answer() {
    let ports = [free_udp_port(), free_udp_port()];
    let from = format!("srt://127.0.0.1:{}?mode=listener", ports[0]);
    let relay =
        Process::start("srt-live-transmit", "Debian's package srt-tools", &["-q", &from, "file://con"]);
    let to = format!("srt://127.0.0.1:{}?mode=listener", ports[1]);
    let listener = publish(&GOOD, "mpegts", &to);
    for port in ports {
        let mut probe = Asked::new("srt", &format!("url = \"srt://127.0.0.1:{port}?streamid=hunter2\""));
        until("the listener", || probe.run().state == State::Up);
        let rtt = value(&probe.run(), &metric::SRT_HANDSHAKE_RTT).expect("it was answered");
        assert!(rtt > 0.0 && rtt < 1.0, "{rtt}");
    }
    drop((relay, listener));
}

#[test]
fn who_does_not_answer_in_srt_is_down() {
    let none = ask("srt", &format!("url = \"srt://127.0.0.1:{}\"", free_udp_port()));
    assert!(down(&none).contains("nothing listens at 127.0.0.1:"), "{}", down(&none));
    let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("bound");
    let mut probe = Asked::new("srt", &format!("url = \"srt://{address}\""));
    probe.context.within = Duration::from_millis(700);
    assert_eq!(down(&probe.run()), format!("{address} (UDP) does not answer in SRT"));
    // It rejects: our own datagram, to our own socket, with 1000 + 1409.
    let rejecting = std::thread::spawn(move || {
        let mut bytes = [0; 100];
        loop {
            let (length, who) = silent.recv_from(&mut bytes).expect("a datagram");
            let socket: [u8; 4] = bytes[40..44].try_into().expect("four");
            bytes[12..16].copy_from_slice(&socket);
            bytes[36..40].copy_from_slice(&2409_u32.to_be_bytes());
            silent.send_to(&bytes[..length], who).expect("sent");
        }
    });
    let rejected = probe.run();
    assert!(down(&rejected).contains("somebody publishes there already (code 1409)"), "{}", down(&rejected));
    assert!(!rejecting.is_finished());
}
