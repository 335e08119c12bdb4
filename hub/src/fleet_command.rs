//! `rackside-hub fleet …`: what it prints, and what it wants of the hub, which may be running or not.
//!
//! ```text
//! $ rackside-hub fleet diff tag:city
//! 40 appliances: arena-north/rack-1, arena-north/rack-2, club/rack-1 and 37 more
//!   ~ probe.ping.hub.every: "30s" -> "10s"
//! ```

use crate::cli::{FleetCommand, Pace};
use crate::clock;
use crate::config::Config;
use crate::moment::{rfc3339, span};
use crate::rollout;
use crate::storage;
use rackside_pages::quantity::counted;
use rackside_proto::AgentName;
use rackside_rollout::{Begun, Book, Fault, Member, Plan, RollOut, Selection, Stages, State, Step, Wanted};
use std::fmt::Write as _;

/// Names that are told of a group; how many more there are is said.
const NAMES: usize = 6;
/// Appliances that are told of a roll-out for each thing that can be with them.
const TOLD: usize = 20;

/// Does it, and gives what is to be printed.
pub(crate) fn run(what: &FleetCommand, config: &Config) -> Result<String, String> {
    let open = || Book::open(&storage::whole(&config.data)).map_err(|error| error.to_string());
    match what {
        FleetCommand::Show(name) => show(name, config),
        FleetCommand::Diff(selection) => {
            let (plan, all) = plan(config, &open()?, selection)?;
            Ok(told(&plan, all))
        }
        FleetCommand::RollOut(selection, pace) => {
            let mut book = open()?;
            let (plan, all) = plan(config, &book, selection)?;
            let wanted = Wanted {
                texts: plan.texts(),
                snapshot: Some(plan.snapshot.clone()),
                ..wanted(pace, Stages::default())
            };
            Ok(begun(book.begin(&wanted, clock::now().utc_ms as i64), &wanted, &told(&plan, all))?)
        }
        FleetCommand::Status => Ok(match open()?.newest().map_err(|error| error.to_string())? {
            Some(newest) => status(&newest, clock::now().utc_ms as i64),
            None => "there was no roll-out yet\n".to_owned(),
        }),
        FleetCommand::Stop => match open()?.stop(&by()).map_err(|error| error.to_string())? {
            Some(id) => Ok(format!(
                "roll-out {id} ends; nobody else is told. `rackside-hub fleet back` takes it back\n"
            )),
            None => Err("no roll-out is running".to_owned()),
        },
        FleetCommand::Back(pace) => {
            let mut book = open()?;
            let wanted = wanted(pace, Stages::at_once());
            let back = rollout::back(&book, wanted).map_err(|error| error.to_string())?;
            let Some(wanted) = back.filter(|wanted| !wanted.texts.is_empty()) else {
                return Err("nobody was told anything that could be taken back".to_owned());
            };
            Ok(begun(book.begin(&wanted, clock::now().utc_ms as i64), &wanted, "")?)
        }
    }
}

/// Who does it, for the book.
fn by() -> String {
    "the command line".to_owned()
}

fn wanted(pace: &Pace, usual: Stages) -> Wanted {
    Wanted {
        back_of: None,
        by: by(),
        stages: pace.stages.clone().unwrap_or(usual),
        wait: i64::try_from(pace.wait.get().as_millis()).unwrap_or(i64::MAX),
        on_air_too: pace.on_air_too,
        texts: Vec::new(),
        snapshot: None,
    }
}

/// One line for each fault.
pub(crate) fn lines(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

/// What a roll-out would be about, and of how many; or why there cannot be one.
fn plan(config: &Config, book: &Book, selection: &Selection) -> Result<(Plan, usize), String> {
    let directory = config.fleet.configurations.as_deref();
    let plan = rollout::plan(directory, book, &config.site, selection).map_err(|faults| lines(&faults))?;
    if !plan.faults.is_empty() {
        return Err(lines(&plan.faults));
    }
    let all = plan.same + plan.entries.len();
    if all == 0 {
        return Err(
            "no appliance is known that is meant: it has to have joined (rackside-hub join), and to have been heard by a hub that runs with this"
                .to_owned(),
        );
    }
    Ok((plan, all))
}

fn show(name: &AgentName, config: &Config) -> Result<String, String> {
    let sources = rollout::read(config.fleet.configurations.as_deref()).map_err(|faults| lines(&faults))?;
    let text =
        sources.render(name, rollout::tags_of(&config.site, &name.site)).map_err(|faults| lines(&faults))?;
    Ok(if text.toml.is_empty() { "# nothing from the hub\n".to_owned() } else { text.toml })
}

/// What changes, by groups.
fn told(plan: &Plan, all: usize) -> String {
    let mut said = String::new();
    for group in plan.groups() {
        writeln!(said, "{}", names(&group.names)).expect("a String takes everything");
        for change in &group.changes {
            writeln!(said, "  {change}").expect("a String takes everything");
        }
        if group.changes.is_empty() {
            said.push_str("    what it has is sent again: something else was sent, and did not last\n");
        }
    }
    for remark in &plan.remarks {
        writeln!(said, "note: {remark}").expect("a String takes everything");
    }
    let all = counted(all, "appliance", "appliances");
    writeln!(said, "{} of {all} would get something new", plan.entries.len())
        .expect("a String takes everything");
    said
}

/// `3 appliances: hall/rack-1, hall/rack-2, hall/rack-3`.
pub(crate) fn names(all: &[AgentName]) -> String {
    let first: Vec<String> = all.iter().take(NAMES).map(ToString::to_string).collect();
    let more = all.len().saturating_sub(NAMES);
    let and = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}: {}{and}", counted(all.len(), "appliance", "appliances"), first.join(", "))
}

fn begun(
    begun: Result<Begun, rackside_rollout::BookError>,
    wanted: &Wanted,
    before: &str,
) -> Result<String, String> {
    match begun.map_err(|error| error.to_string())? {
        Begun::Yes(id) => Ok(format!(
            "{before}roll-out {id} begins, in stages {}; the running hub takes it up within a second\n\
             `rackside-hub fleet status` tells how it goes, `rackside-hub fleet stop` ends it\n",
            wanted.stages
        )),
        Begun::Running(id) => {
            Err(format!("roll-out {id} is running; wait for it, or end it: rackside-hub fleet stop"))
        }
        Begun::Nobody => Ok(format!("{before}there is nothing to roll out\n")),
    }
}

/// How a roll-out stands.
fn status(of: &RollOut, now: i64) -> String {
    let at = |at: i64| rfc3339(at.max(0) as u64);
    let back = of.back_of.map_or_else(String::new, |id| format!(", takes back roll-out {id}"));
    let counts = of.counts();
    let count = |word: &str| counts.get(word).copied().unwrap_or_default();
    let mut said = format!(
        "roll-out {} by {}, {}{back}\n{}\n{}: {} not told yet, {} told, {}, {}, {} failed\n",
        of.id,
        of.by,
        at(of.begun_at),
        match &of.state {
            State::Running => format!(
                "running for {}: stage {} of {} ({})",
                span(now.saturating_sub(of.begun_at).max(0) as u64),
                of.stage + 1,
                of.stages.count(),
                of.stages
            ),
            State::Done { at: ended } => format!("done {}", at(*ended)),
            State::Stopped { at: ended, why } => format!("stopped {}: {why}", at(*ended)),
        },
        counted(of.members.len(), "appliance", "appliances"),
        count("due"),
        count("told"),
        counted(count("applied"), "has it", "have it"),
        counted(count("proven"), "has proven it", "have proven it"),
        count("failed"),
    );
    let is_told = |member: &&Member| !matches!(member.step, Step::Due | Step::Proven(_));
    for member in of.members.iter().filter(is_told).take(TOLD) {
        let what = match &member.step {
            Step::Failed { why, .. } => why.clone(),
            Step::Told(_) if member.is_away() => "is away and gets it when it comes".to_owned(),
            Step::Told(_) => "was told".to_owned(),
            _ => "has it".to_owned(),
        };
        writeln!(said, "  {} {what}", member.name).expect("a String takes everything");
    }
    let more = of.members.iter().filter(is_told).count().saturating_sub(TOLD);
    if more > 0 {
        writeln!(said, "  and {more} more").expect("a String takes everything");
    }
    said
}

/// What `check` says of the files, if there are any.
pub(crate) fn outlook(config: &Config) -> Result<Option<String>, String> {
    let Some(directory) = config.fleet.configurations.as_deref() else { return Ok(None) };
    let sources = rollout::read(Some(directory)).map_err(|faults| lines(&faults))?;
    Ok(Some(format!(
        "configurations of appliances: {} in {}",
        counted(sources.count(), "file", "files"),
        directory.display()
    )))
}
