//! Starting and stopping: what refuses to start says what to do, and what stops is gone.

use crate::stage::{Certificate, Stage, now, users};
use rackside_hub::listener::{Listener, ListenerConfig, TlsConfig};
use rumqttc::QoS;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::sync::{mpsc, watch};

fn refusal(config: ListenerConfig) -> String {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let _inside = runtime.enter();
    let (_stop, stopping) = watch::channel(false);
    Listener::start(config, mpsc::channel(1).0, stopping).expect_err("it must not start").to_string()
}

#[test]
fn an_address_that_others_reach_needs_users_or_a_clear_word() {
    let config =
        || ListenerConfig { address: "0.0.0.0:0".parse().expect("an address"), ..Default::default() };
    assert_eq!(
        refusal(config()),
        "listener: 0.0.0.0:0 can be reached from other machines and nobody would be asked for a password; set \
         `users` to a users file, or listen on 127.0.0.1, or say `allow_anonymous = true` in [listener]"
    );
    let files = Certificate::new();
    let address = Some("[::]:0".parse::<SocketAddr>().expect("an address"));
    let tls =
        Some(TlsConfig { address, certificate: Some(files.chain.clone()), key: Some(files.key.clone()) });
    let address = SocketAddr::from(([127, 0, 0, 1], 0));
    assert!(
        refusal(ListenerConfig { address, tls, ..Default::default() }).starts_with("listener: [::]:0 can be")
    );
    let file = users("a", "b");
    Stage::with(|it| (it.address, it.users) = (config().address, Some(file.path().to_owned())));
    Stage::with(|it| (it.address, it.allow_anonymous) = (config().address, true));
}

#[test]
fn a_port_in_use_is_named_with_a_cure() {
    let stage = Stage::new();
    let address = stage.handle.address();
    assert_eq!(
        refusal(ListenerConfig { address, ..Default::default() }),
        format!(
            "listener: {address} is in use by another program (an MQTT broker? a second hub?); stop that one, or set \
             `address` in [listener] to another port"
        )
    );
}

#[test]
fn an_unreadable_users_file_and_certificate_are_named() {
    let config = ListenerConfig { users: Some("/nonexistent/users".into()), ..Default::default() };
    assert_eq!(
        refusal(config),
        "listener: cannot read the users file /nonexistent/users: No such file or directory (os error 2); \
         `rackside-hub hash-password NAME` makes its lines"
    );
    let tls = TlsConfig {
        address: None,
        certificate: Some("/nonexistent/crt".into()),
        key: Some("/nonexistent/key".into()),
    };
    let told = refusal(ListenerConfig { tls: Some(tls), ..Default::default() });
    assert!(told.starts_with("listener.tls.certificate: /nonexistent/crt: "), "{told}");
}

#[test]
fn a_limit_that_leaves_nothing_working_is_named() {
    let mut config = ListenerConfig::default();
    config.limits.inflight = 0;
    assert_eq!(
        refusal(config.clone()),
        "listener.limits.inflight: 0, or more than MQTT can say; leave it out for a default that suits most"
    );
    config.limits.inflight = 1;
    assert!(Listener::check(&config).is_ok());
    config.limits.topic_length = 70_000;
    let told = Listener::check(&config).expect_err("more than a topic can be").to_string();
    assert!(told.starts_with("listener.limits.topic_length: "), "{told}");
}

#[test]
fn stopping_closes_every_socket_and_frees_the_port() {
    let files = Certificate::new();
    let stage = Stage::with(|config| {
        let address = Some(([127, 0, 0, 1], 0).into());
        config.tls =
            Some(TlsConfig { address, certificate: Some(files.chain.clone()), key: Some(files.key.clone()) });
    });
    let reader = stage.subscriber("reader", "#", QoS::AtLeastOnce);
    let idle = std::net::TcpStream::connect(stage.handle.address()).expect("it accepts");
    let shaking = std::net::TcpStream::connect(stage.handle.tls_address().expect("TLS")).expect("it accepts");
    stage.until("three sockets are open", |stats| stats.connections == 3);
    let began = now();
    stage.stop.send(true).expect("it listens");
    stage.runtime.block_on(stage.handle.stopped());
    assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    assert_eq!(stage.stats().connections, 0);
    reader.ends();
    drop((idle, shaking));
    let address = stage.handle.address();
    Stage::with(|config| config.address = address);
}

#[test]
fn the_configuration_is_read_as_people_write_it() {
    #[derive(serde::Deserialize)]
    struct File {
        listener: ListenerConfig,
    }
    let text = r#"
        [listener]
        address = "127.0.0.1:1884"
        users = "/etc/rackside/users"
        tls = { address = "0.0.0.0:8883", certificate = "/etc/rackside/tls.crt", key = "/etc/rackside/tls.key" }
        limits = { clients = 2000, packet = "64 KiB", session_age = "1h" }
    "#;
    let File { listener } = rackside_config::parse(text, "hub.toml").expect("a good file");
    assert_eq!(listener.address.port(), 1884);
    assert_eq!((listener.limits.clients, listener.limits.packet.bytes()), (2000, 65_536));
    assert_eq!(listener.limits.connect_time.get(), Duration::from_secs(10));
    let wrong = rackside_config::parse::<File>("[listener]\nlimits = { client = 1 }\n", "hub.toml").err();
    let told = wrong.expect("an unknown key").to_string();
    assert!(told.contains("`client`") && told.contains("clients"), "{told}");
}
