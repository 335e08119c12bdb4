//! What brings configurations to appliances: signed, by MQTT.

use super::Hand;
use crate::configure::Configurations;
use rackside_configure::State;
use rackside_proto::AgentName;
use rackside_rollout::Outcome;

impl Hand for Configurations {
    fn publish(&self, name: &AgentName, text: &str) -> Result<u32, String> {
        Self::publish(self, name, text).map_err(|error| error.to_string())
    }

    fn became(&self, name: &AgentName) -> Option<(u32, Outcome)> {
        let known = self.state(name)?;
        let outcome = match known.state {
            State::Sent => Outcome::Pending,
            State::Applied => Outcome::Applied,
            State::Refused | State::NotTaken => Outcome::Refused(known.why),
            State::RolledBack => Outcome::RolledBack(known.why),
        };
        Some((known.wanted, outcome))
    }
}
