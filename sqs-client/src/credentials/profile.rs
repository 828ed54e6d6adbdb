use std::collections::HashMap;
use std::error::Error as StdError;
use std::path::PathBuf;

use crate::credentials::environment::from_names;
use crate::credentials::{BoxFuture, Credentials, ProvideCredentials};

/// Longest file that is read.
const MAX_FILE_BYTES: u64 = 1024 * 1024;

/// Static credentials of AWS's shared files, read anew each time they are asked for: `~/.aws/credentials`, then
/// `~/.aws/config`, or the files that `AWS_SHARED_CREDENTIALS_FILE` and `AWS_CONFIG_FILE` name.
///
/// The profile is the one given, or `AWS_PROFILE`'s, or `default`. Read are `aws_access_key_id`,
/// `aws_secret_access_key` and `aws_session_token`; a profile that gets its keys elsewhere (SSO, a role) is an error.
#[derive(Clone, Debug, Default)]
pub struct ProfileFileCredentials {
    profile: Option<String>,
}

impl ProfileFileCredentials {
    /// The profile that `AWS_PROFILE` names, or `default`.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The profile of this name.
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
        found.ok_or_else(|| {
            format!(
                "the profile {profile:?} has no aws_access_key_id and aws_secret_access_key in AWS's shared files \
                 (of profiles, only those with keys of their own are read)"
            )
            .into()
        })
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

/// The file that the variable names, or AWS's own of this name in the home folder; `None` where it does not exist.
fn read_file(name: &str, default: &str) -> Result<Option<String>, std::io::Error> {
    use std::io::Read as _;

    let default = || std::env::home_dir().map(|home| home.join(".aws").join(default));
    let Some(path) = variable(name).map(PathBuf::from).or_else(default) else {
        return Ok(None);
    };
    let file = match std::fs::File::open(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut text = String::new();
    file.take(MAX_FILE_BYTES).read_to_string(&mut text)?;
    Ok(Some(text))
}

/// The profile's keys: the credentials file's, else the config file's, where its section is called `profile NAME`. None
/// where either file says that it is a role: such keys are only what the role is asked for with.
fn from_files(profile: &str, credentials: Option<&str>, config: Option<&str>) -> Option<Credentials> {
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
    let is_role = files.iter().any(|settings| settings.contains_key("ROLE_ARN"));
    let keys = |settings: &Settings| from_names(|name| settings.get(name).map(|value| (*value).to_owned())).ok();
    files.iter().find_map(keys).filter(|_| !is_role)
}

/// By their names in capitals.
type Settings<'a> = HashMap<String, &'a str>;

/// What the sections of one of these names say; of a setting that is there twice, the last.
fn settings_of<'a>(text: &'a str, sections: &[&str]) -> Settings<'a> {
    let mut within = false;
    let mut settings = HashMap::new();
    for line in text.lines() {
        // A line that is indented belongs to a nested setting, and none of those is a key.
        if line.starts_with([' ', '\t', '#', ';']) {
            continue;
        }
        if let Some(section) = line.trim().strip_prefix('[') {
            let section = section.split(']').next().unwrap_or_default();
            let section: Vec<&str> = section.split_whitespace().collect();
            within = sections.contains(&section.join(" ").as_str());
        } else if let (true, Some((name, value))) = (within, line.split_once('=')) {
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
[profile other-file]
role_arn = arn:aws:iam::1:role/x
source_profile = other-file
[profile role]
role_arn = arn:aws:iam::1:role/x
source_profile = role
aws_access_key_id = ROLE
aws_secret_access_key = s4
";

    fn find(profile: &str) -> Option<Credentials> {
        from_files(profile, Some(CREDENTIALS), Some(CONFIG))
    }

    #[test]
    fn a_profile_is_found_in_either_file() {
        assert_eq!(find("default"), Some(Credentials::new("AKID", "a=secret#1")));
        assert_eq!(
            find("other"),
            Some(Credentials::new("OTHER", "s2").with_session_token("t"))
        );
        assert_eq!(find("in-config"), Some(Credentials::new("CONF", "s3")));
        assert_eq!(find("sso"), None);
        assert_eq!(find("role"), None);
        assert_eq!(find("other-file"), None);
        assert_eq!(find("missing"), None);
    }

    #[test]
    fn either_file_may_be_missing() {
        assert_eq!(from_files("in-config", None, Some(CONFIG)), find("in-config"));
        assert_eq!(from_files("default", Some(CREDENTIALS), None), find("default"));
        assert_eq!(from_files("default", None, None), None);
    }
}
