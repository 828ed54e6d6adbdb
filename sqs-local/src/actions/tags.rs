//! Tags of a queue.

use serde_json::{Value, json};

use super::nothing;
use crate::protocol::error::{Error, Result};
use crate::protocol::input::Input;
use crate::service::Service;

const MAX_TAGS: usize = 50;

pub(crate) fn tag(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let given = input.string_map("Tags");
    if given.is_empty() {
        return Err(Error::missing("Tags"));
    }
    let mut state = queue.lock(service.now());
    let mut tags = state.tags.clone();
    tags.extend(given);
    if tags.len() > MAX_TAGS {
        return Err(Error::invalid(format!("Too many tags added for queue {}.", queue.name)));
    }
    state.tags = tags;
    Ok(nothing())
}

pub(crate) fn untag(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let keys = input.strings("TagKeys");
    if keys.is_empty() {
        return Err(Error::missing("TagKeys"));
    }
    queue.lock(service.now()).tags.retain(|key, _| !keys.contains(key));
    Ok(nothing())
}

pub(crate) fn list(service: &Service, input: &Input) -> Result<Value> {
    let queue = service.queue(input)?;
    let state = queue.lock(service.now());
    if state.tags.is_empty() {
        Ok(nothing())
    } else {
        Ok(json!({"Tags": state.tags}))
    }
}
