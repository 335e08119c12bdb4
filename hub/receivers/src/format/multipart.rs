//! A form with a picture in it (RFC 7578): how Telegram and Discord take files.
//!
//! Invariant: the boundary is in none of the parts.
//!
//! ```text
//! --rackside0\r\nContent-Disposition: form-data; name="chat_id"\r\n\r\n-1001\r\n … --rackside0--\r\n
//! ```

/// The picture's field, and its bytes.
pub(super) struct File<'a> {
    pub(super) field: &'a str,
    pub(super) bytes: &'a [u8],
}

/// A form's content type and body. Names of fields are ours; values may be anything.
pub(super) fn form(fields: &[(&str, String)], file: &File) -> (String, Vec<u8>) {
    let occurs = |boundary: &str| {
        let within = |bytes: &[u8]| bytes.windows(boundary.len()).any(|window| window == boundary.as_bytes());
        within(file.bytes) || fields.iter().any(|(_, value)| value.contains(boundary))
    };
    let boundary = (0..=u32::MAX).map(|nth| format!("rackside{nth}")).find(|boundary| !occurs(boundary));
    let boundary = boundary.expect("a text holds only so many numbers");
    let mut body = Vec::with_capacity(file.bytes.len() + 2_048);
    for (name, value) in fields {
        let head = format!("--{boundary}\r\nContent-Disposition: form-data; name=\"{name}\"\r\n");
        body.extend_from_slice(head.as_bytes());
        body.extend_from_slice(b"Content-Type: text/plain; charset=utf-8\r\n\r\n");
        body.extend_from_slice(value.as_bytes());
        body.extend_from_slice(b"\r\n");
    }
    let field = file.field;
    let head = format!(
        "--{boundary}\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"chart.png\"\r\nContent-Type: image/png\r\n\r\n"
    );
    body.extend_from_slice(head.as_bytes());
    body.extend_from_slice(file.bytes);
    body.extend_from_slice(format!("\r\n--{boundary}--\r\n").as_bytes());
    (format!("multipart/form-data; boundary={boundary}"), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boundary_that_is_in_the_text_is_not_taken() {
        let fields = [("caption", "--rackside0--\r\n--rackside1".to_owned())];
        let (content_type, body) = form(&fields, &File { field: "photo", bytes: b"..rackside2.." });
        assert_eq!(content_type, "multipart/form-data; boundary=rackside3");
        let body = String::from_utf8(body).unwrap();
        assert_eq!(body.split("--rackside3").count(), 4, "{body}");
        assert!(body.ends_with("\r\n--rackside3--\r\n"));
    }
}
