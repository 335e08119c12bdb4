//! The way in for fuzzing: every reader of other people's bytes that is written by hand here, by a name. Not a part of the program.
//!
//! A target is a function `fuzz` in the reader's own file, where it may look at what nobody else sees. It takes any bytes, has them read, and
//! asserts what holds whatever they are. So that nothing has to be public for it, this table is the only door, and the feature `fuzzing` is
//! its key; `tests/fuzz` has the machine that makes up bytes, and real messages to begin with.
//!
//! ```text
//! ("rtmp", rtmp::wire::fuzz)        tests/fuzz/run rtmp 60 · tests/fuzz/corpus/rtmp/connected
//! ```

use crate::config;
use crate::panel::net as panel;
use crate::probe::kind::{
    dns, exec, ffmpeg, helo, hls, icecast, mediamtx, ntp, obs, process, rtmp, rtsp, srt, stream, vimeo, vmix,
    web_presenter,
};
use crate::probe::{certificate, http, icmp, locator, loose, patience};
use crate::{spool, websocket};

/// A name, and what takes the bytes.
pub type Target = (&'static str, fn(&[u8]));

/// All of this crate, by name.
pub const TARGETS: &[Target] = &[
    ("certificate", certificate::fuzz),
    ("configuration", config::fuzz),
    ("dns", dns::message::fuzz),
    ("exec", exec::text::fuzz),
    ("ffmpeg-log", stream::watch::fuzz),
    ("ffmpeg-progress", ffmpeg::progress::fuzz),
    ("ffprobe", stream::describe::fuzz),
    ("helo", helo::parameter::fuzz),
    ("hls", hls::playlist::fuzz),
    ("icecast", icecast::page::fuzz),
    ("icmp", icmp::packet::fuzz),
    ("json", loose::fuzz),
    ("locator", locator::fuzz),
    ("mediamtx", mediamtx::read::fuzz),
    ("ntp", ntp::packet::fuzz),
    ("obs-scenes", panel::obs::fuzz),
    ("obs-status", obs::status::fuzz),
    ("process", process::table::fuzz),
    ("retry-after", patience::fuzz),
    ("rtmp", rtmp::wire::fuzz),
    ("rtsp", rtsp::wire::fuzz),
    ("spool", spool::fuzzing::fuzz),
    ("srt", srt::wire::fuzz),
    ("tsl", panel::tsl::fuzz),
    ("url", http::url::fuzz),
    ("vimeo", vimeo::answer::fuzz),
    ("vmix-status", vmix::tcp::fuzz),
    ("vmix-tally", panel::vmix::fuzz),
    ("vmix-xml", vmix::xml::fuzz),
    ("web-presenter", web_presenter::blocks::fuzz),
    ("web-presenter-rest", web_presenter::report::fuzz),
    ("websocket", websocket::fuzz),
];
