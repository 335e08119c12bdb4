//! The way in for fuzzing: a question in which one field is whatever the fuzzer says, signed by whoever has all keys, so that what stands behind the signatures
//! is reached. Not a part of the program.

use crate::asking::{self, Box, Draft, prove};
use crate::proof::CodeKey;
use crate::{Authority, Offer, Registrar, Store, make_code};
use rackside_proto::AgentName;
use rackside_proto::join::{ANSWER, Claim, Code};
use std::cell::RefCell;

/// A name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate, by name.
pub const TARGETS: &[Target] = &[("join-question", question)];

const NOW: i64 = 1_795_219_200_000;

struct World {
    registrar: Registrar,
    code: Code,
    rack: Box,
    certificate: Vec<u8>,
}

thread_local! {
    static WORLD: RefCell<World> = RefCell::new(World::new());
}

impl World {
    fn new() -> Self {
        let directory = std::env::temp_dir().join(format!("rackside-fuzz-{}", std::process::id()));
        std::fs::create_dir_all(&directory).expect("a temporary directory");
        let authority = Authority::open(&directory).expect("an authority");
        let mut store = Store::open(&directory).expect("a file");
        // The files live on while they are open.
        std::fs::remove_dir_all(&directory).expect("it is ours");
        let codes = ["rack-1", "rack-2"].map(|appliance| {
            let code = make_code(authority.fingerprint());
            let name = AgentName::new("hall", appliance).expect("a name");
            store.make_code(&code, &name, NOW).expect("made");
            code
        });
        let mut registrar = Registrar::new(authority, store);
        let rack = Box::default();
        let question = rack.ask(&codes[0]);
        let answer = registrar.answer(&question, &offer(), NOW).bytes;
        let granted = asking::read(&question, &answer, registrar.authority().fingerprint()).expect("granted");
        let [_, code] = codes;
        Self { registrar, code, rack, certificate: granted.certificate }
    }
}

fn offer() -> Offer {
    Offer::new(vec!["mqtts://hub.example.org:8883".to_owned()], "tick = \"10s\"\n".to_owned())
        .expect("an offer")
}

fn question(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    WORLD.with_borrow_mut(|world| {
        let World { registrar, code, rack, certificate } = world;
        let bytes = made(*which, rest, code, rack, certificate);
        let answer = registrar.answer(&bytes, &offer(), NOW).bytes;
        assert!(answer.len() <= ANSWER, "{} bytes", answer.len());
        let said = asking::read(&bytes, &answer, registrar.authority().fingerprint());
        // Only a certificate that was renewed for a key that the box has: everything else is refused, and the answer is whole in any case.
        match said {
            Ok(granted) => assert!(which % 6 == 5 && granted.name == "hall/rack-1"),
            Err(refused) => assert!(refused.is_some(), "an answer that cannot be believed"),
        }
    });
}

/// A question with one field as the fuzzer wants it.
fn made(which: u8, rest: &[u8], code: &Code, rack: &Box, certificate: &[u8]) -> Vec<u8> {
    let by_code = rack.draft(Claim::Code(CodeKey::of(code).id));
    let short =
        |most: usize| rest.get(..rest.len().clamp(1, most).min(rest.len())).unwrap_or_default().to_vec();
    let filled = |bytes: Vec<u8>| if bytes.is_empty() { vec![0] } else { bytes };
    match which % 6 {
        0 => rest.to_vec(),
        1 => {
            let mut id = [0; 8];
            id.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            // libFuzzer sees what it is compared with, and would find it.
            if id == CodeKey::of(code).id {
                id[0] ^= 1;
            }
            rack.sign(&Draft { claim: Claim::Code(id), ..by_code }, |message| prove(code, message))
        }
        2 => rack.sign(&Draft { key: filled(short(128)), ..by_code }, |message| prove(code, message)),
        3 => {
            let der = filled(short(2048));
            rack.sign(&rack.draft(Claim::Certificate(&der)), |message| rack.signature(message))
        }
        4 => rack.sign(&by_code, |_| filled(short(80))),
        _ => {
            let mut draft = rack.draft(Claim::Certificate(certificate));
            draft.nonce.iter_mut().zip(rest).for_each(|(to, from)| *to = *from);
            rack.sign(&draft, |message| rack.signature(message))
        }
    }
}
