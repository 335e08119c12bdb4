//! A receiver that answers 500: to one message, or to all.

use crate::of;
use crate::world::{OK, Says, Server, Stage, number, outgoing, until};
use rackside_notify::Outgoing;
use rackside_notify::Status::{Firing, Resolved};
use rackside_receivers::outbox::End;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

#[tokio::test]
async fn a_message_that_a_receiver_fails_at_holds_up_no_other_and_is_there_when_it_is_mended() {
    let mended = Arc::new(AtomicBool::new(false));
    let is_mended = Arc::clone(&mended);
    let server = Server::start(move |_, seen| match number(seen) {
        1 | 3 if !is_mended.load(Ordering::SeqCst) => Says::Answer(500, "", "cannot be shown"),
        _ => OK,
    })
    .await;
    let Stage { watch, outbox, couriers, _directory } = Stage::of(&server).await;
    outbox.commit(b"", &outgoing("crew", 1..=5), watch.now());
    until("the others arrive", || of(&couriers.status(), "crew").delivered == 3).await;
    until("both are set aside", || of(&couriers.status(), "crew").aside.len() == 2).await;
    let status = of(&couriers.status(), "crew");
    assert_eq!((status.queued, status.aside[0].why.as_str()), (2, "500: cannot be shown"));
    outbox.commit(b"", &outgoing("crew", 6..=6), watch.now());
    until("a later one arrives", || of(&couriers.status(), "crew").delivered == 4).await;
    mended.store(true, Ordering::SeqCst);
    until("all arrive", || of(&couriers.status(), "crew").delivered == 6).await;
    let status = of(&couriers.status(), "crew");
    assert_eq!((status.queued, status.aside.len(), status.recovered), (0, 0, true));
    let numbers = server.numbers();
    assert_eq!(numbers[..5], [1; 5], "{numbers:?}");
    for one in [2, 4, 5, 6] {
        assert_eq!(numbers.iter().filter(|seen| **seen == one).count(), 1, "{one} of {numbers:?}");
    }
    couriers.stop().await;
}

#[tokio::test]
async fn a_receiver_that_fails_at_everything_for_a_while_gets_all_of_it_in_order_but_one() {
    let down = Arc::new(AtomicBool::new(true));
    let is_down = Arc::clone(&down);
    let server =
        Server::start(
            move |_, _| {
                if is_down.load(Ordering::SeqCst) { Says::Answer(500, "", "no database") } else { OK }
            },
        )
        .await;
    let Stage { watch, outbox, couriers, _directory } = Stage::of(&server).await;
    outbox.commit(b"", &outgoing("crew", 1..=30), watch.now());
    server.came(20).await;
    assert_eq!(of(&couriers.status(), "crew").aside, [], "{:?}", server.numbers());
    let before = {
        let seen = server.seen.lock().expect("nobody panicked");
        down.store(false, Ordering::SeqCst);
        seen.len()
    };
    until("all arrive", || of(&couriers.status(), "crew").delivered == 30).await;
    let came = server.numbers()[before..].to_vec();
    // The one that was tried to find out may be the first; the others are in order.
    let scout = came.iter().copied().find(|_| came[0] != 1).unwrap_or_default();
    let others: Vec<u64> = came.iter().copied().filter(|one| *one != scout).collect();
    let expected: Vec<u64> = (1..=30).filter(|one| *one != scout).collect();
    assert_eq!((others, came.iter().collect::<BTreeSet<_>>().len()), (expected, 30), "{came:?}");
    couriers.stop().await;
}

#[tokio::test]
async fn older_news_of_a_matter_does_not_come_behind_later_news() {
    let server = Server::start(|_, seen| match seen.json()["groupKey"].as_str() {
        Some("all:first") if seen.body.contains("\"firing\"") => Says::Answer(500, "", ""),
        _ => OK,
    })
    .await;
    let Stage { watch, outbox, couriers, _directory } = Stage::of(&server).await;
    let about = |key: &str, status| {
        let message = crate::world::message(1);
        let message = rackside_notify::Message { group_key: key.to_owned(), status, ..message };
        Outgoing { receiver: "crew".into(), message }
    };
    let all = [about("all:first", Firing), about("all:other", Firing), about("all:first", Resolved)];
    outbox.commit(b"", &all, watch.now());
    until("nothing waits", || of(&couriers.status(), "crew").queued == 0).await;
    let status = of(&couriers.status(), "crew");
    assert_eq!((status.delivered, status.given_up, status.aside.len()), (2, 1, 0));
    let failure = &outbox.failures("crew")[0];
    assert_eq!(
        (failure.end, failure.why.as_str()),
        (End::GivenUp, "later news of the same has arrived before it")
    );
    couriers.stop().await;
}
