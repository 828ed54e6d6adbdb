//! The limit on the number of values in a response.

/// The maximum number of values in a response.
pub(crate) const MAX_VALUES: usize = 100_000;

/// The length up to which JSON is not counted, because reading it never needs much memory.
const COUNTED_ABOVE: usize = 1024 * 1024;

/// Returns the error text for a response with too many values.
pub(super) fn too_many_values() -> String {
    format!("the response has more than {MAX_VALUES} values")
}

/// Returns `true` if reading this JSON could need far more memory than its length.
pub(super) fn has_too_many_values(json: &[u8]) -> bool {
    json.len() > COUNTED_ABOVE && values(json).nth(MAX_VALUES).is_some()
}

/// Returns each character that precedes a value in a list, map or structure.
fn values(json: &[u8]) -> impl Iterator<Item = u8> {
    let mut bytes = json.iter().copied();
    std::iter::from_fn(move || {
        loop {
            match bytes.next()? {
                b'"' => {
                    while bytes.find(|byte| matches!(byte, b'"' | b'\\'))? == b'\\' {
                        bytes.next()?;
                    }
                }
                before @ (b',' | b'[' | b'{') => return Some(before),
                _ => {}
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn characters_in_strings_are_not_counted() {
        for (json, count) in [
            (r#"{"a":[1,2,{"b":null}],"c":"x,[{"}"#, 6),
            (r#"["\"],[",",\\",3]"#, 3),
            (r#""","#, 1),
            (r#"["unfinished,,"#, 1),
            (r#"["unfinished\"#, 1),
            ("", 0),
        ] {
            assert_eq!(values(json.as_bytes()).count(), count, "{json}");
        }
    }

    #[test]
    fn a_long_string_is_one_value() {
        let text = format!("[\"{}\"]", ",".repeat(2 * COUNTED_ABOVE));
        assert!(!has_too_many_values(text.as_bytes()));
        let values = format!("[{}0]", "0,".repeat(COUNTED_ABOVE));
        assert!(has_too_many_values(values.as_bytes()));
        let most = format!("[{}0{}]", "0,".repeat(MAX_VALUES - 1), " ".repeat(COUNTED_ABOVE));
        assert!(!has_too_many_values(most.as_bytes()));
    }
}
