//! Stills of real streams: one key frame, small, within its budget, without the key on anybody's command line.

use crate::servers::{Content, GOOD, MediaMtx, Nginx, directory, publish, secret};
use rackside_agent::config::Config;
use rackside_agent::probe::stills::take::{self, Picture};
use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

/// As `Asked`, for a picture.
fn take(keys: &str, begin: usize) -> Result<Picture, String> {
    let text = format!(
        "site = \"s\"\nappliance = \"a\"\n[mqtt]\naddress = \"hub\"\n[[probe.stream]]\nname = \"x\"\n{keys}\n"
    );
    let config = Config::parse(&text, "agent.toml").unwrap_or_else(|error| panic!("{error} in\n{text}"));
    let settings = &config.probes.probes.first().expect("there is one").settings;
    let plan = settings.still().expect("a still is wanted");
    let result = smol::block_on(take::take(&settings.media()?, &plan, begin));
    assert!(!format!("{result:?}").contains("hunter2"), "a secret in {result:?}");
    if let Ok(picture) = &result {
        assert!(picture.jpeg.len() <= plan.budget, "{} bytes", picture.jpeg.len());
        assert_eq!(seen(&picture.jpeg), format!("mjpeg,{},{}", picture.width, picture.height));
    }
    result
}

/// What ffprobe says of a picture.
fn seen(jpeg: &[u8]) -> String {
    let file = directory().path().join("still.jpg");
    fs::create_dir_all(file.parent().expect("a directory")).expect("made");
    fs::write(&file, jpeg).expect("written");
    let asked = ["-v", "error", "-show_entries", "stream=codec_name,width,height", "-of", "csv=p=0"];
    let said =
        Command::new("ffprobe").args(asked).arg(&file).output().expect("Debian's package ffmpeg brings it");
    fs::remove_dir_all(file.parent().expect("a directory")).expect("removed");
    String::from_utf8_lossy(&said.stdout).trim().to_owned()
}

#[test]
fn a_still_is_small_and_fits_its_budget_and_its_key_stands_on_no_command_line() {
    let nginx = Nginx::start();
    let busy =
        Content { picture: "testsrc2=size=1280x720:rate=25,noise=alls=60:allf=t", bitrate: "4000k", ..GOOD };
    let _publisher = publish(&busy, "flv", &nginx.url("hunter2-hunter2"));
    nginx.publishes("hunter2-hunter2");
    let directory = directory();
    let url =
        format!("url = \"{}\"\nkey = {}", nginx.url("{key}"), secret(directory.path(), "hunter2-hunter2"));
    let (is_over, looks) = (AtomicBool::new(false), AtomicBool::new(false));
    let large = std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                let processes = fs::read_dir("/proc").expect("a process list").filter_map(Result::ok);
                let commands = processes.filter_map(|process| fs::read(process.path().join("cmdline")).ok());
                for command in commands.map(|command| String::from_utf8_lossy(&command).into_owned()) {
                    // The publisher's own holds it: that is a test's.
                    if command.contains("image2pipe") {
                        looks.store(true, Ordering::Relaxed);
                        assert!(!command.contains("hunter2"), "{command}");
                    }
                }
            }
        });
        let large = take(&format!("{url}\nstill = {{ width = 640, budget = \"60 KiB\" }}"), 0);
        is_over.store(true, Ordering::Relaxed);
        large.expect("a picture")
    });
    assert!(looks.into_inner(), "ffmpeg was seen");
    assert_eq!((large.width, large.height), (640, 360));
    println!("{} bytes at quality {}", large.jpeg.len(), large.quality);
    let small = take(&format!("{url}\nstill = {{ width = 640, budget = \"12 KiB\" }}"), 0)
        .expect("a coarser picture");
    assert!(
        small.quality > large.quality && small.jpeg.len() < large.jpeg.len(),
        "{} {}",
        small.quality,
        large.quality
    );
    // Begins one finer than what fitted last, and so comes back to the best step by step.
    let again =
        take(&format!("{url}\nstill = {{ budget = \"60 KiB\" }}"), small.quality).expect("a finer picture");
    assert_eq!((again.width, again.height, again.quality), (320, 180, small.quality - 1));
    let tiny = take(&format!("{url}\nstill = {{ width = 640, budget = \"2 KiB\" }}"), 6);
    let why = "even the coarsest picture takes more than its budget of 2048 bytes; give it more, or a smaller width";
    assert_eq!(tiny, Err(why.to_owned()));
}

#[test]
fn rtsp_srt_and_hls_have_stills_as_well() {
    let (nginx, rtsp, directory) = (Nginx::start(), MediaMtx::start(), directory());
    let srt = format!("srt://127.0.0.1:{}?streamid", rtsp.srt);
    let _publishers = [
        publish(&GOOD, "flv", &nginx.url("hall")),
        publish(&GOOD, "rtsp", &rtsp.url("guarded")),
        publish(&GOOD, "mpegts", &format!("{srt}=publish:hall")),
    ];
    nginx.publishes("hall");
    let password = secret(directory.path(), "hunter2");
    for keys in [
        format!("url = \"http://127.0.0.1:{}/hls/hall.m3u8\"", nginx.http),
        format!("url = \"{}\"\nuser = \"viewer\"\npassword = {password}", rtsp.url("guarded")),
        format!("url = \"{srt}=read:hall\""),
    ] {
        let mut taken = take(&format!("{keys}\nstill = {{}}"), 0);
        // A publisher that has just begun is not there at once.
        crate::servers::until("a still", || {
            if taken.is_err() {
                taken = take(&format!("{keys}\nstill = {{}}"), 0);
            }
            taken.is_ok()
        });
        assert_eq!(taken.map(|picture| (picture.width, picture.height)), Ok((320, 180)), "{keys}");
    }
}

#[test]
fn a_black_picture_and_none_at_all_are_said_and_not_sent() {
    let nginx = Nginx::start();
    let dark = Content { picture: "color=black:size=320x180:rate=25", ..GOOD };
    let _publisher = publish(&dark, "flv", &nginx.url("dark"));
    nginx.publishes("dark");
    let still = |url: &str| take(&format!("url = \"{url}\"\nstill = {{}}"), 0);
    assert_eq!(still(&nginx.url("dark")), Err("the picture is black".to_owned()));
    let gone = still(&format!("http://127.0.0.1:{}/hls/hunter2-none.m3u8", nginx.http))
        .expect_err("nobody publishes");
    assert!(gone.contains("404"), "{gone}");
}
