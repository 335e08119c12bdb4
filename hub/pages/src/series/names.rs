//! What operators call each metric: of every one of docs/metrics.md that an appliance or a site has, by its name. A test holds the two together.
//!
//! A name says the quantity and not its unit, which its values say; what belongs to one product begins with that.
//!
//! `rackside_load15` is "Load over 15 min"

/// By the metric's name, in its order.
const NAMES: [(&str, &str); 155] = [
    ("rackside_agent_backlog_records", "Backlog"),
    ("rackside_agent_commands_refused_total", "Commands refused"),
    ("rackside_agent_connects_total", "Connections to the broker"),
    ("rackside_agent_dropped_total", "Records dropped"),
    ("rackside_agent_link_bytes_total", "Traffic of the agent"),
    ("rackside_agent_resident_memory_bytes", "Memory of the agent"),
    ("rackside_agent_spool_bytes", "Backlog on its disk"),
    ("rackside_agent_spool_damaged_bytes_total", "Backlog found damaged"),
    ("rackside_agent_spool_durable", "Backlog survives a power cut"),
    ("rackside_alarm_muted", "Rack's alarm muted"),
    ("rackside_appliance_commissioning_seconds", "Being set up for"),
    ("rackside_appliance_up", "Heard by the hub"),
    ("rackside_clock_synchronized", "Clock synchronised"),
    ("rackside_cpu_frequency_hertz", "CPU clock"),
    ("rackside_cpu_usage_ratio", "CPU usage"),
    ("rackside_disk_errors_total", "Errors of the file system"),
    ("rackside_disk_lifetime_written_bytes_total", "Written to the file system"),
    ("rackside_disk_read_only", "Disk read-only"),
    ("rackside_disk_total_bytes", "Disk size"),
    ("rackside_disk_used_bytes", "Disk used"),
    ("rackside_dns_answers", "Answers of the name server"),
    ("rackside_dns_lookup_seconds", "Name lookup"),
    ("rackside_dns_rcode", "Answer code of the name server"),
    ("rackside_dns_ttl_seconds", "Answer is valid for"),
    ("rackside_encoder_temperature_celsius", "Encoder temperature"),
    ("rackside_fan_speed_rpm", "Fan speed"),
    ("rackside_fan_state", "Fan level"),
    ("rackside_ffmpeg_dropped_frames_total", "ffmpeg: pictures left out"),
    ("rackside_ffmpeg_duplicated_frames_total", "ffmpeg: pictures put out twice"),
    ("rackside_ffmpeg_frames_total", "ffmpeg: pictures put out"),
    ("rackside_ffmpeg_speed_ratio", "ffmpeg: speed"),
    ("rackside_helo_recording_state", "HELO: recording"),
    ("rackside_helo_streaming_state", "HELO: stream"),
    ("rackside_hls_latency_seconds", "HLS delay"),
    ("rackside_hls_media_sequence", "HLS first segment"),
    ("rackside_hls_playlist_age_seconds", "HLS playlist unchanged for"),
    ("rackside_hls_restarts_total", "HLS encoder started anew"),
    ("rackside_hls_segments", "HLS segments"),
    ("rackside_hls_target_duration_seconds", "HLS longest segment"),
    ("rackside_hls_variants", "HLS variants"),
    ("rackside_http_body_bytes", "Size of the answer"),
    ("rackside_http_phase_seconds", "Time of each step"),
    ("rackside_http_status_code", "HTTP status"),
    ("rackside_led_state", "LED"),
    ("rackside_load1", "Load over 1 min"),
    ("rackside_load15", "Load over 15 min"),
    ("rackside_load5", "Load over 5 min"),
    ("rackside_maintenance", "Maintenance announced at the rack"),
    ("rackside_mediamtx_connections", "MediaMTX: connections"),
    ("rackside_mediamtx_paths", "MediaMTX: paths"),
    ("rackside_memory_total_bytes", "Memory size"),
    ("rackside_memory_used_bytes", "Memory used"),
    ("rackside_network_default_route", "Way out"),
    ("rackside_network_receive_bytes_total", "Network received"),
    ("rackside_network_transmit_bytes_total", "Network sent"),
    ("rackside_ntp_delay_seconds", "Round trip to the time server"),
    ("rackside_ntp_offset_seconds", "Clock offset"),
    ("rackside_ntp_root_dispersion_seconds", "Doubt of the time server"),
    ("rackside_ntp_stratum", "Stratum of the time server"),
    ("rackside_obs_congestion_ratio", "OBS: congestion"),
    ("rackside_obs_cpu_usage_ratio", "OBS: CPU usage"),
    ("rackside_obs_disk_available_bytes", "OBS: disk left"),
    ("rackside_obs_fps", "OBS: frame rate"),
    ("rackside_obs_frames_lost_total", "OBS: frames lost"),
    ("rackside_obs_frames_total", "OBS: frames"),
    ("rackside_obs_memory_bytes", "OBS: memory"),
    ("rackside_obs_reconnecting", "OBS: reconnecting"),
    ("rackside_obs_render_time_seconds", "OBS: time to render"),
    ("rackside_panel_faults", "Faults of the panel"),
    ("rackside_ping_jitter_seconds", "Ping jitter"),
    ("rackside_ping_loss_ratio", "Ping loss"),
    ("rackside_ping_rtt_mean_seconds", "Ping round trip, mean"),
    ("rackside_ping_rtt_seconds", "Ping round trip"),
    ("rackside_portal_captive", "Captive portal"),
    ("rackside_probe_duration_seconds", "Probe took"),
    ("rackside_probe_exit_code", "Exit code"),
    ("rackside_probe_success", "Probe answers"),
    ("rackside_process_cpu_usage_ratio", "CPU of the process"),
    ("rackside_process_resident_memory_bytes", "Memory of the process"),
    ("rackside_process_restart_loop", "Restarts again and again"),
    ("rackside_process_restarts_total", "Restarts of the process"),
    ("rackside_process_up", "Process"),
    ("rackside_process_uptime_seconds", "Process runs for"),
    ("rackside_recording_space_ratio", "Room left to record"),
    ("rackside_recording_up", "Recording"),
    ("rackside_recovery_attempts_total", "Attempts to recover"),
    ("rackside_recovery_given_up", "Recovery given up"),
    ("rackside_relay_active", "Relay"),
    ("rackside_site_on_air", "On air"),
    ("rackside_site_power_expected", "Power expected"),
    ("rackside_site_show_end_timestamp_seconds", "End of the show"),
    ("rackside_site_show_phase", "Phase of the show"),
    ("rackside_site_tallies", "Tallies of the site"),
    ("rackside_soc_temperature_celsius", "SoC temperature"),
    ("rackside_soc_throttled", "SoC throttled"),
    ("rackside_srt_buffer_seconds", "SRT: media in its buffer"),
    ("rackside_srt_connections", "SRT: connections"),
    ("rackside_srt_handshake_rtt_seconds", "SRT: round trip of the handshake"),
    ("rackside_srt_latency_seconds", "SRT: latency"),
    ("rackside_srt_link_capacity_bps", "SRT: capacity of the link"),
    ("rackside_srt_packets_dropped_total", "SRT: packets given up"),
    ("rackside_srt_packets_lost_total", "SRT: packets lost"),
    ("rackside_srt_packets_retransmitted_total", "SRT: packets sent again"),
    ("rackside_srt_packets_total", "SRT: packets"),
    ("rackside_srt_packets_undecrypted_total", "SRT: packets not decrypted"),
    ("rackside_srt_rtt_seconds", "SRT: round trip"),
    ("rackside_station_live", "Station"),
    ("rackside_storage_life_used_ratio", "Life of the card used up"),
    ("rackside_storage_reserve_state", "Reserve of the card"),
    ("rackside_storage_written_bytes_total", "Written to the card"),
    ("rackside_stream_audio_level_dbfs", "Sound level"),
    ("rackside_stream_audio_peak_dbfs", "Sound peak"),
    ("rackside_stream_bitrate_bps", "Stream bitrate"),
    ("rackside_stream_bitrate_dropped", "Stream bitrate dropped"),
    ("rackside_stream_black", "Stream's picture black"),
    ("rackside_stream_cache_used_ratio", "Encoder's cache used"),
    ("rackside_stream_duration_seconds", "Streaming for"),
    ("rackside_stream_fps", "Stream frame rate"),
    ("rackside_stream_frames_in_error_total", "Stream frames damaged"),
    ("rackside_stream_frozen", "Stream's picture frozen"),
    ("rackside_stream_height_pixels", "Picture height"),
    ("rackside_stream_listeners", "Listeners"),
    ("rackside_stream_nominal_bitrate_bps", "Stream bitrate, as announced"),
    ("rackside_stream_phase_seconds", "Time of each step of the handshake"),
    ("rackside_stream_receive_bytes_total", "Stream received by the server"),
    ("rackside_stream_silent", "Stream silent"),
    ("rackside_stream_transmit_bitrate_bps", "Stream bitrate to listeners"),
    ("rackside_stream_transmit_bytes_total", "Stream sent by the server"),
    ("rackside_stream_up", "Stream"),
    ("rackside_stream_width_pixels", "Picture width"),
    ("rackside_swap_total_bytes", "Swap size"),
    ("rackside_swap_used_bytes", "Swap used"),
    ("rackside_tally_active", "Tally"),
    ("rackside_throughput_bytes", "Test transfer took"),
    ("rackside_throughput_receive_bps", "Throughput in"),
    ("rackside_tls_fault", "Certificate fault"),
    ("rackside_tls_not_after_timestamp_seconds", "Certificate valid until"),
    ("rackside_track_duration_seconds", "Track length"),
    ("rackside_track_elapsed_seconds", "Track plays for"),
    ("rackside_track_switch_duration_seconds", "Switch of tracks"),
    ("rackside_track_switch_duration_seconds_bucket", "Switches of tracks within"),
    ("rackside_track_switch_duration_seconds_count", "Switches of tracks"),
    ("rackside_track_switch_duration_seconds_sum", "Time of switches of tracks"),
    ("rackside_tracks_played_total", "Tracks played"),
    ("rackside_uptime_seconds", "Time since it started"),
    ("rackside_vimeo_event_state", "Vimeo: event"),
    ("rackside_vimeo_ingest_state", "Vimeo: ingest"),
    ("rackside_vimeo_requests_left", "Vimeo: requests left"),
    ("rackside_vmix_channel_active", "vMix: channel"),
    ("rackside_vmix_external", "vMix: external output"),
    ("rackside_vmix_fade_to_black", "vMix: faded to black"),
    ("rackside_vmix_multicorder", "vMix: MultiCorder"),
    ("rackside_voltage_volts", "Voltage"),
    ("rackside_web_presenter_state", "Web Presenter: stream"),
    ("rackside_wifi_signal_dbm", "Wi-Fi signal"),
];

/// What a metric is called, if it is known here.
pub(super) fn of(metric: &str) -> Option<&'static str> {
    let at = NAMES.binary_search_by_key(&metric, |(name, _)| name).ok()?;
    Some(NAMES[at].1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_of_the_documentation_has_a_name_and_every_name_its_metric() {
        let listed = include_str!("../../../../docs/metrics.md").lines();
        let mut listed: Vec<&str> = listed
            .filter_map(|line| line.strip_prefix("| `")?.split_once('`'))
            .map(|(name, _)| name)
            // What the hub says of itself is on no page of an appliance; `title` makes a name of such a one.
            .filter(|name| name.starts_with("rackside_") && !name.starts_with("rackside_hub_"))
            .filter(|name| !name.ends_with('…'))
            .collect();
        listed.sort_unstable();
        listed.dedup();
        let named: Vec<&str> = NAMES.iter().map(|(name, _)| *name).collect();
        assert_eq!(named, listed);
    }

    #[test]
    fn names_are_short_and_no_two_are_the_same() {
        let mut names: Vec<&str> = NAMES.iter().map(|(_, name)| *name).collect();
        for name in &names {
            assert!((2..=34).contains(&name.chars().count()), "{name}");
        }
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
