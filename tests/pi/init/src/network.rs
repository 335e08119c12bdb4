//! The interface's address and the way out, by rtnetlink: there is no `ip` here.
//!
//! Three messages, each acknowledged: the address, the interface up, the default route. Attributes and headers are those of rtnetlink(7), all
//! numbers in the machine's byte order but addresses.

use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketType, recv, sendto, socket};
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::thread;
use std::time::Duration;

/// How often the system is asked whether an interface came, and how long that takes: 10 s in all.
const LOOKS: u32 = 1000;
const LOOK: Duration = Duration::from_millis(10);

/// linux/netlink.h: a request that wants an answer; one that makes something, or finds it made.
const REQUEST_AND_ACK: u16 = 0x1 | 0x4;
const CREATE_OR_REPLACE: u16 = 0x400 | 0x100;
/// linux/rtnetlink.h.
const NEW_LINK: u16 = 16;
const NEW_ADDRESS: u16 = 20;
const NEW_ROUTE: u16 = 24;
/// The answer to what wanted one: an error number, 0 for none.
const ERROR: u16 = 2;
const IPV4: u8 = 2;

/// Waits for the first interface, whatever its name, gives it an address and a way out, and says its name.
pub(crate) fn configure(address: Ipv4Addr, prefix: u8, gateway: Ipv4Addr) -> io::Result<String> {
    let (name, index) = interface()?;
    let mut body = vec![IPV4, prefix, 0, 0];
    body.extend(index.to_ne_bytes());
    for kind in [1_u16, 2] {
        // IFA_ADDRESS, IFA_LOCAL
        attribute(&mut body, kind, address.octets());
    }
    ask(NEW_ADDRESS, CREATE_OR_REPLACE, &body)?;
    let mut body = vec![0; 4];
    body.extend(index.to_ne_bytes());
    // IFF_UP, and that this is what is to change.
    body.extend([1_u32.to_ne_bytes(), 1_u32.to_ne_bytes()].concat());
    ask(NEW_LINK, 0, &body)?;
    // Everywhere, in the main table, static, beyond this link, for one receiver.
    let mut body = vec![IPV4, 0, 0, 0, 254, 4, 0, 1, 0, 0, 0, 0];
    // RTA_GATEWAY, RTA_OIF
    attribute(&mut body, 5, gateway.octets());
    attribute(&mut body, 4, index.to_ne_bytes());
    ask(NEW_ROUTE, CREATE_OR_REPLACE, &body)?;
    Ok(name)
}

/// The first interface that is not the loopback: its name and its number.
fn interface() -> io::Result<(String, u32)> {
    for _ in 0..LOOKS {
        for entry in fs::read_dir("/sys/class/net")? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name == "lo" {
                continue;
            }
            match fs::read_to_string(entry.path().join("ifindex")) {
                Ok(index) => return Ok((name, index.trim().parse().map_err(io::Error::other)?)),
                // Its driver has just given it another name.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
        }
        thread::sleep(LOOK);
    }
    Err(io::Error::new(io::ErrorKind::NotFound, "no network interface came within 10 s"))
}

fn attribute(body: &mut Vec<u8>, kind: u16, value: [u8; 4]) {
    body.extend(8_u16.to_ne_bytes());
    body.extend(kind.to_ne_bytes());
    body.extend(value);
}

fn message(kind: u16, flags: u16, body: &[u8]) -> Vec<u8> {
    let mut message = (body.len() as u32 + 16).to_ne_bytes().to_vec();
    message.extend(kind.to_ne_bytes());
    message.extend((REQUEST_AND_ACK | flags).to_ne_bytes());
    // The number of the message, and that it is for the kernel.
    message.extend([1_u32.to_ne_bytes(), 0_u32.to_ne_bytes()].concat());
    message.extend(body);
    message
}

fn ask(kind: u16, flags: u16, body: &[u8]) -> io::Result<()> {
    let socket = socket(AddressFamily::NETLINK, SocketType::RAW, None)?;
    let kernel = SocketAddrNetlink::new(0, 0);
    sendto(&socket, &message(kind, flags, body), SendFlags::empty(), &kernel)?;
    let mut answer = [0; 1024];
    let (length, _) = recv(&socket, &mut answer, RecvFlags::empty())?;
    answered(answer.get(..length).unwrap_or_default())
}

/// What the kernel's answer says.
fn answered(answer: &[u8]) -> io::Result<()> {
    let kind = answer.get(4..6).and_then(|bytes| bytes.try_into().ok()).map(u16::from_ne_bytes);
    let error = answer.get(16..20).and_then(|bytes| bytes.try_into().ok()).map(i32::from_ne_bytes);
    match (kind, error) {
        (Some(ERROR), Some(0)) => Ok(()),
        (Some(ERROR), Some(error)) => Err(io::Error::from_raw_os_error(-error)),
        _ => Err(io::Error::other("the kernel's answer is no acknowledgement")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_says_its_length_kind_and_flags() {
        let mut body = vec![0; 4];
        attribute(&mut body, 5, [10, 0, 2, 2]);
        let message = message(NEW_ROUTE, CREATE_OR_REPLACE, &body);
        let numbers: Vec<u16> =
            message.chunks(2).map(|pair| u16::from_ne_bytes(pair.try_into().unwrap())).collect();
        assert_eq!(message.len(), 28);
        if cfg!(target_endian = "little") {
            assert_eq!(numbers[..4], [28, 0, 24, 0x505]);
            assert_eq!(numbers[10..12], [8, 5]);
        }
        assert_eq!(message[24..], [10, 0, 2, 2]);
    }

    #[test]
    fn an_answer_is_an_acknowledgement_or_an_error() {
        let answer = |error: i32| [&message(ERROR, 0, &error.to_ne_bytes())[..], &[0; 16]].concat();
        assert!(answered(&answer(0)).is_ok());
        assert_eq!(answered(&answer(-17)).unwrap_err().raw_os_error(), Some(17));
        assert!(answered(b"short").is_err());
    }

    #[test]
    fn the_kernel_answers_a_question_about_an_interface_that_is_not_there() {
        let body = [&[0; 4][..], &i32::MAX.to_ne_bytes(), &[0; 8]].concat();
        assert!(ask(NEW_LINK, 0, &body).is_err());
    }
}
