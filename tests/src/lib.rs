//! What the end-to-end tests, the demo, the load generator and the benchmarks stand on.
//!
//! Everything here runs the real programs as processes, over real sockets, beside real brokers; nothing is mocked. A tour:
//!
//! 1. [`programs`](mod@programs) builds and finds the programs, [`process`] runs one, [`port`] finds it a place.
//! 2. [`mosquitto`] is a broker of one's own and `mosquitto_sub`; [`client`] an MQTT client; [`http`] asks the hub, [`browser`] looks at its page, [`metrics`] reads its answer.
//! 3. [`proxy`] is a link that can be cut or stalled, [`namespace`] a real cable between two network namespaces; [`forgetful`] a broker that drops after PUBACK.
//! 4. [`hub`] and [`agent`] start one of ours with a configuration of its own;
//!    [`ledger`] notes which records and acks passed between them, [`heard`] reads what an agent said.
//! 5. [`clock::eventually`] waits for what is promised to happen.
//! 6. [`mediamtx`] and [`icecast`] are media servers of one's own, [`ffmpeg`] sends to them; [`fakes`] stand in for what cannot be had.
//! 7. [`prometheus`] is a Prometheus of one's own, to compare answers with.
//! 8. [`python`] has what looks at the web: Schemathesis and axe-core.
//! 9. [`simulation`] is a fleet of appliances, [`day`] what their series do; [`measure`] says what a process costs.
//! 10. [`joined`] has a fleet join a hub, without its boxes.
//! 11. [`witness`] is a webhook that writes down what people would have been told.
//!
//! Tests in `e2e/` run in parallel: each has its own programs, ports and directories.

pub mod agent;
pub mod authority;
pub mod browser;
pub mod client;
pub mod clock;
pub mod day;
pub mod fakes;
pub mod ffmpeg;
pub mod forgetful;
pub mod heard;
pub mod http;
pub mod hub;
pub mod icecast;
pub mod joined;
pub mod ledger;
pub mod measure;
pub mod mediamtx;
pub mod metrics;
pub mod mosquitto;
pub mod namespace;
pub mod port;
pub mod process;
pub mod programs;
pub mod prometheus;
pub mod proxy;
pub mod python;
pub mod simulation;
pub mod websocket;
pub mod witness;
