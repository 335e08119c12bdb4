//! Any body, by its channel.

use crate::{
    Ack, Birth, Channel, Command, Configuration, Data, DecodeError, Event, Presence, Record, Reply, Signed,
    Still, Verdict,
};

/// The body of a message on one of the channels that this version speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message<'a> {
    /// On `presence`.
    Presence(Presence),
    /// On `birth`.
    Birth(Birth<'a>),
    /// On `data`.
    Data(Record<'a, Data<'a>>),
    /// On `event`.
    Event(Record<'a, Event<'a>>),
    /// On `ack`.
    Ack(Ack),
    /// On `verdict`.
    Verdict(Verdict),
    /// On `still`.
    Still(Still<'a>),
    /// On `config`: the frame, and what its content says if its signature is good.
    Config(Signed<'a>, Configuration<'a>),
    /// On `command`: its frame, and what it says if that is believed.
    Command(Signed<'a>, Command<'a>),
    /// On `reply`.
    Reply(Reply<'a>),
}

impl<'a> Message<'a> {
    /// Reads a body that came on `channel`.
    pub fn decode(channel: Channel, bytes: &'a [u8]) -> Result<Self, DecodeError> {
        match channel {
            Channel::Presence => Presence::decode(bytes).map(Self::Presence),
            Channel::Birth => Birth::decode(bytes).map(Self::Birth),
            Channel::Data => Record::<Data<'a>>::decode(bytes).map(Self::Data),
            Channel::Event => Record::<Event<'a>>::decode(bytes).map(Self::Event),
            Channel::Ack => Ack::decode(bytes).map(Self::Ack),
            Channel::Verdict => Verdict::decode(bytes).map(Self::Verdict),
            Channel::Still => Still::decode(bytes).map(Self::Still),
            Channel::Command => Command::shown(bytes).map(|(signed, command)| Self::Command(signed, command)),
            Channel::Reply => Reply::decode(bytes).map(Self::Reply),
            Channel::Config => {
                let signed = Signed::decode(bytes, channel.limit())?;
                Configuration::decode(signed.content).map(|configuration| Self::Config(signed, configuration))
            }
        }
    }
}
