//! Couriers between a real outbox and servers that record: order, retries, ends, kills, and one receiver that is dead beside one that is not.

mod kinds;
mod stumbles;
mod world;

use rackside_notify::Kind as About;
use rackside_receivers::send::{Carrier, Limits, Publisher, Publishing};
use rackside_receivers::worker::{DeadMan, Patience, Post, ReceiverStatus};
use rackside_receivers::{Hidden, MqttParcel, Outcome, Way};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;
use world::{
    OK, Says, Server, Stage, Watch, couriers, limits, message, opened, outgoing, post, until, webhook,
};

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn of(status: &[ReceiverStatus], name: &str) -> ReceiverStatus {
    status.iter().find(|one| &*one.name == name).expect("it is one of them").clone()
}

#[tokio::test]
async fn down_for_an_hour_every_message_arrives_once_and_in_order() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let server = Server::start(move |number, _| match (is_down.load(Ordering::SeqCst), number % 3) {
        (false, _) => OK,
        (true, 0) => Says::Hangs,
        (true, 1) => Says::Answer(503, "", "down"),
        (true, _) => Says::Answer(408, "", ""),
    })
    .await;
    let Stage { watch, outbox, couriers, _directory } = Stage::of(&server).await;
    for minute in 1..=60 {
        outbox.commit(b"", &outgoing("crew", minute..=minute), watch.now());
        watch.forward(60_000);
    }
    server.came(12).await;
    let status = of(&couriers.status(), "crew");
    assert_eq!((status.queued, status.delivered, status.oldest), (60, 0, Some(world::NOW)));
    assert!(status.retries >= 5 && !status.recovered && status.last_error.is_some(), "{status:?}");
    assert!(server.numbers().iter().all(|number| *number == 1), "{:?}", server.numbers());
    let before = {
        let seen = server.seen.lock().expect("nobody panicked");
        down.store(false, Ordering::SeqCst);
        seen.len()
    };
    until("all arrive", || of(&couriers.status(), "crew").delivered == 60).await;
    assert_eq!(server.numbers()[before..], (1..=60).collect::<Vec<_>>());
    let status = of(&couriers.status(), "crew");
    assert_eq!((status.queued, status.recovered, status.last_delivered_at), (0, true, Some(watch.now())));
    couriers.stop().await;
}

#[tokio::test]
async fn retry_after_is_obeyed_in_seconds_and_as_a_date() {
    // 05:24:56 is what the clock says.
    let server = Server::start(|number, _| match number {
        0 => Says::Answer(429, "Retry-After: 1\r\n", ""),
        2 => Says::Answer(503, "Retry-After: Fri, 20 Nov 2026 05:24:58 GMT\r\n", ""),
        _ => OK,
    })
    .await;
    let Stage { watch, outbox, couriers, _directory } = Stage::of(&server).await;
    outbox.commit(b"", &outgoing("crew", 1..=2), watch.now());
    server.came(4).await;
    let at: Vec<Instant> = server.seen().iter().map(|seen| seen.at).collect();
    assert_eq!(server.numbers(), [1, 1, 2, 2]);
    assert!(at[1] - at[0] >= Duration::from_secs(1), "{:?}", at[1] - at[0]);
    assert!(at[3] - at[2] >= Duration::from_secs(2), "{:?}", at[3] - at[2]);
    couriers.stop().await;
}

#[tokio::test]
async fn what_is_refused_is_shown_and_the_next_one_goes() {
    let server = Server::start(|_, seen| match world::number(seen) {
        1 => Says::Answer(404, "", "no_service"),
        2 => Says::Answer(302, "Location: http://192.0.2.1/hunter2\r\n", ""),
        _ => OK,
    })
    .await;
    let Stage { watch, outbox, couriers, _directory } = Stage::of(&server).await;
    outbox.commit(b"", &outgoing("crew", 1..=3), watch.now());
    until("the third arrives", || of(&couriers.status(), "crew").delivered == 1).await;
    assert_eq!((server.numbers(), of(&couriers.status(), "crew").refused), (vec![1, 2, 3], 2));
    let why: Vec<String> = outbox.failures("crew").into_iter().map(|failure| failure.why).collect();
    let redirect =
        "302: it redirects to 192.0.2.1, and redirects are not followed; correct the receiver's `url`";
    assert_eq!(why, [redirect, "404: no_service"]);
    couriers.stop().await;
}

#[tokio::test]
async fn a_webhook_that_is_gone_gets_nothing_until_it_is_configured_anew() {
    let server = Server::start(|number, _| if number == 0 { Says::Answer(410, "", "") } else { OK }).await;
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    let couriers = couriers(&outbox, &watch);
    let posts = || vec![post(webhook("crew", &server.url("/")), limits())];
    couriers.set(posts()).await;
    outbox.commit(b"", &outgoing("crew", 1..=3), watch.now());
    until("all are refused", || of(&couriers.status(), "crew").refused == 3).await;
    assert_eq!(server.numbers(), [1]);
    assert!(of(&couriers.status(), "crew").disabled.is_some());
    couriers.exchange(posts(), &["crew".into()].into()).await;
    outbox.commit(b"", &outgoing("crew", 4..=4), watch.now());
    until("it is refused", || of(&couriers.status(), "crew").refused == 4).await;
    assert_eq!(server.numbers(), [1], "for it nothing has changed");
    couriers.set(posts()).await;
    outbox.commit(b"", &outgoing("crew", 5..=5), watch.now());
    until("it arrives", || of(&couriers.status(), "crew").delivered == 1).await;
    assert_eq!(server.numbers(), [1, 5]);
    couriers.stop().await;
}

#[tokio::test]
async fn a_receiver_that_never_answers_delays_no_other() {
    let (dead, well) = (Server::start(|_, _| Says::Never).await, Server::start(|_, _| OK).await);
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    let couriers = couriers(&outbox, &watch);
    let hour = Limits { whole: Duration::from_hours(1), ..limits() };
    let posts =
        vec![post(webhook("dead", &dead.url("/")), hour), post(webhook("well", &well.url("/")), hour)];
    couriers.set(posts).await;
    for number in 1..=20 {
        outbox.commit(
            b"",
            &[outgoing("dead", number..=number), outgoing("well", number..=number)].concat(),
            watch.now(),
        );
        well.came(number as usize).await;
    }
    dead.came(1).await;
    assert_eq!((well.numbers(), dead.numbers()), ((1..=20).collect(), vec![1]));
    assert_eq!(of(&couriers.status(), "dead").queued, 20);
    let asked = Instant::now();
    couriers.stop().await;
    // Of a second, a part is left for a machine that is busy; without the grace's end it would be an hour.
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[tokio::test]
async fn killed_before_the_mark_the_message_on_its_way_comes_once_more_and_no_other() {
    let server = Server::start(|_, _| OK).await;
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    outbox.commit(b"state", &outgoing("crew", 1..=3), watch.now());
    // What a courier does, up to the moment between the answer and the mark.
    let queued = outbox.next("crew").expect("it waits");
    let receiver = webhook("crew", &server.url("/"));
    let extras = rackside_receivers::Extras { chart: None, now: watch.now() };
    let parcel = rackside_receivers::format::parcel(&queued.message, &receiver, &extras);
    let carrier = Carrier::Http(world::client(limits()));
    assert_eq!(carrier.carry(&parcel, &receiver, false, watch.now()).await, Outcome::Delivered);
    let after = opened(directory.path());
    let couriers = couriers(&after, &watch);
    couriers.set(vec![post(receiver, limits())]).await;
    until("all are marked", || of(&couriers.status(), "crew").delivered == 3).await;
    assert_eq!((server.numbers(), after.load_state()), (vec![1, 1, 2, 3], Some(b"state".to_vec())));
    couriers.stop().await;
    // The same message has the same key, by which a receiver can tell.
    let key = |at: usize| {
        let head = server.seen()[at].head.to_lowercase();
        head.lines()
            .find_map(|line| line.strip_prefix("idempotency-key: ").map(str::to_owned))
            .expect("a key")
    };
    assert_eq!((key(0) == key(1), key(1) == key(2)), (true, false));
}

#[tokio::test]
async fn a_receiver_that_is_taken_out_loses_what_waits_and_the_others_go_on_counting() {
    let (dead, well) = (Server::start(|_, _| Says::Hangs).await, Server::start(|_, _| OK).await);
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    let couriers = couriers(&outbox, &watch);
    let well_post = || post(webhook("well", &well.url("/")), limits());
    couriers.set(vec![post(webhook("dead", &dead.url("/")), limits()), well_post()]).await;
    outbox.commit(b"", &[outgoing("dead", 1..=2), outgoing("well", 1..=1)].concat(), watch.now());
    until("it arrives", || of(&couriers.status(), "well").delivered == 1).await;
    couriers.set(vec![well_post()]).await;
    assert_eq!(outbox.failures("dead").len(), 2);
    outbox.commit(b"", &outgoing("well", 2..=2), watch.now());
    until("it arrives", || of(&couriers.status(), "well").delivered == 2).await;
    assert_eq!(couriers.status().len(), 1);
    couriers.stop().await;
}

#[tokio::test]
async fn a_group_that_became_a_supergroup_is_written_to_at_its_new_number() {
    let server = Server::start(|_, seen| match seen.json()["chat_id"].to_string().trim_matches('"') {
        "-7" => Says::Answer(400, "", r#"{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1007}}"#),
        _ => Says::Answer(200, "", r#"{"ok":true,"result":{"message_id":7}}"#),
    })
    .await;
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    let couriers = couriers(&outbox, &watch);
    let way = Way::Telegram {
        server: server.url(""),
        token: Hidden::new("1:hunter2"),
        chat_id: "-7".to_owned(),
        thread: None,
    };
    couriers.set(vec![post(world::receiver("crew", way), limits())]).await;
    outbox.commit(b"", &outgoing("crew", 1..=2), watch.now());
    until("both arrive", || of(&couriers.status(), "crew").delivered == 2).await;
    assert_eq!((server.seen().len(), of(&couriers.status(), "crew").moved_to), (3, Some(-1007)));
    couriers.stop().await;
}

#[tokio::test]
async fn a_try_goes_past_the_queue_and_says_what_the_server_said() {
    let server = Server::start(|_, _| Says::Answer(403, "", "action_prohibited")).await;
    let Stage { outbox, couriers, _directory, .. } = Stage::of(&server).await;
    let mut test = message(1);
    test.kind = About::Test;
    let said = couriers.send_once("crew", test.clone()).await;
    assert_eq!(said, Some(Outcome::Final { why: "403: action_prohibited".to_owned(), disable: false }));
    assert_eq!((couriers.send_once("nobody", test).await, outbox.failures("crew").len()), (None, 0));
    couriers.stop().await;
}

/// A broker that is away at first.
#[derive(Debug, Default)]
struct Broker {
    tries: AtomicUsize,
    published: Mutex<Vec<MqttParcel>>,
}

impl Publisher for Broker {
    fn publish<'a>(&'a self, parcel: &'a MqttParcel) -> Publishing<'a> {
        Box::pin(async move {
            if self.tries.fetch_add(1, Ordering::SeqCst) == 0 {
                return Err("no broker".to_owned());
            }
            self.published.lock().expect("nobody panicked").push(parcel.clone());
            Ok(())
        })
    }
}

#[tokio::test]
async fn what_a_broker_does_not_take_at_once_is_published_later() {
    let (directory, watch, broker) = (directory(), Watch::new(), Arc::new(Broker::default()));
    let outbox = opened(directory.path());
    let couriers = couriers(&outbox, &watch);
    let way = Way::Mqtt { topic: "rackside/alerts".to_owned(), retain: true };
    let carrier = Ok(Carrier::Mqtt(Arc::clone(&broker) as Arc<dyn Publisher>));
    couriers.set(vec![Post { receiver: world::receiver("desk", way), carrier }]).await;
    outbox.commit(b"", &outgoing("desk", 1..=1), watch.now());
    until("it is published", || of(&couriers.status(), "desk").delivered == 1).await;
    let published = broker.published.lock().expect("nobody panicked").clone();
    assert_eq!(
        (published.len(), published[0].topic.as_str(), published[0].retain),
        (1, "rackside/alerts", true)
    );
    assert_eq!(of(&couriers.status(), "desk").retries, 1);
    couriers.stop().await;
}

#[tokio::test]
async fn without_a_way_to_it_a_receivers_messages_wait_and_its_page_says_why() {
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    let couriers = couriers(&outbox, &watch);
    let carrier = Err("/nowhere/ca.pem: No such file or directory".to_owned());
    couriers.set(vec![Post { receiver: webhook("crew", "https://hooks.example.org/"), carrier }]).await;
    outbox.commit(b"", &outgoing("crew", 1..=1), watch.now());
    until("it is said", || of(&couriers.status(), "crew").last_error.is_some()).await;
    let status = of(&couriers.status(), "crew");
    assert_eq!(status.last_error.expect("it is there").why, "/nowhere/ca.pem: No such file or directory");
    assert_eq!(status.queued, 1);
    couriers.stop().await;
}

#[tokio::test]
async fn a_configuration_that_is_mended_is_tried_at_once() {
    let server = Server::start(
        |number, _| if number == 0 { Says::Answer(429, "Retry-After: 3600\r\n", "") } else { OK },
    )
    .await;
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    let hour = Patience { first: Duration::from_hours(1), longest: Duration::from_hours(1) };
    let couriers = world::couriers_with(hour, &outbox, &watch);
    couriers.set(vec![post(webhook("crew", &server.url("/")), limits())]).await;
    outbox.commit(b"", &outgoing("crew", 1..=1), watch.now());
    until("it is put off", || of(&couriers.status(), "crew").retries == 1).await;
    couriers.set(vec![post(webhook("crew", &server.url("/")), limits())]).await;
    until("it arrives", || of(&couriers.status(), "crew").delivered == 1).await;
    couriers.stop().await;
}

#[tokio::test]
async fn what_is_put_off_waits_over_a_restart() {
    let server = Server::start(|_, _| OK).await;
    let (directory, watch) = (directory(), Watch::new());
    let outbox = opened(directory.path());
    outbox.commit(b"", &outgoing("crew", 1..=1), watch.now());
    outbox.failed(&outbox.next("crew").expect("it waits"), watch.now() + 3_600_000, watch.now());
    let outbox = opened(directory.path());
    let hour = Patience { first: Duration::from_hours(1), longest: Duration::from_hours(1) };
    let couriers = world::couriers_with(hour, &outbox, &watch);
    couriers.set(vec![post(webhook("crew", &server.url("/")), limits())]).await;
    until("it says when", || of(&couriers.status(), "crew").next_try_at.is_some()).await;
    let status = of(&couriers.status(), "crew");
    assert!(status.next_try_at.is_some_and(|at| at > watch.now() + 3_500_000), "{status:?}");
    assert_eq!(server.seen().len(), 0);
    couriers.stop().await;
}

#[tokio::test]
async fn the_dead_mans_url_is_asked_for_only_while_the_hub_is_well() {
    let server = Server::start(|number, _| if number == 1 { Says::Answer(500, "", "") } else { OK }).await;
    let (well, watch) = (Arc::new(AtomicBool::new(false)), Watch::new());
    let every = Duration::from_millis(20);
    let url = Hidden::new(server.url("/hunter2"));
    let man = Arc::new(DeadMan::new(url, every, world::client(limits()), Box::new(move || watch.now())));
    let (stop, stopped) = tokio::sync::watch::channel(false);
    let (asking, is_well) = (Arc::clone(&man), Arc::clone(&well));
    let task = tokio::spawn(async move { asking.run(move || is_well.load(Ordering::SeqCst), stopped).await });
    until("it is held", || man.status().is_held).await;
    assert_eq!(server.seen().len(), 0);
    well.store(true, Ordering::SeqCst);
    until("it is answered", || man.status().answered >= 2 && !man.status().is_failing).await;
    assert!(server.seen()[0].head.starts_with("GET /hunter2 HTTP/1.1\r\n"), "{:?}", server.seen()[0]);
    let error = man.status().last_error.expect("it went wrong once").why;
    assert_eq!(error, format!("127.0.0.1:{}: it answers 500", server.port));
    well.store(false, Ordering::SeqCst);
    until("it is held", || man.status().is_held).await;
    stop.send(true).expect("it listens");
    tokio::time::timeout(world::PATIENTLY, task).await.expect("it ends").expect("it does not panic");
}
