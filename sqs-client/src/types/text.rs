//! Wire formats of values that are not text: durations as whole seconds, blobs as base64, attribute values as strings.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serializer, de::Error as _};

/// Rounds up to whole seconds. SQS knows no fractions, and a shorter time could lose a lease.
pub(crate) fn whole_seconds(duration: Duration) -> u64 {
    duration
        .as_secs()
        .saturating_add(u64::from(duration.subsec_nanos() > 0))
}

/// `Option<Duration>` as a JSON integer of seconds.
pub(crate) mod seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer, whole_seconds};

    // serde's `with` requires this signature.
    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(value: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(duration) => serializer.serialize_u64(whole_seconds(*duration)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
        Ok(Option::<u64>::deserialize(deserializer)?.map(Duration::from_secs))
    }
}

/// A mandatory `Duration` as a JSON integer of seconds.
pub(crate) mod always_seconds {
    use super::{Deserialize, Deserializer, Duration, Serializer, whole_seconds};

    pub(crate) fn serialize<S: Serializer>(value: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(whole_seconds(*value))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
        u64::deserialize(deserializer).map(Duration::from_secs)
    }
}

/// `Option<SystemTime>` as a JSON integer of milliseconds since the Unix epoch.
pub(crate) mod epoch_millis {
    use super::{Deserialize, Deserializer, Duration, Serializer, SystemTime, custom};

    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(value: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
        let Some(time) = value else {
            return serializer.serialize_none();
        };
        let millis = time
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default()
            .as_millis();
        serializer.serialize_u64(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SystemTime>, D::Error> {
        let Some(millis) = Option::<u64>::deserialize(deserializer)? else {
            return Ok(None);
        };
        let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_millis(millis));
        time.map(Some)
            .ok_or_else(|| custom(format!("the time {millis} is out of range")))
    }
}

/// `Option<Bytes>` as base64.
pub(crate) mod blob {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use bytes::Bytes;

    use super::{Deserialize, Deserializer, Serializer};

    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<S: Serializer>(value: &Option<Bytes>, serializer: S) -> Result<S::Ok, S::Error> {
        match value {
            Some(bytes) => serializer.serialize_str(&STANDARD.encode(bytes)),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Bytes>, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        text.map(|text| STANDARD.decode(text.as_bytes()).map(Bytes::from))
            .transpose()
            .map_err(serde::de::Error::custom)
    }
}

/// A value that is the text of a queue attribute on the wire. Errors never quote the text.
pub(crate) trait AttributeText: Sized {
    fn to_text(&self) -> Result<String, serde_json::Error>;
    fn from_text(text: &str) -> Result<Self, String>;
}

/// Implements [`AttributeText`] by `Display` and `FromStr`, and ignores surrounding white space.
macro_rules! attribute_text_by_display {
    ($($type:ty),*) => {$(
        impl AttributeText for $type {
            fn to_text(&self) -> Result<String, serde_json::Error> {
                Ok(self.to_string())
            }
            fn from_text(text: &str) -> Result<Self, String> {
                text.trim().parse().map_err(|error| format!("{error}"))
            }
        }
    )*};
}
attribute_text_by_display!(bool, u64, u32);

impl AttributeText for String {
    fn to_text(&self) -> Result<String, serde_json::Error> {
        Ok(self.clone())
    }
    fn from_text(text: &str) -> Result<Self, String> {
        Ok(text.to_owned())
    }
}

impl AttributeText for Duration {
    fn to_text(&self) -> Result<String, serde_json::Error> {
        whole_seconds(*self).to_text()
    }
    fn from_text(text: &str) -> Result<Self, String> {
        u64::from_text(text).map(Duration::from_secs)
    }
}

/// Seconds since the Unix epoch. Some servers add a fraction, which is ignored.
impl AttributeText for SystemTime {
    fn to_text(&self) -> Result<String, serde_json::Error> {
        self.duration_since(Self::UNIX_EPOCH)
            .unwrap_or_default()
            .as_secs()
            .to_text()
    }
    fn from_text(text: &str) -> Result<Self, String> {
        let seconds = text.split('.').next().unwrap_or_default();
        Self::UNIX_EPOCH
            .checked_add(Duration::from_text(seconds)?)
            .ok_or_else(|| "the time is out of range".to_owned())
    }
}

/// Implements [`AttributeText`] for an open enum by its name.
macro_rules! attribute_text_by_name {
    ($($type:ty),*) => {$(
        impl crate::types::text::AttributeText for $type {
            fn to_text(&self) -> Result<String, serde_json::Error> {
                Ok(self.as_str().to_owned())
            }
            fn from_text(text: &str) -> Result<Self, String> {
                Ok(Self::from(text))
            }
        }
    )*};
}
pub(crate) use attribute_text_by_name;

/// The maximum length of a JSON text. SQS's own policies have about 1,000 bytes. Unknown members are kept, which takes up
/// to 128 times the length of the text.
pub(crate) const MAX_JSON_TEXT: usize = 64 * 1024;

/// Implements [`AttributeText`] for a type whose text is JSON. Inlined so that only a program that uses queue attributes
/// compiles it.
macro_rules! attribute_text_by_json {
    ($($type:ty),*) => {$(
        impl crate::types::text::AttributeText for $type {
            #[inline]
            fn to_text(&self) -> Result<String, serde_json::Error> {
                serde_json::to_string(self)
            }
            #[inline]
            fn from_text(text: &str) -> Result<Self, String> {
                if text.len() > crate::types::text::MAX_JSON_TEXT {
                    return Err(format!("a policy of {} bytes is too long", text.len()));
                }
                serde_json::from_str(text).map_err(|error| {
                    let (what, line, column) = (error.classify(), error.line(), error.column());
                    format!("{what:?} error at line {line}, column {column} of a policy")
                })
            }
        }
    )*};
}
pub(crate) use attribute_text_by_json;

/// serde's `with` module for an optional [`AttributeText`].
pub(crate) mod attribute {
    use super::{AttributeText, Deserialize, Deserializer, Serializer};
    use serde::ser::Error as _;

    #[allow(clippy::ref_option)]
    pub(crate) fn serialize<T: AttributeText, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.serialize_str(&value.to_text().map_err(S::Error::custom)?),
            None => serializer.serialize_none(),
        }
    }

    pub(crate) fn deserialize<'de, T: AttributeText, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<T>, D::Error> {
        let text = Option::<std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        // Some servers return an empty string for an attribute that is not set.
        text.filter(|text| !text.is_empty())
            .map(|text| T::from_text(&text))
            .transpose()
            .map_err(super::custom)
    }
}

fn custom<E: serde::de::Error>(message: String) -> E {
    E::custom(message)
}

/// Reads a number, which some servers write as a string.
pub(crate) fn lenient_u32<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Number {
        Number(u32),
        Text(String),
    }
    match Number::deserialize(deserializer)? {
        Number::Number(number) => Ok(number),
        Number::Text(text) => text.parse().map_err(D::Error::custom),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_may_have_a_fraction() {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_307_780);
        assert_eq!(SystemTime::from_text("1795307780").unwrap(), time);
        assert_eq!(SystemTime::from_text("1795307780.182937").unwrap(), time);
        assert_eq!(time.to_text().unwrap(), "1795307780");
        assert!(SystemTime::from_text("soon").is_err());
        assert!(SystemTime::from_text(&u64::MAX.to_string()).is_err());
    }

    #[test]
    fn fractions_of_a_second_round_up() {
        assert_eq!(whole_seconds(Duration::from_millis(0)), 0);
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(2000)), 2);
        assert_eq!(whole_seconds(Duration::MAX), u64::MAX);
    }
}
