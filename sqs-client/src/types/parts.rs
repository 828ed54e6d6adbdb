//! The reading of JSON part by part, so that an unreadable part does not affect the others. Each level is scanned once
//! more, so this is only for JSON that cannot be read as a whole.

use std::borrow::Cow;

use serde::de::IgnoredAny;

/// Calls `each` with the JSON of every element of a list. Returns `None` if this is not a list or `each` returns `None`.
pub(crate) fn elements<'a>(list: &'a [u8], mut each: impl FnMut(&'a [u8]) -> Option<()>) -> Option<()> {
    parts(list, *b"[]", |rest| {
        let (element, rest) = value(rest)?;
        each(element)?;
        Some(rest)
    })
}

/// Calls `each` with the name and the JSON of every member of an object whose name can be read. Returns `None` if this is
/// not an object or `each` returns `None`.
pub(crate) fn members<'a>(object: &'a [u8], mut each: impl FnMut(&str, &'a [u8]) -> Option<()>) -> Option<()> {
    parts(object, *b"{}", |rest| {
        let (name, rest) = value(rest)?;
        let (member, rest) = value(after(rest, b':')?)?;
        if let Ok(name) = serde_json::from_slice::<Cow<'_, str>>(name) {
            each(&name, member)?;
        }
        Some(rest)
    })
}

/// Calls `take` for one part after the other. It returns the JSON that follows the part.
fn parts<'a>(json: &'a [u8], [open, close]: [u8; 2], mut take: impl FnMut(&'a [u8]) -> Option<&'a [u8]>) -> Option<()> {
    let mut rest = after(json, open)?;
    let end = match after(rest, close) {
        Some(end) => end,
        None => loop {
            let following = take(rest)?;
            match after(following, b',') {
                Some(next) => rest = next,
                None => break after(following, close)?,
            }
        },
    };
    end.trim_ascii().is_empty().then_some(())
}

/// Splits off the first value. Its strings need not be valid Unicode.
fn value(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut values = serde_json::Deserializer::from_slice(json).into_iter::<IgnoredAny>();
    values.next()?.ok()?;
    json.split_at_checked(values.byte_offset())
}

/// Returns the JSON that follows this character, if it comes first.
fn after(json: &[u8], first: u8) -> Option<&[u8]> {
    json.trim_ascii_start().strip_prefix(&[first])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements_of(list: &[u8]) -> Option<Vec<Vec<u8>>> {
        let mut all = Vec::new();
        elements(list, |element| {
            all.push(element.trim_ascii().to_vec());
            Some(())
        })?;
        Some(all)
    }

    #[test]
    fn invalid_unicode_in_one_part_does_not_hide_the_others() {
        let list = b" [1, \"\\ud800\" ,\"\xff\",{\"a\":[\"]\"]},true] ";
        let expected: [&[u8]; 5] = [b"1", br#""\ud800""#, b"\"\xff\"", br#"{"a":["]"]}"#, b"true"];
        assert_eq!(elements_of(list).unwrap(), expected);
        assert!(elements_of(b"[ ]").unwrap().is_empty());

        let mut found = Vec::new();
        let object = br#"{"a":1,"\ud800":2, "\u0062" : {"c":3} }"#;
        members(object, |name, value| {
            found.push((name.to_owned(), value.trim_ascii()));
            Some(())
        })
        .unwrap();
        assert_eq!(found, [("a".to_owned(), &b"1"[..]), ("b".to_owned(), br#"{"c":3}"#)]);
    }

    #[test]
    fn malformed_json_has_no_parts() {
        for list in [
            &b"{}"[..],
            b"[1",
            b"[1,",
            b"[1 2]",
            b"[,]",
            b"[1]]",
            b"[1}",
            b"",
            b"[\"a]",
        ] {
            assert_eq!(elements_of(list), None, "{}", list.escape_ascii());
        }
        for object in [
            &b"[]"[..],
            b"{1}",
            br#"{"a"}"#,
            br#"{"a":}"#,
            br#"{"a":1"#,
            br#"{"a":1}{}"#,
        ] {
            assert!(members(object, |_, _| Some(())).is_none(), "{}", object.escape_ascii());
        }
        assert!(elements(b"[1]", |_| None).is_none());
    }
}
