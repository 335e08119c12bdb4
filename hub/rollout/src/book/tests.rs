use super::*;
use crate::roll_out::{Outcome, Sight, Step};

fn name(appliance: &str) -> AgentName {
    AgentName::new("hall", appliance).expect("a name")
}

fn wanted(texts: &[(&str, &str, &str)]) -> Wanted {
    let texts = texts.iter().map(|(of, before, after)| (name(of), (*before).to_owned(), (*after).to_owned()));
    Wanted {
        back_of: None,
        by: "desk".to_owned(),
        stages: Stages::default(),
        wait: 60_000,
        on_air_too: false,
        texts: texts.collect(),
    }
}

fn book() -> (tempfile::TempDir, Book) {
    let directory = tempfile::tempdir().expect("a directory");
    let book = Book::open(directory.path()).expect("opens");
    (directory, book)
}

/// One pass, in which everybody is there and says this.
fn pass(book: &mut Book, outcome: &Outcome, now: i64) -> RollOut {
    let before = book.newest().expect("reads").expect("there is one");
    let mut after = before.clone();
    let sight = Sight { is_up: true, outcome: outcome.clone(), revision: 3, ..Sight::default() };
    for order in after.step(now, |_| sight.clone()) {
        after.told(&order.name, 3, now, &sight);
    }
    book.keep(&before, &after).expect("writes");
    after
}

#[test]
fn a_roll_out_is_what_was_written() {
    let (directory, mut book) = book();
    let begun = book.begin(&wanted(&[("b", "x = 1\n", "x = 2\n"), ("a", "", "x = 2\n")]), 7).expect("writes");
    assert_eq!(begun, Begun::Yes(1));
    let kept = pass(&mut book, &Outcome::Applied, 8);
    let mut kept = RollOut { members: kept.members, ..kept };
    assert!(matches!(kept.members[0].step, Step::Told(_)));
    let again = Book::open(directory.path()).expect("opens").newest().expect("reads").expect("there is one");
    kept.members.iter_mut().for_each(|member| member.note.clear());
    assert_eq!(again, kept);
    assert_eq!(book.text(&again.members[0].after).expect("reads"), "x = 2\n");
    assert_eq!(book.text(&again.members[0].before).expect("reads"), "");
    assert!(book.text("x").expect_err("there is none").to_string().contains("the text x is missing"));
}

#[test]
fn there_is_one_at_a_time() {
    let (_directory, mut book) = book();
    assert_eq!(book.begin(&wanted(&[]), 7).expect("nobody"), Begun::Nobody);
    assert_eq!(book.stop("desk").expect("reads"), None);
    let all = wanted(&[("a", "", "x = 2\n")]);
    assert_eq!(book.begin(&all, 7).expect("writes"), Begun::Yes(1));
    assert_eq!(book.begin(&all, 7).expect("reads"), Begun::Running(1));
    assert_eq!(book.stop_by(1).expect("reads"), None);
    assert_eq!(book.stop("desk").expect("writes"), Some(1));
    assert_eq!(book.stop_by(1).expect("reads").as_deref(), Some("desk"));
    let before = book.newest().expect("reads").expect("there is one");
    let mut after = before.clone();
    after.stop("desk", 9);
    book.keep(&before, &after).expect("writes");
    assert_eq!(book.begin(&all, 7).expect("writes"), Begun::Yes(2));
    assert_eq!(book.find(1).expect("reads").expect("is kept").state, after.state);
    assert_eq!((book.find(3).expect("reads"), book.newest_id().expect("reads")), (None, Some(2)));
}

#[test]
fn what_was_told_and_what_counts_are_two_things() {
    let (_directory, mut book) = book();
    book.know(&[name("a"), name("b")]).expect("writes");
    book.begin(&wanted(&[("a", "", "x = 2\n")]), 0).expect("writes");
    pass(&mut book, &Outcome::Pending, 0);
    let had = |book: &Book| {
        let all = book.appliances().expect("reads");
        all.into_iter().map(|had| (had.sent, had.revision, had.counts)).collect::<Vec<_>>()
    };
    let none = (String::new(), 0, String::new());
    assert_eq!(had(&book), [("x = 2\n".to_owned(), 3, String::new()), none.clone()]);
    pass(&mut book, &Outcome::Applied, 1);
    assert_eq!(had(&book)[0], ("x = 2\n".to_owned(), 3, "x = 2\n".to_owned()));
    pass(&mut book, &Outcome::RolledBack("x".to_owned()), 2);
    assert_eq!(had(&book)[0], ("x = 2\n".to_owned(), 3, String::new()));
    book.know(&[name("b"), name("c")]).expect("writes");
    assert_eq!(had(&book), [none.clone(), none]);
}

#[test]
fn old_roll_outs_and_texts_are_forgotten() {
    let (_directory, mut book) = book();
    for at in 1..=MOST + 5 {
        book.begin(&wanted(&[("a", "", &format!("x = {at}\n"))]), 0).expect("writes");
        let before = book.newest().expect("reads").expect("there is one");
        let mut after = before.clone();
        after.stop("desk", 0);
        book.keep(&before, &after).expect("writes");
    }
    assert_eq!(book.find(5).expect("reads"), None);
    assert!(book.find(6).expect("reads").is_some());
    let texts: i64 = book.db.query_row("SELECT count(*) FROM texts", [], |row| row.get(0)).expect("reads");
    assert_eq!(texts, MOST);
}

#[test]
fn a_copy_is_a_book_and_a_newer_one_is_left_alone() {
    let (directory, mut book) = book();
    let target = tempfile::tempdir().expect("a directory");
    assert!(backup(target.path(), directory.path()).expect("nothing to do").is_none());
    book.begin(&wanted(&[("a", "", "x = 2\n")]), 7).expect("writes");
    std::fs::write(target.path().join("fleet.db.partial"), "of a copy that was cut short").expect("writes");
    backup(directory.path(), target.path()).expect("copies").expect("there is one");
    let copy = Book::open(target.path()).expect("opens");
    assert_eq!(copy.newest().expect("reads"), book.newest().expect("reads"));
    copy.db.pragma_update(None, "user_version", 9).expect("writes");
    drop(copy);
    let error = Book::open(target.path()).expect_err("it is newer").to_string();
    assert!(
        error.ends_with("a newer hub wrote it (version 9); install that version or a later one"),
        "{error}"
    );
}

#[test]
fn what_makes_no_sense_is_told() {
    let (_directory, mut book) = book();
    book.begin(&wanted(&[("a", "", "x = 2\n")]), 7).expect("writes");
    book.db.execute("UPDATE members SET step = 'x'", []).expect("writes");
    let said = book.newest().expect_err("it is damaged").to_string();
    assert!(said.contains("fleet.db: roll-out 1 makes no sense; restore it"), "{said}");
}
