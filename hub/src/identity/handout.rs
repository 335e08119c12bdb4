//! What a person hands on to a box that is to join: the line to type, the file for its card, a picture of the line. From the command line and from the
//! page, the same.
//!
//! Invariant: whoever has it can take the name's place, so it goes to who asked for it and nowhere else: no log, no address, no file but the one asked for.
//!
//! ```text
//! rackside-agent join http://hub.example.org:8080 000G-40R4-…
//! ```

use fast_qr::{ECL, QRBuilder, QRCode};
use rackside_proto::AgentName;
use rackside_proto::join::Code;
use std::fmt::Write as _;

/// Light modules around a QR code, as its standard asks for.
const QUIET: isize = 4;

/// A new code and what goes with it.
pub(crate) struct Handout {
    /// Where boxes reach the hub's pages.
    pub(crate) url: String,
    /// The code.
    pub(crate) code: Code,
    /// Whose it is to be.
    pub(crate) name: AgentName,
    /// Until when it is good, in milliseconds since 1970.
    pub(crate) until: i64,
    /// Whether the name has a box that this one takes the place of.
    pub(crate) has_box: bool,
}

impl Handout {
    /// What is typed on the box.
    pub(crate) fn line(&self) -> String {
        format!("rackside-agent join {} {}", self.url, self.code.text())
    }

    /// `rackside.toml` for the boot partition of the box's card.
    pub(crate) fn card(&self) -> String {
        let Self { url, code, name, .. } = self;
        format!(
            "# Makes a box {name}. Put it on the card's boot partition as rackside.toml; the code is good once, and for a day.\n\
             [join]\nurl = {url:?}\ncode = \"{}\"\n",
            code.text()
        )
    }

    /// The line as a QR code.
    pub(crate) fn picture(&self) -> Option<Picture> {
        Picture::of(&self.line())
    }
}

/// A QR code.
pub(crate) struct Picture(QRCode);

impl Picture {
    fn of(text: &str) -> Option<Self> {
        QRBuilder::new(text).ecl(ECL::L).build().ok().map(Self)
    }

    /// How many modules it is wide, the light ones around it among them.
    pub(crate) fn width(&self) -> usize {
        self.0.size + 2 * QUIET.unsigned_abs()
    }

    fn is_dark(&self, row: isize, column: isize) -> bool {
        let (Ok(row), Ok(column)) = (usize::try_from(row), usize::try_from(column)) else { return false };
        row < self.0.size && column < self.0.size && self.0[row][column].value()
    }

    fn end(&self) -> isize {
        isize::try_from(self.0.size).unwrap_or(0) + QUIET
    }

    /// In black on white for a terminal, whatever its colours are: two rows of modules in one of text.
    pub(crate) fn text(&self) -> String {
        let mut out = String::new();
        for row in (-QUIET..self.end()).step_by(2) {
            out.push_str("\x1b[30;107m");
            for column in -QUIET..self.end() {
                out.push(match (self.is_dark(row, column), self.is_dark(row + 1, column)) {
                    (true, true) => '█',
                    (true, false) => '▀',
                    (false, true) => '▄',
                    (false, false) => ' ',
                });
            }
            out.push_str("\x1b[0m\n");
        }
        out
    }

    /// Its dark modules as the path of an SVG that is [`width`](Self::width) wide: each run of a row is one rectangle.
    pub(crate) fn path(&self) -> String {
        let mut path = String::new();
        for row in 0..self.end() {
            let mut column = 0;
            while column < self.end() {
                let begins = column;
                while self.is_dark(row, column) {
                    column += 1;
                }
                if column > begins {
                    let (x, y, long) = (begins + QUIET, row + QUIET, column - begins);
                    write!(path, "M{x} {y}h{long}v1h-{long}z").expect("a String takes everything");
                }
                column += 1;
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rackside_identity::make_code;

    fn handout() -> Handout {
        Handout {
            url: "https://hub.example.org".to_owned(),
            code: make_code([7; 16]),
            name: AgentName::new("hall", "rack-1").expect("a name"),
            until: 0,
            has_box: false,
        }
    }

    #[test]
    fn a_picture_has_its_quiet_zone_and_fits_a_terminal() {
        let picture = handout().picture().expect("it fits").text();
        let rows: Vec<&str> = picture.lines().collect();
        let width = rows[0].chars().filter(|c| matches!(c, '█' | '▀' | '▄' | ' ')).count();
        assert!(width <= 80 && rows.len() <= 40, "{width} by {}", rows.len());
        assert!(!rows[0].contains('█') && !rows[1].contains('█'), "light above it");
        let dark = picture.chars().filter(|c| *c == '█').count();
        assert!(dark > 100, "{dark}");
    }

    /// The modules that a path fills, as a browser would.
    fn filled(path: &str) -> Vec<(usize, usize)> {
        let rectangles = path.split('M').skip(1).flat_map(|one| {
            let (at, rest) = one.split_once('h').expect("to the right");
            let (x, y) = at.split_once(' ').expect("a place");
            let (long, down) = rest.split_once('v').expect("down");
            let (x, y, long): (usize, usize, usize) =
                (x.parse().expect("x"), y.parse().expect("y"), long.parse().expect("a length"));
            assert_eq!(down, format!("1h-{long}z"));
            (x..x + long).map(move |x| (x, y))
        });
        rectangles.collect()
    }

    #[test]
    fn the_path_fills_what_is_dark_and_nothing_else() {
        let picture = handout().picture().expect("it fits");
        let (width, filled) = (picture.width(), filled(&picture.path()));
        let dark = |(x, y): (usize, usize)| picture.is_dark(y as isize - QUIET, x as isize - QUIET);
        let expected: Vec<_> =
            (0..width).flat_map(|y| (0..width).map(move |x| (x, y))).filter(|at| dark(*at)).collect();
        assert!(expected.len() > 400, "{}", expected.len());
        let mut sorted = filled;
        sorted.sort_by_key(|(x, y)| (*y, *x));
        assert_eq!(sorted, expected, "each once");
    }

    #[test]
    fn the_card_is_toml_that_says_where_and_by_which_code() {
        let handout = handout();
        let card = handout.card();
        assert!(card.contains("\n[join]\nurl = \"https://hub.example.org\"\ncode = \""), "{card}");
        let code = card.trim_end().trim_end_matches('"').rsplit('"').next().expect("the code");
        assert_eq!(code.parse::<Code>().map(|code| code.secret), Ok(handout.code.secret));
    }
}
