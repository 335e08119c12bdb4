//! A site on virtual time: a list of acts goes in, each change of what is so comes out.
//!
//! ```text
//! [("11-20 19:01", On("rack-1/camera-1")), …]  →  ["11-20 19:00 calendar | live | power", "11-20 19:01 tally+calendar | live | power", …]
//! ```
//!
//! Time goes from one `next_change` to the next; between two of them a view has to be the same at any moment that is tried.

use rackside_onair::{Calendar, Heard, Kept, Phase, Settings, Site, View, Window, Word, Zone, local_time};
use std::collections::BTreeMap;

/// What happens.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Act {
    /// A tally, `rack-1/camera-1`, is on.
    On(&'static str),
    /// It is off.
    Off(&'static str),
    /// Nobody can tell what it is.
    Unknown(&'static str),
    /// It is taken out of the appliance's configuration.
    Removed(&'static str),
    /// An appliance is heard no more.
    Gone(&'static str),
    /// It is heard again; its tallies say what they said last.
    Back(&'static str),
    /// The hub is started anew, and has heard nobody yet.
    Restart,
    /// On air by hand, until a time or for good.
    Hand(Option<&'static str>),
    /// No more.
    HandOff,
    /// Holds are let go of.
    LetGo,
    /// The calendar is another one from now on.
    Calendar(&'static str),
}

/// The site, its appliances and its clock.
pub(crate) struct Stage {
    zone: Zone,
    settings: Settings,
    calendar: Calendar,
    site: Site,
    /// Whether it is heard, and what its tallies say.
    appliances: BTreeMap<&'static str, (bool, BTreeMap<&'static str, Word>)>,
    now: i64,
    saved: Kept,
}

impl Stage {
    /// A site in `zone` whose calendar is `ical`, at the beginning of `start`.
    pub(crate) fn new(zone: &str, settings: Settings, ical: &str, start: &str) -> Self {
        let zone: Zone = zone.parse().expect("a zone");
        let mut stage = Self {
            zone,
            settings,
            calendar: Calendar::default(),
            site: Site::new(settings),
            appliances: BTreeMap::new(),
            now: moment(zone, start),
            saved: Kept::default(),
        };
        stage.read(ical);
        stage
    }

    fn read(&mut self, ical: &str) {
        let (calendar, problems) = Calendar::read(ical, self.zone);
        assert_eq!(problems, []);
        self.calendar = calendar;
        self.plan();
    }

    fn plan(&mut self) {
        let window = Window::around(self.now);
        let (shows, problems) = self.calendar.shows(window, rackside_onair::Margins::default());
        assert_eq!(problems, []);
        self.site.plan(shows);
    }

    fn act(&mut self, act: Act) {
        let (site, now) = (&mut self.site, self.now);
        match act {
            Act::On(of) => self.says(of, Some(Word::On)),
            Act::Off(of) => self.says(of, Some(Word::Off)),
            Act::Unknown(of) => self.says(of, Some(Word::Unknown)),
            Act::Removed(of) => self.says(of, None),
            Act::Gone(appliance) => self.appliances.get_mut(appliance).expect("it is there").0 = false,
            Act::Back(appliance) => self.appliances.get_mut(appliance).expect("it is there").0 = true,
            Act::Restart => {
                // What is written down is text, and a while old as a rule.
                let text = serde_json::to_string(&self.saved).expect("it is written");
                let kept: Kept = serde_json::from_str(&text).expect("it is read");
                *site = Site::new(self.settings);
                site.resume(&kept, now);
                self.appliances.values_mut().for_each(|(heard, _)| *heard = false);
                self.plan();
            }
            Act::Hand(until) => site.on_by_hand(until.map(|until| moment(self.zone, until))),
            Act::HandOff => site.off_by_hand(),
            Act::LetGo => site.let_go(now),
            Act::Calendar(ical) => self.read(ical),
        }
        let heard = self.appliances.iter().filter(|(_, (heard, _))| *heard);
        let heard = heard.map(|(appliance, (_, tallies))| Heard {
            appliance: (*appliance).into(),
            tallies: tallies.iter().map(|(tally, word)| ((*tally).into(), *word)).collect(),
        });
        self.site.hear(&heard.collect::<Vec<_>>(), self.now);
        self.saved = self.site.kept(self.now);
    }

    fn says(&mut self, of: &'static str, word: Option<Word>) {
        let (appliance, tally) = of.split_once('/').expect("appliance/tally");
        let (heard, tallies) = self.appliances.entry(appliance).or_default();
        *heard = true;
        match word {
            Some(word) => tallies.insert(tally, word),
            None => tallies.remove(tally),
        };
    }

    /// Goes on to `until`; says what changed on the way. What changes at `until` itself is not yet seen.
    fn wait(&mut self, until: i64, changes: &mut Changes) {
        while let Some(next) = self.site.next_change(self.now).filter(|next| *next < until) {
            assert!(next > self.now, "time goes on");
            for between in [self.now + 1, i64::midpoint(self.now, next), next - 1] {
                if (self.now..next).contains(&between) {
                    assert_eq!(self.site.view(between), self.site.view(self.now), "nothing changes before");
                }
            }
            self.now = next;
            changes.see(self.zone, next, &self.site.view(next));
        }
        self.now = until;
    }

    /// Plays acts at their times, then goes on for `days`; every change with its local time.
    pub(crate) fn play(mut self, acts: &[(&'static str, Act)], days: i64) -> Vec<String> {
        let mut changes = Changes { seen: String::new(), all: Vec::new() };
        for (at, act) in acts {
            self.wait(moment(self.zone, at), &mut changes);
            self.act(*act);
            changes.see(self.zone, self.now, &self.site.view(self.now));
        }
        self.wait(self.now + days * 86_400_000, &mut changes);
        changes.all
    }
}

struct Changes {
    seen: String,
    all: Vec<String>,
}

impl Changes {
    fn see(&mut self, zone: Zone, now: i64, view: &View) {
        let is = said(view);
        if is != self.seen {
            self.all.push(format!("{} {is}", zone.local(now).format("%m-%d %H:%M")));
            self.seen = is;
        }
    }
}

/// Reasons, phases and power of a view.
fn said(view: &View) -> String {
    let of = |words: Vec<&str>| if words.is_empty() { "-".to_owned() } else { words.join("+") };
    let reasons = view.reasons.iter().filter(|(_, is)| *is).map(|(reason, _)| reason.as_str()).collect();
    let phases = view.phases.unwrap_or_default();
    let phases =
        Phase::ALL.iter().zip(phases).filter(|(_, is)| *is).map(|(phase, _)| phase.as_str()).collect();
    format!("{} | {} | {}", of(reasons), of(phases), if view.power_expected { "power" } else { "off" })
}

/// A local time of 2026, `11-20 19:00`; with a Z in UTC.
pub(crate) fn moment(zone: Zone, at: &str) -> i64 {
    let (at, zone) = at.strip_suffix('Z').map_or((at, zone), |at| (at, Zone::UTC));
    zone.moment(local_time(&format!("2026-{}", at.replace(' ', "T"))).expect("a time"))
}

/// A calendar of shows, each with its start, end, rig-up and strike as iCal has them.
pub(crate) fn ical(shows: &[[&str; 4]]) -> &'static str {
    let events: Vec<_> = shows
        .iter()
        .map(|[start, end, rig_up, strike]| {
            format!(
                "BEGIN:VEVENT\nDTSTART:{start}\nDTEND:{end}\nX-RACKSIDE-RIG-UP:{rig_up}\nX-RACKSIDE-STRIKE:{strike}\nEND:VEVENT\n"
            )
        })
        .collect();
    // Acts are constants with few exceptions, and these live as long as the test does.
    format!("BEGIN:VCALENDAR\n{}END:VCALENDAR\n", events.concat()).leak()
}
