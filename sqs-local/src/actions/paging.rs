//! Pages of a list. A token encodes the last item of a page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;

const MAX_RESULTS: i64 = 1000;

/// Returns the requested page of sorted items, and the token of the next page.
pub(crate) fn page(items: Vec<String>, input: &Input) -> Result<(Vec<String>, Option<String>)> {
    let reason = "MaxResults must be an integer between 1 and 1000.";
    let max = input.int_within("MaxResults", 1, MAX_RESULTS, reason)?;
    let after = input.opt_str("NextToken").map(decode).transpose()?;
    let rest = items
        .into_iter()
        .filter(|item| after.as_ref().is_none_or(|after| item > after));
    let mut rest: Vec<String> = rest.collect();
    // Without MaxResults, SQS returns a single page and no token.
    let Some(max) = max.and_then(|m| usize::try_from(m).ok()) else {
        rest.truncate(1000);
        return Ok((rest, None));
    };
    let more = rest.len() > max;
    rest.truncate(max);
    let token = rest.last().filter(|_| more).map(|last| BASE64_STANDARD.encode(last));
    Ok((rest, token))
}

fn decode(token: &str) -> Result<String> {
    let bytes = BASE64_STANDARD.decode(token).ok();
    let text = bytes.and_then(|b| String::from_utf8(b).ok());
    text.ok_or_else(|| Error::invalid("Invalid or expired next token."))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn pages_cover_the_list_once() {
        let items: Vec<String> = (0..7).map(|n| format!("q{n}")).collect();
        let (mut seen, mut token) = (Vec::new(), None);
        loop {
            let input = Input::new(json!({"MaxResults": 3, "NextToken": token})).expect("an object");
            let (page, next) = page(items.clone(), &input).expect("a page");
            seen.extend(page);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, items);
    }
}
