//! Stills: now and then a picture of a stream, for the page of an operator. Off unless the configuration of the stream's probe says so.
//!
//! Beside the probes and never one of them: a picture that cannot be had is a line in the log and nothing else, and one is taken at a time, as an
//! own task on the agent's one thread. None is taken while the hub is not heard, nor over a metered interface unless told so: it is for eyes that look now, so it is
//! in no custody, on no disk, and of two only the newer one counts.
//!
//! [`plan`] says how often and how large, [`take`] has ffmpeg take one; here is when.

pub mod plan;
pub mod take;

use super::config::{Config, Planned};
use super::context::Surroundings;
use super::outcome::unmeasured;
use super::runner::News;
use super::schedule::{Schedule, due};
use crate::clock::Clock;
use log::{debug, info, warn};
use plan::Plan;
use smol::LocalExecutor;
use smol::channel::{Receiver, Sender, unbounded};
use std::time::{Duration, Instant};
use take::Picture;

/// The first ones begin within this, at random.
const SPREAD: Duration = Duration::from_secs(5);
/// A failure is said when it begins, and at most so often when its reason changes.
const SAID: Duration = Duration::from_hours(1);

/// A picture to be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The name of the probe.
    pub probe: String,
    /// When it was taken.
    pub at: Instant,
    /// What it shows.
    pub picture: Picture,
}

/// What is taken of one stream.
#[derive(Debug)]
struct Job {
    planned: Planned,
    plan: Plan,
    schedule: Schedule,
    /// The quality that fitted last.
    quality: usize,
    /// What was said last of a failure, and when; nothing while all is well.
    said: Option<(String, Instant)>,
    /// Told apart from one of an earlier configuration by this.
    id: u64,
}

/// A try that ended.
#[derive(Debug)]
struct Ended {
    id: u64,
    at: Instant,
    result: Result<Picture, String>,
}

/// All stills of one agent.
#[derive(Debug)]
pub(super) struct Stills {
    jobs: Vec<Job>,
    is_busy: bool,
    is_reached: bool,
    ids: u64,
    sender: Sender<Ended>,
    ended: Receiver<Ended>,
    inbox: Vec<Ended>,
}

impl Stills {
    pub(super) fn new() -> Self {
        let (sender, ended) = unbounded();
        Self { jobs: Vec::new(), is_busy: false, is_reached: false, ids: 0, sender, ended, inbox: Vec::new() }
    }

    /// Takes over another configuration. What has not changed keeps its schedule.
    pub(super) fn configure(&mut self, config: &Config, now: Instant) {
        let mut before = std::mem::take(&mut self.jobs);
        for planned in &config.probes {
            let Some(plan) = planned.settings.still() else { continue };
            if let Some(at) = before.iter().position(|job| job.planned == *planned) {
                self.jobs.push(before.swap_remove(at));
                continue;
            }
            self.ids += 1;
            let schedule = Schedule::new(plan.every, SPREAD, fastrand::u64(..), now);
            let (planned, id) = (planned.clone(), self.ids);
            self.jobs.push(Job { planned, plan, schedule, quality: 0, said: None, id });
        }
    }

    /// Takes what has ended and begins what is due.
    pub(super) fn step(
        &mut self,
        site: &Surroundings,
        executor: &LocalExecutor<'static>,
        now: Instant,
    ) -> Vec<News> {
        self.is_reached = site.is_reached();
        while let Ok(ended) = self.ended.try_recv() {
            self.inbox.push(ended);
        }
        let mut news = Vec::new();
        for Ended { id, at, result } in std::mem::take(&mut self.inbox) {
            self.is_busy = false;
            if let Some(job) = self.jobs.iter_mut().find(|job| job.id == id) {
                news.extend(job.end(at, result).map(News::Still));
            }
        }
        if self.is_busy || !self.is_reached {
            return news;
        }
        for at in due(self.jobs.iter().map(|job| &job.schedule), now) {
            let job = &mut self.jobs[at];
            job.schedule.begin(now);
            if let Some(line) = site.metered().filter(|_| !job.plan.metered) {
                job.say(format!("none is taken over {line}, which is metered"), now);
                continue;
            }
            self.is_busy = true;
            let (id, quality, plan, sender) = (job.id, job.quality, job.plan.clone(), self.sender.clone());
            let settings = job.planned.settings.clone();
            let task = async move {
                let result = match settings.media() {
                    Ok(media) => take::take(&media, &plan, quality).await,
                    Err(why) => Err(why),
                };
                // Nobody hears it only when the agent ends.
                let _ = sender.try_send(Ended { id, at: Clock::now(), result });
            };
            executor.spawn(task).detach();
            break;
        }
        news
    }

    /// Waits for a try to end.
    pub(super) async fn moved(&mut self) {
        if let Ok(ended) = self.ended.recv().await {
            self.inbox.push(ended);
        }
    }

    /// When one is due. While one is taken, or the hub is not heard, that is what is waited for.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = !self.is_busy && self.is_reached;
        self.jobs.iter().map(|job| job.schedule.next()).min().filter(|_| waits)
    }
}

impl Job {
    fn end(&mut self, at: Instant, result: Result<Picture, String>) -> Option<Taken> {
        let probe = self.planned.common.name.clone();
        match result {
            Ok(picture) => {
                if self.said.take().is_some() {
                    info!("still of {probe}: taken again");
                }
                let Picture { width, height, jpeg, .. } = &picture;
                debug!("still of {probe}: {width} by {height}, {} bytes", jpeg.len());
                self.quality = picture.quality;
                Some(Taken { probe, at, picture })
            }
            Err(why) => {
                self.say(why, at);
                None
            }
        }
    }

    /// Once for each reason, and not more often than it helps.
    fn say(&mut self, why: String, now: Instant) {
        let is_said = self.said.as_ref().is_some_and(|(said, at)| {
            unmeasured(said) == unmeasured(&why) || now.saturating_duration_since(*at) < SAID
        });
        let probe = &self.planned.common.name;
        if is_said {
            debug!("still of {probe}: {why}");
        } else {
            warn!("still of {probe}: none could be taken: {why}");
            self.said = Some((why, now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config;

    /// A stream that nothing could be had of: what would take it is not there.
    fn stills(still: &str, now: Instant) -> Stills {
        let text = format!(
            "site = \"s\"\nappliance = \"a\"\nprobes.ping = []\n[mqtt]\naddress = \"hub\"\n[[probe.stream]]\nname = \"programme\"\n\
             url = \"rtmp://192.0.2.40/live/x\"\nffmpeg = \"/nowhere/ffmpeg\"\n{still}\n"
        );
        let config = config::Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error}"));
        let mut stills = Stills::new();
        stills.configure(&config.probes, now);
        stills
    }

    fn site(is_reached: bool, line: &str, now: Instant) -> Surroundings {
        let site = Surroundings::default();
        site.meter(&["wwan0".to_owned()]);
        site.see(false, false, Some(line), now);
        site.reach(is_reached);
        site
    }

    fn said(stills: &Stills) -> Option<&str> {
        stills.jobs.first().and_then(|job| job.said.as_ref()).map(|(said, _)| said.as_str())
    }

    #[test]
    fn without_the_key_nothing_is_ever_due() {
        let now = Clock::now();
        let mut stills = stills("", now);
        stills.step(&site(true, "eth0", now), &LocalExecutor::new(), now + SPREAD);
        assert_eq!((stills.jobs.len(), stills.deadline(), stills.is_busy), (0, None, false));
    }

    #[test]
    fn none_is_taken_while_the_hub_is_not_heard_and_one_at_once_when_it_is() {
        let (now, executor) = (Clock::now(), LocalExecutor::new());
        let mut stills = stills("still = {}", now);
        let later = now + Duration::from_hours(5);
        stills.step(&site(false, "eth0", now), &executor, later);
        assert_eq!((stills.is_busy, stills.deadline()), (false, None), "nothing to wake up for");
        stills.step(&site(true, "eth0", now), &executor, later);
        assert_eq!((stills.is_busy, stills.deadline()), (true, None), "one at a time");
        smol::block_on(executor.run(stills.moved()));
        assert_eq!(stills.step(&site(true, "eth0", now), &executor, later), []);
        assert_eq!(said(&stills), Some("/nowhere/ffmpeg is not on this machine; install it"));
        let next = stills.deadline().expect("the next one");
        assert!(next > later && next <= later + Duration::from_mins(5), "what was missed is left out");
    }

    #[test]
    fn none_goes_over_a_metered_line_unless_the_file_says_so() {
        let (now, executor) = (Clock::now(), LocalExecutor::new());
        let later = now + SPREAD;
        for (still, is_taken) in [("still = {}", false), ("still = { metered = true }", true)] {
            let mut stills = stills(still, now);
            stills.step(&site(true, "wwan0", now), &executor, later);
            assert_eq!(stills.is_busy, is_taken, "{still}");
            let why = "none is taken over wwan0, which is metered";
            assert_eq!(said(&stills), (!is_taken).then_some(why));
        }
    }

    #[test]
    fn a_failure_is_said_once_and_another_reason_an_hour_later() {
        let now = Clock::now();
        let mut stills = stills("still = {}", now);
        let job = &mut stills.jobs[0];
        let mut fail = |why: &str, minutes| {
            job.end(now + Duration::from_mins(minutes), Err(why.to_owned()));
            job.said.clone().expect("it fails").0
        };
        assert_eq!(fail("no key frame within 30s", 0), "no key frame within 30s");
        assert_eq!(fail("the picture is black", 5), "no key frame within 30s", "too soon");
        assert_eq!(fail("the picture is black", 61), "the picture is black");
        let picture = Picture { width: 64, height: 36, jpeg: vec![0xff], quality: 2 };
        let taken = job.end(now, Ok(picture.clone())).expect("a picture");
        assert_eq!((taken.probe.as_str(), taken.picture, job.quality), ("programme", picture, 2));
        assert!(job.said.is_none(), "the next failure is news again");
    }

    #[test]
    fn a_configuration_that_is_read_again_keeps_the_schedule_of_what_is_the_same() {
        let now = Clock::now();
        let (mut stills, other) = (stills("still = {}", now), stills("still = { width = 64 }", now));
        let (id, next, planned) =
            (stills.jobs[0].id, stills.jobs[0].schedule.next(), &stills.jobs[0].planned);
        let config =
            Config { probes: vec![planned.clone(), other.jobs[0].planned.clone()], ..Config::default() };
        stills.configure(&config, now + SPREAD);
        assert_eq!((stills.jobs[0].id, stills.jobs[0].schedule.next()), (id, next));
        assert!(stills.jobs[1].id != id && stills.jobs[1].plan.width == 64);
    }
}
