//! Users, sessions, tokens and the file that they stand in, as a hub uses them: table by table, with time as an argument.

mod file;
mod logins;
mod provided;
mod tokens;
mod users;

use rackside_access::{Access, Browser, Credential, Lasting, NewUser, Reach, Role, Secret, Visitor};
use std::net::{IpAddr, Ipv4Addr};
use tempfile::TempDir;

/// 2026-11-21T00:00:00Z.
const NOW: i64 = 1_795_219_200_000;
const HOUR: i64 = 60 * 60 * 1000;
const DAY: i64 = 24 * HOUR;
const LASTING: Lasting = Lasting { idle: 7 * DAY, longest: 30 * DAY };
const PASSWORD: &str = "correct horse";
const HERE: Browser<'_> = Browser { address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)), agent: "a browser" };

fn some(sites: &[&str], tags: &[&str]) -> Reach {
    let set = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    Reach::Some { sites: set(sites), tags: set(tags) }
}

fn new(name: &str, role: Role) -> NewUser<'_> {
    NewUser { name, password: PASSWORD, role, reach: Reach::All }
}

fn empty() -> (TempDir, Access) {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let access = Access::open(directory.path(), LASTING).expect("it opens");
    (directory, access)
}

/// With an admin, `first`, and an operator, `desk`, who sees the sites with the tag `north` and the hall.
fn two() -> (TempDir, Access) {
    let (directory, access) = empty();
    access.change(|store| {
        store.add_user(&new("first", Role::Admin), "a test", NOW).expect("added");
        let desk = NewUser { reach: some(&["hall"], &["north"]), ..new("desk", Role::Operator) };
        store.add_user(&desk, "a test", NOW).expect("added");
    });
    (directory, access)
}

fn login(access: &Access, name: &str, password: &str, now: i64) -> Option<Secret> {
    let knock = access.knock(name, HERE, now).expect("not too often");
    access.login(&knock, password, HERE, now).expect("the file is well")
}

fn visitor(access: &Access, credential: Credential<'_>, now: i64) -> Option<Visitor> {
    let north = ["north".to_owned()];
    let sites = [("arena", &north[..]), ("hall", &[]), ("barn", &[])];
    access.visit(credential, sites.into_iter(), now).expect("the file is well").map(|visit| visit.visitor)
}

fn of_session(access: &Access, secret: &Secret, now: i64) -> Option<Visitor> {
    visitor(access, Credential::Session(secret.shown()), now)
}
