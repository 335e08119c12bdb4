//! What is written, and when.

use super::*;
use rackside_identity::asking::Box;
use rackside_identity::{End, Offer, Registrar, Serial, Store, Told, make_code};
use rackside_proto::AgentName;

const NOW: i64 = 1_795_219_200_000;

struct Desk {
    place: tempfile::TempDir,
    registrar: Registrar,
    plan: Plan,
}

fn config(place: &Path) -> Config {
    let secret = |name: &str, text: &str| {
        let path = place.join(name);
        fs::write(&path, text).expect("written");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).expect("our own");
        path.display().to_string()
    };
    let text = format!(
        "prefix = \"venue\"\n[mqtt]\naddress = \"127.0.0.1\"\nuser = \"rackside-hub\"\npassword = {{ file = \"{}\" }}\n\
         [mqtt.files]\ndirectory = \"{}\"\nnames = [\"broker.example.org\"]\n\
         [[mqtt.files.reader]]\nuser = \"desk\"\npassword = {{ file = \"{}\" }}\nread = [\"venue/json/hall/#\"]\n",
        secret("hub.secret", "one"),
        place.join("files").display(),
        secret("desk.secret", "two")
    );
    Config::parse(&text, "hub.toml").expect("right")
}

impl Desk {
    fn new() -> Self {
        let place = tempfile::tempdir().expect("a temporary directory");
        fs::create_dir(place.path().join("files")).expect("made");
        let authority = Authority::open(place.path()).expect("made");
        let registrar = Registrar::new(authority, Store::open(place.path()).expect("made"));
        let plan = Plan::of(&config(place.path()), None, &[]).expect("right");
        Self { place, registrar, plan }
    }

    /// Writes what is to be written, and says what that was.
    fn write(&mut self, now: i64) -> Vec<&'static str> {
        let all = self.registrar.store().identities().expect("read");
        let files = prepare(&self.plan, self.registrar.authority(), &all, now).expect("prepared");
        write(&self.plan, &files).expect("written");
        files.into_iter().map(|(name, _)| name).collect()
    }

    fn read(&self, file: &str) -> String {
        fs::read_to_string(self.path(file)).expect("it is there")
    }

    fn path(&self, file: &str) -> PathBuf {
        self.place.path().join("files").join(file)
    }

    /// A box takes this name.
    fn join(&mut self, of: &str) {
        let code = make_code(self.registrar.authority().fingerprint());
        self.registrar.store().make_code(&code, &name(of), NOW).expect("made");
        let offer = Offer::new(vec!["mqtts://localhost:8883".to_owned()], String::new()).expect("an offer");
        let told = self.registrar.answer(&Box::default().ask(&code), &offer, NOW).told;
        assert!(matches!(told, Told::Joined(_)), "{told}");
    }

    fn end(&mut self, of: &str, end: End) {
        assert_eq!(self.registrar.store().end(&name(of), end, false, NOW).expect("written").certificates, 1);
    }

    /// The certificates of this name that have ended.
    fn ended(&mut self, of: &str) -> BTreeSet<Serial> {
        let all = self.registrar.store().identities().expect("read");
        let ended = all.into_iter().filter(|one| one.name == name(of) && one.end.is_some());
        ended.map(|one| one.serial).collect()
    }
}

fn name(text: &str) -> AgentName {
    let (site, appliance) = text.split_once('/').expect("site/appliance");
    AgentName::new(site, appliance).expect("a name")
}

#[test]
fn all_of_it_is_written_once_and_then_what_has_changed() {
    let mut desk = Desk::new();
    desk.join("hall/rack-1");
    assert_eq!(
        desk.write(NOW),
        [
            "authority.pem",
            "broker.key",
            "broker.pem",
            "passwd",
            "acl",
            "revoked.pem",
            "rackside.conf",
            "changed"
        ]
    );
    for entry in fs::read_dir(desk.path("")).expect("readable") {
        let entry = entry.expect("readable");
        let mode = entry.metadata().expect("readable").permissions().mode();
        assert_eq!(mode & 0o777, 0o640, "{}", entry.path().display());
    }
    assert_eq!(named(desk.read("revoked.pem").as_bytes()), Some(BTreeSet::new()));
    desk.join("hall/rack-2");
    assert!(desk.write(NOW + 5_000).is_empty(), "who joins is let in by a pattern");
    let (authority, store) = (Authority::open(desk.place.path()), Store::open(desk.place.path()));
    desk.registrar = Registrar::new(authority.expect("read"), store.expect("read"));
    assert!(desk.write(NOW + 6_000).is_empty(), "nor does a start change anything");
    let before: i64 = desk.read("changed").trim().parse().expect("a moment");
    desk.end("hall/rack-2", End::Revoked);
    assert_eq!(desk.write(NOW), ["acl", "revoked.pem", "changed"]);
    let ended = desk.ended("hall/rack-2");
    assert_eq!((ended.len(), named(desk.read("revoked.pem").as_bytes())), (1, Some(ended)));
    let after: i64 = desk.read("changed").trim().parse().expect("a moment");
    assert!(after >= before + 1000, "a later list, to the second: {before} and {after}");
    assert!(desk.read("acl").contains("\nuser hall/rack-2\ntopic deny #\n"));
    // Its own from now on.
    fs::write(desk.path("rackside.conf"), "mine").expect("written");
    // The name has a box again, another one.
    desk.join("hall/rack-2");
    assert_eq!(desk.write(NOW + 9_000), ["acl", "changed"]);
    assert!(!desk.read("acl").contains("deny #"));
    desk.join("hall/rack-1");
    assert_eq!(desk.write(NOW + 9_000), ["revoked.pem", "changed"]);
    let replaced = desk.ended("hall/rack-1");
    let listed = named(desk.read("revoked.pem").as_bytes()).expect("a list");
    assert!(listed.len() == 2 && replaced.is_subset(&listed), "{listed:?}");
    assert_eq!(desk.read("rackside.conf"), "mine");
}

#[test]
fn a_brokers_certificate_is_renewed_and_a_damaged_file_is_mended() {
    let mut desk = Desk::new();
    desk.write(NOW);
    assert!(desk.write(NOW + 200 * 86_400_000).is_empty());
    let later = NOW + 300 * 86_400_000;
    assert_eq!(desk.write(later), ["broker.key", "broker.pem", "changed"]);
    for file in ["revoked.pem", "acl", "passwd", "authority.pem", "broker.pem"] {
        fs::write(desk.path(file), [0xff; 40]).expect("written");
        assert!(desk.write(later).contains(&file), "{file}");
    }
    fs::write(desk.place.path().join("desk.secret"), "three").expect("written");
    assert_eq!(desk.write(later), ["passwd", "changed"]);
}

#[test]
fn a_list_is_never_older_than_the_one_before_and_never_of_the_future() {
    assert_eq!(since(b"", NOW), NOW - EARLY);
    assert_eq!(since(b"nonsense", NOW), NOW - EARLY);
    let before = |moment: i64| format!("{moment}\n").into_bytes();
    assert_eq!(since(&before(NOW - EARLY), NOW), NOW - EARLY + 1000);
    assert_eq!(since(&before(NOW - 2 * EARLY), NOW), NOW - EARLY);
    assert_eq!(since(&before(NOW - 10), NOW), NOW);
    assert_eq!(since(&before(i64::MAX), NOW), NOW);
}

#[test]
fn the_list_says_who_may_what() {
    let mut desk = Desk::new();
    desk.join("hall/rack-9");
    desk.end("hall/rack-9", End::Retired);
    desk.write(NOW);
    let acl = desk.read("acl");
    let (_, acl) = acl.split_once('\n').expect("a first line");
    assert_eq!(
        acl,
        "
user rackside-hub
topic readwrite venue/#

user desk
topic deny venue/+/+/+/still
topic read venue/json/hall/#

user hall/rack-9
topic deny #

# Each appliance for itself.
pattern write venue/1/%u/presence
pattern write venue/1/%u/birth
pattern write venue/1/%u/data
pattern write venue/1/%u/event
pattern read venue/1/%u/ack
pattern read venue/1/%u/verdict
pattern read venue/1/%u/command
pattern write venue/1/%u/reply
pattern read venue/1/%u/config
pattern write venue/1/%u/still
"
    );
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let desk = Desk::new();
    fs::remove_dir_all(desk.path("")).expect("removed");
    let files = prepare(&desk.plan, desk.registrar.authority(), &[], NOW).expect("nothing there is no error");
    let said = write(&desk.plan, &files).expect_err("there is no directory");
    assert!(said.contains("files/authority.pem: No such file"), "{said}");
}
