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
        snapshot: None,
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

fn snapshot(selection: &str, base: &str) -> Snapshot {
    let selection =
        if selection.is_empty() { crate::Selection::default() } else { selection.parse().expect("one") };
    Snapshot { selection, files: vec![("base.toml".to_owned(), base.to_owned())] }
}

fn run(book: &mut Book, wanted: &Wanted, how: &str) -> i64 {
    let Begun::Yes(id) = book.begin(wanted, 7).expect("writes") else { panic!("another one is running") };
    let before = book.newest().expect("reads").expect("there is one");
    let mut after = before.clone();
    match how {
        "done" => after.state = State::Done { at: 9 },
        "stopped" => after.stop("desk", 9),
        _ => {}
    }
    book.keep(&before, &after).expect("writes");
    id
}

fn bases(book: &Book) -> Vec<(i64, bool, bool)> {
    let bases = book.bases().expect("reads").into_iter();
    bases.map(|base| (base.roll_out, base.is_proven, base.is_taken_back)).collect()
}

#[test]
fn a_base_counts_when_its_roll_out_is_done_and_until_it_is_taken_back() {
    let (directory, mut book) = book();
    let one = |base: &str| Wanted { snapshot: Some(snapshot("", base)), ..wanted(&[("a", "", "x = 1\n")]) };
    run(&mut book, &one("tick = '1s'\n"), "done");
    run(&mut book, &one("tick = '2s'\n"), "stopped");
    run(
        &mut book,
        &Wanted { snapshot: Some(snapshot("tag:city,hall/a", "tick = '3s'\n")), ..one("") },
        "done",
    );
    assert_eq!(bases(&book), [(3, true, false), (1, true, false)], "what was stopped is none");
    let text = |book: &Book, id| {
        let sources = book.base(id).expect("reads").expect("good");
        sources.render(&name("b"), &[]).expect("good").toml
    };
    assert_eq!(
        (text(&book, 1), text(&book, 3)),
        ("tick = \"1s\"\n".to_owned(), "tick = \"3s\"\n".to_owned())
    );
    let selection = book.bases().expect("reads")[0].selection.clone();
    assert!(selection.has(&name("a"), &[]) && !selection.has(&name("b"), &[]));
    let back = Wanted { back_of: Some(3), snapshot: None, ..one("") };
    assert_eq!(run(&mut book, &back, "runs"), 4);
    assert_eq!(bases(&book), [(3, false, true), (1, true, false)]);
    let again = Book::open(directory.path()).expect("opens");
    assert_eq!(bases(&again), bases(&book));
}

#[test]
fn a_newcomer_is_known_until_it_goes_and_what_it_was_given_is_kept() {
    let (_directory, mut book) = book();
    book.know(&[name("a")]).expect("writes");
    let [one] = &book.newcomers().expect("reads")[..] else { panic!("one") };
    assert_eq!((one.base, one.revision, &one.sent), (0, 0, &digest_of("")));
    book.gave(&name("a"), "x = 1\n", 4, 3).expect("writes");
    book.know(&[name("a"), name("b")]).expect("writes");
    let all = book.newcomers().expect("reads");
    assert_eq!(
        (all[0].base, all[0].revision, &all[0].sent, &all[0].counts),
        (3, 4, &digest_of("x = 1\n"), &digest_of(""))
    );
    assert_eq!(all[1].base, 0);
    book.runs(&name("a")).expect("writes");
    let had = book.appliances().expect("reads");
    assert_eq!((had[0].sent.as_str(), had[0].counts.as_str()), ("x = 1\n", "x = 1\n"));
    book.follows(&name("b"), 3).expect("writes");
    assert_eq!(book.newcomers().expect("reads")[1].base, 3);
    let id = run(&mut book, &wanted(&[("a", "", "x = 2\n")]), "done");
    assert!(
        book.was_about(id, &name("a")).expect("reads") && !book.was_about(id, &name("b")).expect("reads")
    );
    book.know(&[]).expect("writes");
    assert!(book.newcomers().expect("reads").is_empty());
}

#[test]
fn the_bases_that_everybody_was_meant_by_outlast_roll_outs_that_are_forgotten() {
    let (_directory, mut book) = book();
    let one = |selection: &str, base: &str| Wanted {
        snapshot: Some(snapshot(selection, base)),
        ..wanted(&[("a", "", "x = 1\n")])
    };
    for tick in 1..=3 {
        run(&mut book, &one("", &format!("tick = '{tick}s'\n")), "done");
    }
    for _ in 0..MOST + 5 {
        run(&mut book, &one("hall/a", "tick = '9s'\n"), "done");
    }
    let all = bases(&book);
    assert_eq!(all.len() as i64, MOST + 2, "{all:?}");
    assert_eq!(all.iter().rev().take(2).map(|one| one.0).collect::<Vec<_>>(), [2, 3]);
    assert!(book.base(3).expect("reads").expect("its files are there").count() == 1);
}

#[test]
fn a_book_of_the_version_before_is_taken_on() {
    let directory = tempfile::tempdir().expect("a directory");
    let db = Connection::open(directory.path().join(FILE)).expect("opens");
    db.execute_batch(TABLES).expect("the tables of version 1");
    db.pragma_update(None, "application_id", APPLICATION).expect("written");
    db.pragma_update(None, "user_version", 1).expect("written");
    db.execute("INSERT INTO appliances VALUES ('hall', 'a', ?1, 2, ?1)", [digest_of("")]).expect("written");
    drop(db);
    for _ in 0..2 {
        let book = Book::open(directory.path()).expect("taken on");
        assert_eq!(book.appliances().expect("reads").len(), 1);
        assert!(book.newcomers().expect("reads").is_empty(), "who was there before is no newcomer");
    }
}
