use std::collections::HashMap;
use std::error::Error as StdError;
use std::path::PathBuf;

use crate::credentials::environment::from_names;
use crate::credentials::{BoxFuture, Credentials, ProvideCredentials};

/// The maximum length of a file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Reads static credentials from AWS's shared files, again at each call.
///
/// The files are `~/.aws/credentials` and then `~/.aws/config`, or those that `AWS_SHARED_CREDENTIALS_FILE` and
/// `AWS_CONFIG_FILE` name. The profile is the one that the setting [`profile`](Self::profile) or else `AWS_PROFILE`
/// names. Default: `default`. The provider reads `aws_access_key_id`, `aws_secret_access_key` and `aws_session_token`.
/// It fails for a profile whose keys come from SSO, a role or a process. Those need `AwsConfigCredentials` of the
/// feature `aws-config`.
///
/// ```
/// use sqs_client::Client;
/// use sqs_client::credentials::ProfileFileCredentials;
///
/// # fn main() -> Result<(), sqs_client::Error> {
/// let credentials = ProfileFileCredentials::new().profile("reports");
/// let client = Client::builder().region("eu-west-1").credentials(credentials).build()?;
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct ProfileFileCredentials {
    profile: Option<String>,
}

impl ProfileFileCredentials {
    /// Creates a provider for the profile of `AWS_PROFILE`, or else `default`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the profile. Default: that of `AWS_PROFILE`, or else `default`.
    #[must_use]
    pub fn profile(mut self, name: impl Into<String>) -> Self {
        self.profile = Some(name.into());
        self
    }

    fn read(&self) -> Result<Credentials, Box<dyn StdError + Send + Sync>> {
        let profile = self.profile.clone().or_else(|| variable("AWS_PROFILE"));
        let profile = profile.unwrap_or_else(|| "default".to_owned());
        let credentials = read_file("AWS_SHARED_CREDENTIALS_FILE", "credentials")?;
        let config = read_file("AWS_CONFIG_FILE", "config")?;
        let found = from_files(&profile, credentials.as_deref(), config.as_deref());
        found.map_err(|reason| reason.describe(&profile).into())
    }
}

/// The reason why a profile has no static credentials.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Missing {
    /// Neither file has the profile.
    Profile,
    /// The profile lacks this setting.
    Key(&'static str),
    /// The profile's keys come from this source.
    OtherSource(&'static str),
}

impl Missing {
    fn describe(self, profile: &str) -> String {
        match self {
            Self::Profile => format!("AWS's shared files have no profile {profile:?}"),
            Self::Key(name) => format!("the profile {profile:?} has no {}", name.to_ascii_lowercase()),
            Self::OtherSource(source) if cfg!(feature = "aws-config") => {
                format!("the profile {profile:?} uses {source}, which AwsConfigCredentials supports")
            }
            Self::OtherSource(source) => format!(
                "the profile {profile:?} uses {source}; enable the cargo feature `aws-config` of sqs-client to support it"
            ),
        }
    }
}

impl ProvideCredentials for ProfileFileCredentials {
    fn provide_credentials(&self) -> BoxFuture<'_, Result<Credentials, Box<dyn StdError + Send + Sync>>> {
        let this = self.clone();
        Box::pin(async move { tokio::task::spawn_blocking(move || this.read()).await? })
    }
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Reads the file that the variable names, or else AWS's own of this name in the home folder. Returns `None` if it does
/// not exist.
fn read_file(name: &str, default: &str) -> Result<Option<String>, String> {
    use std::io::Read as _;

    let default = || std::env::home_dir().map(|home| home.join(".aws").join(default));
    let Some(path) = variable(name).map(PathBuf::from).or_else(default) else {
        return Ok(None);
    };
    let mut text = String::new();
    let read = std::fs::File::open(&path).and_then(|file| file.take(MAX_FILE_BYTES).read_to_string(&mut text));
    match read {
        Ok(_) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{} could not be read: {error}", path.display())),
    }
}

/// The settings that name another source of keys, and the source.
const SOURCES: [(&str, &str); 6] = [
    ("ROLE_ARN", "a role"),
    ("SSO_SESSION", "SSO"),
    ("SSO_START_URL", "SSO"),
    ("CREDENTIAL_PROCESS", "a process"),
    ("WEB_IDENTITY_TOKEN_FILE", "a web identity"),
    ("CREDENTIAL_SOURCE", "a credential source"),
];

/// Finds the profile's keys: those of the credentials file, or else those of the config file, whose sections are called
/// `profile NAME`. The keys of a profile with a role only authenticate the request for the role.
fn from_files(profile: &str, credentials: Option<&str>, config: Option<&str>) -> Result<Credentials, Missing> {
    let in_config = format!("profile {profile}");
    let names: &[&str] = if profile == "default" {
        &["default", "profile default"]
    } else {
        &[&in_config]
    };
    let files = [
        settings_of(credentials.unwrap_or_default(), &[profile]),
        settings_of(config.unwrap_or_default(), names),
    ];
    let files: Vec<Settings<'_>> = files.into_iter().flatten().collect();
    let has = |name: &str| files.iter().any(|settings| settings.contains_key(name));
    if has("ROLE_ARN") {
        return Err(Missing::OtherSource("a role"));
    }
    let keys = |settings: &Settings<'_>| from_names(|name| settings.get(name).map(|value| (*value).to_owned()));
    let mut missing = None;
    for settings in &files {
        match keys(settings) {
            Ok(credentials) => return Ok(credentials),
            // The name that comes later is the one that a nearly complete section lacks.
            Err(name) => missing = missing.max(Some(name)),
        }
    }
    let source = SOURCES.iter().find(|(name, _)| has(name));
    Err(match (source, missing) {
        (Some((_, source)), _) => Missing::OtherSource(source),
        (None, Some(name)) => Missing::Key(name),
        (None, None) => Missing::Profile,
    })
}

/// The settings of a section by their names in capitals.
type Settings<'a> = HashMap<String, &'a str>;

/// Reads the sections of these names, or returns `None` if there is none. The last value of a setting counts.
fn settings_of<'a>(text: &'a str, sections: &[&str]) -> Option<Settings<'a>> {
    let mut within = false;
    let mut settings = None;
    for line in text.lines() {
        // An indented line belongs to a nested setting, and none of those is a key.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(section) = line.trim().strip_prefix('[') {
            let section = section.split(']').next().unwrap_or_default();
            let section: Vec<&str> = section.split_whitespace().collect();
            within = sections.contains(&section.join(" ").as_str());
            if within {
                settings.get_or_insert_with(HashMap::new);
            }
        } else if let (true, Some((name, value))) = (within, line.split_once('=')) {
            let settings = settings.get_or_insert_with(HashMap::new);
            settings.insert(name.trim().to_ascii_uppercase(), value.trim());
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "\
# the one that is used
[default]
aws_access_key_id = AKID
aws_secret_access_key=a=secret#1

[other-file]
aws_access_key_id = BASE
aws_secret_access_key = s5
[ other ]
aws_access_key_id=OTHER
AWS_SECRET_ACCESS_KEY = s2
aws_session_token = t
";

    const CONFIG: &str = "\
[default]
region = eu-west-1
[profile in-config]
aws_access_key_id = CONF
s3 =
  aws_secret_access_key = nested
aws_secret_access_key = s3
[in-config]
aws_access_key_id = WRONG
[profile sso]
sso_session = x
[profile process]
credential_process = /bin/keys
[profile half]
aws_access_key_id = HALF
[profile other-file]
role_arn = arn:aws:iam::1:role/x
source_profile = other-file
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = role
aws_access_key_id = ROLE
aws_secret_access_key = s4
";

    fn find(profile: &str) -> Result<Credentials, Missing> {
        from_files(profile, Some(CREDENTIALS), Some(CONFIG))
    }

    #[test]
    fn a_profile_is_found_in_either_file() {
        assert_eq!(find("default"), Ok(Credentials::new("AKID", "a=secret#1")));
        assert_eq!(
            find("other"),
            Ok(Credentials::new("OTHER", "s2").with_session_token("t"))
        );
        assert_eq!(find("in-config"), Ok(Credentials::new("CONF", "s3")));
    }

    #[test]
    fn the_reason_for_missing_keys_is_named() {
        assert_eq!(find("sso"), Err(Missing::OtherSource("SSO")));
        assert_eq!(find("role"), Err(Missing::OtherSource("a role")));
        assert_eq!(find("other-file"), Err(Missing::OtherSource("a role")));
        assert_eq!(find("process"), Err(Missing::OtherSource("a process")));
        assert_eq!(find("half"), Err(Missing::Key("AWS_SECRET_ACCESS_KEY")));
        assert_eq!(find("missing"), Err(Missing::Profile));
        let text = Missing::OtherSource("SSO").describe("dev");
        assert!(text.contains(r#"the profile "dev" uses SSO"#), "{text}");
        if !cfg!(feature = "aws-config") {
            assert!(text.contains("cargo feature `aws-config`"), "{text}");
        }
        assert_eq!(
            Missing::Key("AWS_SECRET_ACCESS_KEY").describe("dev"),
            r#"the profile "dev" has no aws_secret_access_key"#
        );
    }

    #[test]
    fn either_file_may_be_missing() {
        assert_eq!(from_files("in-config", None, Some(CONFIG)), find("in-config"));
        assert_eq!(from_files("default", Some(CREDENTIALS), None), find("default"));
        assert_eq!(from_files("default", None, None), Err(Missing::Profile));
    }
}
