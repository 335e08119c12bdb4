//! The kinds of probes, one file each: what the configuration has for it, how it asks, and how it reads the answer, with the parsing
//! apart from the asking.

pub mod azuracast;
pub mod dns;
pub mod exec;
pub mod ffmpeg;
pub mod helo;
pub mod hls;
pub mod http;
pub mod icecast;
pub mod mediamtx;
pub mod ntp;
pub mod obs;
pub mod ping;
pub mod portal;
pub mod process;
pub mod rtmp;
pub mod rtsp;
pub mod srt;
pub mod stream;
pub mod tcp;
pub mod throughput;
pub mod tls;
pub mod vimeo;
pub mod vmix;
pub mod web_presenter;
