//! Matchers of labels as the configuration and mutes write them: `site=~"hall-.*"`.
