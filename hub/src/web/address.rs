//! Addresses of the hub's own pages, with what is asked of them.

/// `path` with those of the pairs that are not empty; the values are escaped.
pub(super) fn of(path: &str, pairs: &[(&str, &str)]) -> String {
    let mut address = path.to_owned();
    let mut mark = '?';
    for (name, value) in pairs.iter().filter(|(_, value)| !value.is_empty()) {
        address.push(std::mem::replace(&mut mark, '&'));
        address.push_str(name);
        address.push('=');
        address.push_str(&escaped(value));
    }
    address
}

fn escaped(value: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    let one = |byte: u8| if is_plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    value.bytes().map(one).collect()
}

#[cfg(test)]
mod tests {
    use super::of;

    #[test]
    fn what_is_asked_is_escaped_and_what_is_not_is_left_out() {
        assert_eq!(of("/log", &[("site", ""), ("text", "")]), "/log");
        assert_eq!(
            of("/log", &[("site", "a"), ("x", ""), ("text", "ü &=")]),
            "/log?site=a&text=%C3%BC%20%26%3D"
        );
    }
}
