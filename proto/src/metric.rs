//! The vocabulary: every metric that an agent of this version can publish, with its unit, kind and meaning.
//!
//! The agent builds its catalog from these constants and the hub takes its help texts from [`ALL`]; `docs/metrics.md`
//! lists them for people, and a test holds the page to this file. A metric that a hub does not find here came from a newer
//! agent: it is served all the same, with what its catalog says of it.

use crate::Kind;

/// One metric.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, unit at the end.
    pub name: &'static str,
    /// Its base unit as the name has it; nothing for numbers without one.
    pub unit: &'static str,
    /// How it moves.
    pub kind: Kind,
    /// Its labels beside `site` and `appliance`.
    pub labels: &'static [&'static str],
    /// What it means, in one sentence without a full stop.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $name:literal, $unit:literal, $kind:ident, $labels:expr, $help:literal;)*) => {
        $(#[doc = concat!("`", $name, "`: ", $help, ".")]
        pub static $id: Metric =
            Metric { name: $name, unit: $unit, kind: Kind::$kind, labels: &$labels, help: $help };)*

        /// Every metric, in the order of `docs/metrics.md`.
        pub static ALL: &[&Metric] = &[$(&$id),*];
    };
}

metrics! {
    SOC_TEMPERATURE = "rackside_soc_temperature_celsius", "celsius", Gauge, [],
        "Temperature of the SoC, from the kernel's thermal zone";
    SOC_THROTTLED = "rackside_soc_throttled", "", State, ["cause", "when"],
        "1 while the firmware holds the SoC back or complains of its supply, else 0; by cause: undervoltage, frequency_capped, throttled or soft_temperature_limit, and by when: now or since_boot";
    FAN_STATE = "rackside_fan_state", "", Gauge, [],
        "How fast the fan is told to turn: 0 is off, the highest (4 on a Pi 5) full speed";
    FAN_SPEED = "rackside_fan_speed_rpm", "rpm", Gauge, [],
        "How fast the fan turns, in revolutions per minute; with a state above 0 it should";
    CPU_FREQUENCY = "rackside_cpu_frequency_hertz", "hertz", Gauge, [],
        "Clock frequency of the processor's cores, as the firmware measures it, else as the kernel has set it";
    VOLTAGE = "rackside_voltage_volts", "volts", Gauge, ["rail"],
        "Voltage by rail: core (of the SoC), input (of the power supply) or battery (of the clock)";
    CPU_USAGE = "rackside_cpu_usage_ratio", "ratio", Gauge, [],
        "Share of all processors' time that was busy since the reading before, 0 to 1";
    LOAD1 = "rackside_load1", "", Gauge, [],
        "Processes running or waiting, averaged over one minute";
    LOAD5 = "rackside_load5", "", Gauge, [],
        "Processes running or waiting, averaged over five minutes";
    LOAD15 = "rackside_load15", "", Gauge, [],
        "Processes running or waiting, averaged over fifteen minutes";
    MEMORY_USED = "rackside_memory_used_bytes", "bytes", Gauge, [],
        "Memory that is not available to a new process";
    MEMORY_TOTAL = "rackside_memory_total_bytes", "bytes", Gauge, [],
        "Memory of the machine";
    SWAP_USED = "rackside_swap_used_bytes", "bytes", Gauge, [],
        "Swap space in use";
    SWAP_TOTAL = "rackside_swap_total_bytes", "bytes", Gauge, [],
        "Swap space of the machine";
    DISK_USED = "rackside_disk_used_bytes", "bytes", Gauge, ["mount"],
        "Space in use on a file system, as df shows it";
    DISK_TOTAL = "rackside_disk_total_bytes", "bytes", Gauge, ["mount"],
        "Space of a file system that ordinary users can have: in use and available; used by total is what df calls Use%";
    DISK_READ_ONLY = "rackside_disk_read_only", "", State, ["mount"],
        "1 while a file system that is meant to be written to is read-only, else 0";
    DISK_ERRORS = "rackside_disk_errors_total", "", Counter, ["mount"],
        "Errors that an ext4 file system has recorded since it was last repaired";
    DISK_LIFETIME_WRITTEN = "rackside_disk_lifetime_written_bytes_total", "bytes", Counter, ["mount"],
        "Bytes written to an ext4 file system since it was made";
    STORAGE_WRITTEN = "rackside_storage_written_bytes_total", "bytes", Counter, ["device"],
        "Bytes written to a disk or card since the machine found it";
    STORAGE_LIFE_USED = "rackside_storage_life_used_ratio", "ratio", Gauge, ["device"],
        "Share of an eMMC's life that is used up, in tenths, 1.1 for one that has outlived it; SD cards do not tell";
    STORAGE_RESERVE = "rackside_storage_reserve_state", "", State, ["device"],
        "Reserve blocks of an eMMC: 1 normal, 2 most are used up, 3 nearly none is left";
    NETWORK_RECEIVE = "rackside_network_receive_bytes_total", "bytes", Counter, ["interface"],
        "Bytes received by an interface since it came up";
    NETWORK_TRANSMIT = "rackside_network_transmit_bytes_total", "bytes", Counter, ["interface"],
        "Bytes sent by an interface since it came up";
    NETWORK_DEFAULT_ROUTE = "rackside_network_default_route", "", State, ["interface"],
        "1 on the interface that carries the default route, else 0";
    WIFI_SIGNAL = "rackside_wifi_signal_dbm", "dbm", Gauge, ["interface"],
        "How strongly an interface hears its access point; from -67 up is good, below -80 it is about to lose it";
    UPTIME = "rackside_uptime_seconds", "seconds", Gauge, [],
        "Time since the machine started";
    CLOCK_SYNCHRONIZED = "rackside_clock_synchronized", "", State, [],
        "1 while the kernel says that its clock is synchronised, else 0";
    TALLY_ACTIVE = "rackside_tally_active", "", State, ["tally", "bus"],
        "1 while the tally is on, else 0; unknown while its contact chatters or its source is gone";
    LED_STATE = "rackside_led_state", "", State, ["led"],
        "What the LED says: 0 dark, 1 well, 2 warning, 3 critical, 4 hub not reachable, 5 no internet, 6 no cable or address, 7 identify, 8 lit by its tally, 9 tally unknown, 10 refused by the hub, 11 a login page in the way, 12 TLS is opened on the way";
    RELAY_ACTIVE = "rackside_relay_active", "", State, ["relay"],
        "1 while the relay is closed, else 0";
    ALARM_MUTED = "rackside_alarm_muted", "", State, [],
        "1 while somebody at the rack has muted its alarm, else 0";
    MAINTENANCE = "rackside_maintenance", "", State, [],
        "1 while somebody at the rack has announced maintenance, else 0";
    PANEL_FAULTS = "rackside_panel_faults", "", Gauge, [],
        "Contacts, LEDs, relays and sources of tallies that cannot be had or are not to be believed";
    PROBE_SUCCESS = "rackside_probe_success", "", State, ["probe", "type", "stream"],
        "1 when the probe's newest run found its target as it should be, 0 when not, unknown when that cannot be told from here";
    PROBE_DURATION = "rackside_probe_duration_seconds", "seconds", Gauge, ["probe", "type", "stream"],
        "How long the probe's newest run took, retries included";
    HTTP_STATUS = "rackside_http_status_code", "", Gauge, ["probe", "stream"],
        "Status of a page's newest answer, after redirects";
    HTTP_BODY = "rackside_http_body_bytes", "bytes", Gauge, ["probe", "stream"],
        "How much of a page's newest answer was taken";
    HTTP_PHASE = "rackside_http_phase_seconds", "seconds", Gauge, ["probe", "stream", "phase"],
        "How long a part of asking for a page took, over all redirects, by phase: resolve, connect, tls, first_byte or transfer";
    TLS_NOT_AFTER = "rackside_tls_not_after_timestamp_seconds", "seconds", Gauge, ["probe", "stream", "certificate"],
        "Until when a certificate is valid, since 1970, by its place in the chain: leaf, intermediate-1 and so on";
    TLS_FAULT = "rackside_tls_fault", "", State, ["probe", "stream", "fault"],
        "1 when that is wrong with a certificate, else 0, by fault: expired, not_yet_valid, wrong_host or untrusted; unknown while nobody knows the date";
    PING_RTT = "rackside_ping_rtt_seconds", "seconds", Gauge, ["probe", "stream"],
        "Round trip of the newest ping that was answered in its run; absent while none is";
    PING_RTT_MEAN = "rackside_ping_rtt_mean_seconds", "seconds", Gauge, ["probe", "stream"],
        "Mean round trip of the pings in the probe's window that were answered";
    PING_LOSS = "rackside_ping_loss_ratio", "ratio", Gauge, ["probe", "stream"],
        "Share of the pings in the probe's window that were not answered, 0 to 1";
    PING_JITTER = "rackside_ping_jitter_seconds", "seconds", Gauge, ["probe", "stream"],
        "How much the round trip differs from one ping to the next, smoothed as RFC 3550 does";
    DNS_LOOKUP = "rackside_dns_lookup_seconds", "seconds", Gauge, ["probe", "stream"],
        "How long the answer to a name took, with what had to be asked again";
    DNS_ANSWERS = "rackside_dns_answers", "", Gauge, ["probe", "stream"],
        "Records of the wanted type in the newest answer";
    DNS_RCODE = "rackside_dns_rcode", "", Gauge, ["probe", "stream"],
        "How a name server's newest answer went: 0 well, 2 server failure, 3 no such name, 5 refused";
    DNS_TTL = "rackside_dns_ttl_seconds", "seconds", Gauge, ["probe", "stream"],
        "For how long the shortest-lived record of a name server's newest answer may be kept";
    NTP_OFFSET = "rackside_ntp_offset_seconds", "seconds", Gauge, ["probe", "stream"],
        "How much a time server is ahead of this machine's clock; negative when it is behind";
    NTP_DELAY = "rackside_ntp_delay_seconds", "seconds", Gauge, ["probe", "stream"],
        "Round trip to a time server without its own thinking; the offset is known to half of it and the root dispersion";
    NTP_STRATUM = "rackside_ntp_stratum", "", Gauge, ["probe", "stream"],
        "How far a time server is from a reference clock: 1 has one, 15 is the furthest";
    NTP_ROOT_DISPERSION = "rackside_ntp_root_dispersion_seconds", "seconds", Gauge, ["probe", "stream"],
        "How wrong a time server says that its own source may be";
    PORTAL_CAPTIVE = "rackside_portal_captive", "", State, ["probe", "stream"],
        "1 while a captive portal answers in the internet's place, 0 while the internet does, unknown while neither does";
    STREAM_UP = "rackside_stream_up", "", State, ["probe", "stream", "path"],
        "1 while the stream is there, 0 when it is not (two failures in a row, or a server's own word), unknown when nobody can tell";
    STREAM_BITRATE = "rackside_stream_bitrate_bps", "bps", Gauge, ["probe", "stream", "path"],
        "Bits a second of the stream, as they come from its source";
    STREAM_TRANSMIT_BITRATE = "rackside_stream_transmit_bitrate_bps", "bps", Gauge, ["probe", "stream", "path"],
        "Bits a second of the stream that a server sends to all who take it";
    STREAM_RECEIVE = "rackside_stream_receive_bytes_total", "bytes", Counter, ["probe", "stream", "path"],
        "Bytes of the stream that a server got, over all of its publishers";
    STREAM_TRANSMIT = "rackside_stream_transmit_bytes_total", "bytes", Counter, ["probe", "stream", "path"],
        "Bytes of the stream that a server sent to all who take it";
    STREAM_FRAMES_IN_ERROR = "rackside_stream_frames_in_error_total", "", Counter, ["probe", "stream", "path"],
        "Damaged frames that a server got from the stream's publishers";
    STREAM_LISTENERS = "rackside_stream_listeners", "", Gauge, ["probe", "stream", "path"],
        "Clients that take the stream from the server";
    STREAM_NOMINAL_BITRATE = "rackside_stream_nominal_bitrate_bps", "bps", Gauge, ["probe", "stream", "path"],
        "Bits a second of the stream, as its source announces them";
    MEDIAMTX_PATHS = "rackside_mediamtx_paths", "", Gauge, ["probe", "stream", "state"],
        "Paths of a MediaMTX server, by whether somebody publishes: online, offline, unknown";
    MEDIAMTX_CONNECTIONS = "rackside_mediamtx_connections", "", Gauge, ["probe", "stream", "protocol"],
        "Connections or sessions of a MediaMTX server, by protocol";
    SRT_CONNECTIONS = "rackside_srt_connections", "", Gauge, ["probe", "stream", "path", "role"],
        "SRT connections of a path, by what the client does: publish or read";
    SRT_RTT = "rackside_srt_rtt_seconds", "seconds", Gauge, ["probe", "stream", "path", "role"],
        "Round trip time of SRT, the longest of these connections";
    SRT_LINK_CAPACITY = "rackside_srt_link_capacity_bps", "bps", Gauge, ["probe", "stream", "path", "role"],
        "What SRT takes for the capacity of the link, the least of these connections";
    SRT_BUFFER = "rackside_srt_buffer_seconds", "seconds", Gauge, ["probe", "stream", "path", "role"],
        "Media that wait in SRT's buffer, the least of these connections";
    SRT_LATENCY = "rackside_srt_latency_seconds", "seconds", Gauge, ["probe", "stream", "path", "role"],
        "Latency that both sides of SRT agreed on, within which what was lost can be sent again, the least of these connections";
    SRT_PACKETS = "rackside_srt_packets_total", "", Counter, ["probe", "stream", "path", "role"],
        "Packets of SRT with media, those sent again included";
    SRT_PACKETS_LOST = "rackside_srt_packets_lost_total", "", Counter, ["probe", "stream", "path", "role"],
        "Packets of SRT that were missing at first";
    SRT_PACKETS_RETRANSMITTED = "rackside_srt_packets_retransmitted_total", "", Counter, ["probe", "stream", "path", "role"],
        "Packets of SRT that were sent again";
    SRT_PACKETS_DROPPED = "rackside_srt_packets_dropped_total", "", Counter, ["probe", "stream", "path", "role"],
        "Packets of SRT that were given up, because they came too late or not at all";
    SRT_PACKETS_UNDECRYPTED = "rackside_srt_packets_undecrypted_total", "", Counter, ["probe", "stream", "path", "role"],
        "Packets of SRT that could not be decrypted; the passphrases differ";
    TRACKS_PLAYED = "rackside_tracks_played_total", "", Counter, ["probe", "stream", "path"],
        "Tracks of the station that began while the agent watched";
    TRACK_ELAPSED = "rackside_track_elapsed_seconds", "seconds", Gauge, ["probe", "stream", "path"],
        "Time since the station's track changed; absent while there is none";
    TRACK_DURATION = "rackside_track_duration_seconds", "seconds", Gauge, ["probe", "stream", "path"],
        "Length of the station's present track, where the station knows it";
    TRACK_SWITCH_BUCKET = "rackside_track_switch_duration_seconds_bucket", "", Counter, ["probe", "stream", "path", "le"],
        "Switches from one track to the next during which there was none for at most so long";
    TRACK_SWITCH_SUM = "rackside_track_switch_duration_seconds_sum", "seconds", Counter, ["probe", "stream", "path"],
        "Time that switches from one track to the next took together";
    TRACK_SWITCH_COUNT = "rackside_track_switch_duration_seconds_count", "", Counter, ["probe", "stream", "path"],
        "Switches from one track to the next that were seen";
    STATION_LIVE = "rackside_station_live", "", State, ["probe", "stream"],
        "1 while a person is live on the station, 0 while its automation plays";
    VIMEO_EVENT_STATE = "rackside_vimeo_event_state", "", State, ["probe", "stream"],
        "State of a live event at Vimeo: 0 idle, 1 pending, 2 ready, 3 streaming, 4 ended, 5 error";
    VIMEO_INGEST_STATE = "rackside_vimeo_ingest_state", "", State, ["probe", "stream"],
        "State of the event's ingest, as Vimeo counts: 0 none yet, 1 in preparation, 2 ready, 3 ready for too long, 4 streaming, 5 ended";
    VIMEO_REQUESTS_LEFT = "rackside_vimeo_requests_left", "", Gauge, ["probe", "stream"],
        "Requests that Vimeo lets the token make until its limit is renewed";
    STREAM_DURATION = "rackside_stream_duration_seconds", "seconds", Gauge, ["probe", "stream"],
        "How long an encoder has been streaming, by its own count";
    STREAM_CACHE_USED = "rackside_stream_cache_used_ratio", "ratio", Gauge, ["probe", "stream"],
        "Share of an encoder's cache that is full with what it could not send yet, 0 to 1";
    WEB_PRESENTER_STATE = "rackside_web_presenter_state", "", State, ["probe", "stream"],
        "What the stream of a Blackmagic encoder does: 0 idle, 1 connecting, 2 streaming, 3 flushing its cache, 4 interrupted by the network";
    RECORDING_UP = "rackside_recording_up", "", State, ["probe", "stream"],
        "1 while an encoder or a switcher records, 0 while it does not, by its own word";
    RECORDING_SPACE = "rackside_recording_space_ratio", "ratio", Gauge, ["probe", "stream"],
        "Share of the medium it records on that is free, 0 to 1";
    ENCODER_TEMPERATURE = "rackside_encoder_temperature_celsius", "celsius", Gauge, ["probe", "stream"],
        "How warm an encoder is, by its own word";
    HELO_STREAMING_STATE = "rackside_helo_streaming_state", "", State, ["probe", "stream"],
        "What the stream of an AJA HELO does: 0 not initialized, 1 idle, 2 streaming, 3 failing while idle, 4 failing while it streams, 5 shut down";
    HELO_RECORDING_STATE = "rackside_helo_recording_state", "", State, ["probe", "stream"],
        "What the recording of an AJA HELO does, numbered as its stream";
    OBS_RECONNECTING = "rackside_obs_reconnecting", "", State, ["probe", "stream"],
        "1 while OBS has lost the connection for its stream and tries to get it back";
    OBS_CONGESTION = "rackside_obs_congestion_ratio", "ratio", Gauge, ["probe", "stream"],
        "How much the network holds up the stream, as OBS has it, 0 to 1";
    OBS_FRAMES = "rackside_obs_frames_total", "", Counter, ["probe", "stream", "stage"],
        "Frames of OBS, by stage: render, encode, network";
    OBS_FRAMES_LOST = "rackside_obs_frames_lost_total", "", Counter, ["probe", "stream", "stage"],
        "Frames that OBS lost, by stage: render (lagged), encode (skipped), network (dropped)";
    OBS_FPS = "rackside_obs_fps", "", Gauge, ["probe", "stream"],
        "Frames a second that OBS renders";
    OBS_RENDER_TIME = "rackside_obs_render_time_seconds", "seconds", Gauge, ["probe", "stream"],
        "How long OBS takes to render a frame, on average";
    OBS_CPU = "rackside_obs_cpu_usage_ratio", "ratio", Gauge, ["probe", "stream"],
        "Share of its machine's processors that OBS takes, 0 to 1";
    OBS_MEMORY = "rackside_obs_memory_bytes", "bytes", Gauge, ["probe", "stream"],
        "Memory that OBS holds";
    OBS_DISK_AVAILABLE = "rackside_obs_disk_available_bytes", "bytes", Gauge, ["probe", "stream"],
        "Space that is left where OBS records";
    VMIX_EXTERNAL = "rackside_vmix_external", "", State, ["probe", "stream"],
        "1 while the external output of vMix is on";
    VMIX_MULTICORDER = "rackside_vmix_multicorder", "", State, ["probe", "stream"],
        "1 while vMix records its inputs one by one";
    VMIX_BLACK = "rackside_vmix_fade_to_black", "", State, ["probe", "stream"],
        "1 while the output of vMix is faded to black";
    VMIX_CHANNEL_ACTIVE = "rackside_vmix_channel_active", "", State, ["probe", "stream", "channel"],
        "1 while vMix streams on this of its channels";
    THROUGHPUT_RECEIVE = "rackside_throughput_receive_bps", "bps", Gauge, ["probe", "stream"],
        "Bits a second of the newest timed transfer to this box, from its first byte on";
    THROUGHPUT_BYTES = "rackside_throughput_bytes", "bytes", Gauge, ["probe", "stream"],
        "What the newest timed transfer took in, and so what it cost";
    HLS_VARIANTS = "rackside_hls_variants", "", Gauge, ["probe", "stream"],
        "Variants that an HLS stream offers";
    HLS_MEDIA_SEQUENCE = "rackside_hls_media_sequence", "", Gauge, ["probe", "stream", "variant"],
        "Number of the first segment in an HLS playlist; of several variants the one of the lowest and the one of the highest bandwidth";
    HLS_SEGMENTS = "rackside_hls_segments", "", Gauge, ["probe", "stream", "variant"],
        "Segments in an HLS playlist";
    HLS_TARGET_DURATION = "rackside_hls_target_duration_seconds", "seconds", Gauge, ["probe", "stream", "variant"],
        "How long the longest segment of an HLS playlist may be";
    HLS_PLAYLIST_AGE = "rackside_hls_playlist_age_seconds", "seconds", Gauge, ["probe", "stream", "variant"],
        "Since when an HLS playlist has been seen unchanged";
    HLS_LATENCY = "rackside_hls_latency_seconds", "seconds", Gauge, ["probe", "stream", "variant"],
        "How long ago the newest picture of an HLS stream was taken, by the encoder's clock and this box's; absent while one of them says nothing";
    HLS_RESTARTS = "rackside_hls_restarts_total", "", Counter, ["probe", "stream", "variant"],
        "How often the sequence of an HLS playlist went backwards: its encoder started again";
    STREAM_PHASE = "rackside_stream_phase_seconds", "seconds", Gauge, ["probe", "stream", "phase"],
        "How long a part of a light handshake took, by phase: resolve, connect, tls, handshake and command (RTMP), options and describe (RTSP)";
    SRT_HANDSHAKE_RTT = "rackside_srt_handshake_rtt_seconds", "seconds", Gauge, ["probe", "stream"],
        "Way there and back of SRT's first datagram";
    STREAM_FPS = "rackside_stream_fps", "", Gauge, ["probe", "stream"],
        "Pictures a second of the stream";
    STREAM_WIDTH = "rackside_stream_width_pixels", "pixels", Gauge, ["probe", "stream"],
        "Width of the stream's picture";
    STREAM_HEIGHT = "rackside_stream_height_pixels", "pixels", Gauge, ["probe", "stream"],
        "Height of the stream's picture";
    STREAM_FROZEN = "rackside_stream_frozen", "", State, ["probe", "stream"],
        "1 while the stream's picture has stood still for too long (30 s unless set), else 0; unknown while no picture is had";
    STREAM_BLACK = "rackside_stream_black", "", State, ["probe", "stream"],
        "1 while the stream's picture is black, else 0; unknown while no picture is had";
    STREAM_SILENT = "rackside_stream_silent", "", State, ["probe", "stream"],
        "1 while the stream's sound is silent, else 0; unknown while no sound is had";
    STREAM_AUDIO_LEVEL = "rackside_stream_audio_level_dbfs", "dbfs", Gauge, ["probe", "stream"],
        "Mean level of the stream's sound, in decibels below full scale";
    STREAM_AUDIO_PEAK = "rackside_stream_audio_peak_dbfs", "dbfs", Gauge, ["probe", "stream"],
        "Highest level of the stream's sound, in decibels below full scale";
    STREAM_BITRATE_DROPPED = "rackside_stream_bitrate_dropped", "", State, ["probe", "stream"],
        "1 while the stream's bitrate is below its rolling mean by more than its share (half unless set), else 0; unknown until there is a mean";
    PROCESS_UP = "rackside_process_up", "", State, ["probe", "stream", "process"],
        "1 while the process runs, 0 while it does not, unknown while that cannot be seen";
    PROCESS_RESTARTS = "rackside_process_restarts_total", "", Counter, ["probe", "stream", "process"],
        "How often the process was there anew since the agent started, whoever started it; two restarts between two looks count as one";
    PROCESS_LOOP = "rackside_process_restart_loop", "", State, ["probe", "stream", "process"],
        "1 while the process starts again and again (3 times within 5 minutes unless set), else 0";
    PROCESS_CPU = "rackside_process_cpu_usage_ratio", "ratio", Gauge, ["probe", "stream", "process"],
        "Processor time that the process took since the look before, as a share of one processor; 4 is four whole ones";
    PROCESS_MEMORY = "rackside_process_resident_memory_bytes", "bytes", Gauge, ["probe", "stream", "process"],
        "Memory that the process holds; of a unit all its processes together, and what they share once for each";
    PROCESS_UPTIME = "rackside_process_uptime_seconds", "seconds", Gauge, ["probe", "stream", "process"],
        "Time since the process started; of a unit the oldest of its processes";
    FFMPEG_FRAMES = "rackside_ffmpeg_frames_total", "", Counter, ["probe", "stream"],
        "Pictures that an ffmpeg has put out, as it tells itself";
    FFMPEG_DROPPED = "rackside_ffmpeg_dropped_frames_total", "", Counter, ["probe", "stream"],
        "Pictures that an ffmpeg has left out";
    FFMPEG_DUPLICATED = "rackside_ffmpeg_duplicated_frames_total", "", Counter, ["probe", "stream"],
        "Pictures that an ffmpeg has put out twice";
    FFMPEG_SPEED = "rackside_ffmpeg_speed_ratio", "ratio", Gauge, ["probe", "stream"],
        "Seconds of its stream that an ffmpeg gets through in a second, since it started; a live one that keeps up is at 1";
    PROBE_EXIT_CODE = "rackside_probe_exit_code", "", Gauge, ["probe", "stream"],
        "How a program of the user's own ended: 0 well, 3 unknown, anything else down; absent when a signal ended it";
    RECOVERY_ATTEMPTS = "rackside_recovery_attempts_total", "", Counter, ["probe", "stream", "action"],
        "How often the agent has tried to bring a probe's target back, by what it does: restart, command or pulse";
    RECOVERY_GIVEN_UP = "rackside_recovery_given_up", "", State, ["probe", "stream"],
        "1 while the agent has given up bringing a probe's target back and does nothing more, until it has been well for a while; else 0";
    AGENT_RESIDENT_MEMORY = "rackside_agent_resident_memory_bytes", "bytes", Gauge, [],
        "Memory that the agent itself holds";
    AGENT_BACKLOG = "rackside_agent_backlog_records", "records", Gauge, [],
        "Records that the agent holds and the hub has not acknowledged";
    AGENT_DROPPED = "rackside_agent_dropped_total", "", Counter, [],
        "Records that the agent let go before the hub had them, because its spool was full";
    AGENT_SPOOL = "rackside_agent_spool_bytes", "bytes", Gauge, [],
        "Disk space that the agent's spool takes; 0 while the hub acknowledges";
    AGENT_SPOOL_DURABLE = "rackside_agent_spool_durable", "", State, [],
        "1 while the agent has a disk for records that the hub does not acknowledge, 0 while it keeps them in memory only";
    AGENT_SPOOL_DAMAGED = "rackside_agent_spool_damaged_bytes_total", "bytes", Counter, [],
        "Bytes of the spool on the disk that were found damaged; the records in them are lost";
    AGENT_CONNECTS = "rackside_agent_connects_total", "", Counter, [],
        "Connections that the agent made to its broker";
    AGENT_LINK_BYTES = "rackside_agent_link_bytes_total", "bytes", Counter, ["direction"],
        "Bytes that the agent exchanged with its broker, as TCP carries them, by direction: receive or transmit";
    AGENT_COMMANDS_REFUSED = "rackside_agent_commands_refused_total", "", Counter, [],
        "Commands that the agent was sent and did not do: forged, repeated, too late, forbidden by its venue";
}

/// A metric that is three: `NAME_bucket` counts what took no longer than its label `le` says, `NAME_sum` adds up what everything took,
/// `NAME_count` counts everything. On the wire and in history each is a counter of its own.
#[derive(Debug, PartialEq, Eq)]
pub struct Histogram {
    /// Its name, unit at the end.
    pub name: &'static str,
    /// Its base unit as the name has it.
    pub unit: &'static str,
    /// What it means, in one sentence without a full stop.
    pub help: &'static str,
}

impl Histogram {
    /// What the names of its metrics end in.
    pub const PARTS: [&str; 3] = ["_bucket", "_sum", "_count"];
}

/// Every histogram.
pub static HISTOGRAMS: &[Histogram] = &[Histogram {
    name: "rackside_track_switch_duration_seconds",
    unit: "seconds",
    help: "How long switches from one track to the next took, during which there was none",
}];

/// The metric of that name, if this version knows it.
pub fn find(name: &str) -> Option<&'static Metric> {
    ALL.iter().copied().find(|metric| metric.name == name)
}
