//! Pages of a list. A token encodes the listed scope and the last item of a page.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;

const MAX_RESULTS: i64 = 1000;

/// Returns the requested page of sorted items, and the token of the next page. `scope` is the other request parameter,
/// which all pages of a list must have in common.
pub(crate) fn page(items: Vec<String>, scope: &str, input: &Input) -> Result<(Vec<String>, Option<String>)> {
    let max = input.int_within("MaxResults", 1, MAX_RESULTS, "");
    let reason = "MaxResults must be an integer between 1 and 1000.";
    let max = max.map_err(|_| Error::out_of_range("MaxResults", reason))?;
    let after = input
        .opt_str("NextToken")
        .map(|token| decode(token, scope))
        .transpose()?;
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
    let last = rest.last().filter(|_| more);
    let token = last.map(|last| BASE64_STANDARD.encode(format!("{last}\n{scope}")));
    Ok((rest, token))
}

fn decode(token: &str, scope: &str) -> Result<String> {
    let bytes = BASE64_STANDARD.decode(token).ok();
    let text = bytes.and_then(|b| String::from_utf8(b).ok());
    // An item has no line breaks.
    let parts = text.as_deref().and_then(|text| text.split_once('\n'));
    match parts {
        None => Err(Error::invalid("Invalid or expired next token.")),
        Some((last, of)) if of == scope => Ok(last.to_owned()),
        Some(_) => Err(Error::invalid(
            "Invalid NextToken value. If you are passing in NextToken, you must not change the other request \
             parameters.",
        )),
    }
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
            let (page, next) = page(items.clone(), "q", &input).expect("a page");
            seen.extend(page);
            token = next;
            if token.is_none() {
                break;
            }
        }
        assert_eq!(seen, items);
    }

    #[test]
    fn a_token_is_valid_only_for_its_list() {
        let items = || vec!["q1".to_owned(), "q2".to_owned()];
        let input = |token: Option<&str>| Input::new(json!({"MaxResults": 1, "NextToken": token})).expect("an object");
        let (_, token) = page(items(), "q", &input(None)).expect("a page");
        let token = token.as_deref();
        assert!(token.is_some() && page(items(), "q", &input(token)).is_ok());
        let message = |scope: &str, token| page(items(), scope, &input(token)).map_err(|e| e.message);
        assert!(message("other", token).is_err_and(|m| m.contains("must not change the other request parameters")));
        assert!(message("q", Some("rubbish")).is_err_and(|m| m == "Invalid or expired next token."));
    }
}
