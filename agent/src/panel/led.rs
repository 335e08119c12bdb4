//! What the LEDs say, and when they say it: the rack tells the truth without the network.
//!
//! Pure: [`meaning`] makes one word of what is known, [`pattern`] makes light of the word and the time that it has been shown.
//! Patterns, not colours alone, carry the meaning, so that a single LED of one colour, and an eye that cannot tell red from
//! green, read the same. Times are in milliseconds:
//!
//! | meaning | light |
//! |---|---|
//! | well | green, with a dark wink of 100 every 4,000 |
//! | warning | amber slow blink: 1,000 on, 1,000 off |
//! | critical | red fast blink: 125 on, 125 off |
//! | hub not reachable, no internet, no cable or address, refused by the hub, a login page, TLS that somebody opens | amber flashes in groups of 2, 3, 4, 5, 6, 7: 200 on, 200 off, then 1,200 of pause |
//! | identify | all LEDs together, flickering: 50 on, 50 off |
//! | dark | nothing |
//!
//! A lamp for a tally: lit, dark, or the slow blink of a tally that is unknown. Invariant: no meaning but `well` is a steady light
//! with a wink, and no wink means that nobody is alive behind it.

use rackside_proto::Severity;
use std::time::Duration;

/// The colours that a status LED of two pins has; a single LED is lit or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Light {
    /// Nothing.
    Dark,
    /// Green alone.
    Green,
    /// Both.
    Amber,
    /// Red alone.
    Red,
}

/// What an LED says. The numbers are those of `rackside_led_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Meaning {
    /// Nothing: it is to be dark on air, or its tally is off.
    Dark = 0,
    /// All is well.
    Well = 1,
    /// Look at it by daylight.
    Warning = 2,
    /// Look at it now.
    Critical = 3,
    /// The hub does not answer.
    HubUnreachable = 4,
    /// There is a network, and no internet behind it.
    NoInternet = 5,
    /// There is no cable, or no address.
    NoCable = 6,
    /// Here I am.
    Identify = 7,
    /// A lamp whose tally is on.
    Lit = 8,
    /// A lamp whose tally is unknown.
    LampUnknown = 9,
    /// The hub does not want this box any more: revoked, replaced, retired.
    Refused = 10,
    /// The network wants somebody to log in on a page.
    Portal = 11,
    /// Somebody on the way opens TLS.
    Intercepted = 12,
}

impl Meaning {
    /// For people: `well`, `hub not reachable`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Dark => "dark",
            Self::Well => "well",
            Self::Warning => "warning",
            Self::Critical => "critical",
            Self::HubUnreachable => "hub not reachable",
            Self::NoInternet => "no internet",
            Self::NoCable => "no cable or address",
            Self::Identify => "identify",
            Self::Lit => "lit",
            Self::LampUnknown => "tally unknown",
            Self::Refused => "refused by the hub",
            Self::Portal => "a login page in the way",
            Self::Intercepted => "TLS is opened on the way",
        }
    }
}

/// How the way to the hub stands, as far as the site can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Link {
    /// It answers, or there was no time yet to find out.
    #[default]
    Well,
    /// The network works, the hub does not answer.
    HubUnreachable,
    /// Nothing beyond the venue's own network answers.
    NoInternet,
    /// No interface carries a route.
    NoCable,
    /// The hub itself has said that this box is not wanted any more, or its broker has.
    Refused,
    /// A page of this network's own answers in the hub's place (captive portal).
    Portal,
    /// Somebody shows a certificate that is not to be believed, or speaks TLS with no box of a hub (a proxy that opens TLS).
    Intercepted,
}

impl Link {
    /// How it is shown.
    pub const fn meaning(self) -> Option<Meaning> {
        match self {
            Self::Well => None,
            Self::HubUnreachable => Some(Meaning::HubUnreachable),
            Self::NoInternet => Some(Meaning::NoInternet),
            Self::NoCable => Some(Meaning::NoCable),
            Self::Refused => Some(Meaning::Refused),
            Self::Portal => Some(Meaning::Portal),
            Self::Intercepted => Some(Meaning::Intercepted),
        }
    }
}

/// What is known of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Site {
    /// The way to the hub.
    pub link: Link,
    /// How bad it is, by the site's own judgement or the hub's, whichever is worse.
    pub severity: Severity,
}

impl Default for Site {
    fn default() -> Self {
        Self { link: Link::Well, severity: Severity::Well }
    }
}

/// What a status LED says of it. The link goes before a warning: it says why nobody is told of that.
pub const fn meaning(site: Site) -> Meaning {
    match (site.severity, site.link.meaning()) {
        (Severity::Critical, _) => Meaning::Critical,
        (_, Some(meaning)) => meaning,
        (Severity::Warning, None) => Meaning::Warning,
        (Severity::Well | Severity::Info, None) => Meaning::Well,
    }
}

/// What a lamp for tallies says: `tallies` are theirs, `None` for one that is unknown.
pub fn lamp(tallies: impl Iterator<Item = Option<bool>>) -> Meaning {
    let mut said = Meaning::Dark;
    for tally in tallies {
        match tally {
            Some(true) => return Meaning::Lit,
            Some(false) => {}
            None => said = Meaning::LampUnknown,
        }
    }
    said
}

/// So many times `on` lit and `off` dark, then `pause` dark, in milliseconds. Without `off` it is a steady light.
struct Rhythm {
    light: Light,
    times: u64,
    on: u64,
    off: u64,
    pause: u64,
}

impl Rhythm {
    const fn steady(light: Light) -> Self {
        Self::blink(light, 1, 0)
    }

    const fn blink(light: Light, on: u64, off: u64) -> Self {
        Self { light, times: 1, on, off, pause: 0 }
    }

    const fn groups(times: u64) -> Self {
        Self { light: Light::Amber, times, on: 200, off: 200, pause: 1200 }
    }
}

const fn rhythm(meaning: Meaning) -> Rhythm {
    match meaning {
        Meaning::Dark => Rhythm::steady(Light::Dark),
        Meaning::Well => Rhythm::blink(Light::Green, 3900, 100),
        Meaning::Warning => Rhythm::blink(Light::Amber, 1000, 1000),
        Meaning::Critical => Rhythm::blink(Light::Red, 125, 125),
        Meaning::HubUnreachable => Rhythm::groups(2),
        Meaning::NoInternet => Rhythm::groups(3),
        Meaning::NoCable => Rhythm::groups(4),
        Meaning::Refused => Rhythm::groups(5),
        Meaning::Portal => Rhythm::groups(6),
        Meaning::Intercepted => Rhythm::groups(7),
        Meaning::Identify => Rhythm::blink(Light::Amber, 50, 50),
        Meaning::Lit => Rhythm::steady(Light::Red),
        Meaning::LampUnknown => Rhythm::blink(Light::Red, 1000, 1000),
    }
}

/// The light of a meaning that has been shown for `shown`, and for how long it stays; `None` for as long as the meaning does.
pub fn pattern(meaning: Meaning, shown: Duration) -> (Light, Option<Duration>) {
    let Rhythm { light, times, on, off, pause } = rhythm(meaning);
    if off == 0 {
        return (light, None);
    }
    let period = Duration::from_millis(times * (on + off) + pause);
    let into = Duration::from_nanos((shown.as_nanos() % period.as_nanos()) as u64);
    let mut edge = Duration::ZERO;
    for _ in 0..times {
        edge += Duration::from_millis(on);
        if into < edge {
            return (light, Some(edge.saturating_sub(into)));
        }
        edge += Duration::from_millis(off);
        if into < edge {
            // Before the pause the last gap and the pause are one.
            let end = if edge + Duration::from_millis(pause) == period { period } else { edge };
            return (Light::Dark, Some(end.saturating_sub(into)));
        }
    }
    (Light::Dark, Some(period.saturating_sub(into)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const ALL: [Meaning; 13] = [
        Meaning::Dark,
        Meaning::Well,
        Meaning::Warning,
        Meaning::Critical,
        Meaning::HubUnreachable,
        Meaning::NoInternet,
        Meaning::NoCable,
        Meaning::Identify,
        Meaning::Lit,
        Meaning::LampUnknown,
        Meaning::Refused,
        Meaning::Portal,
        Meaning::Intercepted,
    ];

    /// The changes of the first `ms` milliseconds: when, and to what.
    fn script(meaning: Meaning, ms: u64) -> Vec<(u64, Light)> {
        let (mut at, mut script) = (0, Vec::new());
        while at < ms {
            let (light, next) = pattern(meaning, Duration::from_millis(at));
            script.push((at, light));
            at += next.map_or(ms, |next| next.as_millis() as u64);
        }
        script
    }

    #[test]
    fn well_winks_for_100_ms_every_4_s() {
        use Light::{Dark, Green};
        assert_eq!(script(Meaning::Well, 8000), [(0, Green), (3900, Dark), (4000, Green), (7900, Dark)]);
    }

    #[test]
    fn warning_blinks_slowly_and_critical_fast() {
        use Light::{Amber, Dark, Red};
        assert_eq!(script(Meaning::Warning, 3000), [(0, Amber), (1000, Dark), (2000, Amber)]);
        assert_eq!(script(Meaning::Critical, 500), [(0, Red), (125, Dark), (250, Red), (375, Dark)]);
    }

    #[test]
    fn the_link_flashes_in_groups_of_two_to_seven() {
        for (meaning, times) in [
            (Meaning::HubUnreachable, 2),
            (Meaning::NoInternet, 3),
            (Meaning::NoCable, 4),
            (Meaning::Refused, 5),
            (Meaning::Portal, 6),
            (Meaning::Intercepted, 7),
        ] {
            let period = times * 400 + 1200;
            let script = script(meaning, period);
            let flashes = script.iter().filter(|(_, light)| *light == Light::Amber).count() as u64;
            assert_eq!(flashes, times, "{script:?}");
            assert_eq!(script.last(), Some(&(times * 400 - 200, Light::Dark)), "one pause, not two");
            assert_eq!(pattern(meaning, Duration::from_millis(period)).0, Light::Amber);
        }
    }

    #[test]
    fn only_well_is_a_steady_light_with_a_wink() {
        for meaning in ALL {
            let mostly_lit =
                (0..4000).filter(|ms| pattern(meaning, Duration::from_millis(*ms)).0 != Light::Dark).count()
                    > 3600;
            let winks = pattern(meaning, Duration::ZERO).1.is_some();
            assert_eq!(mostly_lit && winks, meaning == Meaning::Well, "{meaning:?}");
        }
    }

    #[test]
    fn the_link_goes_before_a_warning_and_after_what_is_critical() {
        let said = |severity, link| meaning(Site { link, severity });
        assert_eq!(said(Severity::Well, Link::Well), Meaning::Well);
        assert_eq!(said(Severity::Info, Link::Well), Meaning::Well);
        assert_eq!(said(Severity::Warning, Link::Well), Meaning::Warning);
        assert_eq!(said(Severity::Warning, Link::NoInternet), Meaning::NoInternet);
        assert_eq!(said(Severity::Critical, Link::NoCable), Meaning::Critical);
        assert_eq!(said(Severity::Well, Link::HubUnreachable), Meaning::HubUnreachable);
        assert_eq!(said(Severity::Warning, Link::Refused), Meaning::Refused);
        assert_eq!(said(Severity::Warning, Link::Portal), Meaning::Portal);
        assert_eq!(said(Severity::Well, Link::Intercepted), Meaning::Intercepted);
    }

    #[test]
    fn a_lamp_is_never_dark_while_a_tally_of_its_may_be_on() {
        assert_eq!(lamp([Some(false), Some(false)].into_iter()), Meaning::Dark);
        assert_eq!(lamp([Some(false), None].into_iter()), Meaning::LampUnknown);
        assert_eq!(lamp([None, Some(true)].into_iter()), Meaning::Lit);
    }

    proptest! {
        /// The light does not change before the moment that was told, and does change then.
        #[test]
        fn a_pattern_changes_exactly_when_it_says(which in 0..ALL.len(), us in 0_u64..100_000_000) {
            let (meaning, shown) = (ALL[which], Duration::from_micros(us));
            let (light, next) = pattern(meaning, shown);
            if let Some(next) = next {
                prop_assert!(next > Duration::ZERO);
                let just_before = (shown + next).saturating_sub(Duration::from_nanos(1));
                prop_assert_eq!(pattern(meaning, just_before).0, light);
                prop_assert_ne!(pattern(meaning, shown + next).0, light);
            }
        }
    }
}
