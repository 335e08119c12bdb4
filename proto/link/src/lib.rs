//! An MQTT 3.1.1 client without I/O: bytes and time in, bytes and events out.
//!
//! One [`Link`] is one connection with a clean session. The agent drives it on smol, the hub's way to an outside broker
//! drives it on tokio, and tests drive it on nothing at all. Custody is above it: a link forgets what it was given
//! when it ends, and whoever uses it must be able to send again.
//!
//! Below it are rumqttc's codec and [`MqttState`](rumqttc::MqttState), which know packet ids, what is in flight and
//! what must be answered. What that state leaves to its caller is done here: the CONNECT and its answer, pings, the moment at
//! which a silent peer is a dead one, and never to publish into a packet id that is still taken.
//!
//! ```
//! use rackside_link::{Link, Options};
//! # #[allow(clippy::disallowed_methods, reason = "an example has to begin somewhere")]
//! let now = std::time::Instant::now();
//! let mut link = Link::new(&Options::new("arena-north/rack-1/0badcafe"), now);
//! assert_eq!(link.output()[0], 0x10); // a CONNECT waits for the socket
//! let sent = link.output().len();
//! link.written(sent);
//! link.receive(&[0x20, 2, 0, 0], now)?; // CONNACK, accepted
//! assert!(link.may_publish());
//! # Ok::<(), rackside_link::LinkError>(())
//! ```

mod error;
mod link;
mod options;

pub use error::{LinkError, Refusal};
pub use link::{Link, LinkEvent};
pub use options::{Login, Options, Qos, Will};
