//! Probes of streams against real servers: nginx with its RTMP module, srt-live-transmit, MediaMTX, ffmpeg. Each test starts its own, on
//! ports that are free, and ends them. One program, so that its tests run beside each other: they wait more than they work.

#![expect(clippy::disallowed_methods, reason = "tests of real servers run on real time")]

mod light;
mod media;
mod servers;
mod stills;
mod tls;
