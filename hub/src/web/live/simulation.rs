//! A day of updates with 500 clients, in virtual time: phones that go away and come back, readers that fall behind, a hub that is started anew, fleets that change all
//! at once. At every moment who has read everything knows what the fleet is, and what is kept for them has its bound.

use super::board::{Board, Channel, Follower, News, Next, Told, whole};
use super::frame::{Event, Frame, Id};
use super::view::View;
use crate::clock;
use crate::web::api::Form;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

const CLIENTS: usize = 500;
const SITES: usize = 12;
const RACKS: usize = 60;
/// From one look of the hub to the next.
const STEP: Duration = Duration::from_secs(20);
const DAY: u32 = 4320;

/// Numbers by chance, the same ones each time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, most: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % most as u64) as usize
    }

    fn one_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

fn site(rack: usize) -> String {
    format!("site-{}", rack % SITES)
}

/// What the fleet is: of each rack a number that only grows.
struct Fleet([u32; RACKS]);

impl Fleet {
    fn told(&self, rack: usize) -> Told {
        Told {
            site: site(rack),
            appliance: format!("rack-{rack}"),
            json: format!("[{rack},{}]", self.0[rack]),
        }
    }

    fn all(&self, channel: &Channel) -> Vec<Event> {
        let rows: Vec<Told> = (0..RACKS).map(|rack| self.told(rack)).collect();
        vec![whole("all", &rows, &channel.view)]
    }
}

/// What frames say, each read once.
#[derive(Default)]
struct Read(HashMap<*const Frame, (Arc<Frame>, Vec<Said>)>);

type Said = (bool, Vec<(usize, u32)>);

impl Read {
    fn of(&mut self, frame: &Arc<Frame>) -> &[Said] {
        let read = || {
            let plain = frame.plain();
            let text = std::str::from_utf8(&plain).expect("it is text");
            let events = text.split("\n\n").filter(|event| !event.is_empty());
            let said = events.map(|event| {
                let (_, data) = event.split_once("data: ").expect("each has data");
                (event.starts_with("event: all"), serde_json::from_str(data).expect("it is JSON"))
            });
            (Arc::clone(frame), said.collect())
        };
        &self.0.entry(Arc::as_ptr(frame)).or_insert_with(read).1
    }
}

struct Client {
    view: View,
    follower: Option<Follower>,
    /// Which racks it is to be told of.
    concerned: [bool; RACKS],
    knows: [Option<u32>; RACKS],
    last: Option<Id>,
    /// It reads nothing, or is away, before this step.
    idle_until: u32,
    begun_anew: u32,
}

impl Client {
    fn new(number: usize) -> Self {
        let address = match number % 10 {
            0..=5 => "/api/live".to_owned(),
            6 | 7 => format!("/api/live?site=site-{}", number % SITES),
            _ => format!("/api/live?site=site-{}&appliance=rack-{}", 3 % SITES, 3),
        };
        let only: BTreeSet<String> = (0..SITES / 2).map(|at| format!("site-{at}")).collect();
        let form = Form::of_address(&address.parse().expect("an address"));
        let view = View::of(&form, number.is_multiple_of(3).then_some(&only)).expect("right");
        let concerned = std::array::from_fn(|rack| view.covers(&site(rack), &format!("rack-{rack}")));
        Self {
            view,
            follower: None,
            concerned,
            knows: [None; RACKS],
            last: None,
            idle_until: 0,
            begun_anew: 0,
        }
    }

    /// Whether it knows what it should.
    fn is_right(&self, fleet: &Fleet) -> bool {
        let known = self.knows.iter().zip(&self.concerned).zip(&fleet.0);
        known.into_iter().all(|((known, is_concerned), value)| *known == is_concerned.then_some(*value))
    }

    /// Reads what there is; comes, if it is away.
    fn turn(
        &mut self,
        board: &mut Board,
        fleet: &Fleet,
        boot: u32,
        now: std::time::Instant,
        read: &mut Read,
    ) {
        let follower = self.follower.get_or_insert_with(|| {
            let joined = board.join(&self.view, self.last, now, |channel| fleet.all(channel));
            joined.expect("there is room")
        });
        loop {
            match follower.next() {
                Next::Frame(frame) => {
                    self.last = Some(Id { boot, seq: frame.seq });
                    for (is_all, rows) in read.of(&frame) {
                        if *is_all {
                            self.knows = [None; RACKS];
                            self.begun_anew += 1;
                        }
                        for (rack, value) in rows {
                            self.knows[*rack] = Some(*value);
                        }
                    }
                }
                Next::Wait => return,
                Next::End => {
                    self.leave(now);
                    return self.turn(board, fleet, boot, now, read);
                }
            }
        }
    }

    fn leave(&mut self, now: std::time::Instant) {
        if let Some(follower) = self.follower.take() {
            follower.leave(now);
        }
    }
}

#[test]
fn after_a_day_of_updates_everybody_knows_what_the_fleet_is() {
    let mut dice = Dice(0x5eed);
    let mut fleet = Fleet([0; RACKS]);
    let mut clients: Vec<Client> = (0..CLIENTS).map(Client::new).collect();
    let (mut boot, mut board, mut now) = (1, Board::new(1), clock::now().instant);
    let (mut most, mut checked) = (0, 0u32);
    for step in 1..=DAY {
        now += STEP;
        if step == DAY / 2 {
            // The hub is started anew: lines break, and what was told before means nothing.
            (boot, board) = (2, Board::new(2));
            for client in &mut clients {
                client.follower = None;
            }
        }
        // Now and then all at once, for an hour at noon nothing at all.
        let is_still = (DAY / 3..DAY / 3 + 360).contains(&step);
        let changes = if is_still {
            0
        } else if dice.one_in(500) {
            RACKS * 4
        } else {
            dice.below(6)
        };
        let racks: BTreeSet<usize> = (0..changes).map(|_| dice.below(RACKS)).collect();
        for rack in &racks {
            fleet.0[*rack] += 1;
        }
        let rows: Vec<Told> = racks.iter().map(|rack| fleet.told(*rack)).collect();
        if !rows.is_empty() {
            board.publish(&News { rows, ..News::default() }, &[]);
        }
        let mut read = Read::default();
        for client in &mut clients {
            if client.idle_until > step {
                continue;
            }
            client.turn(&mut board, &fleet, boot, now, &mut read);
            assert!(client.is_right(&fleet), "at step {step}");
            checked += 1;
            if dice.one_in(200) {
                // Away for a moment or for hours, or there and not reading.
                let longest = if dice.one_in(10) { 2000 } else { 12 };
                client.idle_until = step + 1 + dice.below(longest) as u32;
                if dice.one_in(2) {
                    client.leave(now);
                }
            }
        }
        board.sweep(now);
        most = most.max(board.bytes());
    }
    assert!(checked > DAY * 300, "most of them were there most of the time: {checked}");
    let anew: u32 = clients.iter().map(|client| client.begun_anew).sum();
    let came = CLIENTS as u32 * 2;
    assert!(anew > came, "some were away too long");
    assert!(anew < came * 6, "most went on from where they were: {anew}");
    // 240 messages of some hundred bytes for each of the views, however many follow.
    assert!(most < 4 << 20, "{most} bytes were kept");
    for client in &mut clients {
        client.leave(now);
    }
    board.sweep(now + Duration::from_mins(2));
    assert!(board.is_idle() && board.bytes() == 0, "nothing is kept for nobody");
}

#[test]
fn who_reads_nothing_is_let_go_and_holds_nothing() {
    let (fleet, now) = (Fleet([0; RACKS]), clock::now().instant);
    let mut board = Board::new(1);
    let view = Client::new(1).view;
    let mut follower = board.join(&view, None, now, |channel| fleet.all(channel)).expect("there is room");
    assert!(matches!(follower.next(), Next::Frame(_)));
    let large = "x".repeat(1 << 20);
    for _ in 0..8 {
        let rows = vec![Told { json: format!("\"{large}\""), ..fleet.told(3) }];
        board.publish(&News { rows, ..News::default() }, &[]);
    }
    assert!(board.bytes() < 3 << 20, "the last two of them");
    assert!(matches!(follower.next(), Next::End));
}
