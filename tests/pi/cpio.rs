//! An archive as the kernel unpacks it at boot: cpio's "newc" form, written here because that is 30 lines.
//!
//! ```text
//! 070701 and 13 numbers of 8 hexadecimal digits, the name, a zero byte, up to a multiple of 4; the content, up to a multiple of 4
//! ```

/// An archive under way.
#[derive(Debug, Default)]
pub(crate) struct Archive {
    bytes: Vec<u8>,
    entries: u32,
}

/// The kind of file in its mode, as stat(2) has it.
const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER_DEVICE: u32 = 0o020_000;

impl Archive {
    /// A directory; those above it come first.
    pub(crate) fn directory(&mut self, name: &str) {
        self.entry(name, DIRECTORY | 0o755, (0, 0), &[]);
    }

    /// A file.
    pub(crate) fn file(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entry(name, REGULAR | mode, (0, 0), content);
    }

    /// A character device.
    pub(crate) fn device(&mut self, name: &str, major: u32, minor: u32) {
        self.entry(name, CHARACTER_DEVICE | 0o600, (major, minor), &[]);
    }

    /// The whole of it.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        self.entry("TRAILER!!!", 0, (0, 0), &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, (major, minor): (u32, u32), content: &[u8]) {
        self.entries += 1;
        let numbers = [
            self.entries,
            mode,
            // Its user and group, how many names it has, when it was written.
            0,
            0,
            1,
            0,
            content.len() as u32,
            // The device that it is on.
            0,
            0,
            major,
            minor,
            name.len() as u32 + 1,
            // A checksum that this form does not have.
            0,
        ];
        self.bytes.extend(b"070701");
        for number in numbers {
            self.bytes.extend(format!("{number:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(4), 0);
    }
}

#[test]
fn an_archive_has_whole_words_and_says_how_long_everything_is() {
    let mut archive = Archive::default();
    archive.device("console", 5, 1);
    archive.file("a", 0o755, b"12345");
    let bytes = archive.finish();
    assert_eq!(bytes.len() % 4, 0);
    let text = String::from_utf8(bytes).expect("it is text as long as its files are");
    let device = "07070100000001000021800000000000000000000000010000000000000000000000000000000000000005\
                  000000010000000800000000console\0";
    assert!(text.starts_with(device), "{text:?}");
    assert!(text.contains(&format!("12345{}070701", "\0".repeat(3))), "{text:?}");
}
