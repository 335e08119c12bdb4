//! Tallies that come over the network: TSL UMD 3.1 and 5.0, vMix, OBS Studio.
//!
//! Tallies of one port, of one vMix or of one OBS share one *feed*: a future that lives as long as the panel, connects, and connects again.
//! Feeds are polled with the panel and have no thread. What they have to say comes out as [`News`]. Invariant: a feed that is lost,
//! or says what cannot be understood, makes all its tallies unknown; none keeps the state it had.

mod dial;
mod listen;
pub(crate) mod obs;
#[cfg(test)]
mod tests;
pub(crate) mod tsl;
pub(crate) mod vmix;

use super::config::{Bus, Origin, Tally};
use async_io::Timer;
pub use dial::Address;
use listen::Said;
pub use listen::{Listen, Transport, Version};
use rackside_config::{ConfigError, Secret, Span};
use serde::Deserialize;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::convert::Infallible;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;
use tsl::{Display, EVERY, Lamps};

/// How soon a feed that was lost is tried again.
const AGAIN: Duration = Duration::from_secs(2);

/// Where a tally of the network comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A switcher or tally box that sends.
    Tsl(Tsl),
    /// vMix, which is asked.
    Vmix {
        /// Where it is.
        address: Address,
        /// Its input, from 1.
        input: u16,
    },
    /// OBS Studio, which is asked.
    Obs {
        /// Where it is.
        address: Address,
        /// If it wants one.
        password: Option<Secret>,
        /// The scene.
        scene: String,
    },
}

/// A display of TSL.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tsl {
    /// Where it comes in.
    pub listen: Listen,
    /// The screen of version 5.0; any if there is none.
    pub screen: Option<u16>,
    /// The display's address or index.
    pub display: u16,
    /// The number of the tally of version 3.1, from 1.
    pub lamp: u8,
    /// After how long without a word it is unknown.
    pub expires: Option<Duration>,
}

impl Source {
    /// After how long without a word this tally is unknown.
    pub const fn expires(&self) -> Option<Duration> {
        match self {
            Self::Tsl(tsl) => tsl.expires,
            Self::Vmix { .. } | Self::Obs { .. } => None,
        }
    }

    /// Whether both come by the same feed.
    fn shares_feed(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tsl(one), Self::Tsl(other)) => one.listen == other.listen,
            (Self::Vmix { address: one, .. }, Self::Vmix { address: other, .. })
            | (Self::Obs { address: one, .. }, Self::Obs { address: other, .. }) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tsl(tsl) => tsl.listen.fmt(f),
            Self::Vmix { address, .. } => write!(f, "vMix at {address}"),
            Self::Obs { address, .. } => write!(f, "OBS at {address}"),
        }
    }
}

/// `tsl = { listen = "0.0.0.0:8900", version = "3.1", display = 5 }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileTsl {
    listen: String,
    #[serde(default)]
    transport: Transport,
    version: Version,
    display: u16,
    screen: Option<u16>,
    lamp: Option<u8>,
    from: Option<IpAddr>,
    expires: Option<Span>,
}

/// `vmix = { address = "192.0.2.20", input = 2 }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileVmix {
    address: String,
    input: u16,
}

/// `obs = { address = "192.0.2.21", scene = "Live" }`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileObs {
    address: String,
    password: Option<Secret>,
    scene: String,
}

type Wrong<'w> = &'w dyn Fn(&str, &dyn fmt::Display) -> ConfigError;

impl FileTsl {
    /// `table` is the key at which it stands.
    pub(super) fn check(self, bus: Bus, table: &str, wrong: Wrong<'_>) -> Result<Source, ConfigError> {
        let Self { listen, transport, version, display, screen, lamp, from, expires } = self;
        let error = |key: &str, message: &dyn fmt::Display| Err(wrong(&format!("{table}.{key}"), message));
        let Some(address) = listen.parse::<SocketAddr>().ok().filter(|address| address.port() != 0) else {
            let message =
                format!("\"{listen}\" is no address to listen on; write for example \"0.0.0.0:8900\"");
            return error("listen", &message);
        };
        if version == Version::V3 && display > 126 {
            return error("display", &format_args!("{display} is out of range; TSL 3.1 has 0 to 126"));
        }
        if version == Version::V3 && screen.is_some() {
            return error("screen", &"is for version 5.0 only");
        }
        if version == Version::V5 && (display == EVERY || screen == Some(EVERY)) {
            return error("display", &"65535 is no display; it stands for all of them");
        }
        if version == Version::V5 && lamp.is_some() {
            return error("lamp", &"is for version 3.1 only; 5.0 has red for program and green for preview");
        }
        let lamp = lamp.unwrap_or(if bus == Bus::Program { 2 } else { 1 });
        if !(1..=4).contains(&lamp) {
            return error("lamp", &format_args!("{lamp} is out of range; TSL 3.1 has tallies 1 to 4"));
        }
        if let Some(short) = expires.filter(|expires| *expires < Span::seconds(1)) {
            return error(
                "expires",
                &format_args!("\"{short}\" is out of range; at least \"1s\" is possible"),
            );
        }
        let listen = Listen { address, transport, version, from };
        Ok(Source::Tsl(Tsl { listen, screen, display, lamp, expires: expires.map(Span::get) }))
    }
}

impl FileVmix {
    /// `table` is the key at which it stands.
    pub(super) fn check(self, table: &str, wrong: Wrong<'_>) -> Result<Source, ConfigError> {
        let address = address(&self.address, vmix::PORT, table, wrong)?;
        if !(1..=1000).contains(&self.input) {
            let message = format!("{} is out of range; vMix has inputs 1 to 1000", self.input);
            return Err(wrong(&format!("{table}.input"), &message));
        }
        Ok(Source::Vmix { address, input: self.input })
    }
}

impl FileObs {
    /// `table` is the key at which it stands.
    pub(super) fn check(self, table: &str, wrong: Wrong<'_>) -> Result<Source, ConfigError> {
        let address = address(&self.address, crate::obs::PORT, table, wrong)?;
        if self.scene.is_empty() {
            return Err(wrong(
                &format!("{table}.scene"),
                &"is empty; write the scene's name as OBS shows it",
            ));
        }
        Ok(Source::Obs { address, password: self.password, scene: self.scene })
    }
}

fn address(text: &str, port: u16, table: &str, wrong: Wrong<'_>) -> Result<Address, ConfigError> {
    let parts = rackside_config::host_and_port(text)
        .filter(|(host, _)| rustls::pki_types::ServerName::try_from(*host).is_ok());
    let Some((host, given)) = parts else {
        let message = format!("\"{text}\" is no address; write for example \"192.0.2.20:{port}\"");
        return Err(wrong(&format!("{table}.address"), &message));
    };
    Ok(Address { host: host.to_owned(), port: given.unwrap_or(port) })
}

/// Checks what tallies have in common: a port has one version, an OBS one password.
pub(super) fn check(tallies: &[Tally], wrong: Wrong<'_>) -> Result<(), ConfigError> {
    for (at, tally) in tallies.iter().enumerate() {
        for before in &tallies[..at] {
            match (&before.origin, &tally.origin) {
                (Origin::Net(Source::Tsl(one)), Origin::Net(Source::Tsl(other)))
                    if one.listen != other.listen
                        && one.listen.address.port() == other.listen.address.port()
                        && one.listen.transport == other.listen.transport =>
                {
                    let name = &before.name;
                    let message =
                        format!("is not as \"{name}\" has it; one port has one address, version and from");
                    return Err(wrong(&format!("tally.{at}.tsl.listen"), &message));
                }
                (
                    Origin::Net(Source::Obs { address: one, password: its, .. }),
                    Origin::Net(Source::Obs { address: other, password, .. }),
                ) if one == other && its != password => {
                    let message = format!("is not as \"{}\" has it; one OBS has one password", before.name);
                    return Err(wrong(&format!("tally.{at}.obs.password"), &message));
                }
                _ => {}
            }
        }
    }
    Ok(())
}

/// What the feeds have to say.
#[derive(Debug, PartialEq, Eq)]
pub enum News {
    /// A tally, by its place in the configuration, is on, off or unknown.
    Tally(usize, Option<bool>),
    /// Why a feed's tallies are unknown, if they are.
    Feed(usize, Option<String>),
}

/// A tally of a feed.
#[derive(Debug, Clone)]
struct Member {
    tally: usize,
    bus: Bus,
    source: Source,
    /// Which connection of TSL told it last.
    told_by: Cell<u64>,
}

/// Where a feed puts its news.
#[derive(Clone)]
struct Outlet {
    feed: usize,
    members: Rc<[Member]>,
    news: Rc<RefCell<VecDeque<News>>>,
}

impl Outlet {
    fn put(&self, news: News) {
        self.news.borrow_mut().push_back(news);
    }

    fn well(&self) {
        self.put(News::Feed(self.feed, None));
    }

    fn lost(&self, why: &str) {
        self.each(|member| {
            member.told_by.set(0);
            Some(None)
        });
        self.put(News::Feed(self.feed, Some(format!("{why}; its tallies are unknown"))));
    }

    /// A connection of TSL has ended. What others have told since holds; whoever only knocked has nothing to take back.
    fn gone(&self, connection: u64, why: &str) {
        if self.members.iter().any(|member| member.told_by.get() == connection) {
            self.each(|member| (member.told_by.get() == connection).then_some(None));
            self.put(News::Feed(self.feed, Some(format!("{why}; its tallies are unknown"))));
        }
    }

    /// Tells each tally of which `state` knows something new.
    fn each(&self, state: impl Fn(&Member) -> Option<Option<bool>>) {
        for member in &*self.members {
            if let Some(on) = state(member) {
                self.put(News::Tally(member.tally, on));
            }
        }
    }

    fn display(&self, connection: u64, display: Display) {
        self.each(|member| {
            let Source::Tsl(tsl) = &member.source else { return None };
            let is_ours = [tsl.display, EVERY].contains(&display.index);
            let on_screen = tsl.screen.is_none_or(|screen| [screen, EVERY].contains(&display.screen));
            let on = match (display.lamps, member.bus) {
                (Lamps::Numbered(tallies), _) => tallies >> (tsl.lamp - 1) & 1 == 1,
                (Lamps::Coloured { red, .. }, Bus::Program) => red,
                (Lamps::Coloured { green, .. }, Bus::Preview) => green,
            };
            (is_ours && on_screen).then(|| {
                member.told_by.set(connection);
                Some(on)
            })
        });
    }

    fn inputs(&self, inputs: &[vmix::Input]) {
        let missing = self.members.iter().find_map(|member| match member.source {
            Source::Vmix { input, .. } if usize::from(input) > inputs.len() => Some(input),
            _ => None,
        });
        self.put(News::Feed(
            self.feed,
            missing.map(|input| {
                format!("there is no input {input}, it has {}; that tally is unknown", inputs.len())
            }),
        ));
        self.each(|member| {
            let Source::Vmix { input, .. } = member.source else { return None };
            let input = inputs.get(usize::from(input) - 1);
            Some(input.map(|input| if member.bus == Bus::Program { input.program } else { input.preview }))
        });
    }

    fn scenes(&self, scenes: &obs::Scenes) {
        let missing = self.members.iter().find_map(|member| match &member.source {
            Source::Obs { scene, .. } if !scenes.has(scene) => Some(scene),
            _ => None,
        });
        let fault = missing.map(|scene| format!("there is no scene \"{scene}\"; its tallies are unknown"));
        self.put(News::Feed(self.feed, fault));
        self.each(|member| {
            let Source::Obs { scene, .. } = &member.source else { return None };
            if !scenes.has(scene) {
                return Some(None);
            }
            Some(match member.bus {
                Bus::Program => scenes.program.as_ref().map(|on| on == scene),
                Bus::Preview => match &scenes.preview {
                    obs::Preview::Untold => None,
                    obs::Preview::Off => Some(false),
                    obs::Preview::Scene(next) => Some(next == scene),
                },
            })
        });
    }
}

/// One conversation after another, for ever.
async fn run(source: Source, outlet: Outlet) -> Infallible {
    loop {
        let why = match &source {
            Source::Tsl(tsl) => {
                let mut say = |said| match said {
                    Said::Well => outlet.well(),
                    Said::Display(connection, display) => outlet.display(connection, display),
                    Said::Gone(connection, why) => outlet.gone(connection, &why),
                    Said::Doubt(why) => outlet.lost(&why),
                };
                tsl.listen.hear(&mut say).await.to_string()
            }
            Source::Vmix { address, .. } => {
                vmix::talk(address, |inputs| outlet.inputs(inputs)).await.to_string()
            }
            // Read anew each time: whoever puts a wrong one right need not restart anything.
            Source::Obs { address, password, .. } => match password.as_ref().map(Secret::read).transpose() {
                Ok(password) => {
                    obs::talk(address, password.as_ref(), |scenes| outlet.scenes(scenes)).await.to_string()
                }
                Err(error) => error.to_string(),
            },
        };
        outlet.lost(&why);
        Timer::after(AGAIN).await;
    }
}

struct Feed {
    /// For people.
    name: String,
    /// The tallies that come by it.
    tallies: Vec<usize>,
    future: Pin<Box<dyn Future<Output = Infallible>>>,
}

/// The feeds of all tallies that come over the network.
#[derive(Default)]
pub struct Net {
    feeds: Vec<Feed>,
    news: Rc<RefCell<VecDeque<News>>>,
}

impl fmt::Debug for Net {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.feeds.iter().map(|feed| &feed.name)).finish()
    }
}

impl Net {
    /// The feeds that these tallies need. They begin when they are polled.
    pub fn open(tallies: &[Tally]) -> Self {
        let mut groups: Vec<Vec<Member>> = Vec::new();
        for (at, tally) in tallies.iter().enumerate() {
            let Origin::Net(source) = &tally.origin else { continue };
            let member = Member { tally: at, bus: tally.bus, source: source.clone(), told_by: Cell::new(0) };
            match groups.iter_mut().find(|group| group[0].source.shares_feed(source)) {
                Some(group) => group.push(member),
                None => groups.push(vec![member]),
            }
        }
        let news: Rc<RefCell<VecDeque<News>>> = Rc::default();
        let feeds = groups.into_iter().enumerate().map(|(feed, members)| {
            let source = members[0].source.clone();
            let tallies = members.iter().map(|member| member.tally).collect();
            let outlet = Outlet { feed, members: members.into(), news: Rc::clone(&news) };
            Feed { name: source.to_string(), tallies, future: Box::pin(run(source, outlet)) }
        });
        Self { feeds: feeds.collect(), news }
    }

    /// What a feed is called.
    pub fn name(&self, feed: usize) -> &str {
        &self.feeds[feed].name
    }

    /// By which feed a tally comes, if it comes over the network.
    pub fn feed_of(&self, tally: usize) -> Option<usize> {
        self.feeds.iter().position(|feed| feed.tallies.contains(&tally))
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.feeds.len()
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.feeds.is_empty()
    }

    /// News as if a feed had brought it.
    #[cfg(test)]
    pub(super) fn put(&self, news: News) {
        self.news.borrow_mut().push_back(news);
    }

    /// The oldest news.
    pub fn take(&mut self) -> Option<News> {
        self.news.borrow_mut().pop_front()
    }

    /// Ready when there is news.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        for feed in &mut self.feeds {
            // It never ends.
            let _ = feed.future.as_mut().poll(cx);
        }
        if self.news.borrow().is_empty() { Poll::Pending } else { Poll::Ready(()) }
    }
}
