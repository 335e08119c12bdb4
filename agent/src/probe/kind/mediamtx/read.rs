//! What MediaMTX's control API says, of all versions from 1.8 on: by which fields are there, not by the version. Pure.
//!
//! `online` (1.16) says more than `ready`, `inboundBytes` (1.17) is `bytesReceived` renamed; the old names are still sent beside
//! the new ones. SRT connections kept the old ones.
//!
//! ```text
//! {"itemCount":2,"pageCount":1,"items":[{"name":"hall-1","online":true,"onlineTime":"2026-11-20T03:00:05.5Z", … }, … ]}
//!   →  Paths { items: [Path { name: "hall-1", is_online: Some(true), … }, … ], is_whole: true }
//! ```

use crate::probe::loose::{Count, List, loose};

loose! {
    /// A page of a list, as far as counting goes.
    pub(super) struct Counted {
        /// Items on all pages.
        pub(super) all: Option<u64> = "itemCount",
    }
}

loose! {
    /// `/v3/info`, from 1.15.2 on.
    pub(super) struct Info {
        /// `v1.20.1`.
        pub(super) version: Option<String> = "version",
    }
}

loose! {
    /// A page of paths.
    pub(super) struct PathPage {
        /// On all pages.
        pub(super) all: Option<u64> = "itemCount",
        /// Pages.
        pub(super) pages: Option<u64> = "pageCount",
        /// Those of this page.
        pub(super) items: List<PathItem> = "items",
    }
}

loose! {
    /// A path as it is sent.
    pub(super) struct PathItem {
        /// Often the stream key.
        name: Option<String> = "name",
        /// Somebody publishes; before 1.16 the only such field.
        ready: Option<bool> = "ready",
        /// Since when.
        ready_time: Option<String> = "readyTime",
        /// Somebody publishes; a placeholder of `alwaysAvailable` is not online.
        online: Option<bool> = "online",
        /// Since when.
        online_time: Option<String> = "onlineTime",
        /// Names of codecs.
        tracks: List<String> = "tracks",
        /// The same with more of each.
        tracks2: List<Track> = "tracks2",
        /// Who takes it.
        readers: Count = "readers",
        /// From the publisher.
        inbound: Option<u64> = "inboundBytes",
        /// The same before 1.17.
        received: Option<u64> = "bytesReceived",
        /// To the readers.
        outbound: Option<u64> = "outboundBytes",
        /// The same before 1.17.
        sent: Option<u64> = "bytesSent",
        /// From the publisher, damaged.
        in_error: Option<u64> = "inboundFramesInError",
    }
}

loose! {
    /// A track.
    struct Track {
        /// `H264`.
        codec: Option<String> = "codec",
        /// Of a picture.
        props: Option<Props> = "codecProps",
    }
}

loose! {
    /// What is known of a codec's stream.
    struct Props {
        /// Of a picture.
        width: Option<u64> = "width",
        /// Of a picture.
        height: Option<u64> = "height",
    }
}

loose! {
    /// A page of SRT connections.
    pub(super) struct SrtPage {
        /// On all pages.
        pub(super) all: Option<u64> = "itemCount",
        /// Pages.
        pub(super) pages: Option<u64> = "pageCount",
        /// Those of this page.
        pub(super) items: List<SrtItem> = "items",
    }
}

loose! {
    /// An SRT connection as it is sent.
    pub(super) struct SrtItem {
        /// A UUID.
        id: Option<String> = "id",
        /// `idle`, `read` or `publish`, seen from the client.
        state: Option<String> = "state",
        /// Which path.
        path: Option<String> = "path",
        /// Packets in.
        received: Option<u64> = "packetsReceived",
        /// Packets out.
        sent: Option<u64> = "packetsSent",
        /// Found missing on the way in.
        received_loss: Option<u64> = "packetsReceivedLoss",
        /// Reported missing on the way out.
        send_loss: Option<u64> = "packetsSendLoss",
        /// Given up on the way in.
        received_drop: Option<u64> = "packetsReceivedDrop",
        /// Given up on the way out.
        send_drop: Option<u64> = "packetsSendDrop",
        /// Sent again by the other side.
        received_again: Option<u64> = "packetsReceivedRetrans",
        /// Sent again by the server.
        sent_again: Option<u64> = "packetsRetrans",
        /// Not to be decrypted: the passphrase differs.
        undecrypted: Option<u64> = "packetsReceivedUndecrypt",
        /// Milliseconds, smoothed.
        rtt: Option<f64> = "msRTT",
        /// Megabits a second.
        capacity: Option<f64> = "mbpsLinkCapacity",
        /// Milliseconds of media that wait on the way in.
        receive_buffer: Option<f64> = "msReceiveBuf",
        /// Milliseconds of media that wait on the way out.
        send_buffer: Option<f64> = "msSendBuf",
        /// Milliseconds that were agreed on, on the way in.
        receive_latency: Option<f64> = "msReceiveTsbPdDelay",
        /// Milliseconds that were agreed on, on the way out.
        send_latency: Option<f64> = "msSendTsbPdDelay",
    }
}

/// A path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Path {
    /// Often the stream key.
    pub(super) name: String,
    /// Whether somebody publishes, if the server says so in words that are known.
    pub(super) is_online: Option<bool>,
    /// Tells one publisher from the next.
    pub(super) since: Option<String>,
    /// How many take it.
    pub(super) readers: Option<u64>,
    /// Bytes from this publisher.
    pub(super) inbound: Option<u64>,
    /// Bytes to readers, since this publisher came.
    pub(super) outbound: Option<u64>,
    /// Damaged frames from this publisher.
    pub(super) in_error: Option<u64>,
    /// `H264 1920x1080, Opus`.
    pub(super) tracks: String,
}

impl PathItem {
    /// What is known by it; nothing without a name.
    pub(super) fn read(self) -> Option<Path> {
        let tracks = if self.tracks2.items.iter().any(|track| track.codec.is_some()) {
            let named = |track: &Track| {
                Some(track.codec.clone()? + &track.props.as_ref().map_or_else(String::new, Props::size))
            };
            self.tracks2.items.iter().filter_map(named).collect()
        } else {
            self.tracks.items
        };
        Some(Path {
            name: self.name?,
            is_online: self.online.or(self.ready),
            since: self.online_time.or(self.ready_time),
            readers: self.readers.0,
            inbound: self.inbound.or(self.received),
            outbound: self.outbound.or(self.sent),
            in_error: self.in_error,
            tracks: tracks.join(", "),
        })
    }
}

impl Props {
    fn size(&self) -> String {
        match (self.width, self.height) {
            (Some(width), Some(height)) => format!(" {width}x{height}"),
            _ => String::new(),
        }
    }
}

/// Which way the media of an SRT connection go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Role {
    /// To the server.
    Publish,
    /// From the server.
    Read,
}

impl Role {
    /// The label.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Publish => "publish",
            Self::Read => "read",
        }
    }
}

/// What an SRT connection counts, in its direction.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Packets {
    /// All.
    pub(super) all: u64,
    /// Missing at first.
    pub(super) lost: u64,
    /// Sent again.
    pub(super) again: u64,
    /// Given up.
    pub(super) dropped: u64,
    /// Not to be decrypted.
    pub(super) undecrypted: u64,
}

/// An SRT connection with media.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Srt {
    /// A UUID.
    pub(super) id: String,
    /// Which path.
    pub(super) path: String,
    /// Which way.
    pub(super) role: Role,
    /// So far.
    pub(super) packets: Packets,
    /// Seconds.
    pub(super) rtt: Option<f64>,
    /// Bits a second.
    pub(super) capacity: Option<f64>,
    /// Seconds of media that wait.
    pub(super) buffer: Option<f64>,
    /// Seconds that were agreed on.
    pub(super) latency: Option<f64>,
}

impl SrtItem {
    /// What is known by it; nothing of one that carries no media.
    pub(super) fn read(self) -> Option<Srt> {
        let role = match self.state.as_deref()? {
            "publish" => Role::Publish,
            "read" => Role::Read,
            _ => return None,
        };
        let is_in = role == Role::Publish;
        let of = |inward: Option<u64>, outward: Option<u64>| {
            if is_in { inward } else { outward }.unwrap_or_default()
        };
        let seconds = |inward: Option<f64>, outward: Option<f64>| {
            if is_in { inward } else { outward }.filter(|ms| *ms >= 0.0).map(|ms| ms / 1000.0)
        };
        Some(Srt {
            id: self.id?,
            path: self.path?,
            role,
            packets: Packets {
                all: of(self.received, self.sent),
                lost: of(self.received_loss, self.send_loss),
                again: of(self.received_again, self.sent_again),
                dropped: of(self.received_drop, self.send_drop),
                undecrypted: of(self.undecrypted, None),
            },
            rtt: self.rtt.filter(|ms| *ms >= 0.0).map(|ms| ms / 1000.0),
            capacity: self
                .capacity
                .filter(|mbps| *mbps > 0.0)
                .map(|mbps| mbps * 1e6)
                .filter(|bits| bits.is_finite()),
            buffer: seconds(self.receive_buffer, self.send_buffer),
            latency: seconds(self.receive_latency, self.send_latency),
        })
    }
}

/// One answer as a page of paths and as one of SRT connections: numbers are some.
#[cfg(feature = "fuzzing")]
pub(crate) fn fuzz(bytes: &[u8]) {
    use crate::probe::loose;
    if let Ok(Some(page)) = loose::parse::<Option<PathPage>>(bytes) {
        page.items.items.into_iter().for_each(|item| drop(item.read()));
    }
    if let Ok(Some(page)) = loose::parse::<Option<SrtPage>>(bytes) {
        for Srt { rtt, capacity, buffer, latency, .. } in
            page.items.items.into_iter().filter_map(SrtItem::read)
        {
            let numbers = [rtt, capacity, buffer, latency];
            assert!(numbers.into_iter().flatten().all(|number| number.is_finite() && number >= 0.0));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::probe::loose::parse;
    use proptest::prelude::*;

    fn paths(body: &str) -> Vec<Path> {
        let page: Option<PathPage> = parse(body.as_bytes()).expect("JSON");
        page.expect("an object").items.items.into_iter().filter_map(PathItem::read).collect()
    }

    /// As 1.9 sends it.
    const OLD: &str = r#"{"itemCount":1,"pageCount":1,"items":[{"name":"hall-1","confName":"all_others",
        "source":{"type":"srtConn","id":"0b0b6c52-8d7b-4a54-9a43-6a3e9b6f0d11"},"ready":true,
        "readyTime":"2024-11-20T03:00:05.5Z","tracks":["H264","MPEG-4 Audio"],"bytesReceived":48211340,
        "bytesSent":47999000,"readers":[{"type":"rtmpConn","id":"5f1f0a30-34a3-4b0b-8d5c-0d3f1c0d7e21"}]}]}"#;

    /// As 1.20 sends it.
    const NEW: &str = r#"{"itemCount":2,"pageCount":1,"items":[
        {"name":"hall-1","confName":"all_others","ready":true,"readyTime":"2026-11-20T03:00:00Z","available":true,
         "availableTime":"2026-11-20T03:00:00Z","online":true,"onlineTime":"2026-11-20T03:00:05.5Z",
         "source":{"type":"srtConn","id":"0b0b6c52-8d7b-4a54-9a43-6a3e9b6f0d11"},"tracks":["H264","MPEG-4 Audio"],
         "tracks2":[{"codec":"H264","codecProps":{"width":1920,"height":1080,"profile":"High","level":"4.2"}},
                    {"codec":"MPEG-4 Audio","codecProps":{"sampleRate":48000,"channelCount":2}},
                    {"codec":"KLV","codecProps":null}],
         "readers":[{"type":"rtmpConn","id":"5f1f0a30-34a3-4b0b-8d5c-0d3f1c0d7e21"},{"type":"hlsSession","id":""}],
         "inboundBytes":48211340,"outboundBytes":47999000,"inboundFramesInError":3,"bytesReceived":1,"bytesSent":1},
        {"name":"hall-2","confName":"hall-2","ready":true,"readyTime":"2026-11-20T03:00:00Z","available":true,
         "online":false,"onlineTime":null,"source":null,"tracks":[],"tracks2":[],"readers":[],
         "inboundBytes":0,"outboundBytes":0,"inboundFramesInError":0,"bytesReceived":0,"bytesSent":0}]}"#;

    #[test]
    fn an_old_servers_paths_are_read_by_their_old_fields() {
        let path = Path {
            name: "hall-1".to_owned(),
            is_online: Some(true),
            since: Some("2024-11-20T03:00:05.5Z".to_owned()),
            readers: Some(1),
            inbound: Some(48_211_340),
            outbound: Some(47_999_000),
            in_error: None,
            tracks: "H264, MPEG-4 Audio".to_owned(),
        };
        assert_eq!(paths(OLD), [path]);
    }

    #[test]
    fn a_new_servers_paths_are_read_by_their_new_fields() {
        let read = paths(NEW);
        let path = Path {
            name: "hall-1".to_owned(),
            is_online: Some(true),
            since: Some("2026-11-20T03:00:05.5Z".to_owned()),
            readers: Some(2),
            inbound: Some(48_211_340),
            outbound: Some(47_999_000),
            in_error: Some(3),
            tracks: "H264 1920x1080, MPEG-4 Audio, KLV".to_owned(),
        };
        assert_eq!(read[0], path);
        assert_eq!(read[1].is_online, Some(false), "a placeholder is ready and not online");
    }

    #[test]
    fn a_field_that_is_mistyped_takes_nothing_else_with_it() {
        let read = paths(
            r#"{"items":[{"name":"a","online":"yes","inboundBytes":[],"readers":{"x":1},"tracks2":[7],
                "tracks":"H264","outboundBytes":7},{"online":true},17,null,{"name":"b","ready":true}]}"#,
        );
        assert_eq!(read.len(), 2, "one without a name is nobody's");
        assert_eq!((read[0].is_online, read[0].inbound, read[0].outbound), (None, None, Some(7)));
        assert_eq!((read[0].readers, read[0].tracks.as_str()), (None, ""));
        assert_eq!((read[1].name.as_str(), read[1].is_online), ("b", Some(true)));
    }

    #[test]
    fn a_capacity_beyond_all_numbers_is_none() {
        let text = r#"{"items":[{"id":"x","state":"read","path":"p","mbpsLinkCapacity":1e308}]}"#;
        let page: Option<SrtPage> = parse(text.as_bytes()).expect("JSON");
        let read: Vec<Srt> =
            page.expect("a page").items.items.into_iter().filter_map(SrtItem::read).collect();
        assert_eq!(read.iter().map(|one| one.capacity).collect::<Vec<_>>(), [None]);
    }

    #[test]
    fn srt_statistics_are_those_of_the_direction() {
        let body = r#"{"itemCount":3,"pageCount":1,"items":[
            {"id":"a","state":"publish","path":"hall-1","packetsReceived":1000,"packetsSent":5,"packetsReceivedLoss":10,
             "packetsSendLoss":1,"packetsReceivedRetrans":9,"packetsReceivedDrop":1,"packetsReceivedUndecrypt":2,"msRTT":12.5,
             "mbpsLinkCapacity":94.5,"msReceiveBuf":80,"msReceiveTsbPdDelay":120,"mbpsMaxBW":-1},
            {"id":"b","state":"read","path":"hall-1","packetsSent":700,"packetsSendLoss":7,"packetsRetrans":6,"packetsSendDrop":5,
             "msRTT":"8","mbpsLinkCapacity":0,"msSendBuf":20,"msSendTsbPdDelay":200},
            {"id":"c","state":"idle","path":""}]}"#;
        let page: Option<SrtPage> = parse(body.as_bytes()).expect("JSON");
        let read: Vec<Srt> =
            page.expect("an object").items.items.into_iter().filter_map(SrtItem::read).collect();
        let packets = Packets { all: 1000, lost: 10, again: 9, dropped: 1, undecrypted: 2 };
        assert_eq!((read[0].role, read[0].packets), (Role::Publish, packets));
        assert_eq!((read[0].rtt, read[0].capacity), (Some(0.0125), Some(94.5e6)));
        assert_eq!((read[0].buffer, read[0].latency), (Some(0.08), Some(0.12)));
        let packets = Packets { all: 700, lost: 7, again: 6, dropped: 5, undecrypted: 0 };
        assert_eq!((read[1].role, read[1].packets), (Role::Read, packets));
        assert_eq!((read[1].rtt, read[1].capacity, read[1].latency), (Some(0.008), None, Some(0.2)));
        assert_eq!(read.len(), 2);
    }

    proptest! {
        #[test]
        fn a_cut_or_twisted_answer_is_read_or_refused(at in 0_usize..NEW.len(), byte in any::<u8>(), cut in any::<bool>()) {
            let mut body = NEW.as_bytes().to_vec();
            if cut { body.truncate(at) } else { body[at] = byte }
            if let Ok(Some(page)) = parse::<Option<PathPage>>(&body) {
                prop_assert!(!cut);
                page.items.items.into_iter().filter_map(PathItem::read).for_each(drop);
            }
        }
    }
}
