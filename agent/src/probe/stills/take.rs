//! One picture of a stream, by ffmpeg: a key frame is taken and made small, then coded as JPEG, coarser until it fits its budget.
//!
//! The address, which may hold a stream key, is handed over in memory as ffmpeg's concat format has it: it stands on no command line and in no
//! file. The small picture comes back as it is, and is coded from memory as well, so the stream is asked once, whatever the budget is.
//! Nothing is written to a disk.
//!
//! ```text
//! ffconcat version 1.0 │ file 'rtmp://192.0.2.40/live/abcd-efgh' │ option rw_timeout 5000000
//!   →  P6 320 180 255 …  →  ff d8 … ff d9, 9 KiB at quality 5
//! ```

use super::plan::Plan;
use crate::probe::child::{ChildError, Order, Output};
use crate::probe::mask;
use async_io::Timer;
use futures_lite::future;
use std::fmt::Write as _;
use std::time::Duration;

/// From the connection to a key frame; most streams have one every few seconds.
const CAPTURE: Duration = Duration::from_secs(30);
/// To code a small picture, on a Pi that is busy with an encoder.
const CODE: Duration = Duration::from_secs(15);
/// Pixels of the greatest picture that is decoded: somewhat more than 8K.
const LARGEST: &str = "36000000";
/// ffmpeg's `-q:v` of a JPEG, from good to coarse; it has none beyond.
const QUALITIES: [u8; 7] = [3, 5, 8, 12, 18, 25, 31];
/// Of a head that says how large a picture is.
const HEAD: usize = 32;
/// A pixel with no more of each colour is black, as `blackdetect` has it: a tenth of white.
const BLACK: u8 = 25;

/// Where media are, and how ffmpeg gets at them.
#[derive(Clone)]
pub struct Media {
    /// With its key and its login.
    pub address: String,
    /// What ffmpeg has to know of the protocol, for the address alone.
    pub options: Vec<(&'static str, &'static str)>,
    /// What it may lead to.
    pub protocols: &'static str,
    /// The program.
    pub ffmpeg: String,
}

impl Media {
    /// The list of one address, in quotes as ffmpeg's concat format wants them.
    pub fn list(&self) -> Vec<u8> {
        let mut list = format!("ffconcat version 1.0\nfile '{}'\n", self.address.replace('\'', "'\\''"));
        for (key, value) in &self.options {
            let _ = writeln!(list, "option {key} {value}");
        }
        list.into_bytes()
    }
}

/// A picture that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Pixels.
    pub width: u16,
    /// Pixels.
    pub height: u16,
    /// The file.
    pub jpeg: Vec<u8>,
    /// How coarse it is, by its place in a list from good to coarse.
    pub quality: usize,
}

/// Takes one; or why there is none, without what may be secret. `begin` is the quality that fitted last.
pub async fn take(media: &Media, plan: &Plan, begin: usize) -> Result<Picture, String> {
    let raw = capture(media, plan.width).await.map_err(|why| mask::scrub(&why, &media.address))?;
    let (width, height, pixels) = read(&raw).ok_or("ffmpeg gave no picture")?;
    if is_black(pixels) {
        return Err("the picture is black".to_owned());
    }
    // One finer than what fitted last: a scene that is simpler now gets a better picture.
    for (quality, q) in QUALITIES.iter().enumerate().skip(begin.saturating_sub(1)) {
        let jpeg = code(&media.ffmpeg, &raw, *q).await?;
        if jpeg.len() <= plan.budget {
            return Ok(Picture { width, height, jpeg, quality });
        }
    }
    Err(format!(
        "even the coarsest picture takes more than its budget of {} bytes; give it more, or a smaller width",
        plan.budget
    ))
}

/// A key frame, made small, as it is.
async fn capture(media: &Media, width: u16) -> Result<Vec<u8>, String> {
    let filter = format!(
        "scale=w=iw*sar:h=ih,setsar=1,\
         scale=w='min({width},iw)':h='min({width},ih)':force_original_aspect_ratio=decrease:flags=area,format=rgb24"
    );
    let protocols = format!("pipe,{}", media.protocols);
    let order = Order::new(&media.ffmpeg)
        .args(["-hide_banner", "-nostdin", "-v", "error", "-threads", "1", "-max_pixels", LARGEST])
        .args(["-skip_frame", "nokey", "-protocol_whitelist", &protocols, "-safe", "0"])
        .args(["-f", "concat", "-i", "pipe:0", "-map", "0:v:0", "-frames:v", "1", "-vf", &filter])
        .args(["-f", "image2pipe", "-c:v", "ppm", "pipe:1"])
        .input(media.list());
    let most = usize::from(width) * usize::from(width) * 3 + HEAD;
    let late = format!("no key frame within {CAPTURE:?}");
    let output = within(CAPTURE, &late, order, most).await?;
    if output.out.is_empty() { Err(complaint(&output)) } else { Ok(output.out) }
}

/// A JPEG of a picture as it is.
async fn code(ffmpeg: &str, raw: &[u8], quality: u8) -> Result<Vec<u8>, String> {
    let order = Order::new(ffmpeg)
        .args(["-hide_banner", "-nostdin", "-v", "error", "-threads", "1", "-f", "image2pipe", "-c:v", "ppm"])
        .args(["-i", "pipe:0", "-frames:v", "1", "-q:v", &quality.to_string(), "-f", "image2pipe"])
        .args(["-c:v", "mjpeg", "-pix_fmt", "yuvj420p", "pipe:1"])
        .input(raw.to_vec());
    let late = format!("ffmpeg coded no picture within {CODE:?}");
    let output = within(CODE, &late, order, raw.len().max(1 << 16)).await?;
    let is_whole = output.out.starts_with(&[0xff, 0xd8]) && output.out.ends_with(&[0xff, 0xd9]);
    if is_whole { Ok(output.out) } else { Err(complaint(&output)) }
}

async fn within(time: Duration, late: &str, order: Order, most: usize) -> Result<Output, String> {
    let run = async {
        let output = async { order.spawn()?.output(most).await };
        output.await.map_err(|error: ChildError| error.to_string())
    };
    let end = async {
        Timer::after(time).await;
        Err(late.to_owned())
    };
    future::or(run, end).await
}

/// The last line of what ffmpeg complained of.
fn complaint(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.err);
    let line = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("ffmpeg gave no picture");
    if line.contains("matches no streams") {
        return "there is no picture in the stream".to_owned();
    }
    line.chars().filter(|c| !c.is_control()).take(200).collect()
}

/// Width, height and pixels of a PPM: `P6`, two numbers and 255, each behind white space.
fn read(raw: &[u8]) -> Option<(u16, u16, &[u8])> {
    let mut words = raw.splitn(4, u8::is_ascii_whitespace);
    if words.next() != Some(b"P6") {
        return None;
    }
    let mut number = || std::str::from_utf8(words.next()?).ok()?.parse::<u16>().ok();
    let (width, height) = (number()?, number()?);
    let pixels = words.next()?.strip_prefix(b"255\n")?;
    let is_whole = width > 0 && height > 0 && pixels.len() == usize::from(width) * usize::from(height) * 3;
    is_whole.then_some((width, height, pixels))
}

/// Whether 98 % of the pixels are, as for `rackside_stream_black`.
fn is_black(pixels: &[u8]) -> bool {
    let pixels = pixels.as_chunks::<3>().0;
    let black = pixels.iter().filter(|pixel| pixel.iter().all(|colour| *colour <= BLACK)).count();
    black * 100 >= pixels.len() * 98
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_read_by_its_head_and_has_to_be_whole() {
        let raw = [b"P6\n2 1\n255\n".as_slice(), &[0, 10, 20, 255, b'\n', b' ']].concat();
        assert_eq!(read(&raw), Some((2, 1, &[0, 10, 20, 255, b'\n', b' '][..])));
        for wrong in [
            &raw[..raw.len() - 1],
            b"",
            b"P6",
            b"P5\n2 1\n255\nabcdef",
            b"P6\n0 1\n255\n",
            b"P6\n-2 1\n255\nabc",
            b"P6\n2 1\n65535\nabcdef",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn black_is_what_is_black_nearly_everywhere() {
        let mut pixels = vec![16; 300];
        assert!(is_black(&pixels), "what video calls black");
        pixels[..6].fill(200);
        assert!(is_black(&pixels), "a clock in the corner");
        pixels[..9].fill(200);
        assert!(!is_black(&pixels));
    }

    #[test]
    fn an_address_is_quoted_and_stands_on_no_command_line() {
        let media = Media {
            address: "rtmp://a.example/live/it's?x=1".to_owned(),
            options: vec![("rw_timeout", "5000000")],
            protocols: "rtmp,tcp",
            ffmpeg: "ffmpeg".to_owned(),
        };
        let list = String::from_utf8(media.list()).expect("text");
        assert_eq!(
            list,
            "ffconcat version 1.0\nfile 'rtmp://a.example/live/it'\\''s?x=1'\noption rw_timeout 5000000\n"
        );
    }

    #[test]
    fn what_ffmpeg_complains_of_is_one_line() {
        let output = |err: &str| Output {
            status: std::process::ExitStatus::default(),
            out: Vec::new(),
            err: err.into(),
            is_cut: false,
        };
        assert_eq!(complaint(&output("one\npipe:0: Connection refused\n\n")), "pipe:0: Connection refused");
        assert_eq!(
            complaint(&output("Stream map '0:v:0' matches no streams.\n")),
            "there is no picture in the stream"
        );
        assert_eq!(complaint(&output("")), "ffmpeg gave no picture");
    }
}
